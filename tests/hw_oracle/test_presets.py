"""Presets are what their sources say, as far as the sources go."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from services.hw_oracle.chip_figures import ChipFigures, chip_figures
from services.hw_oracle.chips import DEFAULT, PRESETS, load_chip, read_chip
from services.hw_oracle.simconfig import chip_from_simconfig
from services.hw_oracle.types import ChipConfig

FOLDER = Path(__file__).parents[2] / "services/hw_oracle/presets"
MNSIM = "[Process element level]\n{}\n[Interface level]\n{}\n[Device level]\n{}\n[Crossbar level]\n{}\n"


def both(name: str) -> tuple[ChipConfig, ChipFigures]:
    chip = load_chip(name)
    return chip, chip_figures(chip)


def test_every_preset_file_is_found() -> None:
    assert list(PRESETS) == sorted(p.stem for p in FOLDER.glob("*.toml"))
    assert DEFAULT in PRESETS


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_has_a_short_title_and_a_citation(name: str) -> None:
    text = (FOLDER / f"{name}.toml").read_text()
    assert 20 < len(read_chip(name).title) < 80
    head = text[: text.index("\n\n")]
    assert re.search(r"doi 10\.|IEEE TCAD|at\s(# )?commit ca39ccb", head)


@pytest.mark.parametrize("name", ["isaac", "puma"])
def test_a_published_chip_spells_every_field_and_says_which_are_not_published(name: str) -> None:
    spelled = re.compile(r"^(\w+) = ", re.MULTILINE)
    text = (FOLDER / f"{name}.toml").read_text()
    every = spelled.findall((FOLDER / f"{DEFAULT}.toml").read_text())
    assert sorted(spelled.findall(text)) == sorted(every)
    assert text.count("not published: MNSIM 2.0's default") >= 5
    assert "no reproduction of its results" in text


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("mnsim2_default", ("", "", "", "")),
        ("mnsim2_adc8", ("", "ADC_Choice = 3", "", "")),
        ("mnsim2_groups8", ("Group_Num = 8", "", "", "")),
        (
            "mnsim2_digital_sram",
            (
                "PIM_Type = 1\nXbar_Polarity = 1\nDAC_Num = 1\nADC_Num = 256",
                "Logic_Op = 0",
                "Device_Type = SRAM\nDevice_Tech = 28",
                "Area_Calculation = 1\nTransistor_Tech = 28",
            ),
        ),
    ],
)
def test_a_preset_of_mnsim_is_its_default_file_with_a_few_keys(name: str, keys: tuple[str, ...]) -> None:
    assert load_chip(name) == chip_from_simconfig(MNSIM.format(*keys))


def test_isaacs_parts_add_up_to_table_1() -> None:
    chip, figures = both("isaac")
    pe, pes = chip.tile.pe, chip.tile.pes
    assert (figures.tiles, figures.crossbars) == (168, 168 * 12 * 8)
    adcs, dacs = pes * figures.adcs_per_pe, pes * figures.dacs_per_pe
    assert adcs * pe.adc.power_w == pytest.approx(12 * 16e-3)  # of 330 mW a tile: 58 %
    assert adcs * pe.adc.area_um2 == pytest.approx(12 * 0.0096e6)
    assert dacs * pe.dac.power_w == pytest.approx(12 * 4e-3, rel=0.01)
    assert dacs * pe.dac.area_um2 == pytest.approx(12 * 0.00017e6, rel=0.01)
    crossbars = figures.crossbars_per_tile
    assert crossbars * figures.crossbar_power_w == pytest.approx(12 * 2.4e-3, rel=0.01)
    assert crossbars * figures.cells_per_crossbar * figures.cell_area_um2 == pytest.approx(12 * 200, rel=0.01)


def test_isaac_converts_a_crossbar_in_the_time_of_a_read() -> None:
    chip, figures = both("isaac")
    assert figures.columns_per_adc == 1
    assert figures.adc_latency_ns == pytest.approx(100)
    assert chip.tile.pe.crossbar.columns / figures.adc_latency_ns == pytest.approx(1.28)  # GS/s of the ADC
    assert figures.read_latency_ns == pytest.approx(100, rel=1e-3)


def test_pumas_parts_add_up_to_its_published_figures() -> None:
    chip, figures = both("puma")
    pe = chip.tile.pe
    stored_mib = figures.cells * 2 / 8 / 2**20  # 2 bits a cell
    assert stored_mib == pytest.approx(69)
    stage_ns = figures.adc_latency_ns
    assert stage_ns == pytest.approx(figures.read_latency_ns, rel=1e-3)
    assert (16 + 2) * stage_ns == pytest.approx(2304)  # of a 16-bit product
    shared_dacs_w = pe.dacs * pe.dac.power_w
    unit_w = figures.adcs_per_pe * pe.adc.power_w + figures.crossbars_per_pe * figures.crossbar_power_w
    assert (unit_w + shared_dacs_w) * 2304 == pytest.approx(43.97, rel=0.02)  # nJ
