"""Candidates of the search, and the network that each one is.

The blocks follow Amin, Mohammadi, Zand, "Multi-Objective Neural Architecture Search for In-Memory
Computing" (arXiv 2406.06746), as far as it states them; kernel sizes, the head and the projection
follow the same authors' later public description. Convolutions are 3x3 with padding 1, stride 1:

- ``VGG(k)``: two convolutions of k kernels, then a 2x2 max pool of stride 2.
- ``MVGG(k)``: the same without the pool.
- ``RES(k)``: two convolutions of k kernels plus a 1x1 projection of the block's input, added.

A VGG's pool is left out where the map is narrower than 4, so that no block makes a map smaller than 2.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from services.common.errors import InvalidCandidate, one_of, violation
from services.common.layers import (
    MAX_SIZE,
    NETWORK_INPUT,
    Add,
    Bits,
    Conv2d,
    Layer,
    LayerList,
    Linear,
    Pool2d,
    PoolMode,
    Shape,
)
from services.common.limited import at_most

MAX_KERNELS = 4096
MAX_BLOCKS = 64
MAX_HIDDEN = 64
"""Most hidden linears of a head."""

MIN_POOLED_SIDE = 4
"""A map narrower than this is not pooled by a VGG block."""


class BlockType(StrEnum):
    """Building blocks of the paper."""

    VGG = "VGG"
    MVGG = "MVGG"
    RES = "RES"


class Projection(StrEnum):
    """When a RES block's skip passes through a 1x1 convolution."""

    ALWAYS = "always"
    WHEN_CHANNELS_DIFFER = "when_channels_differ"


@dataclass(frozen=True, slots=True, order=True)
class Block:
    """One building block.

    Parameters
    ----------
    type : BlockType
    kernels : int
        Output channels of each of its 3x3 convolutions.
    """

    type: BlockType
    kernels: int

    def __str__(self) -> str:
        return f"{self.type}{self.kernels}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The classifier behind the blocks: pool to 2x2, hidden linears with dropout, one linear to the classes.

    Parameters
    ----------
    hidden_features : tuple of int
        Features of each hidden linear, each followed by ReLU and dropout.
    dropout_frac : float
        Share of a hidden linear's outputs dropped in training, 0 <= dropout_frac < 1.
    """

    hidden_features: tuple[int, ...] = at_most(MAX_HIDDEN, (200, 50))
    dropout_frac: float = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One configuration: blocks in order, and how head and skips are made.

    Raises
    ------
    InvalidCandidate
        No block or too many, or a value out of its range.
    """

    blocks: tuple[Block, ...] = at_most(MAX_BLOCKS)
    head: Head = Head()
    projection: Projection = Projection.ALWAYS

    def __post_init__(self) -> None:
        if not 1 <= len(self.blocks) <= MAX_BLOCKS:
            raise InvalidCandidate.of(violation("blocks", f"{len(self.blocks)} blocks", f"1 to {MAX_BLOCKS}"))
        hidden = len(self.head.hidden_features)
        if hidden > MAX_HIDDEN:
            wanted = f"at most {MAX_HIDDEN}"
            raise InvalidCandidate.of(violation("head.hidden_features", f"{hidden} layers", wanted))
        wrong = [
            violation(f"blocks[{i}].kernels", b.kernels, f"an integer from 1 to {MAX_KERNELS}")
            for i, b in enumerate(self.blocks)
            if type(b.kernels) is not int or not 1 <= b.kernels <= MAX_KERNELS
        ]
        wrong += [
            violation(f"head.hidden_features[{i}]", n, "an integer from 1 to 65536")
            for i, n in enumerate(self.head.hidden_features)
            if type(n) is not int or not 1 <= n <= 65536
        ]
        if not 0 <= self.head.dropout_frac < 1:
            wrong.append(violation("head.dropout_frac", self.head.dropout_frac, "0 <= value < 1"))
        if wrong:
            raise InvalidCandidate.of(*wrong)

    def __str__(self) -> str:
        """Compact form of the blocks, such as ``VGG64-MVGG128-RES128``."""
        return "-".join(map(str, self.blocks))


_BLOCK = re.compile(r"([A-Za-z]+)([0-9]{1,6})")


def parse_blocks(text: str) -> tuple[Block, ...]:
    """Read the compact form, ``VGG64-MVGG128-RES128``, in any letter case.

    Raises
    ------
    InvalidCandidate
        Naming the block that cannot be read.
    """
    blocks = []
    for i, part in enumerate(text.strip().split("-")):
        match = _BLOCK.fullmatch(part)
        name = match[1].upper() if match else part
        if match is None or name not in BlockType.__members__:
            wanted = f"a block type and its kernel count such as VGG64; types: {one_of(BlockType, name)}"
            raise InvalidCandidate.of(violation(f"blocks[{i}]", part, wanted))
        blocks.append(Block(BlockType(name), int(match[2])))
    return tuple(blocks)


def parse_candidate(text: str, head: Head = Head(), projection: Projection = Projection.ALWAYS) -> Candidate:
    """Read a candidate's compact form; `head` and `projection` are not part of it."""
    return Candidate(blocks=parse_blocks(text), head=head, projection=projection)


def candidate_layers(
    candidate: Candidate, input_shape: Shape, classes: int, bits: Bits = Bits()
) -> LayerList:
    """Make the network that a candidate is, for images of `input_shape` and `classes` classes.

    The head's pool to 2x2 is an explicit average pool with kernel ceil(side/2) and stride side//2,
    which equals torch's adaptive pool for a side of 2 or more; a side of 2 has no pool layer.

    Raises
    ------
    InvalidCandidate
        Images that are not square or narrower than 2, or fewer than two classes, or too many.
    """
    if input_shape.height != input_shape.width or input_shape.width < 2:
        fix = "resize the images"
        raise InvalidCandidate.of(
            violation("input_shape", str(input_shape), "square images at least 2 wide", fix)
        )
    if not 2 <= classes <= MAX_SIZE:
        raise InvalidCandidate.of(violation("classes", classes, f"2 to {MAX_SIZE}"))
    layers: list[Layer] = []

    def conv(source: int, kernels: int, size: int) -> int:
        layers.append(
            Conv2d(inputs=(source,), out_channels=kernels, kernel_size=size, padding=size // 2, bits=bits)
        )
        return len(layers) - 1

    source, channels, side = NETWORK_INPUT, input_shape.channels, input_shape.width
    for block in candidate.blocks:
        first = source
        source = conv(conv(first, block.kernels, 3), block.kernels, 3)
        if block.type is BlockType.RES:
            projected = needs_projection(candidate.projection, channels, block.kernels)
            # The order of MNSIM 2.0's own residual blocks: (projection, second) or (second, identity).
            pair = (conv(first, block.kernels, 1), source) if projected else (source, first)
            layers.append(Add(inputs=pair, bits=bits))
        elif block.type is BlockType.VGG and side >= MIN_POOLED_SIDE:
            layers.append(Pool2d(inputs=(source,), kernel_size=2, stride=2, bits=bits))
            side //= 2
        source, channels = len(layers) - 1, block.kernels
    if side > 2:
        kernel, stride = head_pool(side)
        layers.append(
            Pool2d(inputs=(source,), kernel_size=kernel, stride=stride, mode=PoolMode.AVERAGE, bits=bits)
        )
    for features in (*candidate.head.hidden_features, classes):
        layers.append(Linear(inputs=(len(layers) - 1,), out_features=features, bits=bits))
    return LayerList(input_shape=input_shape, layers=tuple(layers))


def needs_projection(projection: Projection, in_channels: int, kernels: int) -> bool:
    """Whether a RES block's skip is a 1x1 convolution rather than the identity."""
    return projection is Projection.ALWAYS or in_channels != kernels


def head_pool(side: int) -> tuple[int, int]:
    """Kernel and stride of the head's average pool from `side` x `side` to 2x2."""
    return -(-side // 2), side // 2
