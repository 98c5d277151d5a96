"""A candidate's weights -> its accuracy on chips, as a worker does it."""

from __future__ import annotations

from collections.abc import Callable, Generator

from services.common.errors import Cancelled
from services.trainer.analog.fine_tune import fine_tune
from services.trainer.analog.report import judge
from services.trainer.analog_types import AnalogReport, ChipDraw, OnChipRequest
from services.trainer.checkpoint import learnt_module
from services.trainer.data import Dataset


def judge_on_chips(
    request: OnChipRequest, weights: bytes, dataset: Dataset, stop: Callable[[], bool] = lambda: False
) -> Generator[ChipDraw | AnalogReport]:
    """Judge a candidate on chips; give each chip as it was judged, and the report last.

    It is computed on the CPU, wherever it was trained: the exact form is whole numbers there.

    Parameters
    ----------
    request : OnChipRequest
    weights : bytes
        What its evaluation has learnt, as safetensors.
    dataset : Dataset
        That it was trained on.
    stop : callable
        Asked after every chip, and before every step of fine-tuning, whether to end with Cancelled.

    Raises
    ------
    InvalidRequest
        The network does not fit the chip, or these are no weights of this candidate.
    TrainingFailed
        Fine-tuning diverged.
    """
    info, candidate = dataset.info, request.evaluation.candidate
    module = learnt_module(candidate, info.input_shape, info.classes, weights)
    if request.fine_tune_epochs:
        fine_tune(
            module, dataset, request.analog, epochs=request.fine_tune_epochs, seed=request.seed, stop=stop
        )
    for item in judge(
        module, dataset, request.analog, request.draws, request.seed, request.exact_draws, request.images
    ):
        if stop():
            raise Cancelled(f"evaluation of {candidate} on chips was stopped")
        yield item
