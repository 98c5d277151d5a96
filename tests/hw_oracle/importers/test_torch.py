"""What becomes of each operation of a torch module, however it is written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812  # its usual name
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from services.common.errors import InvalidNetwork
from services.common.layers import Add, Bits, Concat, Conv2d, Linear, Multiply, Pool2d, PoolMode, Shape
from services.hw_oracle.importers import from_torch
from services.hw_oracle.importers.values import fixed_window

IMAGE = Shape(channels=4, height=8, width=8)
AVERAGE = PoolMode.AVERAGE
CONV = Conv2d(inputs=(-1,), out_channels=4, kernel_size=3, padding=1)
GLOBAL = Pool2d(inputs=(-1,), kernel_size=8, stride=8, mode=AVERAGE)


class Written(nn.Module):
    """A module that is what one function says of the image `x` and of some modules `m`."""

    def __init__(self, says: Callable[[nn.Module, Tensor], Any]) -> None:
        super().__init__()
        self.says = says
        self.conv = nn.Conv2d(4, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.fc = nn.Linear(256, 5)
        self.scale = nn.Parameter(torch.ones(1, 4, 1, 1))
        self.map = nn.Parameter(torch.ones(4, 8, 8))

    def forward(self, x: Tensor) -> Any:
        return self.says(self, x)


def read(says: Callable[[Any, Tensor], Any]) -> tuple[Any, ...]:
    return from_torch(Written(says), IMAGE).layers


@pytest.mark.parametrize(
    "says",
    [
        lambda m, x: F.relu(m.norm(m.conv(x)), inplace=True),
        lambda m, x: F.conv2d(x, m.conv.weight, padding="same").clamp(0, 6),
        lambda m, x: F.conv2d(F.pad(x, (1, 1, 1, 1)), m.conv.weight),
        lambda m, x: nn.ZeroPad2d(1)(x) if x.shape[2] < 4 else m.conv(x),
        lambda m, x: F.silu(m.conv(x)) * 0.5 + 1,
        lambda m, x: 1 - m.conv(x) ** 2,
        lambda m, x: m.conv(x) * torch.sigmoid(1.702 * m.conv.bias[:, None, None]),
        lambda m, x: (y := m.conv(x)) * torch.sigmoid(y),
        lambda m, x: (y := m.conv(x)) * F.relu6(y + 3) / 6,
        lambda m, x: m.conv(x) * m.scale,
        lambda m, x: m.conv((x - m.scale) / m.scale),
        lambda m, x: F.dropout(m.conv(x), 0.5, m.training).contiguous(),
        lambda m, x: torch.flatten(m.conv(x), 1).softmax(dim=1),
        lambda m, x: m.conv(x).to(torch.float64).view(x.size(0), -1),
        lambda m, x: m.conv(x)[:, :],
        lambda m, x: {"scores": m.conv(x), "none": m.scale},
    ],
)
def test_what_costs_nothing_vanishes(says: Callable[[Any, Tensor], Any]) -> None:
    assert read(says) == (CONV,)


@pytest.mark.parametrize(
    ("says", "layer"),
    [
        (lambda m, x: F.max_pool2d(x, 2), Pool2d(inputs=(-1,), kernel_size=2, stride=2)),
        (
            lambda m, x: F.max_pool2d(x, 2, return_indices=True)[0],
            Pool2d(inputs=(-1,), kernel_size=2, stride=2),
        ),
        (
            lambda m, x: F.avg_pool2d(x, 3, 1, 1, count_include_pad=False),
            Pool2d(inputs=(-1,), kernel_size=3, stride=1, padding=1, mode=AVERAGE),
        ),
        (lambda m, x: F.adaptive_avg_pool2d(x, 1), GLOBAL),
        (lambda m, x: F.adaptive_max_pool2d(x, (1, 1)), Pool2d(inputs=(-1,), kernel_size=8, stride=8)),
        (
            lambda m, x: F.adaptive_avg_pool2d(x, 7),
            Pool2d(inputs=(-1,), kernel_size=2, stride=1, mode=AVERAGE),
        ),
        (lambda m, x: x.mean([2, 3]), GLOBAL),
        (lambda m, x: x.mean(dim=(-2, -1), keepdim=True), GLOBAL),
        (lambda m, x: x.amax((2, 3)), Pool2d(inputs=(-1,), kernel_size=8, stride=8)),
        (lambda m, x: m.fc(x.flatten(1)), Linear(inputs=(-1,), out_features=5)),
        (lambda m, x: m.fc(x.reshape(-1)), Linear(inputs=(-1,), out_features=5)),
        (lambda m, x: x.flatten(1) @ m.fc.weight.t() + m.fc.bias, Linear(inputs=(-1,), out_features=5)),
        (
            lambda m, x: torch.addmm(m.fc.bias, x.flatten(1), m.fc.weight.t()),
            Linear(inputs=(-1,), out_features=5),
        ),
    ],
)
def test_one_operation_is_one_layer_however_it_is_written(
    says: Callable[[Any, Tensor], Any], layer: Any
) -> None:
    assert read(says) == (layer,)


@pytest.mark.parametrize(
    ("says", "layer"),
    [
        (lambda y, x: y + x, Add(inputs=(0, -1))),
        (lambda y, x: torch.add(x, y, alpha=2), Add(inputs=(-1, 0))),
        (lambda y, x: y.add_(x), Add(inputs=(0, -1))),
        (lambda y, x: y * x, Multiply(inputs=(0, -1))),
        (lambda y, x: torch.cat([x, y], dim=-3), Concat(inputs=(-1, 0))),
        (lambda y, x: torch.cat([x.flatten(1), y.flatten(1)], 1), Concat(inputs=(-1, 0))),
    ],
)
def test_maps_are_joined(says: Callable[[Tensor, Tensor], Tensor], layer: Any) -> None:
    assert read(lambda m, x: says(m.conv(x), x)) == (CONV, layer)


@pytest.mark.parametrize(
    "says",
    [
        lambda y, s: y * s,
        lambda y, s: s.expand_as(y) * y,
        lambda y, s: y * s.view(1, 4).view(y.size(0), y.size(1), 1, 1),
    ],
)
def test_a_scale_of_1x1_is_broadcast(says: Callable[[Tensor, Tensor], Tensor]) -> None:
    (*_, scale, product) = read(lambda m, x: says(m.conv(x), x.mean([2, 3], keepdim=True)))
    assert scale == GLOBAL
    assert sorted(product.inputs) == [0, 1]
    assert isinstance(product, Multiply)


def test_what_is_done_in_place_is_seen_through_every_name() -> None:
    def says(m: Any, x: Tensor) -> Tensor:
        y = m.conv(x)
        same = y
        y += x
        return torch.cat([same, x], 1)

    assert read(says) == (CONV, Add(inputs=(0, -1)), Concat(inputs=(1, -1)))


@pytest.mark.parametrize(
    ("says", "message"),
    [
        (lambda m, x: nn.Conv2d(4, 4, 3, dilation=2)(x), r"nodes\['conv2d'\].conv2d.dilation: got \[2, 2\]"),
        (lambda m, x: nn.Conv2d(4, 4, (3, 1))(x), r"nodes\['conv2d'\].conv2d.kernel_size: got \[3, 1\]"),
        (
            lambda m, x: nn.Conv2d(4, 4, 3, padding=(0, 1))(x),
            r"nodes\['conv2d'\].conv2d.padding: got \[0, 1\]",
        ),
        (
            lambda m, x: nn.ConvTranspose2d(4, 4, 3)(x),
            r"nodes\['conv_transpose2d'\].conv_transpose2d: got .*transposed convolutions are not supported",
        ),
        (lambda m, x: F.layer_norm(x, (8, 8)), r"nodes\['layer_norm'\].layer_norm: .*constant statistics"),
        (lambda m, x: F.rms_norm(x, (8,)), r"nodes\['rms_norm'\].rms_norm: .*constant statistics"),
        (lambda m, x: F.local_response_norm(x, 2), r"nodes\['pad'\].pad.pad: got .*local response norm"),
        (lambda m, x: torch.stack([x, m.conv(x)]), r"nodes\['stack'\].stack: got 'stack', .*torch.cat"),
        (lambda m, x: torch.einsum("bchw,dc->bdhw", x, m.fc.weight[:, :4]), r"einsum: got .*1x1 convolution"),
        (
            lambda m, x: torch.cond(m.map.sum() > 0, m.conv, torch.relu, (x,)),
            r"nodes\['cond'\].cond: got 'cond', .*may not depend on the image",
        ),
        (lambda m, x: nn.Conv1d(4, 4, 3)(x.flatten(2)), r"conv1d: got 'conv1d', .*only 2-d convolutions"),
        (lambda m, x: nn.Conv3d(1, 4, 3)(x[:, None]), r"conv3d: got 'conv3d', .*only 2-d convolutions"),
        (lambda m, x: torch.bmm(x.flatten(2), x.view(1, 64, 4)), r"bmm: .*constant weights"),
        (lambda m, x: F.interpolate(x, scale_factor=2), r"upsample_nearest2d: .*maps are not enlarged"),
        (
            lambda m, x: torch.cat(x.chunk(2, 1)[::-1], 1),
            r"nodes\['split'\].split: .*a convolution of its own",
        ),
        (
            lambda m, x: F.adaptive_avg_pool2d(x, 5),
            r"output_size: got \[5, 5\], wanted sizes that one square",
        ),
        (lambda m, x: F.max_pool2d(x, 3, 2, ceil_mode=True), r"max_pool2d.ceil_mode: got True"),
        (lambda m, x: F.pad(x, (1, 1, 1, 1), mode="reflect"), r"pad.mode: got 'reflect, None'"),
        (
            lambda m, x: m.conv(F.pad(x, (1, 1, 1, 1)).sigmoid()),
            r"nodes\['sigmoid'\].sigmoid: got 'a padded map'",
        ),
        (
            lambda m, x: x + m.map,
            r"nodes\['add'\].add.constant: got \[4, 8, 8\], wanted one value, or one for",
        ),
        (
            lambda m, x: F.conv2d(x, m.conv.weight, x.mean([0, 2, 3])),
            r"nodes\['mean'\].mean.axes: got \[0, 2, 3\]",
        ),
        (
            lambda m, x: F.linear(x.flatten(1), m.fc.weight, m.fc(x.flatten(1)).flatten()),
            r"nodes\['linear_1'\].linear: got 'several maps', wanted one map, and constants",
        ),
        (lambda m, x: x @ x, r"nodes\['matmul'\].matmul.weight"),
        (
            lambda m, x: x.permute(0, 2, 3, 1).flatten(1),
            r"nodes\['permute'\].permute.perm: got \[0, 2, 3, 1\]",
        ),
        (lambda m, x: m.conv(x).sum(), r"nodes\['sum_1'\].sum: got 'sum'.*the mean over rows and"),
        (lambda m, x: m.fc(x), r"module: torch.export cannot trace it for one tensor of 1 x 4 x 8 x 8: "),
        (lambda m, x: x if x.sum() > 0 else m.conv(x), r"module: torch.export cannot trace it"),
        (lambda m, x: x, r"outputs: no layer leads to them"),
    ],
)
def test_what_cannot_be_mapped_is_named_with_its_module_and_operation(
    says: Callable[[Any, Tensor], Any], message: str
) -> None:
    with pytest.raises(InvalidNetwork, match=message):
        read(says)


def test_the_path_of_a_submodule_stands_in_the_error() -> None:
    module = nn.Sequential(nn.Conv2d(4, 4, 3), nn.Sequential(nn.ReLU(), nn.GroupNorm(2, 4)))
    with pytest.raises(InvalidNetwork, match=r"nodes\['1.1.group_norm'\].group_norm: got 'group_norm'"):
        from_torch(module, IMAGE)


def test_a_module_is_left_as_it_was() -> None:
    module = nn.Sequential(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4).eval(), nn.Dropout())
    before = {name: value.clone() for name, value in module.state_dict().items()}
    from_torch(module, IMAGE)
    assert [part.training for part in module.modules()] == [True, True, False, True]
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


def test_bits_are_every_layers() -> None:
    bits = Bits(input_bits=8, weight_bits=4, output_bits=6)
    network = from_torch(nn.Sequential(nn.Conv2d(4, 2, 1), nn.Conv2d(2, 2, 1)), IMAGE, bits=bits)
    assert [layer.bits for layer in network.layers] == [bits, bits]


def test_a_network_of_vectors_reads_a_vector() -> None:
    vector = Shape(channels=7, height=1, width=1)
    layers = (Linear(inputs=(-1,), out_features=3),)
    assert from_torch(nn.Sequential(nn.Linear(7, 3), nn.BatchNorm1d(3), nn.ReLU()), vector).layers == layers
    assert from_torch(nn.Sequential(nn.Flatten(), nn.Linear(7, 3)), vector).layers == layers
    conv = Conv2d(inputs=(-1,), out_channels=3, kernel_size=1)
    assert from_torch(nn.Conv2d(7, 3, 1), vector).layers == (conv,)


def test_modules_of_half_precision_and_without_memory_are_read_too() -> None:
    for module in (
        nn.Conv2d(4, 4, 3, padding=1, dtype=torch.bfloat16),
        nn.Conv2d(4, 4, 3, padding=1, device="meta"),
    ):
        assert from_torch(module, IMAGE).layers == (CONV,)


@pytest.mark.parametrize("module", ["resnet18.pt", torch.jit.ScriptModule(), None])
def test_only_modules_in_python_are_read(module: Any) -> None:
    with pytest.raises(InvalidNetwork, match=r"module: got .*, wanted a torch.nn.Module"):
        from_torch(module, IMAGE)


def test_an_image_without_a_size_is_refused_before_anything_is_traced() -> None:
    with pytest.raises(InvalidNetwork, match=r"input_shape.height: got 0"):
        from_torch(nn.Conv2d(4, 4, 1), Shape(channels=4, height=0, width=8))


@given(st.integers(1, 40), st.data())
def test_the_fixed_window_averages_what_torchs_adaptive_pooling_averages(
    side: int, data: st.DataObject
) -> None:
    out = data.draw(st.integers(1, side))
    x = torch.arange(side**2, dtype=torch.float64).sin().reshape(1, 1, side, side)
    wanted = F.adaptive_avg_pool2d(x, out)
    window = fixed_window((side, side), (out, out))
    if window:
        torch.testing.assert_close(F.avg_pool2d(x, *window), wanted)
    else:  # then no window does
        assert not any(
            (y := F.avg_pool2d(x, kernel, stride)).shape == wanted.shape and torch.allclose(y, wanted)
            for kernel in range(1, side + 1)
            for stride in range(1, side + 1)
            if (side - kernel) // stride + 1 == out
        )
