"""Threads for what a servicer does that blocks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from threading import Thread
from typing import Any, TypeVar, cast

T = TypeVar("T")


class Workers:
    """At most so many calls at once, each in a thread; further ones wait their turn.

    A process that has drained ends without the threads that still run: they are daemons, where those of
    `asyncio.to_thread` and of a ThreadPoolExecutor are waited for however long they take.
    """

    def __init__(self, most: int) -> None:
        self._free = asyncio.Semaphore(most)

    async def run(self, work: Callable[..., T], *args: Any) -> T:
        """Call `work` with `args` in a thread, which goes on when this coroutine is cancelled meanwhile."""
        return await self._run(lambda _: work(*args))

    async def run_in_steps(self, work: Callable[..., T], *args: Any) -> T:
        """As `run`, for long work: its last argument is a function to call between its steps.

        That raises, and so ends the work, once this coroutine was cancelled.
        """
        return await self._run(lambda checkpoint: work(*args, checkpoint))

    async def _run(self, work: Callable[[Callable[[], None]], T]) -> T:
        await self._free.acquire()
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[None] = loop.create_future()
        outcome: list[Any] = []

        def end(result: Any, error: BaseException | None) -> None:
            self._free.release()
            if not ended.cancelled():
                outcome.extend((error, result))
                ended.set_result(None)

        def checkpoint() -> None:
            if ended.cancelled():
                raise asyncio.CancelledError

        def call() -> None:
            result, failed = None, None
            try:
                result = work(checkpoint)
            except BaseException as error:  # it is raised where the work was asked for
                failed = error
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(end, result, failed)
            del result, failed

        Thread(target=call, name="worker", daemon=True).start()
        await ended
        # no frame may hold an error that holds the frame: it would outlive the call, with its arguments
        if outcome[0] is not None:
            raise outcome.pop(0)
        return cast("T", outcome[1])
