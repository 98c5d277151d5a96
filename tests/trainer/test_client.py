"""One trainer, wherever it is: in this process and over gRPC it trains, tells and refuses alike."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from services.common.errors import (
    Cancelled,
    ImcnasError,
    InvalidRequest,
    NotFound,
    Overloaded,
    TrainingFailed,
    Unavailable,
)
from services.common.rpc import channel
from services.common.rpc.channel import ABSENCE_S
from services.common.settings import TrainerSettings
from services.trainer import server
from services.trainer.client import Trainer
from services.trainer.convert import request_to_pb
from services.trainer.evaluator import Evaluator
from services.trainer.jobs import Item, TrainJob
from services.trainer.server import MAX_EVALUATIONS, TrainerServicer, trainer_server
from services.trainer.types import EpochReport, Queued
from tests.trainer.scripted import EPOCHS, REPORT, Scripted, connect, make_request


@pytest.fixture(scope="module")
def core() -> Iterator[Scripted]:
    with Scripted() as core:
        yield core


@pytest.fixture(scope="module")
def address(host: Any, any_ports: dict[str, Any], core: Scripted) -> str:
    return f"127.0.0.1:{host.start(trainer_server(core, TrainerSettings(**any_ports))).calls}"


@pytest.fixture(params=["in process", "over gRPC"])
def trainer(request: pytest.FixtureRequest, core: Scripted, address: str) -> Iterator[Evaluator | Trainer]:
    core.before = lambda: None
    if request.param == "in process":
        yield core
    else:
        with Trainer(address) as trainer:
            yield trainer


def test_every_epoch_is_told_once_and_the_report_ends_it(trainer: Evaluator | Trainer) -> None:
    told: list[EpochReport] = []
    assert trainer.evaluate(make_request(), told.append) == REPORT
    assert tuple(told) == EPOCHS
    assert trainer.evaluate(make_request()) == REPORT


def test_what_training_raises_is_raised_to_the_caller(trainer: Evaluator | Trainer, core: Scripted) -> None:
    def fail() -> None:
        raise TrainingFailed("the loss is not a number")

    core.before = fail
    with pytest.raises(TrainingFailed, match="the loss is not a number"):
        trainer.evaluate(make_request())


def test_what_on_epoch_raises_is_raised_to_the_caller(trainer: Evaluator | Trainer) -> None:
    def enough(_: EpochReport) -> None:
        raise InterruptedError("enough")

    with pytest.raises(InterruptedError, match="enough"):
        trainer.evaluate(make_request(), enough)


def test_an_id_asked_again_is_one_training(trainer: Evaluator | Trainer, core: Scripted) -> None:
    id_ = f"again {type(trainer).__name__}"
    for _ in range(2):
        assert trainer.evaluate(make_request(request_id=id_)) == REPORT
    assert core.trained.count(id_) == 1
    with pytest.raises(InvalidRequest, match="request_id"):
        trainer.evaluate(make_request(request_id=id_, seed=1))


def test_an_unknown_data_set_is_not_found(trainer: Evaluator | Trainer) -> None:
    with pytest.raises(NotFound, match="nothing of the kind"):
        trainer.dataset("nothing of the kind")
    with pytest.raises(NotFound, match="nothing of the kind"):
        trainer.evaluate(make_request(dataset="nothing of the kind"))


def test_data_sets_and_versions_are_the_cores_own(trainer: Evaluator | Trainer, core: Scripted) -> None:
    assert trainer.dataset("digits") == core.dataset("digits")
    assert trainer.info() == core.info()


class BreaksOff(TrainerServicer):
    """Loses the stream after its first event, as often as told."""

    breaks = 0

    async def Evaluate(self, request: Any, context: Any) -> Any:  # noqa: N802
        async for event in super().Evaluate(request, context):
            yield event
            if self.breaks:
                self.breaks -= 1
                raise Unavailable("the connection is gone")


class SaysNothing(TrainerServicer):
    """Loses every stream before its first event."""

    asked = 0
    raised: ImcnasError

    async def Evaluate(self, request: Any, context: Any) -> Any:  # noqa: N802
        self.asked += 1
        raise self.raised
        yield


def test_a_stream_that_breaks_is_resumed_without_a_second_training(
    host: Any, any_ports: dict[str, Any]
) -> None:
    core, told = Scripted(), list[EpochReport]()
    servicer = BreaksOff(core)
    servicer.breaks = 5
    with connect(host, any_ports, servicer) as trainer:
        assert trainer.evaluate(make_request(), told.append) == REPORT
    assert tuple(told) == EPOCHS
    assert servicer.breaks == 0
    assert len(core.trained) == 1


class Clock:
    """Time that passes in pauses alone."""

    now_s = 0.0

    def monotonic(self) -> float:
        return self.now_s

    def sleep(self, pause_s: float) -> None:
        self.now_s += pause_s


@pytest.mark.parametrize("raised", [Cancelled("the trainer was closed"), Overloaded("no room now")])
def test_a_stream_that_never_says_anything_is_given_up_after_a_minute(
    host: Any, any_ports: dict[str, Any], monkeypatch: pytest.MonkeyPatch, raised: ImcnasError
) -> None:
    servicer = SaysNothing(Scripted())
    servicer.raised = raised
    monkeypatch.setattr(channel, "time", Clock())
    with connect(host, any_ports, servicer) as trainer:
        trainer._remote._pause_s = 1.0
        with pytest.raises(type(raised), match=raised.message):
            trainer.evaluate(make_request())
    assert servicer.asked == ABSENCE_S + 1


def test_an_evaluation_that_finds_no_room_waits_for_some(
    host: Any, any_ports: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    core, release = Scripted(), threading.Event()
    core.before = lambda: release.wait(10)
    monkeypatch.setattr(server, "MAX_EVALUATIONS", 1)
    full = threading.Event()

    class Tells(TrainerServicer):
        async def Evaluate(self, request: Any, context: Any) -> Any:  # noqa: N802
            try:
                async for event in super().Evaluate(request, context):
                    yield event
            except Overloaded:
                full.set()
                raise

    with connect(host, any_ports, Tells(core)) as trainer, ThreadPoolExecutor() as threads:
        both = [threads.submit(trainer.evaluate, make_request()) for _ in range(2)]
        assert full.wait(10)
        release.set()
        assert [one.result(20) for one in both] == [REPORT, REPORT]


def test_readers_who_come_back_take_no_room_from_others(host: Any, any_ports: dict[str, Any]) -> None:
    core, release = Scripted(), threading.Event()

    def train(job: TrainJob) -> Iterator[Item]:
        yield EPOCHS[0]
        assert job.request.request_id != "again" or release.wait(10)
        yield REPORT

    core.run = train
    again = request_to_pb(make_request(request_id="again"))
    with connect(host, any_ports, TrainerServicer(core)) as trainer:
        for _ in range(MAX_EVALUATIONS + 6):
            reader = trainer._stub.Evaluate(again, timeout=10)
            assert next(iter(reader)).epoch.epoch == 1
            reader.cancel()
        last = trainer._stub.Evaluate(again, timeout=10)
        assert trainer.evaluate(make_request(seed=1)) == REPORT
        release.set()
        assert [event.WhichOneof("event") for event in last] == ["epoch", "report"]


def test_a_caller_who_comes_back_finds_the_training_that_it_left(core: Scripted, address: str) -> None:
    entered, release = threading.Event(), threading.Event()

    def wait() -> None:
        entered.set()
        release.wait(10)

    core.before = wait
    with Trainer(address) as left, Trainer(address) as back, ThreadPoolExecutor() as threads:
        first = threads.submit(left.evaluate, make_request(request_id="left"))
        assert entered.wait(10)
        left.close()
        assert isinstance(first.exception(10), Cancelled)
        second = threads.submit(back.evaluate, make_request(request_id="left"))
        release.set()
        assert second.result(10) == REPORT
    assert core.trained.count("left") == 1


def test_a_client_that_is_closed_says_so() -> None:
    trainer = Trainer("127.0.0.1:1")
    trainer.close()
    with pytest.raises(Unavailable, match="is closed"):
        trainer.info()
    with pytest.raises(Unavailable, match="is closed"):
        trainer.evaluate(make_request())


def test_places_are_told_as_they_change_and_late_readers_hear_the_present_one(
    host: Any, any_ports: dict[str, Any]
) -> None:
    core, second_is_next, release = Scripted(), threading.Event(), threading.Event()
    core.before = lambda: release.wait(10)
    for worker in core._slots.workers:
        core._slots.remove(worker)
    heard: list[int] = []

    def hear(place: Queued) -> None:
        heard.append(place.ahead)
        if len(heard) == 1:
            core._slots.add(0)
        else:
            second_is_next.set()

    first_waits = threading.Event()
    later: list[int] = []
    with connect(host, any_ports, TrainerServicer(core)) as trainer, ThreadPoolExecutor() as threads:
        first = threads.submit(trainer.evaluate, make_request(), None, lambda _: first_waits.set())
        assert first_waits.wait(10)
        second = threads.submit(trainer.evaluate, make_request(request_id="b", seed=1), None, hear)
        assert second_is_next.wait(10)

        def go_on(place: Queued) -> None:
            later.append(place.ahead)
            release.set()

        assert trainer.evaluate(make_request(request_id="b", seed=1), None, go_on) == REPORT
        assert [one.result(10) for one in (first, second)] == [REPORT, REPORT]
    assert (heard, later) == ([1, 0], [0])
