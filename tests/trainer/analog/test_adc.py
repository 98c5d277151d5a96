from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from services.trainer.analog.adc import make_adc
from services.trainer.analog.cells import write_cells
from services.trainer.analog.exact import exact_products
from services.trainer.analog.quantise import integer_products
from services.trainer.analog_types import AdcMode, AnalogConfig
from tests.trainer.analog.networks import IDEAL, chip_scores, layer_of, quantised

RNG = np.random.default_rng(7)


def test_mnsims_chip_quantises_to_7_bits() -> None:
    assert AnalogConfig().quantiser_bits == 7  # 6 of the ADC, and log2(256 rows / 128 DACs)
    assert AnalogConfig(rows=512, rows_at_once=120).quantiser_bits == 9
    assert AnalogConfig(rows=128, rows_at_once=256).quantiser_bits == 6


@pytest.mark.parametrize(
    ("fields", "step", "limit"),
    [
        ({}, 4.0, 63),  # 256 / 2**6
        ({"adc_bits": 8, "rows": 128}, 1.0, 127),
        ({"dac_bits": 2, "cell_bits": 2}, 36.0, 63),  # 3 x 3 x 256 / 2**6
    ],
)
def test_a_fixed_step_divides_the_largest_sum(fields: dict[str, Any], step: float, limit: int) -> None:
    adc = make_adc(AnalogConfig(adc_mode=AdcMode.FIX, **fields), 0, 3, 1e6)
    assert (adc.step, adc.limit) == (step, limit)


@pytest.mark.parametrize(
    ("fields", "splits", "step"),
    [
        # 2**14 products of one cycle and slice are worth one of the topmost: 7 cycles and 7 slices above.
        ({}, 1, 2.0**20 / 2**14 / 2 ** (-2 + 6)),
        ({}, 4, 2.0**20 / 2**14 / 2 ** (-1 + 6)),
        ({}, 3, 2.0**20 / 2**14 / 2 ** (-2 + 6)),  # floor(-2 + 0.79)
        ({"adc_bits": 9}, 1, 2.0**20 / 2**14 / 2 ** (-2 + 9)),
        ({"cell_bits": 2, "dac_bits": 4}, 1, 2.0**20 / 2 ** (4 + 6) / 2 ** (-2 + 6)),
        ({"differential": False}, 1, 2.0**20 / 2**15 / 2 ** (-2 + 6)),
    ],
)
def test_a_scaled_step_follows_what_the_layer_puts_out(
    fields: dict[str, Any], splits: int, step: float
) -> None:
    assert make_adc(AnalogConfig(**fields), 0, splits, 2.0**20).step == step


def test_codes_round_half_to_even_and_clip_symmetrically() -> None:
    adc = make_adc(AnalogConfig(adc_mode=AdcMode.FIX, adc_bits=3), 0, 1, 1.0)  # 4 bits: codes up to 7
    got = adc.codes(torch.tensor([0.5, 1.5, 2.5, -0.5, -1.5, 7.4, 9.0, -9.0]))
    assert got.tolist() == [0, 2, 2, 0, -2, 7, 7, -7]


def mnsim_read(sums: float, value: float, full: float, point: float, bits: int) -> float:
    """Read one column; a sum of one is worth `value`, and codes are fractions of `full`."""
    fraction = sums * value / full
    code = np.rint(fraction * 2.0**point)
    most = 2 ** (bits - 1) - 1
    return float(np.clip(code, -most, most) / 2.0**point * full)


def mnsim_products(
    weights: Any, image: Any, y: int, x: int, rows: int, bits: int, mode: AdcMode, scale: float
) -> list[float]:
    """Compute one point by plain loops: 9-bit weights and inputs, a bit a cell, a bit a cycle, pairs."""
    out, channels, kernel, _ = weights.shape
    held = rows // kernel**2
    splits = math.ceil(channels / held)
    products = []
    for o in range(out):
        total = 0.0
        for split in range(splits):
            for i in range(8):
                for j in range(8):
                    sums = 0
                    for c in range(split * held, min(channels, (split + 1) * held)):
                        for dy in range(kernel):
                            for dx in range(kernel):
                                w, a = int(weights[o, c, dy, dx]), int(image[c, y + dy, x + dx])
                                bit = (abs(w) >> j & 1) * (abs(a) >> i & 1)
                                sums += bit * (1 if w * a > 0 else -1)
                    value = 2.0 ** (i + j)
                    if mode is AdcMode.SCALE:
                        point = math.floor(-2 + 0.5 * math.log2(splits)) + (7 - i) + (7 - j) + bits - 1
                        total += mnsim_read(sums, value, scale, point, bits)
                    else:
                        total += mnsim_read(sums, value, 256 * value, bits - 1, bits)
        products.append(total)
    return products


@pytest.mark.parametrize(
    ("shape", "rows", "mode"),
    [
        ((2, 7, 3, 3), 256, AdcMode.FIX),
        ((3, 300, 1, 1), 256, AdcMode.FIX),
        ((2, 7, 3, 3), 256, AdcMode.SCALE),
        ((2, 7, 3, 3), 30, AdcMode.SCALE),
        ((3, 40, 1, 1), 256, AdcMode.SCALE),
        ((3, 40, 1, 1), 8, AdcMode.SCALE),
    ],
)
def test_the_exact_form_reads_columns_as_mnsim(shape: tuple[int, ...], rows: int, mode: AdcMode) -> None:
    config = AnalogConfig(**IDEAL | {"adc_mode": mode, "rows": rows, "rows_at_once": rows, "adc_bits": 5})
    scale = 1e5
    layer = layer_of(RNG.integers(-255, 256, shape), read_range=scale)
    image = RNG.integers(-255, 256, (shape[1], shape[2] + 1, shape[3]))
    x = torch.from_numpy(image[None]).double()
    got = exact_products(x, layer, write_cells(layer.weights, config, None), config)
    for y in range(2):
        wanted = mnsim_products(layer.weights, image, y, 0, rows, 5, mode, scale)
        np.testing.assert_allclose(got[0, :, y, 0], wanted, rtol=1e-12)


@pytest.mark.parametrize("mode", [AdcMode.FIX, AdcMode.SCALE])
def test_more_bits_of_the_adc_are_nearer_to_the_integer_network(mode: AdcMode) -> None:
    errors = []
    for bits in range(2, 11):
        error = 0.0
        for seed in range(3):
            config = AnalogConfig(**IDEAL | {"adc_mode": mode, "adc_bits": bits})
            steps, integers = quantised("plain", config, seed)
            wanted = steps.scores(integers, integer_products)
            error += float((chip_scores(steps, integers, "fast") - wanted).norm() / wanted.norm())
        errors.append(error)
    best = np.minimum.accumulate(errors)
    assert all(error <= 1.3 * least for error, least in zip(errors[1:], best, strict=False)), errors
    assert errors[-1] < errors[0] / 10
