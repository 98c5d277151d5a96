"""A torch module as an ONNX file that was seen to give the same scores. Its libraries are an extra."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

from services.common.errors import NotPossible, Violation

INPUT, OUTPUT = "pixels", "scores"

OPSET = 18
"""Of ONNX: what torch's exporter writes without converting; onnxruntime reads it since 1.14."""

TOLERANCE = 1e-4
"""Largest difference of two scores, relative to the largest score: some hundred roundings of float32."""

MAX_BYTES = 2**31 - 2**20
"""A protobuf, which an ONNX file is, ends at 2 GiB."""

JUDGED_AT_ONCE = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class OnnxCheck:
    """How the file's scores compare with torch's.

    Parameters
    ----------
    images : int
        That both judged.
    same_class : int
        Images of these that both put into one class.
    largest_difference, largest_score : float
        Over all images and classes.
    runtime : str
        Such as ``onnxruntime 1.20.0``.
    opset : int
        Of the file.
    """

    images: int
    same_class: int
    largest_difference: float
    largest_score: float
    runtime: str
    opset: int = OPSET


def check_installed() -> None:
    """Raise NotPossible where a library is missing."""
    gone = [name for name in ("onnx", "onnxscript", "onnxruntime") if find_spec(name) is None]
    if gone:
        fix = f"this needs {' and '.join(gone)}; run: pip install 'imcnas[export]'"
        raise NotPossible(f"export: {fix}", [Violation("export", fix)])


def write_onnx(module: nn.Module, images: Tensor, about: dict[str, str]) -> tuple[bytes, OnnxCheck]:
    """Write a module, and compare what onnxruntime computes from it with the module itself.

    Parameters
    ----------
    module : nn.Module
        On the CPU, in evaluation mode.
    images : Tensor
        At least two of N x channels x height x width that both judge; N stays open in the file.
    about : dict of str to str
        Kept in the file.

    Raises
    ------
    NotPossible
        A library is missing, the weights are too many for the format, or the scores differ by more than
        `TOLERANCE`.
    """
    check_installed()
    size = sum(p.numel() * p.element_size() for p in module.parameters())
    if size > MAX_BYTES:
        raise NotPossible(f"export: {size / 2**30:.2f} GiB of weights, and an ONNX file ends at 2 GiB")
    with _quiet():
        program: Any = torch.onnx.export(
            module,
            (images[:2],),
            dynamo=True,
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            verbose=False,
        )
    data = _finished(program, about)
    return data, _compare(data, module, images)


def _finished(program: Any, about: dict[str, str]) -> bytes:
    """Take out the exporter's notes, which quote this machine's paths; put ours in."""
    import onnx
    from onnx_ir.passes.common import ClearMetadataAndDocStringPass

    ClearMetadataAndDocStringPass()(program.model)
    model = program.model_proto
    onnx.helper.set_model_props(model, about)
    onnx.checker.check_model(model, full_check=True)
    written: bytes = model.SerializeToString(deterministic=True)
    return written


@torch.inference_mode()
def _compare(data: bytes, module: nn.Module, images: Tensor) -> OnnxCheck:
    import onnxruntime

    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    wanted, got = [], []
    for batch in (images[:1], *torch.split(images[1:], JUDGED_AT_ONCE)):  # one alone: the batch is open
        wanted.append(module(batch))
        got.append(torch.from_numpy(session.run([OUTPUT], {INPUT: batch.numpy()})[0]))
    theirs, ours = torch.cat(got), torch.cat(wanted)
    check = OnnxCheck(
        images=len(images),
        same_class=int((theirs.argmax(1) == ours.argmax(1)).sum()),
        largest_difference=float((theirs - ours).abs().max()),
        largest_score=float(ours.abs().max()),
        runtime=f"onnxruntime {onnxruntime.__version__}",
    )
    # Written so that a NaN is refused, too.
    if not check.largest_difference <= TOLERANCE * check.largest_score:
        raise NotPossible(
            f"export: nothing was written, as onnxruntime's scores differ from torch's by "
            f"{check.largest_difference:.2g}, with scores up to {check.largest_score:.2g}"
        )
    return check


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep back what the exporter says of its own insides."""
    talks = logging.getLogger("torch.onnx")
    level = talks.level
    talks.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            warnings.simplefilter("ignore", DeprecationWarning)
            yield
    finally:
        talks.setLevel(level)
