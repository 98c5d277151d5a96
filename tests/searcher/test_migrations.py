"""A store of any earlier version opens as one of this; one of a later version is left alone."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from services.common.errors import NotPossible
from services.common.sql import connect, transaction
from services.searcher.loop import run_search
from services.searcher.migrations import HEAD, VERSION_TABLE, make_config
from services.searcher.rows import TABLES
from services.searcher.store import Store
from services.searcher.types import TrialState, Versions

VERSION_1 = Path(__file__).parent / "data" / "schema_1.sql"


@pytest.fixture
def where(each_database):
    return each_database


@pytest.fixture
def old(tmp_path):
    """A store of before versions were alembic's: a trial complete, one failed, one running, of four."""
    file = sqlite3.connect(tmp_path / "old.db")
    file.executescript(VERSION_1.read_text())
    file.close()
    return tmp_path / "old.db"


def differences(where):
    """What rows.py declares and the database has otherwise."""
    engine = connect(where)
    with transaction(engine, write=False) as connection:
        options = {"include_name": lambda name, kind, _: kind != "table" or name != VERSION_TABLE}
        found = compare_metadata(MigrationContext.configure(connection, opts=options), TABLES)
        look = sa.inspect(connection)
        columns = [
            [c["name"] for c in look.get_columns(table)] for table in ("studies", "trials", "trial_layers")
        ]
    engine.dispose()
    return found, columns


def test_the_migrations_make_the_tables_that_the_code_declares(store, where, old):
    Store(old).close()
    found, columns = differences(where)
    assert found == []
    assert differences(old) == ([], columns)


def test_the_version_of_the_code_is_that_of_the_last_migration(store, sql):
    assert ScriptDirectory.from_config(make_config(None)).get_heads() == [HEAD]
    assert sql("SELECT version_num FROM imcnas_store_version") == [(HEAD,)]


def test_a_store_of_version_1_opens_with_what_it_knows_of_its_trials(old):
    with Store(old) as store:
        study = store.study("old")
        complete, failed, running = store.trials(study)
        whole = store.trial(study, 0)
    assert [t.request_id for t in (complete, failed, running)] == [f"{study.study_id}-{n}" for n in range(3)]
    assert {t.seed for t in (complete, failed, running)} == {study.config.seed} == {7}
    assert complete.versions == Versions(cost_model="fake", torch="fake")
    assert running.versions == Versions(cost_model="fake")
    assert (complete.accuracy.validation_images, failed.failure) == (400, "loss is nan in epoch 1")
    assert [layer.kind for layer in whole.cost.layers] == ["conv2d"]


def test_a_study_of_version_1_goes_on(old, world):
    with Store(old) as store:
        study = store.study("old")
        status = run_search(store, study, cost=world.cost, trainer=world)
        assert (status.complete, status.failed) == (3, 1)
        assert [t.state for t in store.trials(study)][1] is TrialState.FAILED
    assert world.trained == [f"{study.study_id}-2", f"{study.study_id}-3"]


def test_a_store_of_a_later_version_is_refused(store, where, sql):
    sql("UPDATE imcnas_store_version SET version_num = '9999'")
    with pytest.raises(NotPossible, match=f"schema version 9999, this imcnas reads {HEAD}; use the version"):
        Store(where)
    assert sql("SELECT version_num FROM imcnas_store_version") == [("9999",)]


def test_a_study_with_settings_of_a_later_version_is_named(store, sql, make_config):
    store.open_study(make_config(), 3)
    sql("""UPDATE studies SET config = replace(config, '"seed"', '"luck": 1,"seed"')""")
    with pytest.raises(NotPossible, match=r"'test' has settings .* \(luck: unknown field.*use the version"):
        store.study("test")
    with pytest.raises(NotPossible, match="use the version"):
        store.open_study(make_config(), 3)


def test_a_file_of_an_unknown_version_from_before_is_refused(old):
    file = sqlite3.connect(old)
    file.execute("UPDATE schema_version SET version = 2")
    file.commit()
    with pytest.raises(NotPossible, match="schema version 2, which this imcnas does not know"):
        Store(old)
    assert file.execute("SELECT version FROM schema_version").fetchone() == (2,)
    file.close()


def test_tables_of_somebody_else_are_left_alone(where, sql):
    sql("CREATE TABLE studies (id integer)")
    with pytest.raises(NotPossible, match="tables named studies that imcnas did not make; use an empty"):
        Store(where)
    assert sql("SELECT * FROM studies") == []


def test_other_tables_and_versions_beside_ours_do_no_harm(where, sql):
    sql("CREATE TABLE evaluations (id integer)")
    sql("CREATE TABLE alembic_version (version_num varchar)")
    sql("INSERT INTO alembic_version VALUES ('of another tool')")
    Store(where).close()
    assert sql("SELECT version_num FROM alembic_version") == [("of another tool",)]


@pytest.mark.slow
def test_processes_that_open_an_empty_database_at_once_all_find_a_store(where):
    code = "import sys; from services.searcher.store import Store; Store(sys.argv[1]).close()"
    started = [
        subprocess.Popen([sys.executable, "-c", code, str(where)], stderr=subprocess.PIPE) for _ in range(3)
    ]
    assert [(p.communicate(timeout=60)[1].decode(), p.returncode) for p in started] == [("", 0)] * 3
    assert differences(where)[0] == []
