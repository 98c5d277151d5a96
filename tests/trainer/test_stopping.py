"""Trainings that are stopped because what was asked for is out of reach."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.errors import InvalidRequest
from services.trainer.artifacts import Artifacts
from services.trainer.cache import ResultCache
from services.trainer.inline import InlineTrainer
from services.trainer.running import Ended
from services.trainer.stopping import POWER, hopeless_frac, optimistic_frac
from services.trainer.types import EpochReport, Schedule, TrainRecipe, stderr_frac
from tests.trainer.evaluators import learnt, request

SHARES = st.floats(0, 1)
CURVES = st.lists(SHARES, min_size=1, max_size=30)
SCHEDULES = st.sampled_from(Schedule)
IMAGES = st.integers(1, 100_000)
LONG = TrainRecipe(name="long", epochs=8)
STAGED = TrainRecipe(name="staged", epochs=8, schedule=Schedule.CONSTANT)


def reports(curve: list[float]) -> list[EpochReport]:
    return [
        EpochReport(epoch=n, train_loss_nats=1.0, validation_accuracy_frac=share, elapsed_s=0.0)
        for n, share in enumerate(curve, 1)
    ]


@given(CURVES, st.integers(0, 100), IMAGES, SCHEDULES)
def test_the_bound_is_never_below_what_was_reached(
    curve: list[float], left: int, images: int, schedule: Schedule
) -> None:
    bound = optimistic_frac(curve, len(curve) + left, images, schedule)
    assert max(curve) - 1e-12 <= bound <= 1


@given(CURVES, st.integers(0, 100), IMAGES, SCHEDULES)
def test_an_epoch_that_gains_nothing_lowers_the_bound(
    curve: list[float], left: int, images: int, schedule: Schedule
) -> None:
    epochs = len(curve) + left + 1
    before = optimistic_frac(curve, epochs, images, schedule)
    assert optimistic_frac([*curve, 0.0], epochs, images, schedule) <= before + 1e-12


@given(CURVES, SHARES, SHARES)
def test_who_asks_for_more_is_stopped_wherever_who_asks_for_less_is(
    curve: list[float], one: float, other: float
) -> None:
    low, high = sorted((one, other))
    recipe = TrainRecipe(name="r", epochs=len(curve) + 1)
    asks = [
        hopeless_frac(request(recipe=recipe, stop_below_frac=s), reports(curve), 540) for s in (low, high)
    ]
    assert asks[0] is None or asks[0] == asks[1]


@given(CURVES, SHARES)
def test_a_training_at_its_end_or_asked_for_nothing_is_not_stopped(curve: list[float], asked: float) -> None:
    recipe = TrainRecipe(name="r", epochs=len(curve))
    assert hopeless_frac(request(recipe=recipe, stop_below_frac=asked), reports(curve), 540) is None
    longer = TrainRecipe(name="r", epochs=len(curve) + 1)
    assert hopeless_frac(request(recipe=longer), reports(curve), 540) is None


def test_the_bound_is_the_closed_form() -> None:
    end = 1 - 0.5 ** POWER[Schedule.ONE_CYCLE] * (1 - 0.8)
    expected = end + stderr_frac(end, 540)
    assert optimistic_frac([0.5, 0.8, 0.7], 6, 540, Schedule.ONE_CYCLE) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("wrong", [-0.1, 1.1, float("nan")])
def test_an_accuracy_that_is_no_share_cannot_be_asked_for(wrong: float) -> None:
    with pytest.raises(InvalidRequest, match="stop_below_frac"):
        request(stop_below_frac=wrong)


def test_a_stopped_training_is_the_beginning_of_the_unbroken_one_and_streams_its_epochs() -> None:
    told: list[EpochReport] = []
    with InlineTrainer() as trainer:
        whole = trainer.evaluate(request(recipe=LONG))
        stopped = trainer.evaluate(request(recipe=LONG, stop_below_frac=1.0), told.append)
    count = len(stopped.epochs)
    assert 0 < count < 8
    assert learnt(stopped) == learnt(whole)[:count]
    assert tuple(told) == stopped.epochs
    assert stopped.accuracy_frac == stopped.epochs[-1].validation_accuracy_frac
    assert (stopped.stopped_early, whole.stopped_early, whole.optimistic_frac) == (True, False, None)
    assert stopped.optimistic_frac is not None
    assert stopped.optimistic_frac < 1.0


def test_a_training_that_can_reach_it_goes_to_its_end() -> None:
    with InlineTrainer() as trainer:
        whole, asked = (trainer.evaluate(request(recipe=LONG, stop_below_frac=s)) for s in (None, 0.05))
    assert learnt(asked) == learnt(whole)
    assert not asked.stopped_early


def test_a_stopped_result_answers_who_asks_for_as_much_and_a_full_one_everybody(tmp_path: Path) -> None:
    ended: list[Ended] = []
    with InlineTrainer(cache=ResultCache(tmp_path / "r.sqlite"), on_end=ended.append) as trainer:

        def trains(stop_below_frac: float | None) -> bool:
            before = len(ended)
            trainer.evaluate(request(recipe=LONG, stop_below_frac=stop_below_frac))
            return len(ended) > before

        assert [trains(0.999), trains(0.999), trains(1.0)] == [True, False, False]
        assert [trains(0.998), trains(0.9985)] == [True, False]  # asks for less, then answers more
        assert [trains(None), trains(None), trains(0.999), trains(0.1)] == [True, False, False, False]
        assert not trainer.evaluate(request(recipe=LONG, stop_below_frac=1.0)).stopped_early


def test_a_stopped_result_never_takes_the_place_of_a_full_one(tmp_path: Path) -> None:
    with InlineTrainer() as trainer:
        full = trainer.evaluate(request(recipe=LONG))
        part = trainer.evaluate(request(recipe=LONG, stop_below_frac=1.0))
        identity = trainer._identify(request(recipe=LONG))
    with ResultCache(tmp_path / "r.sqlite") as cache:
        cache.put(identity, request(recipe=LONG), full)
        cache.put(identity, request(recipe=LONG, stop_below_frac=1.0), part)
        assert cache.find(identity, request(recipe=LONG)) == full


def test_nothing_is_kept_of_a_stopped_training_and_its_weights_are_trained_for(tmp_path: Path) -> None:
    wanted = request(recipe=LONG, stop_below_frac=1.0, keep_weights=True, judge_test=True)
    with InlineTrainer(artifacts=Artifacts(tmp_path)) as trainer:
        stopped = trainer.evaluate(wanted)
        assert (stopped.stopped_early, stopped.test_accuracy_frac) == (True, None)
        assert trainer._artifacts.weights(trainer._identify(wanted).evaluation) is None
        assert trainer.weights(wanted)


def test_a_training_gone_on_from_is_stopped_where_it_would_have_been(tmp_path: Path) -> None:
    asked = request(recipe=STAGED, stop_below_frac=1.0)
    with InlineTrainer() as plain:
        unbroken = plain.evaluate(asked)
    with InlineTrainer(artifacts=Artifacts(tmp_path)) as trainer:
        trainer.evaluate(request(recipe=STAGED))
        resumed = trainer.evaluate(asked)
    assert unbroken.stopped_early
    assert learnt(resumed) == learnt(unbroken)
    assert resumed.resumed_epochs == len(resumed.epochs)


def test_a_stopped_training_is_no_result_to_go_on_from_as_if_it_were_full(tmp_path: Path) -> None:
    with InlineTrainer() as plain:
        whole = plain.evaluate(request(recipe=STAGED))
    cache = ResultCache(tmp_path / "r.sqlite")
    with InlineTrainer(artifacts=Artifacts(tmp_path / "a"), cache=cache) as trainer:
        assert trainer.evaluate(request(recipe=STAGED, stop_below_frac=1.0)).stopped_early
        full = trainer.evaluate(request(recipe=STAGED))
    assert learnt(full) == learnt(whole)
    assert dataclasses.replace(full, epochs=(), train_s=0.0, resumed_epochs=0) == dataclasses.replace(
        whole, epochs=(), train_s=0.0, resumed_epochs=0
    )
