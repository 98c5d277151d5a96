"""When each output point begins and finishes: layers overlap, a point waits for the points it reads.

Recursion of MNSIM 2.0, Latency_Model/Model_latency.py: ``begin(t) = max(ready(t), finish(t - 1))`` and
``finish(t) = begin(t) + D(t)``. With S(t) = D(0) + ... + D(t) it has the closed form
``finish(t) = S(t) + max(0, max over u <= t of ready(u) - S(u - 1))``: a prefix sum and a running maximum.
No producer is ever held up by a slow consumer. A concat takes no time: its point is there once it is there
in every part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from services.common.layers import NETWORK_INPUT, Conv2d, LayerList, Linear, Pool2d, Shape
from services.hw_oracle.latency import Array
from services.hw_oracle.types import Pipeline


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerSchedule:
    """Begin and finish of each output point in order, shape (height * width,); a linear layer has one."""

    begin_ns: Array
    finish_ns: Array


def schedule(
    network: LayerList, durations_ns: list[Array], pipeline: Pipeline = Pipeline.WINDOW
) -> list[LayerSchedule]:
    """Schedule every layer; the network's input is there from the start."""
    done: list[LayerSchedule] = []
    for index, durations in enumerate(durations_ns):
        ready = np.zeros(len(durations))
        for source in network.layers[index].inputs:
            if source != NETWORK_INPUT:
                needed = last_point_read(network, index, network.shapes[source], pipeline)
                ready = np.maximum(ready, done[source].finish_ns[needed])
        worked = np.cumsum(durations)
        before = np.concatenate([[0.0], worked[:-1]])
        finish = worked + np.maximum.accumulate(np.maximum(ready - before, 0.0))
        begin = np.maximum(ready, np.concatenate([[0.0], finish[:-1]]))
        done.append(LayerSchedule(begin_ns=begin, finish_ns=finish))
    return done


def latency_ns(network: LayerList, done: Sequence[LayerSchedule]) -> float:
    """Finish of the last output: the latest among layers that no layer reads."""
    read = {source for layer in network.layers for source in layer.inputs}
    return max(float(done[i].finish_ns[-1]) for i in range(len(done)) if i not in read)


def last_point_read(
    network: LayerList, index: int, source: Shape, pipeline: Pipeline
) -> npt.NDArray[np.int64] | slice:
    """Point of the source that each output point waits for: the bottom right of its window, or the last.

    Of a map that is read element by element it is the point itself; a single point is broadcast.
    """
    layer, shape = network.layers[index], network.shapes[index]
    match layer:
        case Conv2d() | Pool2d() if pipeline is not Pipeline.NONE:
            first = max(layer.kernel_size - layer.padding, 1)
            row = np.minimum(first + layer.stride * np.arange(shape.height), source.height) - 1
            column = np.minimum(first + layer.stride * np.arange(shape.width), source.width) - 1
            last: npt.NDArray[np.int64] = (row[:, None] * source.width + column).ravel()
            return last
        case Conv2d() | Pool2d() | Linear():
            return slice(-1, None)
        case _:
            return slice(None)
