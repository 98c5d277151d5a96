"""A Ray cluster of several nodes on this machine: workers and nodes die and join, no evaluation is lost."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest
import ray
import torch
from ray.cluster_utils import Cluster

from services.common.errors import Unavailable
from services.trainer import crew
from services.trainer.inline import InlineTrainer
from services.trainer.pool import RayTrainer
from services.trainer.types import EpochReport, Schedule, TrainRecipe
from tests.trainer.evaluators import learnt, request

pytestmark = [pytest.mark.ray, pytest.mark.slow]

GONE_SOON = {
    "health_check_initial_delay_ms": 500,
    "health_check_period_ms": 500,
    "health_check_failure_threshold": 3,
}
"""A node that is gone is noticed within two seconds, rather than fifteen."""


@pytest.fixture(scope="module")
def head() -> Iterator[Any]:
    """A head without CPUs, as a trainer's front has beside it."""
    cluster = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 0, "include_dashboard": False, "_system_config": GONE_SOON},
    )  # type: ignore[no-untyped-call]
    yield cluster
    cluster.shutdown()  # type: ignore[no-untyped-call]


@pytest.fixture
def cluster(head: Any) -> Iterator[Any]:
    """The head and one node of one CPU; those that a test adds go with it."""
    head.add_node(num_cpus=1)
    yield head
    ray.shutdown()
    for node in list(head.worker_nodes):
        head.remove_node(node, allow_graceful=False)


def wait_for(true: Callable[[], bool]) -> None:
    """Wait; the test's timeout bounds it."""
    while not true():
        Event().wait(0.05)


def slots(trainer: RayTrainer) -> list[int]:
    """Slots of each node."""
    return sorted(node.slots for node in trainer.info().nodes)


@pytest.mark.timeout(120)
def test_workers_and_a_node_are_killed_in_the_middle_and_no_evaluation_is_lost(cluster: Any) -> None:
    cluster.add_node(num_cpus=1)
    # Checkpoints come after epoch 4: whose worker is gone before begins again, whose later goes on.
    recipe = TrainRecipe(name="short", epochs=8, schedule=Schedule.CONSTANT, cooldown_frac=0.5)
    requests = [request("VGG16-VGG16", recipe=recipe, seed=seed) for seed in range(4)]
    with InlineTrainer() as inline:
        undisturbed = [learnt(inline.evaluate(one)) for one in requests]

    told: list[list[int]] = [[] for _ in requests]
    done: list[str] = []
    node_gone = Event()
    with RayTrainer(2, cluster.address) as trainer, ThreadPoolExecutor(4) as threads:
        assert slots(trainer) == [1, 1]

        def kill_workers() -> None:
            for worker in trainer._slots.busy:
                os.kill(worker.pid, signal.SIGKILL)

        def kill_node() -> None:
            node_id = trainer._slots.busy[0].node
            cluster.remove_node(
                next(node for node in cluster.worker_nodes if node.node_id == node_id), allow_graceful=False
            )
            node_gone.set()

        def hook(number: int) -> Callable[[EpochReport], None]:
            def on_epoch(epoch: EpochReport) -> None:
                told[number].append(epoch.epoch)
                for at, kill in ((2, kill_node), (5, kill_workers)):
                    if epoch.epoch == at and kill.__name__ not in done:
                        done.append(kill.__name__)
                        kill()

            return on_epoch

        found = threads.map(trainer.evaluate, requests, map(hook, range(4)))
        assert node_gone.wait(60)
        cluster.add_node(num_cpus=1)
        reports = list(found)

        assert [learnt(report) for report in reports] == undisturbed
        assert told == [list(range(1, 9))] * 4  # each epoch once
        assert done == ["kill_node", "kill_workers"]
        assert max(report.resumed_epochs for report in reports) == 4
        assert trainer.restarts >= 2
        wait_for(lambda: slots(trainer) == [1, 1])  # the node that joined is used


def test_auto_slots_follow_the_nodes_that_join_and_leave(cluster: Any) -> None:
    with RayTrainer("auto", cluster.address) as trainer:
        assert slots(trainer) == [1]
        node = cluster.add_node(num_cpus=2)
        wait_for(lambda: slots(trainer) == [1, 2])
        with ThreadPoolExecutor(3) as threads:
            first = list(threads.map(trainer.evaluate, [request(seed=seed) for seed in range(3)]))
        cluster.remove_node(node, allow_graceful=False)
        wait_for(lambda: slots(trainer) == [1])
        assert learnt(trainer.evaluate(request())) == learnt(first[0])


def test_a_slot_takes_the_threads_it_is_told(cluster: Any) -> None:
    cluster.add_node(num_cpus=5)
    with RayTrainer("auto", cluster.address, threads=2) as trainer:
        wait_for(lambda: slots(trainer) == [2])
        with InlineTrainer() as inline:
            one, two = inline._identify(request()), trainer._identify(request())
        assert one.evaluation != two.evaluation  # sums round by the number of threads
        assert trainer.evaluate(request()).accuracy_frac > 0


def test_without_any_node_callers_are_refused_until_one_joins(cluster: Any) -> None:
    with RayTrainer("auto", cluster.address) as trainer:
        before = learnt(trainer.evaluate(request()))
        trainer._crew._start_timeout_s = 1.0
        cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)
        wait_for(lambda: trainer.slots == 0)
        with pytest.raises(Unavailable, match=r"no room: 0 slots are ready.* needs 1 CPU, and 0 of 0 CPUs"):
            trainer.evaluate(request())
        cluster.add_node(num_cpus=1)
        wait_for(lambda: trainer.slots == 1)
        assert learnt(trainer.evaluate(request())) == before


def test_a_cluster_without_room_is_unavailable_and_says_what_it_has(cluster: Any) -> None:
    with pytest.raises(Unavailable, match=r"0 of 1 slots .* needs 2 CPUs, and 1 of 1 CPUs are free"):
        RayTrainer(1, cluster.address, threads=2, start_timeout_s=2)


def test_a_cluster_of_other_versions_is_refused_in_one_line(
    cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray._private.utils, "compute_version_info", lambda: ("2.1.0", "3.12.9"))
    with pytest.raises(Unavailable) as caught:
        RayTrainer(1, cluster.address)
    here = f"the cluster runs Ray {ray.__version__} on Python "
    assert here in caught.value.message
    assert "this process Ray 2.1.0 on Python 3.12.9; they must be the same" in caught.value.message


def test_a_worker_with_another_torch_is_refused_at_the_start(
    cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = crew.versions() | {"torch": "1.0"}
    monkeypatch.setattr(crew, "versions", lambda: ours)
    with pytest.raises(Unavailable, match=r"node .* has torch 2\S+, this trainer torch 1.0; they must"):
        RayTrainer(1, cluster.address)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_worker_that_cannot_start_says_why_at_the_start(cluster: Any) -> None:
    cluster.add_node(num_cpus=1, num_gpus=1)  # Ray believes it
    with pytest.raises(
        Unavailable, match=r"a worker cannot start: .*torch 2\S+ finds no GPU that it can use"
    ):
        RayTrainer("auto", cluster.address, gpus=0.5)
