"""DAC and ADC: the published designs to choose from, and their conversion times.

Tables: MNSIM 2.0, Hardware_Model/DAC.py and ADC.py. The 8-bit DAC's power is 0.4992 W there, likely meant as
milliwatts; it is kept, as all of MNSIM's results with that DAC rest on it.
"""

from __future__ import annotations

from services.hw_oracle.types import AdcConfig, AdcConversion, DacConfig


def _dac(bits: int, area_um2: float, power_w: float) -> DacConfig:
    return DacConfig(bits=bits, area_um2=area_um2, power_w=power_w, rate_gsps=1.0)


def _adc(bits: int, area_um2: float, power_w: float, rate_gsps: float) -> AdcConfig:
    return AdcConfig(bits=bits, area_um2=area_um2, power_w=power_w, rate_gsps=rate_gsps)


DAC_CHOICES = {
    1: _dac(1, 0.166, 3.9e-6),
    2: _dac(2, 0.332, 7.8e-6),
    3: _dac(3, 0.664, 1.56e-5),
    4: _dac(4, 1.328, 3.12e-5),
    5: _dac(6, 5.312, 1.248e-4),
    6: _dac(8, 21.248, 0.4992),
    7: _dac(1, 0.166, 3.9e-6),
}
"""MNSIM 2.0's DACs by DAC_Choice."""

ADC_CHOICES = {
    1: _adc(10, 1600, 6.92e-3, 1.5),
    2: _adc(8, 1200, 2e-3, 1.28),
    3: _adc(8, 1650, 4e-3, 1.1),
    4: _adc(6, 580, 1.26e-3, 1),
    5: _adc(8, 1650, 4e-3, 1.1),
    6: _adc(6, 1650, 1.26e-3, 1),
    7: _adc(4, 500, 7e-4, 1),
    8: _adc(1, 1, 1.629e-6, 1),
    9: AdcConfig(bits=8, area_um2=15899, power_w=5.84e-5, rate_gsps=6, conversion=AdcConversion.COUNTING),
}
"""MNSIM 2.0's ADCs by ADC_Choice."""

LOGIC_AREA_UM2 = {-1: 0.0, 0: 17.28 * 0.18, 1: 17.28 * 0.18, 2: 19.2 * 0.18}
"""Area of the gate that Logic_Op adds to each ADC."""


def dac_latency_ns(dac: DacConfig) -> float:
    """Time of one conversion: bits + 2 cycles."""
    return (dac.bits + 2) / dac.rate_gsps


def adc_latency_ns(adc: AdcConfig) -> float:
    """Time of one conversion: one cycle for one bit, else as the way of conversion says."""
    if adc.bits == 1:
        return 1 / adc.rate_gsps
    cycles = 2**adc.bits if adc.conversion is AdcConversion.COUNTING else adc.bits + 2
    return cycles / adc.rate_gsps
