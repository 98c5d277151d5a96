from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from services.trainer.analog.folded import FoldedChip, fit_adcs
from services.trainer.analog.quantise import IntegerNetwork, integer_products
from services.trainer.analog_types import AdcMode, AnalogConfig
from tests.trainer.analog.networks import IDEAL, NETWORKS, chip_scores, layer_of, quantised


def folded(network: IntegerNetwork, integers: Tensor, seed: int = 0, draw: int = 0) -> Tensor:
    with torch.no_grad():
        return FoldedChip(network, fit_adcs(network, integers, seed), seed, draw).scores(integers)


def error(got: Tensor, wanted: Tensor) -> float:
    return float((got - wanted).norm() / wanted.norm())


@pytest.mark.parametrize("layout", [{}, {"differential": False}, {"digital_subtraction": True}, {"rows": 18}])
@pytest.mark.parametrize("network", NETWORKS)
def test_an_ideal_chip_is_the_integer_network(network: str, layout: dict[str, Any]) -> None:
    steps, integers = quantised(network, AnalogConfig(**IDEAL | layout))
    wanted = steps.scores(integers, integer_products)
    assert error(folded(steps, integers), wanted) < 1e-2  # a rounding may fall to the other side


@pytest.mark.parametrize("draw", [0, 1])
@pytest.mark.parametrize("network", NETWORKS)
def test_where_the_adc_loses_nothing_a_chip_is_its_exact_form(network: str, draw: int) -> None:
    config = AnalogConfig(adc_mode=AdcMode.IDEAL, variation_frac=0.2, stuck_on_frac=0.02, stuck_off_frac=0.02)
    steps, integers = quantised(network, config)
    wanted = chip_scores(steps, integers, "exact", draw=draw)
    assert error(folded(steps, integers, draw=draw), wanted) < 1e-2
    assert error(steps.scores(integers, integer_products), wanted) > 0.05  # the chip does matter


@pytest.mark.parametrize("network", NETWORKS)
def test_the_folded_form_is_nearer_to_the_exact_one_than_the_integer_network(network: str) -> None:
    config = AnalogConfig(variation_frac=0.1, stuck_on_frac=0.01)
    near = far = 0.0
    for seed in range(4):
        steps, integers = quantised(network, config, seed)
        wanted = chip_scores(steps, integers, "exact", seed)
        near += error(folded(steps, integers, seed), wanted)
        far += error(steps.scores(integers, integer_products), wanted)
    assert near < far


@pytest.mark.parametrize(("mode", "gain"), [(AdcMode.IDEAL, 1.0), (AdcMode.FIX, 0.0)])
def test_a_column_that_is_read_as_it_is_has_a_gain_of_1_and_one_read_as_0_of_0(
    mode: AdcMode, gain: float
) -> None:
    # The fixed step, 256 / 2, is above twice what the 18 rows of the first layer add up to.
    steps, integers = quantised("plain", AnalogConfig(**IDEAL | {"adc_mode": mode, "adc_bits": 1}))
    assert bool((fit_adcs(steps, integers, 0)[0].gains == gain).all())


def test_scores_repeat_and_do_not_depend_on_neighbours() -> None:
    steps, integers = quantised("residual", AnalogConfig())
    with torch.no_grad():
        fits = fit_adcs(steps, integers, 0)
        together = FoldedChip(steps, fits, 0, 0).scores(integers)
        chip = FoldedChip(steps, fits, 0, 0)
        alone = torch.cat([chip.scores(integers[i : i + 1]) for i in reversed(range(len(integers)))]).flip(0)
    assert error(together, alone) < 1e-2
    assert error(FoldedChip(steps, fits, 0, 1).scores(integers), together) > 0.02


@pytest.mark.parametrize("fields", [{}, {"differential": False, "adc_bits": 4}])
def test_the_error_that_is_drawn_is_that_of_the_exact_form_and_differs_by_image(
    fields: dict[str, Any],
) -> None:
    rng = np.random.default_rng(0)
    config = AnalogConfig(**IDEAL | {"adc_mode": AdcMode.FIX} | fields)
    layer = layer_of(rng.integers(-255, 256, (3, 9, 3, 3)))
    network = IntegerNetwork(steps=(layer,), input_scale=1.0, config=config)
    integers = torch.from_numpy(rng.integers(0, 256, (16, 9, 12, 12))).double()
    fit = fit_adcs(network, integers, 0)[0]
    left = (folded(network, integers) - chip_scores(network, integers, "exact")).view(16, 3, -1)
    error_of_mean = fit.deviation / math.sqrt(left.shape[0] * left.shape[2])
    assert bool((left.mean((0, 2)).abs() < 3 * error_of_mean).all())
    # Two errors, the one that is left and the one that is drawn, are independent of each other.
    torch.testing.assert_close(left.std((0, 2)), math.sqrt(2) * fit.deviation, rtol=0.1, atol=0)
    assert float(left.mean(0).std()) < 0.5 * float(left.std())
