"""What a candidate may need in training: checked before anything is trained."""

from __future__ import annotations

from services.common.layers import LayerList, macs, params, training_memory_bytes
from services.searcher.types import TrainingLimits


def over_limit(network: LayerList, limits: TrainingLimits, batch_size: int) -> str | None:
    """Say which training limit `network` exceeds, or None when it is within all of them.

    Parameters
    ----------
    network : LayerList
    limits : TrainingLimits
    batch_size : int
        Images a training step; the memory grows with it.
    """
    needs = (
        ("max_macs", limits.max_macs, macs(network)),
        ("max_params", limits.max_params, params(network)),
        (
            "max_training_memory_bytes",
            limits.max_training_memory_bytes,
            training_memory_bytes(network, batch_size),
        ),
    )
    for name, limit, need in needs:
        if limit is not None and need > limit:
            return f"needs {need:,}, {name} is {limit:,}"
    return None
