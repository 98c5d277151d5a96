"""The training loop: one candidate, one data set, one recipe -> its validation accuracy.

The data lives on the device as one tensor, batches are gathered from it already shifted, and nothing
waits for the device within an epoch. Every random draw comes from generators seeded by the evaluation
alone, never from torch's global one, so an accuracy does not depend on process, worker or order. On a
CPU with one thread a training repeats bit for bit.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from services.common.candidate import candidate_layers
from services.common.errors import TrainingFailed
from services.common.network_json import network_key
from services.trainer.build import Dropout, build_module
from services.trainer.data import Dataset
from services.trainer.types import AccuracyReport, EpochReport, EvaluationRequest, TrainRecipe

log = logging.getLogger(__name__)

VALIDATION_BATCH = 256


def train(
    request: EvaluationRequest, dataset: Dataset, device: str = "cpu"
) -> Iterator[EpochReport | AccuracyReport]:
    """Train a candidate; give a report after each epoch, and the result last.

    The result names the network by its key at the default bit widths, which training does not use.

    Parameters
    ----------
    request : EvaluationRequest
    dataset : Dataset
        The one that the request names.
    device : str
        A torch device.

    Raises
    ------
    InvalidCandidate
        A candidate that does not fit the data set's images.
    TrainingFailed
        The loss is no longer finite, or torch failed (memory, most often).
    """
    try:
        yield from _train(request, dataset, torch.device(device))
    except (RuntimeError, MemoryError) as error:  # every error of torch is a RuntimeError
        # The text may quote source paths and addresses: it stays here.
        log.exception("training of %s failed", request.candidate)
        raise TrainingFailed(f"training of {request.candidate} failed: {type(error).__name__}") from error


def _train(
    request: EvaluationRequest, dataset: Dataset, device: torch.device
) -> Iterator[EpochReport | AccuracyReport]:
    started = time.monotonic()
    info, recipe = dataset.info, request.recipe
    key = network_key(candidate_layers(request.candidate, info.input_shape, info.classes))
    seeds = Seeds(f"{key} {info.fingerprint} {json.dumps(asdict(recipe), sort_keys=True)} {request.seed}")

    with torch.device("meta"):  # no memory and no random draws before `initialise`
        module = build_module(request.candidate, info.input_shape, info.classes)
    initialise(module.to_empty(device="cpu"), seeds.generator("init"), seeds.generator("dropout", device))
    module = module.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # absent in stubs
    images = _Images(dataset, recipe.shift_px, device)
    draws = _Draws(*map(seeds.generator, ("order", "shifts", "flips")))
    step = _Step(module, recipe, recipe.epochs * math.ceil(info.train_images / recipe.batch_size))

    epochs: list[EpochReport] = []
    for epoch in range(1, recipe.epochs + 1):
        module.train()
        total_loss = torch.zeros((), device=device)
        for x, y in images.train_batches(recipe.batch_size, draws):
            total_loss += step(x, y) * len(y)
        loss = total_loss.item() / info.train_images
        if not math.isfinite(loss):
            raise TrainingFailed(
                f"training of {request.candidate} diverged in epoch {epoch} of {recipe.epochs}: "
                f"the loss is {loss}; a learning rate below {recipe.learning_rate} may help"
            )
        epochs.append(
            EpochReport(
                epoch=epoch,
                train_loss_nats=loss,
                validation_accuracy_frac=images.validation_accuracy_frac(module),
                elapsed_s=time.monotonic() - started,
            )
        )
        yield epochs[-1]

    accuracy = epochs[-1].validation_accuracy_frac
    yield AccuracyReport(
        network_key=key,
        accuracy_frac=accuracy,
        accuracy_stderr_frac=stderr_frac(accuracy, info.validation_images),
        validation_images=info.validation_images,
        epochs=tuple(epochs),
        train_s=time.monotonic() - started,
        device=device.type,
        torch_version=str(torch.__version__),
    )


def stderr_frac(accuracy_frac: float, images: int) -> float:
    """Give the standard error of a share of `images`, as AccuracyReport defines it."""
    p = (accuracy_frac * images + 1) / (images + 2)
    return math.sqrt(p * (1 - p) / images)


@dataclass(frozen=True, slots=True)
class Seeds:
    """Random streams of one evaluation: independent by purpose, the same on every machine."""

    evaluation: str

    def generator(self, purpose: str, device: torch.device | str = "cpu") -> torch.Generator:
        """Make the generator of one purpose, seeded with a hash of evaluation and purpose."""
        digest = hashlib.sha256(f"{self.evaluation} {purpose}".encode()).digest()
        return torch.Generator(device).manual_seed(int.from_bytes(digest[:8], "big"))


def initialise(module: nn.Module, weights: torch.Generator, dropout: torch.Generator) -> None:
    """Draw every weight (He et al., arXiv 1502.01852, for ReLU) and give dropout its generator."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(part.weight, nonlinearity="relu", generator=weights)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
        elif isinstance(part, nn.BatchNorm2d):
            part.reset_parameters()
        elif isinstance(part, Dropout):
            part.generator = dropout


def warm_up() -> None:
    """Make torch import now what it puts off to a process's first training step: about a second."""
    torch.optim.SGD([nn.Parameter(torch.zeros(1))], fused=True).zero_grad()


class _Step:
    """One step of SGD on one batch."""

    def __init__(self, module: nn.Module, recipe: TrainRecipe, steps: int) -> None:
        self._module = module
        self._loss = nn.CrossEntropyLoss(label_smoothing=recipe.label_smoothing_frac)
        self._sgd = torch.optim.SGD(
            module.parameters(),
            lr=recipe.learning_rate,
            momentum=recipe.momentum,
            weight_decay=recipe.weight_decay,
            nesterov=recipe.momentum > 0,
            fused=True,
        )
        self._schedule = torch.optim.lr_scheduler.OneCycleLR(
            self._sgd, max_lr=recipe.learning_rate, total_steps=steps, cycle_momentum=False
        )

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        """Descend; the batch's mean loss is still on the device."""
        loss: Tensor = self._loss(self._module(x), y)
        self._sgd.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        self._sgd.step()
        self._schedule.step()
        return loss.detach()


@dataclass(frozen=True, slots=True)
class _Draws:
    """Generators of what an epoch draws about its images."""

    order: torch.Generator
    shifts: torch.Generator
    flips: torch.Generator


class _Images:
    """A data set on the device: pixels of one byte, normalised as batches are made of them."""

    def __init__(self, dataset: Dataset, recipe_shift_px: int, device: torch.device) -> None:
        # The clone gives one memory layout whatever strides numpy chose: convolutions round by layout.
        train, validation = (
            torch.tensor(dataset.images[part]).clone(memory_format=torch.contiguous_format)
            for part in (dataset.train, dataset.validation)
        )
        self._mean, deviation = (
            torch.tensor(values, dtype=torch.float32, device=device).view(-1, 1, 1)
            for values in (dataset.mean, dataset.deviation)
        )
        self._deviation = deviation.clamp(min=1.0)  # a constant channel stays constant
        self._flip = dataset.augmentation.flip
        shift_px = recipe_shift_px * dataset.augmentation.shift_px
        side = dataset.info.input_shape.width
        # A view of every shift of every image: image, channel, dy, dx, row, column. Black is shifted in.
        padded = nn.functional.pad(train, (shift_px,) * 4).to(device)
        self._windows = padded.unfold(2, side, 1).unfold(3, side, 1)
        self._offsets = 2 * shift_px + 1
        self._train_y = torch.tensor(dataset.labels[dataset.train], device=device)
        self._validation_x = validation.to(device)
        self._validation_y = torch.tensor(dataset.labels[dataset.validation], device=device)
        self._device = device

    def train_batches(self, batch_size: int, draws: _Draws) -> Iterator[tuple[Tensor, Tensor]]:
        """Give the train part once, in random order, each image shifted and perhaps flipped at random."""
        count = len(self._train_y)
        chosen = torch.randperm(count, generator=draws.order).to(self._device)
        dy, dx = torch.randint(self._offsets, (2, count), generator=draws.shifts).to(self._device)
        flipped = (torch.rand(count, generator=draws.flips) < 0.5).to(self._device) if self._flip else None
        for start in range(0, count, batch_size):
            batch = slice(start, start + batch_size)
            x = self._windows[chosen[batch], :, dy[batch], dx[batch]]
            if flipped is not None:
                x = torch.where(flipped[batch, None, None, None], x.flip(3), x)
            yield self._normalised(x), self._train_y[chosen[batch]]

    def _normalised(self, pixels: Tensor) -> Tensor:
        """Scale pixels to the train part's mean 0 and deviation 1 by channel."""
        x = (pixels.to(torch.float32) - self._mean).div_(self._deviation)
        return x.contiguous(memory_format=torch.channels_last)

    @torch.no_grad()
    def validation_accuracy_frac(self, module: nn.Module) -> float:
        """Share of the validation part that `module` classifies right."""
        module.eval()
        right = torch.zeros((), dtype=torch.int64, device=self._device)
        for start in range(0, len(self._validation_y), VALIDATION_BATCH):
            batch = slice(start, start + VALIDATION_BATCH)
            right += (
                module(self._normalised(self._validation_x[batch])).argmax(1) == self._validation_y[batch]
            ).sum()
        return int(right) / len(self._validation_y)
