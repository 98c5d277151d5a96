"""How wrong and how useful the rule is that stops trainings early (services/trainer/stopping.py).

Trains candidates of a space to their ends, several seeds each, and asks the rule afterwards. A false stop is
a training stopped though its end reaches what was asked for. Asked for is the end of each training of the
same half in turn, as a search asks for what others have reached; and, the hardest, its own end: there every
stop is false. The rule's constants were chosen on the candidates of even number; the odd ones were held out.
Pairs of one half share trainings, so n is the number of trainings and candidates.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from multiprocessing import get_context
from random import Random
from typing import Any

from benchmarks.conditions import conditions
from services.common.candidate import parse_candidate
from services.common.space import load_space
from services.searcher.strategies import draw_blocks
from services.trainer.recipe import load_recipe
from services.trainer.stopping import optimistic_frac
from services.trainer.types import EvaluationRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One training to do."""

    dataset: str
    recipe: str
    blocks: str
    number: int
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Validation accuracy of one training after each epoch, and the rule's bound after each but the last."""

    job: Job
    shares: tuple[float, ...]
    bounds: tuple[float, ...]

    def stop(self, asked_frac: float) -> int | None:
        """Epoch after which the rule stops it."""
        return next((epoch for epoch, bound in enumerate(self.bounds, 1) if bound < asked_frac), None)


def measure(job: Job) -> Curve:
    """Train to the end."""
    import torch

    from benchmarks.data import dataset_of
    from services.trainer.fit import train
    from services.trainer.resident import Resident

    torch.set_num_threads(1)
    dataset, recipe = dataset_of(job.dataset), load_recipe(job.recipe)
    request = EvaluationRequest(
        candidate=parse_candidate(job.blocks), dataset=dataset.info.name, recipe=recipe, seed=job.seed
    )
    report: Any = list(train(request, Resident(dataset)))[-1]
    shares = tuple(epoch.validation_accuracy_frac for epoch in report.epochs)
    bounds = tuple(
        optimistic_frac(shares[:epoch], len(shares), report.validation_images, recipe.schedule)
        for epoch in range(1, len(shares))
    )
    return Curve(job=job, shares=shares, bounds=bounds)


def row(half: str, curves: list[Curve]) -> str:
    """Judge the rule on the curves of one recipe and half."""
    own = sum(c.stop(c.shares[-1]) is not None for c in curves)
    reached = false = missed = right = saved = 0
    for curve in curves:
        for other in curves:
            asked = other.shares[-1]
            stop = curve.stop(asked)
            saved += 0 if stop is None else len(curve.shares) - stop
            if curve.shares[-1] >= asked:
                reached, false = reached + 1, false + (stop is not None)
            else:
                missed, right = missed + 1, right + (stop is not None)
    epochs = sum(len(c.shares) for c in curves) * len(curves)
    candidates = len({c.job.number for c in curves})
    return (
        f"| {curves[0].job.recipe} | {half} | {len(curves)} of {candidates} | {false} of {reached} | "
        f"{own} of {len(curves)} | {right} of {missed} | {saved / epochs:.1%} |"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dataset", default="digits-hard", help="as of imcnas search")
    parser.add_argument("--space", default="small")
    parser.add_argument("--recipes", nargs="+", default=["quick", "staged"])
    parser.add_argument("--candidates", type=int, default=24)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="6 candidates, 1 seed, recipe quick")
    options = parser.parse_args()
    if options.quick:
        options.candidates, options.seeds, options.recipes = 6, 1, ["quick"]
    space, rng = load_space(options.space), Random(0)
    drawn = [str(space.candidate(draw_blocks(space, rng))) for _ in range(options.candidates)]
    jobs = [
        Job(dataset=options.dataset, recipe=recipe, blocks=blocks, number=number, seed=seed)
        for recipe in options.recipes
        for seed in range(options.seeds)
        for number, blocks in enumerate(drawn)
    ]
    print(f"Conditions: {conditions()}; {options.dataset}, space {options.space}\n", flush=True)
    with get_context("spawn").Pool(options.workers) as pool:
        curves = pool.map(measure, jobs, chunksize=1)
    print(
        "| recipe | half | trainings of candidates | false stops of pairs that reach it "
        "| false stops, its own end asked for | stopped of pairs that miss it | epochs saved |\n"
        "|---|---|---|---|---|---|---|"
    )
    for recipe in options.recipes:
        for half, parity in (("chosen on", 0), ("held out", 1)):
            print(row(half, [c for c in curves if c.job.recipe == recipe and c.job.number % 2 == parity]))


if __name__ == "__main__":
    main()
