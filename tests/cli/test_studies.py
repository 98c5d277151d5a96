"""`imcnas studies` and `imcnas report` over a store of small studies."""

from __future__ import annotations

import csv
import io
import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pyarrow.parquet as pq
import pytest

from services.searcher import client
from services.searcher.store import Store
from services.searcher.types import HardwareLimits, StudyState
from tests.cli.conftest import Command
from tests.cli.test_live import config, trial


@pytest.fixture
def studies(imcnas: Command) -> Command:
    """Leave studies in runs/: `first` with two trials and a failed one, `other` with one, `empty`."""
    blocks = {"first": (("VGG8", 0.8), ("RES8-VGG16", 0.9)), "other": (("VGG8", 0.7),), "empty": ()}
    with closing(Store(Path("runs/studies.sqlite"))) as store:
        for name, networks in blocks.items():
            study = store.open_study(replace(config(), name=name), 3)
            made = [trial(n, text, share) for n, (text, share) in enumerate(networks)]
            made += [trial(2, "RES16", failure="loss is nan")] if name == "first" else []
            for each in made:
                store.insert_trial(study, replace(trial(each.number, str(each.candidate)), started_at=-1.0))
                store.finish_trial(study, each)
            store.set_state(study.study_id, StudyState.FINISHED)
            store.release(study.study_id)
    return imcnas


def test_the_list_has_a_line_a_study(studies):
    code, out, _ = studies("studies", "list")
    assert code == 0
    assert [line.split()[:3] for line in out.splitlines()] == [
        ["first", "finished", "2/3"], ["other", "finished", "1/3"], ["empty", "finished", "0/3"],
    ]  # fmt: skip
    assert studies("report")[1] == out


def test_a_study_is_shown_with_its_limits(imcnas):
    with closing(Store(Path("runs/studies.sqlite"))) as store:
        limits = HardwareLimits(max_energy_nj=5000.0, max_tiles=64)
        store.open_study(replace(config(), name="cheap", hardware_limits=limits), 3)
    out = imcnas("studies", "show", "cheap")[1]
    assert "limits: max_energy_nj 5000, max_tiles 64" in " ".join(out.split())


def test_the_list_keeps_its_columns_however_long_a_name_is(imcnas):
    with closing(Store(Path("runs/studies.sqlite"))) as store:
        for name in ("short", "a-very-long-name-" * 4):
            store.open_study(replace(config(), name=name), 3)
    lines = imcnas("studies", "list")[1].splitlines()
    assert len({line.index("0/3 trials") for line in lines}) == 1


def test_the_list_for_programs_has_the_best_and_the_front(studies):
    rows = [json.loads(line) for line in studies("studies", "list", "--json")[1].splitlines()]
    assert [(row["study"], row["complete"], row["failed"]) for row in rows] == [
        ("first", 2, 1), ("other", 1, 0), ("empty", 0, 0),
    ]  # fmt: skip
    assert rows[0]["best"]["blocks"] == "RES8-VGG16"
    assert [t["blocks"] for t in rows[0]["front"]] == ["VGG8", "RES8-VGG16"]
    assert rows[2]["best"] is None


def test_a_study_is_shown_with_its_settings_and_nothing_is_written(studies):
    code, out, _ = studies("studies", "show", "first")
    assert code == 0
    assert "Best by accuracy: RES8-VGG16" in out
    assert "tpe, seed 0; recipe quick, 20 epochs; chip c; 819 configurations" in out
    assert "limits" not in out
    assert [path.name for path in Path("runs").iterdir() if not path.name.startswith("studies.")] == []


def test_every_format_exports_the_same_trials(studies):
    text = studies("studies", "export", "first")[1]
    lines = studies("studies", "export", "first", "--format", "json")[1]
    code, out, err = studies("studies", "export", "first", "--out", "first.parquet")
    assert (code, out) == (0, "")
    assert "Written: first.parquet (3 trials)" in err
    from_csv = list(csv.DictReader(io.StringIO(text)))
    from_json = [json.loads(line) for line in lines.splitlines()]
    from_parquet = pq.read_table("first.parquet").to_pylist()
    assert from_parquet == from_json
    assert [row["blocks"] for row in from_csv] == ["VGG8", "RES8-VGG16", "RES16"]
    assert [float(row["latency_ns"]) for row in from_csv] == [row["latency_ns"] for row in from_json]
    assert (from_json[2]["state"], from_json[2]["accuracy_frac"]) == ("failed", None)
    assert from_csv[2]["accuracy_frac"] == ""


def test_an_empty_study_has_the_columns_of_every_other(studies):
    for name in ("empty", "first"):
        assert studies("studies", "export", name, "--out", f"{name}.parquet")[0] == 0
    assert pq.read_schema("empty.parquet") == pq.read_schema("first.parquet")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("export", "first", "--format", "parquet"), "--out: parquet is no text"),
        (("export", "first", "--out", "first.xlsx"), "ends in .csv, .json or .parquet"),
        (("export", "first", "--out", "nowhere/x.csv"), "--out: cannot write nowhere/x.csv"),
        (("show", "absent"), "no study 'absent'"),
        (("compare", "first"), "two studies or more"),
        (("delete", "first"), "would delete first (3 trials); add --yes"),
        (("list", "--runs", "elsewhere"), "no studies in elsewhere/studies.sqlite"),
    ],
)
def test_what_cannot_be_done_is_one_line_with_the_fix(studies, arguments, told):
    code, out, err = studies("studies", *arguments)
    assert (code, out) == (2, "")
    assert told in err
    assert len(err.splitlines()) == 1


def test_a_comparison_has_a_row_a_study_against_one_reference(studies):
    code, out, _ = studies("studies", "compare", "first", "other", "empty")
    assert code == 0
    assert [line.split()[:2] for line in out.splitlines()[1:4]] == [
        ["first", "3"],
        ["other", "1"],
        ["empty", "0"],
    ]
    rows = [
        json.loads(line) for line in studies("studies", "compare", "first", "other", "--json")[1].splitlines()
    ]
    assert rows[0]["reference_latency_ns"] == rows[1]["reference_latency_ns"]
    assert rows[0]["latency_hypervolume_frac"] > rows[1]["latency_hypervolume_frac"] > 0
    assert rows[0]["highest_accuracy_frac"] == 0.9


def test_what_is_deleted_is_gone_and_the_others_stay(studies):
    assert studies("studies", "delete", "first", "empty", "--yes")[:2] == (
        0,
        "Deleted: first\nDeleted: empty\n",
    )
    assert [line.split()[0] for line in studies("studies", "list")[1].splitlines()] == ["other"]


def test_a_running_study_is_not_deleted(studies):
    with closing(Store(Path("runs/studies.sqlite"))) as store:
        store.acquire(store.study("first").study_id)
        code, _, err = studies("studies", "delete", "first", "--yes")
        assert code == 2
        assert "is being searched by" in err


def test_a_report_is_a_page_figures_and_tables(studies):
    code, out, _ = studies("report", "first")
    folder = Path("runs/first")
    assert code == 0
    assert {path.name for path in folder.iterdir()} == {"report.html", "figures", "trials.csv", "best.json"}
    stems = {path.stem for path in (folder / "figures").iterdir()}
    assert {"accuracy", "accuracy_latency", "accuracy_energy", "front", "choices"} <= stems
    for stem in stems:
        kinds = [(folder / "figures" / f"{stem}{kind}").read_bytes()[:5] for kind in (".png", ".pdf", ".svg")]
        assert kinds == [b"\x89PNG\r", b"%PDF-", b"<?xml"]
    assert f"{folder / 'report.html'}" in out
    assert f"{folder / 'figures/front.png'} (.svg, .pdf)" in out
    assert "trial 2, RES16: loss is nan" in (folder / "report.html").read_text()


def test_a_report_of_an_empty_study_is_a_page_that_says_so(studies):
    code, out, _ = studies("report", "empty")
    assert code == 0
    assert "No trial is complete yet" in out
    assert "No trial is complete yet" in Path("runs/empty/report.html").read_text()


def test_several_studies_are_one_page(studies):
    code, out, _ = studies("report", "first", "other", "first")
    assert code == 0
    text = Path("runs/first+other/report.html").read_text()
    assert "2 studies side by side" in text
    assert "runs/first+other/figures/compared_latency.png (.svg, .pdf)" in out


def test_a_search_at_a_searcher_is_ended_by_its_name(imcnas, monkeypatch):
    told = []

    class Remote:
        def __init__(self, address):
            told.append(address)

        def __enter__(self):
            return self

        def __exit__(self, *error):
            pass

        def status(self, name):
            return SimpleNamespace(state=StudyState.RUNNING if name == "runs" else StudyState.FINISHED)

        def cancel(self, name):
            told.append(name)

    monkeypatch.setattr(client, "Searcher", Remote)
    code, out, _ = imcnas("studies", "cancel", "runs", "ended", "--searcher", "host:50071")
    assert code == 0
    assert told == ["host:50071", "runs", "ended"]
    assert out.splitlines() == ["runs: ends when its running trials have", "ended: is finished"]


def test_a_searcher_that_is_not_there_is_named(imcnas):
    code, _, err = imcnas("studies", "cancel", "mine", "--searcher", "127.0.0.1:1")
    assert code == 2
    assert "127.0.0.1:1" in err
