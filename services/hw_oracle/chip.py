"""The chip as a tree that mirrors its physics: chip, tile, PE, crossbar, device.

Every number decides a result; what MNSIM 2.0 reads and ignores has no place here. Defaults are MNSIM 2.0's
own SimConfig. Standard library only. A constructor checks its own fields, ranges and their agreement and
raises `InvalidChip` with the path of each field at fault, as seen from the chip.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import lru_cache
from typing import ClassVar

from services.common.errors import Violation, violation
from services.hw_oracle.checked import Checked, limited


class DeviceKind(StrEnum):
    """What a cell stores its bits in; decides the cell's area where that is derived."""

    NVM = "nvm"
    SRAM = "sram"


class AdcConversion(StrEnum):
    """Cycles of a conversion of b > 1 bits; one bit always takes one cycle."""

    SUCCESSIVE = "successive"
    """b + 2 cycles."""
    COUNTING = "counting"
    """2**b cycles: a ramp."""


class PimType(StrEnum):
    """How the crossbar computes."""

    ANALOG = "analog"
    DIGITAL = "digital"
    """Every subarray senses on its own, and word-line drivers scale with the transistors."""


class Placement(StrEnum):
    """Order in which tiles fill the grid."""

    NONE = "none"
    """Not placed: every distance is 0."""
    ROW_MAJOR = "row_major"
    SNAKE = "snake"
    """Row-major, odd rows from right to left."""
    SHELL = "shell"
    """Square shells around the corner (0, 0), MNSIM's "hui"; skips what lies outside the grid."""
    ZIGZAG = "zigzag"
    """Anti-diagonals in turns, clipped to the grid."""


class Pipeline(StrEnum):
    """How layers overlap, and how pixels arrive in the line buffers of convolutions and poolings."""

    WINDOW = "window"
    """A point begins once its window is there, pixel by pixel: MNSIM's mode 1."""
    ROW = "row"
    """The same, but the line buffer is filled row by row: MNSIM's mode 0."""
    NONE = "none"
    """A layer begins once its producer has finished, with lines filled row by row: MNSIM's "no pipe"."""


class GroupedMapping(StrEnum):
    """How grouped convolutions, depthwise ones among them, are held."""

    PACKED = "packed"
    """Each group by itself, as many as fit on the diagonal of a crossbar; full where that takes fewer."""
    FULL = "full"
    """As one matrix over all channels, zero between the groups, as MNSIM has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceConfig(Checked):
    """One memory cell.

    Parameters
    ----------
    kind : DeviceKind
    technology_nm : float
        Feature size; decides a derived cell area only.
    cell_area_um2 : float or None
        None derives it: 12 F**2 (4 F**2 without transistor) for NVM, 5 um2 for SRAM.
    read_latency_ns : float
    high_resistance_ohm, low_resistance_ohm : float
        Of the first and the last level; 67 % of the cells are taken to be at the first.
    off_voltage_v, on_voltage_v : float
        Read voltages of the first and the last input level; 90 % of the inputs are taken to be at the first.
    """

    path: ClassVar[str] = "chip.tile.pe.crossbar.device"
    kind: DeviceKind = DeviceKind.NVM
    technology_nm: float = limited(130.0, 1, 1e4)
    cell_area_um2: float | None = limited(1.44, 1e-9, 1e9)
    read_latency_ns: float = limited(3.16, 0, 1e9)
    high_resistance_ohm: float = limited(1e6, 1e-3, 1e15)
    low_resistance_ohm: float = limited(1e4, 1e-3, 1e15)
    off_voltage_v: float = limited(0.0, -100, 100)
    on_voltage_v: float = limited(0.15, -100, 100)


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossbarConfig(Checked):
    """One array of cells.

    Parameters
    ----------
    device : DeviceConfig
    rows, columns : int
    subarray_rows : int
        Rows with converters of their own; divides `rows`.
    passive : bool
        Cells without a transistor: smaller, with half-select power.
    transistor_nm : float
        Technology of multiplexers, demultiplexers and (digital) word-line drivers.
    """

    path: ClassVar[str] = "chip.tile.pe.crossbar"
    device: DeviceConfig = DeviceConfig()
    rows: int = limited(256, 1, 65536)
    columns: int = limited(256, 1, 65536)
    subarray_rows: int = limited(256, 1, 65536)
    passive: bool = False
    transistor_nm: float = limited(130.0, 1, 1e4)

    @property
    def subarrays(self) -> int:
        """Number of subarrays that the rows are divided in."""
        return self.rows // self.subarray_rows

    def _cross_violations(self) -> Iterator[Violation]:
        if self.rows % self.subarray_rows:
            yield violation(
                f"{self.path}.subarray_rows", self.subarray_rows, f"a divisor of rows = {self.rows}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class DacConfig(Checked):
    """One digital-to-analog converter; a conversion takes bits + 2 cycles.

    Parameters
    ----------
    bits : int
    area_um2, power_w : float
    rate_gsps : float
        Cycles a nanosecond.
    """

    path: ClassVar[str] = "chip.tile.pe.dac"
    bits: int = limited(1, 1, 32)
    area_um2: float = limited(0.166, 0, 1e9)
    power_w: float = limited(3.9e-6, 0, 1e6)
    rate_gsps: float = limited(1.0, 1e-9, 1e6)


@dataclass(frozen=True, slots=True, kw_only=True)
class AdcConfig(Checked):
    """One analog-to-digital converter.

    Parameters
    ----------
    bits : int
    area_um2 : float
        A derived number of ADCs is what fits beside the crossbar with this area.
    logic_area_um2 : float
        Of logic at each ADC that the derived number does not see.
    power_w : float
    rate_gsps : float
        Cycles a nanosecond.
    conversion : AdcConversion
    """

    path: ClassVar[str] = "chip.tile.pe.adc"
    bits: int = limited(6, 1, 32)
    area_um2: float = limited(1650.0, 1e-9, 1e9)
    logic_area_um2: float = limited(0.0, 0, 1e9)
    power_w: float = limited(1.26e-3, 0, 1e6)
    rate_gsps: float = limited(1.0, 1e-9, 1e6)
    conversion: AdcConversion = AdcConversion.SUCCESSIVE


@dataclass(frozen=True, slots=True, kw_only=True)
class PeConfig(Checked):
    """One processing element: crossbars with converters and digital periphery.

    Parameters
    ----------
    crossbar : CrossbarConfig
    dac : DacConfig
    adc : AdcConfig
    pim_type : PimType
    differential : bool
        Signed weights as the difference of a pair of crossbars, which saves the sign's bit slice.
    digital_subtraction : bool
        The pair is subtracted after the ADC, not before; needs `differential`.
    groups : int
        Bit slices of a weight that one PE holds, each with its crossbars, DACs and ADCs.
    dacs : int
        DACs a subarray and group.
    adcs : int or None
        ADCs a subarray and group; None derives what fits beside the crossbar.
    """

    path: ClassVar[str] = "chip.tile.pe"
    crossbar: CrossbarConfig = CrossbarConfig()
    dac: DacConfig = DacConfig()
    adc: AdcConfig = AdcConfig()
    pim_type: PimType = PimType.ANALOG
    differential: bool = True
    digital_subtraction: bool = False
    groups: int = limited(1, 1, 64)
    dacs: int = limited(128, 1, 65536)
    adcs: int | None = limited(128, 1, 65536)

    @property
    def crossbars(self) -> int:
        """Number of physical crossbars in the PE."""
        return self.groups * (2 if self.differential else 1)

    def _cross_violations(self) -> Iterator[Violation]:
        if self.digital_subtraction and not self.differential:
            yield violation(
                f"{self.path}.digital_subtraction", True, "false", "only a differential pair is subtracted"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolingConfig(Checked):
    """The pooling unit of a tile.

    Parameters
    ----------
    window : int
        Values that one step reduces.
    units : int
        Channels at once.
    technology_nm : float
        At 65 nm only a window of 9 with 64 units has an area and a power, other windows have none.
    """

    path: ClassVar[str] = "chip.tile.pooling"
    window: int = limited(9, 1, 2**20)
    units: int = limited(64, 1, 2**20)
    technology_nm: float = limited(65.0, 1, 1e4)

    def _cross_violations(self) -> Iterator[Violation]:
        if self.technology_nm == 65 and self.window == 9 and self.units != 64:
            fix = "the 65 nm unit is known with 64 units only: keep 64, or choose another technology_nm"
            yield violation(f"{self.path}.units", self.units, "64 (with window 9 at 65 nm)", fix)


@dataclass(frozen=True, slots=True, kw_only=True)
class TileConfig(Checked):
    """One tile: PEs, a pooling unit and an output buffer.

    Parameters
    ----------
    pe : PeConfig
    pooling : PoolingConfig
    pes : int
        PEs a tile.
    """

    path: ClassVar[str] = "chip.tile"
    pe: PeConfig = PeConfig()
    pooling: PoolingConfig = PoolingConfig()
    pes: int = limited(4, 1, 65536)


@dataclass(frozen=True, slots=True, kw_only=True)
class BufferConfig(Checked):
    """The SRAM buffers: one at each PE's input, one at each tile's output, one accumulator.

    Parameters
    ----------
    technology_nm : float
        From 90 up the 90 nm table, from 65 the 65 nm one, else the 45 nm one.
    width_bits : int
        Bits an access moves.
    input_size_kb : float or None
        Of a PE's input buffer, and of the accumulator's; None derives each from the network.
    output_size_kb : float or None
        Of a tile's output buffer; None derives it from the network.
    """

    path: ClassVar[str] = "chip.buffer"
    technology_nm: float = limited(90.0, 1, 1e4)
    width_bits: int = limited(64, 1, 2**20)
    input_size_kb: float | None = limited(None, 1e-9, 1e9)
    output_size_kb: float | None = limited(None, 1e-9, 1e9)

    def _cross_violations(self) -> Iterator[Violation]:
        for name in ("input_size_kb", "output_size_kb"):
            size_kb = getattr(self, name)
            if size_kb is not None and size_kb <= 2 and self.width_bits > 256:
                wanted = f"more than 2 KB, as no smaller buffer is {self.width_bits} bits wide"
                yield violation(f"{self.path}.{name}", size_kb, wanted, "or set width_bits to 256 or less")


@dataclass(frozen=True, slots=True, kw_only=True)
class DigitalConfig(Checked):
    """Digital units of the PEs and tiles.

    Parameters
    ----------
    adder_technology_nm, shift_register_technology_nm : float
    register_technology_nm, joint_module_technology_nm : float
    adder_area_um2, shift_register_area_um2, register_area_um2, joint_module_area_um2 : float or None
        Of one unit, whatever its bit width; None derives it from the technology.
    adder_power_w, shift_register_power_w, register_power_w, joint_module_power_w : float or None
        Likewise.
    """

    path: ClassVar[str] = "chip.digital"
    adder_technology_nm: float = limited(45.0, 1, 1e4)
    adder_area_um2: float | None = limited(None, 0, 1e9)
    adder_power_w: float | None = limited(None, 0, 1e6)
    shift_register_technology_nm: float = limited(65.0, 1, 1e4)
    shift_register_area_um2: float | None = limited(None, 0, 1e9)
    shift_register_power_w: float | None = limited(None, 0, 1e6)
    register_technology_nm: float = limited(45.0, 1, 1e4)
    register_area_um2: float | None = limited(None, 0, 1e9)
    register_power_w: float | None = limited(None, 0, 1e6)
    joint_module_technology_nm: float = limited(45.0, 1, 1e4)
    joint_module_area_um2: float | None = limited(None, 0, 1e9)
    joint_module_power_w: float | None = limited(None, 0, 1e6)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChipConfig(Checked):
    """A chip: a grid of equal tiles.

    Parameters
    ----------
    tile : TileConfig
    buffer : BufferConfig
    digital : DigitalConfig
    clock_mhz : float
        Of all digital units.
    placement : Placement
    grid_rows, grid_columns : int
        Of the grid of tiles.
    inter_tile_bandwidth_gbps, intra_tile_bandwidth_gbps : float
        Of one link between tiles, and of the links within a tile.
    pipeline : Pipeline
    grouped_mapping : GroupedMapping
    """

    path: ClassVar[str] = "chip"
    tile: TileConfig = TileConfig()
    buffer: BufferConfig = BufferConfig()
    digital: DigitalConfig = DigitalConfig()
    clock_mhz: float = limited(500.0, 1e-3, 1e6)
    placement: Placement = Placement.SHELL
    grid_rows: int = limited(64, 1, 1024)
    grid_columns: int = limited(64, 1, 1024)
    inter_tile_bandwidth_gbps: float = limited(20.0, 1e-9, 1e9)
    intra_tile_bandwidth_gbps: float = limited(1024.0, 1e-9, 1e9)
    pipeline: Pipeline = Pipeline.WINDOW
    grouped_mapping: GroupedMapping = GroupedMapping.PACKED

    @property
    def tiles(self) -> int:
        """Number of tiles in the grid."""
        return self.grid_rows * self.grid_columns


@lru_cache(maxsize=256)
def chip_hash(chip: ChipConfig) -> str:
    """Name a chip by its content: SHA-256 of its canonical JSON, 64 hexadecimal digits."""
    text = json.dumps(asdict(chip), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
