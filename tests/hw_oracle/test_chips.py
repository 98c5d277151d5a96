from __future__ import annotations

import re
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest

from services.common.errors import InvalidChip, NotFound
from services.hw_oracle.chip_toml import chip_from_toml
from services.hw_oracle.chips import PRESETS, load_chip, read_chip
from services.hw_oracle.simconfig import chip_from_simconfig
from services.hw_oracle.simconfig_keys import sources
from services.hw_oracle.types import ChipConfig, Placement


def test_the_default_preset_is_mnsims_simconfig_and_the_default_chip(golden_configs: dict[str, str]) -> None:
    preset = load_chip("mnsim2_default")
    assert preset == chip_from_simconfig(golden_configs["default.ini"]) == ChipConfig()


def test_the_default_preset_spells_every_field_of_the_tree() -> None:
    def names(node: Any) -> list[str]:
        children = [(f.name, getattr(node, f.name)) for f in fields(node)]
        return [n for name, child in children for n in (names(child) if is_dataclass(child) else [name])]

    text = (Path(__file__).parents[2] / "services/hw_oracle/presets/mnsim2_default.toml").read_text()
    spelled = [
        line.partition(" = ")[0] for line in text.splitlines() if " = " in line and line[0] not in "#["
    ]
    assert sorted(spelled) == sorted(names(ChipConfig()))


def test_a_file_is_read_by_its_ending(tmp_path: Path) -> None:
    toml, ini = tmp_path / "a.toml", tmp_path / "a.ini"
    toml.write_text('placement = "snake"\n[tile.pe]\nadcs = "derived"\n')
    ini.write_text("[Architecture level]\nTile_Connection = 1\n[Process element level]\nADC_Num = 0\n")
    chip = load_chip(str(toml))
    assert chip == load_chip(str(ini))
    assert (chip.placement, chip.tile.pe.adcs) == (Placement.SNAKE, None)


@pytest.mark.parametrize("name", ["mnsim2_defalt", "nowhere.yaml", "", "/"])
def test_an_unknown_chip_is_not_found_and_the_known_ones_are_named(name: str) -> None:
    with pytest.raises(NotFound, match="mnsim2_default"):
        load_chip(name)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[tile.pe.adc]\nbit = 3", "chip.tile.pe.adc.bit: unknown field, .*did you mean bits"),
        ("[tile.pe.adc]\nbits = 3.5", "chip.tile.pe.adc.bits: got 3.5, wanted an integer from 1 to 32"),
        ("[tile.pe.adc]\nbits = 99", "chip.tile.pe.adc.bits: got 99, wanted an integer from 1 to 32"),
        ("tile = 3", "chip.tile: got 3, wanted a table"),
        ('clock_mhz = "derived"', "chip.clock_mhz: got None"),
        ("clock_mhz = nan", "chip.clock_mhz: got nan"),
        ("clock_mhz", "this is no TOML"),
        ("clock_mhz = -inf", "chip.clock_mhz: got -inf"),
        ("clock_mhz = true", "chip.clock_mhz: got True"),
        ("clock_mhz = 1979-05-27", "chip.clock_mhz: got datetime.date"),
        ("clock_mhz = 0x" + "f" * 900, "chip.clock_mhz: got .*wanted a number"),
        ("grid_rows = 0x" + "f" * 4000, "got a line of 4014 characters, wanted at most 1000"),
        (
            "\n".join(f"grid_rows = 0b{'1' * 990}" for _ in range(99)),
            "got 99494 characters, wanted at most 65536",
        ),
        ("[[tile]]", "chip.tile: got .*wanted a table"),
        ("[clock_mhz]\na" + ".a" * 400 + " = 1", "chip.clock_mhz: got"),
    ],
)
def test_a_wrong_file_is_refused_by_path(text: str, message: str) -> None:
    with pytest.raises(InvalidChip, match=message):
        chip_from_toml(text)


def test_a_chip_knows_its_title_and_its_keys_without_effect(tmp_path: Path) -> None:
    ini = tmp_path / "a.ini"
    ini.write_text("#### Our chip ####\n[Device level]\nDevice_SAF = 1,1\n")
    named = read_chip(str(ini))
    assert (named.name, named.title) == (str(ini), "Our chip")
    assert [item.key for item in named.ignored] == ["[Device level] Device_SAF"]
    ini.write_text("[Tile level]\nPE_Num = 1,1\n")
    assert read_chip(str(ini)).title == ""


def test_the_guide_names_every_preset_field_and_key() -> None:
    guide = (Path(__file__).parents[2] / "docs/chips.md").read_text()
    words = set(re.findall(r"\w+", guide))
    assert set(PRESETS) <= words
    for path, key in sources().items():
        assert {path.rpartition(".")[2], key} <= words, path
