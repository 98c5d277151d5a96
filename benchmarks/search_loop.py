"""What the search loop costs: a TPE ask beside Hyperopt's own, and how busy simulated workers are kept.

Ask: over studies of random networks of the paper's space, `TpeStrategy.ask` and `hyperopt.tpe.suggest` on the
same Hyperopt trials, in turns.

Workers: a whole search (TPE, SQLite, real costs) whose trainings sleep as long as recorded ones took, drawn
with replacement, times a factor. *Busy* is the time slept over workers times the time from the first training
to the moment when none is left to begin.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from statistics import fmean, median
from threading import Lock

from hyperopt import tpe
from hyperopt.base import trials_from_docs

from benchmarks.conditions import conditions
from benchmarks.store import config
from services.common.candidate import candidate_layers
from services.common.network_json import network_key
from services.hw_oracle.client import HwOracle
from services.searcher.loop import run_search
from services.searcher.ranking import losses
from services.searcher.store import Store
from services.searcher.tpe import CANDIDATES, TpeStrategy
from services.searcher.types import Proposal, Trial, TrialState
from services.trainer.types import AccuracyReport, EpochReport, EvaluationRequest

RECORDED_S = (
    0.7, 1.0, 1.4, 1.4, 1.5, 1.5, 1.5, 1.6, 1.7, 1.7, 1.7, 1.8, 1.8, 1.9, 2.0, 2.1, 2.3, 2.3, 2.4, 2.5,
    2.7, 2.7, 2.9, 3.0, 3.2, 3.7, 3.9, 4.1, 4.4, 4.4, 4.5, 4.9, 5.3, 6.3, 6.4, 7.2, 7.7, 8.0, 8.1, 8.4,
)  # fmt: skip
"""Of one search of 40 trials (evolution, recipe quick, digits-hard, a machine with other work)."""


class Replayed:
    """Trains by sleeping."""

    def __init__(self, factor: float) -> None:
        self._lock, self._rng, self._factor = Lock(), Random(0), factor
        self.spans: list[tuple[float, float]] = []

    def evaluate(self, request: EvaluationRequest, on_epoch: Callable[[EpochReport], None]) -> AccuracyReport:
        """Sleep as long as a recorded training took."""
        with self._lock:
            took_s, accuracy_frac = self._factor * self._rng.choice(RECORDED_S), self._rng.random()
        begun = time.monotonic()
        time.sleep(took_s)
        with self._lock:
            self.spans.append((begun, time.monotonic()))
        return AccuracyReport(
            network_key="", accuracy_frac=accuracy_frac, accuracy_stderr_frac=0.01, validation_images=540,
            epochs=(), train_s=took_s, device="", torch_version="",
        )  # fmt: skip


def history(size: int) -> list[Trial]:
    """Make a study of random networks."""
    wanted, rng, trials = config(), Random(0), []
    with HwOracle() as oracle:
        cost = oracle.evaluate(candidate_layers(wanted.space.candidate_at(0), wanted.dataset.input_shape, 10))
    for number in range(size):
        candidate = wanted.space.sample(rng)
        network = candidate_layers(candidate, wanted.dataset.input_shape, wanted.dataset.classes)
        trials.append(
            Trial(
                number=number, candidate=candidate, network_key=network_key(network), cost=cost,
                state=TrialState.COMPLETE, proposal=Proposal.STRATEGY, attempt=0, infeasible_proposals=0,
                duplicate_proposals=0, fitness=rng.random(),
                accuracy=AccuracyReport(
                    network_key="", accuracy_frac=0.5, accuracy_stderr_frac=0.01, validation_images=540,
                    epochs=(), train_s=1.0, device="", torch_version="",
                ),
            )
        )  # fmt: skip
    return trials


def ask(size: int, turns: int) -> str:
    """Time asks of ours and of Hyperopt's own, in turns."""
    wanted, trials = config(), history(size)
    ours = TpeStrategy(wanted.space, 1, lambda told: losses(wanted, told))
    ours.ask(trials, 0)
    loss = losses(wanted, trials)
    documents = [ours._document(trial, loss[trial.number]) for trial in trials]
    took: dict[str, list[float]] = {"ours": [], "hyperopt": []}
    for turn in range(turns):
        begin = time.perf_counter()
        ours.ask(trials, turn)
        took["ours"].append(time.perf_counter() - begin)
        own = trials_from_docs(documents, validate=False)
        begin = time.perf_counter()
        tpe.suggest(
            [size], ours._domain, own, turn, n_startup_jobs=0, n_EI_candidates=CANDIDATES, verbose=False
        )
        took["hyperopt"].append(time.perf_counter() - begin)
    ratios = sorted(a / b for a, b in zip(took["ours"], took["hyperopt"], strict=True))
    cells = [f"{1e3 * median(took[way]):.1f}" for way in ("hyperopt", "ours")]
    spread = f"{median(ratios):.2f} ({ratios[len(ratios) // 4]:.2f} to {ratios[-len(ratios) // 4]:.2f})"
    return f"| {size:,} | {cells[0]} | {cells[1]} | {spread} |"


def workers(count: int, trials: int, factor: float) -> str:
    """Run one search of sleeping trainings."""
    wanted, trainer = config(), Replayed(factor)
    with tempfile.TemporaryDirectory() as folder, HwOracle() as oracle, Store(Path(folder, "s.db")) as store:
        study = store.open_study(wanted, trials)
        cpu = time.process_time()
        run_search(
            store, study, cost=lambda network: oracle.evaluate(network, wanted.chip),
            trainer=trainer, workers=count,
        )  # fmt: skip
        cpu_s = time.process_time() - cpu
        asked = [trial.ask_s for trial in store.trials(study)]
    first, last = min(b for b, _ in trainer.spans), max(b for b, _ in trainer.spans)
    busy = sum(min(end, last) - begin for begin, end in trainer.spans)
    share = busy / (count * (last - first))
    mean_s = factor * fmean(RECORDED_S)
    costs = f"{1e3 * median(asked):.1f} | {1e3 * cpu_s / trials:.1f}"
    return f"| {count} | {trials} | {mean_s:.1f} | {share:.1%} | {costs} |"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--turns", type=int, default=15)
    options = parser.parse_args()
    print(f"Conditions: {conditions()}; n = {options.turns} asks each\n")
    print("| trials | hyperopt's suggest (ms) | ask (ms) | ratio (quartiles) |\n|---|---|---|---|")
    for size in (100, 1000):
        print(ask(size, options.turns), flush=True)
    print("\n| workers | trials | mean training (s) | busy | ask (ms), median | search's CPU a trial (ms) |")
    print("|---|---|---|---|---|---|")
    for count, trials, factor in ((1, 20, 1), (8, 100, 1), (64, 300, 1), (64, 192, 8)):
        print(workers(count, trials, factor), flush=True)


if __name__ == "__main__":
    main()
