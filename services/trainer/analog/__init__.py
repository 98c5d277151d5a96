"""Accuracy of a trained network as the crossbars of a chip compute it."""

from services.trainer.analog.fine_tune import FINE_TUNING, fine_tune
from services.trainer.analog.report import evaluate_on_chip

__all__ = ["FINE_TUNING", "evaluate_on_chip", "fine_tune"]
