"""The processing element: crossbars, converters and the digital periphery that feeds and drains them.

Equations: MNSIM 2.0, Hardware_Model/PE.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import ceil, sqrt

from services.hw_oracle import crossbar
from services.hw_oracle.converters import adc_latency_ns, dac_latency_ns
from services.hw_oracle.digital import (
    DEMUX_STAGE_NS,
    MUX_STAGE_NS,
    Unit,
    adder,
    multiplexer,
    multiplexer_stages,
    register,
    shift_register,
)
from services.hw_oracle.types import (
    AreaBreakdown,
    ChipConfig,
    DigitalConfig,
    PeConfig,
    PimType,
    PowerBreakdown,
)

ADDER_BITS = 8
"""Width of the adders that join a PE's bit slices."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pe:
    """What a PE is made of; no network changes it.

    Parameters
    ----------
    config : PeConfig
    adcs : int
        ADCs a subarray and group, derived where the configuration leaves it.
    column_factor, row_factor : int
        Columns that share an ADC, rows that share a DAC.
    crossbar_area_um2, crossbar_ns : float
        Area and read time of one crossbar.
    dac_ns, adc_ns, demux_ns, mux_ns : float
        Time of one conversion, and of selecting the rows and the columns.
    adder, shift_register, register, demux, mux : Unit
    """

    config: PeConfig
    adcs: int
    column_factor: int
    row_factor: int
    crossbar_area_um2: float
    crossbar_ns: float
    dac_ns: float
    adc_ns: float
    demux_ns: float
    mux_ns: float
    adder: Unit
    shift_register: Unit
    register: Unit
    demux: Unit
    mux: Unit

    @property
    def all_dacs(self) -> int:
        """DACs of the PE."""
        return self.config.groups * self.config.dacs * self.config.crossbar.subarrays

    @property
    def all_adcs(self) -> int:
        """ADCs of the PE."""
        return self.config.groups * self.adcs * self.config.crossbar.subarrays

    def area(self) -> AreaBreakdown:
        """Area of one PE, without its input buffer."""
        config, dacs, adcs = self.config, self.all_dacs, self.all_adcs
        subarrays = config.crossbar.subarrays
        # MNSIM 2.0 counts the subarrays in the ADCs of a group and again in the adders
        adders = self.adcs * subarrays * subarrays * (config.groups - 1)
        return AreaBreakdown(
            crossbar_um2=config.crossbars * self.crossbar_area_um2,
            dac_um2=dacs * config.dac.area_um2,
            adc_um2=adcs * (config.adc.area_um2 + config.adc.logic_area_um2),
            adder_um2=adders * self.adder.area_um2,
            shift_register_um2=adcs * self.shift_register.area_um2,
            input_register_um2=dacs * self.register.area_um2,
            output_register_um2=adcs * self.register.area_um2,
            input_demux_um2=dacs * self.demux.area_um2,
            output_mux_um2=adcs * self.mux.area_um2,
        )

    def power(self, rows: int, columns: int, groups: int) -> PowerBreakdown:
        """Power of one PE that uses `rows` x `columns` of each crossbar of `groups` groups."""
        config = self.config
        dacs, adcs = self.working_dacs(rows, groups), self.working_adcs(columns, groups)
        crossbars = groups * (2 if config.differential else 1)
        cells_w = crossbar.power_w(config.crossbar, rows, columns)
        return PowerBreakdown(
            crossbar_w=crossbars * cells_w / self.row_factor / self.column_factor,
            dac_w=dacs * config.dac.power_w,
            adc_w=adcs * config.adc.power_w,
            adder_w=self.working_adcs(columns, groups - 1) * self.adder.power_w,
            shift_register_w=adcs * self.shift_register.power_w,
            input_register_w=dacs * self.register.power_w,
            output_register_w=adcs * self.register.power_w,
            input_demux_w=dacs * self.demux.power_w,
            output_mux_w=adcs * self.mux.power_w,
        )

    def working_dacs(self, rows: int, groups: int) -> int:
        """DACs that drive `rows` rows of `groups` groups."""
        return groups * ceil(rows / self.row_factor)

    def working_adcs(self, columns: int, groups: int) -> int:
        """ADCs that convert `columns` columns of `groups` groups."""
        # MNSIM 2.0 charges the converters of further analog subarrays nothing
        subarrays = self.config.crossbar.subarrays if self.config.pim_type is PimType.DIGITAL else 1
        return groups * ceil(columns / self.column_factor) * subarrays


def make_pe(chip: ChipConfig) -> Pe:
    """Derive the PE of a chip."""
    return _make_pe(chip.tile.pe, chip.digital)


@lru_cache(maxsize=256)
def _make_pe(config: PeConfig, digital: DigitalConfig) -> Pe:
    array = config.crossbar
    crossbar_area_um2 = crossbar.area_um2(array, config.pim_type)
    shared = 2 if config.digital_subtraction else 1
    adcs = config.adcs
    if adcs is None:  # what fits along the crossbar's side
        side = ceil(sqrt(crossbar_area_um2) * (2 if config.differential else 1) / sqrt(config.adc.area_um2))
        adcs = min(shared * side, array.columns)
    row_factor = ceil(array.subarray_rows / config.dacs)
    column_factor = ceil(array.columns / adcs * shared)
    return Pe(
        config=config,
        adcs=adcs,
        column_factor=column_factor,
        row_factor=row_factor,
        crossbar_area_um2=crossbar_area_um2,
        crossbar_ns=crossbar.read_latency_ns(array),
        dac_ns=dac_latency_ns(config.dac),
        adc_ns=adc_latency_ns(config.adc),
        demux_ns=DEMUX_STAGE_NS * multiplexer_stages(row_factor),
        # MNSIM 2.0's column delay does not know of digital subtraction
        mux_ns=MUX_STAGE_NS * multiplexer_stages(ceil(array.columns / adcs)),
        adder=adder(digital, ADDER_BITS),
        shift_register=shift_register(digital),
        register=register(digital),
        demux=multiplexer(row_factor, array.transistor_nm),
        mux=multiplexer(column_factor, array.transistor_nm),
    )
