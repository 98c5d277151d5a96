"""A database that fails names itself and the fix; what was committed is there when it is mended."""

import logging
import os
import signal
import sqlite3
import subprocess
import sys
import time

import pytest
import sqlalchemy as sa

from services.common import sql as common_sql
from services.common.codec import dumps
from services.common.errors import InvalidRequest, NotPossible, StudyConflict, Unavailable
from services.common.sql import database_name
from services.searcher import database, manager
from services.searcher.loop import run_search
from services.searcher.manager import SearchManager
from services.searcher.store import Store
from services.searcher.types import StudyState

URL = "postgresql://ada:s3cret@localhost:1/imcnas"


@pytest.fixture
def url(postgres):
    return postgres.new_schema()


@pytest.fixture
def search(world, make_config):
    """Run the study of a store to six trials."""

    def run(store):
        study = store.open_study(make_config(), 6)
        return run_search(store, study, cost=world.cost, trainer=world)

    return run


def at_trial(world, number, action):
    """Do something once, when a trial is being trained."""

    def before(request):
        if request.request_id.endswith(f"-{number}"):
            world.before = lambda request: None
            action()

    world.before = before


class WhenLogged(logging.Handler):
    """Do something once, when a warning is logged."""

    def __init__(self, name, part, action):
        super().__init__(logging.WARNING)
        self.part, self.action = part, action
        self.said = []
        self.logger = logging.getLogger(name)

    def emit(self, record):
        self.said.append(record.getMessage())
        if self.part in record.getMessage() and self.action:
            action, self.action = self.action, None
            action()

    def __enter__(self):
        self.logger.addHandler(self)
        return self

    def __exit__(self, *_):
        self.logger.removeHandler(self)


@pytest.mark.parametrize(
    ("where", "name"),
    [
        ("runs/studies.sqlite", "runs/studies.sqlite"),
        ("sqlite:///runs/studies.sqlite", "sqlite:///runs/studies.sqlite"),
        (URL, "postgresql://ada:***@localhost:1/imcnas"),
        ("postgres://ada:s3cret@db", "postgresql://ada:***@db"),
        ("postgresql+psycopg://ada@db/x?password=s3cret", "postgresql://ada@db/x?password=hidden"),
        ("postgresql://ada:s3@cret@db/imcnas", "postgresql://..."),
        ("postgresql://ada:s3cret", "postgresql://..."),
        ("mysql://ada:s3cret@db", "mysql://..."),
    ],
)
def test_a_database_is_named_without_its_password(where, name):
    assert database_name(where) == name


@pytest.mark.parametrize(
    ("where", "fix"),
    [
        (URL, r"postgresql://ada:\*\*\*@localhost:1/imcnas .*see that its server runs"),
        ("postgresql://ada:s3@cret@db/imcnas", "write @ in a password as %40"),
        ("postgresql://ada:s3cret", "this is no URL; write postgresql://USER@HOST:PORT/NAME"),
        ("mysql://ada:s3cret@db", "wanted the path of a SQLite file, or postgresql://"),
    ],
)
def test_a_url_that_cannot_be_opened_is_refused_without_its_password(where, fix):
    pytest.importorskip("psycopg")
    with pytest.raises(InvalidRequest, match=f"store: cannot open .*{fix}") as caught:
        Store(where)
    assert "cret" not in str(caught.value)


def test_a_missing_driver_is_named_with_what_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(InvalidRequest, match=r"needs psycopg; run: pip install 'imcnas\[postgres\]'"):
        Store(URL)


def test_a_path_that_cannot_be_a_store_is_named_with_a_fix(tmp_path):
    (tmp_path / "text").write_text("not a database, but longer than the header of one would be" * 4)
    for path in (tmp_path / "text", tmp_path / "text" / "below.db", tmp_path):
        with pytest.raises(InvalidRequest, match=f"cannot open {path} as a store.* give a path"):
            Store(path)


def test_a_commit_is_on_the_disk_and_references_hold(store):
    with store._transaction(write=False) as connection:
        pragmas = [
            connection.exec_driver_sql(f"PRAGMA {p}").scalar()
            for p in ("journal_mode", "synchronous", "foreign_keys")
        ]
    assert pragmas == ["wal", 2, 1]  # 2 is FULL


def test_a_search_on_a_full_disk_keeps_what_was_finished_and_goes_on_when_there_is_room(store, search, world):
    pages = [10**6]
    sa.event.listen(
        store._database._engine,
        "begin",
        lambda connection: connection.exec_driver_sql(f"PRAGMA max_page_count = {pages[0]}"),
    )
    at_trial(world, 3, lambda: pages.__setitem__(0, 1))  # as large as the file is, and no larger
    fix = "database or disk is full.*make room on its disk.*What was finished is kept"
    with pytest.raises(NotPossible, match=f"store: {store.name} failed .*{fix}"):
        search(store)
    kept = [t for t in store.trials(store.study("test")) if t.state == "complete"]
    assert len(kept) >= 3
    pages[0] = 10**6
    world.trained.clear()
    status = search(store)
    assert status.complete == 6
    assert store.trials(store.study("test"))[: len(kept)] == tuple(kept)
    assert world.trained == [f"{status.study_id}-{n}" for n in range(len(kept), 6)]


def test_a_file_that_is_locked_for_long_is_an_error_that_says_so(where, monkeypatch, make_config):
    monkeypatch.setattr(common_sql, "BUSY_TIMEOUT_S", 0.05)
    with Store(where) as store:
        other = sqlite3.connect(where)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(NotPossible, match=r"is locked.*another process has held it.*end that one"):
            store.open_study(make_config(), 3)
        other.rollback()
        other.close()
        assert store.open_study(make_config(), 3).trials_wanted == 3


def test_a_connection_that_broke_meanwhile_is_made_again(url, search, postgres):
    with Store(url) as store:
        assert search(store).complete == 6
        postgres.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
        )
        assert store.study("test").state is StudyState.FINISHED


def test_a_server_that_restarts_costs_a_search_nothing(url, search, postgres, world):
    at_trial(world, 2, postgres.kill)
    with Store(url) as store, WhenLogged(database.__name__, "does not answer", postgres.start) as log:
        status = search(store)
    assert status.complete == 6
    assert world.trained == [f"{status.study_id}-{n}" for n in range(6)]
    assert "hidden" not in log.said[0]
    assert "waiting for it up to 60 s" in log.said[0]


def test_a_server_that_stays_away_ends_the_search_which_goes_on_later(
    url, search, postgres, world, monkeypatch
):
    monkeypatch.setattr(database, "PATIENCE_S", 0.0)
    monkeypatch.setattr(database, "RETRY_S", 0.01)
    at_trial(world, 2, postgres.kill)
    with Store(url) as store:
        with pytest.raises(Unavailable, match=r"store: lost postgresql://imcnas@.*run the same search again"):
            search(store)
        postgres.start()
        study = store.study("test")
        assert [str(t.state) for t in store.trials(study)] == ["complete", "complete", "running"]
        world.trained.clear()
        assert search(store).complete == 6
    assert world.trained == [f"{study.study_id}-{n}" for n in range(2, 6)]


def test_a_service_goes_on_when_its_database_is_back(url, postgres, world, make_config, monkeypatch):
    for module, name in ((database, "PATIENCE_S"), (database, "RETRY_S"), (manager, "AWAY_S")):
        monkeypatch.setattr(module, name, 0.01)
    at_trial(world, 2, postgres.kill)
    with WhenLogged(manager.__name__, "waits: store: lost", postgres.start):
        service = SearchManager(url, Oracle(world), world)
        study_id = service.create(make_config(), 4)
        while service._running:
            thread, _ = next(iter(service._running.values()), (None, None))
            if thread:
                thread.join(timeout=60)
        assert service.status(study_id).state is StudyState.FINISHED
        service.close()


class Oracle:
    def __init__(self, world):
        self.world = world

    def evaluate(self, layers, chip):
        return self.world.cost(layers)


def test_a_connection_that_breaks_in_the_middle_commits_nothing_and_says_so(url, make_config):
    with Store(url) as store:
        study = store.open_study(make_config(), 3)

        def break_in_the_middle():
            with store._transaction() as connection:
                connection.execute(sa.text("UPDATE studies SET trials_wanted = 99"))
                connection.execute(sa.text("SELECT pg_terminate_backend(pg_backend_pid())"))

        with pytest.raises(Unavailable, match="store: lost"):
            break_in_the_middle()
        assert store.trials_wanted(study.study_id) == 3


def test_a_lease_on_a_server_goes_by_its_clock_whatever_the_others_say(url, make_config, monkeypatch):
    with Store(url) as ours, Store(url) as theirs:
        ours.open_study(make_config(), 3)
        now = time.time()
        monkeypatch.setattr(time, "time", lambda: now + 3600)
        assert theirs.study("test").state is StudyState.RUNNING
        with pytest.raises(StudyConflict, match="is being searched by"):
            theirs.open_study(make_config(), 3)


DIES = """
import os, signal, sys
from services.common.codec import loads
from services.searcher.loop import run_search
from services.searcher.store import Store
from services.searcher.types import StudyConfig
from tests.searcher.conftest import World

world = World()
world.before = lambda request: request.request_id.endswith("-2") and os.kill(os.getpid(), signal.SIGKILL)
store = Store(sys.argv[1])
study = store.open_study(loads(StudyConfig, sys.stdin.read()), 6)
run_search(store, study, cost=world.cost, trainer=world)
"""


@pytest.mark.slow
def test_sigkill_loses_only_what_was_in_flight_which_keeps_its_request_id(
    each_database, search, world, make_config
):
    died = subprocess.run(
        [sys.executable, "-c", DIES, str(each_database)],
        input=dumps(make_config()), text=True, env=os.environ | {"PYTHONPATH": os.getcwd()}, timeout=60,
    )  # fmt: skip
    assert died.returncode == -signal.SIGKILL
    with Store(each_database) as store:
        study = store.study("test")
        assert study.state is StudyState.INTERRUPTED
        before = store.trials(study)
        assert [str(t.state) for t in before] == ["complete", "complete", "running"]
        assert search(store).complete == 6
        after = store.trials(study)
    assert after[:2] == before[:2]
    assert world.trained[0] == before[2].request_id == after[2].request_id == f"{study.study_id}-2"
    assert len(world.trained) == 4
