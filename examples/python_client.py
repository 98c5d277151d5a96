"""What networks cost on chips, from Python: one network, many, candidates, and what goes wrong.

::

    python examples/python_client.py                    # in this process: needs 'imcnas[oracle]'
    python examples/python_client.py 127.0.0.1:50051    # asks a service: needs imcnas alone
"""

from __future__ import annotations

import asyncio
import sys
from random import Random

from services.common.candidate import candidate_layers, parse_candidate
from services.common.errors import ImcnasError, NotFound
from services.common.layers import LayerList, Shape
from services.common.space import load_space
from services.hw_oracle.client import AsyncHwOracle, HwOracle
from services.hw_oracle.types import Detail

IMAGES = Shape(channels=3, height=32, width=32)
CLASSES = 10


def network(blocks: str) -> LayerList:
    """Make the network of a candidate; `LayerList` takes any other network, too."""
    return candidate_layers(parse_candidate(blocks), IMAGES, CLASSES)


def one_after_the_other(address: str | None) -> None:
    """Ask for a network, a batch and candidates, and for a chip that there is not."""
    with HwOracle(address) as oracle:
        info = oracle.info()
        print(f"imcnas {info.version}, chips {' '.join(info.presets)}")

        report = oracle.evaluate(network("VGG64-RES128"), "mnsim2_default")
        print(f"latency_ns {report.latency_ns}\nenergy_nj {report.energy_nj}")
        for index, layer in enumerate(report.layers):
            print(f"layer {index}: {layer.kind}, {layer.tiles} tiles, {layer.energy_nj:.1f} nJ")

        names = ["VGG8", "VGG4096-VGG4096", "RES16"]  # of a batch each succeeds or fails by itself
        for name, result in zip(names, oracle.evaluate_batch(list(map(network, names))), strict=True):
            if isinstance(result, ImcnasError):
                print(f"{name}: {result.reason}: {result}")
            else:
                print(f"{name}: {result.latency_ns:.0f} ns, {result.tiles} tiles")

        space, random = load_space("paper"), Random(0)
        drawn = [space.sample(random) for _ in range(1000)]
        costs = oracle.evaluate_candidates(space, drawn, IMAGES, CLASSES, "isaac")
        fastest = min(range(len(drawn)), key=costs.latency_ns.__getitem__)
        print(f"fastest of {len(drawn)} candidates: {drawn[fastest]}, {costs.latency_ns[fastest]:.0f} ns")

        try:
            oracle.evaluate(network("VGG8"), "isac")
        except NotFound as error:
            print(f"{error.reason}: {error}")


async def at_once(address: str | None) -> None:
    """Ask for one network on every chip, without waiting in between."""
    async with AsyncHwOracle(address) as oracle:
        chips, net = await oracle.chips(), network("VGG64-RES128")
        asked = [oracle.evaluate(net, chip.name, Detail.TOTALS) for chip in chips]
        for chip, report in zip(chips, await asyncio.gather(*asked), strict=True):
            print(f"{chip.name}: {report.energy_nj:.0f} nJ")


if __name__ == "__main__":
    given = sys.argv[1] if len(sys.argv) > 1 else None
    try:
        one_after_the_other(given)
        asyncio.run(at_once(given))
    except ImcnasError as error:
        sys.exit(f"{error.reason}: {error}")
