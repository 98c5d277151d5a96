"""The networks that the chip model is measured on."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from random import Random

from services.common.candidate import Candidate, candidate_layers
from services.common.layers import LayerList, Shape
from services.common.space import load_space
from services.hw_oracle.importers import from_mnsim

IMAGE = Shape(channels=3, height=32, width=32)
CLASSES = 10

_GOLDEN = Path(__file__).parents[1] / "tests" / "golden" / "mnsim2" / "cases.json.gz"


def golden_networks() -> list[LayerList]:
    """Golden networks on the default chip: MNSIM 2.0's own five and random ones."""
    cases = json.loads(gzip.decompress(_GOLDEN.read_bytes()))
    default = [c for c in cases if c["config"] == "default.ini" and "error" not in c["expect"]]
    return [from_mnsim(case["layers"]) for case in default]


def paper_candidates(count: int, seed: int = 0) -> list[Candidate]:
    """Draw candidates of the space `paper` uniformly."""
    space, rng = load_space("paper"), Random(seed)
    return [space.sample(rng) for _ in range(count)]


def paper_networks(count: int, seed: int = 0) -> list[LayerList]:
    """Make the networks of drawn candidates, at 3x32x32."""
    return [candidate_layers(candidate, IMAGE, CLASSES) for candidate in paper_candidates(count, seed)]
