"""A trained module as the steps that a chip computes: products on crossbars, the rest digital.

The steps are read off the module's own computation (torch.fx), so they are what was trained. Normalisation is
folded into the weights and the bias of the convolution before it, ReLU into the step before it.
"""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from services.common.errors import InvalidRequest, violation

INPUT = -1
"""Index by which a step reads the network's input."""

KNOWN = "Conv2d (square, one group), BatchNorm2d behind it, Linear, ReLU behind a product or sum, MaxPool2d, "
KNOWN += "AvgPool2d, Flatten and +"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Product:
    """A convolution or, with a kernel of 1 on maps of one point, a linear layer.

    Parameters
    ----------
    inputs : tuple of int
    weight : Tensor of float64, out x in x kernel x kernel
    bias : Tensor of float64, out
    parts : tuple of str
        Names of the submodules that it was read from: the layer, and its normalisation, if any.
    stride, padding : int
    relu : bool
    """

    inputs: tuple[int]
    weight: Tensor
    bias: Tensor
    parts: tuple[str, ...]
    stride: int = 1
    padding: int = 0
    relu: bool = False

    def __call__(self, x: Tensor) -> Tensor:
        """Compute in the precision of `x`."""
        y = convolve(x, self.weight.to(x), self.stride, self.padding, self.bias.to(x))
        return y.relu_() if self.relu else y


@dataclass(frozen=True, slots=True, kw_only=True)
class Sum:
    """Sum of two maps."""

    inputs: tuple[int, int]
    relu: bool = False

    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        """Compute."""
        return (a + b).relu_() if self.relu else a + b


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Maximum or mean over a square window; without padding."""

    inputs: tuple[int]
    kernel: int
    stride: int
    average: bool

    def __call__(self, x: Tensor) -> Tensor:
        """Compute."""
        pool = functional.avg_pool2d if self.average else functional.max_pool2d
        return pool(x, self.kernel, self.stride)


@dataclass(frozen=True, slots=True, kw_only=True)
class Flatten:
    """Map of many points to as many channels of one point."""

    inputs: tuple[int]

    def __call__(self, x: Tensor) -> Tensor:
        """Compute."""
        return x.reshape(len(x), -1, 1, 1)


Step = Product | Sum | Pool | Flatten


class Reads(Protocol):
    """Whatever reads the values of earlier steps."""

    @property
    def inputs(self) -> tuple[int, ...]:
        """Indices of the steps, or `INPUT`."""


AnyStep = TypeVar("AnyStep", bound=Reads)


def convolve(x: Tensor, weight: Tensor, stride: int, padding: int, bias: Tensor | None = None) -> Tensor:
    """Convolve; a linear layer, on maps of one point, as the product of matrices that it is."""
    if x.shape[2:] == weight.shape[2:] == (1, 1) and not padding:
        return functional.linear(x.flatten(1), weight.flatten(1), bias)[:, :, None, None]
    return functional.conv2d(x, weight, bias, stride, padding)


def read_steps(module: nn.Module) -> tuple[Step, ...]:
    """Read the steps of a module; it is left as it is, and read as it evaluates.

    Raises
    ------
    InvalidRequest
        Naming the first part that has no step.
    """
    training = module.training
    try:
        graph = fx.symbolic_trace(module.eval())
    finally:
        module.train(training)
    readers = Counter(source for node in graph.graph.nodes for source in node.all_input_nodes)
    steps: list[Step] = []
    index: dict[fx.Node, int] = {}
    for node in graph.graph.nodes:
        if node.op == "output":
            break
        if node.op == "placeholder":
            index[node] = INPUT
            continue
        sources = [index[source] for source in node.all_input_nodes]
        part = graph.get_submodule(str(node.target)) if node.op == "call_module" else node.target
        # Folding changes the step before, which nobody else may read.
        before = steps[-1] if steps and sources[:1] == [len(steps) - 1] else None
        alone = all(readers[source] == 1 for source in node.all_input_nodes)
        name = str(node.target)
        if (folded := _folded(part, before, name) if alone else None) is not None:
            steps[-1] = folded
        elif (step := _step(part, sources, name)) is not None:
            steps.append(step)
        else:
            raise InvalidRequest.of(violation(f"module.{node.name}", part, KNOWN))
        index[node] = len(steps) - 1
    return tuple(steps)


def _folded(part: Any, before: Step | None, name: str) -> Step | None:
    match part, before:
        case nn.BatchNorm2d(affine=True, track_running_stats=True), Product(relu=False, parts=(layer,)):
            scale = _doubles(part.weight) / torch.sqrt(_doubles(part.running_var) + part.eps)
            bias = _doubles(part.bias) + (before.bias - _doubles(part.running_mean)) * scale
            weight = before.weight * scale[:, None, None, None]
            return replace(before, weight=weight, bias=bias, parts=(layer, name))
        case nn.ReLU(), Product() | Sum():
            return replace(before, relu=True)
    return None


def _step(part: Any, sources: list[int], name: str) -> Step | None:
    match part, sources:
        case nn.Conv2d(groups=1, dilation=(1, 1), padding_mode="zeros"), [source]:
            side, stride, padding = (_side(size) for size in (part.kernel_size, part.stride, part.padding))
            if side is not None and stride is not None and padding is not None:
                weight = _doubles(part.weight)
                return Product(
                    inputs=(source,),
                    weight=weight,
                    bias=_bias(part),
                    parts=(name,),
                    stride=stride,
                    padding=padding,
                )
        case nn.Linear(), [source]:
            weight = _doubles(part.weight)[:, :, None, None]
            return Product(inputs=(source,), weight=weight, bias=_bias(part), parts=(name,))
        case (
            (
                nn.MaxPool2d(padding=0, dilation=1, ceil_mode=False)
                | nn.AvgPool2d(padding=0, ceil_mode=False, divisor_override=None)
            ),
            [source],
        ):
            window, step = _side(part.kernel_size), _side(part.stride)
            if window and step:
                average = isinstance(part, nn.AvgPool2d)
                return Pool(inputs=(source,), kernel=window, stride=step, average=average)
        case nn.Flatten(start_dim=1, end_dim=-1), [source]:
            return Flatten(inputs=(source,))
        case operator.add, [a, b]:
            return Sum(inputs=(a, b))
    return None


def _side(value: int | str | tuple[int, ...]) -> int | None:
    """Give the one number of a size that is the same in both directions; a word is none."""
    if isinstance(value, tuple):
        return value[0] if len(set(value)) == 1 else None
    return value if isinstance(value, int) else None


def _doubles(values: Any) -> Tensor:
    kept: Tensor = values
    return kept.detach().double().cpu()


def _bias(part: nn.Conv2d | nn.Linear) -> Tensor:
    if part.bias is None:
        return torch.zeros(len(part.weight), dtype=torch.float64)
    return _doubles(part.bias)


def run(
    steps: Sequence[AnyStep], x: Tensor, compute: Callable[[int, AnyStep, tuple[Tensor, ...]], Tensor]
) -> Tensor:
    """Compute the last step's value, each step from those of its inputs.

    Parameters
    ----------
    steps : sequence
        Each with `inputs`, indices of earlier steps or `INPUT`.
    x : Tensor
        What the network reads.
    compute : callable
        Given a step's index, the step and the values of its inputs; gives its own value.
    """
    last_reader = {source: i for i, step in enumerate(steps) for source in step.inputs}
    values = {INPUT: x}
    for i, step in enumerate(steps):
        values[i] = compute(i, step, tuple(values[source] for source in step.inputs))
        for source in {s for s in step.inputs if last_reader[s] == i}:
            del values[source]
    return values[len(steps) - 1]
