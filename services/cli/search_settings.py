"""What `imcnas search` was asked for -> the settings of a study."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from services.cli.arguments import STORE
from services.cli.console import MESSAGES
from services.common.candidate import Candidate, parse_blocks
from services.common.errors import InvalidCandidate, InvalidRequest, Violation, violation
from services.common.space import SearchSpace
from services.common.units import parse_area, parse_count, parse_energy, parse_latency, parse_power
from services.hw_oracle.chips import DEFAULT
from services.searcher.types import HardwareLimits, Strategy, StudyStatus

if TYPE_CHECKING:
    from services.searcher.store import Store

DEFAULT_RECIPE = "quick"
MAX_NAME = 80


def choices(
    space: str, objective: str, strategy: Strategy, chip: str, recipe: str, seed: int, startup_trials: int
) -> dict[str, Any]:
    """Read what was chosen by name, before anything is started: the settings of a study but name and data."""
    from services.common.space import load_space
    from services.hw_oracle.chips import load_chip
    from services.searcher.objective import parse_objective
    from services.trainer.recipe import load_recipe

    return {
        "space": load_space(space),
        "objective": parse_objective(objective).text,
        "strategy": strategy,
        "chip": load_chip(chip),
        "chip_name": chip,
        "recipe": load_recipe(recipe),
        "seed": seed,
        "startup_trials": startup_trials,
    }


def hardware_limits(limits: dict[str, str]) -> HardwareLimits:
    """Read the limits that were given."""
    parsers: dict[str, Callable[[str, str], float]] = {
        "ns": parse_latency, "nj": parse_energy, "um2": parse_area, "w": parse_power, "tiles": parse_count
    }  # fmt: skip
    found: dict[str, Any] = {}
    for name, text in limits.items():
        quantity, _, unit = name.rpartition("_")
        option = f"--max-{(quantity or unit).replace('_', '-')}"
        found[f"max_{name}"] = parsers[unit](text, option)
    return HardwareLimits(**found)


def default_name(
    dataset: str, space: str, chip: str, recipe: str, wanted: dict[str, Any], limits: dict[str, str]
) -> str:
    """Name a study by its settings: the main ones always, the others where they are not the defaults."""
    parts = [dataset, Path(space).stem, wanted["objective"].replace("/", "-per-")]
    parts += [f"max-{name.rpartition('_')[0] or name}-{text}" for name, text in limits.items()]
    others = (
        (wanted["strategy"], Strategy.TPE),
        (Path(recipe).stem, DEFAULT_RECIPE),
        (Path(chip).stem, DEFAULT),
    )
    parts += [value for value, default in others if value != default]
    parts += (
        ["on-chip"] * ("on_chip" in wanted)
        + [f"rungs-{epochs}" for epochs in wanted["rungs"]]
        + ["warm"] * bool(wanted["enqueued"])
    )
    name = re.sub(r"[^A-Za-z0-9._]+", "-", "-".join([*parts, f"seed{wanted['seed']}"]))
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return name if len(name) <= MAX_NAME else f"{name[: MAX_NAME - 9]}-{digest}"


def checked(name: str) -> str:
    """Refuse a name that is taken by a file of ours."""
    if name == STORE:
        raise InvalidRequest.of(violation("--study", name, "another name; this is the file of the studies"))
    return name


def enqueued(texts: Sequence[str], space: SearchSpace) -> tuple[Candidate, ...]:
    """Read the candidates to evaluate first.

    Raises
    ------
    InvalidRequest
        One that is no network of the space.
    """
    found = []
    for text in texts:
        try:
            candidate = space.candidate(parse_blocks(text))
            space.check(candidate)
        except InvalidCandidate as error:
            wrong = (Violation(f"--enqueue {text}: {v.field}", v.description) for v in error.violations)
            raise InvalidRequest.of(*wrong) from None
        found.append(candidate)
    return tuple(found)


def stored_status(store: Store, study: str) -> StudyStatus:
    """Tell how a study of the store stands; NotFound if there is none of that name."""
    from services.searcher.status import study_status

    record = store.study(study)
    return study_status(record, store.trials(record))


def front_within(other: StudyStatus, space: SearchSpace) -> tuple[Candidate, ...]:
    """Take those networks of another study's front that the space has."""
    found, skipped = [], 0
    for trial in other.front:
        candidate = space.candidate(trial.candidate.blocks)
        try:
            space.check(candidate)
        except InvalidCandidate:
            skipped += 1
        else:
            found.append(candidate)
    if skipped or not found:
        text = f"Note: of the front of {other.config.name}, {len(found)} are evaluated first"
        MESSAGES.print(text + f"; {skipped} are not in this space" * bool(skipped), markup=False)
    return tuple(found)


def parse_rungs(text: str) -> tuple[int, ...]:
    """Read numbers of epochs such as ``6,18``; InvalidRequest for anything else."""
    parts = [part.strip() for part in text.split(",")] if text.strip() else []
    if not all(part.isascii() and part.isdigit() and len(part) < 6 for part in parts):
        raise InvalidRequest.of(violation("--rungs", text, "numbers of epochs with commas, such as 6,18"))
    return tuple(map(int, parts))
