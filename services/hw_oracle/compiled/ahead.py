"""Machine code ahead of the first call."""

from __future__ import annotations

import numpy as np

from services.common.layers import Shape
from services.common.space import load_space
from services.hw_oracle.compiled.candidates import expand
from services.hw_oracle.compiled.pack import pack_chip
from services.hw_oracle.compiled.run import run
from services.hw_oracle.compiled.wire import decode
from services.hw_oracle.types import ChipConfig


def compile_ahead() -> None:
    """Load all machine code from the disk, or make it: the first answer then comes at once."""
    one = np.ones(1, np.int64)
    network = expand(load_space("small"), Shape(channels=1, height=8, width=8), 2, one, one)
    run(network, pack_chip(ChipConfig()))
    run(decode([b""], 0), pack_chip(ChipConfig()))
