"""What the store costs a search as its study grows: a tell, a look, a resume, and memory.

One study grows by candidates of the paper's space at their exact costs, every layer's included, with learning
curves as long as the quick recipe's; only the trainings are made up. In SQLite, then in PostgreSQL where its
server is installed (started here, on a unix socket, commits forced to the disk).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from statistics import median

from benchmarks.conditions import conditions
from benchmarks.networks import CLASSES, IMAGE
from services.common.candidate import Candidate, candidate_layers
from services.common.network_json import network_key
from services.common.space import load_space
from services.hw_oracle.chips import load_chip
from services.hw_oracle.client import HwOracle
from services.hw_oracle.types import CostReport
from services.searcher.propose import Proposer
from services.searcher.store import Store
from services.searcher.types import Proposal, StudyConfig, Trial, TrialState, Versions
from services.trainer.recipe import load_recipe
from services.trainer.types import AccuracyReport, DatasetInfo, EpochReport
from tests.postgres import Postgres, missing

TOLD = 100
"""The last tells of a study, of which the median is taken."""

DATASET = DatasetInfo(
    name="made-up", input_shape=IMAGE, classes=CLASSES, train_images=40_000, validation_images=10_000,
    test_images=10_000, fingerprint="0" * 64, description="",
)  # fmt: skip


def config() -> StudyConfig:
    return StudyConfig(
        name="s", dataset=DATASET, space=load_space("paper"), objective="accuracy/latency",
        chip=load_chip("mnsim2_default"), chip_name="mnsim2_default", recipe=load_recipe("quick"),
    )  # fmt: skip


def candidates(rng: Random) -> Iterator[tuple[Candidate, str, CostReport]]:
    """Draw different networks without an end, each with its cost."""
    wanted, seen = config(), set()
    with HwOracle() as oracle:
        while True:
            candidate = wanted.space.sample(rng)
            network = candidate_layers(candidate, IMAGE, CLASSES, wanted.bits)
            key = network_key(network)
            if key not in seen:
                seen.add(key)
                yield candidate, key, oracle.evaluate(network, wanted.chip)


def accuracy(key: str, rng: Random) -> AccuracyReport:
    """Make up the end of a training."""
    epochs = tuple(
        EpochReport(
            epoch=n + 1,
            train_loss_nats=rng.random(),
            validation_accuracy_frac=rng.random(),
            elapsed_s=n + rng.random(),
        )
        for n in range(config().recipe.epochs)
    )
    return AccuracyReport(
        network_key=key,
        accuracy_frac=epochs[-1].validation_accuracy_frac,
        accuracy_stderr_frac=0.005,
        validation_images=DATASET.validation_images,
        epochs=epochs,
        train_s=100.0,
        device="cpu",
        torch_version="2",
    )


def grow(where: str, sizes: list[int]) -> Iterator[tuple[int, float, float]]:
    """Grow a study; give each size with the median seconds, wall and CPU, of a tell (begin and end)."""
    rng = Random(0)
    drawn = candidates(rng)
    with Store(where) as store:
        study = store.open_study(config(), sizes[-1])
        told = []
        for number in range(sizes[-1]):
            candidate, key, cost = next(drawn)
            report = accuracy(key, rng)
            trial = Trial(
                number=number,
                candidate=candidate,
                network_key=key,
                state=TrialState.RUNNING,
                proposal=Proposal.STRATEGY,
                attempt=0,
                infeasible_proposals=0,
                duplicate_proposals=0,
                cost=cost,
                ask_s=rng.random(),
                cost_s=rng.random(),
                started_at=time.time(),
                request_id=f"{study.study_id}-{number}",
            )
            begin, busy = time.perf_counter(), time.process_time()
            store.insert_trial(study, trial)
            ended = replace(
                trial,
                state=TrialState.COMPLETE,
                accuracy=report,
                fitness=report.accuracy_frac / cost.latency_ns,
                evaluate_s=rng.random(),
                finished_at=time.time(),
                versions=Versions(torch="2"),
            )
            store.finish_trial(study, ended)
            told.append((time.perf_counter() - begin, time.process_time() - busy))
            if number + 1 in sizes:
                store.release(study.study_id)
                tell_s, busy_s = map(median, zip(*told[-TOLD:], strict=True))
                yield number + 1, tell_s, busy_s
                store.acquire(study.study_id)


def resident_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20


def look(where: str) -> None:
    """In a process of its own: what a resume reads and asks, and the memory that it takes."""
    wanted = config()
    with HwOracle() as oracle:
        proposer = Proposer(wanted, lambda layers: oracle.evaluate(layers, wanted.chip))
        proposer.propose([])  # what is loaded and compiled once is no matter of the study's size
        before_mb = resident_mb()
        begin = time.perf_counter()
        store = Store(where)
        store.studies(), store.trial_counts()
        listed = time.perf_counter()
        busy = time.process_time()
        trials = store.trials(store.study("s"))
        read, read_busy = time.perf_counter(), time.process_time() - busy
        memory_mb = resident_mb() - before_mb
        proposer.propose(trials)
        asked = time.perf_counter()
    print(json.dumps([listed - begin, read - listed, read_busy, asked - read, memory_mb]))


def measure(name: str, where: str, sizes: list[int], turns: int) -> None:
    """Print the rows of one database."""
    for size, tell_s, tell_busy_s in grow(where, sizes):
        command = [sys.executable, "-m", "benchmarks.store", "--look", where]
        found = [
            json.loads(subprocess.run(command, check=True, capture_output=True).stdout) for _ in range(turns)
        ]
        list_s, read_s, busy_s, ask_s, memory_mb = (median(values) for values in zip(*found, strict=True))
        cells = [
            f"{tell_s * 1e3:.1f} ({tell_busy_s * 1e3:.1f})",
            f"{list_s * 1e3:.0f}",
            f"{read_s:.2f} ({busy_s:.2f})",
            f"{ask_s:.2f}",
            f"{memory_mb:.0f}",
        ]
        print(f"| {name} | {size:,} | " + " | ".join(cells) + " |", flush=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 1_000, 10_000])
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--look", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.look:
        look(options.look)
        return
    print(f"Conditions: {conditions()}; median of {TOLD} tells, of {options.turns} processes otherwise\n")
    heads = (
        "tell (ms), of that CPU",
        "open and list (ms)",
        "read trials (s), of that CPU",
        "first proposal (s)",
        "memory (MB)",
    )
    print("| database | trials | " + " | ".join(heads) + " |")
    print("|---" * (len(heads) + 2) + "|")
    with tempfile.TemporaryDirectory() as folder:
        measure("SQLite", str(Path(folder, "studies.sqlite")), options.sizes, options.turns)
    if missing():
        print(f"\nPostgreSQL: not measured, {missing()}")
        return
    server = Postgres(durable=True)
    try:
        measure("PostgreSQL", server.url(), options.sizes, options.turns)
    finally:
        server.close()


if __name__ == "__main__":
    main()
