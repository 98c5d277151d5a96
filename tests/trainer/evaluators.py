"""Requests and results that tests of both trainers share."""

from __future__ import annotations

from typing import Any

from services.common.candidate import parse_candidate
from services.trainer.types import AccuracyReport, EvaluationRequest, TrainRecipe


def request(blocks: str = "VGG4", **changes: Any) -> EvaluationRequest:
    values: dict[str, Any] = {"dataset": "digits", "recipe": TrainRecipe(name="short", epochs=2)} | changes
    return EvaluationRequest(candidate=parse_candidate(blocks), **values)


def learnt(report: AccuracyReport) -> list[tuple[float, float]]:
    """What a training computed, without the times it took."""
    return [(e.train_loss_nats, e.validation_accuracy_frac) for e in report.epochs]
