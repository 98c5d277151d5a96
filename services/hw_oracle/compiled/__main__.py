"""Compile the chip model for this machine, so that the first answer comes at once."""

from __future__ import annotations

from services.common.candidate import candidate_layers, parse_candidate
from services.common.layers import Shape
from services.hw_oracle.compiled.pack import pack, pack_chip
from services.hw_oracle.compiled.run import run
from services.hw_oracle.types import ChipConfig

if __name__ == "__main__":
    network = candidate_layers(parse_candidate("VGG8"), Shape(channels=1, height=8, width=8), 2)
    run(pack([network]), pack_chip(ChipConfig()))
