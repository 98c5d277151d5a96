"""What crosses the trainer's door. Standard library only: a client needs no torch."""

from __future__ import annotations

from dataclasses import dataclass

from services.common.candidate import Candidate
from services.common.errors import InvalidRequest, violation
from services.common.layers import Shape


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


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainRecipe:
    """How a candidate is trained: SGD with Nesterov momentum, one-cycle learning rate.

    Parameters
    ----------
    name : str
    version : int
        Raised whenever the loop changes what a recipe computes.
    epochs, batch_size : int
    learning_rate : float
        Peak of the one-cycle schedule.
    momentum, weight_decay : float
    label_smoothing_frac : float
        Share of the target spread over all classes, 0 <= value < 1.
    shift_px : int
        Largest random shift of a training image in rows and columns, for a data set that shifts by 1 pixel,
        such as digits; one that shifts by 4, such as cifar10, takes four times as much. 0 switches it off.
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

    def __post_init__(self) -> None:
        checks = (
            ("epochs", 1 <= self.epochs <= 10_000, "1 to 10000"),
            ("batch_size", 1 <= self.batch_size <= 65_536, "1 to 65536"),
            ("learning_rate", 0 < self.learning_rate <= 10, "0 < value <= 10"),
            ("momentum", 0 <= self.momentum < 1, "0 <= value < 1"),
            ("weight_decay", 0 <= self.weight_decay < 1, "0 <= value < 1"),
            ("label_smoothing_frac", 0 <= self.label_smoothing_frac < 1, "0 <= value < 1"),
            ("shift_px", 0 <= self.shift_px <= 16, "0 to 16"),
        )
        wrong = [violation(f"recipe.{n}", getattr(self, n), w) for n, good, w in checks if not good]
        if wrong:
            raise InvalidRequest.of(*wrong)


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
        Same id and content is the same evaluation: a retry is no second training.
    """

    candidate: Candidate
    dataset: str
    recipe: TrainRecipe
    seed: int = 0
    request_id: str = ""

    def __post_init__(self) -> None:
        if not 0 <= self.seed < 2**63:
            raise InvalidRequest.of(violation("seed", self.seed, "0 <= value < 2**63"))


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
        Wall time of the training in its worker.
    device : str
        Such as ``cpu`` or ``cuda``.
    torch_version : str
    """

    network_key: str
    accuracy_frac: float
    accuracy_stderr_frac: float
    validation_images: int
    epochs: tuple[EpochReport, ...]
    train_s: float
    device: str
    torch_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainerInfo:
    """What a trainer is and can do now."""

    version: str
    torch_version: str
    ray_version: str
    device: str
    slots: int
    datasets: tuple[str, ...]
