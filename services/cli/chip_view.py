"""How a chip is shown to people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

from services.common.units import format_area, format_latency, format_power
from services.hw_oracle.chip_figures import ChipFigures
from services.hw_oracle.types import ChipConfig

if TYPE_CHECKING:
    from services.hw_oracle.simconfig_values import Ignored

LABEL, VALUE = 33, 16
"""Width of the first two columns."""

UNITS = {
    "_bits": "bit", "_gbps": "Gbit/s", "_gsps": "GS/s", "_kb": "KB", "_mhz": "MHz", "_nm": "nm",
    "_ns": "ns", "_ohm": "ohm", "_um2": "um2", "_v": "V", "_w": "W",
}  # fmt: skip

WORDS = {"pe": "PE", "pes": "PEs", "adc": "ADC", "adcs": "ADCs", "dac": "DAC", "dacs": "DACs"}

FIGURES = {
    "_um2": lambda area: format_area(area) if area >= 1 else f"{area:.3g} um2",
    "_ns": format_latency,
    "_w": format_power,
}


SUMMARY = f"{'name':20} {'cells':11} {'crossbar':>9} {'ADC':>7} {'tiles':>7}  title"


def summary(name: str, title: str, chip: ChipConfig) -> str:
    """Describe a chip in one line, under `SUMMARY`."""
    array, device = chip.tile.pe.crossbar, chip.tile.pe.crossbar.device
    cells, size = f"{device.kind.upper()} {device.technology_nm:g} nm", f"{array.rows} x {array.columns}"
    return f"{name:20} {cells:11} {size:>9} {chip.tile.pe.adc.bits:3} bit {chip.tiles:7,}  {title}"


def chip_lines(chip: ChipConfig, figures: ChipFigures) -> Iterator[tuple[str, bool]]:
    """Describe each field with its default where it differs, and each figure; True marks what differs."""
    yield from _node_lines(chip, ChipConfig(), "")
    yield "", False
    yield "derived", False
    smallest = None in (chip.buffer.input_size_kb, chip.buffer.output_size_kb)
    for f in fields(figures):
        name, value = f.name, getattr(figures, f.name)
        unit = next((suffix for suffix in FIGURES if name.endswith(suffix)), "")
        text = FIGURES[unit](value) if unit else f"{value:,}"
        note = "with the smallest buffers" if smallest and name in ("tile_area_um2", "chip_area_um2") else ""
        words = (WORDS.get(word, word) for word in name.removesuffix(unit).split("_"))
        yield _line(f"  {' '.join(words)}", text, note), False


def changed_from(default: dict[str, Any], chip: dict[str, Any]) -> dict[str, Any]:
    """Give the defaults of the fields that differ, in tables as the chip's."""
    return {
        name: changed_from(usual, chip[name]) if isinstance(usual, dict) else usual
        for name, usual in default.items()
        if usual != chip[name]
    }


def ignored_lines(ignored: Iterable[Ignored]) -> Iterator[str]:
    """Say which keys of a file have no effect, a line a reason."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for item in ignored:
        section, _, key = item.key.partition("] ")
        reasons.setdefault((f"{section}]", item.why), []).append(key)
    if reasons:
        yield "Ignored, as they have no effect:"
    for (section, why), keys in reasons.items():
        yield f"  {section} {', '.join(keys)}: {why}"


def _node_lines(node: Any, default: Any, indent: str) -> Iterator[tuple[str, bool]]:
    """Plain fields first, as in a TOML file."""
    for f in sorted(fields(node), key=lambda f: is_dataclass(getattr(node, f.name))):
        value, usual = getattr(node, f.name), getattr(default, f.name)
        if is_dataclass(value):
            yield f"{indent}{f.name}", False
            yield from _node_lines(value, usual, f"{indent}  ")
        else:
            changed = value != usual
            note = f"default {_text(f.name, usual)}" if changed else ""
            yield _line(f"{indent}{f.name}", _text(f.name, value), note), changed


def _line(label: str, value: str, note: str) -> str:
    return f"{label:{LABEL}} {value:{VALUE}} {note}".rstrip()


def _text(name: str, value: Any) -> str:
    """Write a value with the unit that its name carries."""
    if value is None or isinstance(value, bool | str):
        return "derived" if value is None else str(value).lower()
    unit = next((unit for suffix, unit in UNITS.items() if name.endswith(suffix)), "")
    return f"{value:,.12g} {unit}".rstrip()
