"""Threads here wait for each other through events; a test that never ends would time out, not pass."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from services.common.candidate import parse_candidate
from services.common.errors import InvalidRequest, TrainingFailed
from services.trainer.callers import Caller, OnEpoch
from services.trainer.requests import Evaluations
from services.trainer.types import AccuracyReport, EpochReport, EvaluationRequest, TrainRecipe


def request(request_id: str = "a", seed: int = 0) -> EvaluationRequest:
    return EvaluationRequest(
        candidate=parse_candidate("VGG4"),
        dataset="digits",
        recipe=TrainRecipe(name="short", epochs=2),
        seed=seed,
        request_id=request_id,
    )


def epoch(number: int) -> EpochReport:
    return EpochReport(epoch=number, train_loss_nats=1.0, validation_accuracy_frac=0.5, elapsed_s=0.0)


class Trainings:
    """A training of two epochs that waits before the second, and counts how often it was started."""

    def __init__(self, end: Callable[[], None] = lambda: None) -> None:
        self.started = 0
        self.first_epoch, self.go_on = Event(), Event()
        self._end = end

    def __call__(self, request: EvaluationRequest, on_epoch: OnEpoch) -> AccuracyReport:
        self.started += 1
        on_epoch(epoch(1))
        self.first_epoch.set()
        assert self.go_on.wait(30)
        self._end()
        on_epoch(epoch(2))
        return AccuracyReport(
            network_key="key", accuracy_frac=0.5, accuracy_stderr_frac=0.1, validation_images=25,
            epochs=(epoch(1), epoch(2)), train_s=float(self.started), device="cpu", torch_version="0",
        )  # fmt: skip


def run(
    memory: Evaluations, asked: EvaluationRequest, on_epoch: OnEpoch, train: Trainings, content: object = None
) -> AccuracyReport:
    """Ask as an evaluator does; without a content, of this request's id alone."""
    content = content or asked.request_id or object()
    caller = Caller(on_epoch)
    with memory.registered(asked, caller):
        return memory.run(asked, content, caller, lambda tell: train(asked, tell))


def ignore(epoch: EpochReport) -> None:
    pass


def test_callers_of_one_id_share_one_training_and_each_hears_every_epoch() -> None:
    memory, train = Evaluations(), Trainings()
    heard: list[list[int]] = [[], [], []]
    followers_hear = [Event(), Event()]

    def hear(caller: int) -> OnEpoch:
        def on_epoch(e: EpochReport) -> None:
            heard[caller].append(e.epoch)
            if caller:
                followers_hear[caller - 1].set()

        return on_epoch

    with ThreadPoolExecutor(3) as threads:
        leader = threads.submit(run, memory, request(), hear(0), train)
        assert train.first_epoch.wait(30)
        followers = [threads.submit(run, memory, request(), hear(i), train) for i in (1, 2)]
        assert all(event.wait(30) for event in followers_hear)  # before the training ends
        train.go_on.set()
        assert {f.result(30).train_s for f in (leader, *followers)} == {1.0}
    assert train.started == 1
    assert heard == [[1, 2]] * 3


def test_a_finished_request_is_answered_from_memory_with_its_epochs() -> None:
    memory, train = Evaluations(), Trainings()
    train.go_on.set()
    first = run(memory, request(), ignore, train)
    heard: list[EpochReport] = []
    assert run(memory, request(), heard.append, train) is first
    assert tuple(heard) == first.epochs
    assert train.started == 1


def test_a_finished_request_without_an_id_is_trained_again() -> None:
    memory, train = Evaluations(), Trainings()
    train.go_on.set()
    for _ in range(2):
        run(memory, request(""), ignore, train)
    assert train.started == 2


def test_an_id_used_for_another_evaluation_is_refused() -> None:
    memory, train = Evaluations(), Trainings()
    train.go_on.set()
    run(memory, request("a", seed=0), ignore, train)
    with pytest.raises(InvalidRequest, match="request_id: 'a' was used for another evaluation"):
        run(memory, request("a", seed=1), ignore, train)


@pytest.mark.parametrize("limits", [{"limit": 2}, {"epoch_limit": 5}])  # two epochs each
def test_the_oldest_result_is_forgotten_first(limits: dict[str, int]) -> None:
    memory, train = Evaluations(**limits), Trainings()
    train.go_on.set()
    for name in "abc":
        run(memory, request(name), ignore, train)
    assert train.started == 3
    run(memory, request("b"), ignore, train)
    assert train.started == 3
    run(memory, request("a"), ignore, train)
    assert train.started == 4


def test_a_failure_reaches_those_who_wait_and_is_then_forgotten() -> None:
    def fail() -> None:
        raise TrainingFailed("diverged")

    memory, train = Evaluations(), Trainings(end=fail)
    follower_hears = Event()
    with ThreadPoolExecutor(2) as threads:
        leader = threads.submit(run, memory, request(), ignore, train)
        assert train.first_epoch.wait(30)
        follower = threads.submit(run, memory, request(), lambda e: follower_hears.set(), train)
        assert follower_hears.wait(30)
        train.go_on.set()
        for caller in (leader, follower):
            with pytest.raises(TrainingFailed, match="diverged"):
                caller.result(30)
    assert train.started == 1
    again = Trainings()
    again.go_on.set()
    assert run(memory, request(), ignore, again).accuracy_frac == 0.5


def test_a_follower_trains_when_the_leader_gives_up() -> None:
    class Left(Exception):
        pass

    def leave(e: EpochReport) -> None:
        if e.epoch == 2:
            raise Left

    memory, train = Evaluations(), Trainings()
    follower_hears = Event()
    with ThreadPoolExecutor(2) as threads:
        leader = threads.submit(run, memory, request(), leave, train)
        assert train.first_epoch.wait(30)
        follower = threads.submit(run, memory, request(), lambda e: follower_hears.set(), train)
        assert follower_hears.wait(30)
        train.go_on.set()
        with pytest.raises(Left):
            leader.result(30)
        assert follower.result(30).train_s == 2.0
    assert train.started == 2
