"""The numbers in the charts are the trials'."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.common.space import load_space
from services.searcher.figures import energy_figure
from services.searcher.page import scatter
from services.searcher.page.chart import Axis, Look, corners, ticks
from services.searcher.page.choices import choices, top_tenth
from services.searcher.page.networks import drawing
from services.searcher.page.plot import choices_figure, figure
from services.searcher.page.progress import best_so_far, elapsed, hypervolumes, progress_charts
from services.searcher.page.scatter import ENERGY, LATENCY, cost_chart, distribution_chart, map_chart, thin
from services.searcher.page.settings import settings
from services.searcher.page.svg import draw
from services.searcher.page.view import finished, reference_candidates
from services.searcher.status import latency_hypervolume
from services.searcher.types import HardwareLimits


def marks(chart, *looks):
    return {m.number: m for points in chart.points if points.look in looks for m in points.marks}


DRAWN = (Look.DRAWN, Look.MODELLED, Look.MUTATED)


@pytest.mark.parametrize(("quantity", "size"), [(LATENCY, 1e3), (ENERGY, 1e3)])
def test_points_are_the_trials_costs_and_accuracies(make_view, quantity, size):
    view = make_view()
    found = marks(cost_chart(view, quantity), *DRAWN)
    assert sorted(found) == [trial.number for trial in view.complete]
    for trial in view.complete:
        mark = found[trial.number]
        assert mark.x == getattr(trial.cost, quantity[2]) / size
        assert mark.y == 100 * trial.accuracy.accuracy_frac
        assert mark.error == 100 * trial.accuracy.accuracy_stderr_frac
        assert str(trial.candidate) in mark.label


def test_the_star_is_the_best(make_view):
    view = make_view()
    for chart in (cost_chart(view, LATENCY), cost_chart(view, ENERGY), map_chart(view)):
        assert [*marks(chart, Look.BEST)] == [view.status.best.number]


def test_the_map_outlines_the_front_of_three_and_colours_by_accuracy(make_view):
    view = make_view()
    chart = map_chart(view)
    assert set(marks(chart, Look.FRONT)) == {trial.number for trial in view.status.front}
    both = marks(chart, Look.FRONT, Look.SHADED)
    assert len(both) == len(view.complete)
    _, low, high = chart.shade
    for trial in view.complete:
        shade = both[trial.number].shade_frac
        assert low + shade * (high - low) == pytest.approx(100 * trial.accuracy.accuracy_frac)


def test_the_histogram_counts_every_complete_trial(make_view):
    view = make_view()
    bars = distribution_chart(view).bars
    assert sum(bars.counts) == len(view.complete)
    assert bars.edges[0] == min(100 * t.accuracy.accuracy_frac for t in view.complete)


def limited(view):
    """Give the study limits of 123 µs and 4 µJ."""
    limits = HardwareLimits(max_latency_ns=123e3, max_energy_nj=4e3)
    return replace(view, status=replace(view.status, config=replace(view.config, hardware_limits=limits)))


def test_limits_are_drawn_where_the_study_has_them(make_view):
    view = make_view()
    assert not [rule for rule in cost_chart(view, LATENCY).rules if rule.look == "limit"]
    view = limited(view)
    rules = [rule for rule in cost_chart(view, LATENCY).rules if rule.look == "limit"]
    assert [(rule.value, rule.label) for rule in rules] == [(123.0, "limit 123 µs")]
    assert [(r.axis, r.value) for r in map_chart(view).rules] == [("x", 123.0), ("y", 4.0)]
    assert ("limit of latency", "123,000 ns") in settings(view)
    axes = energy_figure(view.status, view.trials).axes[0]
    (line,) = (line for line in axes.lines if line.get_label() == "limit")
    assert [*line.get_xdata()] == [4.0, 4.0]


def test_the_best_so_far_never_falls_and_failures_count_as_trainings(make_view):
    view = make_view()
    best = best_so_far(finished(view.trials))
    assert len(best) == len(view.trials)
    assert best == sorted(best)
    assert best[-1] == view.status.best.fitness


def test_the_hypervolume_of_progress_is_that_of_all_trials_at_the_end(make_view):
    view = make_view()
    reference = max(trial.cost.latency_ns for trial in view.complete)
    found = hypervolumes(finished(view.trials), "latency_ns", reference)
    assert found == sorted(found)
    assert found[-1] == pytest.approx(latency_hypervolume(view.trials, reference))


def test_time_is_told_from_the_first_start_in_a_fitting_unit(searched):
    trial = searched[1][0]
    ended = [replace(trial, started_at=100.0 + s, finished_at=160.0 + s) for s in (0, 60, 120)]
    assert elapsed(ended) == ("min", [1.0, 2.0, 3.0])


def test_shares_of_choices_add_up_to_one_in_each_group(make_view):
    view = make_view()
    assert len(top_tenth(view.complete)) == 2
    for choice in choices(view):
        for group in ("all_frac", "top_frac", "front_frac"):
            assert sum(getattr(share, group) for share in choice.shares) == pytest.approx(1)


def test_depths_are_counted_by_network_and_types_by_block(make_view):
    view = make_view()
    types, depths, _ = choices(view)
    networks = [trial.candidate.blocks for trial in view.complete]
    blocks = [str(block.type) for network in networks for block in network]
    assert [s.all_frac for s in depths.shares] == [
        pytest.approx(sum(len(network) == depth for network in networks) / len(networks))
        for depth in (1, 2, 3)
    ]
    assert types.shares[0].all_frac == pytest.approx(blocks.count(types.shares[0].choice) / len(blocks))


def test_blocks_and_layers_of_a_network_have_all_its_energy_and_tiles(make_view):
    view = make_view()
    for trial in view.networks:
        drawn = drawing(view, trial)
        assert [block.name for block in drawn.blocks] == [*map(str, trial.candidate.blocks), "head"]
        for parts in (drawn.blocks, drawn.layers):
            assert sum(part.energy_frac for part in parts) == pytest.approx(1)
            assert sum(part.tiles for part in parts) == trial.cost.tiles
            assert max(part.begin_frac + part.span_frac for part in parts) == pytest.approx(1)
        assert len(drawn.layers) == len(trial.cost.layers)


@pytest.mark.parametrize(
    ("space", "wanted"),
    [
        ("small", {"VGG-like": "VGG8-VGG16-VGG32", "ResNet-8-like": "RES8-RES16-RES32"}),
        (
            "paper",
            {
                "VGG-11-like": "VGG64-VGG128-VGG256-VGG512",
                "ResNet-14-like": "RES16-RES16-RES32-RES32-RES64-RES64",
            },
        ),
    ],
)
def test_known_networks_are_candidates_of_the_space(make_config, space, wanted):
    found = reference_candidates(make_config(space=load_space(space)))
    assert {name: str(candidate) for name, candidate in found} == wanted


def test_a_known_network_that_was_trained_is_a_point_and_else_a_cost(make_view):
    view = make_view()
    known = replace(view.references[0], trial=view.complete[0])
    chart = cost_chart(replace(view, references=(known, view.references[1])), LATENCY)
    (points,) = (points for points in chart.points if points.look is Look.REFERENCE)
    assert points.marks[0].y == 100 * view.complete[0].accuracy.accuracy_frac
    assert [rule.label for rule in chart.rules] == [view.references[1].name]


def test_thinning_keeps_the_front_and_the_best_and_says_how_many_are_left(make_view, monkeypatch):
    view = make_view()
    monkeypatch.setattr(scatter, "MAX_POINTS", len(view.status.front) + 1)
    drawn, note = thin(view)
    kept = {trial.number for trial in drawn}
    assert {trial.number for trial in view.status.front} | {view.status.best.number} <= kept
    assert len(drawn) <= scatter.MAX_POINTS
    assert note.startswith(f"{len(drawn)} of {len(view.complete)} trials are drawn")


@pytest.mark.parametrize("axis", [Axis(label=""), Axis(label="", log=True), Axis(label="", whole=True)])
@pytest.mark.parametrize("ends", [(0.9, 1.1), (3.0, 4000.0), (1.0, 30.0)])
def test_ticks_lie_within_the_axis(axis, ends):
    found = ticks(axis, *ends)
    assert found == sorted(found)
    assert all(ends[0] <= tick <= ends[1] for tick in found)
    assert len(found) <= 12


def test_a_line_in_steps_keeps_its_value_until_the_next_corner():
    assert corners([(1, 5), (3, 7), (4, 7)]) == [(1, 5), (3, 5), (3, 7), (4, 7), (4, 7)]


def test_figures_for_files_show_the_same_points(make_view):
    view = make_view()
    chart = map_chart(view)
    axes = figure(chart, "about").axes[0]
    drawn = sorted(tuple(map(float, point)) for c in axes.collections for point in c.get_offsets())
    assert drawn == sorted((mark.x, mark.y) for points in chart.points for mark in points.marks)
    assert axes.get_xlabel() == chart.x.label


def test_each_progress_chart_and_the_choices_can_be_drawn_for_page_and_file(make_view):
    view = make_view()
    for chart in progress_charts(view):
        assert "<polyline" in draw(chart)
        assert figure(chart, "about").axes[0].get_title(loc="left") == chart.title
    assert len(choices_figure(choices(view), "about").axes) == 3
