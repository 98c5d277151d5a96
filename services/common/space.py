"""The search space: which candidates exist, how many, and a uniform draw from them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib import resources
from random import Random
from typing import Any

from services.common.candidate import (
    MAX_BLOCKS,
    MAX_KERNELS,
    Block,
    BlockType,
    Candidate,
    Head,
    Projection,
)
from services.common.codec import from_jsonable
from services.common.errors import (
    InvalidCandidate,
    InvalidInput,
    NotFound,
    Violation,
    check_type,
    one_of,
    violation,
)
from services.common.files import parse_toml, read_file
from services.common.limited import at_most

SPACES = ("paper", "small")
"""Spaces that ship with the project, by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchSpace:
    """Every candidate of `min_depth` to `max_depth` blocks, each of any type and kernel count.

    Attributes
    ----------
    choices : tuple of Block
        Every block that may stand at a place, types first.

    Raises
    ------
    InvalidCandidate
        An empty or repeated choice, an impossible depth, or a block that no candidate may have.
    """

    block_types: tuple[BlockType, ...] = at_most(MAX_BLOCKS)
    kernel_counts: tuple[int, ...] = at_most(MAX_KERNELS)
    min_depth: int
    max_depth: int
    head: Head = Head()
    projection: Projection = Projection.ALWAYS
    choices: tuple[Block, ...] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        wrong = [
            violation(name, f"{len(values)} values", "different values, at least one")
            for name, values in (("block_types", self.block_types), ("kernel_counts", self.kernel_counts))
            if not values or len(set(values)) < len(values)
        ]
        wrong += [
            violation(f"kernel_counts[{i}]", kernels, f"an integer from 1 to {MAX_KERNELS}")
            for i, kernels in enumerate(self.kernel_counts)
            if type(kernels) is not int or not 1 <= kernels <= MAX_KERNELS
        ]
        wrong += [
            violation(name, depth, f"an integer from 1 to {MAX_BLOCKS}")
            for name, depth in (("min_depth", self.min_depth), ("max_depth", self.max_depth))
            if type(depth) is not int or not 1 <= depth <= MAX_BLOCKS
        ]
        if not wrong and self.min_depth > self.max_depth:
            wrong.append(violation("min_depth", self.min_depth, f"1 to max_depth ({self.max_depth})"))
        if wrong:
            raise InvalidCandidate.of(*wrong)
        choices = tuple(Block(t, k) for t in self.block_types for k in self.kernel_counts)
        object.__setattr__(self, "choices", choices)
        self.candidate((choices[0],))  # checks the head

    @property
    def depths(self) -> range:
        """Every allowed number of blocks."""
        return range(self.min_depth, self.max_depth + 1)

    def count(self) -> int:
        """Exact number of configurations: the sum over depths d of choices**d."""
        return sum(len(self.choices) ** d for d in self.depths)

    def candidate(self, blocks: tuple[Block, ...]) -> Candidate:
        """Make the candidate of these blocks with this space's head and projection."""
        return Candidate(blocks=blocks, head=self.head, projection=self.projection)

    def candidate_at(self, index: int) -> Candidate:
        """Candidate number `index`, 0 <= index < count(): by depth, then as a number in base choices."""
        rest, choices = index, self.choices
        for depth in self.depths:
            size = len(choices) ** depth
            if 0 <= rest < size:
                digits = [rest // len(choices) ** place % len(choices) for place in range(depth)]
                return self.candidate(tuple(choices[d] for d in reversed(digits)))
            rest -= size
        raise IndexError(f"candidate {index} of {self.count()}")

    def sample(self, rng: Random) -> Candidate:
        """Draw uniformly over configurations; most have the largest depth."""
        return self.candidate_at(rng.randrange(self.count()))

    def check(self, candidate: Candidate) -> None:
        """Raise InvalidCandidate unless `candidate` belongs to this space."""
        wrong = []
        if len(candidate.blocks) not in self.depths:
            depths = f"{self.min_depth} to {self.max_depth} blocks"
            wrong.append(violation("blocks", f"{len(candidate.blocks)} blocks", depths))
        known = set(self.kernel_counts)
        for i, block in enumerate(candidate.blocks):
            if block.type not in self.block_types:
                wrong.append(violation(f"blocks[{i}].type", str(block.type), one_of(self.block_types)))
            if block.kernels not in known:
                counts = one_of(map(str, self.kernel_counts))
                wrong.append(violation(f"blocks[{i}].kernels", block.kernels, counts))
        if (candidate.head, candidate.projection) != (self.head, self.projection):
            wrong.append(Violation("head", "head and projection differ from the space's"))
        if wrong:
            raise InvalidCandidate.of(*wrong)


def number_blocks(space: SearchSpace, candidates: Iterable[Candidate]) -> tuple[list[int], list[int]]:
    """Depth of each candidate, and of all their blocks the numbers: each one's place in ``space.choices``.

    Raises
    ------
    InvalidCandidate
        A candidate is not one of the space's; its place among them is named.
    """
    place, depths, choices = {block: i for i, block in enumerate(space.choices)}, [], []
    for i, candidate in enumerate(candidates):
        check_type(f"candidates[{i}]", candidate, Candidate)
        try:
            space.check(candidate)
        except InvalidCandidate as error:
            wrong = [Violation(f"candidates[{i}].{v.field}", v.description) for v in error.violations]
            raise InvalidCandidate.of(*wrong) from None
        depths.append(len(candidate.blocks))
        choices += [place[block] for block in candidate.blocks]
    return depths, choices


def load_space(name: str) -> SearchSpace:
    """Read a space by its name (see SPACES) or from a TOML file (a path that ends in .toml).

    Raises
    ------
    NotFound
        No space or file of that name.
    InvalidCandidate
        The file's content is wrong; the file and the field are named.
    """
    if name in SPACES:
        folder = resources.files("services.common") / "spaces"
        return _space_from_toml((folder / f"{name}.toml").read_text("utf-8"))
    if name.endswith(".toml"):
        return read_file(name, _space_from_toml, InvalidCandidate)
    raise NotFound.of(violation("space", name, f"{one_of(SPACES, name)}, or the path of a .toml file"))


def _space_from_toml(text: str) -> SearchSpace:
    return space_from_dict(parse_toml(text, InvalidCandidate))


def space_from_dict(table: dict[str, Any]) -> SearchSpace:
    """Build a space from a TOML table; unknown keys are errors."""
    try:
        return from_jsonable(SearchSpace, table)
    except InvalidCandidate:
        raise
    except InvalidInput as error:
        raise InvalidCandidate(error.message, error.violations) from None
