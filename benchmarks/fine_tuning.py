"""Whether noise-aware fine-tuning helps: exact accuracy on chips before it, after it, and after its control.

The control learns on for as long, from the same network, with the same rounding, but on a chip without
faults: what it gains, more training gains. Prints the table of RESULTS.md: over the seeds (of the first
training, the fine-tuning and the chips) the mean of each, and of the difference to the control with its
standard error.
"""

from __future__ import annotations

import argparse
import copy
import math
from dataclasses import replace
from statistics import fmean, stdev

import torch

from benchmarks.analog import trained
from benchmarks.conditions import conditions
from services.trainer.analog import evaluate_on_chip, fine_tune
from services.trainer.analog_types import AdcMode, AnalogConfig
from services.trainer.data import load_dataset

NETWORKS = ("VGG16", "RES16-VGG16")
CHIPS = {
    "default": AnalogConfig(),
    "variation 30 %": AnalogConfig(variation_frac=0.3),
    "2 % stuck off, 2 % on": AnalogConfig(stuck_off_frac=0.02, stuck_on_frac=0.02),
    "ADC of 4 bits": AnalogConfig(adc_bits=4),
    "weights, activations of 4 bits": AnalogConfig(weight_bits=4, activation_bits=4),
}


def control(config: AnalogConfig) -> AnalogConfig:
    return replace(
        config,
        variation_frac=0.0,
        stuck_off_frac=0.0,
        stuck_on_frac=0.0,
        on_off_ratio=math.inf,
        adc_mode=AdcMode.IDEAL,
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=20)
    options = parser.parse_args()
    if options.seeds < 2:
        parser.error("a standard error needs --seeds of 2 or more")
    torch.set_num_threads(1)
    dataset = load_dataset("digits-hard")
    print(f"Conditions: {conditions()}; {options.epochs} epochs, n = {options.seeds} seeds\n")
    print(
        "| network | chip | before | control | noise-aware | noise-aware - control (± s.e.) | seeds gained |"
    )
    print("|---|---|---|---|---|---|---|")
    for blocks in NETWORKS:
        first = [trained(blocks, dataset, seed) for seed in range(options.seeds)]
        for name, config in CHIPS.items():
            found: list[list[float]] = []
            for seed, module in enumerate(first):
                row = []
                for learnt in (None, control(config), config):
                    judged = copy.deepcopy(module)
                    if learnt is not None:
                        fine_tune(judged, dataset, learnt, epochs=options.epochs, seed=seed)
                    report = evaluate_on_chip(judged, dataset, config, 3, seed, exact_draws=3)
                    row.append(report.exact.mean_frac if report.exact else math.nan)
                found.append(row)
            before, plain, aware = (fmean(column) for column in zip(*found, strict=True))
            gains = [row[2] - row[1] for row in found]
            error = stdev(gains) / math.sqrt(len(gains))
            print(
                f"| {blocks} | {name} | {before:.3f} | {plain:.3f} | {aware:.3f} | "
                f"{fmean(gains):+.3f} ± {error:.3f} | {sum(gain > 0 for gain in gains)} of {len(gains)} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
