"""One trial, trained and judged: what a search does with a trainer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from services.searcher.on_chip import analog_of_chip
from services.searcher.ranking import fitness_of
from services.searcher.rungs import Rungs
from services.searcher.types import OnChipAccuracy, StudyConfig, Trial, TrialState
from services.trainer.analog_types import OnChipReport, OnChipRequest
from services.trainer.types import AccuracyReport, EpochReport, EvaluationRequest

OnEpoch = Callable[[EpochReport], None]


class Trainer(Protocol):
    """What a search needs of a trainer."""

    def evaluate(self, request: EvaluationRequest, on_epoch: OnEpoch) -> AccuracyReport:
        """Train one candidate, reporting each epoch."""
        ...

    def evaluate_on_chip(self, request: OnChipRequest, on_epoch: OnEpoch) -> OnChipReport:
        """Train one candidate, reporting each epoch, and judge it on chips."""
        ...


def evaluate_trial(
    config: StudyConfig, trial: Trial, trainer: Trainer, on_epoch: OnEpoch, rungs: Rungs
) -> Trial:
    """Give a trial with what became of it; raises what the trainer raises.

    Raises
    ------
    TrainingFailed
        The objective has no value at its accuracy, or the trainer says so.
    """
    request = EvaluationRequest(
        candidate=trial.candidate,
        dataset=config.dataset.name,
        recipe=config.recipe,
        seed=trial.seed,
        request_id=trial.request_id,
    )
    if config.on_chip is None:
        told = _climb(config, trial, request, trainer, on_epoch, rungs)
    else:
        asked = OnChipRequest(
            evaluation=request,
            analog=analog_of_chip(config.chip, config.bits),
            draws=config.on_chip.draws,
            images=config.on_chip.images,
            fine_tune_epochs=config.on_chip.fine_tune_epochs,
        )
        report = trainer.evaluate_on_chip(asked, on_epoch)
        on_chip = OnChipAccuracy(
            quantised_frac=report.analog.quantised_frac,
            draws_frac=report.analog.folded.draws_frac,
            images=report.analog.images,
        )
        told = replace(trial, accuracy=report.accuracy, on_chip=on_chip)
    return replace(
        told,
        state=TrialState.COMPLETE,
        fitness=fitness_of(config, told.candidate, told.cost, told.accuracy_frac),
        versions=replace(trial.versions, torch=told.accuracy.torch_version if told.accuracy else ""),
    )


def _climb(
    config: StudyConfig, trial: Trial, request: EvaluationRequest, trainer: Trainer, on_epoch: OnEpoch,
    rungs: Rungs,
) -> Trial:  # fmt: skip
    """Train from rung to rung as long as the trial is among the best, and then to the end."""
    for rung, epochs in enumerate(config.rungs):
        short = replace(request, budget_epochs=epochs, request_id=f"{request.request_id}-{epochs}")
        accuracy = trainer.evaluate(short, on_epoch)
        reached = (*trial.rung_accuracies_frac, accuracy.accuracy_frac)
        trial = replace(trial, accuracy=accuracy, rung_accuracies_frac=reached)
        if not rungs.goes_on(rung, trial):
            return trial
    return replace(trial, accuracy=trainer.evaluate(request, on_epoch))
