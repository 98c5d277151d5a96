from __future__ import annotations

import copy
import math
from dataclasses import fields, is_dataclass, replace
from typing import Any

import pytest

from services.common.errors import InvalidChip
from services.hw_oracle.types import (
    AdcConfig,
    AreaBreakdown,
    BufferConfig,
    ChipConfig,
    CostReport,
    CrossbarConfig,
    DacConfig,
    DeviceConfig,
    DigitalConfig,
    EnergyBreakdown,
    LatencyBreakdown,
    LayerCost,
    PeConfig,
    Placement,
    PoolingConfig,
    PowerBreakdown,
    TileConfig,
    chip_hash,
)

NODES = [
    DeviceConfig,
    CrossbarConfig,
    DacConfig,
    AdcConfig,
    PeConfig,
    PoolingConfig,
    TileConfig,
    BufferConfig,
    DigitalConfig,
    ChipConfig,
]
NUMBERS = [(node, f) for node in NODES for f in fields(node) if f.metadata]
UNITS = ("_ns", "_um2", "_w", "_nj", "_nm", "_v", "_ohm", "_mhz", "_gbps", "_gsps", "_kb", "_frac", "_hops")


@pytest.mark.parametrize(
    ("node", "number"), NUMBERS, ids=lambda x: getattr(x, "name", getattr(x, "path", None))
)
@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf, "1", True, -1e300])
def test_every_number_refuses_what_is_no_number_in_range(node: Any, number: Any, wrong: Any) -> None:
    with pytest.raises(InvalidChip) as caught:
        node(**{number.name: wrong})
    assert caught.value.violations[0].field == f"{node.path}.{number.name}"
    assert "wanted a" in str(caught.value)


@pytest.mark.parametrize("node", NODES)
def test_every_field_is_a_number_with_a_range_a_bool_an_enumeration_or_a_node(node: Any) -> None:
    for f in fields(node):
        value = getattr(node(), f.name)
        assert (
            f.metadata
            or type(value) is bool
            or is_dataclass(value)
            or f.name in ("kind", "placement", "pim_type", "conversion", "pipeline", "grouped_mapping")
        )


@pytest.mark.parametrize(
    "cls", [*NODES, LatencyBreakdown, AreaBreakdown, PowerBreakdown, EnergyBreakdown, LayerCost, CostReport]
)
def test_every_float_names_its_unit(cls: Any) -> None:
    for f in fields(cls):
        if "float" in str(f.type):
            assert f.name.endswith(UNITS), f.name


def test_all_wrong_fields_are_named_at_once() -> None:
    with pytest.raises(InvalidChip) as caught:
        PeConfig(dacs=0, adcs=-3)
    assert [v.field for v in caught.value.violations] == ["chip.tile.pe.dacs", "chip.tile.pe.adcs"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: CrossbarConfig(subarray_rows=100), "subarray_rows: got 100, wanted a divisor of rows = 256"),
        (lambda: PeConfig(differential=False, digital_subtraction=True), "only a differential pair"),
        (lambda: PoolingConfig(units=32), "keep 64, or choose another technology_nm"),
        (lambda: BufferConfig(width_bits=512, input_size_kb=2), "wanted more than 2 KB"),
        (lambda: ChipConfig(placement="zigzg"), "did you mean zigzag"),  # type: ignore[arg-type]
        (lambda: ChipConfig(tile=3), "chip.tile: got 3, wanted a TileConfig"),  # type: ignore[arg-type]
        (lambda: CrossbarConfig(passive=1), "passive: got 1, wanted a bool"),  # type: ignore[arg-type]
    ],
)
def test_a_contradiction_is_refused_with_its_fix(make: Any, message: str) -> None:
    with pytest.raises(InvalidChip, match=message):
        make()


def test_a_number_that_may_be_derived_says_so_as_files_write_it() -> None:
    with pytest.raises(
        InvalidChip, match=r"adcs: got -1, wanted an integer from 1 to .*, or derived \(in Python"
    ):
        PeConfig(adcs=-1)


def test_a_name_stands_for_its_enumeration() -> None:
    chip = ChipConfig(placement="snake")  # type: ignore[arg-type]
    assert chip.placement is Placement.SNAKE


def test_equal_chips_hash_equal_and_different_chips_do_not() -> None:
    chip = ChipConfig()
    assert chip_hash(ChipConfig(clock_mhz=500)) == chip_hash(chip) == chip_hash(copy.deepcopy(chip))
    assert chip_hash(replace(chip, clock_mhz=501)) != chip_hash(chip)
    assert len(chip_hash(chip)) == 64


def test_zero_has_one_sign() -> None:
    minus = DeviceConfig(off_voltage_v=-0.0)
    assert math.copysign(1, minus.off_voltage_v) == 1
    chip = ChipConfig(tile=TileConfig(pe=PeConfig(crossbar=CrossbarConfig(device=minus))))
    assert chip_hash.__wrapped__(chip) == chip_hash.__wrapped__(ChipConfig())  # beside the cache
