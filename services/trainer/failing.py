"""What torch raises of one evaluation -> TrainingFailed: others go on."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from services.common.errors import TrainingFailed
from services.trainer.jobs import OutOfMemory

log = logging.getLogger(__name__)

_NO_MEMORY = ("out of memory", "allocate memory")
"""What torch says of a device, and of the CPU."""


@contextmanager
def failing_alone(what: str) -> Iterator[None]:
    """Raise TrainingFailed of `what` where torch fails meanwhile, OutOfMemory where memory is short.

    The text of torch's errors may quote source paths and addresses: it stays in the log.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:  # every error of torch is a RuntimeError
        log.exception("%s failed", what)
        if isinstance(error, MemoryError) or any(words in str(error) for words in _NO_MEMORY):
            raise OutOfMemory.told_of(what) from error
        raise TrainingFailed(f"{what} failed: {type(error).__name__}") from error
