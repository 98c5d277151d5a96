"""The ADC: what a column's sum is read as. Equations of the modes: MNSIM 2.0, Interface/quantize.py.

A sum S, in steps between levels times steps of the DAC, is read as ``step * code`` with
``code = clip(round(S / step), -limit, limit)``, ``limit = 2**(Q - 1) - 1`` and Q the quantiser's bits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from services.trainer.analog_types import AdcMode, AnalogConfig

POINT_SHIFT = -2
"""MNSIM's: SCALE's full scale is four times the layer's range, seen from the topmost cycle and slice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Adc:
    """The ADC of one layer.

    Parameters
    ----------
    step : float
        Distance of two readings, in steps between levels times steps of the DAC.
    limit : float
        Largest code, of either sign.
    grid_bits : int
        Of the cells whose sums are read.
    """

    step: float
    limit: float
    grid_bits: int

    @property
    def codes_per_sum(self) -> float:
        """Code of a sum of one, in units of the cells' grid, before rounding."""
        return 2.0**-self.grid_bits / self.step

    def codes(self, sums: Tensor) -> Tensor:
        """Read sums in units of a code; rounds half to even."""
        return sums.round().clamp_(-self.limit, self.limit)


def make_adc(config: AnalogConfig, grid_bits: int, splits: int, read_range: float) -> Adc:
    """Make the ADC of a layer.

    - ideal: ``step`` is the cells' grid, nothing is clipped.
    - FIX: ``step = (2**dac - 1) (2**cell - 1) rows / 2**(Q - 1)``.
    - SCALE: ``step = read_range / (2**((cycles - 1) dac) 2**((slices - 1) cell)) / 2**(p + Q - 1)`` with
      ``p = floor(-2 + log2(splits) / 2)``.

    Parameters
    ----------
    config : AnalogConfig
    grid_bits : int
        Of the cells.
    splits : int
        Crossbars that the layer's rows are split over.
    read_range : float
        Range of what the slices of a read add up to, in products of integers.
    """
    if config.adc_mode is AdcMode.IDEAL:
        return Adc(step=2.0**-grid_bits, limit=math.inf, grid_bits=grid_bits)
    bits = config.quantiser_bits - 1
    if config.adc_mode is AdcMode.FIX:
        step = config.fixed_step
    else:
        topmost = (config.cycles - 1) * config.dac_bits + (config.slices - 1) * config.cell_bits
        point = math.floor(POINT_SHIFT + math.log2(splits) / 2)
        step = read_range / 2.0 ** (topmost + point + bits)
    return Adc(step=step, limit=2**bits - 1, grid_bits=grid_bits)
