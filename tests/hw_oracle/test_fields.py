"""The chip's fields by name, read from text and changed."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import Any

import pytest
from hypothesis import given

from services.common.errors import InvalidChip, InvalidRequest
from services.hw_oracle.converters import ADC_CHOICES, DAC_CHOICES
from services.hw_oracle.fields import (
    CHOICES,
    chip_fields,
    field_value,
    full_path,
    read_value,
    short_name,
    value_text,
    with_fields,
)
from services.hw_oracle.types import AdcConfig, ChipConfig
from tests.hw_oracle.varied_chips import chips


def leaves(node: Any) -> int:
    """Count the values of a tree."""
    return sum(leaves(getattr(node, f.name)) for f in fields(node)) if is_dataclass(node) else 1


def test_every_value_of_the_chip_has_a_path():
    assert len(chip_fields()) == leaves(ChipConfig())
    assert "tile.pe.crossbar.device.read_latency_ns" in chip_fields()


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("tile.pe.crossbar.rows", "tile.pe.crossbar.rows"),
        ("crossbar.rows", "tile.pe.crossbar.rows"),
        ("rows", "tile.pe.crossbar.rows"),  # grid_rows is another name, not an end of one
        ("clock_mhz", "clock_mhz"),
        ("chip.clock_mhz", "clock_mhz"),
        ("adc.bits", "tile.pe.adc.bits"),
        ("adc.choice", "tile.pe.adc.choice"),
        ("tile.pes", "tile.pes"),
    ],
)
def test_any_end_of_a_path_that_means_one_field_names_it(name: str, path: str):
    assert full_path(name) == path


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("bits", ["tile.pe.dac.bits", "tile.pe.adc.bits"]),
        ("choice", ["tile.pe.adc.choice", "tile.pe.dac.choice"]),
        ("technology_nm", ["device.technology_nm", "pooling.technology_nm", "buffer.technology_nm"]),
        ("crosbar.rows", ["did you mean tile.pe.crossbar.rows"]),
        ("clock", ["did you mean clock_mhz"]),
        ("tile.pe.crossbar", ["field of the chip"]),
        ("", ["'': is no field", "imcnas chips show"]),
        ("zzz" * 1000, ["zzz: is no field", "imcnas chips show"]),
    ],
)
def test_a_name_of_several_fields_or_none_is_refused_with_what_may_be_meant(name: str, told: list[str]):
    with pytest.raises(InvalidRequest) as refused:
        full_path(name)
    assert [text for text in told if text not in str(refused.value)] == []
    assert refused.value.violations[0].field == (name[:100] or "''")
    assert len(str(refused.value)) < 500  # a few names, never all


@pytest.mark.parametrize(
    ("path", "text", "value"),
    [
        ("tile.pe.crossbar.rows", "128", 128),
        ("clock_mhz", "1e3", 1000.0),
        ("placement", "snake", "snake"),
        ("tile.pe.differential", "false", False),
        ("tile.pe.adcs", "derived", None),
        ("tile.pe.adcs", "64", 64),
        ("tile.pe.adc.choice", "9", 9),
    ],
)
def test_a_value_is_read_as_its_field_is_typed(path: str, text: str, value: object):
    assert read_value(path, text) == value
    assert type(read_value(path, text)) is type(value)


@pytest.mark.parametrize(
    ("path", "text", "told"),
    [
        ("tile.pe.crossbar.rows", "1.5", "an integer"),
        ("clock_mhz", "fast", "a number"),
        ("clock_mhz", "derived", "a number"),
        ("buffer.input_size_kb", "big", "or derived"),
        ("placement", "snail", "did you mean snake?"),
        ("tile.pe.differential", "True", "true or false"),
        ("tile.pe.adc.choice", "0", "1, 2, 3"),
    ],
)
def test_a_value_of_another_type_is_refused(path: str, text: str, told: str):
    with pytest.raises(InvalidRequest, match=path) as refused:
        read_value(path, text)
    assert told in str(refused.value)


@given(chip=chips())
def test_every_value_is_written_as_it_is_read(chip: ChipConfig):
    texts = {path: value_text(field_value(chip, path)) for path in chip_fields()}
    read = {path: read_value(path, text) for path, text in texts.items()}
    assert with_fields(ChipConfig(), read) == chip


def test_a_short_name_means_its_field_and_no_other():
    assert short_name("tile.pe.crossbar.rows") == "rows"
    assert short_name("tile.pe.adc.choice") == "adc.choice"
    assert [full_path(short_name(path)) for path in chip_fields()] == list(chip_fields())


def test_a_choice_sets_the_whole_converter_and_single_fields_come_after_it():
    for path, choices in CHOICES.items():
        for choice, made in choices.items():
            chip = with_fields(ChipConfig(), {path: choice})
            assert made in (chip.tile.pe.adc, chip.tile.pe.dac)
    assert (len(ADC_CHOICES), len(DAC_CHOICES)) == (9, 7)
    changed = with_fields(ChipConfig(), {"tile.pe.adc.bits": 5, "tile.pe.adc.choice": 2})
    assert changed.tile.pe.adc == replace(ADC_CHOICES[2], bits=5)
    assert AdcConfig() != changed.tile.pe.adc


def test_fields_that_make_no_chip_are_named():
    with pytest.raises(InvalidChip, match=r"chip\.tile\.pe\.crossbar\.subarray_rows: got 256"):
        with_fields(ChipConfig(), {"tile.pe.crossbar.rows": 100})


@pytest.mark.parametrize("number", [0.1234567890123456, 0.5, 1e-9, 3.16, 1 / 3])
def test_a_number_is_written_as_short_as_it_reads_back(number: float) -> None:
    text = value_text(number)
    assert float(text) == number
    assert len(text) <= len(repr(number))
