"""The cells of one chip: what was written, as the drawn chip holds it.

Conductances are in steps between levels, so an ideal cell's is its level plus the leak of the lowest one.
They lie on a grid of 2**-14 of a step: a column's sum is then an integer, the same in whatever order it is
added up.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from services.trainer.analog.slices import Integers, levels, polarities, reads
from services.trainer.analog_types import AnalogConfig

GRID_BITS = 14
"""Of a step between levels, where cells are not whole levels: 0.006 %, where they vary by 1 %."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cells:
    """The cells of one layer on one chip, as its ADCs see them.

    Parameters
    ----------
    values : ndarray of int32, reads x slices x out x in x kernel x kernel
        Conductances of the cells (of the pairs, where a pair is subtracted before the ADC).
    grid_bits : int
        A step between levels is 2**grid_bits.
    leak : float
        Conductance of the lowest level, in steps between levels.
    """

    values: npt.NDArray[np.int32]
    grid_bits: int
    leak: float


def write_cells(weights: Integers, config: AnalogConfig, rng: np.random.Generator | None) -> Cells:
    """Write a layer's weights to the cells of a chip.

    A stuck cell keeps the lowest or the highest level; then each conductance is multiplied by its own
    1 + variation_frac * N(0, 1), and not below 0.

    Parameters
    ----------
    weights : ndarray of int16, out x in x kernel x kernel
    config : AnalogConfig
    rng : Generator or None
        Draws the chip; None writes to cells that neither vary nor stick.
    """
    varies = rng is not None and config.variation_frac > 0
    grid_bits = GRID_BITS if varies or config.leak > 0 else 0
    leak = round(config.leak * 2**grid_bits) / 2**grid_bits
    arrays = []
    for held in polarities(weights, config):
        level = levels(held, config).astype(np.float32)
        if rng is not None and config.stuck_off_frac + config.stuck_on_frac > 0:
            fate = rng.random(level.shape, dtype=np.float32)
            level[fate < config.stuck_off_frac + config.stuck_on_frac] = config.top_level
            level[fate < config.stuck_off_frac] = 0
        level += np.float32(leak)
        if rng is not None and varies:
            factor = rng.standard_normal(level.shape, dtype=np.float32)
            factor *= np.float32(config.variation_frac)
            factor += 1
            level *= np.maximum(factor, 0, out=factor)
        level *= 2**grid_bits
        arrays.append(np.rint(level).astype(np.int32))
    values = reads(np.stack(arrays), config).astype(np.int32)
    if not (values & ((1 << grid_bits) - 1)).any():  # whole levels: what a pair leaks cancels
        values, grid_bits = values >> grid_bits, 0
    return Cells(values=values, grid_bits=grid_bits, leak=leak)


def chip_generator(seed: int, draw: int, layer: int) -> np.random.Generator:
    """Make the generator of one layer's cells: chips and layers are drawn independently of each other."""
    return np.random.default_rng([seed, draw, layer])
