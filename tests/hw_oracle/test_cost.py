from __future__ import annotations

import inspect
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.common.errors import ChipTooSmall, InvalidChip, InvalidNetwork
from services.common.layers import (
    Add,
    Bits,
    Concat,
    Conv2d,
    Layer,
    LayerList,
    Linear,
    Multiply,
    Pool2d,
    Shape,
)
from services.hw_oracle import local
from services.hw_oracle.client import HwOracle
from services.hw_oracle.cost import evaluate
from services.hw_oracle.energy import network_tile
from services.hw_oracle.importers import from_mnsim
from services.hw_oracle.mapping import MAX_POINTS, map_network
from services.hw_oracle.types import (
    AdcConfig,
    AdcConversion,
    BufferConfig,
    ChipConfig,
    DacConfig,
    PeConfig,
    Placement,
    TileConfig,
    chip_hash,
)
from services.hw_oracle.version import MODEL_VERSION


def net(*layers: Layer, channels: int = 1, side: int = 8) -> LayerList:
    return LayerList(input_shape=Shape(channels=channels, height=side, width=side), layers=layers)


def total(breakdown: Any) -> float:
    return float(sum(getattr(breakdown, f.name) for f in fields(breakdown)))


def test_the_smallest_network_by_hand() -> None:
    """One linear layer, 4 -> 1: eight PEs of one slice each in two tiles, one pass of nine one-bit cycles."""
    report = evaluate(net(Linear(inputs=(-1,), out_features=1), channels=4, side=1))
    layer = report.layers[0]
    assert (layer.pes_across, layer.pes_down, layer.tiles, layer.rows_used, layer.columns_used) == (
        8,
        1,
        2,
        4,
        1,
    )
    assert (report.tiles, report.pes, report.crossbars) == (2, 8, 16)

    s = 256 * 256 / 8192
    crossbar_ns = 3.16 + 1e-3 * (2e-4 * s * s + 5e-6 * s + 4e-14)
    conversion_ns = 9 * (3 + crossbar_ns + 8)
    digital_ns = (
        9 * (2 + 2 * 0.27933 + 2 * 0.032744) + (1 + 9) * 2 + 2 + 2 * 2
    )  # cycles, input, output, joins
    intra_ns = (2 * (6 + 2) - 3) * 1 / 1024
    # 36 input bits in and out of a PE's buffer; 8 and 9 bits of 4 PEs in and out of the tile's
    buffer_ns = 20 + 20 + 20 + 20
    assert report.latency_ns == pytest.approx(conversion_ns + digital_ns + intra_ns + buffer_ns, rel=1e-12)

    crossbar_w = 8 * 2 * (4 * 7.57575e-8) / 2 / 2
    assert report.power.crossbar_w == pytest.approx(crossbar_w, rel=1e-12)
    assert report.power.adc_w == pytest.approx(8 * 1.26e-3)
    assert report.power.dac_w == pytest.approx(8 * 2 * 3.9e-6)  # four rows, two a DAC
    assert report.energy.crossbar_nj == pytest.approx(crossbar_w * 9 * crossbar_ns, rel=1e-12)
    assert report.area.crossbar_um2 == pytest.approx(2 * 4 * 2 * (65536 * 1.44 + 256 * 1150))
    assert report.average_power_w == report.energy_nj / report.latency_ns


def test_a_report_names_its_model_and_its_chip() -> None:
    report = evaluate(net(Linear(inputs=(-1,), out_features=1)))
    assert (report.model_version, report.chip_hash) == (MODEL_VERSION, chip_hash(ChipConfig()))


def test_vgg8_as_worked_out_step_by_step(golden_cases: dict[str, dict[str, Any]]) -> None:
    network, chip = from_mnsim(golden_cases["mnsim_vgg8"]["layers"]), ChipConfig()
    mapping, report = map_network(network, chip), evaluate(network)
    tile = network_tile(chip, mapping.input_buffer_kb, mapping.output_buffer_kb)
    assert (mapping.input_buffer_kb, mapping.output_buffer_kb) == (0.5, 0.25)
    assert (tile.input_buffer.read_power_w, tile.output_buffer.write_power_w) == pytest.approx(
        (0.001384903, 0.001663233)
    )
    assert tile.area().total_um2 == pytest.approx(4317798.1165929, rel=1e-12)
    # per point: core (without buffers and links), write and read of the output buffer, merge, transfer
    worked = {
        0: (178.682448, 1280, 1440, 1672.4, 230.4),
        1: (349.739895, 1280, 1440, 2137.2, 115.2),
        2: (200, 360, 360, 360, 230.4),
        9: (695.479790, 2560, 2880, 12136, 1843.2),
        11: (348.241848, 100, 120, 200, 0),
    }
    for index, (core_ns, written_ns, read_ns, merge_ns, transfer_ns) in worked.items():
        modules, points = report.layers[index].latency, network.shapes[index].points
        buffers_ns = modules.buffer_read_ns + modules.buffer_write_ns
        links_ns = modules.tile_merge_ns + modules.tile_transfer_ns
        assert (total(modules) - buffers_ns - links_ns) / points == pytest.approx(core_ns, rel=1e-8)
        assert buffers_ns / points > written_ns + read_ns  # the rest is the input buffers'
        assert modules.tile_merge_ns / points == pytest.approx(merge_ns)
        assert modules.tile_transfer_ns / points == pytest.approx(transfer_ns)
    assert [report.layers[i].finish_ns for i in (0, 11)] == pytest.approx([3505518.026301, 5151851.445712])


def test_energy_waits_for_nothing_and_so_ignores_the_schedule() -> None:
    layers = (Conv2d(inputs=(-1,), out_channels=8, kernel_size=3), Linear(inputs=(0,), out_features=4))
    near, far = (evaluate(net(*layers), ChipConfig(placement=p)) for p in (Placement.NONE, Placement.SHELL))
    assert near.energy_nj == far.energy_nj
    assert near.latency_ns < far.latency_ns


def test_any_layer_may_read_the_networks_input() -> None:
    layers = (
        Conv2d(inputs=(-1,), out_channels=3, kernel_size=3, padding=1),
        Add(inputs=(-1, 0)),
        Multiply(inputs=(-1, -1)),
        Pool2d(inputs=(-1,), kernel_size=2, stride=2),
        Linear(inputs=(-1,), out_features=2),
    )
    report = evaluate(net(*layers, channels=3))
    assert [layer.begin_ns for layer in report.layers if layer.kind != "add"] == [0.0] * 4
    assert report.latency_ns == max(layer.finish_ns for layer in report.layers)


@pytest.mark.parametrize(
    ("layers", "error", "message"),
    [
        (
            (Conv2d(inputs=(-1,), out_channels=2, kernel_size=17),),
            InvalidNetwork,
            r"layers\[0\].conv2d.kernel_size: got 17",
        ),
        (
            (Concat(inputs=(-1, -1)),),
            InvalidNetwork,
            "layers: got 'concats alone', wanted a layer that computes",
        ),
        (
            (Linear(inputs=(-1,), out_features=2, bits=Bits(weight_bits=1)),),
            InvalidNetwork,
            "weight_bits: got 1",
        ),
        (
            (Linear(inputs=(-1,), out_features=2**20),),
            ChipTooSmall,
            "needs .* tiles, the chip has 64 x 64 = 4096",
        ),
    ],
)
def test_a_network_that_the_chip_cannot_hold_is_refused_by_layer(
    layers: tuple[Layer, ...], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        evaluate(net(*layers, channels=2, side=32))


def test_too_many_points_are_refused_before_any_work() -> None:
    side = int(MAX_POINTS**0.5) + 1
    with pytest.raises(InvalidNetwork, match="output points"):
        evaluate(net(Conv2d(inputs=(-1,), out_channels=1, kernel_size=1), side=side))


def test_a_wide_bus_needs_large_buffers() -> None:
    network = net(Linear(inputs=(-1,), out_features=2))
    with pytest.raises(InvalidChip, match="width_bits: got 512"):
        evaluate(network, ChipConfig(buffer=BufferConfig(width_bits=512)))
    sizes = BufferConfig(width_bits=512, input_size_kb=4, output_size_kb=4)
    assert evaluate(network, ChipConfig(buffer=sizes)).area.buffer_um2 > 0


def test_a_long_chain_of_sums_finds_its_producer() -> None:
    layers: list[Layer] = [Conv2d(inputs=(-1,), out_channels=2, kernel_size=1, bits=Bits(output_bits=12))]
    layers += [Add(inputs=(i, i)) for i in range(1500)]
    report = evaluate(net(*layers, side=1))
    assert report.layers[-1].latency.buffer_read_ns == 20  # 2 inputs x 2 channels x 12 bits in one access


conv = st.tuples(st.sampled_from([1, 3, 5]), st.sampled_from([4, 33, 300]), st.sampled_from([1, 2]))
stacks = st.lists(conv, min_size=1, max_size=4)


def stack(convs: list[tuple[int, int, int]]) -> LayerList:
    layers = [
        Conv2d(inputs=(i - 1,), out_channels=c, kernel_size=k, padding=k // 2, stride=s)
        for i, (k, c, s) in enumerate(convs)
    ]
    return net(*layers, channels=3)


@settings(max_examples=25)
@given(stacks)
def test_breakdowns_sum_to_totals(convs: list[tuple[int, int, int]]) -> None:
    report = evaluate(stack(convs))
    for layer in report.layers:
        assert total(layer.area) == pytest.approx(layer.area_um2)
        assert total(layer.power) == pytest.approx(layer.power_w)
        assert total(layer.energy) - layer.energy.adder_nj == pytest.approx(layer.energy_nj)
    for name, value in (("area", report.area_um2), ("power", report.power_w), ("energy", report.energy_nj)):
        assert total(getattr(report, name)) == pytest.approx(value)
        assert sum(total(getattr(layer, name)) for layer in report.layers) == pytest.approx(value)


@settings(max_examples=25)
@given(stacks, conv)
def test_tiles_area_power_energy_and_latency_never_fall_when_a_layer_is_appended(
    convs: list[tuple[int, int, int]], more: tuple[int, int, int]
) -> None:
    short, long = evaluate(stack(convs)), evaluate(stack([*convs, more]))
    for name in ("tiles", "pes", "crossbars", "area_um2", "power_w", "energy_nj"):
        assert getattr(long, name) >= getattr(short, name)
    if more[2] == 1:  # a stride may leave the last outputs unread, and then nobody waits for them
        assert long.latency_ns >= short.latency_ns


@settings(max_examples=15)
@given(stacks, st.sampled_from([250.0, 1000.0]))
def test_a_faster_clock_is_never_slower(convs: list[tuple[int, int, int]], clock_mhz: float) -> None:
    slow, fast = (
        evaluate(stack(convs), replace(ChipConfig(), clock_mhz=f)) for f in (clock_mhz, 2 * clock_mhz)
    )
    assert fast.latency_ns < slow.latency_ns
    assert fast.area_um2 == slow.area_um2


def test_a_work_that_rounding_hides_in_a_late_span_occupies_it() -> None:
    slow = ChipConfig(tile=TileConfig(pe=PeConfig(dac=DacConfig(rate_gsps=1e-9))))
    adds = net(
        Conv2d(inputs=(-1,), out_channels=64, kernel_size=1),
        Add(inputs=(0, 0)),
        Linear(inputs=(1,), out_features=3),
        channels=3,
        side=1,
    )
    longest = AdcConfig(bits=32, rate_gsps=1e-9, conversion=AdcConversion.COUNTING)
    slower = ChipConfig(tile=TileConfig(pe=PeConfig(adc=longest)))
    for chip in (slow, slower):
        assert all(0 < layer.occupancy_frac <= 1 for layer in evaluate(adds, chip).layers)


def test_every_evaluate_is_called_alike() -> None:
    def parameters(function: Any) -> list[tuple[str, Any]]:
        return [(p.name, p.default) for p in inspect.signature(function).parameters.values()]

    assert parameters(evaluate) == parameters(local.evaluate) == parameters(HwOracle().evaluate)
    assert dict(parameters(evaluate))["chip"] == ChipConfig()
