import pytest

from services.common.units import (
    format_area,
    format_energy,
    format_latency,
    format_power,
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
