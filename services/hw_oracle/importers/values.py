"""Tensors of a traced graph, and the errors that name its nodes.

A node is named in paths such as ``nodes['features.0'].Conv.dilations``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from services.common.errors import ImcnasError, InvalidNetwork, violation

Dims = tuple[int, ...]

SAME = None
"""Padding that keeps the size, divided by the stride; to be derived."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """A tensor that follows from the network's input.

    Unless it is padded or expanded, its elements in row-major order are those of the layer's map in the
    order channel, row, column.

    Parameters
    ----------
    source : int
        The layer whose output it is; -1 for the network's input.
    dims : tuple of int
        Dimensions, among these the batch of 1.
    padding : int
        Zeros on all four sides of the map, which the convolution or pooling behind takes up.
    ended : str
        Path of the softmax that it went through, behind which no layer may come.
    """

    source: int
    dims: Dims
    padding: int = 0
    ended: str = ""


@dataclass(frozen=True, slots=True)
class Constant:
    """A tensor that does not follow from the input.

    Parameters
    ----------
    dims : tuple of int or None
        None where they are not known.
    value : array or None
        None where it is large, stored elsewhere or not known.
    """

    dims: Dims | None
    value: Any = None


def node_path(name: object, op: str) -> str:
    """Name a node, by its name or else its number, and its operation."""
    shown = repr(name[:200] if isinstance(name, str) else name)
    return f"nodes[{shown}].{op[:100]}"


def refused(path: str, got: object, wanted: str, fix: str = "") -> ImcnasError:
    """Make the error of one wrong field; of a long list it shows the first few."""
    got = [*got[:8], "..."] if isinstance(got, (list, tuple)) and len(got) > 8 else got
    return InvalidNetwork.of(violation(path, got, wanted, fix))


def unsupported(path: str, op: str, hints: dict[str, str]) -> ImcnasError:
    """Make the error of an operation that no layer stands for; `hints` by operation say what to do."""
    wanted = "a convolution, linear, pooling, sum, product, concatenation, or what costs nothing"
    return refused(path, op[:100], wanted, hints.get(op, "docs/networks.md lists the operations"))


def core(dims: Dims) -> Dims:
    """Dimensions without the leading ones, which broadcasting adds."""
    first = next((axis for axis, size in enumerate(dims) if size != 1), len(dims))
    return dims[first:]


def per_channel(dims: Dims, constant: Dims | None) -> bool:
    """Whether a constant has one value, or one for each channel of a map or feature of a vector."""
    if constant is None:
        return False
    own = core(constant)
    if not own:
        return True
    channel = 3 if len(dims) == 4 else 1  # counted from the last axis, as broadcasting does
    return len(own) == channel and prod(own) == own[0] == dims[-channel]


def square(path: str, name: str, values: Sequence[int]) -> int:
    """Give the one value that a size has in all directions."""
    if len(set(values)) != 1:
        raise refused(f"{path}.{name}", list(values), "one value for all directions")
    return values[0]


def undilated(path: str, dilation: Sequence[int]) -> None:
    """Refuse a window with gaps."""
    if set(dilation) != {1}:
        raise refused(f"{path}.dilation", list(dilation), "1: dilated windows are not supported")


def same_padding(path: str, sides: Dims, kernel_size: int, stride: int) -> int:
    """Give the padding that keeps a map's sides, divided by the stride and rounded up."""
    if stride < 1:
        raise refused(f"{path}.stride", stride, "1 or more")
    totals = {max((-(-side // stride) - 1) * stride + kernel_size - side, 0) for side in sides}
    if len(totals) != 1 or min(totals) % 2:
        got = f"SAME of a window of {kernel_size} and a stride of {stride} on {sides[0]} x {sides[1]}"
        raise refused(f"{path}.padding", got, "the same padding on all four sides")
    return totals.pop() // 2


def fixed_window(sides: tuple[int, int], out: Dims) -> tuple[int, int] | None:
    """Kernel size and stride of the square window that does what torch's adaptive pooling does, if any does.

    Its window i goes from floor(i side / out) to ceil((i + 1) side / out). These are as wide as one another,
    and as far apart, exactly where the side leaves 0 or 1 when divided by `out`.
    """
    if len(out) != 2 or any(not 1 <= o <= side or side % o > 1 for side, o in zip(sides, out, strict=True)):
        return None
    kernels = {-(-side // o) for side, o in zip(sides, out, strict=True)}
    strides = {side // o for side, o in zip(sides, out, strict=True) if o > 1} or kernels
    return (min(kernels), min(strides)) if len(kernels) == len(strides) == 1 else None
