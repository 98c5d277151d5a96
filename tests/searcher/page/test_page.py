"""The page: one file that stands alone, whatever the names and texts in it."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace

import pytest

from services.common.errors import InvalidRequest
from services.common.units import NS_PER_US
from services.searcher.page import rows, scatter
from services.searcher.page.html import page
from services.searcher.types import StudyState, TrialState
from tests.searcher.conftest import FAILED
from tests.searcher.page.conftest import Read

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&"


@pytest.fixture
def single(make_view):
    return page([make_view()])


def scripts(read):
    return [attributes for tag, attributes in read.elements if tag == "script"]


def test_a_page_refers_to_nothing_outside_itself(single):
    read = Read(single)
    for tag, attributes in read.elements:
        assert tag not in ("link", "img", "iframe", "object", "base", "form")
        assert "src" not in attributes
        assert (attributes.get("href") or "#").startswith("#")
        assert not any(name.startswith("on") for name in attributes)
    assert not re.search(r"url\(|@import|https?://|fetch\(|XMLHttpRequest", single)


def test_the_browser_is_told_to_run_the_pages_own_script_alone(single):
    (policy,) = re.findall(r'content="(default-src[^"]*)"', single)
    (script,) = re.findall(r"<script>(.*?)</script>", single, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy.replace("&#39;", "'") == (
        f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    )


def test_hostile_texts_are_shown_and_never_run(make_view, searched):
    status, trials = searched
    trials = tuple(replace(t, failure=HOSTILE) if t.number == FAILED else t for t in trials)
    dataset = replace(status.config.dataset, name=HOSTILE, description=HOSTILE)
    config = replace(status.config, dataset=dataset, chip_name=HOSTILE)
    text = page([make_view(trials, config=config, failure=HOSTILE, note=HOSTILE, state=StudyState.FAILED)])
    read = Read(text)
    assert len(scripts(read)) == 1
    assert "img" not in [tag for tag, _ in read.elements]
    assert f"trial {FAILED}, {trials[FAILED].candidate}: {HOSTILE}" in read.text
    assert text.count("<script>") == text.count("</script>") == 1


def test_the_table_has_each_complete_trial_with_numbers_that_sort(single, searched):
    told = {int(row[0][0]): row for row in Read(single).rows()}
    complete = [trial for trial in searched[1] if trial.accuracy]
    assert sorted(told) == [trial.number for trial in complete]
    for trial in complete:
        row = told[trial.number]
        accuracy, latency, energy, area, power, tiles, fitness, trained = (float(v) for v, _ in row[2:10])
        assert row[1][1].endswith(str(trial.candidate))
        assert accuracy == 100 * trial.accuracy.accuracy_frac
        assert (latency, energy, area) == (trial.cost.latency_ns, trial.cost.energy_nj, trial.cost.area_um2)
        assert (power, tiles) == (trial.cost.average_power_w, trial.cost.tiles)
        assert (fitness, trained) == (trial.fitness, trial.accuracy.train_s)
        assert float(row[3][1]) == pytest.approx(trial.cost.latency_ns / NS_PER_US, rel=1e-3)


def test_a_point_leads_to_its_row(single):
    read = Read(single)
    ids = {attributes["id"] for _, attributes in read.elements if "id" in attributes}
    points = {attributes["data-n"] for _, attributes in read.elements if "data-n" in attributes}
    assert points
    assert {f"s1t{number}" for number in points} <= ids


def test_the_best_is_drawn_layer_by_layer(make_view):
    view = make_view()
    text = Read(page([view])).text
    best = view.networks[0]
    assert best.number == view.status.best.number
    assert f"trial {best.number}: " in text
    assert text.count("linear, 200") == len(view.networks)


def test_a_search_for_a_front_names_its_quantities_and_the_most_accurate(make_view, searched):
    config = replace(searched[0].config, objective="pareto(accuracy,latency)")
    text = Read(page([make_view(config=config)])).text
    assert "undominated in accuracy, latency" in text
    assert "the most accurate" in text


def test_an_empty_study_says_why_there_is_nothing_to_draw(make_view):
    text = page([make_view((), failure="the data set is gone", state=StudyState.FAILED)])
    read = Read(text)
    assert "No trial is complete yet" in read.text
    assert "the data set is gone" in read.text
    assert "svg" not in [tag for tag, _ in read.elements]


def test_one_trial_is_enough_for_a_page(make_view, searched):
    read = Read(page([make_view(searched[1][:1])]))
    assert [row[0][0] for row in read.rows()] == ["0"]
    assert "svg" in [tag for tag, _ in read.elements]


def test_a_running_trial_is_no_row_and_no_point(make_view, searched):
    running = replace(searched[1][1], state=TrialState.RUNNING, accuracy=None, fitness=None, finished_at=0.0)
    read = Read(page([make_view((searched[1][0], running))]))
    assert [row[0][0] for row in read.rows()] == ["0"]


def test_studies_side_by_side_have_a_row_each_and_their_own_parts(make_view, searched):
    first, other = make_view(), make_view(searched[1][:3])
    other = replace(other, status=replace(other.status, config=replace(other.config, name="other")))
    read = Read(page([first, other, make_view(())]))
    assert {"compared", "s1", "s2", "s3"} <= {a["id"] for _, a in read.elements if "id" in a}
    assert "3 studies side by side" in read.text
    named = [cells for cells in read.cells if cells and cells[0][1] in ("test", "other")]
    assert [row[0][1] for row in named] == ["test", "other", "test"]
    assert [row[2][1] for row in named] == ["12", "3", "0"]


def test_more_studies_than_colours_are_refused(make_view):
    with pytest.raises(InvalidRequest, match="study: got '7 studies', wanted 1 to 6"):
        page([make_view()] * 7)


def many(trials, count):
    """Copies of complete trials with costs and accuracies of their own."""
    complete = [trial for trial in trials if trial.accuracy]
    for number in range(count):
        trial = complete[number % len(complete)]
        factor = 1 + (number * 7919 % 10_007) / 1000
        accuracy = 0.5 + 0.49 * ((number * 104_729) % 9973) / 9973
        yield replace(
            trial, number=number, started_at=float(number), finished_at=number + 1.0,
            fitness=accuracy / factor,
            accuracy=replace(trial.accuracy, accuracy_frac=accuracy),
            cost=replace(trial.cost, latency_ns=trial.cost.latency_ns * factor, energy_nj=1e3 * factor**2),
        )  # fmt: skip


@pytest.mark.slow
def test_ten_thousand_trials_make_a_page_of_a_few_megabytes_that_says_what_it_leaves_out(make_view, searched):
    view = make_view(tuple(many(searched[1], 10_000)))
    text = page([view])
    read = Read(text)
    assert len(text) < 3e6
    assert len(read.rows()) == rows.MAX_ROWS
    assert "1,000 of 10,000 complete trials" in read.text
    assert f"{scatter.MAX_POINTS:,} of 10,000 trials are drawn" in read.text
