"""What torch raises fails one evaluation alone, and says whether memory was short."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from services.common.errors import Cancelled, ImcnasError, TrainingFailed
from services.trainer.data import load_dataset
from services.trainer.failing import failing_alone
from services.trainer.jobs import TrainJob
from services.trainer.worker import Worker
from tests.trainer.evaluators import request


def fail(error: BaseException) -> ImcnasError:
    with pytest.raises(ImcnasError) as caught, failing_alone("training of VGG4"):
        raise error
    return caught.value


def test_memory_that_torch_itself_cannot_allocate_is_named() -> None:
    told = pytest.raises(TrainingFailed, match="training of VGG4 failed: out of memory; a smaller network")
    with told, failing_alone("training of VGG4"):
        torch.empty(2**60, dtype=torch.uint8)


@pytest.mark.parametrize("error", [MemoryError(), torch.OutOfMemoryError("CUDA out of memory. Tried 2 GiB")])
def test_memory_is_named_wherever_it_is_short(error: BaseException) -> None:
    assert "out of memory" in fail(error).message


def test_another_error_is_named_by_its_class_and_quotes_no_path() -> None:
    told = fail(RuntimeError("expected scalar type at /home/someone/secret.cpp:12"))
    assert isinstance(told, TrainingFailed)
    assert told.message == "training of VGG4 failed: RuntimeError"


def test_what_is_meant_for_the_caller_passes() -> None:
    assert isinstance(fail(Cancelled("stopped")), Cancelled)


def test_an_error_of_torch_is_a_failed_training_that_names_it_and_logs_its_text(
    caplog: pytest.LogCaptureFixture,
) -> None:
    data = load_dataset("digits")
    worker = Worker()
    worker.attach(replace(data, labels=data.labels[:, None]))
    with pytest.raises(TrainingFailed) as caught:
        list(worker.run(TrainJob(name="job", request=request()), data.info.fingerprint))
    assert caught.value.message == "training of VGG4 failed: RuntimeError"
    assert str(caught.value.__cause__) in caplog.text
