"""What decides the result of an evaluation, as one name: equal names, equal results."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from importlib.metadata import version

from services.common.candidate import candidate_layers
from services.common.network_json import network_key
from services.trainer.types import DatasetInfo, EvaluationRequest, Precision, TrainRecipe

FORMAT = 1
"""Raised when the same fields come to mean something else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Names of an evaluation, each 64 hexadecimal digits.

    Parameters
    ----------
    network_key : str
        Of the candidate's network at the default bit widths, which training does not use.
    trunk : str
        Of what trainings for any number of epochs have in common while their rate is constant.
    evaluation : str
        Of the result. Its data set's fingerprint covers images, labels, split and augmentation.
    """

    network_key: str
    trunk: str
    evaluation: str


def identify(request: EvaluationRequest, data: DatasetInfo, device: str, threads: int = 1) -> Identity:
    """Name an evaluation.

    Candidates of one network and one dropout are one training. Neither the request's id nor what is done
    beside the training (stopping it, keeping its weights, judging the test part) is part of a name.

    Parameters
    ----------
    request : EvaluationRequest
    data : DatasetInfo
    device : str
        ``cpu`` or ``cuda``.
    threads : int
        Of the CPU: sums round by their number.

    Raises
    ------
    InvalidCandidate
        The candidate does not fit the images.
    """
    key = network_key(candidate_layers(request.candidate, data.input_shape, data.classes))
    shared = {
        "format": FORMAT,
        "network": key,
        "dropout": request.candidate.head.dropout_frac,
        "data": data.fingerprint,
        "recipe": asdict(request.recipe),
        "seed": request.seed,
        "precision": computed_precision(request.recipe, device),
        "device": device,
        "torch": version("torch"),
    }
    if threads != 1 and device == "cpu":  # names of results of one thread are as they always were
        shared["threads"] = threads
    return Identity(
        network_key=key,
        trunk=_digest(shared),
        evaluation=_digest(shared | {"epochs": request.epochs}),
    )


def computed_precision(recipe: TrainRecipe, device: str) -> Precision:
    """Say what a recipe is computed in on a device.

    bfloat16 halves CUDA's time; a CPU without instructions for it needed 7 times as long.
    """
    if recipe.precision is not Precision.AUTO:
        return recipe.precision
    return Precision.BFLOAT16 if device == "cuda" else Precision.FLOAT32


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
