"""Random chips for property tests: any chip at all, and any that MNSIM 2.0 can have."""

from __future__ import annotations

from dataclasses import fields, replace
from enum import StrEnum
from typing import Any

from hypothesis import strategies as st

from services.hw_oracle.checked import Checked, field_types
from services.hw_oracle.converters import ADC_CHOICES, DAC_CHOICES, LOGIC_AREA_UM2
from services.hw_oracle.simconfig_keys import SRAM_RESISTANCE_OHM, WHOLE, sources
from services.hw_oracle.types import (
    AdcConfig,
    AdcConversion,
    BufferConfig,
    ChipConfig,
    CrossbarConfig,
    DacConfig,
    DeviceConfig,
    DeviceKind,
    DigitalConfig,
    GroupedMapping,
    PeConfig,
    PimType,
    Pipeline,
    PoolingConfig,
    TileConfig,
)


def _value(kinds: tuple[Any, ...], limits: Any) -> st.SearchStrategy[Any]:
    kind = kinds[0]
    if issubclass(kind, StrEnum):
        values: st.SearchStrategy[Any] = st.sampled_from(list(kind))
    elif kind is bool:
        values = st.booleans()
    elif kind is int:
        values = st.integers(limits["low"], limits["high"])
    else:
        values = st.floats(limits["low"], limits["high"])
    return st.none() | values if type(None) in kinds else values


def plain(cls: type[Checked], **given: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Values of the fields of a node that hold no node."""
    kinds = field_types(cls)
    free = {
        f.name: _value(kinds[f.name], f.metadata)
        for f in fields(cls)
        if not issubclass(kinds[f.name][0], Checked)
    }
    return st.fixed_dictionaries(free | given)


@st.composite
def crossbars(draw: st.DrawFn, whole: bool = False) -> CrossbarConfig:
    device = draw(plain(DeviceConfig))
    if whole and device["kind"] is DeviceKind.SRAM:
        device |= dict.fromkeys(("high_resistance_ohm", "low_resistance_ohm"), SRAM_RESISTANCE_OHM)
    subarray_rows = draw(st.integers(1, 1024))
    values = draw(plain(CrossbarConfig)) | {"subarray_rows": subarray_rows}
    values["rows"] = subarray_rows * draw(st.integers(1, 65536 // subarray_rows))
    return CrossbarConfig(
        **_whole(CrossbarConfig, values) if whole else values, device=DeviceConfig(**device)
    )


@st.composite
def user_adcs(draw: st.DrawFn) -> AdcConfig:
    """ADCs that MNSIM takes from a file: the gate's area is added to the given one."""
    logic_um2 = draw(st.sampled_from(sorted(set(LOGIC_AREA_UM2.values()))))
    area_um2 = draw(st.floats(1e-9, 1e8)) + logic_um2
    values = draw(plain(AdcConfig)) | {"conversion": AdcConversion.SUCCESSIVE}
    return AdcConfig(**values | {"area_um2": area_um2, "logic_area_um2": logic_um2})


listed_adcs = st.builds(
    lambda adc, logic_um2: replace(adc, area_um2=adc.area_um2 + logic_um2),
    st.sampled_from(list(ADC_CHOICES.values())),
    st.sampled_from(list(LOGIC_AREA_UM2.values())),
)


@st.composite
def chips(draw: st.DrawFn, whole: bool = False) -> ChipConfig:
    """Any chip; with `whole` only what a SimConfig.ini of MNSIM 2.0 can say."""
    pe = draw(plain(PeConfig))
    pe["digital_subtraction"] &= pe["differential"]
    adcs, dacs = (
        plain(AdcConfig).map(lambda v: AdcConfig(**v)),
        plain(DacConfig).map(lambda v: DacConfig(**v)),
    )
    if whole:
        adcs = user_adcs() | listed_adcs
        if pe["pim_type"] is PimType.DIGITAL:  # a listed ADC is forced to be the sense amplifier there
            adcs = adcs.filter(lambda adc: adc.conversion is AdcConversion.SUCCESSIVE)
    dacs |= st.sampled_from(list(DAC_CHOICES.values()))
    pooling, buffer, digital = (
        draw(plain(PoolingConfig)),
        draw(plain(BufferConfig)),
        draw(plain(DigitalConfig)),
    )
    if whole:
        digital = {name: value or None for name, value in digital.items()}
        pooling, buffer, digital = (
            _whole(cls, values)
            for cls, values in ((PoolingConfig, pooling), (BufferConfig, buffer), (DigitalConfig, digital))
        )
    if pooling["technology_nm"] == 65 and pooling["window"] == 9:
        pooling["units"] = 64
    if buffer["width_bits"] > 256:
        for name in ("input_size_kb", "output_size_kb"):
            buffer[name] = buffer[name] and max(buffer[name], 3.0)
    rest = draw(plain(ChipConfig))
    if whole:
        rest |= {"pipeline": Pipeline.WINDOW, "grouped_mapping": GroupedMapping.PACKED}
    tile = TileConfig(
        pe=PeConfig(**pe, crossbar=draw(crossbars(whole)), adc=draw(adcs), dac=draw(dacs)),
        pooling=PoolingConfig(**pooling),
        pes=draw(st.integers(1, 65536)),
    )
    return ChipConfig(tile=tile, buffer=BufferConfig(**buffer), digital=DigitalConfig(**digital), **rest)


def _whole(cls: type[Checked], values: dict[str, Any]) -> dict[str, Any]:
    """Round what MNSIM reads as whole numbers."""
    keys = sources()
    return {
        name: float(round(value)) if keys.get(f"{cls.path}.{name}") in WHOLE else value
        for name, value in values.items()
    }
