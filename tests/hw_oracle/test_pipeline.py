"""Every way to pipeline against MNSIM's equations written out point by point, in plain Python."""

from __future__ import annotations

from dataclasses import replace
from math import ceil, log2

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.common.layers import Add, Bits, Concat, Conv2d, LayerList, Linear, Multiply, Pool2d, Shape
from services.hw_oracle.cost import evaluate
from services.hw_oracle.types import ChipConfig, CostReport, CrossbarConfig, PeConfig, Pipeline, TileConfig
from tests.hw_oracle.networks import networks

CHIPS = [
    ChipConfig(grid_rows=100, grid_columns=100),
    ChipConfig(
        clock_mhz=100,
        grid_rows=60,
        grid_columns=900,
        tile=TileConfig(
            pes=6,
            pe=PeConfig(
                crossbar=CrossbarConfig(rows=64, columns=32, subarray_rows=32), dacs=8, adcs=5, groups=2
            ),
        ),
    ),
]


class Recursion:
    """Duration, begin and finish of every point; mapping and distances are taken from the report."""

    def __init__(self, network: LayerList, chip: ChipConfig, report: CostReport) -> None:
        self.network, self.chip, self.report = network, chip, report
        self.begin: list[list[float]] = []
        self.finish: list[list[float]] = []
        self.busy: list[float] = []
        for index, shape in enumerate(network.shapes):
            begins, finishes, before = [], [], 0.0
            durations = [self.duration(index, i, j) for i in range(shape.height) for j in range(shape.width)]
            for t, duration in enumerate(durations):
                ready = [self.ready(index, source, *divmod(t, shape.width)) for source in self.inputs(index)]
                begins.append(max([before, *ready]))
                before = begins[-1] + duration
                finishes.append(before)
            self.begin.append(begins)
            self.finish.append(finishes)
            self.busy.append(sum(durations))

    def inputs(self, index: int) -> list[int]:
        """What the layer reads, seen through concats, without the network's input."""
        found = []
        for source in self.network.layers[index].inputs:
            if source >= 0 and isinstance(self.network.layers[source], Concat):
                found += self.inputs(source)
            elif source >= 0:
                found.append(source)
        return found

    def ready(self, index: int, source: int, i: int, j: int) -> float:
        layer, finish = self.network.layers[index], self.finish[source]
        shape = self.network.shapes[source]
        if isinstance(layer, Linear) or (
            isinstance(layer, Conv2d | Pool2d) and self.chip.pipeline is Pipeline.NONE
        ):
            return max(finish)
        if isinstance(layer, Conv2d | Pool2d):
            f, s = max(layer.kernel_size - layer.padding, 1), layer.stride
            return finish[(min(f + s * i, shape.height) - 1) * shape.width + min(f + s * j, shape.width) - 1]
        return finish[0] if shape.points == 1 else finish[i * shape.width + j]

    def bits(self, index: int, reader: int) -> int:
        """Bits of what layer `reader` reads from `index`."""
        if index < 0:
            return self.network.layers[reader].bits.input_bits
        layer = self.network.layers[index]
        if isinstance(layer, Concat):
            return max(self.bits(source, index) for source in layer.inputs)
        if isinstance(layer, Add | Multiply):
            plain = [i for i in layer.inputs if i >= 0 and not isinstance(self.layers(i), Add | Multiply)]
            summed = [i for i in layer.inputs if i >= 0]
            return self.bits([*plain, *summed, -1][0], index)
        return layer.bits.output_bits

    def layers(self, index: int) -> object:
        return self.network.layers[index]

    def moved(self, bits: float) -> float:
        return ceil(bits / self.chip.buffer.width_bits) * 20

    def duration(self, index: int, i: int, j: int) -> float:
        layer, shape, cost = self.network.layers[index], self.network.shapes[index], self.report.layers[index]
        bandwidth, hops = self.chip.inter_tile_bandwidth_gbps, cost.transfer_distance_hops
        if isinstance(layer, Concat):
            return 0.0
        if isinstance(layer, Add | Multiply):
            bits = self.bits(index, index)
            if isinstance(layer, Multiply) and self.chip.pipeline is not Pipeline.NONE:
                sizes = [self.network.shape_of(s) for s in layer.inputs]
                largest = max((s.height, s.width) for s in sizes)
                first = [(s.height, s.width) for s in sizes].index(largest)
                bits = self.bits(layer.inputs[first], index)
            moved = self.moved(bits * shape.channels * len(layer.inputs))
            return 10 + 2 * moved + hops * shape.channels * bits / bandwidth
        transfer = hops * shape.channels * layer.bits.output_bits / bandwidth
        if isinstance(layer, Linear):
            written = read = cost.rows_used * layer.bits.input_bits
        else:
            written, read = self.line_buffer(index, i, j)
        buffers = self.moved(written) + self.moved(read)
        if isinstance(layer, Pool2d):
            rout = wout = self.moved(shape.channels * layer.bits.output_bits)
            steps = ceil(shape.channels / 64) * ceil(layer.kernel_size**2 / 9)
            return buffers + 100 * steps + wout + 2 * rout + transfer
        core, wout, merge = self.matrix(index)
        return buffers + core + wout + merge + transfer

    def line_buffer(self, index: int, i: int, j: int) -> tuple[int, int]:
        layer, source = self.network.layers[index], self.network.input_shapes(index)[0]
        assert isinstance(layer, Conv2d | Pool2d)
        k, s, p, w = layer.kernel_size, layer.stride, layer.padding, source.width
        ch, e = source.channels, max(k - p, 0)
        if isinstance(layer, Conv2d):
            ch = self.report.layers[index].rows_used // k**2
        if self.chip.pipeline is not Pipeline.WINDOW:
            pixels = w * max(k - p - 1, 0) + e if i == j == 0 else w * (s - 1) + e if j == 0 else s
        elif i == j == 0:
            pixels = e * e
        elif j == 0:
            pixels = s * e
        elif i == 0:
            pixels = s * k if isinstance(layer, Conv2d) else s * s
        else:
            pixels = s * s
        read = k * k if j == 0 else s * k
        return ch * pixels * layer.bits.input_bits, ch * read * layer.bits.input_bits

    def matrix(self, index: int) -> tuple[float, float, float]:
        """Core, write to the output buffer and merge of one point of a convolution or linear."""
        layer, cost, chip = self.network.layers[index], self.report.layers[index], self.chip
        pe, npe, clock = chip.tile.pe, chip.tile.pes, 1000 / chip.clock_mhz
        array = pe.crossbar
        r, q, n = cost.rows_used, cost.columns_used, cost.pes_per_tile
        assert pe.adcs
        colp = ceil(q / pe.adcs)
        passes = ceil(r / (pe.dacs * array.subarrays)) * colp
        mt = ceil(layer.bits.input_bits / pe.dac.bits) * passes
        size = array.rows * array.columns / 8192
        tx = 3.16 + 0.001 * (2e-4 * size**2 + 5e-6 * size + 4e-14)
        tdec = 0.27933 * (1 + len(f"{ceil(array.subarray_rows / pe.dacs):o}"))
        tmux = 0.032744 * (1 + len(f"{ceil(array.columns / pe.adcs):o}"))
        joins, links = ceil(log2(n)), ceil(log2(npe))
        a, ob = pe.adc.bits, layer.bits.output_bits
        core = mt * (3 + tx + 8 + tdec + tmux + clock) + (passes + mt) * clock
        core += (colp * ceil(log2(pe.groups)) + colp + joins) * clock
        core += (links * (a + joins) - joins * (joins + 1) / 2) * q / chip.intra_tile_bandwidth_gbps
        hop = clock + q * n * ob / chip.inter_tile_bandwidth_gbps
        merge = self.moved(q * n * ob) + cost.merge_distance_hops * hop
        return core, self.moved((a + joins) * q * n), merge


@settings(max_examples=150, deadline=None)
@given(network=networks(), chip=st.sampled_from(CHIPS), pipeline=st.sampled_from(Pipeline))
def test_times_equal_the_recursion_point_by_point(
    network: LayerList, chip: ChipConfig, pipeline: Pipeline
) -> None:
    chip = replace(chip, pipeline=pipeline)
    report = evaluate(network, chip)
    wanted = Recursion(network, chip, report)
    for index, layer in enumerate(network.layers):
        got = report.layers[index]
        if isinstance(layer, Concat):
            assert got.occupancy_frac == 0
            continue
        interval = wanted.finish[index][-1] - wanted.begin[index][0]
        share = 1.0 if pipeline is Pipeline.NONE else wanted.busy[index] / interval
        assert (got.begin_ns, got.finish_ns, got.occupancy_frac) == pytest.approx(
            (wanted.begin[index][0], wanted.finish[index][-1], share), rel=1e-9
        )
    read = {source for layer in network.layers for source in layer.inputs}
    outputs = [i for i in range(len(network.layers)) if i not in read]
    joined = {s for i in outputs for s in ([i] if wanted.busy[i] else wanted.inputs(i))}
    assert report.latency_ns == pytest.approx(
        max((wanted.finish[i][-1] for i in joined), default=0), rel=1e-9
    )


def stack(*kernels: int) -> LayerList:
    layers = [
        Conv2d(inputs=(i - 1,), out_channels=8, kernel_size=k, padding=k // 2) for i, k in enumerate(kernels)
    ]
    return LayerList(input_shape=Shape(channels=3, height=6, width=6), layers=tuple(layers))


def test_without_a_pipeline_layers_follow_one_another() -> None:
    report = evaluate(stack(3, 3, 1), ChipConfig(pipeline=Pipeline.NONE))
    ends = [layer.finish_ns for layer in report.layers]
    assert [layer.begin_ns for layer in report.layers] == [0.0, *ends[:-1]]
    assert report.latency_ns == ends[-1] > evaluate(stack(3, 3, 1)).latency_ns


def test_the_pipeline_changes_times_alone() -> None:
    reports = [evaluate(stack(3, 5), ChipConfig(pipeline=p)) for p in Pipeline]
    assert len({(r.area_um2, r.power_w, r.tiles) for r in reports}) == 1
    by_row, unpipelined = reports[1:]
    assert by_row.energy_nj == unpipelined.energy_nj  # the same work, at other times


def test_a_product_has_the_bits_of_its_largest_map_or_without_a_pipeline_of_its_first_input() -> None:
    layers = (
        Conv2d(inputs=(-1,), out_channels=4, kernel_size=3, bits=Bits(output_bits=2)),  # one point
        Conv2d(inputs=(-1,), out_channels=4, kernel_size=1, bits=Bits(output_bits=20)),
        Multiply(inputs=(0, 1)),
    )
    network = LayerList(input_shape=Shape(channels=1, height=3, width=3), layers=layers)
    reads = [evaluate(network, ChipConfig(pipeline=p)).layers[2].latency.buffer_read_ns for p in Pipeline]
    # two inputs of four channels, of 20 or of 2 bits: three accesses or one, at each of nine points
    assert reads == [9 * 60, 9 * 60, 9 * 20]
