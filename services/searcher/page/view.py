"""What a page tells of one study, gathered before anything is drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from services.common.candidate import Block, BlockType, Candidate, candidate_layers
from services.common.errors import ChipTooSmall, InvalidCandidate
from services.common.layers import LayerList
from services.common.network_json import network_key
from services.common.units import format_energy, format_latency
from services.hw_oracle.types import CostReport
from services.searcher.objective import parse_objective
from services.searcher.ranking import front_of
from services.searcher.types import StudyConfig, StudyStatus, Trial, TrialState

Cost = Callable[[LayerList], CostReport]

MAX_NETWORKS = 6
"""Networks that are drawn block by block."""

_VGG_11, _RESNET = (64, 128, 256, 512), (16, 32, 64)
"""Kernels of their stages: of VGG-11's eight convolutions, and of CIFAR-10's ResNets of 6n + 2 layers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A network that readers know, as near as the study's space comes to it.

    Parameters
    ----------
    name : str
    candidate : Candidate
    cost : CostReport
    trial : Trial or None
        Complete trial of the same network, if the study trained it.
    """

    name: str
    candidate: Candidate
    cost: CostReport
    trial: Trial | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyView:
    """A study and all that is drawn of it.

    Parameters
    ----------
    status : StudyStatus
    trials : tuple of Trial
        By number.
    networks : tuple of Trial
        The best and some of the front, with the cost of each layer.
    references : tuple of Reference
    """

    status: StudyStatus
    trials: tuple[Trial, ...]
    networks: tuple[Trial, ...] = ()
    references: tuple[Reference, ...] = ()

    @property
    def config(self) -> StudyConfig:
        """Settings of the study."""
        return self.status.config

    @property
    def complete(self) -> tuple[Trial, ...]:
        """Trials that have an accuracy."""
        return tuple(trial for trial in self.trials if trial.accuracy is not None)

    @property
    def fitness_unit(self) -> str:
        """Unit of the fitness, such as ``1/ms``; empty for a plain number."""
        return parse_objective(self.config.objective).unit

    @property
    def seeks_front(self) -> bool:
        """Whether the objective is a front; the best is then the most accurate."""
        return bool(parse_objective(self.config.objective).front)

    @property
    def front_names(self) -> str:
        """Quantities that the front is of, such as ``accuracy, latency, energy``."""
        return ", ".join(front_of(self.config).front).replace("_", " ")

    def limit(self, name: str) -> float | None:
        """Give a hardware limit by its name, such as ``max_latency_ns``; None where there is none."""
        value = getattr(self.config.hardware_limits, name)
        return None if value is None else float(value)

    def network(self, candidate: Candidate) -> LayerList:
        """Make the network of a candidate for the study's data."""
        return network_of(self.config, candidate)


def study_view(
    status: StudyStatus,
    trials: Sequence[Trial],
    with_layers: Callable[[int], Trial],
    cost: Cost | None = None,
) -> StudyView:
    """Gather what a page tells.

    Parameters
    ----------
    status : StudyStatus
    trials : sequence of Trial
        By number.
    with_layers : callable
        Gives the trial of a number with the cost of each layer.
    cost : callable, optional
        Hardware cost of a network, for the reference networks; None leaves them out.
    """
    networks = tuple(with_layers(number) for number in _shown(status))
    view = StudyView(status=status, trials=tuple(trials), networks=networks)
    return view if cost is None else replace(view, references=tuple(_references(view, cost)))


def _shown(status: StudyStatus) -> list[int]:
    """Choose the best, then others of the front at even distances along it, by rising latency."""
    front = [trial.number for trial in status.front]
    room = MAX_NETWORKS - (status.best is not None)
    others = [number for number in front if status.best is None or number != status.best.number]
    if len(others) > room:
        others = [others[round(i * (len(others) - 1) / (room - 1))] for i in range(room)]
    return [*([status.best.number] if status.best else []), *others]


def _references(view: StudyView, cost: Cost) -> list[Reference]:
    known = {trial.network_key: trial for trial in view.complete}
    found = []
    for name, candidate in reference_candidates(view.config):
        network = view.network(candidate)
        try:
            report = cost(network)
        except ChipTooSmall:
            continue
        trial = known.get(network_key(network))
        found.append(Reference(name=name, candidate=candidate, cost=report, trial=trial))
    return found


def reference_candidates(config: StudyConfig) -> list[tuple[str, Candidate]]:
    """Name the known networks that the space holds: as they are, or narrower."""
    found = []
    for wanted in (_vgg_like(), _resnet_like()):
        for name, blocks in wanted:
            candidate = config.space.candidate(blocks)
            try:
                config.space.check(candidate)
            except InvalidCandidate:
                continue
            found.append((name, candidate))
            break
    return found


def _vgg_like() -> list[tuple[str, tuple[Block, ...]]]:
    return [
        (
            "VGG-11-like" if (stages, part) == (4, 1) else "VGG-like",
            tuple(Block(BlockType.VGG, kernels // part) for kernels in _VGG_11[:stages]),
        )
        for stages in (4, 3, 2)
        for part in (1, 2, 4, 8)
    ]


def _resnet_like() -> list[tuple[str, tuple[Block, ...]]]:
    return [
        (
            f"ResNet-{6 * n + 2}-like",
            tuple(Block(BlockType.RES, kernels // part) for kernels in _RESNET for _ in range(n)),
        )
        for n in (3, 2, 1)
        for part in (1, 2, 4)
    ]


def network_of(config: StudyConfig, candidate: Candidate) -> LayerList:
    """Make the network of a candidate for a study's data."""
    return candidate_layers(candidate, config.dataset.input_shape, config.dataset.classes, config.bits)


def percent(trial: Trial) -> float:
    """Give the accuracy of a complete trial in percent."""
    return 100 * trial.accuracy_frac


def stderr_percent(trial: Trial) -> float:
    """Give its standard error in percentage points."""
    return 100 * trial.accuracy_stderr_frac


def pretty(text: str) -> str:
    """Write units as people read them: µs, µJ, mm²."""
    return text.replace(" u", " µ").replace("m2", "m²")


def latency(cost: Any) -> str:
    """Write a latency for people; `cost` is anything that has one."""
    return pretty(format_latency(cost.latency_ns))


def energy(cost: Any) -> str:
    """Write an energy for people; `cost` is anything that has one."""
    return pretty(format_energy(cost.energy_nj))


def told(trial: Trial) -> str:
    """Tell a complete trial in one line."""
    accuracy = f"{percent(trial):.1f} ± {stderr_percent(trial):.1f} %"
    return f"{trial.candidate}, trial {trial.number}: {accuracy}, {latency(trial.cost)}, {energy(trial.cost)}"


def finished(trials: Sequence[Trial]) -> list[Trial]:
    """Give the trials that have ended, complete or failed, in the order in which they did."""
    ended = [trial for trial in trials if trial.state is not TrialState.RUNNING]
    return sorted(ended, key=lambda trial: (trial.finished_at, trial.number))
