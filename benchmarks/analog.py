"""Accuracy on the chip: what the exact and the folded form take, and how far they are from each other.

Prints the tables of RESULTS.md. Times are process CPU time on one thread; what is compared is run in turns,
and a ratio is that of two neighbours in time. The fast exact form and the loop over splits, cycles and
slices are checked to give the same bits; the folded form is compared with the float network's forward pass.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from statistics import fmean, median
from unittest.mock import patch

import torch
from scipy.stats import kendalltau
from torch import Tensor, nn

from benchmarks.conditions import conditions
from services.common.candidate import parse_candidate
from services.common.layers import Shape
from services.trainer import fit
from services.trainer.analog import evaluate_on_chip
from services.trainer.analog.cells import Cells, chip_generator, write_cells
from services.trainer.analog.exact import exact_products
from services.trainer.analog.folded import FoldedChip, fit_adcs
from services.trainer.analog.graph import read_steps
from services.trainer.analog.kernel_exact import fast_products
from services.trainer.analog.quantise import Crossbars, IntegerNetwork, quantise
from services.trainer.analog_types import AdcMode, AnalogConfig, AnalogReport, ChipAccuracy, FoldedError
from services.trainer.build import build_module
from services.trainer.data import Dataset, load_dataset
from services.trainer.recipe import load_recipe
from services.trainer.resident import Resident
from services.trainer.types import EvaluationRequest

SMALL = Shape(channels=1, height=8, width=8)
LARGE = Shape(channels=3, height=32, width=32)
TIMED = (
    ("VGG16", SMALL), ("RES16-VGG32", SMALL), ("VGG64-RES128", SMALL),
    ("VGG16-VGG32", LARGE), ("VGG32-RES64", LARGE), ("VGG64-VGG128", LARGE),
)  # fmt: skip
CHIPS = {
    "default": AnalogConfig(),
    "no variation": AnalogConfig(variation_frac=0.0),
}
WORSE = {
    "ADC of 4 bits": AnalogConfig(adc_bits=4),
    "ADC of 5 bits": AnalogConfig(adc_bits=5),
    "default (6 bits)": AnalogConfig(),
    "ADC of 8 bits": AnalogConfig(adc_bits=8),
    "FIX, 8 bits": AnalogConfig(adc_bits=8, adc_mode=AdcMode.FIX),
    "FIX, 6 bits": AnalogConfig(adc_mode=AdcMode.FIX),
    "subtracted digitally": AnalogConfig(digital_subtraction=True),
    "variation 10 %": AnalogConfig(variation_frac=0.1),
    "variation 30 %": AnalogConfig(variation_frac=0.3),
    "1 % stuck off, 1 % on": AnalogConfig(stuck_off_frac=0.01, stuck_on_frac=0.01),
    "4-bit weights, activations": AnalogConfig(weight_bits=4, activation_bits=4),
}
TRAINED = (
    "VGG8", "VGG16", "VGG32", "RES8", "RES16", "MVGG16-VGG16",
    "RES16-VGG16", "VGG16-VGG32", "RES8-RES16-VGG32", "VGG32-RES32",
)  # fmt: skip


Products = Callable[[Tensor, Crossbars, Cells, AnalogConfig], Tensor]


@dataclass(frozen=True)
class Subject:
    """A network on random images, float and quantised."""

    module: nn.Module
    x: Tensor
    network: IntegerNetwork
    integers: Tensor


def subject(blocks: str, shape: Shape, config: AnalogConfig, images: int) -> Subject:
    torch.manual_seed(0)
    module = build_module(parse_candidate(blocks), shape, 10).eval()
    module = module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # absent in stubs
    x = torch.randn(images, shape.channels, shape.height, shape.width)
    with torch.inference_mode():
        network = quantise(read_steps(module), x.double(), config)
        integers = network.quantised_input(x.double())
    return Subject(module, x.contiguous(memory_format=torch.channels_last), network, integers)


def in_turns(calls: int, *functions: Callable[[], Tensor]) -> list[list[float]]:
    """Give the CPU seconds of each call of each function."""
    times: list[list[float]] = [[] for _ in functions]
    for function in functions:
        function()
    for _ in range(calls):
        for function, kept in zip(functions, times, strict=True):
            begin = time.process_time()
            function()
            kept.append(time.process_time() - begin)
    return times


def shown(values: list[float], form: str) -> str:
    return f"{median(values):{form}} ({min(values):{form}} to {max(values):{form}})"


def exact_scores(it: Subject, config: AnalogConfig, products: Products) -> Callable[[], Tensor]:
    """Give the exact form of one chip; its cells are written beforehand."""
    cells = {
        i: write_cells(step.weights, config, chip_generator(0, 0, i))
        for i, step in enumerate(it.network.steps)
        if isinstance(step, Crossbars)
    }

    def multiply(i: int, layer: Crossbars, x: Tensor) -> Tensor:
        return layer.output(products(x, layer, cells[i], config))

    return lambda: it.network.scores(it.integers, multiply)


@torch.inference_mode()
def exact_rows(calls: int) -> None:
    print("| network | images | chip | loop (s) | exact (s) | loop / exact |\n|---|---|---|---|---|---|")
    for blocks, shape in TIMED:
        images = 64 if shape is SMALL else 4
        for name, config in CHIPS.items():
            it = subject(blocks, shape, config, images)
            slow_form, fast_form = (
                exact_scores(it, config, form) for form in (exact_products, fast_products)
            )
            if not torch.equal(slow_form(), fast_form()):
                raise AssertionError(f"{blocks}: the two exact forms differ")
            slow, fast = in_turns(calls, slow_form, fast_form)
            ratios = [a / b for a, b in zip(slow, fast, strict=True)]
            print(
                f"| {blocks}, {shape.width}x{shape.width} | {images} | {name} | {median(slow):.3f} | "
                f"{median(fast):.3f} | {shown(ratios, '.1f')} |",
                flush=True,
            )


@torch.inference_mode()
def folded_rows(calls: int) -> None:
    print(
        "| network | images | float (ms) | folded (ms) | folded / float | drawing and folding a chip (ms) |"
    )
    print("|---|---|---|---|---|---|")
    for blocks, shape in TIMED:
        images = 256 if shape is SMALL else 64
        config = AnalogConfig()
        it = subject(blocks, shape, config, images)
        fits = fit_adcs(it.network, it.integers[: 32 if shape is SMALL else 2], 0)
        begin = time.process_time()
        chip = FoldedChip(it.network, fits, 0, 0)
        drawing_s = time.process_time() - begin
        plain, folded = in_turns(calls, partial(it.module, it.x), partial(chip.scores, it.integers))
        ratios = [b / a for a, b in zip(plain, folded, strict=True)]
        print(
            f"| {blocks}, {shape.width}x{shape.width} | {images} | {median(plain) * 1e3:.1f} | "
            f"{median(folded) * 1e3:.1f} | {shown(ratios, '.2f')} | {drawing_s * 1e3:.0f} |",
            flush=True,
        )


def trained(blocks: str, dataset: Dataset, seed: int = 0) -> nn.Module:
    """Train a candidate as a search does, and keep the module."""
    made: list[nn.Module] = []

    def build(*arguments: object) -> nn.Module:
        made.append(build_module(*arguments))  # type: ignore[arg-type]  # as `fit` calls it
        return made[0]

    request = EvaluationRequest(
        candidate=parse_candidate(blocks), dataset=dataset.info.name, recipe=load_recipe("quick"), seed=seed
    )
    with patch.object(fit, "build_module", build):
        for _ in fit.train(request, Resident(dataset)):
            pass
    return made[0].eval()


def accuracy_rows(draws: int) -> None:
    """Print both forms of trained networks on the default chip, and over all networks on others."""
    dataset = load_dataset("digits-hard")
    modules = {blocks: trained(blocks, dataset) for blocks in TRAINED}

    def judged(config: AnalogConfig) -> dict[str, AnalogReport]:
        return {
            blocks: evaluate_on_chip(module, dataset, config, draws, exact_draws=draws)
            for blocks, module in modules.items()
        }

    print("| network | float | quantised | exact | folded | folded - exact | same class | error of scores |")
    print("|---|---|---|---|---|---|---|---|")
    for blocks, report in judged(AnalogConfig()).items():
        exact, error = _exact(report)
        print(
            f"| {blocks} | {report.float_frac:.3f} | {report.quantised_frac:.3f} | "
            f"{exact.mean_frac:.3f} ± {exact.deviation_frac:.3f} | "
            f"{report.folded.mean_frac:.3f} ± {report.folded.deviation_frac:.3f} | "
            f"{error.accuracy_frac:+.3f} | {error.agreement_frac:.3f} | {error.score_frac:.3f} |",
            flush=True,
        )
    print("\n| chip | quantised | exact | folded | abs(folded - exact), most | same class | Kendall's tau |")
    print("|---|---|---|---|---|---|---|")
    for name, config in WORSE.items():
        reports = list(judged(config).values())
        exacts, errors = zip(*map(_exact, reports), strict=True)
        exact_means, folded_means = [e.mean_frac for e in exacts], [r.folded.mean_frac for r in reports]
        apart = [abs(e.accuracy_frac) for e in errors]
        tau = kendalltau(exact_means, folded_means).statistic
        print(
            f"| {name} | {fmean(r.quantised_frac for r in reports):.3f} | {fmean(exact_means):.3f} | "
            f"{fmean(folded_means):.3f} | {fmean(apart):.3f}, {max(apart):.3f} | "
            f"{fmean(e.agreement_frac for e in errors):.3f} | {tau:.2f} |",
            flush=True,
        )


def _exact(report: AnalogReport) -> tuple[ChipAccuracy, FoldedError]:
    if report.exact is None or report.folded_error is None:
        raise AssertionError("exact draws were asked for")
    return report.exact, report.folded_error


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=7)
    parser.add_argument("--draws", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"Conditions: {conditions()}; 1 thread, n = {options.calls} calls in turns\n")
    exact_rows(options.calls)
    print()
    folded_rows(4 * options.calls + 1)
    print()
    accuracy_rows(options.draws)


if __name__ == "__main__":
    main()
