"""`imcnas chips`: what is listed, shown, refused and written."""

import json
from pathlib import Path

import pytest

from services.hw_oracle.chips import PRESETS, load_chip
from services.hw_oracle.types import chip_hash
from tests.cli.conftest import Command

INI = """# Ours
[Device level]
Write_Latency = 10
Write_Voltage = 0,3
[Interface level]
ADC_Choice = 4
ADC_Area = 7
[Tile level]
PE_Num = 3,2
"""


@pytest.fixture
def ini(imcnas: Command) -> Path:
    file = Path("SimConfig.ini")  # in the empty folder that the command runs in
    file.write_text(INI)
    return file


def test_the_commands_teach_by_examples(imcnas: Command):
    for command in ("list", "show", "validate", "convert"):
        code, out, _ = imcnas("chips", command, "--help")
        assert code == 0
        assert f"imcnas chips {command}" in out.split("For example:")[1]


def test_list_gives_every_preset_a_line_with_its_title(imcnas: Command):
    code, out, _ = imcnas("chips", "list")
    head, *lines = out.splitlines()
    assert code == 0
    assert [line.split()[0] for line in lines] == list(PRESETS)
    assert head.split() == ["name", "cells", "crossbar", "ADC", "tiles", "title"]
    isaac = next(line for line in lines if line.startswith("isaac"))
    assert " ".join(isaac.split()) == (
        "isaac NVM 32 nm 128 x 128 8 bit 168 ISAAC-CE (ISCA 2016): 12 units of 8 crossbars a tile, 168 tiles"
    )
    assert len({line.index(" bit") for line in lines}) == 1


def test_show_gives_each_field_with_its_unit_and_the_default_where_it_differs(imcnas: Command):
    code, out, _ = imcnas("chips", "show", "isaac")
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert code == 0
    assert lines[:2] == [
        "isaac: ISAAC-CE (ISCA 2016): 12 units of 8 crossbars a tile, 168 tiles",
        f"chip hash {chip_hash(load_chip('isaac'))}",
    ]
    assert "clock_mhz 1,200 MHz default 500 MHz" in lines
    assert "power_w 3.9e-06 W" in lines
    assert "adder_area_um2 derived" in lines
    assert "crossbars 16,128" in lines
    assert "chip area 2860 mm2" in lines


def test_show_says_where_an_area_rests_on_the_smallest_buffers(imcnas: Command):
    assert (
        "tile area                       4.32 mm2         with the smallest buffers"
        in imcnas("chips", "show", "mnsim2_default")[1]
    )


def test_show_gives_programs_one_object(imcnas: Command, ini: Path):
    code, out, _ = imcnas("chips", "show", str(ini), "--json")
    row = json.loads(out)
    chip = load_chip(str(ini))
    assert code == 0
    assert (row["name"], row["title"], row["chip_hash"]) == ("SimConfig.ini", "Ours", chip_hash(chip))
    assert row["chip"]["tile"]["pes"] == 6
    assert row["changed_from"] == {"tile": {"pes": 4, "pe": {"adc": {"area_um2": 1650.0}}}}
    assert row["derived"]["pes"] == 6 * 4096
    assert {item["key"] for item in row["ignored"]} == {
        "[Device level] Write_Latency",
        "[Device level] Write_Voltage",
        "[Interface level] ADC_Area",
    }


def test_validate_says_ok_with_the_hash_and_names_what_is_ignored(imcnas: Command, ini: Path):
    code, out, _ = imcnas("chips", "validate", str(ini))
    assert code == 0
    assert out.splitlines() == [
        f"SimConfig.ini: ok, chip {chip_hash(load_chip(str(ini)))}",
        "Ignored, as they have no effect:",
        "  [Device level] Write_Latency, Write_Voltage: weights are never written",
        "  [Interface level] ADC_Area: only ADC_Choice = -1 takes an ADC from the file",
    ]


def test_validate_tells_every_mistake_of_every_file(imcnas: Command, ini: Path):
    Path("bad.toml").write_text("clock_mhz = 0\nplaces = 1\n[tile]\npes = 0\n")
    Path("worse.ini").write_text("[Tile level]\nPE_Nums = 2,2\nPE_Num = two\n")
    Path("worst.toml").write_text("clock_mhz = \n")
    code, out, err = imcnas("chips", "validate", "bad.toml", "worse.ini", "worst.toml", str(ini))
    assert (code, err) == (1, "")
    for told in (
        "bad.toml: 3 mistakes\n",
        "  chip.places: unknown field",
        "  chip.tile.pes: got 0, wanted an integer from 1 to 65536\n",
        "  chip.clock_mhz: got 0, wanted a number from 0.001 to 1e+06\n",
        "worse.ini: 2 mistakes\n",
        "  [Tile level] PE_Nums: unknown key",
        "  PE_Num: got 'two', wanted 2 whole numbers, separated by commas\n",
        "worst.toml: this is no TOML: ",
        "SimConfig.ini: ok",
    ):
        assert told in out


def test_convert_writes_toml_and_tells_what_was_ignored_beside_it(imcnas: Command, ini: Path):
    code, out, err = imcnas("chips", "convert", str(ini))
    assert code == 0
    assert "Write_Latency, Write_Voltage: weights are never written" in err
    Path("again.toml").write_text(out)
    assert load_chip("again.toml") == load_chip(str(ini))


def test_convert_writes_a_file_by_its_ending_and_tells_what_it_cannot_say(imcnas: Command, ini: Path):
    assert imcnas("chips", "convert", str(ini), "-o", "mine.toml")[:2] == (0, "")
    with Path("mine.toml").open("a") as file:
        file.write("\n# changed\n")
    text = Path("mine.toml").read_text().replace('"window"', '"row"')
    Path("mine.toml").write_text(text)
    code, out, err = imcnas("chips", "convert", "mine.toml", "--output", "new.ini")
    assert (code, out) == (0, "")
    assert (
        "Note: chip.pipeline: row is no key of a SimConfig.ini; ask MNSIM's latency model for mode=0\n" in err
    )
    assert load_chip("new.ini") == load_chip(str(ini))
    assert "ADC_Choice = 4\n" in Path("new.ini").read_text()
    assert sorted(p.name for p in Path().iterdir()) == ["SimConfig.ini", "mine.toml", "new.ini"]


def test_convert_takes_presets_and_the_form_that_is_asked_for(imcnas: Command):
    code, out, _ = imcnas("chips", "convert", "isaac", "--to", "ini")
    assert code == 0
    assert "Xbar_Size = 128,128\n" in out
    assert imcnas("chips", "convert", "isaac", "--to", "toml", "-o", "isaac.txt")[0] == 0
    assert 'kind = "nvm"' in Path("isaac.txt").read_text()


def test_convert_replaces_a_file_only_by_force(imcnas: Command, ini: Path):
    Path("mine.toml").write_text("precious")
    code, _, err = imcnas("chips", "convert", str(ini), "-o", "mine.toml")
    assert code == 2
    assert "--output: mine.toml exists" in err
    assert "--force" in err
    assert Path("mine.toml").read_text() == "precious"
    assert imcnas("chips", "convert", str(ini), "-o", "mine.toml", "--force")[0] == 0
    assert load_chip("mine.toml") == load_chip(str(ini))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["show", "isac"], ["chip: got 'isac'", "did you mean isaac?"]),
        (["validate", "missing.toml"], ["missing.toml: no such file"]),
        (["convert", "mnsim2_default", "-o", "chip.yaml"], ["--output: got 'chip.yaml'", ".toml or .ini"]),
        (["convert", "mnsim2_default", "-o", "no/such/folder.toml"], ["--output: cannot write"]),
        (["convert", "mnsim2_default", "-o", ".", "--to", "ini", "--force"], ["--output: . exists"]),
        (["convert", "mnsim2_default", "--to", "yaml"], ["'yaml'", "toml", "ini"]),
        (["convert", "bad.toml"], ["bad.toml: chip.clock_mhz: got 0"]),
        (["convert", "odd.toml", "--to", "ini"], ["crossbar.transistor_nm: got 28.5", "Transistor_Tech"]),
    ],
)  # fmt: skip
def test_what_cannot_be_done_exits_with_2_and_says_why(
    imcnas: Command, arguments: list[str], told: list[str]
):
    Path("bad.toml").write_text("clock_mhz = 0\n")
    Path("odd.toml").write_text("[tile.pe.crossbar]\ntransistor_nm = 28.5\n")
    code, out, err = imcnas("chips", *arguments)
    text = " ".join(err.replace("│", " ").split())
    assert (code, out, [t for t in told if t not in text]) == (2, "", []), err
    assert "Traceback" not in err
