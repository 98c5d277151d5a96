"""A network as its blocks and layers, each with what it costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.common.candidate import (
    MIN_POOLED_SIDE,
    BlockType,
    Candidate,
    needs_projection,
)
from services.common.layers import Conv2d, Layer, LayerList, Linear, Pool2d
from services.common.units import format_energy, format_latency
from services.hw_oracle.types import LayerCost
from services.searcher.page.view import StudyView, pretty
from services.searcher.types import Trial


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A layer, or the layers of a block together.

    Parameters
    ----------
    kind : str
        Type of the block or layer, which decides its colour.
    name : str
    output : str
        Shape of what comes out.
    begin_frac, span_frac : float
        When it begins and how long it takes until its end, as shares of the network's latency.
    energy_frac : float
        Share of the network's energy.
    latency, energy : str
        For people.
    tiles : int
    """

    kind: str
    name: str
    output: str
    begin_frac: float
    span_frac: float
    energy_frac: float
    latency: str
    energy: str
    tiles: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """A network to be drawn: its blocks with the head, and its layers."""

    trial: Trial
    blocks: tuple[Part, ...]
    layers: tuple[Part, ...]


def drawing(view: StudyView, trial: Trial) -> Drawing:
    """Take a network of a study apart; its cost must have its layers."""
    network, costs = view.network(trial.candidate), trial.cost.layers
    layers = tuple(
        _part(trial, layer.kind, _layer_name(layer), network, [i]) for i, layer in enumerate(network.layers)
    )
    blocks, first = [], 0
    for name, kind, count in _blocks(
        trial.candidate, network.input_shape.channels, network.input_shape.width
    ):
        last = len(costs) if count is None else first + count
        blocks.append(_part(trial, kind, name, network, range(first, last)))
        first = last
    return Drawing(trial=trial, blocks=tuple(blocks), layers=layers)


def _part(trial: Trial, kind: str, name: str, network: LayerList, indices: Sequence[int]) -> Part:
    costs: list[LayerCost] = [trial.cost.layers[i] for i in indices]
    total, begin = trial.cost, min(cost.begin_ns for cost in costs)
    span_ns = max(cost.finish_ns for cost in costs) - begin
    energy_nj = sum(cost.energy_nj for cost in costs)
    return Part(
        kind=kind,
        name=name,
        output=str(network.shapes[indices[-1]]),
        begin_frac=begin / total.latency_ns,
        span_frac=span_ns / total.latency_ns,
        energy_frac=energy_nj / total.energy_nj,
        latency=pretty(format_latency(span_ns)),
        energy=pretty(format_energy(energy_nj)),
        tiles=sum(cost.tiles for cost in costs),
    )


def _blocks(candidate: Candidate, channels: int, side: int) -> list[tuple[str, str, int | None]]:
    """Name each block and count its layers as `candidate_layers` makes them; the head takes the rest."""
    found: list[tuple[str, str, int | None]] = []
    for block in candidate.blocks:
        count = 2
        if block.type is BlockType.RES:
            count += 1 + needs_projection(candidate.projection, channels, block.kernels)
        elif block.type is BlockType.VGG and side >= MIN_POOLED_SIDE:
            count, side = 3, side // 2
        found.append((str(block), str(block.type), count))
        channels = block.kernels
    return [*found, ("head", "head", None)]


def _layer_name(layer: Layer) -> str:
    match layer:
        case Conv2d():
            return f"conv {layer.kernel_size}x{layer.kernel_size}, {layer.out_channels}"
        case Linear():
            return f"linear, {layer.out_features}"
        case Pool2d():
            return f"{layer.mode} pool {layer.kernel_size}x{layer.kernel_size}"
        case _:
            return layer.kind
