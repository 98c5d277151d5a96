"""What candidates of a search space cost: many at once, by the numbers of their blocks."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from math import nan

import numpy as np

from services.common.candidate import MAX_BLOCKS, candidate_layers
from services.common.errors import (
    MAX_TOLD,
    ErrorReport,
    ImcnasError,
    InvalidCandidate,
    InvalidRequest,
    error_report,
    violation,
)
from services.common.layers import Bits, Shape, macs, params, size_violations
from services.common.space import SearchSpace
from services.hw_oracle import reference
from services.hw_oracle.compiled.candidates import expand
from services.hw_oracle.compiled.pack import Integers, Records, pack_chip
from services.hw_oracle.compiled.records import OK
from services.hw_oracle.compiled.run import CHUNK, Checkpoint, cores, go_on, run
from services.hw_oracle.types import (
    CANDIDATE_COLUMNS,
    CandidateCosts,
    CandidateError,
    ChipConfig,
    chip_hash,
    merge_costs,
)
from services.hw_oracle.version import MODEL_VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberedCandidates:
    """Candidates of one space for one kind of image on one chip.

    Parameters
    ----------
    space : SearchSpace
    input_shape : Shape
        Of an image: square, at least 2 wide.
    classes : int
    bits : Bits
        Of every layer.
    chip : ChipConfig
    depths : (n,) int64
        Blocks of each candidate.
    choices : (sum of depths,) int64
        Number of each block: its place in ``space.choices``; candidate after candidate.

    Raises
    ------
    InvalidRequest
        Depths that no candidate has, or that do not add up to the number of choices; bits that are none.
    InvalidCandidate
        Images or classes that no candidate fits.
    """

    space: SearchSpace
    input_shape: Shape
    classes: int
    bits: Bits
    chip: ChipConfig
    depths: Integers
    choices: Integers

    def __post_init__(self) -> None:
        for i in np.flatnonzero((self.depths < 1) | (self.depths > MAX_BLOCKS)):  # no sum leaves 64 bits then
            wanted = f"1 to {MAX_BLOCKS} blocks"
            raise InvalidRequest.of(violation(f"depths[{i}]", int(self.depths[i]), wanted))
        if len(self.choices) != self.depths.sum():
            wanted = f"as many as the depths add up to, {self.depths.sum()}"
            raise InvalidRequest.of(violation("choices", f"{len(self.choices)} choices", wanted))
        if wrong := list(size_violations("bits", self.bits)):
            raise InvalidRequest.of(*wrong)
        simplest = self.space.candidate((self.space.choices[0],))
        candidate_layers(simplest, self.input_shape, self.classes, self.bits)

    def chunks(self, size: int = CHUNK) -> Iterator[NumberedCandidates]:
        """Split them into parts of at most so many candidates."""
        ends = np.concatenate([[0], self.depths.cumsum()])
        for first in range(0, max(1, len(self.depths)), size):
            depths = self.depths[first : first + size]
            choices = self.choices[ends[first] : ends[first + len(depths)]]
            yield replace(self, depths=depths, choices=choices)


def cost_candidates(batch: NumberedCandidates) -> CandidateCosts:
    """Cost candidates on all cores."""
    with ThreadPoolExecutor(cores()) as pool:
        return merge_costs(list(pool.map(cost_chunk, batch.chunks())))


def cost_chunk(batch: NumberedCandidates, checkpoint: Checkpoint = go_on) -> CandidateCosts:
    """Cost candidates in this thread; of an error the first violations tell enough."""
    known = (batch.choices >= 0) & (batch.choices < len(batch.space.choices))
    networks = expand(
        batch.space,
        batch.input_shape,
        batch.classes,
        batch.depths,
        np.where(known, batch.choices, 0),
        batch.bits,
    )
    totals = run(networks, pack_chip(batch.chip), checkpoint)
    ends = batch.depths.cumsum()
    sound = np.isin(batch.depths, batch.space.depths) & (totals["status"] == OK)
    sound[np.searchsorted(ends, np.flatnonzero(~known), "right")] = False
    errors = []
    for i in np.flatnonzero(~sound).tolist():
        checkpoint()
        error = _cost_one(batch, batch.choices[ends[i] - batch.depths[i] : ends[i]].tolist(), totals[i])
        if error is not None:
            errors.append(CandidateError(index=i, error=error))
    columns = {name: tuple(totals[name].tolist()) for name in CANDIDATE_COLUMNS}
    return CandidateCosts(
        model_version=MODEL_VERSION, chip_hash=chip_hash(batch.chip), **columns, errors=tuple(errors)
    )


def _cost_one(batch: NumberedCandidates, choices: list[int], total: Records) -> ErrorReport | None:
    """Let the reference cost a candidate that the kernel left to it; say why where it cannot."""
    blocks, space = batch.space.choices, batch.space
    for name in CANDIDATE_COLUMNS:
        total[name] = nan if total.dtype[name].kind == "f" else 0
    try:
        for place, choice in enumerate(choices):
            if not 0 <= choice < len(blocks):
                raise InvalidCandidate.of(violation(f"blocks[{place}]", choice, f"0 to {len(blocks) - 1}"))
        candidate = space.candidate(tuple(blocks[choice] for choice in choices))
        space.check(candidate)
        network = candidate_layers(candidate, batch.input_shape, batch.classes, batch.bits)
        report = reference.evaluate(network, batch.chip)
    except ImcnasError as error:
        return replace(found := error_report(error), violations=found.violations[:MAX_TOLD])
    for name in CANDIDATE_COLUMNS[:6]:
        total[name] = getattr(report, name)
    total["macs"], total["params"] = macs(network), params(network)
    return None
