from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from services.trainer.analog import kernel_exact
from services.trainer.analog.cells import chip_generator, write_cells
from services.trainer.analog.exact import exact_products
from services.trainer.analog.kernel_exact import fast_products
from services.trainer.analog.quantise import integer_products
from services.trainer.analog_types import AdcMode, AnalogConfig
from tests.trainer.analog.networks import FORMS, IDEAL, NETWORKS, chip_scores, layer_of, quantised

LAYOUTS: dict[str, dict[str, Any]] = {
    "as MNSIM 2.0": {},
    "many splits": {"rows": 18},
    "offset": {"differential": False},
    "digital subtraction": {"digital_subtraction": True},
    "two bits a cycle": {"dac_bits": 2},
    "bits that do not divide": {"dac_bits": 3, "cell_bits": 3},
    "two bits a cell, offset, split": {"cell_bits": 2, "differential": False, "rows": 20},
    "few bits": {"weight_bits": 3, "activation_bits": 4},
    "two bits": {"weight_bits": 2, "activation_bits": 2},
    "many bits": {"weight_bits": 12, "activation_bits": 12},
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("network", NETWORKS)
def test_an_ideal_chip_computes_the_integer_network_bit_for_bit(network: str, layout: str, form: str) -> None:
    steps, integers = quantised(network, AnalogConfig(**IDEAL | LAYOUTS[layout]))
    assert torch.equal(chip_scores(steps, integers, form), steps.scores(integers, integer_products))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("layout", ["as MNSIM 2.0", "many splits", "offset", "digital subtraction"])
@pytest.mark.parametrize("network", NETWORKS)
def test_an_adc_of_enough_bits_is_an_ideal_one(network: str, layout: str, form: str) -> None:
    # 256 or fewer rows of one bit: 10 bits tell every sum, of either sign.
    config = (
        AnalogConfig(
            **IDEAL
            | {"adc_mode": AdcMode.FIX, "adc_bits": 10, "rows": 256, "rows_at_once": 256}
            | LAYOUTS[layout]
        )
        if layout != "many splits"
        else AnalogConfig(**IDEAL | {"adc_mode": AdcMode.FIX, "adc_bits": 8, "rows": 32, "rows_at_once": 32})
    )
    steps, integers = quantised(network, config)
    assert torch.equal(chip_scores(steps, integers, form), steps.scores(integers, integer_products))


def test_cells_that_leak_in_pairs_cancel() -> None:
    steps, integers = quantised("plain", AnalogConfig(**IDEAL | {"on_off_ratio": 3.0}))
    assert torch.equal(chip_scores(steps, integers, "exact"), steps.scores(integers, integer_products))


def test_what_cells_with_an_offset_leak_is_taken_off() -> None:
    steps, integers = quantised("plain", AnalogConfig(**IDEAL | {"on_off_ratio": 3.0, "differential": False}))
    wanted = steps.scores(integers, integer_products)
    # The leak, 0.5 of a step, lies on the cells' grid, so nothing is left of it.
    torch.testing.assert_close(chip_scores(steps, integers, "exact"), wanted, rtol=1e-12, atol=1e-9)


def configs(binary: bool) -> st.SearchStrategy[AnalogConfig]:
    """Chips of any kind; `binary` ones have cells of 0 and 1 and feed one bit."""
    bits = st.just(1) if binary else st.integers(1, 3)
    return st.builds(
        lambda pair, subtraction, **fields: AnalogConfig(
            differential=pair, digital_subtraction=pair and subtraction, **fields
        ),
        pair=st.just(True) if binary else st.booleans(),
        subtraction=st.just(False) if binary else st.booleans(),
        rows=st.integers(9, 70),
        rows_at_once=st.integers(1, 128),
        dac_bits=bits,
        cell_bits=bits,
        adc_bits=st.integers(2, 9),
        adc_mode=st.sampled_from(AdcMode),
        on_off_ratio=st.sampled_from([2.0, 100.0, math.inf]),
        variation_frac=st.just(0.0) if binary else st.sampled_from([0.0, 0.01, 0.5]),
        stuck_off_frac=st.sampled_from([0.0, 0.1]),
        stuck_on_frac=st.sampled_from([0.0, 0.1]),
        activation_bits=st.integers(2, 9),
        weight_bits=st.integers(2, 9),
    )


def assert_the_fast_form_gives_the_same_bits(config: AnalogConfig, seed: int) -> None:
    rng = np.random.default_rng(seed)
    out, channels, kernel = rng.integers(1, 40), rng.integers(1, 40), rng.choice([1, 2, 3])
    side = rng.integers(kernel, 8)
    weights = rng.integers(-config.top_weight, config.top_weight + 1, (out, channels, kernel, kernel))
    layer = layer_of(weights, rng.uniform(1, 5000), rng.integers(1, 3), rng.integers(0, kernel))
    low = rng.choice([0, -config.top_activation])
    x = torch.from_numpy(rng.integers(low, config.top_activation + 1, (3, channels, side, side))).double()
    cells = write_cells(layer.weights, config, chip_generator(seed, 0, 0))
    assert torch.equal(fast_products(x, layer, cells, config), exact_products(x, layer, cells, config))


@settings(max_examples=60, deadline=None)
@given(config=configs(binary=True), seed=st.integers(0, 2**32 - 1))
def test_counted_bits_are_the_sums_of_the_loop(config: AnalogConfig, seed: int) -> None:
    assert_the_fast_form_gives_the_same_bits(config, seed)


@settings(max_examples=60, deadline=None)
@given(config=configs(binary=False), seed=st.integers(0, 2**32 - 1))
def test_convolved_slices_are_the_sums_of_the_loop(config: AnalogConfig, seed: int) -> None:
    assert_the_fast_form_gives_the_same_bits(config, seed)


@pytest.mark.parametrize(("fields", "branch"), [({"variation_frac": 0.0}, "_counted"), ({}, "_convolved")])
def test_bits_are_counted_where_cells_do_not_vary(
    fields: dict[str, Any], branch: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    called = []
    for name in ("_counted", "_convolved"):
        real = getattr(kernel_exact, name)
        monkeypatch.setattr(kernel_exact, name, lambda *a, n=name, f=real: called.append(n) or f(*a))
    config = AnalogConfig(**fields)
    layer = layer_of(np.ones((2, 3, 3, 3)))
    cells = write_cells(layer.weights, config, chip_generator(0, 0, 0))
    fast_products(torch.ones(1, 3, 4, 4), layer, cells, config)
    assert called == [branch]


def test_more_rows_than_a_float_counts_are_still_the_same_bits() -> None:
    config = AnalogConfig(**IDEAL | {"rows": 65_536, "on_off_ratio": 100.0, "adc_mode": AdcMode.FIX})
    layer = layer_of(np.random.default_rng(0).integers(-255, 256, (3, 5000, 1, 1)))
    x = torch.from_numpy(np.random.default_rng(1).integers(0, 256, (2, 5000, 1, 1))).double()
    cells = write_cells(layer.weights, config, None)
    assert torch.equal(fast_products(x, layer, cells, config), exact_products(x, layer, cells, config))


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("form", FORMS)
def test_scores_do_not_depend_on_threads_or_neighbours(form: str, two_threads: None) -> None:
    steps, integers = quantised("residual", AnalogConfig())
    together = chip_scores(steps, integers, form)
    torch.set_num_threads(1)
    alone = [chip_scores(steps, integers[i : i + 1], form) for i in range(len(integers))]
    assert torch.equal(together, torch.cat(alone))
