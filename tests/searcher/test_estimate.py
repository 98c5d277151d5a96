"""The estimate of a search's duration."""

import pytest

from services.searcher.estimate import training_seconds
from services.searcher.types import TrainingLimits


def test_more_trials_take_longer_and_more_workers_less(make_config):
    config = make_config()
    once = training_seconds(config, trials=10, workers=1)
    assert once > 0
    assert training_seconds(config, trials=20, workers=1) == pytest.approx(2 * once)
    assert training_seconds(config, trials=10, workers=4) == pytest.approx(once / 4)


def test_nothing_feasible_takes_no_time(make_config):
    config = make_config(limits=TrainingLimits(max_macs=1))
    assert training_seconds(config, trials=10, workers=1) == 0.0
