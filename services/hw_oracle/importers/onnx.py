"""ONNX file -> LayerList.

Only the graph is read: weights stay unread, external data is never opened, and nothing in the file is run but
shape arithmetic on a few numbers. Sizes are derived here, not taken from the file's own annotations.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from services.common.errors import InvalidNetwork, NotFound, Violation, missing
from services.common.layers import MAX_LAYERS, Bits, LayerList, Shape
from services.hw_oracle.importers.assembler import Assembler
from services.hw_oracle.importers.onnx_constants import tensor
from services.hw_oracle.importers.onnx_nodes import Node
from services.hw_oracle.importers.values import Constant, Dims, Value, node_path, refused

MAX_NODES = 16 * MAX_LAYERS
"""Nodes and tensors of the largest graph that is read; a layer, its activation and reshapes are a few."""

MAX_BYTES = 2**31 - 1
"""Largest file that protobuf reads; larger networks keep their weights in external data."""

OLDEST_OPSET = 7
"""Before it, the same operation names meant something else."""


def from_onnx(
    model: str | Path | bytes, *, input_shape: Shape | None = None, bits: Bits = Bits()
) -> LayerList:
    """Read an ONNX file, by its path or its content.

    Parameters
    ----------
    model : str, Path or bytes
        Opset 7 or newer. Weights may be missing or in external data: only their dimensions are needed.
    input_shape : Shape, optional
        Shape of the image where the file leaves it open; a size that the file states has to agree.
    bits : Bits
        Bit widths of every layer.

    Raises
    ------
    NotFound
        No such file.
    InvalidNetwork
        The file cannot be read, or holds an operation that no layer stands for, by the node's name.
    """
    import onnx

    proto = _parse(model)
    graph = proto.graph
    if not graph.node:
        raise InvalidNetwork.of(missing("graph.node", "at least one node; is this an ONNX file?"))
    for field in ("node", "initializer", "sparse_initializer", "input", "output"):
        if (count := len(getattr(graph, field))) > MAX_NODES:
            raise refused(f"graph.{field}", f"{count} of them", f"at most {MAX_NODES}")
    opset = max((o.version for o in proto.opset_import if o.domain in ("", "ai.onnx")), default=0)
    newest = onnx.defs.onnx_opset_version()
    if not OLDEST_OPSET <= opset <= newest:
        fix = "convert it with onnx.version_converter, or upgrade onnx"
        raise refused("opset_import", opset, f"{OLDEST_OPSET} to {newest}", fix)
    return _Graph(graph, opset, input_shape, bits).read()


def _parse(model: str | Path | bytes) -> Any:
    import onnx

    where = "model" if isinstance(model, bytes) else str(model)
    if not isinstance(model, bytes):
        if not Path(model).is_file():
            raise NotFound.of(Violation(where, "no such file"))
        if (size := Path(model).stat().st_size) > MAX_BYTES:
            fix = "save the weights as external data; they are not read"
            raise refused(where, f"{size} bytes", f"at most {MAX_BYTES}", fix)
    try:
        return onnx.load_model_from_string(model if isinstance(model, bytes) else Path(model).read_bytes())
    except Exception as error:  # of the system, or of protobuf, which no core imports
        raise InvalidNetwork.of(Violation(where, f"cannot be read as ONNX: {str(error)[:200]}")) from None


class _Graph:
    """One graph as it is walked: the tensors that are known by name."""

    def __init__(self, graph: Any, opset: int, input_shape: Shape | None, bits: Bits) -> None:
        self._graph, self._opset = graph, opset
        self._stored = {t.name: t for t in graph.initializer}
        self._known: dict[str, Value | Constant] = {
            t.values.name: Constant(tuple(t.dims)) for t in graph.sparse_initializer
        }
        inputs = [i for i in graph.input if i.name not in self._stored and i.name not in self._known]
        if len(inputs) != 1:
            raise refused("graph.input", [i.name[:50] for i in inputs][:8], "exactly one input, the image")
        shape, dims = _image(inputs[0], input_shape)
        self._make = Assembler(shape, dims, bits)
        self._known[inputs[0].name] = self._make.input

    def read(self) -> LayerList:
        """Walk the nodes, each of which reads only what came before it."""
        import onnx

        for number, node in enumerate(self._graph.node):
            path = node_path(
                node.name or number, f"{node.domain}.{node.op_type}".removeprefix("ai.onnx").strip(".")
            )
            inputs = [self._tensor(path, name) if name else None for name in node.input]
            if not node.output or node.output[0] in self._known or node.output[0] in self._stored:
                wanted = "one output that no other node makes"
                raise refused(f"{path}.output", [o[:50] for o in node.output][:8], wanted)
            try:
                attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
            except ValueError as error:
                raise refused(f"{path}.attribute", str(error)[:200], "attributes with values") from None
            known = Node(path=path, proto=node, inputs=inputs, attributes=attributes, opset=self._opset)
            self._known[node.output[0]] = known.read(self._make)
        outputs = [self._tensor("graph.output", o.name) for o in self._graph.output]
        return self._make.finish(v for v in outputs if isinstance(v, Value))

    def _tensor(self, path: str, name: str) -> Value | Constant:
        if name not in self._known:
            if name not in self._stored:
                wanted = "a tensor that the input, an initializer or an earlier node makes"
                raise refused(f"{path}.input", name[:200], wanted, "sort the nodes; cycles are not supported")
            self._known[name] = tensor(f"initializer[{name[:200]!r}]", self._stored[name])
        return self._known[name]


def _image(value: Any, given: Shape | None) -> tuple[Shape, Dims]:
    """Shape and dimensions of the graph's input, with a batch of 1."""
    path = f"graph.input[{value.name[:200]!r}]"
    if not value.type.HasField("tensor_type") or not value.type.tensor_type.HasField("shape"):
        raise refused(f"{path}.shape", None, "N x channels x height x width, or N x features")
    # Open sizes have a name or nothing; some tools write 0 or -1.
    dims = [d.dim_value if d.dim_value > 0 else None for d in value.type.tensor_type.shape.dim]
    if len(dims) not in (2, 4):
        got = f"{len(dims)} dimensions"
        raise refused(f"{path}.shape", got, "N x channels x height x width, or N x features")
    if dims[0] not in (1, None):
        raise refused(f"{path}.shape[0]", dims[0], "a batch of 1, or one left open", "export one image")
    sizes = [given.channels, given.height, given.width][: len(dims) - 1] if given else dims[1:]
    if None in sizes:
        fix = "export it with a fixed size, or give the image's shape (--image, input_shape)"
        raise refused(f"{path}.shape", ["?" if d is None else d for d in dims], "known sizes", fix)
    if any(stated not in (None, size) for stated, size in zip(dims[1:], sizes, strict=True)):
        raise refused("input_shape", str(given), f"{dims[1:]}, as the file states")
    channels, height, width = (*sizes, 1, 1)[:3]
    return Shape(channels=channels, height=height, width=width), (1, *sizes)
