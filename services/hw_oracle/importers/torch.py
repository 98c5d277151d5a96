"""PyTorch module -> LayerList, by torch.export.

torch.export sees what the module does for one image of a given shape: Python's control flow and arithmetic
on shapes are gone, nothing is done in place any more, and every operation is one of ATen's, whether it was
written as a module, a function, a method or an operator.
"""

from __future__ import annotations

import operator
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from typing import TYPE_CHECKING, Any

from services.common.errors import InvalidNetwork, Violation
from services.common.layers import Bits, LayerList, PoolMode, Shape
from services.hw_oracle.importers.assembler import Assembler
from services.hw_oracle.importers.values import SAME, Constant, Dims, Value, node_path, refused, unsupported

if TYPE_CHECKING:
    import torch

VANISH = frozenset((
    "_native_batch_norm_legit_no_training", "_to_copy", "abs", "alias", "alpha_dropout", "batch_norm",
    "celu", "clamp", "clamp_max", "clamp_min", "clone", "contiguous", "detach", "dropout", "elu", "erf",
    "exp", "feature_dropout", "gelu", "hardshrink", "hardsigmoid", "hardswish", "hardtanh", "leaky_relu",
    "lift_fresh_copy", "log", "log_sigmoid", "mish", "neg", "prelu", "reciprocal", "relu", "relu6", "rrelu",
    "rsqrt", "selu", "sigmoid", "sign", "silu", "softplus", "softshrink", "softsign", "sqrt", "square",
    "tanh", "tanhshrink", "threshold", "to",
))  # fmt: skip
"""Functions of each value of one map; what else they read is constant."""

UNCHANGED = frozenset({"_to_copy", "alias", "clone", "contiguous", "detach", "dropout", "to"})
"""Those of them that leave zeros zero, and may stand between a padding and its window."""

ELEMENTWISE = {"add": "add", "mul": "multiply"} | dict.fromkeys(
    ("div", "maximum", "minimum", "pow", "rsub", "sub"), ""
)

END = frozenset({"_log_softmax", "_softmax", "log_softmax", "softmax"})

RESHAPES = frozenset({"_unsafe_view", "flatten", "reshape", "squeeze", "unflatten", "unsqueeze", "view"})

CHECKS = frozenset({"_assert_scalar", "_assert_tensor_metadata"})
"""Operations without a result."""

_CHANNELS = "channels are not picked or split: give each branch a convolution of its own"
_STATISTICS = "only normalisation with constant statistics folds into a convolution"
_TWO_D = "only 2-d convolutions and poolings with square windows are supported"
_DYNAMIC = "crossbars hold constant weights: recurrence and attention are not supported"
HINTS = {
    "conv_transpose2d": "transposed convolutions are not supported",
    "cond": "what is run may not depend on the image",
    "einsum": "write a product with constants as linear or as a 1x1 convolution, of two maps as a * b",
    "stack": "join maps by torch.cat along the channels, or add them",
    **dict.fromkeys(("avg_pool1d", "avg_pool3d", "conv1d", "conv3d", "max_pool1d", "max_pool3d"), _TWO_D),
    **dict.fromkeys(("bmm", "gru", "lstm", "rnn_relu", "rnn_tanh", "scaled_dot_product_attention"), _DYNAMIC),
    **dict.fromkeys(("index", "index_select", "select", "slice", "split", "split_with_sizes"), _CHANNELS),
    **dict.fromkeys(
        ("group_norm", "instance_norm", "layer_norm", "native_layer_norm", "rms_norm"), _STATISTICS
    ),
    "sum": "sums within a map are not supported; the mean over rows and columns is a pooling",
    **dict.fromkeys(("upsample_bilinear2d", "upsample_nearest2d"), "maps are not enlarged"),
}


def from_torch(module: torch.nn.Module, input_shape: Shape, *, bits: Bits = Bits()) -> LayerList:
    """Read a module in evaluation mode; it is left as it was, and its weights are not read.

    Parameters
    ----------
    module : torch.nn.Module
        It maps one tensor of 1 x channels x height x width, on any device, meta among these. For an input
        shape of 1 x 1 it may also map 1 x channels.
    input_shape : Shape
        Shape of one image.
    bits : Bits
        Bit widths of every layer.

    Raises
    ------
    InvalidNetwork
        torch.export cannot trace the module, or it holds an operation that no layer stands for, by its name:
        the submodule's, then the operation's own.
    """
    import torch

    if not isinstance(module, torch.nn.Module) or isinstance(module, torch.jit.ScriptModule):
        raise refused("module", type(module).__name__, "a torch.nn.Module in Python, not a script")
    image = (1, input_shape.channels, input_shape.height, input_shape.width)
    make = Assembler(input_shape, image, bits)  # it checks the shape before anything is traced
    if input_shape.points > 1:
        return _read(_export(module, image), make)
    try:
        return _read(_export(module, image[:2]), Assembler(input_shape, image[:2], bits))
    except InvalidNetwork as error:
        if error.violations[0].field != "module":
            raise
    return _read(_export(module, image), make)


def _export(module: torch.nn.Module, dims: Dims) -> torch.export.ExportedProgram:
    import torch

    with _evaluating(module), torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own, about itself
        try:
            tensors = chain(module.parameters(), module.buffers())
            like = next((t for t in tensors if t.is_floating_point()), torch.empty(0))
            image = torch.empty(dims, dtype=like.dtype, device=like.device)
            # An empty table decomposes nothing: it only undoes what is done in place.
            program: torch.export.ExportedProgram = torch.export.export(module, (image,))
            program = program.run_decompositions({})
        except Exception as error:  # the module's own, and whatever torch makes of it
            told = " ".join(f"{type(error).__name__}: {error}".split())[:300]
            shape = " x ".join(map(str, dims))
            what = f"torch.export cannot trace it for one tensor of {shape}: {told}"
            raise InvalidNetwork.of(Violation("module", what)) from error
    return program


@contextmanager
def _evaluating(module: torch.nn.Module) -> Iterator[None]:
    """Put a module in evaluation mode for a while."""
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training


def _read(program: torch.export.ExportedProgram, make: Assembler) -> LayerList:
    signature = program.graph_signature
    known: dict[torch.fx.Node, Value | Constant] = {}
    for node in program.graph.nodes:
        if node.op == "output":
            break
        if node.name in signature.user_inputs:
            known[node] = make.input
        elif node.op == "call_function" and any(isinstance(known[n], Value) for n in node.all_input_nodes):
            known[node] = _Operation(node, known).read(make)
        else:
            known[node] = Constant(_dims(node))
    made = {node.name: value for node, value in known.items()}
    outputs = [made[name] for name in signature.user_outputs if isinstance(name, str)]
    return make.finish(v for v in outputs if isinstance(v, Value))


def _dims(node: torch.fx.Node) -> Dims | None:
    """Dimensions of a node's result, or of its first."""
    value: Any = node.meta.get("val")
    value = value[0] if isinstance(value, (list, tuple)) and value else value
    sizes = getattr(value, "shape", None)
    # what depends on the data is no number
    return tuple(sizes) if sizes is not None and all(type(size) is int for size in sizes) else None


class _Operation:
    """One operation of the graph, its arguments by their names in ATen."""

    def __init__(self, node: torch.fx.Node, known: dict[torch.fx.Node, Value | Constant]) -> None:
        schema = getattr(node.target, "_schema", None)
        self.name = schema.name.removeprefix("aten::") if schema else getattr(node.target, "__name__", "")
        modules = list(node.meta.get("nn_module_stack", {}).values())
        owner = modules[-1][0] if modules else ""
        self.path = node_path(f"{owner}.{node.name}".removeprefix("."), self.name)
        self._node, self._known = node, known
        self._arguments: dict[str, Any] = {}
        if schema:
            names = [a.name for a in schema.arguments]
            self._arguments = {a.name: a.default_value for a in schema.arguments if a.has_default_value()}
            self._arguments |= dict(zip(names, node.args, strict=False)) | node.kwargs

    def read(self, make: Assembler) -> Value | Constant:
        """Give the result, whose layer, if it is one, is then in `make`."""
        path, name, a = self.path, self.name, self._arguments
        if name in CHECKS:
            return Constant(None)
        if self._node.target is operator.getitem:
            if self._node.args[1] != 0:
                raise refused(path, f"result {self._node.args[1]}", "only the first, the map")
            return self._tensor(self._node.args[0])
        if name in ELEMENTWISE:
            return make.elementwise(
                path, ELEMENTWISE[name], [self._tensor(a[n]) for n in ("self", "other", "exponent") if n in a]
            )
        if name == "cat":
            return make.concat(path, [self._value(part) for part in a["tensors"]], a["dim"])
        dims = _dims(self._node) or ()
        if name in HINTS and name != "slice":  # a slice of everything vanishes
            raise unsupported(path, name, HINTS)
        value = self._value(self._node.args[1 if name == "addmm" else 0])
        if sum(isinstance(self._known[n], Value) for n in self._node.all_input_nodes) > 1:
            raise refused(path, "several maps", "one map, and constants")
        if name in VANISH:
            return value if name in UNCHANGED else make.activation(path, value)
        if name in END:
            return make.end(path, value)
        if name in RESHAPES or (name == "slice" and dims == value.dims):
            return make.reshape(path, value, dims)
        match name:
            case "conv2d" | "convolution" if not a.get("transposed"):
                return self._conv(make, value)
            case "linear":
                return make.linear(path, value, *self._matrix(a["weight"])[::-1])
            case "mm" | "addmm" | "matmul":
                return make.linear(path, value, *self._matrix(a["other" if name == "matmul" else "mat2"]))
            case "max_pool2d" | "max_pool2d_with_indices" | "avg_pool2d":
                return make.pool(
                    path,
                    value,
                    _mode(name),
                    kernel=a["kernel_size"],
                    stride=a["stride"] or a["kernel_size"],
                    padding=_sizes(a["padding"]),
                    dilation=_sizes(a.get("dilation", 1)),
                    ceil=a["ceil_mode"],
                )
            case "adaptive_avg_pool2d" | "adaptive_max_pool2d":
                return make.adaptive_pool(path, value, _mode(name), a["output_size"])
            case "mean" | "amax":
                axes = a.get("dim") or range(len(value.dims))
                return make.mean(path, value, _mode(name), axes, a.get("keepdim", False))
            case "pad" | "constant_pad_nd":
                return self._pad(make, value)
            case "permute":
                return make.transpose(path, value, [axis % len(dims) for axis in a["dims"]])
            case "transpose" | "t":
                order = list(range(len(dims)))
                one, other = a.get("dim0", 0), a.get("dim1", -1)
                order[one], order[other] = order[other], order[one]
                return make.transpose(path, value, order)
            case "expand":
                return make.expand(path, value, dims)
        raise unsupported(path, name, HINTS)

    def _conv(self, make: Assembler, value: Value) -> Value:
        a, weight = self._arguments, self._tensor(self._arguments["weight"])
        if isinstance(weight, Value) or weight.dims is None:
            raise refused(f"{self.path}.weight", "computed from the input", "constant weights")
        words: dict[Any, Any] = {"same": SAME, "valid": (0,)}
        return make.conv(
            self.path,
            value,
            weight.dims,
            stride=a["stride"],
            padding=words[a["padding"]] if isinstance(a["padding"], str) else a["padding"],
            dilation=a["dilation"],
            groups=a["groups"],
        )

    def _pad(self, make: Assembler, value: Value) -> Value:
        a = self._arguments
        if a.get("mode", "constant") != "constant" or a["value"] not in (None, 0):
            raise refused(f"{self.path}.mode", f"{a.get('mode')}, {a['value']}", "constant, zero")
        # Two sides an axis, from the last axis on.
        if len(a["pad"]) != 4:
            fix = "channels are not padded, as local response normalisation (LRN) does"
            raise refused(f"{self.path}.pad", a["pad"], "4 sizes: left, right, top, bottom", fix)
        return make.pad(self.path, value, a["pad"])

    def _matrix(self, argument: Any) -> tuple[int, int]:
        found = self._tensor(argument)
        if isinstance(found, Value) or found.dims is None or len(found.dims) != 2:
            raise refused(
                f"{self.path}.weight", found.dims, "a constant matrix, which a vector is multiplied with"
            )
        return found.dims[0], found.dims[1]

    def _tensor(self, argument: Any) -> Value | Constant:
        """Give an argument's tensor; a number is a constant of one value."""
        return self._known[argument] if hasattr(argument, "meta") else Constant(())

    def _value(self, argument: Any) -> Value:
        found = self._tensor(argument)
        if not isinstance(found, Value):
            raise refused(f"{self.path}.input", "a constant", "what follows from the image")
        return found


def _mode(name: str) -> PoolMode:
    return PoolMode.MAX if "max" in name else PoolMode.AVERAGE


def _sizes(value: Any) -> list[int]:
    return [value] if isinstance(value, int) else list(value)
