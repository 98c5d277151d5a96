"""The training loop: one candidate, one data set, one recipe -> its validation accuracy.

The data lives on the device as one tensor, batches are gathered from it already shifted, and nothing
waits for the device within an epoch but a rare look at whether the loss is still finite. Every random draw
comes from generators seeded by the evaluation alone, never from torch's global one, so an accuracy does not
depend on process, worker or order. On a CPU with one thread a training repeats bit for bit.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import time
from collections.abc import Callable, Generator
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from services.common.candidate import candidate_layers
from services.common.errors import Cancelled, TrainingFailed
from services.common.network_json import network_key
from services.trainer.build import Dropout, build_module
from services.trainer.checkpoint import BadCheckpoint, pack_checkpoint, pack_weights, unpack_checkpoint
from services.trainer.identity import computed_precision
from services.trainer.resident import Draws, Resident
from services.trainer.stopping import hopeless_frac
from services.trainer.types import (
    AccuracyReport,
    Checkpoint,
    EpochReport,
    EvaluationRequest,
    Precision,
    TrainRecipe,
    Weights,
    stderr_frac,
)

log = logging.getLogger(__name__)

NOT_DRAWN_BY = ("schedule", "cooldown_frac", "precision")
"""Parts of a recipe that leave every random draw as it is: they are compared on the same ones."""


STEPS_PER_LOOK = 100
"""Steps after which an epoch's loss is looked at, to end what diverged: each look waits for the device."""


def train(
    request: EvaluationRequest,
    data: Resident,
    *,
    resume: bytes | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Generator[EpochReport | Checkpoint | Weights | AccuracyReport]:
    """Train a candidate; give a report after each epoch, and the result last.

    The result names the network by its key at the default bit widths, which training does not use.

    Parameters
    ----------
    request : EvaluationRequest
    data : Resident
        The data set that the request names, on the device to train on.
    resume : bytes, optional
        Data of a Checkpoint to go on from.
    stop : callable
        Asked before every step whether to end with Cancelled.

    Raises
    ------
    InvalidCandidate
        A candidate that does not fit the data set's images.
    TrainingFailed
        The loss is no longer finite.
    """
    try:
        yield from _train(request, data, resume, stop)
    except BadCheckpoint as error:
        log.warning("training of %s begins again: %s", request.candidate, error)
        yield from _train(request, data, None, stop)


def _train(
    request: EvaluationRequest, data: Resident, resume: bytes | None, stop: Callable[[], bool]
) -> Generator[EpochReport | Checkpoint | Weights | AccuracyReport]:
    started = time.monotonic()
    info, recipe, device = data.info, request.recipe, data.device
    key = network_key(candidate_layers(request.candidate, info.input_shape, info.classes))
    drawn = {name: value for name, value in asdict(recipe).items() if name not in NOT_DRAWN_BY}
    seeds = Seeds(f"{key} {info.fingerprint} {json.dumps(drawn, sort_keys=True)} {request.seed}")

    with torch.device("meta"):  # no memory and no random draws before `initialise`
        module = build_module(request.candidate, info.input_shape, info.classes)
    dropout = seeds.generator("dropout", device)
    initialise(module.to_empty(device="cpu"), seeds.generator("init"), dropout)
    module = module.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # absent in stubs
    draws = Draws(*map(seeds.generator, ("order", "shifts", "flips")))
    generators = {"order": draws.order, "shifts": draws.shifts, "flips": draws.flips, "dropout": dropout}
    precision = computed_precision(recipe, device.type)
    step = _Step(module, recipe, precision, math.ceil(info.train_images / recipe.batch_size), request.epochs)

    told = () if resume is None else step.resume(resume, generators)
    epochs: list[EpochReport] = []
    bound = None
    for report in told:
        if bound is None:
            epochs.append(report)
            yield report
            bound = hopeless_frac(request, epochs, info.validation_images)
    resumed = len(epochs)
    for epoch in range(resumed + 1, request.epochs + 1):
        if bound is not None:
            break
        module.train()
        total_loss = torch.zeros((), device=device)
        batches = data.train_batches(recipe.batch_size, recipe.shift_px, draws)
        for count, (x, y) in enumerate(batches, 1):
            if stop():
                raise Cancelled(f"training of {request.candidate} was stopped in epoch {epoch}")
            total_loss += step(x, y) * len(y)
            if count % STEPS_PER_LOOK == 0:
                _check_finite(total_loss.item(), request, epoch)
        loss = total_loss.item() / info.train_images
        _check_finite(loss, request, epoch)
        epochs.append(
            EpochReport(
                epoch=epoch,
                train_loss_nats=loss,
                validation_accuracy_frac=data.accuracy_frac(module, "validation"),
                elapsed_s=time.monotonic() - started,
            )
        )
        yield epochs[-1]
        if epoch == request.trunk_epochs:
            yield Checkpoint(epoch=epoch, data=step.checkpoint(generators, tuple(epochs)))
        bound = hopeless_frac(request, epochs, info.validation_images)

    if request.keep_weights and bound is None:
        yield Weights(data=pack_weights(module, candidate=str(request.candidate), dataset=info.name))
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
        precision=precision,
        resumed_epochs=resumed,
        test_accuracy_frac=data.accuracy_frac(module, "test")
        if request.judge_test and bound is None
        else None,
        stopped_early=bound is not None,
        optimistic_frac=bound,
    )


def _check_finite(loss: float, request: EvaluationRequest, epoch: int) -> None:
    if not math.isfinite(loss):
        raise TrainingFailed(
            f"training of {request.candidate} diverged in epoch {epoch} of {request.epochs}: "
            f"the loss is {loss}; a learning rate below {request.recipe.learning_rate} may help"
        )


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
    """One step of SGD on one batch, at the rate of its place in the schedule."""

    def __init__(
        self, module: nn.Module, recipe: TrainRecipe, precision: Precision, steps: int, epochs: int
    ) -> None:
        self._module = module
        self._bfloat16 = precision is Precision.BFLOAT16
        self._loss = nn.CrossEntropyLoss(label_smoothing=recipe.label_smoothing_frac)
        self._sgd = torch.optim.SGD(
            module.parameters(),
            lr=recipe.learning_rate,
            momentum=recipe.momentum,
            weight_decay=recipe.weight_decay,
            nesterov=recipe.momentum > 0,
            fused=True,
        )
        self._schedule: torch.optim.lr_scheduler.LRScheduler | None = None
        if not recipe.continuable:
            self._schedule = torch.optim.lr_scheduler.OneCycleLR(
                self._sgd, max_lr=recipe.learning_rate, total_steps=steps * epochs, cycle_momentum=False
            )
        self._rate, self._steps, self._done = recipe.learning_rate, steps, 0
        self._trunk_steps, self._all_steps = recipe.trunk_epochs(epochs) * steps, epochs * steps

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        """Descend; the batch's mean loss is still on the device."""
        if self._schedule is None:
            self._sgd.param_groups[0]["lr"] = self._constant_rate()
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self._bfloat16):
            scores = self._module(x)
        loss: Tensor = self._loss(scores.float(), y)
        self._sgd.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        self._sgd.step()
        if self._schedule is not None:
            self._schedule.step()
        self._done += 1
        return loss.detach()

    def checkpoint(self, generators: dict[str, torch.Generator], epochs: tuple[EpochReport, ...]) -> bytes:
        """Write what there is to go on from."""
        return pack_checkpoint(self._module, self._sgd, generators, epochs)

    def resume(self, data: bytes, generators: dict[str, torch.Generator]) -> tuple[EpochReport, ...]:
        """Go on from what `checkpoint` wrote."""
        epochs = unpack_checkpoint(data, self._module, self._sgd, generators)
        self._done = len(epochs) * self._steps
        return epochs

    def _constant_rate(self) -> float:
        """Give a constant rate that rises over the first epoch and falls to 0 over the branch, by steps."""
        rise = min(1.0, (self._done + 1) / self._steps)
        left = (self._all_steps - self._done) / max(1, self._all_steps - self._trunk_steps)
        return self._rate * min(rise, left, 1.0)
