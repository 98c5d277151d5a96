"""A search that is killed loses nothing that was finished, and trains nothing of it twice."""

import json
import signal
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from time import monotonic, sleep

import pytest

from tests.e2e.conftest import IMCNAS, SEARCH, Run, environment

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


def finished(store: Path) -> dict[int, tuple[object, ...]]:
    """Rows of finished trials by number, whole."""
    if not store.exists():
        return {}
    with closing(sqlite3.connect(store, timeout=30)) as database:
        try:
            rows = database.execute(
                "SELECT number, network_key, accuracy, fitness, finished_at"
                " FROM trials WHERE state = 'complete'"
            ).fetchall()
        except sqlite3.OperationalError:  # the tables are not there yet
            return {}
    return {row[0]: row for row in rows}


def start_and_stop(cwd: Path, arguments: list[str], when: int, *signals: signal.Signals) -> int:
    """Run a search until `when` trials are finished, then send it `signals`; return its exit code.

    Each further signal is sent once the search has said something of the one before.
    """
    process = subprocess.Popen(
        [*IMCNAS, *arguments], cwd=cwd, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    assert process.stderr
    limit = monotonic() + 120
    while len(finished(cwd / "runs/studies.sqlite")) < when:
        assert process.poll() is None, "the search ended too early"
        assert monotonic() < limit, "no trial finished"
        sleep(0.05)  # a poll of another process's file, not a wait for luck
    for number in signals[:-1]:
        process.send_signal(number)
        while b"Finishing what is running" not in process.stderr.readline():
            pass
    process.send_signal(signals[-1])
    process.communicate(timeout=120)
    return process.returncode


def losses_fell(rows: dict[int, tuple[object, ...]]) -> bool:
    curves = [[e["train_loss_nats"] for e in json.loads(str(row[2]))["epochs"]] for row in rows.values()]
    return all(len(c) > 5 and c[-1] < 0.8 * c[0] for c in curves)


@pytest.mark.parametrize("workers", ["1", pytest.param("2", marks=pytest.mark.ray)])
def test_sigkill_in_the_middle_loses_no_finished_trial_and_trains_none_twice(
    tmp_path: Path, imcnas: Run, workers: str
):
    arguments = [*SEARCH, "--trials", "7", "--workers", workers]
    store = tmp_path / "runs/studies.sqlite"
    assert start_and_stop(tmp_path, arguments, 2, signal.SIGKILL) == -signal.SIGKILL
    before = finished(store)
    assert len(before) >= 2

    done = imcnas(*arguments)
    assert done.returncode == 0, done.stderr
    after = finished(store)
    assert {n: after[n] for n in before} == before
    assert sorted(after) == list(range(7))
    assert len({row[1] for row in after.values()}) == 7
    assert losses_fell(after)
    trained = [line for line in done.stderr.splitlines() if line.startswith("[")]
    assert len(trained) == 7 - len(before)
    assert f"{len(before)} of 7 trials are there" in done.stderr

    if workers == "1":  # ... and it went on as the unbroken search does
        whole = imcnas(*arguments, "--runs", "unbroken")
        assert whole.returncode == 0, whole.stderr
        unbroken = finished(tmp_path / "unbroken/studies.sqlite")
        assert [(r[1], r[3]) for r in unbroken.values()] == [(after[n][1], after[n][3]) for n in unbroken]


def test_ctrl_c_finishes_what_runs_and_says_how_to_go_on(tmp_path: Path, imcnas: Run):
    arguments = [*SEARCH, "--trials", "40", "--workers", "1"]
    assert start_and_stop(tmp_path, arguments, 1, signal.SIGINT) == 130
    kept = finished(tmp_path / "runs/studies.sqlite")
    again = imcnas(*SEARCH, "--trials", str(len(kept)), "--workers", "1")
    assert again.returncode == 0, again.stderr
    assert finished(tmp_path / "runs/studies.sqlite") == kept


def test_a_second_ctrl_c_stops_at_once(tmp_path: Path):
    arguments = [*SEARCH, "--trials", "40", "--workers", "1", "--recipe", "standard"]  # seconds a trial
    assert start_and_stop(tmp_path, arguments, 1, signal.SIGINT, signal.SIGINT) == 130
    store = tmp_path / "runs/studies.sqlite"
    assert finished(store)
    with closing(sqlite3.connect(store)) as database:  # ... and left what was running as it was
        assert database.execute("SELECT count(*) FROM trials WHERE state = 'running'").fetchone() == (1,)
