"""A trained candidate as a folder that others can use: ONNX, safetensors, a model card, and JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType

import torch
from torch import Tensor, nn

from services.common.candidate import Candidate
from services.common.codec import from_jsonable
from services.common.errors import InvalidInput, InvalidRequest, NotFound, Violation
from services.common.files import check_new_folder, new_folder
from services.common.layers import Shape
from services.trainer.checkpoint import learnt_module
from services.trainer.data import Dataset
from services.trainer.model_card import model_card
from services.trainer.onnx_file import INPUT, OUTPUT, TOLERANCE, OnnxCheck, check_installed, write_onnx
from services.trainer.trained import Trained, trained_row

CARD, MODEL, ONNX, WEIGHTS = "README.md", "model.json", "model.onnx", "model.safetensors"

FILES = (CARD, MODEL, ONNX, WEIGHTS)
"""What an export writes, and a later one may replace."""

CHECKED_IMAGES = 512
"""Validation images, at most, that ONNX and torch are compared on."""


class Normalised(nn.Module):
    """A network behind the normalisation of its data set; it reads pixels from 0 to 255.

    Parameters
    ----------
    network : nn.Module
    mean, deviation : tuple of float
        Of each channel.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, network: nn.Module, mean: tuple[float, ...], deviation: tuple[float, ...]) -> None:
        super().__init__()
        self.network = network
        for name, values in (("mean", mean), ("deviation", deviation)):
            self.register_buffer(name, torch.tensor(values, dtype=torch.float32).view(-1, 1, 1))

    def forward(self, pixels: Tensor) -> Tensor:
        """Map N x channels x height x width pixels to N x classes scores."""
        scores: Tensor = self.network((pixels - self.mean) / self.deviation)
        return scores


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What was written.

    Parameters
    ----------
    folder : Path
    files : tuple of Path
    check : OnnxCheck
    """

    folder: Path
    files: tuple[Path, ...]
    check: OnnxCheck


def check_export(folder: Path, *, force: bool = False) -> None:
    """Raise what `export` would, before anything is trained: a folder in use, a library that is missing."""
    if not force and (folder / MODEL).is_file():
        text = "holds an export; give another name, or replace it with --force"
        raise InvalidRequest.of(Violation(str(folder), text))
    check_new_folder(folder, FILES if force else ())
    check_installed()


def export(
    folder: Path,
    trained: Trained,
    weights: bytes,
    dataset: Dataset,
    *,
    force: bool = False,
    beside: Mapping[str, bytes] = MappingProxyType({}),
) -> Exported:
    """Write a trained candidate; the folder is there with all its files, or not at all.

    Parameters
    ----------
    folder : Path
        Absent, or empty.
    trained : Trained
    weights : bytes
        As `Evaluator.weights` gives them.
    dataset : Dataset
        That it was trained on.
    force : bool
        Replace an earlier export; a folder that holds anything else is refused all the same.
    beside : mapping of str to bytes
        Other files to be written with them, by name.

    Raises
    ------
    InvalidRequest
        The folder is in use or cannot be written to, or these are no weights of this candidate.
    NotPossible
        As `write_onnx`.
    """
    check_export(folder, force=force)
    info, candidate = dataset.info, trained.request.candidate
    if info.fingerprint != trained.dataset.fingerprint:
        raise InvalidRequest.of(Violation("dataset", "these are not the images that it was trained on"))
    mean, deviation = dataset.mean, tuple(max(1.0, value) for value in dataset.deviation)
    network = learnt_module(candidate, info.input_shape, info.classes, weights)
    module = Normalised(network, mean, deviation).eval()
    about = {"candidate": str(candidate), "dataset": info.name, "classes": json.dumps(dataset.class_names)}
    images = torch.tensor(dataset.images[dataset.validation[:CHECKED_IMAGES]]).float()
    if len(images) < 2:  # a batch of one would be taken for a fixed one
        images = images.expand(2, -1, -1, -1)
    onnx, check = write_onnx(module, images, about)
    row = trained_row(trained) | {
        "input": {"name": INPUT, "mean": mean, "deviation": deviation, "range": [0, 255]},
        "output": {"name": OUTPUT, "classes": dataset.class_names},
        "onnx_check": asdict(check) | {"tolerance": TOLERANCE},
    }
    told = (
        f"On {check.images} validation images its scores were within {check.largest_difference:.1e} of "
        f"torch's ({check.runtime}, opset {check.opset}; scores up to {check.largest_score:.3g}, "
        f"allowed {TOLERANCE:g} of that)."
    )
    card = model_card(trained, dataset.class_names, _numbers(mean), _numbers(deviation), told)
    written = dict(zip(FILES, (card.encode(), _json(row), onnx, weights), strict=True)) | dict(beside)
    with new_folder(folder, FILES if force else ()) as inside:
        for name, content in written.items():
            (inside / name).write_bytes(content)
    return Exported(folder=folder, files=tuple(folder / name for name in written), check=check)


def load_network(folder: Path | str) -> nn.Module:
    """Load an exported network for torch: pixels in, scores out, in evaluation mode, on the CPU.

    Raises
    ------
    NotFound
        No exported network is there.
    InvalidRequest
        A file is damaged.
    """
    folder = Path(folder)
    try:
        row = json.loads((folder / MODEL).read_text("utf-8"))
        weights = (folder / WEIGHTS).read_bytes()
        candidate = from_jsonable(Candidate, row["candidate"], "candidate")
        shape = from_jsonable(Shape, row["dataset"]["input_shape"], "input_shape")
        network = learnt_module(candidate, shape, row["dataset"]["classes"], weights)
        return Normalised(network, row["input"]["mean"], row["input"]["deviation"]).eval()
    except FileNotFoundError as error:
        text = f"no {Path(error.filename).name} is there; give a folder that an export wrote"
        raise NotFound(f"{folder}: {text}", [Violation(str(folder), text)]) from None
    except (OSError, ValueError, KeyError, TypeError, InvalidInput) as error:
        raise InvalidRequest.of(Violation(str(folder), f"a file of it is damaged: {error}")) from error


def _numbers(values: tuple[float, ...]) -> str:
    return f"[{', '.join(f'{value:.4f}' for value in values)}]"


def _json(row: object) -> bytes:
    return (json.dumps(row, indent=2, allow_nan=False) + "\n").encode()
