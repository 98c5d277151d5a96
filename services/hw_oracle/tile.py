"""The tile: PEs with their input buffers, joint modules, a pooling unit and an output buffer.

Equations: MNSIM 2.0, Hardware_Model/Tile.py.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from services.hw_oracle.buffer import Buffer
from services.hw_oracle.digital import Unit, joint_module, pooling_unit
from services.hw_oracle.pe import Pe, make_pe
from services.hw_oracle.types import AreaBreakdown, ChipConfig, PowerBreakdown


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """What a tile is made of; the network decides only the sizes of its buffers.

    Parameters
    ----------
    pe : Pe
    pes : int
        PEs a tile.
    joint_module, pooling : Unit
    input_buffer, output_buffer : Buffer
        Of each PE, and of the tile.
    """

    pe: Pe
    pes: int
    joint_module: Unit
    pooling: Unit
    input_buffer: Buffer
    output_buffer: Buffer

    def area(self) -> AreaBreakdown:
        """Area of the tile: all tiles are equal, whatever layer they hold."""
        return replace(
            self.pe.area().times(self.pes),
            joint_module_um2=self.pe.all_adcs * joints(self.pes) * self.joint_module.area_um2,
            pooling_um2=self.pooling.area_um2,
            buffer_um2=self.pes * self.input_buffer.area_um2 + self.output_buffer.area_um2,
        )

    def power(self, pes: int, rows: int, columns: int, groups: int) -> PowerBreakdown:
        """Power of a tile with `pes` PEs in use, each with `rows` x `columns` of its crossbars."""
        joined = (pes - 1) * -(-columns // self.pe.column_factor)
        return replace(
            self.pe.power(rows, columns, groups).times(pes),
            joint_module_w=joined * self.joint_module.power_w,
            buffer_read_w=pes * self.input_buffer.read_power_w + self.output_buffer.read_power_w,
            buffer_write_w=pes * self.input_buffer.write_power_w + self.output_buffer.write_power_w,
        )

    def pooling_power(self) -> PowerBreakdown:
        """Power of a tile that pools."""
        return PowerBreakdown(
            pooling_w=self.pooling.power_w,
            buffer_read_w=self.output_buffer.read_power_w,
            buffer_write_w=self.output_buffer.write_power_w,
        )


def make_tile(chip: ChipConfig, input_buffer: Buffer, output_buffer: Buffer) -> Tile:
    """Derive the tile of a chip with the buffers that a network needs."""
    return Tile(
        pe=make_pe(chip),
        pes=chip.tile.pes,
        joint_module=joint_module(chip.digital),
        pooling=pooling_unit(chip.tile.pooling),
        input_buffer=input_buffer,
        output_buffer=output_buffer,
    )


def joints(pes: int) -> int:
    """Joint modules a column of a tile: a tree over the PEs, in which an odd one out costs one more."""
    count = 0
    while pes >= 2:
        count += pes // 2 + pes % 2
        pes //= 2
    return count
