"""Studies against one reference, and the hypervolume that grows point by point."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from services.searcher.compare import compare
from services.searcher.pareto import hypervolume
from services.searcher.staircase import Staircase, volume


def test_a_staircase_has_the_area_of_the_exact_hypervolume():
    rng = random.Random(7)
    stairs, points = Staircase(1.0), []
    for _ in range(60):
        cost, gain = round(rng.random() * 1.1, 2), round(rng.random(), 2)
        points.append((cost, -gain))
        stairs.add(cost, gain)
        assert stairs.area == pytest.approx(hypervolume(points, (1.0, 0.0)))


def test_a_point_that_changes_nothing_says_so():
    stairs = Staircase(10.0)
    assert stairs.add(2.0, 0.5)
    assert not stairs.add(2.0, 0.5)
    assert not stairs.add(3.0, 0.4)
    assert not stairs.add(10.0, 0.9)
    assert stairs.add(2.0, 0.6)
    assert stairs.area == pytest.approx(0.6 * 8)


def test_the_volume_of_three_is_the_exact_hypervolume():
    rng = random.Random(3)
    points = [(rng.random(), rng.random(), rng.random()) for _ in range(60)]
    exact = hypervolume([(a, -gain, b) for a, b, gain in points], (1.0, 0.0, 1.0))
    assert volume(points, (1.0, 1.0)) == pytest.approx(exact)
    assert volume([], (1.0, 1.0)) == 0.0


def test_studies_are_measured_against_the_largest_costs_of_all(searched):
    status, trials = searched
    first = (replace(status, config=replace(status.config, name="first")), trials[:4])
    found = compare([first, (status, trials)])
    complete = [trial for trial in trials if trial.accuracy]
    assert found.reference_latency_ns == max(trial.cost.latency_ns for trial in complete)
    assert found.rows[0].latency_hypervolume <= found.rows[1].latency_hypervolume <= 1
    assert found.rows[1].trainings == 12
    assert found.rows[1].train_s == pytest.approx(0.1 * 11)
    top = found.rows[1].most_accurate
    assert top.accuracy.accuracy_frac == max(trial.accuracy.accuracy_frac for trial in complete)
    assert found.notes == ()


def test_what_cannot_be_compared_is_said(searched):
    status, trials = searched
    data = replace(status.config.dataset, fingerprint="1" * 64)
    other = replace(status, config=replace(status.config, dataset=data, seed=1))
    notes = compare([(status, trials), (other, trials)]).notes
    assert [note.partition(":")[0] for note in notes] == ["2 data sets", "2 seeds"]


def test_studies_without_a_complete_trial_compare_as_nothing(searched):
    status, _ = searched
    empty = replace(status, best=None, front=(), complete=0, failed=0)
    found = compare([(empty, ()), (empty, ())])
    assert (found.reference_latency_ns, found.rows[0].hypervolume, found.rows[0].most_accurate) == (
        0,
        0,
        None,
    )
