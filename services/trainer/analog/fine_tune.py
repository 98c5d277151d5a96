"""Noise-aware fine-tuning: a trained network learns on, computed as chips would compute it.

Each step draws a chip. Its cells and the ADC's gains make the weights, the ADC's error is drawn as in the
folded form, weights and activations are rounded; gradients go straight through all of it (Bengio et al.,
arXiv 1308.3432). Scales and the ADC's fit are taken anew at the start of an epoch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from services.common.errors import Cancelled, InvalidRequest, TrainingFailed, violation
from services.trainer.analog.cells import write_cells
from services.trainer.analog.folded import AdcFit, effective_weights, fit_adcs
from services.trainer.analog.graph import Product, Step, convolve, read_steps
from services.trainer.analog.images import CALIBRATION_IMAGES, FIT_IMAGES, normalised, spread
from services.trainer.analog.quantise import Crossbars, IntegerNetwork, quantise
from services.trainer.analog_types import AnalogConfig
from services.trainer.data import Dataset
from services.trainer.fit import Seeds
from services.trainer.resident import Draws, Resident
from services.trainer.types import TrainRecipe

FINE_TUNING = TrainRecipe(name="fine-tuning", learning_rate=0.01, weight_decay=0.0)
"""Its learning rate falls linearly to 0."""


def fine_tune(
    module: nn.Module,
    dataset: Dataset,
    config: AnalogConfig,
    *,
    epochs: int,
    seed: int,
    recipe: TrainRecipe = FINE_TUNING,
    stop: Callable[[], bool] = lambda: False,
) -> None:
    """Train a network on for a chip, in place; its normalisation is folded into its convolutions.

    On one thread the same arguments give the same bits.

    Parameters
    ----------
    module : nn.Module
        Trained, on the CPU; what `read_steps` can read. It is left as it evaluates.
    dataset : Dataset
        That it was trained on.
    config : AnalogConfig
    epochs : int
    seed : int
        Of the order and shifts of images and of all noise, 0 <= seed < 2**63.
    recipe : TrainRecipe
        Of which all counts but the epochs.
    stop : callable
        Asked before every step whether to end with Cancelled.

    Raises
    ------
    InvalidRequest
        A number out of its range, or a module that no crossbar computes.
    TrainingFailed
        The loss is no longer finite.
    """
    recipe = replace(recipe, epochs=epochs)
    if not 0 <= seed < 2**63:
        raise InvalidRequest.of(violation("seed", seed, "0 <= value < 2**63"))
    steps = read_steps(module)
    learner = _Learner(steps, config, seed)
    calibration = normalised(dataset, spread(dataset.train, CALIBRATION_IMAGES)).double()
    seeds = Seeds(f"fine-tuning {seed}")
    images = Resident(dataset)
    draws = Draws(*map(seeds.generator, ("order", "shifts", "flips")))
    sgd = torch.optim.SGD(
        learner.parameters(),
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
        nesterov=recipe.momentum > 0,
    )
    count = epochs * math.ceil(dataset.info.train_images / recipe.batch_size)
    schedule = torch.optim.lr_scheduler.LinearLR(sgd, 1.0, 0.0, total_iters=count)
    criterion = nn.CrossEntropyLoss(label_smoothing=recipe.label_smoothing_frac)
    for epoch in range(1, epochs + 1):
        learner.calibrate(calibration)
        for x, y in images.train_batches(recipe.batch_size, recipe.shift_px, draws):
            if stop():
                raise Cancelled(f"fine-tuning was stopped in epoch {epoch}")
            loss = criterion(learner(x), y)
            sgd.zero_grad()
            loss.backward()
            sgd.step()
            schedule.step()
        if not math.isfinite(loss.item()):
            fix = f"a learning rate below {recipe.learning_rate} may help"
            raise TrainingFailed(f"fine-tuning diverged in epoch {epoch} of {epochs}; {fix}")
    for step in learner.steps():
        if isinstance(step, Product):
            _write(module, step)
    module.eval()


class _Learner:
    """The network that learns: its products' weights and biases, and the chip that it meets."""

    def __init__(self, steps: Sequence[Step], config: AnalogConfig, seed: int) -> None:
        products = {i: step for i, step in enumerate(steps) if isinstance(step, Product)}
        self._steps, self._config, self._seed = steps, config, seed
        self._weights = {i: step.weight.float().requires_grad_() for i, step in products.items()}
        self._biases = {i: step.bias.float().requires_grad_() for i, step in products.items()}
        # Other chips than those that are judged: numpy takes zeros at the end for nothing, so [seed, 0] would
        # be the first layer of their first one.
        self._cells = np.random.default_rng([seed, 0, 0, 1])
        self._noise = Seeds(f"fine-tuning {seed}").generator("noise")
        self._network: IntegerNetwork
        self._fits: dict[int, AdcFit]

    def parameters(self) -> list[Tensor]:
        """Give what is learnt."""
        return [*self._weights.values(), *self._biases.values()]

    def steps(self) -> list[Step]:
        """Give the steps as they are now."""
        return [
            replace(step, weight=self._weights[i].detach().double(), bias=self._biases[i].detach().double())
            if isinstance(step, Product)
            else step
            for i, step in enumerate(self._steps)
        ]

    @torch.no_grad()
    def calibrate(self, images: Tensor) -> None:
        """Take scales, and what the ADC does to sums, from calibration images."""
        self._network = quantise(self.steps(), images, self._config)
        self._fits = fit_adcs(self._network, self._network.quantised_input(images[:FIT_IMAGES]), self._seed)

    def __call__(self, x: Tensor) -> Tensor:
        """Give the scores of normalised images on a chip of their own."""
        return self._network.scores(self._network.quantised_input(x), self._multiply, _straight_round)

    def _multiply(self, i: int, layer: Crossbars, x: Tensor) -> Tensor:
        fit, top = self._fits[i], self._config.top_weight
        scaled = self._weights[i] / layer.weight_scale
        integers = scaled.detach().round().clamp(-top, top).to(torch.int16).numpy()
        cells = write_cells(integers, self._config, self._cells)
        weights = _straight(scaled, effective_weights(cells, fit.gains, self._config).float())
        products = convolve(x, weights, layer.stride, layer.padding)
        noise = torch.randn(products.shape, generator=self._noise) * _by_channel(fit.deviation)
        products = products + _by_channel(fit.mean) + noise
        return products * layer.multiplier + _by_channel(self._biases[i]) / layer.output_scale


def _by_channel(values: Tensor) -> Tensor:
    return values.float().view(-1, 1, 1)


def _straight(x: Tensor, value: Tensor) -> Tensor:
    """Give `value` with the gradient of `x`."""
    return x + (value - x).detach()


def _straight_round(x: Tensor) -> Tensor:
    return _straight(x, x.round())


@torch.no_grad()
def _write(module: nn.Module, product: Product) -> None:
    """Put weights and bias back where they were read; a normalisation keeps nothing but the bias."""
    parts: list[Any] = [module.get_submodule(name) for name in product.parts]
    layer, *normalisation = parts
    layer.weight.copy_(product.weight.view(layer.weight.shape))
    if not normalisation:
        if layer.bias is not None:
            layer.bias.copy_(product.bias)
        return
    if layer.bias is not None:
        layer.bias.zero_()
    [norm] = normalisation
    norm.running_mean.zero_()
    norm.running_var.fill_(1 - norm.eps)
    norm.weight.fill_(1)
    norm.bias.copy_(product.bias)
