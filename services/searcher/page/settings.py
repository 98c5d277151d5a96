"""The settings of a study, and what it was costed and trained with, for people."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from services.common.units import format_area, format_power
from services.searcher.page.view import StudyView, energy, latency, percent, pretty

Row = tuple[str, str]

_HARDWARE: tuple[tuple[str, str, Callable[[float], str]], ...] = (
    ("max_latency_ns", "latency", lambda value: f"{value:,.6g} ns"),
    ("max_energy_nj", "energy", lambda value: f"{value:,.6g} nJ"),
    ("max_area_um2", "area", lambda value: pretty(format_area(value))),
    ("max_power_w", "power", lambda value: pretty(format_power(value))),
    ("max_average_power_w", "average power", lambda value: pretty(format_power(value))),
    ("max_tiles", "tiles", lambda value: f"{value:,.0f}"),
)


def settings(view: StudyView) -> Iterator[Row]:
    """Tell each setting by its name, then the known networks."""
    config = view.config
    data, recipe, space, bits = config.dataset, config.recipe, config.space, config.bits
    parts = f"{data.train_images:,} training and {data.validation_images:,} validation images"
    yield "data set", f"{data.name}: {data.description}; {parts}; fingerprint {data.fingerprint[:16]}"
    blocks = f"{space.min_depth} to {space.max_depth} blocks of {', '.join(space.block_types)}"
    kernels = ", ".join(map(str, space.kernel_counts))
    yield "space", f"{space.count():,} configurations: {blocks} with {kernels} kernels"
    yield "objective", str(config.objective)
    yield "strategy", f"{config.strategy}, {config.startup_trials} random trials first, seed {config.seed}"
    schedule = f"rate {recipe.learning_rate:g}, {recipe.schedule.replace('_', ' ')}"
    yield "recipe", f"{recipe.name}: {recipe.epochs} epochs, batches of {recipe.batch_size}, {schedule}"
    yield "chip", config.chip_name
    if config.on_chip:
        epochs = config.on_chip.fine_tune_epochs
        tuned = f", after {epochs} epochs to bear it" if epochs else ""
        yield "accuracy", f"on the chip: mean of {config.on_chip.draws} drawn chips{tuned}"
    else:
        yield "accuracy", "on the validation images, in floating point"
    widths = f"{bits.input_bits} of inputs, {bits.weight_bits} of weights, {bits.output_bits} of outputs"
    yield "bits", widths
    yield from _limits(view)
    costed = {(trial.cost.model_version, trial.cost.chip_hash[:16]) for trial in view.trials}
    yield "cost model", "; ".join(f"{version}, chip {chip}" for version, chip in sorted(costed)) or "none yet"
    versions = {trial.accuracy.torch_version for trial in view.trials if trial.accuracy}
    yield "torch", ", ".join(sorted(versions)) or "none yet"
    for known in view.references:
        trained = f"trained: {percent(known.trial):.1f} %" if known.trial else "not trained here"
        yield known.name, f"{known.candidate}: {latency(known.cost)}, {energy(known.cost)}, {trained}"


def _limits(view: StudyView) -> Iterator[Row]:
    limits = view.config.limits
    for name, value, unit in (
        ("operations", limits.max_macs, "multiply-accumulates"),
        ("parameters", limits.max_params, "parameters"),
        ("training memory", limits.max_training_memory_bytes, "bytes"),
    ):
        if value is not None:
            yield f"limit of {name}", f"{value:,} {unit}"
    for name, label, told in _HARDWARE:
        hardware = view.limit(name)
        if hardware is not None:
            yield f"limit of {label}", told(hardware)
