"""Candidate -> torch module: the same convolutions, pools and linears as its LayerList.

`services.common.candidate` says what a block is; a test traces the module built here and compares it,
layer by layer, with `candidate_layers`. Batch normalisation, ReLU and dropout appear only here.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from services.common.candidate import (
    MIN_POOLED_SIDE,
    Block,
    BlockType,
    Candidate,
    Projection,
    head_pool,
    needs_projection,
)
from services.common.layers import Shape


class Residual(nn.Module):
    """RES block: two convolutions, and a skip that is a 1x1 convolution or the identity; then ReLU."""

    def __init__(self, in_channels: int, kernels: int, projection: Projection) -> None:
        super().__init__()
        self.main = nn.Sequential(
            *_conv(in_channels, kernels, 3), nn.ReLU(inplace=True), *_conv(kernels, kernels, 3)
        )
        projected = needs_projection(projection, in_channels, kernels)
        self.skip = nn.Sequential(*_conv(in_channels, kernels, 1)) if projected else None
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Map N x in_channels x H x W to N x kernels x H x W."""
        main = self.main(x)
        # The order of the LayerList's add: (projection, second) or (second, identity).
        return self.relu(main + x if self.skip is None else self.skip(x) + main)  # type: ignore[no-any-return]


class Dropout(nn.Dropout):
    """Dropout that can draw from a generator of its own, so that training leaves the global one alone."""

    generator: torch.Generator | None = None

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  # torch's name for it
        """Zero a share `p` of the values in training and scale up the others."""
        if not self.training or self.p == 0:
            return input
        keep = torch.empty_like(input).bernoulli_(1 - self.p, generator=self.generator)
        return input * keep.div_(1 - self.p)


def build_module(candidate: Candidate, input_shape: Shape, classes: int) -> nn.Module:
    """Make the module of a candidate; it maps N x channels x side x side to N x classes scores.

    Sizes are those of `candidate_layers`, which checks them; weights are torch's defaults.
    """
    modules: list[nn.Module] = []
    channels, side = input_shape.channels, input_shape.width
    for block in candidate.blocks:
        pooled = block.type is BlockType.VGG and side >= MIN_POOLED_SIDE
        modules.append(_block(block, channels, pooled, candidate.projection))
        channels, side = block.kernels, side // 2 if pooled else side
    if side > 2:
        modules.append(nn.AvgPool2d(*head_pool(side)))
    modules.append(nn.Flatten())
    features = 4 * channels
    for hidden in candidate.head.hidden_features:
        modules += [nn.Linear(features, hidden), nn.ReLU(inplace=True), Dropout(candidate.head.dropout_frac)]
        features = hidden
    modules.append(nn.Linear(features, classes))
    return nn.Sequential(*modules)


def _block(block: Block, in_channels: int, pooled: bool, projection: Projection) -> nn.Module:
    if block.type is BlockType.RES:
        return Residual(in_channels, block.kernels, projection)
    return nn.Sequential(
        *_conv(in_channels, block.kernels, 3),
        nn.ReLU(inplace=True),
        *_conv(block.kernels, block.kernels, 3),
        nn.ReLU(inplace=True),
        *([nn.MaxPool2d(2, 2)] if pooled else []),
    )


def _conv(in_channels: int, kernels: int, size: int) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
    """Convolution without bias (normalisation has one) that keeps the map's size, and its normalisation."""
    return (
        nn.Conv2d(in_channels, kernels, size, padding=size // 2, bias=False),
        nn.BatchNorm2d(kernels),
    )
