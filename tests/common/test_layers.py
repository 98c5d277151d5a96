"""The IR: shapes, violations, counts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.errors import InvalidNetwork
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
    PoolMode,
    Shape,
    macs,
    params,
    training_memory_bytes,
)

IMAGE = Shape(channels=3, height=9, width=7)


def network(*layers: Layer, input_shape: Shape = IMAGE) -> LayerList:
    return LayerList(input_shape=input_shape, layers=layers)


def fields_of(*layers: Layer, input_shape: Shape = IMAGE) -> list[str]:
    with pytest.raises(InvalidNetwork) as caught:
        network(*layers, input_shape=input_shape)
    return [v.field for v in caught.value.violations]


def test_a_convolution_keeps_stride_padding_and_both_sides_apart():
    net = network(Conv2d(inputs=(-1,), out_channels=4, kernel_size=3, stride=2, padding=1))
    assert net.shapes == (Shape(channels=4, height=5, width=4),)


def test_pooling_drops_the_last_odd_row_and_column():
    net = network(Pool2d(inputs=(-1,), kernel_size=2, stride=2))
    assert net.shapes == (Shape(channels=3, height=4, width=3),)


def test_concat_adds_channels_and_add_keeps_them():
    net = network(
        Conv2d(inputs=(-1,), out_channels=5, kernel_size=1),
        Concat(inputs=(-1, 0)),
        Add(inputs=(1, 1)),
        Linear(inputs=(2,), out_features=10),
    )
    assert [s.channels for s in net.shapes] == [5, 8, 8, 10]


def test_concats_of_concats_are_refused_before_their_channels_overflow():
    with pytest.raises(
        InvalidNetwork, match=r"concat.inputs: got '1572864 channels together', wanted at most"
    ):
        network(*(Concat(inputs=(i - 1, i - 1)) for i in range(3000)))


def test_multiply_broadcasts_one_point_over_a_map():
    net = network(Linear(inputs=(-1,), out_features=3), Multiply(inputs=(-1, 0)))
    assert net.shapes[1] == IMAGE


def test_macs_and_params_of_a_network_done_by_hand():
    net = network(
        Conv2d(inputs=(-1,), out_channels=6, kernel_size=3, padding=1, groups=3),
        Linear(inputs=(0,), out_features=10),
    )
    assert macs(net) == 9 * 7 * 9 * 1 * 6 + 9 * 7 * 6 * 10
    assert params(net) == (9 * 6 + 6) + (9 * 7 * 6 * 10 + 10)
    elements = 9 * 7 * 3 + 9 * 7 * 6 + 10
    assert training_memory_bytes(net, 2) == 12 * 2 * elements + 16 * params(net)


@pytest.mark.parametrize(
    ("layer", "field"),
    [
        (Conv2d(inputs=(-1,), out_channels=-3, kernel_size=3), "layers[0].conv2d.out_channels"),
        (Conv2d(inputs=(-1,), out_channels=3, kernel_size=0), "layers[0].conv2d.kernel_size"),
        (Conv2d(inputs=(-1,), out_channels=3, kernel_size=8), "layers[0].conv2d.kernel_size"),
        (Conv2d(inputs=(-1,), out_channels=3, kernel_size=3, padding=-1), "layers[0].conv2d.padding"),
        (Conv2d(inputs=(-1,), out_channels=4, kernel_size=3, groups=3), "layers[0].conv2d.groups"),
        (Conv2d(inputs=(0,), out_channels=4, kernel_size=3), "layers[0].conv2d.inputs[0]"),
        (Conv2d(inputs=(-2,), out_channels=4, kernel_size=3), "layers[0].conv2d.inputs[0]"),
        (Conv2d(inputs=(), out_channels=4, kernel_size=3), "layers[0].conv2d.inputs"),
        (Conv2d(inputs=(-1,), out_channels=2**40, kernel_size=3), "layers[0].conv2d.out_channels"),
        (Conv2d(inputs=(-1,), out_channels=True, kernel_size=3), "layers[0].conv2d.out_channels"),
        (Linear(inputs=(-1,), out_features=5, bits=Bits(weight_bits=0)), "layers[0].linear.bits.weight_bits"),
        (Pool2d(inputs=(-1,), kernel_size=2, stride=2, padding=2), "layers[0].pool2d.padding"),
        (Add(inputs=(-1,)), "layers[0].add.inputs"),
    ],
)
def test_a_wrong_field_is_named(layer: Layer, field: str):
    assert fields_of(layer) == [field]


def test_every_wrong_layer_is_reported_at_once():
    found = fields_of(
        Conv2d(inputs=(-1,), out_channels=0, kernel_size=3),
        Linear(inputs=(0,), out_features=-1),
        Linear(inputs=(9,), out_features=1),
    )
    assert found == [
        "layers[0].conv2d.out_channels",
        "layers[1].linear.out_features",
        "layers[2].linear.inputs[0]",
    ]


def test_shapes_that_differ_are_told_in_the_message():
    with pytest.raises(InvalidNetwork, match=r"layers\[1\]\.add\.inputs: got shapes 3x9x7, 4x9x7"):
        network(Conv2d(inputs=(-1,), out_channels=4, kernel_size=1), Add(inputs=(-1, 0)))


def test_an_empty_list_and_an_endless_one_are_refused():
    assert fields_of() == ["layers"]
    assert fields_of(*[Linear(inputs=(-1,), out_features=1)] * 4097) == ["layers"]


def test_a_negative_image_is_refused():
    bad = Shape(channels=3, height=-1, width=7)
    assert fields_of(Linear(inputs=(-1,), out_features=1), input_shape=bad) == ["input_shape.height"]


@given(side=st.integers(1, 40), kernel=st.integers(1, 9), stride=st.integers(1, 5), padding=st.integers(0, 4))
def test_a_window_never_reaches_beyond_the_padded_image(side: int, kernel: int, stride: int, padding: int):
    image = Shape(channels=1, height=side, width=side)
    layer = Conv2d(inputs=(-1,), out_channels=1, kernel_size=kernel, stride=stride, padding=padding)
    if kernel > side + 2 * padding:
        assert fields_of(layer, input_shape=image) == ["layers[0].conv2d.kernel_size"]
        return
    out = network(layer, input_shape=image).shapes[0].width
    assert (out - 1) * stride + kernel <= side + 2 * padding < out * stride + kernel


def test_pool_mode_is_checked():
    layer = Pool2d(inputs=(-1,), kernel_size=2, stride=2, mode="median")  # type: ignore[arg-type]
    assert fields_of(layer) == ["layers[0].pool2d.mode"]
    assert Pool2d(inputs=(-1,), kernel_size=2, stride=2, mode=PoolMode.AVERAGE).mode == "average"
