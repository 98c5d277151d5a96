"""Whatever a file says, it is a chip or it is refused with the fields at fault."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.errors import InvalidChip
from services.hw_oracle.chip_text import MAX_CHARACTERS
from services.hw_oracle.chip_toml import chip_from_toml, chip_to_toml
from services.hw_oracle.simconfig import chip_from_simconfig, read_simconfig
from services.hw_oracle.simconfig_keys import sections
from services.hw_oracle.simconfig_write import simconfig_from_chip
from services.hw_oracle.types import ChipConfig

Read = Callable[[str], ChipConfig]

TOML, INI = chip_to_toml(ChipConfig()), simconfig_from_chip(ChipConfig())
KEYS = {key for keys in sections().values() for key in keys}

VALUES = st.integers().map(str) | st.sampled_from(
    [
        *(
            "nan",
            "inf",
            "-inf",
            "1e400",
            "-1e400",
            "-0.0",
            "0",
            "-1",
            "1e-320",
            "9" * 20,
            "1_000",
            "0x10",
            "2.5",
        ),
        *("true", "''", '""', "[]", "{}", '"derived"', "none", "1T1R", "%(x)s", "\x00", "\ud7ff", "\u0661"),
        *(",", "1,2", "1,2,3", "1e5,,1e4", "=", "[", "]", "#", ";"),
    ]
)


@st.composite
def mutated(draw: st.DrawFn, text: str) -> str:
    """Change values, lines and characters of a sound file."""
    lines = text.splitlines()
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(lines) - 1))
        match draw(st.integers(0, 4)):
            case 0 | 1:
                lines[at] = f"{lines[at].partition('=')[0]}= {draw(VALUES)}"
            case 2:
                lines.insert(at, draw(st.sampled_from(lines) | st.text(max_size=30)))
            case 3:
                del lines[at : at + draw(st.integers(1, 30))]
                lines = lines or [""]
            case _:
                cut = draw(st.integers(0, len(lines[at])))
                lines[at] = lines[at][:cut] + draw(st.text(max_size=5)) + lines[at][cut + 1 :]
    return "\n".join(lines)


def is_chip_or_is_refused(read: Read, text: str) -> None:
    try:
        chip = read(text)
    except InvalidChip as refused:
        error = refused
    else:
        assert chip_from_toml(chip_to_toml(chip)) == chip
        return
    assert 0 < len(error.message) < 20_000
    for wrong in error.violations:
        assert wrong.field.startswith(("chip.", "[")) or wrong.field in KEYS
        assert len(str(wrong)) < 3_000


@given(st.text())
def test_any_text(text: str) -> None:
    is_chip_or_is_refused(chip_from_toml, text)
    is_chip_or_is_refused(chip_from_simconfig, text)


@given(mutated(TOML))
def test_a_changed_toml_file(text: str) -> None:
    is_chip_or_is_refused(chip_from_toml, text)


@given(mutated(INI))
def test_a_changed_ini_file(text: str) -> None:
    is_chip_or_is_refused(chip_from_simconfig, text)


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "+inf"])
@pytest.mark.parametrize("line", [line for line in TOML.splitlines() if "=" in line])
def test_no_field_takes_what_is_no_number(line: str, value: str) -> None:
    text = TOML.replace(f"\n{line}", f"\n{line.partition('=')[0]}= {value}")
    if line == TOML.splitlines()[0]:
        text = text.replace(line, f"{line.partition('=')[0]}= {value}", 1)
    with pytest.raises(InvalidChip, match=line.partition("=")[0].strip()):
        chip_from_toml(text)


IGNORED = {item.key.partition("] ")[2] for item in read_simconfig(INI)[1]}


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e999"])
@pytest.mark.parametrize("key", sorted(KEYS - IGNORED | {"Tile_outBuf_Size"}))
def test_no_key_takes_what_is_no_number(key: str, value: str) -> None:
    text = re.sub(rf"^{key} = .*$", f"{key} = {value}", INI, count=1, flags=re.MULTILINE)
    with pytest.raises(InvalidChip, match=key):
        chip_from_simconfig(text)


DEEP = {
    "keys": "a" + ".a" * 480 + " = 1",
    "tables": "\n".join(f"[tile.t{i}" + ".a" * 480 + "]" for i in range(65)),
    "arrays": "tile = " + "[\n" * 30_000,
    "inline tables": "tile = " + "{a = " * 190,
    "array tables": "[[tile]]\n[tile.pe.adc]\n" * 2_000,
    "sections": "\n".join(f"[s{i}]" for i in range(8_000)),
    "lines": "[Tile level]\nPE_Num = " + "1,\n " * 13_000,
    "similar keys": "[Tile level]\n" + "\n".join(f"PE_Num{i} = 1" for i in range(4_000)),
    "bare keys": "[Tile level]\n" + ("a" + " " * 990 + "\n") * 66,
    "huge digits": "\n".join(f"g{i} = 0x{'f' * 990}" for i in range(65)),
}


@pytest.mark.parametrize("read", [chip_from_toml, chip_from_simconfig])
@pytest.mark.parametrize("text", DEEP.values(), ids=DEEP)
def test_deep_and_long_files_are_refused(read: Read, text: str) -> None:
    assert len(text) <= MAX_CHARACTERS + 2_000
    with pytest.raises(InvalidChip):
        read(text[:MAX_CHARACTERS])
    is_chip_or_is_refused(read, text[:MAX_CHARACTERS])
