"""Bayesian optimisation by Hyperopt's tree-structured Parzen estimator (Bergstra et al., NIPS 2011)."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from hyperopt import STATUS_NEW, STATUS_OK, tpe
from hyperopt.base import JOB_STATE_DONE, JOB_STATE_NEW, trials_from_docs

from services.common.candidate import Block
from services.common.space import SearchSpace
from services.searcher.space import blocks_of, hyperopt_domain, point_of
from services.searcher.strategies import Losses, draw_blocks
from services.searcher.types import Trial, TrialState

CANDIDATES = 24
"""Draws from the model of good trials of which the most promising is proposed; Hyperopt's default."""


class TpeStrategy:
    """Models which choices good trials make, and proposes accordingly.

    Hyperopt reads a trial without a loss as infinitely bad. For running trials that is wanted: the next
    proposal keeps away from them (a constant liar). For failed ones it would be wrong, because a failure
    says nothing about the network, so the model never sees them.

    Parameters
    ----------
    space : SearchSpace
    startup_trials : int
        Random trials before the model proposes; complete and running ones count.
    losses : callable
        Given trials, what is minimised, by the numbers of those that are complete.
    """

    def __init__(
        self,
        space: SearchSpace,
        startup_trials: int,
        losses: Losses,
    ) -> None:
        self._space = space
        self._losses = losses
        self._startup_trials = startup_trials
        self._domain = hyperopt_domain(space)
        self._documents: dict[int, dict[str, Any]] = {}

    def ask(self, history: Sequence[Trial], seed: int, attempt: int = 0) -> tuple[Block, ...]:
        """Propose blocks; the answer depends on the arguments alone, not on earlier calls.

        Hyperopt takes, node by node, the best of CANDIDATES draws from its model. With a handful of
        choices at a node that is nearly always the same one, whatever the seed, so each refused attempt
        halves the draws, down to a single one: a plain sample of the model of good trials.
        """
        told = [trial for trial in history if trial.state is not TrialState.FAILED]
        if len(told) < self._startup_trials:
            return draw_blocks(self._space, Random(seed))
        losses = self._losses(told)
        documents = [self._document(trial, losses.get(trial.number)) for trial in told]
        trials = trials_from_docs(documents, validate=False)
        # Start-up is ours: Hyperopt's would count, and number, trials in its own way.
        (answer,) = tpe.suggest(
            [len(history)],
            self._domain,
            trials,
            seed,
            n_startup_jobs=0,
            n_EI_candidates=max(1, CANDIDATES >> attempt),
            verbose=False,
        )
        values = answer["misc"]["vals"]
        return blocks_of(self._space, {label: chosen[0] for label, chosen in values.items() if len(chosen)})

    def _document(self, trial: Trial, loss: float | None) -> dict[str, Any]:
        """Hyperopt's record of a trial, kept between calls and completed when the trial is."""
        document = self._documents.get(trial.number)
        if document is None:
            point = point_of(self._space, trial.candidate.blocks)
            misc = {
                "tid": trial.number,
                "cmd": self._domain.cmd,
                "workdir": None,
                "vals": {label: [point[label]] if label in point else [] for label in self._domain.params},
                "idxs": {label: [trial.number] if label in point else [] for label in self._domain.params},
            }
            document = {"tid": trial.number, "misc": misc, "spec": None, "exp_key": None}
            document |= {"state": JOB_STATE_NEW, "result": {"status": STATUS_NEW}}
            self._documents[trial.number] = document
        if loss is not None:
            document["state"] = JOB_STATE_DONE
            document["result"] = {"status": STATUS_OK, "loss": loss}
        return document
