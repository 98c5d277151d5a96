"""Which of a chip's fields decide the accuracy of a network on it."""

from __future__ import annotations

import math
from dataclasses import replace

from services.common.errors import InvalidChip, violation
from services.common.layers import Bits
from services.hw_oracle.types import ChipConfig, PimType
from services.trainer.analog_types import AdcMode, AnalogConfig


def analog_of_chip(chip: ChipConfig, bits: Bits | None = None) -> AnalogConfig:
    """Make the analog configuration of a chip.

    A subarray has converters of its own: its rows are what one ADC sums, its DACs what is fed at once. The
    ADC's full scale is the largest sum of a column where its bits tell all sums apart (FIX; so in ISAAC),
    else it follows the layer (SCALE), MNSIM 2.0's default. A cell holds one bit, as in the oracle's mapping.
    Variation and stuck cells, which a chip's file does not have, are MNSIM 2.0's: 1 %, and 0.1 % each. A
    digital crossbar adds without error.

    Parameters
    ----------
    chip : ChipConfig
    bits : Bits, optional
        Of every layer; `input_bits` are those of all activations. None takes MNSIM 2.0's 9 each.

    Raises
    ------
    InvalidChip
        The two resistances of an analog cell cannot be told apart, or the first is the lower one.
    InvalidRequest
        A width beyond what is modelled.
    """
    pe, bits = chip.tile.pe, bits or Bits()
    crossbar, device = pe.crossbar, pe.crossbar.device
    widths = {"activation_bits": bits.input_bits, "weight_bits": bits.weight_bits}
    if pe.pim_type is PimType.DIGITAL:
        return AnalogConfig(
            rows=crossbar.subarray_rows,
            rows_at_once=crossbar.subarray_rows,
            dac_bits=pe.dac.bits,
            adc_mode=AdcMode.IDEAL,
            differential=pe.differential,
            digital_subtraction=pe.digital_subtraction,
            on_off_ratio=math.inf,
            variation_frac=0.0,
            stuck_off_frac=0.0,
            stuck_on_frac=0.0,
            **widths,
        )
    ratio = device.high_resistance_ohm / device.low_resistance_ohm
    if ratio < 1.1:
        field = f"{device.path}.high_resistance_ohm"
        wanted = f"at least 1.1 x low_resistance_ohm = {1.1 * device.low_resistance_ohm:g}"
        raise InvalidChip.of(violation(field, device.high_resistance_ohm, wanted))
    config = AnalogConfig(
        rows=crossbar.subarray_rows,
        rows_at_once=min(pe.dacs, crossbar.subarray_rows),
        dac_bits=pe.dac.bits,
        adc_bits=pe.adc.bits,
        adc_mode=AdcMode.SCALE,
        differential=pe.differential,
        digital_subtraction=pe.digital_subtraction,
        on_off_ratio=ratio,
        **widths,
    )
    return replace(config, adc_mode=AdcMode.FIX) if config.fixed_step <= 1 else config
