"""The search space: which candidates exist, how many, and a uniform draw from them."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from random import Random
from typing import Any

from services.common.candidate import Block, BlockType, Candidate, Head, Projection
from services.common.errors import InvalidCandidate, NotFound, Violation, one_of, violation

SPACES = ("paper", "small")
"""Spaces that ship with the project, by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchSpace:
    """Every candidate of `min_depth` to `max_depth` blocks, each of any type and kernel count.

    Raises
    ------
    InvalidCandidate
        An empty or repeated choice, an impossible depth, or a block that no candidate may have.
    """

    block_types: tuple[BlockType, ...]
    kernel_counts: tuple[int, ...]
    min_depth: int
    max_depth: int
    head: Head = Head()
    projection: Projection = Projection.ALWAYS

    def __post_init__(self) -> None:
        wrong = [
            violation(name, list(values), "a list of different values, at least one")
            for name, values in (("block_types", self.block_types), ("kernel_counts", self.kernel_counts))
            if not values or len(set(values)) < len(values)
        ]
        if not 1 <= self.min_depth <= self.max_depth:
            wrong.append(violation("min_depth", self.min_depth, f"1 to max_depth ({self.max_depth})"))
        if wrong:
            raise InvalidCandidate.of(*wrong)
        for kernels in self.kernel_counts:  # the deepest candidate checks head, depth and kernels
            self.candidate((Block(self.block_types[0], kernels),) * self.max_depth)

    @property
    def choices(self) -> tuple[Block, ...]:
        """Every block that may stand at a place, types first."""
        return tuple(Block(t, k) for t in self.block_types for k in self.kernel_counts)

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
        for i, block in enumerate(candidate.blocks):
            if block.type not in self.block_types:
                wrong.append(violation(f"blocks[{i}].type", str(block.type), one_of(self.block_types)))
            if block.kernels not in self.kernel_counts:
                counts = one_of(map(str, self.kernel_counts))
                wrong.append(violation(f"blocks[{i}].kernels", block.kernels, counts))
        if (candidate.head, candidate.projection) != (self.head, self.projection):
            wrong.append(Violation("head", "head and projection differ from the space's"))
        if wrong:
            raise InvalidCandidate.of(*wrong)


def load_space(name: str) -> SearchSpace:
    """Read a space by its name (see SPACES) or from a TOML file (a path that ends in .toml).

    Raises
    ------
    NotFound
        No space or file of that name.
    InvalidCandidate
        The file's content is wrong; the field is named.
    """
    if name in SPACES:
        text = (resources.files("services.common") / "spaces" / f"{name}.toml").read_text("utf-8")
    elif name.endswith(".toml") and Path(name).is_file():
        text = Path(name).read_text("utf-8")
    else:
        wanted = f"{one_of(SPACES, name)}, or the path of a .toml file"
        raise NotFound(str(v := violation("space", name, wanted)), [v])
    try:
        return space_from_dict(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise InvalidCandidate.of(Violation("space", f"{name} is not TOML: {error}")) from None


def space_from_dict(table: dict[str, Any]) -> SearchSpace:
    """Build a space from a TOML table or a stored study; unknown keys are errors."""
    values = dict(table)
    head = values.pop("head", {})
    if not isinstance(head, dict):
        raise InvalidCandidate.of(violation("head", head, "a table"))
    known = ("block_types", "kernel_counts", "min_depth", "max_depth", "projection")
    wrong = [Violation(k, f"unknown key, wanted {one_of(known, k)}") for k in values if k not in known]
    wrong += [
        Violation(f"head.{k}", "unknown key, wanted hidden_features or dropout_frac")
        for k in head
        if k not in ("hidden_features", "dropout_frac")
    ]
    wrong += [violation(k, "nothing", "a value") for k in known[:-1] if k not in values]
    wrong += [
        violation("block_types", t, one_of(BlockType, str(t)))
        for t in values.get("block_types", ())
        if t not in list(BlockType)
    ]
    projection = values.get("projection", "always")
    if projection not in list(Projection):
        wrong.append(violation("projection", projection, one_of(Projection, str(projection))))
    if wrong:
        raise InvalidCandidate.of(*wrong)
    try:
        return SearchSpace(
            block_types=tuple(BlockType(t) for t in values["block_types"]),
            kernel_counts=tuple(values["kernel_counts"]),
            min_depth=values["min_depth"],
            max_depth=values["max_depth"],
            head=Head(
                hidden_features=tuple(head.get("hidden_features", Head().hidden_features)),
                dropout_frac=head.get("dropout_frac", Head().dropout_frac),
            ),
            projection=Projection(projection),
        )
    except TypeError as error:
        raise InvalidCandidate.of(Violation("space", f"a value has the wrong type: {error}")) from None


def space_to_dict(space: SearchSpace) -> dict[str, Any]:
    """Make the table that `space_from_dict` reads."""
    return {
        "block_types": [str(t) for t in space.block_types],
        "kernel_counts": list(space.kernel_counts),
        "min_depth": space.min_depth,
        "max_depth": space.max_depth,
        "projection": str(space.projection),
        "head": {
            "hidden_features": list(space.head.hidden_features),
            "dropout_frac": space.head.dropout_frac,
        },
    }
