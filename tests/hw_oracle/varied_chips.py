"""Random chips that differ in all that equations ask about."""

from __future__ import annotations

from hypothesis import strategies as st

from services.hw_oracle.converters import ADC_CHOICES, DAC_CHOICES
from services.hw_oracle.fields import with_fields
from services.hw_oracle.types import ChipConfig, Placement

_VALUES: dict[str, list[object]] = {
    "clock_mhz": [500.0, 317.0],
    "placement": ["shell", "snake", "none"],
    "pipeline": ["window", "row", "none"],
    "grouped_mapping": ["packed", "full"],
    "tile.pes": [1, 3, 4],
    "tile.pe.groups": [1, 3],
    "tile.pe.dacs": [32, 128],
    "tile.pe.adcs": [None, 24, 128],
    "tile.pe.adc.choice": list(ADC_CHOICES),
    "tile.pe.dac.choice": list(DAC_CHOICES),
    "tile.pe.pim_type": ["analog", "digital"],
    "tile.pe.crossbar.columns": [32, 256],
    "tile.pe.crossbar.subarray_rows": [64, 128],
    "tile.pe.crossbar.passive": [False, True],
    "tile.pe.crossbar.device.kind": ["nvm", "sram"],
    "tile.pe.crossbar.device.cell_area_um2": [1.44, None],
    "tile.pe.crossbar.device.off_voltage_v": [0.0, 0.1],
    "buffer.width_bits": [64, 128],
    "buffer.input_size_kb": [None, 8.0],
    "buffer.output_size_kb": [None, 4.0],
    "inter_tile_bandwidth_gbps": [20.0, 7.5],
    "digital.register_area_um2": [None, 3.0],
}  # fmt: skip
_TIGHT: dict[str, list[object]] = {
    "placement": list(Placement),
    "grid_rows": [5, 40, 1024],
    "grid_columns": [40, 97, 1024],
    "tile.pe.dacs": [1, 5, 128],
    "tile.pe.adcs": [None, 3, 128],
    "tile.pe.crossbar.columns": [8, 32, 256],
    "buffer.technology_nm": [45.0, 65.0, 90.0],
    "buffer.width_bits": [16, 64, 256, 512],
    "buffer.input_size_kb": [None, 4.0, 100.0],
}
_SIGNS = [(True, False), (True, True), (False, False)]


@st.composite
def chips(draw: st.DrawFn, tight: bool = False) -> ChipConfig:
    """Chips with room for small networks; tight ones refuse some for want of tiles, rows or buffers."""
    values = {
        path: draw(st.sampled_from(allowed))
        for path, allowed in (_VALUES | (_TIGHT if tight else {})).items()
    }
    differential, subtraction = draw(st.sampled_from(_SIGNS))
    signs = {"tile.pe.differential": differential, "tile.pe.digital_subtraction": subtraction}
    rows = draw(st.sampled_from([32, 64, 256])) if tight else 128
    size = {"grid_rows": 300, "grid_columns": 300, "tile.pe.crossbar.rows": rows}
    if tight:
        values["tile.pe.crossbar.subarray_rows"] = rows // draw(st.sampled_from([1, 2]))
    return with_fields(ChipConfig(), size | values | signs)  # type: ignore[arg-type]  # all are values
