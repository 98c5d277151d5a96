import pytest

from services.common.errors import InvalidRequest
from services.common.units import (
    format_area,
    format_energy,
    format_latency,
    format_power,
    parse_area,
    parse_count,
    parse_energy,
    parse_latency,
    parse_power,
)


@pytest.mark.parametrize(
    ("latency_ns", "text"),
    [
        (0.0, "0 ns"),
        (3.16, "3.16 ns"),
        (999.4, "999 ns"),
        (999.6, "1.00 us"),  # rounds up into the next unit
        (1_020_304.0, "1.02 ms"),
        (10_600_000.0, "10.6 ms"),
        (2.5e9, "2.50 s"),
    ],
)
def test_times_have_three_digits_in_the_largest_fitting_unit(latency_ns, text):
    assert format_latency(latency_ns) == text


def test_each_quantity_has_its_own_units():
    assert format_energy(30_100.0) == "30.1 uJ"
    assert format_area(12.5e6) == "12.5 mm2"
    assert format_power(0.0042) == "4.20 mW"


@pytest.mark.parametrize(
    ("parse", "text", "value"),
    [
        (parse_latency, "2ms", 2e6), (parse_latency, " 1.5 us ", 1500), (parse_latency, "1e-3s", 1e6),
        (parse_energy, "30uJ", 3e4), (parse_energy, "0.5mJ", 5e5),
        (parse_area, "12mm2", 12e6), (parse_power, "800mW", 0.8), (parse_power, "8W", 8),
        (parse_count, "300M", 300_000_000), (parse_count, "1.5k", 1500), (parse_count, "0", 0),
    ],
)  # fmt: skip
def test_a_quantity_is_read_in_the_unit_that_the_project_keeps_it_in(parse, text, value):
    assert parse(text, "--max") == pytest.approx(value)


@pytest.mark.parametrize("text", ["", "2", "2 mW", "ms", "-1ms", "1e999s", "nan ms", "2ms3", "2 m s"])
def test_a_time_without_its_unit_is_refused_by_the_field_it_was_for(text):
    with pytest.raises(InvalidRequest, match=r"max-latency: .*positive number and a unit \(s, ms, us, ns\)"):
        parse_latency(text, "--max-latency")


def test_a_count_needs_no_unit():
    with pytest.raises(InvalidRequest, match="wanted a whole number from 0, such as 819"):
        parse_count("many", "--max-macs")


@pytest.mark.parametrize("text", ["1.5", "0.5", "1.0005k"])
def test_a_count_is_never_rounded(text):
    with pytest.raises(InvalidRequest, match=f"--max-tiles: got '{text}', wanted a whole number"):
        parse_count(text, "--max-tiles")
