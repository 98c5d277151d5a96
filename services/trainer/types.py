"""What crosses the trainer's door. Standard library only: a client needs no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from services.common.candidate import Candidate
from services.common.errors import InvalidRequest, one_of, violation
from services.common.layers import Shape

MAX_NAME = 200
"""Characters of an id or a recipe's name: a trainer keeps them for a while."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetInfo:
    """What a search must know of a data set; the images stay with the trainer.

    Parameters
    ----------
    name : str
    input_shape : Shape
        Shape of one image as the network sees it; square.
    classes : int
    train_images, validation_images, test_images : int
        Sizes of the fixed parts; validation comes out of training. A search never sees the test part.
    fingerprint : str
        SHA-256 over images, labels, split and augmentation.
    description : str
        One line for people.
    """

    name: str
    input_shape: Shape
    classes: int
    train_images: int
    validation_images: int
    test_images: int
    fingerprint: str
    description: str


class Schedule(StrEnum):
    """How the learning rate goes over the epochs."""

    ONE_CYCLE = "one_cycle"
    """Up and down once over all epochs of the recipe: the best use of a number of epochs that is known."""
    CONSTANT = "constant"
    """Constant, then down to 0 on a branch: training may be continued from where the branch left."""


class Precision(StrEnum):
    """What convolutions and products are computed in; losses and normalisation stay in float32."""

    AUTO = "auto"
    """What the device gains from: bfloat16 on CUDA, float32 on a CPU."""
    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainRecipe:
    """How a candidate is trained: SGD with Nesterov momentum.

    Parameters
    ----------
    name : str
        At most 200 characters.
    version : int
        Raised whenever the loop changes what a recipe computes.
    epochs : int
        Passes over the training images, at most: a continuable recipe may be asked for fewer.
    batch_size : int
    learning_rate : float
        Peak of the schedule.
    momentum, weight_decay : float
    label_smoothing_frac : float
        Share of the target spread over all classes, 0 <= value < 1.
    shift_px : int
        Largest random shift of a training image in rows and columns, for a data set that shifts by 1 pixel,
        such as digits; one that shifts by 4, such as cifar10, takes four times as much. 0 switches it off.
    schedule : Schedule
    cooldown_frac : float
        Share of the epochs asked for, at their end, in which a constant rate falls to 0; at least one epoch.
    precision : Precision
    """

    name: str
    version: int = 1
    epochs: int = 12
    batch_size: int = 64
    learning_rate: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    label_smoothing_frac: float = 0.1
    shift_px: int = 1
    schedule: Schedule = Schedule.ONE_CYCLE
    cooldown_frac: float = 0.2
    precision: Precision = Precision.AUTO

    def __post_init__(self) -> None:
        checks = (
            ("name", len(self.name) <= MAX_NAME, f"at most {MAX_NAME} characters"),
            ("epochs", 1 <= self.epochs <= 10_000, "1 to 10000"),
            ("batch_size", 1 <= self.batch_size <= 65_536, "1 to 65536"),
            ("learning_rate", 0 < self.learning_rate <= 10, "0 < value <= 10"),
            ("momentum", 0 <= self.momentum < 1, "0 <= value < 1"),
            ("weight_decay", 0 <= self.weight_decay < 1, "0 <= value < 1"),
            ("label_smoothing_frac", 0 <= self.label_smoothing_frac < 1, "0 <= value < 1"),
            ("shift_px", 0 <= self.shift_px <= 16, "0 to 16"),
            ("schedule", self.schedule in list(Schedule), one_of(Schedule, str(self.schedule))),
            ("cooldown_frac", 0 < self.cooldown_frac <= 1, "0 < value <= 1"),
            ("precision", self.precision in list(Precision), one_of(Precision, str(self.precision))),
        )
        wrong = [violation(f"recipe.{n}", getattr(self, n), w) for n, good, w in checks if not good]
        if wrong:
            raise InvalidRequest.of(*wrong)

    @property
    def continuable(self) -> bool:
        """Whether a training for some of the epochs can be continued to more."""
        return self.schedule is Schedule.CONSTANT

    def trunk_epochs(self, epochs: int) -> int:
        """How many of a number of epochs are at a constant rate, before it falls; 0 of a one-cycle recipe."""
        return epochs - max(1, round(self.cooldown_frac * epochs)) if self.continuable else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationRequest:
    """One candidate to train.

    Parameters
    ----------
    candidate : Candidate
    dataset : str
        Name in the trainer's registry, never a path.
    recipe : TrainRecipe
    seed : int
        With network, data and recipe it decides every random draw, 0 <= seed < 2**63.
    request_id : str
        Same id and content is the same evaluation: a retry is no second training. At most 200 characters.
    budget_epochs : int, optional
        Epochs to train for, at most the recipe's, and fewer only of a continuable recipe; None is all of
        them. What an earlier evaluation for fewer epochs has learnt is gone on from, with the result of an
        unbroken training.
    keep_weights : bool
        Keep what was learnt, for `weights` and for accuracy on a chip.
    judge_test : bool
        Judge the end on the test part, too. For a final report: a search that looks at it is not honest.
    stop_below_frac : float, optional
        Stop after an epoch from which even an optimistic end (stopping.py) stays below this accuracy,
        0 <= value <= 1. It changes no draw: until then the training is the one that it would be without.
        What was learnt is not kept, and the test part not judged, of a training that was stopped.
    """

    candidate: Candidate
    dataset: str
    recipe: TrainRecipe
    seed: int = 0
    request_id: str = ""
    budget_epochs: int | None = None
    keep_weights: bool = False
    judge_test: bool = False
    stop_below_frac: float | None = None

    def __post_init__(self) -> None:
        wrong = []
        if self.stop_below_frac is not None and not 0 <= self.stop_below_frac <= 1:
            wrong.append(violation("stop_below_frac", self.stop_below_frac, "0 to 1, or none"))
        if len(self.request_id) > MAX_NAME:
            wrong.append(violation("request_id", self.request_id, f"at most {MAX_NAME} characters"))
        if not 0 <= self.seed < 2**63:
            wrong.append(violation("seed", self.seed, "0 <= value < 2**63"))
        if not 1 <= self.epochs <= self.recipe.epochs:
            wanted = f"1 to {self.recipe.epochs}, the epochs of recipe {self.recipe.name!r}"
            wrong.append(violation("budget_epochs", self.budget_epochs, wanted))
        elif self.epochs < self.recipe.epochs and not self.recipe.continuable:
            wanted = f"{self.recipe.epochs}: recipe {self.recipe.name!r} has a one-cycle schedule"
            fix = "take a recipe with the constant schedule, or one with fewer epochs"
            wrong.append(violation("budget_epochs", self.budget_epochs, wanted, fix))
        if wrong:
            raise InvalidRequest.of(*wrong)

    @property
    def epochs(self) -> int:
        """Epochs to train for."""
        return self.recipe.epochs if self.budget_epochs is None else self.budget_epochs

    @property
    def trunk_epochs(self) -> int:
        """Epochs at a constant rate before the branch on which it falls; 0 of a one-cycle recipe."""
        return self.recipe.trunk_epochs(self.epochs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Queued:
    """An evaluation waits for a slot; `ahead` others come first."""

    ahead: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochReport:
    """State after one epoch; `train_loss_nats` is the mean cross-entropy over the epoch's images."""

    epoch: int
    train_loss_nats: float
    validation_accuracy_frac: float
    elapsed_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AccuracyReport:
    """Result of one evaluation.

    Parameters
    ----------
    network_key : str
        Canonical key of the trained network.
    accuracy_frac : float
        Share of validation images classified right after the last epoch.
    accuracy_stderr_frac : float
        Standard error of that share: sqrt(p (1 - p) / n) with n validation images, of which k were right,
        and Laplace's p = (k + 1) / (n + 2), so that none or all right is not taken for certainty.
    validation_images : int
    epochs : tuple of EpochReport
    train_s : float
        Wall time of the training in its worker, without that of epochs that were gone on from.
    device : str
        Such as ``cpu`` or ``cuda``.
    torch_version : str
    precision : Precision
        That it was computed in, never AUTO.
    resumed_epochs : int
        How many of `epochs` an earlier evaluation had trained.
    test_accuracy_frac : float or None
        Share of the test part classified right, if that was asked for.
    stopped_early : bool
        That training ended before its last epoch, because the accuracy asked for was out of reach;
        `accuracy_frac` is that of the last epoch there was.
    optimistic_frac : float or None
        Accuracy that an optimistic end would have reached, where it was stopped early.
    """

    network_key: str
    accuracy_frac: float
    accuracy_stderr_frac: float
    validation_images: int
    epochs: tuple[EpochReport, ...]
    train_s: float
    device: str
    torch_version: str
    precision: Precision = Precision.FLOAT32
    resumed_epochs: int = 0
    test_accuracy_frac: float | None = None
    stopped_early: bool = False
    optimistic_frac: float | None = None


def stderr_frac(accuracy_frac: float, images: int) -> float:
    """Give the standard error of a share of `images`, as AccuracyReport defines it."""
    p = (accuracy_frac * images + 1) / (images + 2)
    return math.sqrt(p * (1 - p) / images)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """What a continuable training had learnt after `epoch` epochs, at full rate; never crosses the door."""

    epoch: int
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """The weights at the end of a training, as safetensors."""

    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeInfo:
    """A machine that a trainer trains on.

    Parameters
    ----------
    name : str
    devices : str
        Such as ``cpu`` or the name of its GPUs.
    slots, busy_slots : int
        Trainings that run there at once, and now.
    """

    name: str
    devices: str
    slots: int
    busy_slots: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainerInfo:
    """What a trainer is and can do now.

    Parameters
    ----------
    version, torch_version, ray_version : str
        `ray_version` is empty where training runs without Ray.
    device : str
        ``cpu`` or ``cuda``.
    slots, busy_slots : int
        Evaluations that run at once, and now.
    queue_length, queue_limit : int
        Evaluations that wait for a slot, and how many may.
    datasets : tuple of str
    nodes : tuple of NodeInfo
    """

    version: str
    torch_version: str
    ray_version: str
    device: str
    slots: int
    datasets: tuple[str, ...]
    busy_slots: int = 0
    queue_length: int = 0
    queue_limit: int = 0
    nodes: tuple[NodeInfo, ...] = ()
