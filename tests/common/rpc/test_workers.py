"""Threads for what blocks: how many, what comes back, and that no process waits for them."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable

import pytest

from services.common.rpc.workers import Workers


def test_what_the_work_gives_or_raises_comes_back() -> None:
    async def work() -> None:
        workers = Workers(1)
        assert await workers.run(divmod, 7, 2) == (3, 1)
        with pytest.raises(ZeroDivisionError):
            await workers.run(divmod, 7, 0)

    asyncio.run(work())


def test_work_over_the_number_waits_its_turn_even_for_work_whose_caller_has_left() -> None:
    release, begun = threading.Event(), []

    def block(name: str) -> None:
        begun.append(name)
        release.wait(30)

    async def work() -> None:
        workers = Workers(1)
        first = asyncio.create_task(workers.run(block, "first"))
        await asyncio.sleep(0)
        first.cancel()
        second = asyncio.create_task(workers.run(block, "second"))
        await asyncio.sleep(0)
        assert "second" not in begun
        release.set()
        await second
        assert begun == ["first", "second"]

    asyncio.run(work())


def test_work_in_steps_ends_at_the_next_one_once_its_caller_has_left() -> None:
    steps: list[int] = []
    begun, left, ended = threading.Event(), threading.Event(), threading.Event()

    def count(most: int, checkpoint: Callable[[], None]) -> int:
        try:
            for step in range(most):
                checkpoint()
                steps.append(step)
                if step == 2:
                    begun.set()
                    left.wait(30)
        finally:
            ended.set()
        return most

    async def work() -> None:
        workers = Workers(1)
        assert await workers.run_in_steps(count, 2) == 2
        task = asyncio.create_task(workers.run_in_steps(count, 1000))
        await asyncio.to_thread(begun.wait, 30)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        left.set()
        assert await workers.run(ended.wait, 30)

    asyncio.run(work())
    assert steps == [0, 1, 0, 1, 2]


def test_a_process_ends_without_the_work_that_still_runs() -> None:
    script = """
import asyncio, threading
from services.common.rpc.workers import Workers

async def main():
    begun = asyncio.Event()
    loop = asyncio.get_running_loop()
    def block():
        loop.call_soon_threadsafe(begun.set)
        threading.Event().wait()
    task = asyncio.create_task(Workers(1).run(block))
    await begun.wait()

asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
