"""Every number that MNSIM 2.0 reports, on every golden case."""

from __future__ import annotations

from collections.abc import Iterator
from math import isclose
from typing import Any

import pytest

from services.common.errors import ChipTooSmall, InvalidChip
from services.common.layers import Linear
from services.hw_oracle.cost import evaluate
from services.hw_oracle.energy import accumulator
from services.hw_oracle.importers import from_mnsim
from services.hw_oracle.latency import layer_time
from services.hw_oracle.mapping import map_network
from services.hw_oracle.schedule import schedule
from services.hw_oracle.simconfig import chip_from_simconfig
from tests.hw_oracle.networks import distances_hops

TOLERANCE = 1e-9  # the sums are the same, their order is not

DIGITAL = ["shift_register", "input_register", "output_register", "input_demux", "output_mux", "joint_module"]
COMMON = {
    "xbar": ["crossbar"],
    "DAC": ["dac"],
    "ADC": ["adc"],
    "adder": ["adder"],
    "shiftreg": ["shift_register"],
    "iReg": ["input_register"],
    "oReg": ["output_register"],
    "input_demux": ["input_demux"],
    "output_mux": ["output_mux"],
    "jointmodule": ["joint_module"],
    "pooling": ["pooling"],
}
BUFFERS = {
    "buf_r": ["buffer_read"],
    "buf_w": ["buffer_write"],
    "buf": ["buffer_read", "buffer_write"],
}
MODULES = {  # MNSIM's word -> our words, by the unit that ends them
    "um2": COMMON | {"digital": [*DIGITAL, "adder"], "buf": ["buffer"]},
    "w": COMMON | BUFFERS | {"digital": [*DIGITAL, "adder"]},
    "nj": COMMON | BUFFERS | {"digital": DIGITAL},
    "ns": COMMON
    | {
        "buffer": ["buffer_read", "buffer_write"],
        "buffer_r": ["buffer_read"],
        "buffer_w": ["buffer_write"],
        "computing": ["dac", "crossbar", "adc"],
        "digital": [*DIGITAL, "adder", "elementwise"],
        "intra_tile": ["intra_tile"],
        "inter_tile": ["tile_merge", "tile_transfer"],
        "tile_merge": ["tile_merge"],
        "tile_transfer": ["tile_transfer"],
    },
}
LAYER_FIELDS = {
    "mx": "pes_across",
    "my": "pes_down",
    "max_row": "rows_used",
    "max_column": "columns_used",
    "max_group": "groups_used",
    "PEnum": "pes",
    "tilenum": "tiles",
    "max_PE": "pes_per_tile",
    "startid": "first_tile",
    "inLayer_distance": "merge_distance_hops",
    "transLayer_distance": "transfer_distance_hops",
    "begin_ns": "begin_ns",
    "finish_ns": "finish_ns",
    "occupancy": "occupancy_frac",
    "area_um2": "area_um2",
    "power_W": "power_w",
    "energy_nJ": "energy_nj",
}

Pair = tuple[str, float, float]


def module_pairs(where: str, wanted: dict[str, float], unit: str, *breakdowns: Any) -> Iterator[Pair]:
    assert wanted.keys() <= MODULES[unit].keys()
    for word, value in wanted.items():
        names = MODULES[unit][word]
        got = sum(getattr(part, f"{name}_{unit}") for part in breakdowns for name in names)
        if (unit, word) == ("nj", "digital"):  # MNSIM leaves the adders of PEs out here, the accumulator's in
            got += breakdowns[-1].adder_nj
        yield f"{where} {word}", got, value


def assert_all_close(pairs: Iterator[Pair]) -> None:
    listed = list(pairs)
    assert listed
    wrong = [p for p in listed if not isclose(p[1], p[2], rel_tol=TOLERANCE)]
    assert not wrong


def test_report_equals_mnsim(sound_case: dict[str, Any], golden_configs: dict[str, str]) -> None:
    chip = chip_from_simconfig(golden_configs[sound_case["config"]])
    report, expect = evaluate(from_mnsim(sound_case["layers"]), chip), sound_case["expect"]

    def pairs() -> Iterator[Pair]:
        totals = {
            "latency_ns": "latency_ns",
            "area_um2": "area_um2",
            "power_W": "power_w",
            "energy_nJ": "energy_nj",
        }
        totals |= {"tiles": "tiles", "PEs": "pes", "physical_crossbars": "crossbars"}
        for word, name in totals.items():
            yield word, getattr(report, name), expect["totals"][word]
        modules = expect["modules"]
        yield from module_pairs("area", modules["area_um2"], "um2", report.area, report.accumulator_area)
        yield from module_pairs("power", modules["power_W"], "w", report.power, report.accumulator_power)
        yield from module_pairs(
            "energy", modules["energy_nJ"], "nj", report.energy, report.accumulator_energy
        )
        yield from module_pairs("latency", modules["latency_ns"], "ns", report.latency)
        for index, (layer, wanted) in enumerate(zip(report.layers, expect["layers"], strict=True)):
            for word, name in LAYER_FIELDS.items():
                yield f"layer {index} {word}", getattr(layer, name), wanted[word]
            yield from module_pairs(f"layer {index}", wanted["latency_modules_ns"], "ns", layer.latency)
            yield from module_pairs(f"layer {index}", wanted["power_modules_W"], "w", layer.power)

    assert_all_close(pairs())


def test_inner_values_equal_mnsim(sound_case: dict[str, Any], golden_configs: dict[str, str]) -> None:
    chip = chip_from_simconfig(golden_configs[sound_case["config"]])
    network, expect = from_mnsim(sound_case["layers"]), sound_case["expect"]
    mapping = map_network(network, chip)
    distances = distances_hops(network, mapping, chip)
    times = [layer_time(network, i, mapping, chip, distance) for i, distance in enumerate(distances)]
    done = schedule(network, [time.durations_ns for time in times])
    area, power, _ = accumulator(
        chip, mapping.accumulator_buffer_kb, mapping.accumulator_adders, mapping.accumulator_adder_bits
    )

    def pairs() -> Iterator[Pair]:
        wanted = expect["mapping"]
        yield "input buffer", mapping.input_buffer_kb, wanted["max_inbuf_KB"]
        yield "output buffer", mapping.output_buffer_kb, wanted["max_outbuf_KB"]
        yield "accumulator buffer", mapping.accumulator_buffer_kb, wanted["global_buf_KB"]
        yield "accumulator adders", mapping.accumulator_adders, wanted["global_adder_num"]
        yield "accumulator bits", mapping.accumulator_adder_bits, wanted["global_adder_bitwidth"]
        yield "accumulator area", area.total_um2, wanted["accumulator_area_um2"]
        yield "accumulator power", power.total_w, wanted["accumulator_power_W"]
        for index, (layer, one) in enumerate(zip(network.layers, expect["layers"], strict=True)):
            # MNSIM lists a linear layer's one computation once an output
            copies = layer.out_features if isinstance(layer, Linear) else 1
            yield f"layer {index} outputs", copies * len(done[index].begin_ns), one["outputs"]
            yield f"layer {index} begins", copies * float(done[index].begin_ns.sum()), one["begin_sum_ns"]
            yield f"layer {index} finishes", copies * float(done[index].finish_ns.sum()), one["finish_sum_ns"]

    assert_all_close(pairs())


ERRORS = {
    "err_too_many_tiles": (ChipTooSmall, "needs 8220 tiles, the chip has 64 x 64 = 4096"),
    "cfg_tile16": (ChipTooSmall, "needs 322 tiles, the chip has 16 x 16 = 256"),
    "edge_wide_bits_hui12": (ChipTooSmall, "needs 153 tiles, the chip has 12 x 12 = 144"),
    "edge_plain_grid_default": (ChipTooSmall, "needs 137 tiles, the chip has 8 x 8 = 64"),
    "cfg_dacnum0": (InvalidChip, "chip.tile.pe.dacs: got 0"),
    "cfg_buf512bit": (InvalidChip, "chip.buffer.width_bits: got 512, wanted at most 256"),
}


def test_what_mnsim_refuses_we_refuse_by_name_or_evaluate(
    refused_case: dict[str, Any], golden_configs: dict[str, str]
) -> None:
    network = from_mnsim(refused_case["layers"])
    text = golden_configs[refused_case["config"]]
    if refused_case["name"] == "err_res_first":  # a residual block may open a network here
        report = evaluate(network, chip_from_simconfig(text))
        assert report.layers[0].begin_ns == report.layers[2].begin_ns == 0.0  # both read the network's input
        return
    error, message = ERRORS[refused_case["name"]]
    with pytest.raises(error, match=message.replace("(", r"\(")):
        evaluate(network, chip_from_simconfig(text))
