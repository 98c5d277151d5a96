import csv
import json
from dataclasses import replace

import numpy as np
import pytest

from services.common.candidate import parse_blocks
from services.common.codec import from_jsonable
from services.common.errors import InvalidRequest
from services.common.network_json import network_from_json, network_key
from services.hw_oracle.types import ChipConfig
from services.searcher.figures import accuracy_figure, energy_figure, latency_figure
from services.searcher.report import over_limits, reading_notes, write_report
from services.searcher.types import Proposal, TrialState
from tests.searcher.conftest import FAILED


def with_accuracy(trial, accuracy_frac, fitness):
    accuracy = replace(trial.accuracy, accuracy_frac=accuracy_frac, accuracy_stderr_frac=0.01)
    return replace(trial, accuracy=accuracy, fitness=fitness)


def labelled(axes):
    handles, labels = axes.get_legend_handles_labels()
    return dict(zip(labels, handles, strict=True))


def test_a_report_for_programs_is_a_table_and_the_best(searched, tmp_path):
    files = write_report(*searched, tmp_path / "new" / "report")
    assert set((tmp_path / "new" / "report").iterdir()) == {files.trials, files.best}


def test_the_table_has_a_row_for_each_trial(searched, tmp_path):
    status, trials = searched
    with write_report(status, trials, tmp_path).trials.open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["number"]) for row in rows] == list(range(12))
    assert [row["blocks"] for row in rows] == [str(t.candidate) for t in trials]
    assert float(rows[0]["accuracy_frac"]) == trials[0].accuracy.accuracy_frac
    assert float(rows[0]["latency_ns"]) == trials[0].cost.latency_ns
    failed = rows[FAILED]
    assert (failed["state"], failed["failure"], failed["accuracy_frac"], failed["fitness"]) == (
        "failed", "loss is nan", "", "",
    )  # fmt: skip
    assert sum(int(row["on_front"]) for row in rows) == len(status.front)


def test_the_best_can_be_made_again_from_its_file(searched, tmp_path):
    status, trials = searched
    best = json.loads(write_report(status, trials, tmp_path).best.read_text())
    assert best["trial"] == status.best.number
    assert network_key(network_from_json(best["network"])) == best["network_key"] == status.best.network_key
    assert (best["fitness"], best["fitness_unit"]) == (status.best.fitness, "1/ms")
    assert best["recipe"]["epochs"] == 1
    assert from_jsonable(ChipConfig, best["chip"]) == status.config.chip
    assert best["cost"]["latency_ns"] == status.best.cost.latency_ns
    assert best["versions"]["cost_model"] == "fake"


def test_a_report_written_again_replaces_the_old_one(searched, tmp_path):
    folder = tmp_path / "report"
    write_report(*searched, folder)
    (folder / "best.json").write_text("old")
    files = write_report(*searched, folder)
    assert json.loads(files.best.read_text())["study"] == "test"
    assert len(list(folder.iterdir())) == 2  # nothing temporary is left


def test_a_folder_that_cannot_be_written_to_is_named_with_a_fix(searched, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidRequest, match=r"output: cannot write to .*file.*; give a folder"):
        write_report(*searched, tmp_path / "file")


def test_without_a_complete_trial_there_is_an_empty_table_and_no_best(searched, tmp_path):
    status, trials = searched
    files = write_report(replace(status, best=None), trials[:0], tmp_path / "none")
    assert files.best is None
    assert files.trials.read_text().startswith("number,state,")
    assert len(files.trials.read_text().splitlines()) == 1


def test_networks_within_one_standard_error_of_the_best_are_noted(searched):
    status, trials = searched
    status = replace(status, config=replace(status.config, objective="accuracy"))
    best, close, far = (
        with_accuracy(trials[i], accuracy, accuracy) for i, accuracy in ((0, 0.9), (1, 0.891), (2, 0.889))
    )
    (note,) = reading_notes(replace(status, best=best), [best, close, far])
    assert note.startswith(f"1 more within one standard error of the best ({close.candidate})")
    assert "on 400 validation images" in note
    assert reading_notes(replace(status, best=best), [best, far]) == ()


def test_a_ratio_that_rewards_the_cheapest_network_is_noted(searched):
    status, trials = searched
    cheap = with_accuracy(replace(trials[0], cost=replace(trials[0].cost, latency_ns=1e4)), 0.6, 60.0)
    dear = with_accuracy(replace(trials[1], cost=replace(trials[1].cost, latency_ns=9e4)), 0.9, 10.0)
    (note,) = reading_notes(replace(status, best=cheap), [cheap, dear])
    assert "lowest latency of all" in note
    best = replace(dear, fitness=70.0)
    assert reading_notes(replace(status, best=best), [cheap, best]) == ()


def test_an_enqueued_network_that_was_over_a_limit_is_noted(searched):
    status, trials = searched
    over, evaluated, waiting = (status.config.space.candidate(parse_blocks(text)) for text in (
        "RES32-RES32-RES32", str(trials[3].candidate), "VGG8-VGG8-RES8"
    ))  # fmt: skip
    config = replace(status.config, enqueued=(over, evaluated, waiting))
    assert over_limits(config, trials[:2]) == ["RES32-RES32-RES32", str(evaluated)]
    assert over_limits(config, trials[:4]) == ["RES32-RES32-RES32", "VGG8-VGG8-RES8"]
    note = reading_notes(replace(status, config=config), trials[:4])[0]
    assert note == "enqueued, but over a limit, and so not evaluated: RES32-RES32-RES32, VGG8-VGG8-RES8"


@pytest.mark.parametrize("draw", [accuracy_figure, latency_figure, energy_figure])
def test_a_figure_says_what_it_shows_of_which_study(searched, draw):
    axes = draw(*searched).axes[0]
    assert axes.get_title(loc="left")
    (about, label) = (text.get_text() for text in axes.texts)
    assert about == "study test · digits · objective accuracy/latency · n\u00a0=\u00a011 and 1 failed"
    assert label.startswith(str(searched[0].best.candidate))
    assert axes.get_xlabel()
    assert axes.get_ylabel() == "validation accuracy (%), ± 1 standard error"


def test_each_trial_has_its_error_bar_and_the_best_its_star(searched):
    status, trials = searched
    complete = [t for t in trials if t.accuracy]
    axes = latency_figure(status, trials).axes[0]
    segments = [bar for container in axes.containers for bar in container[2][0].get_segments()]
    drawn = sorted((x * 1e3, (low + high) / 200, (high - low) / 200) for (x, low), (_, high) in segments)
    told = [(t.cost.latency_ns, t.accuracy.accuracy_frac, t.accuracy.accuracy_stderr_frac) for t in complete]
    assert np.array(drawn) == pytest.approx(np.array(sorted(told)))
    assert all(stderr > 0 for _, _, stderr in told)
    (star,) = (line for line in axes.lines if line.get_marker() == "*")
    best = status.best
    assert star.get_xydata()[0] == pytest.approx(
        (best.cost.latency_ns / 1e3, 100 * best.accuracy.accuracy_frac)
    )


def test_start_up_model_and_mutation_are_told_apart(searched):
    status, trials = searched
    trials = [replace(t, proposal=Proposal.MUTATION if t.number == 11 else Proposal.STRATEGY) for t in trials]
    series = labelled(latency_figure(status, trials).axes[0])
    drawn = {name: len(series[name].lines[0].get_xdata()) for name in series if "of" in name or "dr" in name}
    # 4 start-up trials; of the other 8 one failed and one is said to be a mutation
    assert len(series["random draw"].lines[0].get_xdata()) == 4
    assert len(series["proposed by the strategy"].lines[0].get_xdata()) == 6
    assert drawn["mutation of the best"] == 1


def test_the_front_climbs_in_steps_through_the_best_at_each_latency(searched):
    status, trials = searched
    axes = latency_figure(status, trials).axes[0]
    xs, ys = labelled(axes)["front"].get_data()
    complete = [t for t in trials if t.state is TrialState.COMPLETE]
    for x, y in zip(xs, ys, strict=True):
        reached = [t.accuracy.accuracy_frac for t in complete if t.cost.latency_ns <= x * 1e3 * (1 + 1e-12)]
        assert y == pytest.approx(100 * max(reached))


@pytest.mark.parametrize(("ratio", "scale"), [(9.0, "linear"), (11.0, "log")])
def test_a_cost_axis_is_logarithmic_where_costs_span_more_than_ten_times(searched, ratio, scale):
    status, trials = searched
    first, second = (t for t in trials[:2])
    second = replace(second, cost=replace(second.cost, energy_nj=first.cost.energy_nj * ratio))
    figure = energy_figure(replace(status, best=first), [first, second])
    assert figure.axes[0].get_xscale() == scale


@pytest.mark.parametrize("draw", [accuracy_figure, latency_figure, energy_figure])
def test_one_trial_is_enough_for_a_figure(searched, draw):
    status, trials = searched
    figure = draw(replace(status, best=trials[0], complete=1), trials[:1])
    assert figure.axes[0].get_xlim()[0] < figure.axes[0].get_xlim()[1]
