"""Candidates an hour of the trainer's loop against a plain one, and the accuracy of both.

CPU: two processes of one thread each, as the trainer trains, against one process of two threads with a
DataLoader and transforms of each sample (plain_loop.py). Each pair trains two candidates both ways, with
equal epochs and batch, one way after the other, and every other pair begins with the plain loop. Speed is
measured on images of chance (no accuracy depends on it), or on digits-hard. Accuracy: both loops on
digits-hard, and on CIFAR-10 images where --cifar or IMCNAS_BENCH_CIFAR names them, over several seeds.

GPU: one process each way; without CUDA its row stays empty.
"""

from __future__ import annotations

import argparse
import math
import os
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from statistics import fmean, median, stdev
from typing import Any

import numpy as np
import torch

from benchmarks.conditions import conditions
from benchmarks.data import dataset_of
from benchmarks.plain_loop import train_plain
from services.common.candidate import candidate_layers, parse_candidate
from services.common.layers import macs
from services.trainer.data import Dataset
from services.trainer.data.dataset import Augmentation, Split, make_dataset
from services.trainer.fit import train
from services.trainer.recipe import load_recipe
from services.trainer.resident import Resident
from services.trainer.types import EvaluationRequest, TrainRecipe

SETTING = "IMCNAS_BENCH_CIFAR"
DIGITS = "digits-hard"
CHANCE = "chance:"
"""With a number behind it: so many training images of 3x32x32 and chance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What is trained, and how much faster it is hoped to be."""

    name: str
    blocks: str
    data: str
    epochs: int
    batch_size: int
    goal: float


CASES = (
    Case(name="small 32x32", blocks="VGG16-VGG32", data="chance:2560", epochs=1, batch_size=128, goal=1.6),
    Case(
        name="medium 32x32",
        blocks="VGG32-VGG64-VGG128",
        data="chance:768",
        epochs=1,
        batch_size=128,
        goal=1.3,
    ),
    Case(
        name="large 32x32",
        blocks="VGG64-VGG128-VGG256-VGG256",
        data="chance:256",
        epochs=1,
        batch_size=128,
        goal=1.15,
    ),
    Case(name="digits", blocks="VGG16", data=DIGITS, epochs=10, batch_size=64, goal=3.0),
)
CIFAR_EPOCHS = 3

_ATTACHED: dict[tuple[str, str], Resident] = {}
"""Of this process: data sets are attached once, as a worker does."""


def data_of(text: str) -> Dataset:
    """Read a data set, or make one of chance."""
    if not text.startswith(CHANCE):
        return dataset_of(text)
    train_images, rest = int(text.removeprefix(CHANCE)), 20
    rng = np.random.default_rng(0)
    count = train_images + 2 * rest
    parts = np.split(np.arange(count), [train_images, train_images + rest])
    return make_dataset(
        "chance", rng.integers(0, 256, (count, 3, 32, 32), np.uint8), np.arange(count) % 10,
        Split(train=parts[0], validation=parts[1], test=parts[2]), class_names=tuple("abcdefghij"),
        augmentation=Augmentation(flip=True, shift_px=4), description="pixels of chance",
    )  # fmt: skip


def train_ours(blocks: str, data: str, recipe: TrainRecipe, seed: int, device: str = "cpu") -> float:
    """Train one candidate with the trainer's loop; give its validation accuracy."""
    torch.set_num_threads(1)
    if (data, device) not in _ATTACHED:
        _ATTACHED[data, device] = Resident(data_of(data), device)
    resident = _ATTACHED[data, device]
    name = resident.info.name
    request = EvaluationRequest(candidate=parse_candidate(blocks), dataset=name, recipe=recipe, seed=seed)
    report: Any = list(train(request, resident))[-1]
    return float(report.accuracy_frac)


@contextmanager
def workers() -> Iterator[ProcessPoolExecutor]:
    """Start two processes, which have imported torch when this begins."""
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        yield pool


def recipe_of(epochs: int, batch_size: int) -> TrainRecipe:
    return TrainRecipe(name="benchmark", epochs=epochs, batch_size=batch_size)


def speed(case: Case, pairs: int, pool: ProcessPoolExecutor) -> str:
    """Measure one case; the first pair warms up."""
    recipe, dataset = recipe_of(case.epochs, case.batch_size), data_of(case.data)

    def ours(seed: int) -> None:
        both = [pool.submit(train_ours, case.blocks, case.data, recipe, 2 * seed + i) for i in range(2)]
        for one in both:
            one.result()

    def plain(seed: int) -> None:
        for i in range(2):
            train_plain(case.blocks, dataset, recipe, 2 * seed + i)

    took: dict[Any, list[float]] = {ours: [], plain: []}
    for pair in range(pairs + 1):
        for way in (ours, plain) if pair % 2 else (plain, ours):
            begun = time.perf_counter()
            way(pair)
            took[way].append(time.perf_counter() - begun)
    ours_s, plain_s = took[ours][1:], took[plain][1:]
    ratios = sorted(p / o for p, o in zip(plain_s, ours_s, strict=True))
    info = dataset.info
    count = macs(candidate_layers(parse_candidate(case.blocks), info.input_shape, info.classes)) / 1e6
    return (
        f"| {case.name} | {case.blocks} | {count:.1f} | {2 * 3600 / median(plain_s):,.0f} | "
        f"{2 * 3600 / median(ours_s):,.0f} | {median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f}) | "
        f"{case.goal:g} |"
    )


def gpu_speed(case: Case, pairs: int) -> str:
    """Measure a case on CUDA, if there is one: one process each way."""
    if not torch.cuda.is_available():
        return "| GPU | | | no CUDA here | | | |"
    recipe, dataset = recipe_of(4, 512), data_of("chance:20480")
    took: dict[str, list[float]] = {"ours": [], "plain": []}
    for pair in range(pairs + 1):
        for way in ("ours", "plain") if pair % 2 else ("plain", "ours"):
            begun = time.perf_counter()
            if way == "ours":
                train_ours(case.blocks, "chance:20480", recipe, pair, "cuda")
            else:
                train_plain(case.blocks, dataset, recipe, pair, "cuda")
            torch.cuda.synchronize()
            took[way].append(time.perf_counter() - begun)
    ratios = sorted(p / o for p, o in zip(took["plain"][1:], took["ours"][1:], strict=True))
    plain_h, ours_h = (3600 / median(took[way][1:]) for way in ("plain", "ours"))
    spread = f"{median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
    name = f"GPU {torch.cuda.get_device_name()}"
    return f"| {name} | {case.blocks} | | {plain_h:,.0f} | {ours_h:,.0f} | {spread} | |"


def accuracy(blocks: str, data: str, recipe: TrainRecipe, seeds: int, pool: ProcessPoolExecutor) -> str:
    """Compare the accuracies of both loops over the seeds."""
    jobs = [pool.submit(train_ours, blocks, data, recipe, seed) for seed in range(seeds)]
    ours = [job.result() for job in jobs]
    dataset = data_of(data)
    plain = [train_plain(blocks, dataset, recipe, seed) for seed in range(seeds)]
    cells = [
        f"{fmean(values):.4f} ± {stdev(values) / math.sqrt(seeds):.4f}" if seeds > 1 else f"{values[0]:.4f}"
        for values in (plain, ours)
    ]
    gap, error = fmean(ours) - fmean(plain), math.nan
    if seeds > 1:
        error = math.sqrt((stdev(ours) ** 2 + stdev(plain) ** 2) / seeds)
    verdict = "no worse" if gap >= -error else "worse by more than one standard error"
    name = f"{dataset.info.name}, {dataset.info.validation_images} images"
    shown = f"{cells[0]} | {cells[1]} | {gap:+.4f} ± {error:.4f}"
    return f"| {name} | {blocks} | {recipe.epochs} | {shown} | {verdict} |"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", type=int, default=5, help="measured, behind one to warm up")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--cifar", default=os.environ.get(SETTING, ""), help="such as npz:PATH")
    parser.add_argument("--quick", action="store_true", help="1 pair, 2 seeds, 1 epoch of accuracy")
    options = parser.parse_args()
    if options.quick:
        options.pairs, options.seeds = 1, 2
    torch.set_num_threads(2)
    print(f"Conditions: {conditions()}; n = {options.pairs} pairs, {options.seeds} seeds\n")
    with workers() as pool:
        print(
            "| case | candidate | million MACs | plain, candidates/h | trainer, candidates/h | ratio | goal |"
        )
        print("|---|---|---|---|---|---|---|")
        for case in CASES:
            print(speed(case, options.pairs, pool), flush=True)
        print(gpu_speed(CASES[0], options.pairs), flush=True)
        print(
            "\n| data, validation part | candidate | epochs | plain | trainer | trainer - plain (± s.e.) | |"
        )
        print("|---|---|---|---|---|---|---|")
        quick = load_recipe("quick")
        digits = recipe_of(1, 64) if options.quick else quick
        print(accuracy("VGG8", DIGITS, digits, options.seeds, pool), flush=True)
        if options.cifar:
            recipe = recipe_of(1 if options.quick else CIFAR_EPOCHS, 128)
            print(accuracy("VGG16-VGG32", options.cifar, recipe, options.seeds, pool), flush=True)
        else:
            print(f"| CIFAR-10 | | | not measured: --cifar or {SETTING} names no images | | | |")


if __name__ == "__main__":
    main()
