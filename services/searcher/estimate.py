"""How long a search will train, before it starts."""

from __future__ import annotations

from random import Random

from services.common.candidate import candidate_layers
from services.common.layers import macs
from services.searcher.limits import over_limit
from services.searcher.rungs import mean_epochs
from services.searcher.strategies import draw_blocks
from services.searcher.types import StudyConfig
from services.trainer.types import DatasetInfo, TrainRecipe

TRAINING_MACS_PER_S = 22e9
"""Multiply-accumulates a second of one CPU core, forward and backward (AVX2, float32; measured)."""

STEP_S = 0.004
"""Least time of one optimiser step, whatever the network: Python, data and small kernels (measured)."""

BACKWARD_FACTOR = 3
"""A training pass over an image costs about three forward passes."""


def training_seconds(config: StudyConfig, trials: int, workers: int, draws: int = 64) -> float:
    """Estimate the wall time of `trials` trainings by `workers` single-core workers.

    The mean over feasible draws of the strategy's own start: depth first, uniformly. A rough guide, good to a
    factor of two or so: it warns of days, it does not plan minutes.
    """
    rng = Random(config.seed)
    data, recipe = config.dataset, config.recipe
    sizes = []
    for _ in range(draws * 20):
        candidate = config.space.candidate(draw_blocks(config.space, rng))
        network = candidate_layers(candidate, data.input_shape, data.classes, config.bits)
        if over_limit(network, config.limits, recipe.batch_size) is None:
            sizes.append(macs(network))
        if len(sizes) == draws:
            break
    if not sizes:
        return 0.0
    whole_s = trials * training_time_s(sum(sizes) / len(sizes), config.dataset, recipe) / workers
    return whole_s * mean_epochs(config) / recipe.epochs


def training_time_s(network_macs: float, data: DatasetInfo, recipe: TrainRecipe) -> float:
    """Estimate how long one training takes on one core, from the multiply-accumulates of one inference."""
    steps = -(-data.train_images // recipe.batch_size)
    compute_s = BACKWARD_FACTOR * data.train_images * network_macs / TRAINING_MACS_PER_S
    return recipe.epochs * (compute_s + steps * STEP_S)
