from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.common.layers import Add, Conv2d, LayerList, Linear, Pool2d, Shape
from services.hw_oracle.schedule import latency_ns, schedule

times = st.floats(0.5, 1e4)


@settings(max_examples=30)
@given(st.data())
def test_the_closed_form_equals_the_recursion(data: st.DataObject) -> None:
    layers = (
        Conv2d(inputs=(-1,), out_channels=2, kernel_size=3, padding=1),
        Conv2d(inputs=(0,), out_channels=2, kernel_size=1),
        Add(inputs=(1, 0)),
        Pool2d(inputs=(2,), kernel_size=2, stride=2),
        Linear(inputs=(3,), out_features=3),
    )
    network = LayerList(input_shape=Shape(channels=1, height=4, width=6), layers=layers)
    durations = [
        np.array(data.draw(st.lists(times, min_size=s.points, max_size=s.points))) for s in network.shapes
    ]
    done = schedule(network, durations)

    # what each point waits for, by hand: the bottom right of its window, the same point, or the last one
    def reads(index: int, row: int, column: int) -> list[tuple[int, int]]:
        match index:
            case 0:
                return []
            case 1:
                return [(0, row * 6 + column)]
            case 2:
                return [(1, row * 6 + column), (0, row * 6 + column)]
            case 3:
                return [(2, (2 * row + 1) * 6 + 2 * column + 1)]
            case _:
                return [(3, 5)]

    finish: list[list[float]] = []
    for index, shape in enumerate(network.shapes):
        before, own = 0.0, []
        for point, duration in enumerate(durations[index]):
            row, column = divmod(point, shape.width)
            begin = max([before, *(finish[s][p] for s, p in reads(index, row, column))])
            before = begin + duration
            own.append(before)
            assert done[index].begin_ns[point] == pytest.approx(begin, rel=1e-12)
        finish.append(own)
        assert done[index].finish_ns == pytest.approx(own, rel=1e-12)
    assert latency_ns(network, done) == pytest.approx(finish[-1][-1], rel=1e-12)


def test_the_latency_is_that_of_the_slowest_output() -> None:
    layers = (Linear(inputs=(-1,), out_features=2), Linear(inputs=(-1,), out_features=2))
    network = LayerList(input_shape=Shape(channels=4, height=1, width=1), layers=layers)
    assert latency_ns(network, schedule(network, [np.array([70.0]), np.array([30.0])])) == 70


def test_a_padded_window_never_waits_for_more_than_the_last_row_and_column() -> None:
    layers = (
        Conv2d(inputs=(-1,), out_channels=1, kernel_size=1),
        Conv2d(inputs=(0,), out_channels=1, kernel_size=5, padding=2),
        Conv2d(inputs=(1,), out_channels=1, kernel_size=1, padding=1),
    )
    network = LayerList(input_shape=Shape(channels=1, height=3, width=3), layers=layers)
    ones = [np.ones(s.points) for s in network.shapes]
    done = schedule(network, ones)
    assert done[1].begin_ns[0] == done[0].finish_ns[-1] == 9  # 5 - 2 rows and columns are the whole map
    assert done[2].finish_ns[-1] > done[1].finish_ns[-1]
