"""Who is trained on: successive halving without waiting (ASHA; Li et al., MLSys 2020), by the objective.

Every candidate is trained for a few epochs. Those that are then among the best share of all that came to this
rung so far are trained on to the next, from where they stood.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from threading import Lock

from services.searcher.ranking import fitness_of, losses
from services.searcher.types import StudyConfig, Trial

KEPT_FRAC = 1 / 3
"""Share of a rung's candidates that goes on: rungs 6, 18 and 54 of `staged` are a factor of 3 apart."""


def mean_epochs(config: StudyConfig) -> float:
    """Epochs that a candidate is trained for on average, if that share goes on at each rung."""
    whole, before, share = 0.0, 0, 1.0
    for epochs in (*config.rungs, config.recipe.epochs):
        whole += share * (epochs - before)
        before, share = epochs, share * KEPT_FRAC
    return whole


class Rungs:
    """What became of a study's trials at each rung; may be asked from many threads.

    Parameters
    ----------
    config : StudyConfig
    trials : sequence of Trial
        Those there are: an unbroken search would know what they came to, too.
    """

    def __init__(self, config: StudyConfig, trials: Sequence[Trial] = ()) -> None:
        self._config = config
        self._lock = Lock()
        self._reached: list[dict[int, Trial]] = [{} for _ in config.rungs]
        for trial in trials:
            for rung, accuracy_frac in enumerate(trial.rung_accuracies_frac):
                if trial.accuracy is not None:
                    accuracy = replace(trial.accuracy, accuracy_frac=accuracy_frac)
                    self._add(rung, replace(trial, accuracy=accuracy))

    def goes_on(self, rung: int, trial: Trial) -> bool:
        """Whether a trial, with its accuracy at a rung, is to be trained on.

        The first at a rung always is: how good the others will be is not known yet.
        """
        with self._lock:
            self._add(rung, trial)
            there = list(self._reached[rung].values())
            loss = losses(self._config, there)
        better = sum(other < loss[trial.number] for other in loss.values())
        return better < math.ceil(len(there) * KEPT_FRAC)

    def forget(self, number: int) -> None:
        """Take out what a trial came to: it has failed since."""
        with self._lock:
            for reached in self._reached:
                reached.pop(number, None)

    def _add(self, rung: int, trial: Trial) -> None:
        value = fitness_of(self._config, trial.candidate, trial.cost, trial.accuracy_frac)
        self._reached[rung][trial.number] = replace(trial, fitness=value)
