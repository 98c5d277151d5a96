"""`imcnas space`: what there is to search."""

from __future__ import annotations

from random import Random
from typing import Annotated

import typer

from services.cli.arguments import parse_image
from services.common.candidate import candidate_layers
from services.common.errors import InvalidRequest, violation
from services.common.layers import macs, params
from services.common.network_json import network_key
from services.common.space import SPACES, load_space

MAX_COUNTED = 20_000
"""Largest space whose different networks are counted one by one: a few seconds."""


def command(
    name: Annotated[str, typer.Argument(help="A space by name (paper, small) or a .toml file.")] = "",
    image: Annotated[str, typer.Option(help="Image shape, channels x height x width.")] = "3x32x32",
    classes: Annotated[int, typer.Option(help="Classes of the data set.")] = 10,
    sample: Annotated[int, typer.Option(min=0, max=10_000, help="Draw this many candidates uniformly.")] = 0,
    seed: Annotated[int, typer.Option(help="Seed of the draw.")] = 0,
) -> None:
    """Show a search space: its blocks, its exact size, a few candidates of it.

    For example:

      imcnas space                         the spaces there are

      imcnas space small --image 1x8x8     ... with its different networks

      imcnas space paper --sample 5        five candidates, drawn uniformly
    """
    if not name:
        for known in SPACES:
            print(f"{known:8}{load_space(known).count():>15,} configurations")
        return
    space, shape = load_space(name), parse_image(image)
    types = ", ".join(space.block_types)
    kernels = ", ".join(map(str, space.kernel_counts))
    print(f"space           {name}")
    print(f"blocks          {types}, each of {kernels} kernels")
    print(f"depth           {space.min_depth} to {space.max_depth} blocks")
    print(f"projection      {space.projection}")
    print(f"head            {', '.join(map(str, space.head.hidden_features))} features, then the classes")
    print(f"configurations  {space.count():,}")
    if space.count() <= MAX_COUNTED:
        every = (space.candidate_at(i) for i in range(space.count()))
        different = len({network_key(candidate_layers(c, shape, classes)) for c in every})
        print(f"networks        {different:,} different ones on {shape} images")
    if classes < 2:
        raise InvalidRequest.of(violation("--classes", classes, "2 or more"))
    if sample:
        print(f"\n{'million MACs':>12}  {'thousand params':>15}  candidate")
    rng = Random(seed)
    for _ in range(sample):
        candidate = space.sample(rng)
        network = candidate_layers(candidate, shape, classes)
        print(f"{macs(network) / 1e6:12.1f}  {params(network) / 1e3:15.1f}  {candidate}")
