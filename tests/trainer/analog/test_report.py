from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn

from services.common.errors import InvalidRequest
from services.trainer.analog import evaluate_on_chip, report
from services.trainer.analog.images import normalised, spread
from services.trainer.analog_types import AdcMode, AnalogConfig, AnalogReport
from services.trainer.data import Dataset
from tests.trainer.analog.networks import IDEAL


def judged(module: nn.Module, digits: Dataset, **fields: Any) -> AnalogReport:
    return evaluate_on_chip(module, digits, AnalogConfig(**fields), 2, exact_draws=2, images=100)


def test_the_float_accuracy_is_the_modules_own(trained: nn.Module, digits: Dataset) -> None:
    got = evaluate_on_chip(trained, digits, AnalogConfig(), 1)
    with torch.no_grad():
        classes = trained(normalised(digits, digits.validation)).argmax(1).numpy()
    right = classes == digits.labels[digits.validation]
    assert (got.float_frac, got.images) == (right.mean(), 400)
    assert got.float_frac > 0.9
    assert (got.exact, got.folded_error) == (None, None)


def test_an_ideal_chip_is_as_accurate_as_the_integer_network(trained: nn.Module, digits: Dataset) -> None:
    got = judged(trained, digits, **IDEAL)
    assert got.exact is not None
    assert got.folded_error is not None
    assert got.exact.draws_frac == (got.quantised_frac,)  # chips do not differ: one
    assert got.folded.draws_frac == (got.quantised_frac, got.quantised_frac)
    assert got.folded_error.agreement_frac == 1
    assert got.folded_error.score_frac < 1e-3


def test_integers_of_9_bits_cost_next_to_nothing(trained: nn.Module, digits: Dataset) -> None:
    got = evaluate_on_chip(trained, digits, AnalogConfig(), 1)
    assert abs(got.float_frac - got.quantised_frac) <= 0.01


@pytest.mark.parametrize(
    "harm",
    [
        {"variation_frac": 0.8},
        {"stuck_off_frac": 0.1, "stuck_on_frac": 0.1},
        {"adc_bits": 2},
        {"adc_mode": AdcMode.FIX, "adc_bits": 3},
        {"weight_bits": 2},
    ],
)
def test_a_bad_chip_costs_accuracy_in_both_forms(
    harm: dict[str, Any], trained: nn.Module, digits: Dataset
) -> None:
    good, bad = judged(trained, digits), judged(trained, digits, **harm)
    assert good.exact is not None
    assert bad.exact is not None
    assert bad.exact.mean_frac < good.exact.mean_frac - 0.1
    assert bad.folded.mean_frac < good.folded.mean_frac - 0.1


def test_a_report_repeats_and_does_not_depend_on_batches(
    trained: nn.Module, digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = judged(trained, digits, variation_frac=0.2)
    monkeypatch.setattr(report, "BATCH_POINTS", 33 * 64)
    again = judged(trained, digits, variation_frac=0.2)
    assert first.exact == again.exact
    assert first.folded == again.folded
    assert first.quantised_frac == again.quantised_frac


def test_a_report_does_not_depend_on_threads(trained: nn.Module, digits: Dataset) -> None:
    first = judged(trained, digits)
    torch.set_num_threads(2)
    assert judged(trained, digits) == first


def test_chips_differ_by_draw_and_by_seed(trained: nn.Module, digits: Dataset) -> None:
    config = AnalogConfig(variation_frac=0.5)
    one, other = (evaluate_on_chip(trained, digits, config, 4, seed) for seed in (0, 1))
    assert len(set(one.folded.draws_frac)) > 1
    assert one.folded != other.folded
    assert one.folded.deviation_frac > 0


def test_judged_images_are_spread_evenly_over_the_validation_part(digits: Dataset) -> None:
    assert spread(digits.validation, 4).tolist() == digits.validation[[0, 100, 200, 300]].tolist()
    assert len(spread(digits.validation, 1000)) == 400
    assert len(spread(digits.validation, None)) == 400


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"draws": 0}, "draws"),
        ({"draws": 2.0}, "draws"),
        ({"seed": -1}, "seed"),
        ({"exact_draws": 6}, "exact_draws"),
        ({"exact_draws": -1}, "exact_draws"),
        ({"images": 0}, "images"),
    ],
)
def test_a_number_out_of_range_is_refused_by_name(
    arguments: dict[str, Any], field: str, trained: nn.Module, digits: Dataset
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        evaluate_on_chip(trained, digits, AnalogConfig(), **arguments)
    assert [violation.field for violation in refused.value.violations] == [field]


def test_a_kernel_that_fits_no_crossbar_is_refused(trained: nn.Module, digits: Dataset) -> None:
    with pytest.raises(InvalidRequest, match=r"analog\.rows.*3x3 kernel"):
        evaluate_on_chip(trained, digits, AnalogConfig(rows=8))


def test_the_error_of_the_folded_form_is_that_of_its_scores(trained: nn.Module, digits: Dataset) -> None:
    got = judged(trained, digits, adc_bits=4)
    assert got.folded_error is not None
    assert 0.05 < got.folded_error.score_frac < 1
    assert 0.3 < got.folded_error.agreement_frac < 1
    assert not math.isnan(got.folded_error.accuracy_frac)
