from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.common.candidate import candidate_layers, parse_candidate
from services.common.layers import LayerList, Shape
from services.hw_oracle.align import align, alike
from tests.hw_oracle.networks import networks


def candidate(text: str) -> LayerList:
    return candidate_layers(parse_candidate(text), Shape(channels=3, height=32, width=32), 10)


def test_networks_of_the_same_kinds_are_aligned_by_index():
    pair = [candidate("VGG16-RES32"), candidate("VGG64-RES128")]
    assert alike(pair)
    assert align(pair) == [(i, i) for i in range(len(pair[0].layers))]


def test_an_inserted_block_stands_alone():
    short, long = candidate("VGG16"), candidate("VGG16-RES32")
    added = [layer.kind for layer in long.layers][3:7]
    rows = align([short, long])
    assert added == ["conv2d", "conv2d", "conv2d", "add"]
    assert rows == [
        (0, 0),
        (1, 1),
        (2, 2),
        *((None, i) for i in range(3, 7)),
        (3, 7),
        (4, 8),
        (5, 9),
        (6, 10),
    ]
    assert align([long, short]) == [(b, a) for a, b in rows]


@given(found=st.lists(networks(max_layers=6), min_size=2, max_size=4))
def test_every_layer_is_in_one_row_in_its_order_beside_its_own_kind(found: list[LayerList]):
    rows = align(found)
    for column, network in enumerate(found):
        assert [row[column] for row in rows if row[column] is not None] == list(range(len(network.layers)))
    for row in rows:
        kinds = {n.layers[i].kind for n, i in zip(found, row, strict=True) if i is not None}
        assert len(kinds) == 1
