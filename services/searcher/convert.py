"""The searcher's messages <-> its values."""

from __future__ import annotations

from services.common.convert import from_pb, to_pb
from services.common.errors import InvalidRequest, violation
from services.common.pb.imcnas.v1 import searcher_pb2 as pb
from services.searcher.types import StudyConfig, Trial

PAGE, MAX_PAGE = 100, 1000
"""Entries of a page where none is asked for, and at most."""


def create_to_pb(config: StudyConfig, trials_wanted: int) -> pb.CreateSearchRequest:
    """Make the request that starts a study."""
    return pb.CreateSearchRequest(config=to_pb(config, pb.StudyConfig), trials_wanted=trials_wanted)


def create_from_pb(request: pb.CreateSearchRequest) -> tuple[StudyConfig, int]:
    """Read a study's settings and the number of trials wanted."""
    return from_pb(request.config, StudyConfig), request.trials_wanted


def watch_from_pb(request: pb.WatchSearchRequest) -> tuple[str, int]:
    """Read which study to watch, and from which cursor on."""
    if request.cursor < 0:
        raise InvalidRequest.of(violation("cursor", request.cursor, "0 or more"))
    return request.study_id, request.cursor


def watched_to_pb(trial: Trial, cursor: int) -> pb.WatchSearchResponse:
    """Make the message of one finished trial."""
    return pb.WatchSearchResponse(trial=to_pb(trial, pb.Trial), cursor=cursor)


def page_from_pb(request: pb.ListSearchesRequest | pb.ListTrialsRequest) -> tuple[int, int]:
    """Read where a page begins, and how many it may have."""
    size = request.page_size if request.HasField("page_size") else PAGE
    token = request.page_token or "0"
    wrong = []
    if not 1 <= size <= MAX_PAGE:
        wrong.append(violation("page_size", size, f"1 to {MAX_PAGE}"))
    if not (token.isascii() and token.isdigit() and len(token) <= 18):
        wrong.append(violation("page_token", token, "the next_page_token of the last response, or none"))
    if wrong:
        raise InvalidRequest.of(*wrong)
    return int(token), size
