"""A network on a chip with what a report leaves out: where tiles are, when each point begins and finishes."""

from __future__ import annotations

from dataclasses import dataclass

from services.common.layers import NETWORK_INPUT, LayerList
from services.hw_oracle.energy import network_tile
from services.hw_oracle.latency import LayerTime, layer_time
from services.hw_oracle.mapping import Mapping, map_network
from services.hw_oracle.placement import Way, ways
from services.hw_oracle.schedule import LayerSchedule, last_point_read, schedule
from services.hw_oracle.tile import Tile
from services.hw_oracle.types import ChipConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Worked:
    """What `services.hw_oracle.cost.evaluate` works out on its way to a report.

    Parameters
    ----------
    network : LayerList
    chip : ChipConfig
    mapping : Mapping
    tile : Tile
        With the buffers that the network needs.
    ways : tuple of Way
    times : tuple of LayerTime
    done : tuple of LayerSchedule
        The last three of each layer.
    """

    network: LayerList
    chip: ChipConfig
    mapping: Mapping
    tile: Tile
    ways: tuple[Way, ...]
    times: tuple[LayerTime, ...]
    done: tuple[LayerSchedule, ...]


def work_out(network: LayerList, chip: ChipConfig) -> Worked:
    """Map, place, time and schedule a network; raises as `services.hw_oracle.cost.evaluate`."""
    mapping = map_network(network, chip)
    tile = network_tile(chip, mapping.input_buffer_kb, mapping.output_buffer_kb)
    found = ways(network, mapping, chip)
    hops = [(way.merge_hops, way.transfer_hops) for way in found]
    times = [layer_time(network, i, mapping, chip, distance) for i, distance in enumerate(hops)]
    done = schedule(network, [time.durations_ns for time in times], chip.pipeline)
    return Worked(
        network=network,
        chip=chip,
        mapping=mapping,
        tile=tile,
        ways=tuple(found),
        times=tuple(times),
        done=tuple(done),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """A stretch of time in which one layer holds up the latest output."""

    layer: int
    begin_ns: float
    end_ns: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Awaited:
    """The point of an earlier layer that a point waits for, and when it is there."""

    layer: int
    point: int
    ready_ns: float


def awaited(worked: Worked, index: int, point: int) -> Awaited | None:
    """Of the points that a point of layer `index` reads, find the latest; None if it reads no layer's."""
    found = []
    for source in worked.network.layers[index].inputs:
        if source != NETWORK_INPUT:
            shape, finish_ns = worked.network.shapes[source], worked.done[source].finish_ns
            needed = last_point_read(worked.network, index, shape, worked.chip.pipeline)
            points = range(len(finish_ns))[needed] if isinstance(needed, slice) else needed
            at = int(points[point if len(points) > 1 else 0])
            found.append(Awaited(layer=source, point=at, ready_ns=float(finish_ns[at])))
    return max(found, key=lambda read: read.ready_ns, default=None)


def critical_path(worked: Worked) -> tuple[Stretch, ...]:
    """Follow the latest output back to the input: who worked, without a gap, until it was there.

    A point begins when the one before it has finished, or when the last point that it reads is there.
    Followed back, points of one layer make a stretch, until one has waited for an earlier layer. The
    stretches fill the time from 0 to the latency.

    Returns
    -------
    tuple of Stretch
        In order of time; every layer has one at most. A concat's are of no length and are left out.
    """
    read = {source for layer in worked.network.layers for source in layer.inputs}
    outputs = [index for index in range(len(worked.done)) if index not in read]
    index = max(outputs, key=lambda i: float(worked.done[i].finish_ns[-1]))
    point, found = len(worked.done[index].finish_ns) - 1, []
    while True:
        begin, finish = worked.done[index].begin_ns[: point + 1], worked.done[index].finish_ns
        waited = (begin[1:] > finish[:point]).nonzero()[0]
        first = int(waited[-1]) + 1 if len(waited) else 0
        if finish[point] > begin[first]:
            found.append(Stretch(layer=index, begin_ns=float(begin[first]), end_ns=float(finish[point])))
        source = awaited(worked, index, first)
        if source is None:
            return tuple(reversed(found))
        index, point = source.layer, source.point
