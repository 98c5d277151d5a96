"""Workers and those who wait for one: first come, first served."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Generic, TypeVar

from services.common.errors import Overloaded, Unavailable
from services.trainer.callers import Caller

W = TypeVar("W")


class Slots(Generic[W]):
    """Workers that come and go, each lent to one caller at a time.

    Parameters
    ----------
    queue_limit : int
        Callers that may wait; a further one is refused.
    """

    def __init__(self, queue_limit: int) -> None:
        self.queue_limit = queue_limit
        self._idle: deque[W] = deque()
        self._busy: list[W] = []
        self._waiting: deque[object] = deque()
        self._refusal = ""
        self._changed = threading.Condition()

    @property
    def size(self) -> int:
        """Workers there are."""
        return len(self._idle) + len(self._busy)

    @property
    def busy(self) -> tuple[W, ...]:
        """Workers that are lent."""
        return tuple(self._busy)

    @property
    def workers(self) -> tuple[W, ...]:
        """Every worker."""
        with self._changed:
            return (*self._busy, *self._idle)

    @property
    def queue_length(self) -> int:
        """Callers that wait."""
        return len(self._waiting)

    def add(self, worker: W) -> None:
        """Offer a worker."""
        with self._changed:
            self._refusal = ""
            self._idle.append(worker)
            self._changed.notify_all()

    def remove(self, worker: W) -> bool:
        """Take a worker away; one that is lent does not come back. False if it was not there."""
        with self._changed:
            holders = [workers for workers in (self._idle, self._busy) if worker in workers]
            for workers in holders:
                workers.remove(worker)
            self._changed.notify_all()
            return bool(holders)

    def refuse(self, why: str) -> None:
        """Raise Unavailable for whoever waits, and at once for whoever comes, until a worker is added."""
        with self._changed:
            self._refusal = why
            self._changed.notify_all()

    def wait_until_unused(self, timeout_s: float) -> bool:
        """Wait until no worker is lent; False if some still are."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._busy, timeout_s)

    @contextmanager
    def take(self, caller: Caller, *, again: bool = False, admitted: bool = False) -> Iterator[W]:
        """Lend a worker; `again` for a caller whose worker was lost, who goes first.

        `admitted` is who is not refused for those who wait: half of what it asked for is done.

        Raises
        ------
        Overloaded
            As many wait as may.
        ImcnasError
            What the caller was stopped with.
        Unavailable
            There is no worker, and callers are refused until one comes.
        """
        worker = self._next(caller, again, again or admitted)
        try:
            yield worker
        finally:
            with self._changed:
                if worker in self._busy:  # else it was removed
                    self._busy.remove(worker)
                    self._idle.append(worker)
                self._changed.notify_all()

    def _next(self, caller: Caller, again: bool, admitted: bool) -> W:
        me = object()
        with self._changed:
            if not admitted and len(self._waiting) >= self.queue_limit > 0 and not self._idle:
                raise Overloaded(f"{self.queue_limit} evaluations wait for a slot already: try again later")
            (self._waiting.appendleft if again else self._waiting.append)(me)
        ahead = -1
        try:
            with caller.stopping(self._wake):
                while True:
                    with self._changed:
                        self._changed.wait_for(partial(self._has_news, me, ahead, caller))
                        caller.check()
                        ahead = self._waiting.index(me)
                        if self._idle and not ahead:
                            self._busy.append(self._idle.popleft())
                            return self._busy[-1]
                        if self._refusal:
                            raise Unavailable(self._refusal)
                    caller.queued(ahead)  # whatever it does there keeps nobody else waiting
        finally:
            with self._changed:
                self._waiting.remove(me)
                self._changed.notify_all()

    def _has_news(self, me: object, told: int, caller: Caller) -> bool:
        ahead = self._waiting.index(me)
        return caller.stopped or bool(self._refusal) or ahead != told or (not ahead and bool(self._idle))

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()
