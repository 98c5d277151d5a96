"""What torch raises of one evaluation -> TrainingFailed: others go on."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from services.common.errors import TrainingFailed

log = logging.getLogger(__name__)

_NO_MEMORY = ("out of memory", "allocate memory")
"""What torch says of a device, and of the CPU."""


@contextmanager
def failing_alone(what: str) -> Iterator[None]:
    """Raise TrainingFailed of `what` where torch or memory fails meanwhile; the log has the rest.

    The text of torch's errors may quote source paths and addresses: it stays in the log.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:  # every error of torch is a RuntimeError
        log.exception("%s failed", what)
        reason = type(error).__name__
        if isinstance(error, MemoryError) or any(words in str(error) for words in _NO_MEMORY):
            reason = "out of memory; a smaller network or batch_size needs less"
        raise TrainingFailed(f"{what} failed: {reason}") from error
