"""ChipConfig -> MNSIM 2.0's SimConfig.ini, with every key, so that MNSIM itself runs with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import reduce
from math import isqrt
from typing import Any

from services.common.errors import InvalidChip, Violation, violation
from services.hw_oracle.checked import field_types
from services.hw_oracle.converters import ADC_CHOICES, DAC_CHOICES, LOGIC_AREA_UM2
from services.hw_oracle.simconfig_keys import (
    PLACEMENTS,
    SRAM_RESISTANCE_OHM,
    USER,
    WHOLE,
    sections,
    sources,
)
from services.hw_oracle.types import (
    AdcConfig,
    AdcConversion,
    ChipConfig,
    DacConfig,
    DeviceConfig,
    DeviceKind,
    GroupedMapping,
    PimType,
    Pipeline,
)


def simconfig_from_chip(chip: ChipConfig) -> str:
    """Write a chip as the text of a SimConfig.ini; a converter of MNSIM's tables as its choice.

    `chip_from_simconfig` reads the very same chip, but for the fields that `beyond_simconfig` names.

    Raises
    ------
    InvalidChip
        MNSIM cannot have this chip; every field at fault is named.
    """
    pe, wrong, texts = chip.tile.pe, list[Violation](), dict[str, str]()
    for path, key in sources().items():
        if path.startswith((f"{pe.dac.path}.", f"{pe.adc.path}.")):
            continue  # each is one choice
        *nodes, name = path.split(".")[1:]
        node = reduce(getattr, nodes, chip)
        value: Any = getattr(node, name)
        if key in WHOLE and not value.is_integer():
            wrong.append(violation(path, value, f"a whole number, as MNSIM 2.0 reads its {key} as one"))
        if value == 0 and type(None) in field_types(type(node))[name]:
            wrong.append(violation(path, value, f"more than 0, as {key} = 0 derives it in MNSIM 2.0"))
        text = SPELLED.get(key, _number)(value)
        texts[key] = f"{texts[key]},{text}" if key in texts else text
    digital = pe.pim_type is PimType.DIGITAL
    texts |= _device(pe.crossbar.device, wrong) | _dac(pe.dac, digital) | _adc(pe.adc, digital, wrong)
    if wrong:
        raise InvalidChip.of(*wrong)
    lines = []
    for section, defaults in sections().items():
        lines.append(f"[{section}]")
        # [Tile level] repeats Tile_outBuf_Size: MNSIM overlooks it there, so it may say the same
        lines += [f"{key} = {texts.get(key, default)}" for key, default in defaults.items()]
        lines.append("")
    return "\n".join(lines)


def beyond_simconfig(chip: ChipConfig) -> tuple[Violation, ...]:
    """Name the fields for which a SimConfig.ini has no key, where MNSIM 2.0 may differ from the chip."""
    found = []
    if chip.pipeline is not Pipeline.WINDOW:
        how = "mode=0" if chip.pipeline is Pipeline.ROW else 'its "no pipe" calculation'
        text = f"{chip.pipeline} is no key of a SimConfig.ini; ask MNSIM's latency model for {how}"
        found.append(Violation("chip.pipeline", text))
    if chip.grouped_mapping is GroupedMapping.FULL:
        text = "full is no key of a SimConfig.ini; MNSIM does so, but read again the file means packed"
    else:
        text = "packed is no key of a SimConfig.ini; MNSIM maps grouped convolutions in full"
    return (*found, Violation("chip.grouped_mapping", text))


def _number(value: float | None) -> str:
    """Write a number exactly, without a point where it is whole; None as MNSIM's 0."""
    if value is None:
        return "0"
    return str(int(value)) if value == int(value) else repr(value)


def _pair(product: int) -> str:
    """Two factors, as equal as they can be: MNSIM takes their product."""
    factor = next(f for f in range(isqrt(product), 0, -1) if product % f == 0)
    return f"{factor},{product // factor}"


SPELLED: dict[str, Callable[[Any], str]] = {
    "Cell_Type": lambda passive: "0T1R" if passive else "1T1R",
    "Device_Type": str.upper,
    "PE_Num": _pair,
    "PIM_Type": lambda pim_type: "1" if pim_type is PimType.DIGITAL else "0",
    "Pooling_shape": _pair,
    "Sub_Position": lambda digital: "1" if digital else "0",
    "Tile_Connection": lambda wanted: str(next((n for n, p in PLACEMENTS.items() if p is wanted), -1)),
    "Xbar_Polarity": lambda differential: "2" if differential else "1",
}
"""How the values are written that are no numbers, or no single ones."""


def _device(device: DeviceConfig, wrong: list[Violation]) -> dict[str, str]:
    if device.kind is DeviceKind.SRAM:
        for name in ("high_resistance_ohm", "low_resistance_ohm"):
            if (value := getattr(device, name)) != SRAM_RESISTANCE_OHM:
                wanted = f"{SRAM_RESISTANCE_OHM:g}, as MNSIM 2.0 gives it to every SRAM cell"
                wrong.append(violation(f"{device.path}.{name}", value, wanted))
    return {"Area_Calculation": "1" if device.cell_area_um2 is None else "0"}


def _dac(dac: DacConfig, digital: bool) -> dict[str, str]:
    for choice, listed in DAC_CHOICES.items():
        if dac == listed and (choice == 1 or not digital):
            return {"DAC_Choice": str(choice)}
    return {
        "DAC_Choice": str(USER),
        "DAC_Area": _number(dac.area_um2),
        "DAC_Precision": _number(dac.bits),
        "DAC_Power": _number(dac.power_w),
        "DAC_Sample_Rate": _number(dac.rate_gsps),
    }


def _adc(adc: AdcConfig, digital: bool, wrong: list[Violation]) -> dict[str, str]:
    for logic, logic_um2 in LOGIC_AREA_UM2.items():
        for choice, listed in ADC_CHOICES.items():
            if adc == replace(listed, area_um2=listed.area_um2 + logic_um2) and (choice == 8 or not digital):
                return {"ADC_Choice": str(choice), "Logic_Op": str(logic)}
    if adc.conversion is AdcConversion.COUNTING:
        wanted = "successive, as MNSIM 2.0 counts with its ADC 9 alone, and that in analog PIM"
        wrong.append(violation(f"{adc.path}.conversion", str(adc.conversion), wanted))
    gate = next((n for n, area_um2 in LOGIC_AREA_UM2.items() if area_um2 == adc.logic_area_um2), None)
    if gate is None:
        gates = " or ".join(map(repr, dict.fromkeys(LOGIC_AREA_UM2.values())))
        wanted = f"{gates}, the gates that MNSIM 2.0 has beside an ADC"
        wrong.append(violation(f"{adc.path}.logic_area_um2", adc.logic_area_um2, wanted))
    bare_um2 = max(adc.area_um2 - adc.logic_area_um2, 0.0)
    if (sum_um2 := bare_um2 + adc.logic_area_um2) != adc.area_um2:  # every sum is met exactly
        wanted = (
            f"a sum of ADC_Area and the gate's {adc.logic_area_um2!r}, as in MNSIM 2.0, such as {sum_um2!r}"
        )
        wrong.append(violation(f"{adc.path}.area_um2", adc.area_um2, wanted))
    return {
        "ADC_Choice": str(USER),
        "Logic_Op": str(gate),
        "ADC_Area": _number(bare_um2),
        "ADC_Precision": _number(adc.bits),
        "ADC_Power": _number(adc.power_w),
        "ADC_Sample_Rate": _number(adc.rate_gsps),
    }
