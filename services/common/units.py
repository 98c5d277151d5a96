"""The few unit conversions that exist, and how quantities are written for people.

Inside the project every quantity has one unit, which its name carries: ``_ns``, ``_nj``, ``_um2``, ``_w``.
"""

from __future__ import annotations

import math
import re

from services.common.errors import InvalidRequest, violation

NS_PER_US = 1e3
NS_PER_MS = 1e6
NS_PER_S = 1e9
NJ_PER_UJ = 1e3
NJ_PER_MJ = 1e6
NJ_PER_J = 1e9
UM2_PER_MM2 = 1e6
MW_PER_W = 1e3

_LATENCY = ((NS_PER_S, "s"), (NS_PER_MS, "ms"), (NS_PER_US, "us"), (1.0, "ns"))
_ENERGY = ((NJ_PER_J, "J"), (NJ_PER_MJ, "mJ"), (NJ_PER_UJ, "uJ"), (1.0, "nJ"))
_AREA = ((UM2_PER_MM2, "mm2"), (1.0, "um2"))
_POWER = ((1.0, "W"), (1 / MW_PER_W, "mW"))
_COUNT = ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))
_NUMBER_UNIT = re.compile(r"(\d+\.?\d*(?:[eE][+-]?\d+)?)\s*([A-Za-z0-9]*)")


def format_latency(latency_ns: float) -> str:
    """Write a time with three digits in its largest fitting unit, such as ``1.02 ms``."""
    return _scaled(latency_ns, _LATENCY)


def format_energy(energy_nj: float) -> str:
    """Write an energy with three digits in its largest fitting unit, such as ``30.1 uJ``."""
    return _scaled(energy_nj, _ENERGY)


def format_area(area_um2: float) -> str:
    """Write an area with three digits in mm2 or um2."""
    return _scaled(area_um2, _AREA)


def format_power(power_w: float) -> str:
    """Write a power with three digits in W or mW."""
    return _scaled(power_w, _POWER)


def parse_latency(text: str, field: str) -> float:
    """Read a time with its unit, such as ``2ms``, in ns; InvalidRequest names `field`."""
    return _parsed(text, _LATENCY, field)


def parse_energy(text: str, field: str) -> float:
    """Read an energy with its unit, such as ``30uJ``, in nJ; InvalidRequest names `field`."""
    return _parsed(text, _ENERGY, field)


def parse_area(text: str, field: str) -> float:
    """Read an area with its unit, such as ``12mm2``, in um2; InvalidRequest names `field`."""
    return _parsed(text, _AREA, field)


def parse_power(text: str, field: str) -> float:
    """Read a power with its unit, such as ``800mW``, in W; InvalidRequest names `field`."""
    return _parsed(text, _POWER, field)


def parse_count(text: str, field: str) -> int:
    """Read a whole number, such as ``300M``, ``1.5k`` or ``819``; InvalidRequest names `field`."""
    wanted = "a whole number from 0, such as 819, 1.5k or 300M"
    value = _parsed(text, _COUNT, field, wanted)
    if abs(value - round(value)) > 1e-9 * value:
        raise InvalidRequest.of(violation(field, text, wanted))
    return round(value)


def _parsed(text: str, units: tuple[tuple[float, str], ...], field: str, wanted: str = "") -> float:
    match = _NUMBER_UNIT.fullmatch(text.strip())
    sizes = {unit: size for size, unit in units}
    if match is None or match[2] not in sizes or not (value := float(match[1])) * sizes[match[2]] < math.inf:
        wanted = wanted or f"a positive number and a unit ({', '.join(sizes)}), such as 2{units[1][1]}"
        raise InvalidRequest.of(violation(field, text, wanted))
    return value * sizes[match[2]]


def _scaled(value: float, units: tuple[tuple[float, str], ...]) -> str:
    """Use the largest unit in which `value`, rounded to three digits, is at least 1; else the smallest."""
    rounded = float(f"{value:.3g}")
    size, name = next((unit for unit in units if abs(rounded) >= unit[0]), units[-1])
    digits = rounded / size
    decimals = 0 if abs(digits) >= 100 else 1 if abs(digits) >= 10 else 2
    text = f"{digits:.{decimals}f}" if size != 1.0 or digits % 1 else f"{digits:.0f}"
    return f"{text} {name}"
