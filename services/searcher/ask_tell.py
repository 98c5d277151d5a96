"""A search whose trainings are somebody else's: ask for a candidate, tell its accuracy.

::

    search = AskTell(Shape(channels=1, height=8, width=8), classes=10, objective="accuracy/latency")
    for _ in range(30):
        trial = search.ask()
        search.tell(trial.number, accuracy_frac=train_it_your_way(trial.candidate))
    print(search.best.candidate, [trial.candidate for trial in search.front])

Costs are exact and come with each trial. Any number of trials may be asked for before the first is told.
Nothing is written: `services.searcher.loop.run_search` keeps a study in a store, and trains.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from services.common.errors import InvalidRequest, NotFound, violation
from services.common.layers import Shape
from services.common.space import SearchSpace, load_space
from services.hw_oracle.types import ChipConfig
from services.searcher.propose import Proposer
from services.searcher.ranking import best_trial, fitness_of, trial_front
from services.searcher.types import Strategy, StudyConfig, Trial, TrialState
from services.trainer.types import AccuracyReport, DatasetInfo, TrainRecipe, stderr_frac

if TYPE_CHECKING:
    from services.hw_oracle.client import HwOracle


class AskTell:
    """Proposes candidates and ranks what became of them.

    Parameters
    ----------
    images : Shape
        Of one image.
    classes : int
    objective : str
        As of `imcnas search`.
    space : SearchSpace or str
        Itself, or its name or file.
    chip : ChipConfig or str
        Itself, or the name of one that comes with the oracle.
    strategy : Strategy or str
    oracle : HwOracle, optional
        Where costs are asked for; None computes them in this process.
    settings
        More of StudyConfig: `seed`, `hardware_limits`, `limits`, `startup_trials`, `enqueued`, `bits`.

    Raises
    ------
    InvalidInput
        Naming what is wrong with the settings.
    """

    def __init__(
        self,
        images: Shape,
        classes: int,
        objective: str,
        *,
        space: SearchSpace | str = "small",
        chip: ChipConfig | str = "mnsim2_default",
        strategy: Strategy | str = Strategy.TPE,
        oracle: HwOracle | None = None,
        **settings: Any,
    ) -> None:
        # Here and not above: it loads what speaks over the network, too.
        from services.hw_oracle.client import HwOracle

        costs = oracle or HwOracle()
        data = DatasetInfo(
            name="yours", input_shape=images, classes=classes, train_images=0, validation_images=0,
            test_images=0, fingerprint="", description="",
        )  # fmt: skip
        self.config = StudyConfig(
            name="ask-tell",
            dataset=data,
            space=load_space(space) if isinstance(space, str) else space,
            objective=objective,
            strategy=Strategy(strategy),
            chip=costs.chip(chip) if isinstance(chip, str) else chip,
            chip_name=chip if isinstance(chip, str) else "",
            recipe=TrainRecipe(name="yours"),
            **settings,
        )
        self._proposer = Proposer(self.config, lambda network: costs.evaluate(network, self.config.chip))
        self._trials: list[Trial] = []

    def ask(self) -> Trial:
        """Propose the next candidate; its trial has the number to tell it by, and the cost.

        Raises
        ------
        SpaceExhausted
            No candidate within the limits is left.
        """
        found = self._proposer.propose(self._trials)
        self._trials.append(found.trial(len(self._trials)))
        return self._trials[-1]

    def tell(self, number: int, accuracy_frac: float, images: int = 0) -> Trial:
        """Take note of a trial's accuracy; told again, the last one counts.

        Parameters
        ----------
        number : int
            Of the trial.
        accuracy_frac : float
            0 to 1.
        images : int
            That it was measured on, for its standard error; 0 leaves that out.
        """
        trial = self._trial(number)
        if not 0 <= accuracy_frac <= 1:
            raise InvalidRequest.of(violation("accuracy_frac", accuracy_frac, "0 to 1"))
        accuracy = AccuracyReport(
            network_key=trial.network_key, accuracy_frac=accuracy_frac, validation_images=images, epochs=(),
            accuracy_stderr_frac=stderr_frac(accuracy_frac, images) if images else 0.0,
            train_s=0.0, device="", torch_version="",
        )  # fmt: skip
        value = fitness_of(self.config, trial.candidate, trial.cost, accuracy_frac)
        told = replace(trial, state=TrialState.COMPLETE, accuracy=accuracy, fitness=value, failure="")
        self._trials[number] = told
        return told

    def tell_failure(self, number: int, reason: str) -> None:
        """Take note that a trial could not be trained: it is not proposed again, and teaches nothing."""
        self._trials[number] = replace(self._trial(number), state=TrialState.FAILED, failure=reason)

    @property
    def trials(self) -> tuple[Trial, ...]:
        """Every trial, in the order in which they were asked for."""
        return tuple(self._trials)

    @property
    def best(self) -> Trial | None:
        """Trial of the highest fitness; of a front, the most accurate."""
        return best_trial(self._trials)

    @property
    def front(self) -> tuple[Trial, ...]:
        """Trials on the front of the objective's quantities, else of accuracy, latency and energy."""
        return trial_front(self.config, self._trials)

    def _trial(self, number: int) -> Trial:
        if not 0 <= number < len(self._trials):
            raise NotFound.of(violation("number", number, f"that of a trial, 0 to {len(self._trials) - 1}"))
        return self._trials[number]
