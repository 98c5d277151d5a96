"""The README.md of an exported network: what it is, how good, how it was made, how to run it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict

import services
from services.common.layers import macs, params
from services.common.units import format_area, format_energy, format_latency, format_power
from services.trainer.analog_types import AnalogReport
from services.trainer.trained import HardwareCost, Trained

Row = tuple[str, str]

ONNX_SNIPPET = (
    "import numpy as np",
    "import onnxruntime",
    "",
    'session = onnxruntime.InferenceSession("model.onnx", providers=["CPUExecutionProvider"])',
    "pixels = np.zeros({shape}, np.float32)  # your images, 0 to 255",
    '(scores,) = session.run(["scores"], {{"pixels": pixels}})',
    "print(scores.argmax(1))",
)

TORCH_SNIPPET = (
    "import torch",
    "",
    "from services.trainer.export import load_network",
    "",
    'network = load_network(".")  # this folder',
    "with torch.inference_mode():",
    "    scores = network(torch.zeros({shape}))  # your images, 0 to 255",
    "print(scores.argmax(1))",
)

LIMITS = (
    "imcnas is under Apache-2.0; the weights follow the terms of the data they were learnt from. "
    "Accuracy is that on images like those of the data set. "
    "Costs, and accuracy on a chip, are computed by models, not measured on hardware."
)


def model_card(trained: Trained, class_names: tuple[str, ...], mean: str, deviation: str, check: str) -> str:
    """Write the card.

    Parameters
    ----------
    trained : Trained
    class_names : tuple of str
    mean, deviation : str
        Of each channel, as the network takes them off.
    check : str
        How ONNX and torch were compared.
    """
    request, data, network = trained.request, trained.dataset, trained.network
    image = data.input_shape
    shape = f"(2, {image.channels}, {image.height}, {image.width})"
    kinds = Counter(layer.kind for layer in network.layers)
    size = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    names = ", ".join(_plain(name) for name in class_names[:100]) + (", ..." if class_names[100:] else "")
    head, candidate = request.candidate.head, request.candidate
    return "\n".join(
        (
            _front_matter(trained),
            f"# {candidate} on {data.name}",
            "",
            f"A convolutional network for {data.classes} classes of {image} images "
            f"({_plain(data.description)}), for analog in-memory computing.",
            "",
            _table(
                ("blocks", f"`{candidate}`, skips projected {candidate.projection.replace('_', ' ')}"),
                ("head", f"{list(head.hidden_features)} hidden features, dropout {head.dropout_frac:g}"),
                ("layers", f"{len(network.layers)}: {size}"),
                ("parameters", f"{params(network):,} weights of convolutions and linears"),
                ("multiply-accumulates", f"{macs(network):,} an image"),
                ("input", f"`pixels`: float32, N x {image}, values 0 to 255, N open"),
                ("normalisation", f"in the network: (pixels - {mean}) / {deviation}, by channel"),
                ("output", f"`scores`: float32, N x {data.classes}, the largest one is the class"),
                ("classes", names),
            ),
            "",
            "## Accuracy",
            "",
            _table(*_accuracy_rows(trained)),
            "",
            *(_chip_section(trained) if trained.chip else ()),
            "## How it was trained",
            "",
            _table(*_recipe_rows(trained)),
            "",
            "## How to run it",
            "",
            f"With onnxruntime, in this folder. {check}",
            "",
            _python(ONNX_SNIPPET, shape),
            "",
            "With torch and imcnas; `model.safetensors` alone holds the network behind the normalisation:",
            "",
            _python(TORCH_SNIPPET, shape),
            "",
            "What it costs on another chip: `imcnas evaluate model.onnx --chip CHIP`. "
            "All of the above for programs: `model.json`.",
            "",
            "## Licence and limits",
            "",
            LIMITS,
            "",
        )
    )


def _front_matter(trained: Trained) -> str:
    """Write what model hubs read. Names of data sets and candidates need no quotes in YAML."""
    report, data = trained.report, trained.dataset
    results = [("validation", report.accuracy_frac)]
    if report.test_accuracy_frac is not None:
        results.append(("test", report.test_accuracy_frac))
    lines = [
        "---",
        "library_name: imcnas",
        "pipeline_tag: image-classification",
        "tags: [image-classification, analog-in-memory-computing, onnx, safetensors]",
        "model-index:",
        f'- name: "{trained.request.candidate}"',
        "  results:",
    ]
    for split, accuracy in results:
        lines += [
            "  - task: {type: image-classification}",
            f'    dataset: {{name: "{data.name}", type: "{data.name}", split: {split}}}',
            f"    metrics: [{{type: accuracy, value: {accuracy:.6f}}}]",
        ]
    return "\n".join((*lines, "---", ""))


def _accuracy_rows(trained: Trained) -> Iterable[Row]:
    report, data = trained.report, trained.dataset
    part = f"{report.validation_images:,} validation images"
    yield part, f"{report.accuracy_frac:.4f} ± {report.accuracy_stderr_frac:.4f} (one standard error)"
    if report.test_accuracy_frac is None:
        yield "test images", f"not judged; there are {data.test_images:,}"
    else:
        accuracy = f"{report.test_accuracy_frac:.4f} ± {trained.test_stderr_frac:.4f}"
        yield f"{data.test_images:,} test images", accuracy


def _chip_section(trained: Trained) -> Iterable[str]:
    bits = trained.bits
    widths = f"{bits.input_bits}, {bits.weight_bits} and {bits.output_bits} bits"
    yield f"## On the chip {_plain(trained.chip)}"
    yield ""
    yield f"One inference; inputs, weights and outputs of {widths}."
    yield ""
    rows: list[Row] = [("cost", "does not fit the chip")]
    if trained.hardware is not None:
        rows = list(_cost_rows(trained.hardware))
    if trained.on_chip is not None:
        rows += analog_rows(trained.on_chip)
    yield _table(*rows)
    yield ""


def _cost_rows(cost: HardwareCost) -> Iterable[Row]:
    yield "latency", f"{format_latency(cost.latency_ns)} ({cost.latency_ns:.6g} ns)"
    yield "energy", f"{format_energy(cost.energy_nj)} ({cost.energy_nj:.6g} nJ)"
    yield "area", f"{format_area(cost.area_um2)}, {cost.tiles:,} tiles"
    yield (
        "power",
        f"{format_power(cost.average_power_w)} on average, {format_power(cost.power_w)} all at once",
    )
    yield "model", f"cost model {cost.model_version}, chip {cost.chip_hash[:16]}"


def analog_rows(report: AnalogReport) -> Iterable[Row]:
    """Tell accuracy on a chip: what of, and how much."""
    yield "accuracy, quantised", f"{report.quantised_frac:.4f} (float {report.float_frac:.4f})"
    for form, accuracy in (("", report.folded), (", exact", report.exact)):
        if accuracy is not None:
            chips = len(accuracy.draws_frac)
            spread = f"± {accuracy.deviation_frac:.4f}, worst {accuracy.worst_frac:.4f}"
            told = f"{spread} (mean and deviation of {chips} drawn)" if chips > 1 else "(one drawn)"
            yield f"accuracy on chip{form}", f"{accuracy.mean_frac:.4f} {told}"
    yield "judged there", f"{report.images:,} validation images, chips of seed {report.seed}"


def _recipe_rows(trained: Trained) -> Iterable[Row]:
    request, report, data = trained.request, trained.report, trained.dataset
    yield "data", f"{data.name}: {data.train_images:,} images to train on, fingerprint `{data.fingerprint}`"
    yield "seed", str(request.seed)
    yield "epochs", f"{request.epochs} of SGD with Nesterov momentum"
    for name, value in asdict(request.recipe).items():
        if name != "epochs":
            yield f"recipe {name}", _plain(str(value))
    yield "time", f"{report.train_s:.1f} s on {report.device}, in {report.precision}"
    yield "versions", f"imcnas {services.__version__}, torch {report.torch_version}"
    yield "network", f"`{report.network_key}`"


def _table(*rows: Row) -> str:
    return "\n".join(("| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)))


def _python(lines: Iterable[str], shape: str) -> str:
    return "\n".join(("```python", *lines, "```")).format(shape=shape)


def _plain(text: str) -> str:
    """Keep text of a user from breaking a table."""
    return " ".join(text.replace("|", "/").split())
