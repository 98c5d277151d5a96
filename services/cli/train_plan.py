"""What `imcnas train` trains: what was asked for, over what a study says, over the defaults."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from services.cli.stores import existing_store
from services.common.errors import NotPossible
from services.common.layers import Bits

if TYPE_CHECKING:
    from services.common.candidate import Candidate
    from services.hw_oracle.types import ChipConfig
    from services.trainer.types import EvaluationRequest, TrainRecipe

DATASET, RECIPE, CHIP = "digits-hard", "quick", "mnsim2_default"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Trainings, and the chip that their networks are looked at on.

    Parameters
    ----------
    candidates : tuple of Candidate
    dataset : str
        As on the command line.
    recipe : TrainRecipe
    budget_epochs : int or None
        Fewer epochs than a continuable recipe has.
    seed : int
        The first one.
    chip_name : str
    chip : ChipConfig
    bits : Bits
    fingerprint : str
        Of the data that a study was run on; empty without one.
    """

    candidates: tuple[Candidate, ...]
    dataset: str = DATASET
    recipe: TrainRecipe
    budget_epochs: int | None = None
    seed: int = 0
    chip_name: str = CHIP
    chip: ChipConfig
    bits: Bits = Bits()
    fingerprint: str = ""

    def requests(
        self, dataset: str, seeds: int, *, keep_weights: bool, test: bool
    ) -> list[EvaluationRequest]:
        """Ask for the trainings, on a data set by its name, each candidate with one seed after the other."""
        from services.trainer.types import EvaluationRequest

        return [
            EvaluationRequest(
                candidate=candidate, dataset=dataset, recipe=self.recipe, seed=self.seed + number,
                budget_epochs=self.budget_epochs, keep_weights=keep_weights, judge_test=test,
            )
            for candidate in self.candidates
            for number in range(seeds)
        ]  # fmt: skip


def make_plan(
    candidates: Sequence[str], study: str, trial: int | None, runs: Path, store: str, dataset: str,
    recipe: str, epochs: int | None, seed: int | None, chip: str, bits: str,
) -> Plan:  # fmt: skip
    """Read what was given by name; empty texts and None were not given.

    Raises
    ------
    ImcnasError
        Something of it does not exist, or cannot be.
    """
    from services.cli.arguments import parse_bits
    from services.common.candidate import parse_candidate
    from services.hw_oracle.chips import load_chip
    from services.trainer.recipe import load_recipe

    if study:
        plan = _plan_of(study, trial, runs, store)
    else:
        networks = tuple(dict.fromkeys(map(parse_candidate, candidates)))
        plan = Plan(candidates=networks, recipe=load_recipe(RECIPE), chip=load_chip(CHIP))
    if dataset:
        plan = replace(plan, dataset=dataset, fingerprint="")
    if recipe:
        plan = replace(plan, recipe=load_recipe(recipe))
    if epochs is not None and plan.recipe.continuable and epochs <= plan.recipe.epochs:
        plan = replace(plan, budget_epochs=epochs)
    elif epochs is not None:
        plan = replace(plan, recipe=replace(plan.recipe, epochs=epochs))
    if chip:
        plan = replace(plan, chip_name=chip, chip=load_chip(chip))
    return replace(
        plan,
        seed=plan.seed if seed is None else seed,
        bits=parse_bits(bits) if bits else plan.bits,
    )


def _plan_of(study: str, number: int | None, runs: Path, store: str) -> Plan:
    """Read what a study trained as its best, or as another trial."""
    from services.searcher.ranking import best_trial

    with existing_store(store, runs, "--study") as opened:
        record = opened.study(study)
        trial = best_trial(opened.trials(record)) if number is None else opened.trial(record, number)
    if trial is None:
        raise NotPossible(f"--study: study {study!r} has no complete trial yet; run more of it")
    config = record.config
    return Plan(
        candidates=(trial.candidate,),
        dataset=config.dataset.name,
        fingerprint=config.dataset.fingerprint,
        recipe=config.recipe,
        seed=config.seed,
        chip_name=config.chip_name,
        chip=config.chip,
        bits=config.bits,
    )
