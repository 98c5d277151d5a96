"""Accuracy of a trained network as the crossbars of a chip compute it."""

from services.trainer.analog.report import evaluate_on_chip

__all__ = ["evaluate_on_chip"]
