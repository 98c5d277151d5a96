"""A searcher elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from services.common.closing import Closing
from services.common.convert import from_pb
from services.common.pb.imcnas.v1 import searcher_pb2 as pb
from services.common.pb.imcnas.v1.searcher_pb2_grpc import SearcherServiceStub
from services.common.rpc.channel import Connection
from services.searcher.convert import MAX_PAGE, create_to_pb
from services.searcher.types import StudyConfig, StudyStatus, StudySummary, Trial
from services.trainer.types import DatasetInfo


class Searcher(Closing):
    """Runs studies in a searcher's service, with the calls of `services.searcher.manager.SearchManager`.

    Parameters
    ----------
    address : str
        ``host:port`` of the service.
    timeout_s : float
        Deadline of a call other than `watch`, which lasts as long as the search.
    """

    def __init__(self, address: str, timeout_s: float = 60.0) -> None:
        self._remote = Connection(address, timeout_s)
        self._stub = SearcherServiceStub(self._remote.channel)

    def dataset(self, name: str) -> DatasetInfo:
        """Describe a data set as the service's trainer knows it; NotFound if there is none of that name."""
        request = pb.SearcherServiceGetDatasetRequest(name=name)
        return from_pb(self._remote.call(self._stub.GetDataset, request).dataset, DatasetInfo)

    def create(self, config: StudyConfig, trials_wanted: int) -> str:
        """Start a study's search, or go on with it, and return its id at once.

        Raises
        ------
        StudyConflict
            A study of that name has other settings.
        InvalidRequest
            The service refuses a setting, or `trials_wanted` is below 1.
        """
        return self._remote.call(self._stub.CreateSearch, create_to_pb(config, trials_wanted)).study_id

    def status(self, study: str) -> StudyStatus:
        """How a study, named by id or name, stands; NotFound where there is none."""
        response = self._remote.call(self._stub.GetSearch, pb.GetSearchRequest(study_id=study))
        return from_pb(response.status, StudyStatus)

    def watch(self, study: str, cursor: int = 0) -> Iterator[Trial]:
        """Yield trials as they finish, without the first `cursor`, until the search ends.

        A connection that breaks meanwhile is made again, and the watch goes on behind the last trial seen.
        """
        seen = cursor
        watch = self._remote.stream(
            self._stub.WatchSearch, lambda: pb.WatchSearchRequest(study_id=study, cursor=seen)
        )
        for response in watch:
            seen = response.cursor
            yield from_pb(response.trial, Trial)

    def cancel(self, study: str) -> None:
        """Ask a search to end once its running trials have; without effect where it has ended."""
        self._remote.call(self._stub.CancelSearch, pb.CancelSearchRequest(study_id=study))

    def studies(self) -> tuple[StudySummary, ...]:
        """Every study, the oldest first."""
        pages = self._pages(self._stub.ListSearches, pb.ListSearchesRequest(page_size=MAX_PAGE), "0")
        return tuple(from_pb(study, StudySummary) for page in pages for study in page.studies)

    def trials(self, study: str, start: int = 0) -> tuple[Trial, ...]:
        """Trials from number `start` on, their costs without layers."""
        request = pb.ListTrialsRequest(study_id=study, page_size=MAX_PAGE)
        pages = self._pages(self._stub.ListTrials, request, str(start))
        return tuple(from_pb(trial, Trial) for page in pages for trial in page.trials)

    def trial(self, study: str, number: int) -> Trial:
        """One trial, its cost with layers; NotFound where there is none of that number."""
        request = pb.GetTrialRequest(study_id=study, number=number)
        return from_pb(self._remote.call(self._stub.GetTrial, request).trial, Trial)

    def front(self, study: str, quantities: Sequence[str] = ()) -> tuple[Trial, ...]:
        """Trials undominated in these quantities, or in those of the study's objective; by rising costs."""
        request = pb.GetFrontRequest(study_id=study, quantities=quantities)
        front = self._remote.call(self._stub.GetFront, request).trials
        return tuple(from_pb(trial, Trial) for trial in front)

    def resume(self, study: str, trials_wanted: int | None = None) -> None:
        """Go on with a study with its own settings, to as many trials as it wanted, or as are wanted now."""
        request = pb.ResumeSearchRequest(study_id=study, trials_wanted=trials_wanted)
        self._remote.call(self._stub.ResumeSearch, request)

    def delete(self, study: str) -> None:
        """Delete a study with its trials; NotPossible while it runs."""
        self._remote.call(self._stub.DeleteSearch, pb.DeleteSearchRequest(study_id=study))

    def _pages(self, call: Any, request: Any, token: str) -> Iterator[Any]:
        while token:
            request.page_token = token
            page = self._remote.call(call, request)
            yield page
            token = page.next_page_token

    def close(self) -> None:
        """Close the connection; searches go on."""
        self._remote.close()
