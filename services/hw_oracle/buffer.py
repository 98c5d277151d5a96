"""The SRAM buffers of PEs, tiles and the accumulator."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import frexp, isnan

from services.common.errors import InvalidChip, violation
from services.hw_oracle.sram_tables import AREA_MM2, LEAKAGE_MW, READ_NJ, WRITE_NJ
from services.hw_oracle.types import BufferConfig

ACCESS_NS = 20.0
"""Time of one access, whatever the buffer's size: MNSIM 2.0 sets its table of cycle times aside."""

SIZE_LIMITS_KB = (2, 4, 8, 16, 32, 64, 128, 256)
WIDTH_LIMITS_BITS = (64, 128, 256)


@dataclass(frozen=True, slots=True, kw_only=True)
class Buffer:
    """One buffer; each power holds the leakage and the dynamic power of accesses back to back."""

    area_um2: float
    read_power_w: float
    write_power_w: float


@lru_cache(maxsize=1024)
def sram(technology_nm: float, width_bits: int, size_kb: float) -> Buffer:
    """Look the buffer up; of size 0 it does not exist and costs nothing.

    Raises
    ------
    InvalidChip
        The table has no buffer so small and so wide.
    """
    if size_kb == 0:
        return NO_BUFFER
    buffer = sram_sizes(technology_nm, width_bits)[sum(size_kb > limit for limit in SIZE_LIMITS_KB)]
    if isnan(buffer.area_um2):
        wanted = f"at most 256, as the network needs a buffer of {size_kb:g} KB and none so small is wider"
        fix = "set width_bits to 256 or less, or buffer sizes of more than 2 KB"
        raise InvalidChip.of(violation(f"{BufferConfig.path}.width_bits", width_bits, wanted, fix))
    return buffer


@lru_cache(maxsize=64)
def sram_sizes(technology_nm: float, width_bits: int) -> tuple[Buffer, ...]:
    """Buffers of each size up to `SIZE_LIMITS_KB`, and of any larger; NaN where there is none so wide."""
    node = 90 if technology_nm >= 90 else 65 if technology_nm >= 65 else 45
    column = sum(width_bits > limit for limit in WIDTH_LIMITS_BITS)
    return tuple(
        Buffer(
            area_um2=area_mm2[column] * 1e6,
            read_power_w=(read_nj[column] / ACCESS_NS * 1e3 + leakage_mw[column]) * 1e-3,
            write_power_w=(write_nj[column] / ACCESS_NS * 1e3 + leakage_mw[column]) * 1e-3,
        )
        for area_mm2, leakage_mw, read_nj, write_nj in zip(
            AREA_MM2[node], LEAKAGE_MW[node], READ_NJ[node], WRITE_NJ[node], strict=True
        )
    )


NO_BUFFER = Buffer(area_um2=0.0, read_power_w=0.0, write_power_w=0.0)
"""A buffer of size 0: it does not exist and costs nothing."""


def access_ns(config: BufferConfig, bits: int) -> float:
    """Time to move `bits` bits in or out, one access of the full width after the other."""
    return -(-bits // config.width_bits) * ACCESS_NS


def power_of_two_kb(size_bytes: float) -> float:
    """Round a size up to a power of two bytes, given in KB."""
    mantissa, exponent = frexp(size_bytes)  # size = mantissa * 2**exponent, 0.5 <= mantissa < 1
    return float(2.0 ** (exponent - (mantissa == 0.5)) / 1024)
