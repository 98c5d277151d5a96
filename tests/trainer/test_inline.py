"""The inline trainer, and through it what every evaluator does."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import torch
from safetensors.torch import load

import services
from services.common.errors import (
    Cancelled,
    EvaluationCancelled,
    InvalidRequest,
    NotFound,
    Overloaded,
    TrainingFailed,
    Unavailable,
)
from services.trainer.artifacts import Artifacts
from services.trainer.build import build_module
from services.trainer.data import Dataset, dataset_names, load_dataset
from services.trainer.evaluator import Evaluator
from services.trainer.inline import InlineTrainer
from services.trainer.jobs import Item, TrainJob, WorkerLost
from services.trainer.resident import Resident
from services.trainer.running import Ended
from services.trainer.types import AccuracyReport, EpochReport, Queued, Schedule, TrainRecipe
from tests.trainer.evaluators import Scripted, learnt, request


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
    with InlineTrainer(on_end=ended.append) as trainer:
        first = trainer.evaluate(request(request_id="a"))
        assert trainer.evaluate(request(request_id="a")) == first
        with pytest.raises(InvalidRequest, match="request_id"):
            trainer.evaluate(request(request_id="a", seed=1))
    assert len(ended) == 1


def test_metrics_hear_how_every_training_ended() -> None:
    ended: list[Ended] = []

    class Failing(InlineTrainer):
        def _run(self, worker: Any, job: TrainJob, dataset: Dataset) -> Generator[Item]:
            if job.request.seed == 1:
                raise TrainingFailed("diverged")
            return super()._run(worker, job, dataset)

    def stop(epoch: EpochReport) -> None:
        raise InterruptedError

    with Failing(on_end=ended.append) as trainer:
        trainer.evaluate(request())
        with pytest.raises(TrainingFailed):
            trainer.evaluate(request(seed=1))
        with pytest.raises(InterruptedError):
            trainer.evaluate(request(), stop)
    assert [(e.outcome, e.images) for e in ended] == [("complete", 2000), ("failed", 0), ("cancelled", 1000)]
    assert all(e.wall_s >= 0 for e in ended)


def test_epochs_of_a_training_that_started_again_are_told_once() -> None:
    class Repeating(InlineTrainer):
        lost = False

        def _run(self, worker: Any, job: TrainJob, dataset: Dataset) -> Generator[Item]:
            yield from super()._run(worker, job, dataset) if self.lost else self._half(worker, job, dataset)

        def _half(self, worker: Any, job: TrainJob, dataset: Dataset) -> Generator[Item]:
            self.lost = True
            yield next(super()._run(worker, job, dataset))
            raise WorkerLost(blames_job=False)

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


def job_items(report: AccuracyReport) -> list[Item]:
    return [*report.epochs, report]


def test_a_job_that_breaks_its_workers_is_given_up_after_three() -> None:
    jobs: list[TrainJob] = []

    def run(job: TrainJob) -> Iterator[Item]:
        jobs.append(job)
        raise WorkerLost(blames_job=True)
        yield

    with Scripted(run) as trainer, pytest.raises(TrainingFailed, match="VGG4 broke 3 workers"):
        trainer.evaluate(request())
    assert len(jobs) == 3


def test_a_job_is_not_blamed_for_machines_that_go_away() -> None:
    with InlineTrainer() as inline:
        report = inline.evaluate(request())
    losses = iter(range(10))

    def run(job: TrainJob) -> Iterator[Item]:
        if next(losses, None) is not None:
            raise WorkerLost(blames_job=False)
        yield from job_items(report)

    with Scripted(run) as trainer:
        assert trainer.evaluate(request()) == report


def test_a_cancelled_evaluation_ends_within_a_step_and_frees_its_slot() -> None:
    long = request(recipe=TrainRecipe(name="long", epochs=10_000), request_id="long")
    reached = Event()
    with InlineTrainer() as trainer, ThreadPoolExecutor(1) as threads:
        caller = threads.submit(trainer.evaluate, long, lambda epoch: reached.set())
        assert reached.wait(30)
        assert trainer.cancel("long")
        with pytest.raises(EvaluationCancelled, match="'long' was cancelled"):
            caller.result(30)
        assert not trainer.cancel("long")
        assert trainer.evaluate(request()).accuracy_frac > 0


def test_a_training_that_takes_too_long_fails_alone() -> None:
    with InlineTrainer(timeout_s=0.05) as trainer:
        with pytest.raises(TrainingFailed, match=r"VGG4 took more than the 0\.05 s"):
            trainer.evaluate(request(recipe=TrainRecipe(name="long", epochs=10_000)))
        assert trainer.busy_slots == 0


def test_more_callers_than_may_wait_are_refused() -> None:
    hold = Held()
    with InlineTrainer(queue_limit=1) as trainer, ThreadPoolExecutor(2) as threads:
        first = threads.submit(trainer.evaluate, request(), hold)
        assert hold.reached.wait(30)
        places: list[Queued] = []
        second = threads.submit(trainer.evaluate, request("MVGG4"), None, places.append)
        wait_for_queue(trainer, 1)
        with pytest.raises(Overloaded, match="1 evaluations wait"):
            trainer.evaluate(request("RES4"))
        hold.go_on.set()
        assert first.result(30) != second.result(30)
        assert [place.ahead for place in places] == [0]


def test_equal_evaluations_in_flight_are_one_training_whatever_their_ids() -> None:
    hold, ended = Held(), list[Ended]()
    with InlineTrainer(on_end=ended.append) as trainer, ThreadPoolExecutor(2) as threads:
        first = threads.submit(trainer.evaluate, request("VGG4-VGG4-VGG4", request_id="a"), hold)
        assert hold.reached.wait(30)
        # At 2x2 a VGG's pool is left out: the same network under another name.
        heard = Event()
        same = request("VGG4-VGG4-MVGG4", request_id="b")
        second = threads.submit(trainer.evaluate, same, lambda epoch: heard.set())
        assert heard.wait(30)
        hold.go_on.set()
        assert first.result(30) is second.result(30)
    assert len(ended) == 1


def test_a_training_goes_on_from_its_checkpoint_with_the_result_of_an_unbroken_one() -> None:
    recipe = TrainRecipe(name="staged", epochs=10, schedule=Schedule.CONSTANT)
    with InlineTrainer() as unbroken, InlineTrainer() as staged:
        whole = unbroken.evaluate(request("RES4-VGG4", recipe=recipe))
        first = staged.evaluate(request("RES4-VGG4", recipe=recipe, budget_epochs=5))
        rest = staged.evaluate(request("RES4-VGG4", recipe=recipe))
    assert (len(first.epochs), first.resumed_epochs) == (5, 0)
    assert (len(rest.epochs), rest.resumed_epochs) == (10, 4)  # of 5 epochs, 1 was on the branch
    assert learnt(rest) == learnt(whole)
    assert learnt(first)[:4] == learnt(whole)[:4]
    assert learnt(first)[4] != learnt(whole)[4]


def test_a_damaged_checkpoint_costs_a_training_and_no_more(tmp_path: Path) -> None:
    recipe = TrainRecipe(name="staged", epochs=4, schedule=Schedule.CONSTANT)
    with InlineTrainer(artifacts=Artifacts(tmp_path)) as trainer:
        whole = trainer.evaluate(request(recipe=recipe))
        for path in tmp_path.iterdir():
            path.write_bytes(path.read_bytes()[:-100])
        again = trainer.evaluate(request(recipe=recipe))
    assert (learnt(again), again.resumed_epochs) == (learnt(whole), 0)


def test_weights_that_were_kept_judge_as_the_report_says(tmp_path: Path) -> None:
    data = load_dataset("digits")
    asked = request("RES4-VGG4", judge_test=True)
    with InlineTrainer(artifacts=Artifacts(tmp_path)) as trainer:
        weights = trainer.weights(asked)
        assert trainer.weights(asked) == weights  # from the folder
        report = trainer.evaluate(asked)
    module = build_module(asked.candidate, data.info.input_shape, 10)
    module.load_state_dict(load(weights))
    resident = Resident(data)
    assert resident.accuracy_frac(module, "validation") == report.accuracy_frac
    assert resident.accuracy_frac(module, "test") == report.test_accuracy_frac
