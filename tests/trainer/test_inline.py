"""The inline trainer, and through it what every evaluator does."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event

import pytest
import torch

import services
from services.common.errors import Cancelled, InvalidRequest, NotFound, TrainingFailed, Unavailable
from services.trainer.data import dataset_names
from services.trainer.evaluator import Ended, Evaluator
from services.trainer.inline import InlineTrainer
from services.trainer.requests import OnEpoch
from services.trainer.types import AccuracyReport, EpochReport, EvaluationRequest
from tests.trainer.evaluators import learnt, request


class Held:
    """An `on_epoch` that holds its training until told to go on."""

    def __init__(self) -> None:
        self.reached, self.go_on = Event(), Event()

    def __call__(self, epoch: EpochReport) -> None:
        self.reached.set()
        assert self.go_on.wait(30)


def test_epochs_are_told_as_they_happen_and_make_up_the_report() -> None:
    told: list[EpochReport] = []
    with InlineTrainer() as trainer:
        report = trainer.evaluate(request(), told.append)
    assert report.epochs == tuple(told)
    assert len(told) == 2


def test_results_do_not_depend_on_the_threads_torch_would_use() -> None:
    before = torch.get_num_threads()
    try:
        with InlineTrainer() as trainer:
            torch.set_num_threads(1)
            one = learnt(trainer.evaluate(request("VGG8")))
            torch.set_num_threads(2)
            assert learnt(trainer.evaluate(request("VGG8"))) == one
            assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_one_training_at_a_time_the_others_wait() -> None:
    hold = Held()
    with InlineTrainer() as trainer, ThreadPoolExecutor(2) as threads:
        first = threads.submit(trainer.evaluate, request(), hold)
        assert hold.reached.wait(30)
        assert (trainer.slots, trainer.busy_slots) == (1, 1)
        second = threads.submit(trainer.evaluate, request("MVGG4"))
        wait_for_queue(trainer, 1)
        assert not second.done()
        hold.go_on.set()
        assert first.result(30).network_key != second.result(30).network_key
        assert (trainer.queue_length, trainer.busy_slots) == (0, 0)


def wait_for_queue(trainer: Evaluator, length: int) -> None:
    while trainer.queue_length != length:  # no event tells it; the test's timeout bounds it
        Event().wait(0.001)


def test_closing_cancels_who_trains_and_who_waits_and_refuses_who_comes_later() -> None:
    hold = Held()
    trainer = InlineTrainer()
    with ThreadPoolExecutor(2) as threads:
        training: Future[AccuracyReport] = threads.submit(trainer.evaluate, request(), hold)
        assert hold.reached.wait(30)
        waiting = threads.submit(trainer.evaluate, request("MVGG4"))
        wait_for_queue(trainer, 1)
        trainer.close()
        with pytest.raises(Cancelled, match="closed"):
            waiting.result(30)
        hold.go_on.set()
        with pytest.raises(Cancelled, match="closed"):
            training.result(30)
    with pytest.raises(Unavailable, match="closed"):
        trainer.evaluate(request())
    trainer.close()


def test_what_on_epoch_raises_stops_the_training_and_frees_the_slot() -> None:
    told = []

    def stop(epoch: EpochReport) -> None:
        told.append(epoch.epoch)
        raise KeyboardInterrupt

    with InlineTrainer() as trainer:
        with pytest.raises(KeyboardInterrupt):
            trainer.evaluate(request(), stop)
        assert told == [1]
        assert trainer.evaluate(request()).accuracy_frac > 0


def test_an_id_asked_again_is_not_trained_again() -> None:
    ended: list[Ended] = []
    with InlineTrainer(ended.append) as trainer:
        first = trainer.evaluate(request(request_id="a"))
        assert trainer.evaluate(request(request_id="a")) == first
        with pytest.raises(InvalidRequest, match="request_id"):
            trainer.evaluate(request(request_id="a", seed=1))
    assert len(ended) == 1


def test_metrics_hear_how_every_training_ended() -> None:
    ended: list[Ended] = []

    class Failing(InlineTrainer):
        def _train(self, slot: int, request: EvaluationRequest, on_epoch: OnEpoch) -> AccuracyReport:
            if request.seed == 1:
                raise TrainingFailed("diverged")
            return super()._train(slot, request, on_epoch)

    def stop(epoch: EpochReport) -> None:
        raise InterruptedError

    with Failing(ended.append) as trainer:
        trainer.evaluate(request())
        with pytest.raises(TrainingFailed):
            trainer.evaluate(request(seed=1))
        with pytest.raises(InterruptedError):
            trainer.evaluate(request(), stop)
    assert [(e.outcome, e.images) for e in ended] == [("complete", 2000), ("failed", 0), ("cancelled", 1000)]
    assert all(e.wall_s >= 0 for e in ended)


def test_epochs_of_a_training_that_started_again_are_told_once() -> None:
    class Repeating(InlineTrainer):
        def _train(self, slot: int, request: EvaluationRequest, on_epoch: OnEpoch) -> AccuracyReport:
            super()._train(slot, request, on_epoch)
            return super()._train(slot, request, on_epoch)

    told: list[int] = []
    with Repeating() as trainer:
        trainer.evaluate(request(), lambda epoch: told.append(epoch.epoch))
    assert told == [1, 2]


def test_unknown_data_is_refused_before_anything_trains() -> None:
    with InlineTrainer() as trainer:
        with pytest.raises(NotFound, match="did you mean digits"):
            trainer.evaluate(request(dataset="digit"))
        with pytest.raises(NotFound):
            trainer.dataset("digit")


def test_a_trainer_says_what_it_is_and_has() -> None:
    with InlineTrainer() as trainer:
        info = trainer.info()
        assert (info.version, info.torch_version) == (services.__version__, torch.__version__)
        assert (info.ray_version, info.device, info.slots) == ("", "cpu", 1)
        assert info.datasets == dataset_names()
        assert trainer.dataset("digits").name == "digits"


def test_a_trainer_has_at_least_one_slot() -> None:
    class Empty(InlineTrainer):
        def __init__(self) -> None:
            Evaluator.__init__(self, slots=0)

    with pytest.raises(InvalidRequest, match="slots: got 0"):
        Empty()
