"""Trainings on a real Ray of this machine, started once for the module."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Event
from uuid import uuid4

import pytest
import ray

from services.common.errors import Cancelled, InvalidRequest, TrainingFailed, Unavailable
from services.trainer.inline import InlineTrainer
from services.trainer.pool import RayTrainer
from services.trainer.ray_connect import connect
from services.trainer.running import Ended
from services.trainer.types import EpochReport, TrainRecipe
from tests.trainer.evaluators import learnt, request

pytestmark = [pytest.mark.ray, pytest.mark.slow]

LONG = TrainRecipe(name="long", epochs=10_000)


@pytest.fixture(scope="module")
def pool() -> Iterator[RayTrainer]:
    connect(None, 4)  # two CPUs more than the module's trainer takes
    with RayTrainer(2) as trainer:
        yield trainer
    ray.shutdown()


def test_a_worker_gives_what_an_inline_training_gives_bit_for_bit(pool: RayTrainer) -> None:
    with InlineTrainer() as inline:
        for blocks in ("VGG8", "RES4-MVGG4"):
            assert learnt(pool.evaluate(request(blocks))) == learnt(inline.evaluate(request(blocks)))


def test_results_depend_neither_on_worker_nor_on_order(pool: RayTrainer) -> None:
    requests = [request("VGG4", seed=seed) for seed in range(4)]
    with ThreadPoolExecutor(4) as threads:
        forth = [learnt(r) for r in threads.map(pool.evaluate, requests)]
        back = [learnt(r) for r in threads.map(pool.evaluate, reversed(requests))]
    assert forth == back[::-1]
    assert len({tuple(run) for run in forth}) == 4
    assert (pool.queue_length, pool.busy_slots) == (0, 0)


def test_epochs_arrive_while_the_training_goes_on(pool: RayTrainer) -> None:
    """The caller leaves in the third epoch of ten thousand: the epochs cannot have come at the end."""

    class Left(Exception):
        pass

    told: list[int] = []

    def leave(epoch: EpochReport) -> None:
        told.append(epoch.epoch)
        if epoch.epoch == 3:
            raise Left

    with pytest.raises(Left):
        pool.evaluate(request(recipe=LONG), leave)
    assert told == [1, 2, 3]
    assert pool.evaluate(request()).accuracy_frac > 0  # the slot is free again


def wait_for_workers(pool: RayTrainer) -> None:
    """Wait until both are there, as after some were killed; the test's timeout bounds it."""
    while len(pool.worker_pids) < 2:
        Event().wait(0.05)


def kill_workers(pool: RayTrainer) -> None:
    for pid in pool.worker_pids:
        with suppress(ProcessLookupError):  # killed by the epoch before
            os.kill(pid, signal.SIGKILL)


def test_a_worker_killed_in_a_training_is_replaced_and_the_result_is_the_same(
    pool: RayTrainer, capfd: pytest.CaptureFixture[str]
) -> None:
    recipe = TrainRecipe(name="short", epochs=4)
    wait_for_workers(pool)
    undisturbed = pool.evaluate(request("VGG8", recipe=recipe))
    restarts = pool.restarts
    told: list[int] = []

    def on_epoch(epoch: EpochReport) -> None:
        told.append(epoch.epoch)
        if epoch.epoch == 1:
            kill_workers(pool)

    report = pool.evaluate(request("VGG8", recipe=recipe), on_epoch)

    assert learnt(report) == learnt(undisturbed)
    assert told == [1, 2, 3, 4]  # each once, though the training began again
    assert pool.restarts == restarts + 2  # the other one had died idle
    assert capfd.readouterr() == ("", "")  # a terminal may show progress


def test_a_candidate_that_breaks_every_worker_fails_and_others_go_on(pool: RayTrainer) -> None:
    with pytest.raises(TrainingFailed, match="VGG4 broke 3 workers"):
        pool.evaluate(request(recipe=LONG), lambda epoch: kill_workers(pool))
    assert pool.evaluate(request()).accuracy_frac > 0


def test_a_failing_candidate_fails_alone_and_its_worker_lives_on(pool: RayTrainer) -> None:
    wait_for_workers(pool)
    before = (pool.worker_pids, pool.restarts)
    # Weight decay beyond 1 a step makes every weight grow without end.
    diverges = TrainRecipe(name="diverges", epochs=50, learning_rate=10, weight_decay=0.99)
    with pytest.raises(TrainingFailed, match=r"VGG4 diverged in epoch \d+ of 50") as caught:
        pool.evaluate(request(recipe=diverges))
    assert type(caught.value) is TrainingFailed
    assert pool.evaluate(request()).accuracy_frac > 0
    assert (pool.worker_pids, pool.restarts) == before


def test_metrics_hear_of_a_training_once_however_often_it_started(pool: RayTrainer) -> None:
    """`images` counts what the caller was told of, not what a lost worker did."""
    ended: list[Ended] = []
    with RayTrainer(1, on_end=ended.append) as trainer:  # shares the module's Ray, and leaves it running
        trainer.evaluate(request(), lambda epoch: kill_workers(trainer) if epoch.epoch == 1 else None)
    assert [e.outcome for e in ended] == ["complete"]
    assert pool.evaluate(request()).accuracy_frac > 0


def test_closing_cancels_who_trains_and_who_waits(pool: RayTrainer) -> None:
    trainer = RayTrainer(1)
    trains = Event()
    with ThreadPoolExecutor(2) as threads:
        callers = [
            threads.submit(trainer.evaluate, request(seed=seed, recipe=LONG), lambda epoch: trains.set())
            for seed in range(2)
        ]
        assert trains.wait(60)
        trainer.close()
        for caller in callers:
            with pytest.raises((Cancelled, Unavailable), match="closed"):
                caller.result(30)
    assert trainer.worker_pids == ()
    with pytest.raises(Unavailable, match="closed"):
        trainer.evaluate(request())
    trainer.close()


def test_a_cluster_without_room_is_unavailable_and_says_why(pool: RayTrainer) -> None:
    with pytest.raises(Unavailable, match=r"of 3 slots .* needs 1 CPU, and . of 4 CPUs are free"):
        RayTrainer(3, start_timeout_s=3)


def test_a_candidate_without_memory_fails_alone_and_its_worker_is_replaced(pool: RayTrainer) -> None:
    with RayTrainer(1) as trainer:
        (pid,) = trainer.worker_pids
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + 32 * 2**20  # the weights of the candidate take 39 MB
        resource.prlimit(pid, resource.RLIMIT_AS, (limit, limit))
        with pytest.raises(TrainingFailed, match="training of VGG1024-VGG1024 failed: out of memory"):
            trainer.evaluate(request("VGG1024-VGG1024"))
        assert trainer.evaluate(request()).accuracy_frac > 0
        assert trainer.restarts == 1
        assert trainer.worker_pids != (pid,)


def test_a_machine_without_the_gpus_that_are_wanted_is_refused_at_once() -> None:
    code = "from services.trainer.pool import RayTrainer; RayTrainer(1, gpus=0.5)"
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"CUDA_VISIBLE_DEVICES": ""},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert "a slot needs 1 CPU and 0.5 GPU, and 1 of 1 CPUs and 0 of 0 GPUs are free" in done.stderr


def test_slots_threads_and_gpus_out_of_range_are_refused_by_name() -> None:
    with pytest.raises(InvalidRequest) as caught:
        RayTrainer(0, threads=0, gpus=2)
    assert [v.field for v in caught.value.violations] == ["slots", "threads", "gpus"]


def test_a_pool_knows_its_versions_without_importing_torch(pool: RayTrainer) -> None:
    wait_for_workers(pool)
    info = pool.info()
    assert info.ray_version == ray.__version__
    assert (info.slots, info.device) == (2, "cpu")
    code = "import sys, services.trainer.pool; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_ray_of_our_own_listens_to_this_machine_alone(pool: RayTrainer) -> None:
    nodes = ray.nodes()  # type: ignore[no-untyped-call]
    assert [node["NodeManagerAddress"] for node in nodes] == ["127.0.0.1"]


DRIVER = """
import signal, time
from services.trainer.pool import RayTrainer
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
with RayTrainer(1) as pool:
    try:
        print(*pool.worker_pids, flush=True)
        while True:
            time.sleep(0.05)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
"""
"""A process with a Ray of its own that waits for Ctrl-C or SIGTERM."""


@pytest.mark.parametrize(
    ("number", "ends_with"), [(signal.SIGINT, 0), (signal.SIGTERM, 128 + signal.SIGTERM)]
)
def test_a_signal_leaves_no_worker_behind(number: signal.Signals, ends_with: int) -> None:
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
    )  # fmt: skip
    assert driver.stdout is not None
    with driver:
        worker = int(driver.stdout.readline())
        if number is signal.SIGINT:
            os.killpg(driver.pid, number)  # as a terminal does: Ray's processes get it too
        else:
            os.kill(driver.pid, number)
        assert driver.stdout.read() == ("interrupted\n" if number is signal.SIGINT else "")
        assert driver.wait(60) == ends_with
    with suppress(ProcessLookupError):
        while True:  # the worker ends a moment after its driver; the test's timeout bounds it
            os.kill(worker, 0)
            Event().wait(0.01)


INTERRUPTED = """
import os, signal, sys
from ray._private.node import Node
from services.trainer.pool import RayTrainer

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
start = Node.start_raylet

def interrupted(*given, **named):
    start(*given, **named)
    os.kill(os.getpid(), int(sys.argv[1]))

Node.start_raylet = interrupted
try:
    RayTrainer(1)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""
"""A process that gets a signal while its Ray starts."""


@pytest.mark.parametrize(
    ("number", "ends_with"), [(signal.SIGINT, 0), (signal.SIGTERM, 128 + signal.SIGTERM)]
)
def test_a_signal_while_ray_starts_leaves_no_process_behind(number: signal.Signals, ends_with: int) -> None:
    mark = f"STARTED_BY={uuid4().hex}"  # Ray's processes inherit it
    name, value = mark.split("=")
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, str(int(number))],
        env=os.environ | {name: value}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == ends_with, done.stderr
    assert done.stdout == ("interrupted\n" if number is signal.SIGINT else "")
    while _alive(mark.encode()):  # they end a moment after the driver; the test's timeout bounds it
        Event().wait(0.05)


def _alive(mark: bytes) -> bool:
    for environ in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):  # ended meanwhile
            if mark in environ.read_bytes():
                return True
    return False
