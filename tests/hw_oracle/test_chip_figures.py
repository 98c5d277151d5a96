from __future__ import annotations

import pytest
from hypothesis import given

from services.hw_oracle.chip_figures import chip_figures
from services.hw_oracle.types import BufferConfig, ChipConfig, PeConfig, TileConfig
from tests.hw_oracle.random_chips import chips


def test_the_default_chip_has_the_figures_of_mnsims_worked_example() -> None:
    figures = chip_figures(ChipConfig())
    assert (figures.tiles, figures.pes, figures.crossbars) == (4096, 16384, 32768)
    assert figures.cells == 32768 * 256 * 256
    assert (figures.adcs_per_pe, figures.columns_per_adc, figures.rows_per_dac) == (128, 2, 2)
    assert (figures.adc_latency_ns, figures.dac_latency_ns) == (8, 3)
    assert figures.read_latency_ns == pytest.approx(3.16001284)
    assert figures.crossbar_area_um2 == pytest.approx(256 * 256 * 1.44 + 256 * 1150)
    assert figures.tile_area_um2 == pytest.approx(4317798.1165929)
    assert figures.chip_area_um2 == 4096 * figures.tile_area_um2


def test_derived_adcs_are_counted() -> None:
    chip = ChipConfig(tile=TileConfig(pe=PeConfig(adcs=None)))
    figures = chip_figures(chip)
    assert figures.adcs_per_pe == 31  # ceil(2 sqrt(388772) / sqrt(1650))
    assert figures.columns_per_adc == 9


def test_a_given_buffer_is_part_of_the_tile() -> None:
    small, large = (
        chip_figures(ChipConfig(buffer=BufferConfig(output_size_kb=kb))).tile_area_um2 for kb in (2, 64)
    )
    assert large - small == pytest.approx((1.974404875 - 0.0405803) * 1e6)


@given(chips())
def test_every_chip_has_figures(chip: ChipConfig) -> None:
    figures = chip_figures(chip)
    assert figures.chip_area_um2 >= figures.tile_area_um2 > figures.pe_area_um2
