"""Searches in the background, for a server: create, look, watch, cancel; resumed at start."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Condition, Thread
from typing import Protocol

from services.common.errors import ImcnasError, NotPossible, StudyConflict, Unavailable
from services.common.layers import LayerList
from services.hw_oracle.types import ChipConfig, CostReport
from services.searcher import evaluation
from services.searcher.events import Event, TrialFinished
from services.searcher.loop import StopSignal, run_search
from services.searcher.ranking import trial_front
from services.searcher.status import study_status, study_summary
from services.searcher.store import Store
from services.searcher.types import StudyConfig, StudyState, StudyStatus, StudySummary, Trial
from services.trainer.types import DatasetInfo

AWAY_S = 2.0
"""How long a search waits before it asks again for a service that was away."""

log = logging.getLogger(__name__)


class Oracle(Protocol):
    """What the searcher needs of a hardware oracle."""

    def evaluate(self, layers: LayerList, chip: ChipConfig) -> CostReport:
        """Cost of one network on a chip."""
        ...


class Trainer(evaluation.Trainer, Protocol):
    """What the searcher needs of a trainer."""

    def dataset(self, name: str) -> DatasetInfo:
        """Describe a data set; NotFound where there is none of that name."""
        ...


class SearchManager:
    """Runs any number of studies of one store, each in a thread; every method may be called from any thread.

    Studies whose search was running when the store was last left go on at once.

    Parameters
    ----------
    where : Path or str
        Database of the studies: a SQLite file, or a URL.
    oracle : Oracle
    trainer : Trainer
    workers : int
        Evaluations in flight for each study.
    on_event : callable
        Told of every event of every search, in that search's thread.
    """

    def __init__(
        self,
        where: Path | str,
        oracle: Oracle,
        trainer: Trainer,
        *,
        workers: int = 1,
        on_event: Callable[[Event], None] = lambda _: None,
    ) -> None:
        self._store = Store(where)
        self._oracle, self._trainer = oracle, trainer
        self._workers, self._on_event = workers, on_event
        self._changed = Condition()
        self._running: dict[str, tuple[Thread, StopSignal]] = {}
        self._reopened: set[str] = set()
        self._closed = False
        with self._changed:
            for record in self._store.studies():
                # One that seems to run may be a dead one's: its thread waits for the end of the lease.
                if record.served and record.state in (StudyState.INTERRUPTED, StudyState.RUNNING):
                    log.info("study %s goes on", record.config.name)
                    self._start(record.study_id)

    def dataset(self, name: str) -> DatasetInfo:
        """Describe a data set as the trainer does: what a study's configuration needs of it."""
        return self._trainer.dataset(name)

    def create(self, config: StudyConfig, trials_wanted: int) -> str:
        """Start a study's search, or go on with it, and return its id at once.

        Raises
        ------
        StudyConflict
            A study of that name has other settings.
        InvalidRequest
            `trials_wanted` is below 1.
        Unavailable
            The manager is closing.
        """
        with self._changed:
            if self._closed:
                raise Unavailable("searcher: it is shutting down; try again later")
            study_id = self._store.open_study(config, trials_wanted, served=True).study_id
            if study_id in self._running:
                self._reopened.add(study_id)  # should its search be ending just now, it starts again
            else:
                self._start(study_id)
        return study_id

    def status(self, study: str) -> StudyStatus:
        """How a study, named by id or name, stands; NotFound where there is none."""
        record = self._store.study(study)
        return study_status(record, self._store.trials(record))

    def studies(self) -> tuple[StudySummary, ...]:
        """Every study, the oldest first."""
        counts = self._store.trial_counts()
        return tuple(study_summary(r, counts.get(r.study_id, Counter())) for r in self._store.studies())

    def trials(self, study: str, start: int = 0, limit: int | None = None) -> tuple[Trial, ...]:
        """Trials from number `start` on, at most `limit`, their costs without layers."""
        return self._store.trials(self._store.study(study), start, limit)

    def front(self, study: str, quantities: Sequence[str] = ()) -> tuple[Trial, ...]:
        """Trials undominated in these quantities, or in those of the study's objective; by rising costs.

        Raises
        ------
        InvalidRequest
            One that is no quantity; or accuracy, or everything else, is missing.
        """
        record = self._store.study(study)
        return trial_front(record.config, self._store.trials(record), quantities)

    def resume(self, study: str, trials_wanted: int | None = None) -> None:
        """Go on with a study with its own settings, to as many trials as it wanted, or as are wanted now."""
        record = self._store.study(study)
        self.create(record.config, record.trials_wanted if trials_wanted is None else trials_wanted)

    def delete(self, study: str) -> None:
        """Delete a study with its trials.

        Raises
        ------
        NotPossible
            It is running here: cancel it first.
        StudyConflict
            Another process runs it.
        """
        record = self._store.study(study)
        with self._changed:
            if record.study_id in self._running:
                raise NotPossible(f"study: {record.config.name!r} is running; cancel it, wait for its end")
            self._store.delete_study(record)

    def trial(self, study: str, number: int) -> Trial:
        """One trial, its cost with layers."""
        return self._store.trial(self._store.study(study), number)

    def finished_trials(self, study: str, cursor: int, wait_s: float) -> tuple[tuple[Trial, ...], bool]:
        """Trials finished after the first `cursor`, and whether the search has ended.

        Waits up to `wait_s` seconds for the first of them; both may be empty-handed, then ask again.
        """
        record = self._store.study(study)
        with self._changed:
            finished, ended = self._look(record.study_id, cursor)
            if not finished and not ended:
                self._changed.wait(wait_s)
                finished, ended = self._look(record.study_id, cursor)
        return finished, ended

    def watch(self, study: str, cursor: int = 0) -> Iterator[Trial]:
        """Yield trials as they finish, without the first `cursor`, until the search ends.

        A watcher that was cut off after n trials goes on with ``cursor=n``.
        """
        ended = False
        while not ended:
            finished, ended = self.finished_trials(study, cursor, wait_s=60.0)
            yield from finished
            cursor += len(finished)

    def cancel(self, study: str) -> None:
        """Ask a search to end once its running trials have; without effect where it has ended."""
        record = self._store.study(study)
        with self._changed:
            self._reopened.discard(record.study_id)
            if record.study_id in self._running:
                # Recorded before the search ends, so that a restart in between does not resume it.
                self._store.set_state(record.study_id, StudyState.CANCELLED)
                self._running[record.study_id][1].request()
                self._changed.notify_all()

    def close(self) -> None:
        """Abandon every search, to be resumed by the next manager of this store, and close the store."""
        with self._changed:
            self._closed = True
            self._reopened.clear()
            threads = [thread for thread, _ in self._running.values()]
            for _, stop in self._running.values():
                stop.abandon()
            self._changed.notify_all()
        for thread in threads:
            thread.join()
        self._store.close()

    def _look(self, study_id: str, cursor: int) -> tuple[tuple[Trial, ...], bool]:
        ended = study_id not in self._running  # asked first: no trial finishes after the end
        return self._store.finished_trials(self._store.study(study_id), cursor), ended

    def _start(self, study_id: str) -> None:
        """Start the search's thread; the caller holds the lock."""
        stop = StopSignal()
        thread = Thread(target=self._work, args=(study_id, stop), name=f"search-{study_id}", daemon=True)
        self._running[study_id] = (thread, stop)
        thread.start()

    def _work(self, study_id: str, stop: StopSignal) -> None:
        try:
            while not self._search(study_id, stop):
                with self._changed:
                    self._changed.wait_for(lambda: stop.requested, AWAY_S)
        except ImcnasError as error:  # recorded in the study, where its owner looks
            log.warning("search of study %s failed: %s", study_id, error)
        except Exception:
            log.exception("search of study %s failed", study_id)
        finally:
            with self._changed:
                del self._running[study_id]
                if study_id in self._reopened:
                    self._reopened.discard(study_id)
                    self._start(study_id)
                self._changed.notify_all()

    def _search(self, study_id: str, stop: StopSignal) -> bool:
        """Run a search to its end; False to try again: something was away, or another process runs it."""
        try:
            record = self._store.study(study_id)
            run_search(
                self._store,
                record,
                cost=lambda layers: self._oracle.evaluate(layers, record.config.chip),
                trainer=self._trainer,
                workers=self._workers,
                on_event=self._tell,
                stop=stop,
            )
        except Unavailable as error:
            log.warning("study %s waits: %s", study_id, error)
            with suppress(Unavailable):  # it may be the store that is away
                self._store.acquire(study_id)
                self._store.set_state(study_id, StudyState.RUNNING, failure=str(error))
            return False
        except StudyConflict as error:
            log.warning("study %s waits: %s", study_id, error)
            return False
        return True

    def _tell(self, event: Event) -> None:
        self._on_event(event)
        if isinstance(event, TrialFinished):
            with self._changed:
                self._changed.notify_all()
