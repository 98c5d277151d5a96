"""What an evaluation costs beside its training, in this process and on a Ray actor, and an actor's memory.

The same training runs bare (`fit.train`), inline and on an actor, in turns, each with one thread. Prints the
tables of RESULTS.md: wall and CPU time (of an actor's process and the caller's) less those of the bare
training of the same turn, and wall time less what the worker measured of its training: medians and quartiles.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles
from typing import cast

import torch

from benchmarks.conditions import conditions
from services.common.candidate import parse_candidate
from services.trainer.data import load_dataset
from services.trainer.evaluator import Evaluator
from services.trainer.fit import train
from services.trainer.inline import InlineTrainer
from services.trainer.pool import RayTrainer
from services.trainer.resident import Resident
from services.trainer.types import AccuracyReport, EvaluationRequest, TrainRecipe

TRAININGS = (("VGG4", 2), ("VGG16", 10))
"""Candidate and epochs: as little training as there is, and some."""

TORCH = "import os, sys, torch; print(os.getpid(), flush=True); sys.stdin.read()"


def request(blocks: str, epochs: int, seed: int) -> EvaluationRequest:
    return EvaluationRequest(
        candidate=parse_candidate(blocks),
        dataset="digits",
        recipe=TrainRecipe(name="overhead", epochs=epochs),
        seed=seed,
    )


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one evaluation, in ms: wall time, of it what is not the training's own, CPU of all processes."""

    wall: float
    rest: float
    cpu: float


def cost(
    evaluate: Callable[[EvaluationRequest], AccuracyReport], one: EvaluationRequest, pids: tuple[int, ...]
) -> Cost:
    cpu, begin = sum(map(cpu_ms, pids)), time.perf_counter()
    report = evaluate(one)
    wall = 1e3 * (time.perf_counter() - begin)
    return Cost(wall, wall - 1e3 * report.train_s, sum(map(cpu_ms, pids)) - cpu)


def cpu_ms(pid: int) -> float:
    """CPU time of a process's threads."""
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e6


def spread(values: list[float]) -> str:
    low, middle, high = quantiles(values, n=4)
    return f"{middle:.1f} ({low:.1f} to {high:.1f})"


def memory_mib(pid: int) -> tuple[float, float]:
    """Resident memory of a process, and its share of it where several map the same."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    kib = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines[1:])}
    return kib["Rss"] / 1024, kib["Pss"] / 1024


def overheads(inline: Evaluator, pool: RayTrainer, turns: int) -> None:
    data = Resident(load_dataset("digits"))

    def bare(one: EvaluationRequest) -> AccuracyReport:
        *_, report = train(one, data)
        return cast("AccuracyReport", report)

    here = (os.getpid(),)
    ways = {
        "bare": (bare, here),
        "inline": (inline.evaluate, here),
        "Ray actor": (pool.evaluate, here + pool.worker_pids),
    }
    print("| training | evaluation | wall (ms) | CPU (ms) | wall beside its own training (ms) |")
    print("|---|---|---|---|---|")
    for blocks, epochs in TRAININGS:
        runs: dict[str, list[Cost]] = {name: [] for name in ways}
        for turn in range(turns + 1):
            for name, (evaluate, pids) in ways.items():
                runs[name].append(cost(evaluate, request(blocks, epochs, turn), pids))
        training = f"{blocks}, {epochs} epochs"
        for name, (first, *costs) in runs.items():  # the first one brings the data set to the actor
            if name == "bare":
                alone = costs
                wall, cpu = [c.wall for c in costs], [c.cpu for c in costs]
            else:
                wall = [c.wall - a.wall for c, a in zip(costs, alone, strict=True)]
                cpu = [c.cpu - a.cpu for c, a in zip(costs, alone, strict=True)]
                name += ", over bare"
            rest = f"{spread([c.rest for c in costs])}; first {first.rest:.1f}"
            print(f"| {training} | {name} | {spread(wall)} | {spread(cpu)} | {rest} |", flush=True)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=40)
    parser.add_argument("--actors", type=int, default=1)
    options = parser.parse_args()
    if options.turns < 2:
        parser.error("quartiles need --turns of 2 or more")
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)
    print(f"{conditions()}; n = {options.turns} turns after one more\n")
    with InlineTrainer() as inline, RayTrainer(options.actors) as pool:
        ready = [memory_mib(pid) for pid in pool.worker_pids]
        overheads(inline, pool, options.turns)
        used = [memory_mib(pid) for pid in pool.worker_pids]
        with subprocess.Popen(
            [sys.executable, "-c", TORCH], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            alone = memory_mib(int(next(iter(process.stdout or ()))))
            process.communicate("")
    print("\n| idle process | resident (MiB) | proportional (MiB) |")
    print("|---|---|---|")
    for name, found in (
        ("Python with torch imported", [alone]),
        ("actor, ready", ready),
        ("actor, after its evaluations", used),
    ):
        cells = (", ".join(f"{value:.0f}" for value in kind) for kind in zip(*found, strict=True))
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
