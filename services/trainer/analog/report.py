"""One trained network judged in float, quantised, folded on several chips, and exactly on some of them."""

from __future__ import annotations

from collections.abc import Callable, Generator

import torch
from torch import Tensor, nn

from services.trainer.analog.cells import chip_generator, write_cells
from services.trainer.analog.folded import FoldedChip, fit_adcs
from services.trainer.analog.graph import read_steps
from services.trainer.analog.images import CALIBRATION_IMAGES, FIT_IMAGES, normalised, spread
from services.trainer.analog.kernel_exact import fast_products
from services.trainer.analog.quantise import Crossbars, IntegerNetwork, integer_products, quantise
from services.trainer.analog_types import (
    AnalogConfig,
    AnalogReport,
    ChipAccuracy,
    ChipDraw,
    FoldedError,
    check_chips,
)
from services.trainer.data import Dataset

BATCH_POINTS = 2**15
"""Pixels of images at once: memory follows it, and no result."""


def evaluate_on_chip(
    module: nn.Module,
    dataset: Dataset,
    config: AnalogConfig,
    draws: int = 5,
    seed: int = 0,
    *,
    exact_draws: int = 0,
    images: int | None = None,
    on_draw: Callable[[ChipDraw], None] | None = None,
) -> AnalogReport:
    """Judge a trained network as crossbars compute it, on validation images.

    The same network, data, configuration and seed give the same numbers. A chip follows from seed, draw and
    layer alone.

    Parameters
    ----------
    module : nn.Module
        Trained, on the CPU; what `read_steps` can read. It is left as it evaluates.
    dataset : Dataset
        That it was trained on.
    config : AnalogConfig
    draws : int
        Chips that the folded form is computed on.
    seed : int
        Of the chips, 0 <= seed < 2**63.
    exact_draws : int
        How many of these chips, the first ones, are computed exactly, too; of chips that do not differ, one.
    images : int, optional
        Validation images, spread evenly over all of them; None takes all.
    on_draw : callable, optional
        Told of each chip that was judged.

    Raises
    ------
    InvalidRequest
        A number out of its range, or a module that no crossbar computes.
    """
    for item in judge(module, dataset, config, draws, seed, exact_draws, images):
        if isinstance(item, AnalogReport):
            return item
        if on_draw is not None:
            on_draw(item)
    raise AssertionError("the report is the last item")


@torch.inference_mode()
def judge(
    module: nn.Module,
    dataset: Dataset,
    config: AnalogConfig,
    draws: int,
    seed: int,
    exact_draws: int,
    images: int | None,
) -> Generator[ChipDraw | AnalogReport]:
    """As `evaluate_on_chip`, as a generator of what it tells, the report last."""
    check_chips(draws, seed, exact_draws, images)
    steps = read_steps(module)
    calibration = normalised(dataset, spread(dataset.train, CALIBRATION_IMAGES))
    judged = spread(dataset.validation, images)
    labels = torch.from_numpy(dataset.labels[judged])
    x = normalised(dataset, judged)
    network = quantise(steps, calibration.double(), config)
    integers = network.quantised_input(x.double())
    fits = fit_adcs(network, network.quantised_input(calibration[:FIT_IMAGES].double()), seed)

    def accuracy(scores: Tensor) -> float:
        return float((scores.argmax(1) == labels).double().mean())

    float_scores = _in_batches(x, module.eval())
    quantised = _in_batches(integers, lambda some: network.scores(some, integer_products))
    folded, exact = [], []
    for draw in range(draws):
        folded.append(_in_batches(integers, FoldedChip(network, fits, seed, draw).scores))
        yield ChipDraw(draw=draw, exact=False, accuracy_frac=accuracy(folded[-1]))
    for draw in range(exact_draws if config.random else min(exact_draws, 1)):
        exact.append(exact_scores(network, integers, seed, draw))
        yield ChipDraw(draw=draw, exact=True, accuracy_frac=accuracy(exact[-1]))
    yield AnalogReport(
        float_frac=accuracy(float_scores),
        quantised_frac=accuracy(quantised),
        folded=ChipAccuracy(draws_frac=tuple(map(accuracy, folded))),
        exact=ChipAccuracy(draws_frac=tuple(map(accuracy, exact))) if exact else None,
        folded_error=_folded_error(folded[: len(exact)], exact, accuracy) if exact else None,
        images=len(judged),
        config=config,
        seed=seed,
    )


def exact_scores(network: IntegerNetwork, integers: Tensor, seed: int, draw: int) -> Tensor:
    """Give the scores, N x classes, of quantised images on one chip, exactly."""
    cells = {
        i: write_cells(step.weights, network.config, chip_generator(seed, draw, i))
        for i, step in enumerate(network.steps)
        if isinstance(step, Crossbars)
    }

    def multiply(i: int, layer: Crossbars, x: Tensor) -> Tensor:
        return layer.output(fast_products(x, layer, cells[i], network.config))

    return _in_batches(integers, lambda some: network.scores(some, multiply))


def _in_batches(x: Tensor, scores: Callable[[Tensor], Tensor]) -> Tensor:
    images = max(1, BATCH_POINTS // (x.shape[2] * x.shape[3]))
    return torch.cat([scores(some) for some in torch.split(x, images)])


def _folded_error(
    folded: list[Tensor], exact: list[Tensor], accuracy: Callable[[Tensor], float]
) -> FoldedError:
    ours, wanted = (torch.stack(scores).double() for scores in (folded, exact))
    differences = [accuracy(a) - accuracy(b) for a, b in zip(folded, exact, strict=True)]
    ours, wanted = (scores - scores.mean(2, keepdim=True) for scores in (ours, wanted))
    return FoldedError(
        accuracy_frac=sum(differences) / len(differences),
        agreement_frac=float((ours.argmax(2) == wanted.argmax(2)).double().mean()),
        score_frac=float((ours - wanted).norm() / wanted.norm().clamp(min=1e-30)),
    )
