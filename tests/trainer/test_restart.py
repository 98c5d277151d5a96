"""A trainer's process that is killed while a client waits for its first event."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from services.common.candidate import parse_candidate
from services.common.errors import Unavailable
from services.trainer.client import Trainer
from services.trainer.types import EvaluationRequest, TrainRecipe

pytestmark = pytest.mark.slow

SERVER = """
import asyncio, sys, threading
from services.common.settings import TrainerSettings
from services.trainer.server import trainer_server
from services.trainer.types import AccuracyReport
from tests.trainer.evaluators import Scripted

port, answers = int(sys.argv[1]), sys.argv[2] == "answers"

def run(job):
    print("asked", flush=True)
    if not answers:
        threading.Event().wait()
    yield AccuracyReport(
        network_key="0" * 64, accuracy_frac=0.5, accuracy_stderr_frac=0.1, validation_images=25,
        epochs=(), train_s=0.0, device="cpu", torch_version="none",
    )

async def main():
    settings = TrainerSettings(host="127.0.0.1", port=port, health_port=0, metrics_port=0)
    server = trainer_server(Scripted(run), settings)
    print((await server.start()).calls, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""
"""A trainer that waits for ever or answers at once, as the second argument says, and tells of a training."""

REQUEST = EvaluationRequest(
    candidate=parse_candidate("VGG8"), dataset="digits", recipe=TrainRecipe(name="quick", epochs=1)
)

Serve = Callable[[int, str], tuple["subprocess.Popen[str]", int]]


@pytest.fixture
def serve() -> Iterator[Serve]:
    running: list[subprocess.Popen[str]] = []

    def start(port: int, how: str) -> tuple[subprocess.Popen[str], int]:
        process = subprocess.Popen(
            [sys.executable, "-c", SERVER, str(port), how], stdout=subprocess.PIPE, text=True
        )
        running.append(process)
        assert process.stdout is not None
        return process, int(process.stdout.readline())

    yield start
    for process in running:
        with process:
            process.kill()


def kill_when_asked(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == "asked\n"
    process.kill()
    process.wait()


def test_a_trainer_that_comes_back_answers_the_call_it_was_killed_in(serve: Serve) -> None:
    process, port = serve(0, "waits")
    with Trainer(f"127.0.0.1:{port}") as trainer, ThreadPoolExecutor() as threads:
        report = threads.submit(trainer.evaluate, REQUEST)
        kill_when_asked(process)
        serve(port, "answers")
        assert report.result(60).accuracy_frac == 0.5


def test_a_trainer_that_stays_away_is_unavailable(serve: Serve) -> None:
    process, port = serve(0, "waits")
    with Trainer(f"127.0.0.1:{port}") as trainer, ThreadPoolExecutor() as threads:
        trainer._remote._absence_s, trainer._remote._pause_s = 2.0, 0.1
        report = threads.submit(trainer.evaluate, REQUEST)
        kill_when_asked(process)
        with pytest.raises(Unavailable, match=f"nothing answers at 127.0.0.1:{port}"):
            report.result(30)
