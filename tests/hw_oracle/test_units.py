"""Converters, buffers and digital units against numbers worked out by hand."""

from __future__ import annotations

import pytest

from services.common.errors import InvalidChip
from services.hw_oracle import crossbar
from services.hw_oracle.buffer import access_ns, power_of_two_kb, sram
from services.hw_oracle.converters import ADC_CHOICES, DAC_CHOICES, adc_latency_ns, dac_latency_ns
from services.hw_oracle.device import read_power_w
from services.hw_oracle.digital import adder, multiplexer, multiplexer_stages, pooling_unit
from services.hw_oracle.pe import make_pe
from services.hw_oracle.tile import joints
from services.hw_oracle.types import (
    BufferConfig,
    ChipConfig,
    CrossbarConfig,
    DeviceConfig,
    DeviceKind,
    DigitalConfig,
    PeConfig,
    PimType,
    PoolingConfig,
    TileConfig,
)


def test_a_cell_of_the_default_chip_takes_75_nanowatts() -> None:
    # V2 = 0.1 * 0.15**2 = 0.00225; R = 1e6 * 1e4 / (0.67e4 + 0.33e6) = 29700.0297 ohm
    assert read_power_w(DeviceConfig()) == pytest.approx(7.57575e-8, rel=1e-12)


def test_a_cell_whose_states_are_equal_is_a_resistor() -> None:
    device = DeviceConfig(high_resistance_ohm=50, low_resistance_ohm=50, off_voltage_v=2, on_voltage_v=2)
    assert read_power_w(device) == pytest.approx(2**2 / 50)


def test_a_passive_array_has_small_cells_and_half_selected_columns() -> None:
    array = CrossbarConfig(passive=True, device=DeviceConfig(cell_area_um2=None, technology_nm=50))
    assert crossbar.area_um2(array, PimType.ANALOG) == pytest.approx(256 * 256 * 4 * 0.05**2)
    whole = crossbar.power_w(array, 10, 256)
    assert whole == pytest.approx(2560 * 7.57575e-8)
    assert crossbar.power_w(array, 10, 0) == pytest.approx(0.25 * 2560 * 0.00225 / 1e6)


def test_crossbar_area_is_cells_and_drivers() -> None:
    assert crossbar.area_um2(CrossbarConfig(), PimType.ANALOG) == pytest.approx(65536 * 1.44 + 256 * 1150)
    sram_cells = CrossbarConfig(device=DeviceConfig(kind=DeviceKind.SRAM, cell_area_um2=None))
    assert crossbar.area_um2(sram_cells, PimType.ANALOG) == 5 * 65536
    digital_um2 = 65536 * 1.44 + 256 * (7.3 * 2.7 + 9.5 * 3.8) * 4
    assert crossbar.area_um2(CrossbarConfig(), PimType.DIGITAL) == pytest.approx(digital_um2)


def test_conversion_times() -> None:
    assert dac_latency_ns(DAC_CHOICES[6]) == 10
    assert adc_latency_ns(ADC_CHOICES[6]) == 8
    assert adc_latency_ns(ADC_CHOICES[8]) == 1
    assert adc_latency_ns(ADC_CHOICES[9]) == pytest.approx(256 / 6)


def test_adder_area_and_power_step_with_the_technology() -> None:
    areas = [adder(DigitalConfig(adder_technology_nm=nm), 8).area_um2 / 8 for nm in (28, 45, 55, 65, 66)]
    assert areas == pytest.approx([0.10976, 0.2835, 0.4235, 1.42, 2.366])
    powers = [adder(DigitalConfig(adder_technology_nm=nm), 1).power_w for nm in (55, 65, 66)]
    assert powers == [2.5e-9, 3e-7, 2.5e-9]
    assert adder(DigitalConfig(adder_area_um2=7), 32).area_um2 == 7


def test_multiplexers_grow_by_steps() -> None:
    counts = [multiplexer(n, 100).power_w / 1.2e-8 for n in (1, 2, 4, 8, 16, 32, 33)]
    assert counts == pytest.approx([8, 8, 24, 72, 216, 648, 1944])
    assert [multiplexer_stages(n) for n in (1, 7, 8, 63, 64)] == [2, 2, 3, 3, 4]


def test_pooling_units_known_at_65_nm_and_scaled_elsewhere() -> None:
    assert pooling_unit(PoolingConfig()).area_um2 == 91917.1562
    assert pooling_unit(PoolingConfig(window=4)).power_w == 0
    scaled = pooling_unit(PoolingConfig(technology_nm=130, units=32, window=4))
    assert (scaled.area_um2, scaled.power_w) == pytest.approx((91917.1562 * 2, 3.082e-3 * 4))


def test_a_buffer_is_looked_up_by_the_next_larger_size() -> None:
    buffer = sram(90, 64, 0.5)
    assert buffer.area_um2 == pytest.approx(40580.3)
    assert buffer.read_power_w == pytest.approx(1e-3 * (0.0075695 / 20 * 1000 + 1.006428))
    assert sram(90, 64, 2) == buffer != sram(90, 64, 2.001)
    assert sram(64.9, 256, 300).area_um2 == pytest.approx(3763339.813)
    assert sram(90, 512, 0).area_um2 == 0


def test_no_buffer_is_small_and_wide() -> None:
    with pytest.raises(InvalidChip, match="needs a buffer of 2 KB and none so small is wider"):
        sram(90, 257, 2)


def test_every_access_moves_the_full_width_in_20_ns() -> None:
    assert [access_ns(BufferConfig(), bits) for bits in (0, 1, 64, 65)] == [0, 20, 20, 40]


def test_sizes_round_up_to_powers_of_two() -> None:
    sizes = [power_of_two_kb(b) * 1024 for b in (0.3, 1, 1.01, 1024, 1025)]
    assert sizes == [0.5, 1, 2, 1024, 2048]


def test_adcs_left_out_are_as_many_as_fit_beside_the_crossbar() -> None:
    # sqrt(388771.84) * 2 / sqrt(1650) = 30.7
    assert make_pe(ChipConfig(tile=TileConfig(pe=PeConfig(adcs=None)))).adcs == 31


def test_joint_modules_form_a_tree() -> None:
    assert [joints(n) for n in (1, 2, 3, 4, 5, 16)] == [0, 1, 2, 3, 4, 15]
