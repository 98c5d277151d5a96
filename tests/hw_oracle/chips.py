"""Random chips of every kind, for property tests."""

from __future__ import annotations

from hypothesis import strategies as st

from services.hw_oracle.types import (
    AdcConfig,
    AdcConversion,
    BufferConfig,
    ChipConfig,
    CrossbarConfig,
    DacConfig,
    DeviceConfig,
    GroupedMapping,
    PeConfig,
    PimType,
    Pipeline,
    Placement,
    PoolingConfig,
    TileConfig,
)

_crossbars = st.builds(
    lambda rows, columns, halves, passive: CrossbarConfig(
        device=DeviceConfig(cell_area_um2=None if passive else 1.44),
        rows=rows,
        columns=columns,
        subarray_rows=rows // halves,
        passive=passive,
    ),
    rows=st.sampled_from([32, 64, 256]),
    columns=st.sampled_from([8, 32, 256]),
    halves=st.sampled_from([1, 2]),
    passive=st.booleans(),
)

_pes = st.builds(
    lambda differential, digital, **rest: PeConfig(
        differential=differential, digital_subtraction=digital and differential, **rest
    ),
    crossbar=_crossbars,
    dac=st.builds(DacConfig, bits=st.integers(1, 4)),
    adc=st.builds(AdcConfig, bits=st.integers(1, 8), conversion=st.sampled_from(AdcConversion)),
    pim_type=st.sampled_from(PimType),
    differential=st.booleans(),
    digital=st.booleans(),
    groups=st.integers(1, 3),
    dacs=st.sampled_from([1, 5, 128]),
    adcs=st.sampled_from([None, 3, 128]),
)

chips = st.builds(
    ChipConfig,
    tile=st.builds(
        TileConfig,
        pe=_pes,
        pooling=st.builds(PoolingConfig, window=st.sampled_from([4, 9]), units=st.just(64)),
        pes=st.sampled_from([1, 3, 4]),
    ),
    buffer=st.builds(
        BufferConfig,
        technology_nm=st.sampled_from([45.0, 65.0, 90.0]),
        width_bits=st.sampled_from([16, 64, 256, 512]),
        input_size_kb=st.sampled_from([None, 4.0, 100.0]),
        output_size_kb=st.sampled_from([None, 8.0]),
    ),
    clock_mhz=st.sampled_from([100.0, 500.0]),
    placement=st.sampled_from(Placement),
    grid_rows=st.sampled_from([5, 40, 1024]),
    grid_columns=st.sampled_from([40, 97, 1024]),
    inter_tile_bandwidth_gbps=st.sampled_from([2.5, 20.0]),
    pipeline=st.sampled_from(Pipeline),
    grouped_mapping=st.sampled_from(GroupedMapping),
)
"""Chips; small grids refuse some networks, and wide buffers too."""
