"""The search loop: ask, cost, record, evaluate, tell; several evaluations in flight, every step durable."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from queue import Empty, SimpleQueue
from threading import Thread

from services.common.errors import ImcnasError, NotPossible, StudyConflict, TrainingFailed
from services.common.layers import LayerList
from services.hw_oracle.types import CostReport
from services.searcher.evaluation import Trainer, evaluate_trial
from services.searcher.events import (
    EpochDone,
    Event,
    SearchFinished,
    SearchStarted,
    TrialFinished,
    TrialStarted,
)
from services.searcher.lease import RENEW_S
from services.searcher.propose import Proposer, SpaceExhausted
from services.searcher.rows import StudyRecord
from services.searcher.rungs import Rungs
from services.searcher.status import study_status
from services.searcher.store import Store
from services.searcher.types import StudyState, StudyStatus, Trial, TrialState
from services.searcher.versions import versions
from services.trainer.types import EpochReport

CostFunction = Callable[[LayerList], CostReport]

FAILURES_IN_A_ROW = 5
"""So many failed evaluations one after the other are no bad luck: the search stops."""


@dataclass(frozen=True, slots=True)
class _Outcome:
    """How an evaluation ended."""

    number: int
    result: Trial | Exception
    evaluate_s: float


class StopSignal:
    """How a search is asked to end; may be used from other threads and from signal handlers."""

    def __init__(self) -> None:
        self.requested = False
        self.abandoned = False
        self.inbox: SimpleQueue[_Outcome | EpochDone | None] = SimpleQueue()

    def request(self) -> None:
        """Ask for no more candidates; running evaluations end first."""
        self.requested = True

    def abandon(self) -> None:
        """Leave at once: running evaluations are left behind, and trained again on resume."""
        self.requested = self.abandoned = True
        self.inbox.put(None)


def run_search(
    store: Store,
    study: StudyRecord,
    *,
    cost: CostFunction,
    trainer: Trainer,
    workers: int = 1,
    on_event: Callable[[Event], None] = lambda _: None,
    stop: StopSignal | None = None,
) -> StudyStatus:
    """Run a study until it has its trials, its space is exhausted, or `stop` asks for the end.

    Trials that were running when an earlier run ended go first, under the same request id; what is
    finished is never trained again. With one worker, a resumed search makes the very trials of an
    unbroken one.

    Parameters
    ----------
    store : Store
    study : StudyRecord
        As `Store.open_study` gave it.
    cost : callable
        Hardware cost of a network; ChipTooSmall makes a candidate infeasible.
    trainer : Trainer
        Trains candidates, and judges them on chips where the study asks for it. TrainingFailed fails the
        trial alone; any other error ends the search and leaves the trial to a later run.
    workers : int
        Evaluations in flight.
    on_event : callable
        Told of every event, in the calling thread.
    stop : StopSignal
        For one run only.

    Raises
    ------
    ImcnasError
        What ended the search; the study is marked failed and can be resumed.
    """
    return _Run(store, study, cost, trainer, workers, on_event, stop or StopSignal()).run()


class _Run:
    def __init__(
        self,
        store: Store,
        study: StudyRecord,
        cost: CostFunction,
        trainer: Trainer,
        workers: int,
        on_event: Callable[[Event], None],
        stop: StopSignal,
    ) -> None:
        self.store, self.study, self.trainer = store, study, trainer
        self.workers, self.on_event, self.stop = workers, on_event, stop
        self.proposer = Proposer(study.config, cost)
        self.trials: list[Trial] = []
        self.rungs = Rungs(study.config)
        self.requeued: deque[Trial] = deque()
        self.in_flight = 0
        self.failures_in_a_row = 0
        self.error: Exception | None = None
        self.note = ""
        self.renewed = time.monotonic()

    def run(self) -> StudyStatus:
        self.store.acquire(self.study.study_id)
        try:
            return self.search()
        finally:
            with suppress(ImcnasError):  # the store may be what failed; then the lease ends by itself
                self.store.release(self.study.study_id)

    def search(self) -> StudyStatus:
        """Search as the study's owner."""
        self.trials = list(self.store.trials(self.study))
        self.requeued = deque(t for t in self.trials if t.state is TrialState.RUNNING)
        self.rungs = Rungs(self.study.config, self.trials)
        self.store.set_state(self.study.study_id, StudyState.RUNNING)
        self.on_event(
            SearchStarted(
                study_id=self.study.study_id,
                config=self.study.config,
                trials=tuple(self.trials),
                trials_wanted=self.store.trials_wanted(self.study.study_id),
            )
        )
        while True:
            self.fill()
            if self.in_flight == 0 or self.stop.abandoned:
                return self.finish()
            match self.next_message():
                case _Outcome() as outcome:
                    self.tell(outcome)
                case EpochDone() as event:
                    self.on_event(event)
            self.keep()

    def next_message(self) -> _Outcome | EpochDone | None:
        """Wait for the next message; None from time to time, and when the search is abandoned."""
        try:
            return self.stop.inbox.get(timeout=RENEW_S)
        except Empty:
            return None

    def keep(self) -> None:
        """Renew the lease now and then; whoever has lost it (a machine that slept) must not go on."""
        if time.monotonic() - self.renewed > RENEW_S:
            self.store.acquire(self.study.study_id)
            self.renewed = time.monotonic()

    def fill(self) -> None:
        """Start evaluations until as many are in flight as there are workers."""
        while self.in_flight < self.workers and not (self.stop.requested or self.error or self.note):
            self.keep()  # many suggestions may take long
            if self.requeued:
                self.start(self.requeued.popleft())
            elif len(self.trials) < self.store.trials_wanted(self.study.study_id):
                try:
                    trial = self.ask()
                except SpaceExhausted as exhausted:
                    self.exhaust(str(exhausted))
                except StudyConflict:  # it is somebody else's now, who alone says how it stands
                    raise
                except Exception as error:  # running evaluations end first, then it is raised
                    self.error = error
                else:
                    self.start(trial)
            else:
                return

    def ask(self) -> Trial:
        """Propose the next trial and record it, before it costs anything."""
        found = self.proposer.propose(self.trials)
        number = len(self.trials)
        trial = replace(
            found.trial(number),
            request_id=f"{self.study.study_id}-{number}",
            seed=self.study.config.seed,
            versions=replace(versions(), cost_model=found.cost.model_version),
        )
        self.store.insert_trial(self.study, trial)
        self.trials.append(trial)
        return trial

    def exhaust(self, reason: str) -> None:
        """End the search early; a space without a single feasible candidate is an error."""
        if self.trials:
            self.note = reason
        else:
            self.error = NotPossible(f"limits: {reason}; raise the limits, or choose a smaller space")

    def start(self, trial: Trial) -> None:
        self.in_flight += 1
        self.on_event(TrialStarted(study_id=self.study.study_id, trial=trial))
        # A daemon thread each, not a pool: abandoning must not wait for them, not even at the process's exit.
        Thread(target=self.work, args=(trial,), name=f"trial-{trial.number}", daemon=True).start()

    def work(self, trial: Trial) -> None:
        """Evaluate in a thread of its own; everything reaches the loop through the inbox."""
        config, study_id, inbox = self.study.config, self.study.study_id, self.stop.inbox

        def tell(report: EpochReport) -> None:
            inbox.put(EpochDone(study_id=study_id, number=trial.number, report=report))

        begin = time.perf_counter()
        result: Trial | Exception
        try:
            result = evaluate_trial(config, trial, self.trainer, tell, self.rungs)
        except Exception as error:  # judged by the loop
            result = error
        inbox.put(_Outcome(trial.number, result, time.perf_counter() - begin))

    def tell(self, outcome: _Outcome) -> None:
        """Commit a finished trial; an error that is not the trial's own ends the search."""
        self.in_flight -= 1
        trial, result = self.trials[outcome.number], outcome.result
        if isinstance(result, Trial):
            self.failures_in_a_row = 0
            trial = result
        elif isinstance(result, TrainingFailed):
            self.failures_in_a_row += 1
            trial = replace(trial, state=TrialState.FAILED, failure=str(result))
            self.rungs.forget(trial.number)  # a resumed search will not know of it
        else:
            self.error = self.error or result
            return
        trial = replace(trial, evaluate_s=outcome.evaluate_s, finished_at=time.time())
        self.store.finish_trial(self.study, trial)
        self.trials[trial.number] = trial
        self.on_event(TrialFinished(study_id=self.study.study_id, trial=trial))
        if self.failures_in_a_row == FAILURES_IN_A_ROW:
            self.error = self.error or TrainingFailed(
                f"trials: the last {FAILURES_IN_A_ROW} evaluations failed, so the search stopped; "
                f"mend the cause and run it again. The last failure: {result}"
            )

    def finish(self) -> StudyStatus:
        """Record how the search ended, unless it was abandoned: then it counts as running."""
        study_id = self.study.study_id
        if not self.stop.abandoned:
            unfinished = self.requeued or len(self.trials) < self.store.trials_wanted(study_id)
            if self.error:
                known = isinstance(self.error, ImcnasError)
                failure = str(self.error) if known else f"{type(self.error).__name__}: {self.error}"
                self.store.set_state(study_id, StudyState.FAILED, failure=failure)
            elif self.stop.requested and unfinished:
                self.store.set_state(study_id, StudyState.CANCELLED)
            else:
                self.store.set_state(study_id, StudyState.FINISHED, note=self.note)
        status = study_status(self.store.study(study_id), self.trials)
        self.on_event(SearchFinished(status=status))
        if self.error:
            raise self.error
        return status
