"""Chips that differ in chosen fields: every combination of their values."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod

from services.common.errors import (
    ImcnasError,
    InvalidChip,
    InvalidInput,
    InvalidRequest,
    NotPossible,
    violation,
)
from services.common.layers import LayerList
from services.hw_oracle.derived import derive, totals
from services.hw_oracle.fields import Value, field_value, full_path, read_value, with_fields
from services.hw_oracle.types import ChipConfig, CostReport

MAX_OUTCOMES = 100_000
"""Most combinations of one sweep, over all its networks."""

_ROWS, _SUBARRAY_ROWS = "tile.pe.crossbar.rows", "tile.pe.crossbar.subarray_rows"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A field of the chip and the values it takes in turn.

    Parameters
    ----------
    name : str
        As it was written.
    path : str
        In full.
    values : tuple of Value
    """

    name: str
    path: str
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Combination:
    """One value for each setting, and the chip they make or why they make none."""

    values: tuple[Value, ...]
    chip: ChipConfig | InvalidChip


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A network on one combination.

    Parameters
    ----------
    network : str
        Its name.
    values : tuple of Value
        One for each setting.
    totals : dict of str to float
        As `services.hw_oracle.derived.totals` gives them; empty where it failed.
    error : ImcnasError or None
    """

    network: str
    values: tuple[Value, ...]
    totals: dict[str, float]
    error: ImcnasError | None = None


def read_setting(text: str) -> Setting:
    """Read ``FIELD=VALUE,VALUE...``; the field may be any end of its path that means one field.

    Raises
    ------
    InvalidRequest
        Another form, an unknown or ambiguous field, or a value of another type than the field's.
    """
    name, equals, values = (part.strip() for part in text.partition("="))
    texts = [value.strip() for value in values.split(",")]
    if not equals or not all(texts):
        wanted = "FIELD=VALUE,VALUE, such as crossbar.rows=128,256"
        raise InvalidRequest.of(violation("--set", text, wanted))
    path = full_path(name)
    read = [read_value(path, value) for value in texts]
    return Setting(name=name, path=path, values=tuple(dict.fromkeys(read)))


def read_settings(texts: Sequence[str]) -> tuple[Setting, ...]:
    """Read the settings of a sweep.

    Raises
    ------
    InvalidRequest
        As `read_setting`, or a field is set twice.
    """
    settings = tuple(read_setting(text) for text in texts)
    for position, setting in enumerate(settings):
        if setting.path in [earlier.path for earlier in settings[:position]]:
            fix = "give all its values in one --set"
            raise InvalidRequest.of(violation("--set", setting.name, "each field once", fix))
    return settings


def count_outcomes(settings: Sequence[Setting], networks: int) -> int:
    """Count what a sweep has to cost.

    Raises
    ------
    InvalidRequest
        More than `MAX_OUTCOMES`.
    """
    count = prod((len(setting.values) for setting in settings), start=networks)
    if count > MAX_OUTCOMES:
        wanted = f"at most {MAX_OUTCOMES:,}"
        raise InvalidRequest.of(violation("--set", f"{count:,} combinations", wanted, "give fewer values"))
    return count


def subarrays_follow(chip: ChipConfig, settings: Sequence[Setting]) -> bool:
    """Whether a crossbar's rows are set on a chip that does not divide them: it then stays undivided."""
    paths = [setting.path for setting in settings]
    undivided = field_value(chip, _ROWS) == field_value(chip, _SUBARRAY_ROWS)
    return undivided and _ROWS in paths and _SUBARRAY_ROWS not in paths


def sweep(
    networks: Sequence[tuple[str, LayerList]],
    chip: ChipConfig,
    settings: Sequence[Setting],
    evaluate: Callable[[LayerList, ChipConfig], CostReport],
) -> Iterator[Outcome]:
    """Cost each named network on every combination with `evaluate`; one that fails is an outcome, too."""
    for name, network in networks:
        for combination in combinations(chip, settings):
            made, totals_of, error = combination.chip, dict[str, float](), None
            try:
                if isinstance(made, InvalidChip):
                    raise made
                report = evaluate(network, made)
                totals_of = totals(report, derive(network, made, report))
            except (InvalidInput, NotPossible) as wrong:
                error = wrong
            yield Outcome(network=name, values=combination.values, totals=totals_of, error=error)


def combinations(chip: ChipConfig, settings: Sequence[Setting]) -> Iterator[Combination]:
    """Yield every combination, the last setting's values in the innermost turn.

    What is not set is as in `chip`, but `subarrays_follow`.
    """
    follow = subarrays_follow(chip, settings)
    for values in product(*(setting.values for setting in settings)):
        changed: Mapping[str, Value] = {s.path: value for s, value in zip(settings, values, strict=True)}
        if follow:
            changed = {**changed, _SUBARRAY_ROWS: changed[_ROWS]}
        try:
            made: ChipConfig | InvalidChip = with_fields(chip, changed)
        except InvalidChip as error:
            made = error
        yield Combination(values=values, chip=made)
