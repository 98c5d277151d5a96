"""Who waits for a worker, what a slot takes of a node, and jobs that broke their workers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from services.common.errors import TrainingFailed, Unavailable
from services.trainer.actor import SlotSize
from services.trainer.callers import Caller
from services.trainer.jobs import Item, TrainJob, WorkerLost
from services.trainer.slots import Slots
from tests.trainer.evaluators import Scripted, request
from tests.trainer.scripted import REPORT


@pytest.mark.parametrize(
    ("size", "resources", "room"),
    [
        (SlotSize(), {"CPU": 4.0, "memory": 1e9}, 4),
        (SlotSize(threads=3), {"CPU": 8.0}, 2),
        (SlotSize(), {"memory": 1e9}, 0),  # a head without CPUs
        (SlotSize(gpus=1), {"CPU": 8.0, "GPU": 2.0}, 2),
        (SlotSize(gpus=1), {"CPU": 8.0}, 0),
        (SlotSize(gpus=1 / 3), {"CPU": 64.0, "GPU": 2.0}, 6),
        (SlotSize(gpus=0.4), {"CPU": 64.0, "GPU": 2.0}, 4),  # no slot is on two GPUs
        (SlotSize(gpus=0.25, threads=4), {"CPU": 8.0, "GPU": 1.0}, 2),
    ],
)
def test_a_node_has_room_for_as_many_slots_as_its_cpus_and_gpus(
    size: SlotSize, resources: dict[str, float], room: int
) -> None:
    assert size.room(resources) == room


def test_callers_are_refused_while_no_worker_can_come() -> None:
    slots: Slots[int] = Slots(queue_limit=10)
    waits = Event()
    with ThreadPoolExecutor(1) as threads:

        def wait() -> None:
            with slots.take(Caller(on_queued=lambda _: waits.set())):
                raise AssertionError("there is no worker")

        caller = threads.submit(wait)
        assert waits.wait(10)
        slots.refuse("no room")
        with pytest.raises(Unavailable, match="no room"):
            caller.result(10)
    with pytest.raises(Unavailable, match="no room"), slots.take(Caller()):
        pass
    slots.add(1)
    with slots.take(Caller()) as worker:
        assert worker == 1


def test_who_is_told_its_place_keeps_nobody_waiting_meanwhile() -> None:
    slots: Slots[int] = Slots(queue_limit=10)
    with (
        ThreadPoolExecutor(1) as threads,
        slots.take(Caller(on_queued=lambda _: threads.submit(slots.add, 1).result(10))) as worker,
    ):
        assert worker == 1


def test_a_worker_is_taken_away_once() -> None:
    slots: Slots[int] = Slots(queue_limit=10)
    slots.add(1)
    with slots.take(Caller()):
        assert [slots.remove(1), slots.remove(1)] == [True, False]
    assert slots.size == 0


def losing(**how: bool) -> tuple[Callable[[TrainJob], Iterator[Item]], list[str]]:
    """Lose the workers of seed 0, always; train the others."""
    lost: list[str] = []

    def run(job: TrainJob) -> Iterator[Item]:
        if job.request.seed == 0:
            lost.append(job.name)
            raise WorkerLost(**how)
        yield REPORT

    return run, lost


def test_a_candidate_that_exhausts_its_workers_memory_fails_and_others_go_on() -> None:
    run, lost = losing(blames_job=True, out_of_memory=True)
    with Scripted(run) as trainer:
        with pytest.raises(TrainingFailed, match="VGG4 failed: out of memory") as caught:
            trainer.evaluate(request(seed=0))
        assert caught.value.reason == "TRAINING_FAILED"
        assert len(lost) == 3
        assert trainer.evaluate(request(seed=1)) == REPORT


def test_a_candidate_that_takes_machine_after_machine_is_given_up_after_twelve() -> None:
    run, lost = losing(blames_job=False, took_machine=True)
    with Scripted(run) as trainer:
        with pytest.raises(TrainingFailed, match="VGG4 broke 12 workers"):
            trainer.evaluate(request(seed=0))
        assert len(lost) == 12
        assert trainer.evaluate(request(seed=1)) == REPORT
