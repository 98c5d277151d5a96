"""Known networks, read from torch and from ONNX, against what torch, onnx and onnxruntime compute."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper
from torch import nn

from services.common.candidate import Head, Projection, candidate_layers, parse_candidate
from services.common.layers import (
    Add,
    Bits,
    Concat,
    Conv2d,
    LayerList,
    Linear,
    Multiply,
    Pool2d,
    PoolMode,
    Shape,
    macs,
    params,
)
from services.hw_oracle.importers import from_onnx, from_torch
from services.trainer.build import build_module
from tests.hw_oracle.importers.zoo import (
    DenseBlock,
    Inception,
    MobileNetV2,
    ResNet18,
    SqueezeExcite,
    Vgg16,
)

IMAGENET = Shape(channels=3, height=224, width=224)


def dims(shape: Shape) -> tuple[int, ...]:
    return (1, shape.channels, shape.height, shape.width)


def as_shape(size: tuple[int, ...]) -> Shape:
    channels, height, width = (*size[1:], 1, 1)[:3]
    return Shape(channels=channels, height=height, width=width)


def export(module: nn.Module, image: Shape, **options: Any) -> bytes:
    """Export as torch does unless told otherwise, without a word about packages that are not there."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():  # torch on a class of its own
            warnings.filterwarnings("ignore", "`isinstance.treespec, LeafSpec.` is deprecated", FutureWarning)
            program = torch.onnx.export(
                module.eval(), (torch.zeros(dims(image)),), dynamo=True, verbose=False, **options
            )
    finally:
        logger.setLevel(before)
    file = io.BytesIO()
    assert program is not None
    program.save(file)
    return file.getvalue()


LAYERS = ("Conv", "Gemm", "MaxPool", "AveragePool", "GlobalAveragePool", "ReduceMean", "Add", "Concat")


def layer_nodes(model: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    return (node for node in model.graph.node if node.op_type in LAYERS)


def inferred(model: onnx.ModelProto) -> list[Shape]:
    """Shapes by onnx's own inference."""
    graph = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True).graph
    sizes = {
        v.name: tuple(d.dim_value or 1 for d in v.type.tensor_type.shape.dim)
        for v in (*graph.value_info, *graph.output)
    }
    return [as_shape(sizes[node.output[0]]) for node in layer_nodes(model)]


def computed(model: onnx.ModelProto, image: Shape) -> list[Shape]:
    """Shapes of what onnxruntime computes."""
    names = [node.output[0] for node in layer_nodes(model)]
    known = {output.name for output in model.graph.output}
    model.graph.output.extend(
        helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in names if n not in known
    )
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    outputs = session.run(names, {session.get_inputs()[0].name: np.zeros(dims(image), np.float32)})
    return [as_shape(output.shape) for output in outputs]


def called(module: nn.Module, image: Shape) -> list[tuple[type[nn.Module], Shape, int]]:
    """Convolutions, linears and poolings that a module calls, in order: type, output shape, MACs."""
    calls: list[tuple[type[nn.Module], Shape, int]] = []

    def note(part: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        shape = as_shape(tuple(output.shape))
        weights = part.weight.numel() if isinstance(part, (nn.Conv2d, nn.Linear)) else 0
        calls.append((type(part), shape, weights * shape.points))

    kinds = (nn.Conv2d, nn.Linear, nn.MaxPool2d, nn.AvgPool2d)
    hooks = [part.register_forward_hook(note) for part in module.modules() if isinstance(part, kinds)]
    device = next(module.parameters()).device
    with torch.no_grad():
        module.eval()(torch.zeros(dims(image), device=device))
    for hook in hooks:
        hook.remove()
    return calls


KINDS = {nn.Conv2d: Conv2d, nn.Linear: Linear, nn.MaxPool2d: Pool2d, nn.AvgPool2d: Pool2d}


def folded_params(module: nn.Module) -> int:
    """Parameters with each normalisation's scale in the weights, and its shift the one bias of a channel."""
    return (
        sum(p.numel() for p in module.parameters())
        - sum(2 * m.num_features for m in module.modules() if isinstance(m, nn.BatchNorm2d))
        + sum(m.out_channels for m in module.modules() if isinstance(m, nn.Conv2d) and m.bias is None)
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "parameters", "adaptive"),
    [(ResNet18, 11_689_512, 1), (Vgg16, 138_357_544, 0), (MobileNetV2, 3_504_872, 1)],
)
def test_shapes_macs_and_parameters_are_those_that_torch_computes(
    make: type[nn.Module], parameters: int, adaptive: int
) -> None:
    with torch.device("meta"):
        module = make()
    assert sum(p.numel() for p in module.parameters()) == parameters  # published
    network = from_torch(module, IMAGENET)
    calls = called(module, IMAGENET)
    layers = [
        (type(layer), shape)
        for layer, shape in zip(network.layers, network.shapes, strict=True)
        if not isinstance(layer, Add) and getattr(layer, "mode", None) is not PoolMode.AVERAGE
    ]
    assert layers == [(KINDS[kind], shape) for kind, shape, _ in calls]
    averages = [layer for layer in network.layers if getattr(layer, "mode", None) is PoolMode.AVERAGE]
    assert len(averages) == adaptive
    assert macs(network) == sum(count for _, _, count in calls)
    assert params(network) == folded_params(module)


@pytest.mark.slow
@pytest.mark.parametrize("make", [ResNet18, MobileNetV2])
def test_an_exported_network_is_the_module_and_has_the_shapes_of_onnx_and_onnxruntime(
    make: type[nn.Module],
) -> None:
    torch.manual_seed(0)
    module = make(classes=10)
    image = Shape(channels=3, height=64, width=64)
    data = export(module, image)
    network = from_onnx(data)
    model = onnx.load_model_from_string(data)
    assert network == from_torch(module, image)
    assert list(network.shapes) == inferred(model) == computed(model, image)


def test_vgg16_with_all_of_its_weights_elsewhere_has_the_shapes_of_onnx() -> None:
    # 553 MB of weights, of which the file tells the dimensions alone
    nodes, tensors, source, channels = [], [], "image", 3

    def weight(name: str, *size: int) -> str:
        tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=size)
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="nowhere.bin")
        tensors.append(tensor)
        return name

    for number, width in enumerate(
        (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0)
    ):
        out = f"feature{number}"
        if width:
            inputs = [source, weight(f"w{number}", width, channels, 3, 3), weight(f"b{number}", width)]
            nodes.append(helper.make_node("Conv", inputs, [out], pads=[1, 1, 1, 1]))
            nodes.append(helper.make_node("Relu", [out], [f"relu{number}"]))
            source, channels = f"relu{number}", width
        else:
            nodes.append(helper.make_node("MaxPool", [source], [out], kernel_shape=[2, 2], strides=[2, 2]))
            source = out
    nodes.append(helper.make_node("Flatten", [source], ["flat"]))
    source, features = "flat", 512 * 7 * 7
    for number, width in enumerate((4096, 4096, 1000)):
        inputs = [source, weight(f"v{number}", width, features), weight(f"c{number}", width)]
        nodes.append(helper.make_node("Gemm", inputs, [f"linear{number}"], transB=1))
        source, features = f"linear{number}", width
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, 224, 224])
    scores = helper.make_tensor_value_info(source, TensorProto.FLOAT, ["batch", 1000])
    model = helper.make_model(helper.make_graph(nodes, "vgg16", [image], [scores], tensors))
    network = from_onnx(model.SerializeToString())
    assert list(network.shapes) == inferred(model)
    with torch.device("meta"):
        assert network == from_torch(Vgg16(), IMAGENET)


SMALL = Shape(channels=4, height=8, width=8)


def test_squeeze_and_excitation_multiplies_a_map_by_its_1x1_scale() -> None:
    network = from_torch(SqueezeExcite(), SMALL)
    assert [type(layer) for layer in network.layers] == [
        Conv2d, Conv2d, Pool2d, Conv2d, Conv2d, Multiply, Conv2d,
    ]  # fmt: skip
    assert network.layers[5] == Multiply(inputs=(4, 1))
    assert network.layers[1] == Conv2d(
        inputs=(0,), out_channels=12, kernel_size=5, stride=2, padding=2, groups=12
    )
    assert network.input_shapes(5) == (
        Shape(channels=12, height=1, width=1),
        Shape(channels=12, height=4, width=4),
    )


def test_a_dense_block_concatenates_all_that_came_before() -> None:
    network = from_torch(DenseBlock(), Shape(channels=6, height=8, width=8))
    assert network.layers == (
        Conv2d(inputs=(-1,), out_channels=4, kernel_size=3, padding=1),
        Concat(inputs=(-1, 0)),
        Conv2d(inputs=(1,), out_channels=4, kernel_size=3, padding=1),
        Concat(inputs=(-1, 0, 2)),
        Conv2d(inputs=(3,), out_channels=7, kernel_size=1),
        Pool2d(inputs=(4,), kernel_size=2, stride=2, mode=PoolMode.AVERAGE),
        Pool2d(inputs=(5,), kernel_size=4, stride=4, mode=PoolMode.AVERAGE),
        Linear(inputs=(6,), out_features=10),
    )


def test_the_branches_of_an_inception_module_are_concatenated_in_their_order() -> None:
    network = from_torch(Inception(), Shape(channels=6, height=8, width=8))
    assert network.layers[-1] == Concat(inputs=(0, 2, 4, 6))
    assert network.layers[5] == Pool2d(inputs=(-1,), kernel_size=3, stride=1, padding=1)
    assert network.shapes[-1] == Shape(channels=4 + 5 + 3 + 2, height=8, width=8)


@pytest.mark.slow
@pytest.mark.parametrize(("make", "channels"), [(SqueezeExcite, 4), (DenseBlock, 6), (Inception, 6)])
@pytest.mark.parametrize("batch", ["1", "dynamic"])
def test_small_networks_are_read_alike_from_torch_and_from_onnx(
    make: type[nn.Module], channels: int, batch: str
) -> None:
    module, image = make(), Shape(channels=channels, height=8, width=8)
    options = {"dynamic_shapes": {"x": {0: torch.export.Dim.AUTO}}} if batch == "dynamic" else {}
    assert from_onnx(export(module, image, **options)) == from_torch(module, image)


@pytest.mark.filterwarnings("ignore:You are using the legacy TorchScript-based:DeprecationWarning")
@pytest.mark.filterwarnings(
    "ignore:The feature will be removed:DeprecationWarning"
)  # in that exporter, by itself
@pytest.mark.parametrize("make", [SqueezeExcite, MobileNetV2])
def test_what_the_old_exporter_writes_for_any_batch_is_read_alike(make: type[nn.Module]) -> None:
    module, image = make(), Shape(channels=4 if make is SqueezeExcite else 3, height=32, width=32)
    file, options = io.BytesIO(), {"input_names": ["x"], "dynamic_axes": {"x": {0: "batch"}}}
    torch.onnx.export(module.eval(), (torch.zeros(dims(image)),), file, dynamo=False, **options)
    assert from_onnx(file.getvalue()) == from_torch(module, image)


@pytest.mark.parametrize("blocks", ["VGG8-MVGG4-RES8", "RES8-RES8", "MVGG3"])
@pytest.mark.parametrize(("channels", "side"), [(1, 8), (3, 15), (1, 2)])
def test_the_module_of_a_candidate_is_read_as_the_candidates_layers(
    blocks: str, channels: int, side: int
) -> None:
    image, bits = Shape(channels=channels, height=side, width=side), Bits(weight_bits=4)
    for head, projection in (
        (Head(), Projection.ALWAYS),
        (Head(hidden_features=(), dropout_frac=0.0), Projection.WHEN_CHANNELS_DIFFER),
    ):
        candidate = parse_candidate(blocks, head, projection)
        module = build_module(candidate, image, 10)
        assert from_torch(module, image, bits=bits) == candidate_layers(candidate, image, 10, bits)


@pytest.mark.slow
def test_the_onnx_file_of_a_candidate_is_read_as_the_candidates_layers() -> None:
    image = Shape(channels=1, height=8, width=8)
    candidate = parse_candidate("VGG8-MVGG4-RES8")
    network: LayerList = from_onnx(export(build_module(candidate, image, 10), image))
    assert network == candidate_layers(candidate, image, 10)
