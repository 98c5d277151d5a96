"""What crosses the searcher's door."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from enum import StrEnum
from statistics import fmean

from services.common.candidate import Candidate
from services.common.errors import InvalidCandidate, InvalidRequest, Violation, violation
from services.common.layers import Bits
from services.common.limited import at_most
from services.common.space import SearchSpace
from services.hw_oracle.types import ChipConfig, CostReport
from services.searcher.objective import parse_objective
from services.trainer.analog_types import check_chips
from services.trainer.types import AccuracyReport, DatasetInfo, Schedule, TrainRecipe, stderr_frac

MAX_ENQUEUED, MAX_RUNGS = 1000, 100
"""Most candidates that a study evaluates first, and rungs that it has."""


class Strategy(StrEnum):
    """Who proposes the next candidate."""

    TPE = "tpe"
    EVOLUTION = "evolution"
    RANDOM = "random"


class TrialState(StrEnum):
    """A trial is finished when its row says complete or failed."""

    RUNNING = "running"
    COMPLETE = "complete"
    FAILED = "failed"


class Proposal(StrEnum):
    """Where a trial's candidate came from."""

    STRATEGY = "strategy"
    """Asked of the strategy, possibly again after infeasible or duplicate proposals."""
    MUTATION = "mutation"
    """A feasible neighbour of the best, after the strategy ran out of attempts."""
    DRAW = "draw"
    """A feasible random draw, where no mutation was left either."""
    ENQUEUED = "enqueued"
    """Asked for by the study's settings."""


class StudyState(StrEnum):
    """State of a study's search."""

    RUNNING = "running"
    FINISHED = "finished"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"
    """Killed or stopped at once; as every other state, it can be gone on with."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingLimits:
    """What a candidate may need in training; over a limit it is infeasible and never trained.

    Parameters
    ----------
    max_macs : int or None
        Multiply-accumulates of one inference (default 300 million: minutes an epoch on one core).
    max_params : int or None
        Weights and biases (default 10 million).
    max_training_memory_bytes : int or None
        Estimated by `services.common.layers.training_memory_bytes` (default 4 GiB).
    """

    max_macs: int | None = 300_000_000
    max_params: int | None = 10_000_000
    max_training_memory_bytes: int | None = 4 * 2**30

    def __post_init__(self) -> None:
        wrong = [
            violation(f"limits.{name}", value, "an integer of 1 or more")
            for name in ("max_macs", "max_params", "max_training_memory_bytes")
            if (value := getattr(self, name)) is not None and value < 1
        ]
        if wrong:
            raise InvalidRequest.of(*wrong)


@dataclass(frozen=True, slots=True, kw_only=True)
class HardwareLimits:
    """What a candidate may cost on the chip; over a limit it is infeasible, never trained. None is no limit.

    Parameters
    ----------
    max_latency_ns, max_energy_nj, max_area_um2 : float or None
    max_power_w : float or None
        Of all modules at once.
    max_average_power_w : float or None
        Energy over latency.
    max_tiles : int or None
    """

    max_latency_ns: float | None = None
    max_energy_nj: float | None = None
    max_area_um2: float | None = None
    max_power_w: float | None = None
    max_average_power_w: float | None = None
    max_tiles: int | None = None

    def __post_init__(self) -> None:
        wrong = [
            violation(f"hardware_limits.{f.name}", value, "a number above 0")
            for f in fields(self)
            if (value := getattr(self, f.name)) is not None and not 0 < value < math.inf
        ]
        if wrong:
            raise InvalidRequest.of(*wrong)


@dataclass(frozen=True, slots=True, kw_only=True)
class OnChip:
    """How candidates are judged on the study's chip; their accuracy there is what the search goes by.

    Parameters
    ----------
    draws : int
        Chips drawn for each candidate, 1 to 1000, the same ones for all: the accuracy is their mean.
    images : int or None
        Validation images that are judged; None takes all.
    fine_tune_epochs : int
        Epochs in which each network first learns to bear its chip; 0 leaves it as it was trained.
    """

    draws: int = 3
    images: int | None = None
    fine_tune_epochs: int = 0

    def __post_init__(self) -> None:
        try:
            check_chips(self.draws, 0, 0, self.images, self.fine_tune_epochs)
        except InvalidRequest as error:
            raise InvalidRequest.of(
                *(Violation(f"on_chip.{v.field}", v.description) for v in error.violations)
            ) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class OnChipAccuracy:
    """Accuracy of one candidate on drawn chips.

    Parameters
    ----------
    quantised_frac : float
        Of its integers, without a chip.
    draws_frac : tuple of float
        Of each chip, in the folded form.
    images : int
        Validation images that each share is of.
    """

    quantised_frac: float
    draws_frac: tuple[float, ...]
    images: int

    @property
    def mean_frac(self) -> float:
        """Mean over the chips."""
        return fmean(self.draws_frac)


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyConfig:
    """Everything that decides a study's trials; two configurations that differ are two studies.

    Parameters
    ----------
    name : str
        The user's name for the study: 1 to 80 letters, digits, ``. _ -``.
    dataset : DatasetInfo
        As the trainer described it: shape and classes decide the networks, the fingerprint the data.
    space : SearchSpace
    objective : str
        What is maximised: an expression such as ``accuracy/latency``, or ``pareto(accuracy,latency)``; see
        `services.searcher.objective`. Kept as it is always written.
    strategy : Strategy
    chip : ChipConfig
    chip_name : str
        Preset or file that `chip` came from; for people only.
    recipe : TrainRecipe
    limits : TrainingLimits
    bits : Bits
        Bit widths of every layer.
    seed : int
        0 <= seed < 2**31.
    startup_trials : int
        Random trials before the strategy learns from any; those enqueued count.
    hardware_limits : HardwareLimits
    enqueued : tuple of Candidate
        Evaluated first, where they are within the limits; of the space.
    on_chip : OnChip or None
        None goes by the accuracy in floating point.
    rungs : tuple of int
        Epochs after which a candidate is trained on only if it is among the best third of those that came so
        far (successive halving); rising, fewer than the recipe's, which has to be continuable. Empty trains
        every candidate to its end.
    """

    name: str
    dataset: DatasetInfo
    space: SearchSpace
    objective: str
    strategy: Strategy = Strategy.TPE
    chip: ChipConfig
    chip_name: str
    recipe: TrainRecipe
    limits: TrainingLimits = field(default_factory=TrainingLimits)
    bits: Bits = Bits()
    seed: int = 0
    startup_trials: int = 10
    hardware_limits: HardwareLimits = HardwareLimits()
    enqueued: tuple[Candidate, ...] = at_most(MAX_ENQUEUED, ())
    on_chip: OnChip | None = None
    rungs: tuple[int, ...] = at_most(MAX_RUNGS, ())

    def __post_init__(self) -> None:
        wrong = []
        plain = self.name and len(self.name) <= 80 and not self.name.startswith(".")
        if not plain or not all(c.isascii() and (c.isalnum() or c in "._-") for c in self.name):
            wrong.append(
                violation("study", self.name, "1 to 80 letters, digits, dots, underscores or hyphens")
            )
        if not 0 <= self.seed < 2**31:
            wrong.append(violation("seed", self.seed, "0 <= value < 2**31"))
        if self.startup_trials < 1:
            wrong.append(violation("startup_trials", self.startup_trials, "1 or more"))
        if len(self.enqueued) > MAX_ENQUEUED:
            wrong.append(violation("enqueued", f"{len(self.enqueued)} candidates", f"at most {MAX_ENQUEUED}"))
        for i, candidate in enumerate(self.enqueued):
            try:
                self.space.check(candidate)
            except InvalidCandidate as error:
                wrong += [Violation(f"enqueued[{i}].{v.field}", v.description) for v in error.violations]
        wrong += self._wrong_rungs()
        try:
            object.__setattr__(self, "objective", parse_objective(self.objective).text)
        except InvalidRequest as error:
            wrong += error.violations
        if wrong:
            raise InvalidRequest.of(*wrong)

    def _wrong_rungs(self) -> list[Violation]:
        wrong, before = [], 0
        for i, epochs in enumerate(self.rungs):
            if not before < epochs < self.recipe.epochs:
                wanted = f"rising numbers of epochs, fewer than the recipe's {self.recipe.epochs}"
                wrong.append(violation(f"rungs[{i}]", epochs, wanted))
            before = epochs
        if self.rungs and self.recipe.schedule is not Schedule.CONSTANT:
            fix = "take a continuable recipe, such as staged"
            wrong.append(violation("rungs", list(self.rungs), "none with a recipe that plans its end", fix))
        if self.rungs and self.on_chip is not None:
            wrong.append(violation("rungs", list(self.rungs), "none where the accuracy is that on the chip"))
        return wrong


@dataclass(frozen=True, slots=True, kw_only=True)
class Versions:
    """What a trial was made with; empty where it is not known.

    Parameters
    ----------
    imcnas, python, hyperopt : str
        Of the process that searched.
    cost_model : str
    torch : str
        Of the worker that trained it; empty before.
    """

    imcnas: str = ""
    python: str = ""
    hyperopt: str = ""
    cost_model: str = ""
    torch: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One candidate of a study, from its proposal to its result.

    Parameters
    ----------
    number : int
        From 0, in the order of proposal.
    candidate : Candidate
    network_key : str
    state : TrialState
    proposal : Proposal
    attempt : int
        Attempt of the strategy that gave this candidate; earlier ones were infeasible or duplicates.
    infeasible_proposals, duplicate_proposals : int
        How many proposals of each kind came before it.
    cost : CostReport
        Exact, known before training.
    accuracy : AccuracyReport or None
        None while running or when failed.
    fitness : float or None
        The study's objective in its unit (see `services.searcher.objective`); None like `accuracy`.
    failure : str
        Why it failed; empty otherwise.
    ask_s, cost_s, evaluate_s : float
        Wall time of the suggestion, of all hardware costing, and of the evaluation as the loop saw it
        (training and overhead).
    started_at, finished_at : float
        Unix time in seconds; finished_at is 0 while running.
    request_id : str
        Of its evaluation, the same however often the search is resumed.
    seed : int
        Of its training.
    versions : Versions
    on_chip : OnChipAccuracy or None
        None where the study does not ask for it.
    rung_accuracies_frac : tuple of float
        Accuracy after each of the study's rungs that it came to; its training ended at the last one unless
        `accuracy` has all epochs.
    """

    number: int
    candidate: Candidate
    network_key: str
    state: TrialState
    proposal: Proposal
    attempt: int
    infeasible_proposals: int
    duplicate_proposals: int
    cost: CostReport
    accuracy: AccuracyReport | None = None
    fitness: float | None = None
    failure: str = ""
    ask_s: float = 0.0
    cost_s: float = 0.0
    evaluate_s: float = 0.0
    started_at: float = 0.0
    finished_at: float = 0.0
    request_id: str = ""
    seed: int = 0
    versions: Versions = Versions()
    on_chip: OnChipAccuracy | None = None
    rung_accuracies_frac: tuple[float, ...] = ()

    @property
    def accuracy_frac(self) -> float:
        """What the search goes by: on the chip where that was asked for, else in float; 0 if unknown."""
        if self.on_chip is not None:
            return self.on_chip.mean_frac
        return 0.0 if self.accuracy is None else self.accuracy.accuracy_frac

    @property
    def accuracy_stderr_frac(self) -> float:
        """Its standard error, by the number of images; 0 if unknown."""
        if self.on_chip is not None:
            return stderr_frac(self.on_chip.mean_frac, self.on_chip.images)
        return 0.0 if self.accuracy is None else self.accuracy.accuracy_stderr_frac


@dataclass(frozen=True, slots=True, kw_only=True)
class StudySummary:
    """A study in a list; fields as in StudyStatus.

    Parameters
    ----------
    study_id, name : str
    state : StudyState
    objective : str
    trials_wanted, complete, failed, running : int
    created_at : float
        Unix time in seconds.
    failure : str
    """

    study_id: str
    name: str
    state: StudyState
    objective: str
    trials_wanted: int
    complete: int
    failed: int
    running: int
    created_at: float
    failure: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyStatus:
    """A study at one moment.

    Parameters
    ----------
    study_id : str
    config : StudyConfig
    state : StudyState
    trials_wanted : int
    complete, failed, running : int
        Trials by state.
    best : Trial or None
        Of the highest fitness.
    front : tuple of Trial
        Complete trials on the front of the objective's quantities, else of accuracy, latency and energy; by
        rising costs.
    failure : str
        Why the search failed; empty otherwise.
    note : str
        Why a finished search has fewer trials than wanted; empty otherwise.
    """

    study_id: str
    config: StudyConfig
    state: StudyState
    trials_wanted: int
    complete: int
    failed: int
    running: int
    best: Trial | None
    front: tuple[Trial, ...]
    failure: str = ""
    note: str = ""
