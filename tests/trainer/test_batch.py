"""Many evaluations in one call, in this process and over gRPC."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

import pytest

from services.common.errors import InvalidRequest, NotFound, TrainingFailed, Unavailable
from services.common.settings import TrainerSettings
from services.trainer.batch import AHEAD, MAX_BATCH, Outcome
from services.trainer.client import Trainer
from services.trainer.evaluator import Evaluator
from services.trainer.jobs import Item, TrainJob
from services.trainer.server import TrainerServicer, trainer_server
from services.trainer.types import EpochReport
from tests.trainer.scripted import EPOCHS, REPORT, Scripted, connect, make_request


@pytest.fixture
def core() -> Iterator[Scripted]:
    with Scripted() as core:
        yield core


@pytest.fixture(params=["in process", "over gRPC"])
def trainer(
    request: pytest.FixtureRequest, core: Scripted, host: Any, any_ports: dict[str, Any]
) -> Iterator[Evaluator | Trainer]:
    if request.param == "in process":
        yield core
    else:
        ports = host.start(trainer_server(core, TrainerSettings(**any_ports)))
        with Trainer(f"127.0.0.1:{ports.calls}") as trainer:
            yield trainer


def test_each_candidate_has_its_epochs_and_its_report(trainer: Evaluator | Trainer, core: Scripted) -> None:
    told: list[tuple[int, EpochReport]] = []
    requests = [make_request(seed=seed) for seed in range(20)]
    outcomes = dict(trainer.evaluate_batch(requests, lambda number, epoch: told.append((number, epoch))))
    assert outcomes == dict.fromkeys(range(20), REPORT)
    assert len(core.trained) == 20
    for number in range(20):
        assert tuple(epoch for told_to, epoch in told if told_to == number) == EPOCHS


def test_a_candidate_that_fails_fails_alone_and_with_its_own_error(
    trainer: Evaluator | Trainer, core: Scripted
) -> None:
    def train(job: TrainJob) -> Iterator[Item]:
        if job.request.seed == 1:
            raise TrainingFailed("the loss is not a number")
        yield REPORT

    core.run = train
    requests = [make_request(seed=0), make_request(seed=1), make_request(dataset="nothing of the kind")]
    outcomes = dict(trainer.evaluate_batch(requests))
    assert outcomes[0] == REPORT
    assert isinstance(outcomes[1], TrainingFailed)
    assert "not a number" in str(outcomes[1])
    assert isinstance(outcomes[2], NotFound)


def test_results_come_as_they_end_not_as_they_were_asked_for(
    trainer: Evaluator | Trainer, core: Scripted
) -> None:
    second_ended = threading.Event()

    def train(job: TrainJob) -> Iterator[Item]:
        assert job.request.seed == 1 or second_ended.wait(10)
        yield REPORT

    core.run = train
    order: list[int] = []
    for number, _ in trainer.evaluate_batch([make_request(seed=seed) for seed in range(2)]):
        order.append(number)
        second_ended.set()
    assert order == [1, 0]


def test_a_batch_stands_in_nobodys_way(trainer: Evaluator | Trainer, core: Scripted) -> None:
    go_on = threading.Event()
    core.before = lambda: go_on.wait(10)
    begun = threading.Semaphore(0)

    def evaluate_batch() -> dict[int, Outcome]:
        begun.release()
        return dict(trainer.evaluate_batch([make_request(seed=seed) for seed in range(50)]))

    with ThreadPoolExecutor() as threads:
        batch = threads.submit(evaluate_batch)
        begun.acquire()
        while core.queue_length < AHEAD:
            assert not batch.done()
        assert core.queue_length == AHEAD  # of 48
        go_on.set()
        assert len(batch.result(20)) == 50


def test_no_request_is_no_result(trainer: Evaluator | Trainer) -> None:
    assert list(trainer.evaluate_batch([])) == []


def test_too_many_are_refused_before_any_is_trained(trainer: Evaluator | Trainer, core: Scripted) -> None:
    with pytest.raises(InvalidRequest, match=r"evaluations.*1,?001.*at most 1,000"):
        list(trainer.evaluate_batch([make_request()] * (MAX_BATCH + 1)))
    assert core.trained == []


def test_what_on_epoch_raises_is_raised_to_the_caller(trainer: Evaluator | Trainer) -> None:
    def enough(number: int, epoch: EpochReport) -> None:
        raise InterruptedError("enough")

    with pytest.raises(InterruptedError, match="enough"):
        list(trainer.evaluate_batch([make_request()], enough))


class BreaksOff(TrainerServicer):
    """Loses each stream after the events that it is told."""

    after: ClassVar = [5, 1]

    async def BatchEvaluate(self, request: Any, context: Any) -> Any:  # noqa: N802
        left = self.after.pop() if self.after else 1000
        async for event in super().BatchEvaluate(request, context):
            yield event
            left -= 1
            if not left:
                raise Unavailable("the connection is gone")


def test_a_stream_that_breaks_asks_again_for_what_it_lacks_and_trains_nothing_twice(
    host: Any, any_ports: dict[str, Any]
) -> None:
    told: list[tuple[int, int]] = []
    core = Scripted()
    servicer = BreaksOff(core)
    requests = [make_request(seed=seed) for seed in range(6)]
    with core, connect(host, any_ports, servicer) as trainer:
        outcomes = list(trainer.evaluate_batch(requests, lambda n, epoch: told.append((n, epoch.epoch))))
    assert sorted(number for number, _ in outcomes) == list(range(6))
    assert sorted(told) == [(number, epoch.epoch) for number in range(6) for epoch in EPOCHS]
    assert servicer.after == []
    assert len(core.trained) == 6
