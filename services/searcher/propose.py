"""From a strategy's proposals to the next candidate: within every limit, and not trained before."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from services.common.candidate import Block, Candidate, candidate_layers
from services.common.errors import ChipTooSmall
from services.common.layers import LayerList
from services.common.network_json import network_key
from services.common.space import SearchSpace
from services.hw_oracle.types import CostReport
from services.searcher.evolution import EvolutionStrategy, mutations
from services.searcher.limits import over_hardware_limit, over_limit
from services.searcher.ranking import best_trial, losses
from services.searcher.strategies import Asker, Losses, RandomStrategy, draw_blocks
from services.searcher.types import Proposal, Strategy, StudyConfig, Trial, TrialState

ATTEMPTS = 50
"""How often a strategy is asked for one trial before a mutation or a draw replaces it."""

ENUMERABLE = 20_000
"""A space of at most so many configurations is searched to its end for one that is left."""

DRAWS = 5_000
"""Random draws from a larger space before it is taken to hold no candidate that is left."""


class SpaceExhausted(Exception):
    """No candidate within the limits is left that was not trained; its text is for the user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposed:
    """The next candidate; fields as in `services.searcher.types.Trial`."""

    candidate: Candidate
    network_key: str
    cost: CostReport
    proposal: Proposal
    attempt: int
    infeasible_proposals: int
    duplicate_proposals: int
    ask_s: float
    cost_s: float

    def trial(self, number: int) -> Trial:
        """Make the trial that begins with it, now."""
        fields = {name: getattr(self, name) for name in self.__slots__}
        return Trial(number=number, state=TrialState.RUNNING, started_at=time.time(), **fields)


class Proposer:
    """Finds the next candidate of a study.

    The answer depends on the study and its trials alone, so a resumed search goes on as an unbroken one.

    Parameters
    ----------
    config : StudyConfig
    cost : callable
        Hardware cost of a network; raises ChipTooSmall where it does not fit, which makes it infeasible.
    """

    def __init__(self, config: StudyConfig, cost: Callable[[LayerList], CostReport]) -> None:
        self._config = config
        self._cost = cost
        self._asker = make_strategy(config, self._losses)
        self._known: Mapping[int, float] | None = None

    def propose(self, history: Sequence[Trial]) -> Proposed:
        """Propose the candidate of trial number ``len(history)``.

        Raises
        ------
        SpaceExhausted
            When none is left.
        """
        begin = time.perf_counter()
        self._known = None
        config, batch_size = self._config, self._config.recipe.batch_size
        known = {trial.network_key for trial in history}
        infeasible = duplicates = 0
        cost_s = 0.0
        reason = ""
        for proposal, attempt, blocks in self._proposals(history):
            candidate = config.space.candidate(blocks)
            shape, classes = config.dataset.input_shape, config.dataset.classes
            network = candidate_layers(candidate, shape, classes, config.bits)
            key = network_key(network)
            if key in known:
                duplicates += 1
                continue
            excess = over_limit(network, config.limits, batch_size)
            if excess is None:
                asked = time.perf_counter()
                try:
                    cost = self._cost(network)
                    excess = over_hardware_limit(cost, config.hardware_limits)
                except ChipTooSmall as error:
                    excess = str(error)
                cost_s += time.perf_counter() - asked
            if excess is not None:
                infeasible += 1
                reason = f"{candidate} {excess}"
                continue
            return Proposed(
                candidate=candidate,
                network_key=key,
                cost=cost,
                proposal=proposal,
                attempt=attempt,
                infeasible_proposals=infeasible,
                duplicate_proposals=duplicates,
                ask_s=time.perf_counter() - begin - cost_s,
                cost_s=cost_s,
            )
        raise SpaceExhausted(_exhausted(config.space, len(history), reason))

    def _losses(self, trials: Sequence[Trial]) -> Mapping[int, float]:
        """Rank the trials once a proposal: every attempt at it builds on the same ones."""
        if self._known is None:
            self._known = losses(self._config, trials)
        return self._known

    def _proposals(self, history: Sequence[Trial]) -> Iterator[tuple[Proposal, int, tuple[Block, ...]]]:
        """Yield proposals in order of preference; the caller takes the first that is feasible and new."""
        space, number = self._config.space, len(history)
        if number < len(self._config.enqueued):
            yield Proposal.ENQUEUED, 0, self._config.enqueued[number].blocks
        for attempt in range(ATTEMPTS):
            seed = proposal_seed(self._config.seed, number, attempt)
            yield Proposal.STRATEGY, attempt, self._asker.ask(history, seed, attempt)
        rng = Random(proposal_seed(self._config.seed, number, ATTEMPTS))
        best = best_trial(history)
        if best is not None:
            neighbours = list(mutations(space, best.candidate.blocks))
            rng.shuffle(neighbours)
            for blocks in neighbours:
                yield Proposal.MUTATION, ATTEMPTS, blocks
        if space.count() <= ENUMERABLE:
            for index in rng.sample(range(space.count()), space.count()):
                yield Proposal.DRAW, ATTEMPTS, space.candidate_at(index).blocks
        else:
            for _ in range(DRAWS):
                yield Proposal.DRAW, ATTEMPTS, draw_blocks(space, rng)


def make_strategy(config: StudyConfig, losses: Losses) -> Asker:
    """Make the strategy that a study names."""
    match config.strategy:
        case Strategy.TPE:
            # Here and not above, so that Hyperopt is loaded only by what searches with it.
            from services.searcher.tpe import TpeStrategy

            return TpeStrategy(config.space, config.startup_trials, losses)
        case Strategy.EVOLUTION:
            return EvolutionStrategy(config.space, config.startup_trials, losses)
        case Strategy.RANDOM:
            return RandomStrategy(config.space)


def proposal_seed(study_seed: int, number: int, attempt: int) -> int:
    """Seed of one proposal, 0 <= seed < 2**32: a hash, so that no two of them are related."""
    digest = hashlib.sha256(f"{study_seed}/{number}/{attempt}".encode()).digest()
    return int.from_bytes(digest[:4], "big")


def _exhausted(space: SearchSpace, trials: int, reason: str) -> str:
    whole = space.count() <= ENUMERABLE
    tried = f"all {space.count()} configurations" if whole else f"{DRAWS} random draws"
    text = f"no candidate is left after {trials} trials: {tried} are over a limit or a network already tried"
    return f"{text}; for example {reason}" if reason else text
