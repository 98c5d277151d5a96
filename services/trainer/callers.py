"""One who waits for an evaluation: told of its progress, and may be told to wait no longer."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from services.common.errors import ImcnasError
from services.trainer.analog_types import ChipDraw
from services.trainer.types import EpochReport, Queued

OnEpoch = Callable[[EpochReport], None]
OnQueued = Callable[[Queued], None]
OnDraw = Callable[[ChipDraw], None]


class Caller:
    """Whoever waits in one call of `evaluate`.

    Parameters
    ----------
    on_epoch : callable, optional
        Told of each epoch once, in order, in the thread that waits.
    on_queued : callable, optional
        Told how many are ahead, whenever that changes.
    """

    def __init__(self, on_epoch: OnEpoch | None = None, on_queued: OnQueued | None = None) -> None:
        self._on_epoch, self._on_queued = on_epoch, on_queued
        self._epoch, self._ahead = 0, -1
        self._error: ImcnasError | None = None
        self._hooks: list[Callable[[], None]] = []
        self._lock = threading.Lock()

    @property
    def stopped(self) -> bool:
        """Whether there is nothing to wait for any more."""
        return self._error is not None

    def epoch(self, epoch: EpochReport) -> None:
        """Tell of an epoch, unless that number was told: a training that began again repeats itself."""
        self.check()
        self._ahead = -1  # whoever waits again is told again
        if epoch.epoch > self._epoch:
            self._epoch = epoch.epoch
            if self._on_epoch is not None:
                self._on_epoch(epoch)

    def queued(self, ahead: int) -> None:
        """Tell that `ahead` others come first, if that is news."""
        self.check()
        if ahead != self._ahead:
            self._ahead = ahead
            if self._on_queued is not None:
                self._on_queued(Queued(ahead=ahead))

    def stop(self, error: ImcnasError) -> None:
        """Raise `error` where the call waits, from any thread; the first one counts."""
        with self._lock:
            if self._error is not None:
                return
            self._error = error
            hooks = tuple(self._hooks)
        for hook in hooks:
            hook()

    def check(self) -> None:
        """Raise what `stop` was given."""
        if self._error is not None:
            raise self._error

    @contextmanager
    def stopping(self, hook: Callable[[], None]) -> Iterator[None]:
        """Have `hook` called as soon as this is stopped, in the thread that stops it."""
        with self._lock:
            late = self._error is not None
            self._hooks.append(hook)
        try:
            if late:
                hook()
            yield
        finally:
            with self._lock:
                self._hooks.remove(hook)
