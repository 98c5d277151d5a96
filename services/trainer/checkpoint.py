"""What a training has learnt as bytes, and back: safetensors, so that reading runs nothing."""

from __future__ import annotations

import json
from dataclasses import asdict

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from services.common.candidate import Candidate
from services.common.errors import InvalidRequest, Violation
from services.common.layers import Shape
from services.trainer.build import build_module
from services.trainer.types import EpochReport


class BadCheckpoint(Exception):
    """The bytes are no checkpoint of this training, or damaged."""


MODULE, MOMENTUM, GENERATOR = "module.", "momentum.", "generator."


def pack_weights(module: nn.Module, **about: str) -> bytes:
    """Write a module's state, on the CPU, with what it is about as metadata."""
    return save({name: _plain(value) for name, value in module.state_dict().items()}, about)


def learnt_module(candidate: Candidate, shape: Shape, classes: int, weights: bytes) -> nn.Module:
    """Make the module of a candidate with weights as `Evaluator.weights` gives them, in evaluation mode.

    Raises
    ------
    InvalidRequest
        They are those of another candidate, or damaged.
    """
    with torch.device("meta"):  # no memory and no random draws: all of it is loaded
        network = build_module(candidate, shape, classes)
    try:
        network.load_state_dict(load(weights), assign=True)
    except (SafetensorError, RuntimeError) as error:
        text = f"are not those of {candidate}: {str(error).splitlines()[0]}"
        raise InvalidRequest.of(Violation("weights", text)) from error
    return network.eval()


def pack_checkpoint(
    module: nn.Module,
    optimiser: torch.optim.Optimizer,
    generators: dict[str, torch.Generator],
    epochs: tuple[EpochReport, ...],
) -> bytes:
    """Write all that decides how a training goes on, and the epochs that it has had."""
    tensors = {MODULE + name: _plain(value) for name, value in module.state_dict().items()}
    for name, parameter in module.named_parameters():
        momentum = optimiser.state[parameter].get("momentum_buffer")
        if momentum is not None:
            tensors[MOMENTUM + name] = _plain(momentum)
    tensors |= {GENERATOR + name: generator.get_state() for name, generator in generators.items()}
    return save(tensors, {"epochs": json.dumps([asdict(epoch) for epoch in epochs])})


def unpack_checkpoint(
    data: bytes,
    module: nn.Module,
    optimiser: torch.optim.Optimizer,
    generators: dict[str, torch.Generator],
) -> tuple[EpochReport, ...]:
    """Put what `pack_checkpoint` wrote into a module, an optimiser and generators; give the epochs.

    Raises
    ------
    BadCheckpoint
        What was given may then be half filled.
    """
    try:
        tensors = load(data)
        size = int.from_bytes(data[:8], "little")
        epochs = json.loads(json.loads(data[8 : 8 + size])["__metadata__"]["epochs"])
        reports = tuple(EpochReport(**epoch) for epoch in epochs)
        module.load_state_dict({name: tensors[MODULE + name] for name in module.state_dict()})
        for name, parameter in module.named_parameters():
            if MOMENTUM + name in tensors:
                # Laid out as a step would have: the optimiser rounds by layout.
                momentum = torch.empty_like(parameter).copy_(tensors[MOMENTUM + name])
                optimiser.state[parameter]["momentum_buffer"] = momentum.detach()
        for name, generator in generators.items():
            generator.set_state(tensors[GENERATOR + name])
    except (SafetensorError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise BadCheckpoint(f"{type(error).__name__}: {error}") from error
    return reports


def _plain(value: Tensor) -> Tensor:
    return value.detach().cpu().contiguous()
