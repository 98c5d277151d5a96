"""The searcher's messages <-> its values."""

from __future__ import annotations

from services.common.convert import from_pb, to_pb
from services.common.errors import InvalidRequest, violation
from services.common.pb.imcnas.v1 import searcher_pb2 as pb
from services.searcher.types import StudyConfig, Trial


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
