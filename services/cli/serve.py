"""`imcnas serve`: run the services for other tools."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.console import MESSAGES
from services.common.errors import InvalidRequest, violation

if TYPE_CHECKING:
    from services.common.settings import SearcherSettings


class Room(StrEnum):
    """What can be served."""

    ORACLE = "oracle"
    TRAINER = "trainer"
    SEARCHER = "searcher"
    ALL = "all"


def command(
    room: Annotated[Room, typer.Argument(help="Which service; all runs the three in one process.")],
) -> None:
    """Serve the oracle, the trainer, the searcher, or all three, until Ctrl-C or SIGTERM.

    Ports on 127.0.0.1 for calls, for health and for Prometheus metrics:

      oracle    50051  50052  9101

      trainer   50061  50062  9102

      searcher  50071  50072  9103

    The environment changes that, and what else there is to set:

      IMCNAS_ORACLE_PORT=0           any free port, and prints it;
                                     likewise _HEALTH_PORT, _METRICS_PORT

      IMCNAS_TRAINER_SLOTS=2         trainings at once

      IMCNAS_TRAINER_RAY_ADDRESS=    a Ray cluster to train on

      IMCNAS_TRAINER_DATA=           folder of the data sets

      IMCNAS_TRAINER_CACHE=          file or URL of results, to train nothing twice;
                                     likewise _ARTIFACTS, _QUEUE_LIMIT, _TIMEOUT_S

      IMCNAS_SEARCHER_ORACLE=        host:port of what a search uses, left out
                                     with all; likewise _TRAINER

      IMCNAS_SEARCHER_STORE=         file of the studies

      IMCNAS_SEARCHER_WORKERS=2      trainings at once for each search
    """
    asyncio.run(_serve(room))


async def _serve(room: Room) -> None:
    from services.common.rpc.server import stop_on_signals

    stop = stop_on_signals()
    MESSAGES.print("Starting")  # Ray and torch take seconds
    async with AsyncExitStack() as stack:
        # Drained in the opposite order: the searcher, who asks the others, first.
        for serving in _servings(room):
            await stack.enter_async_context(serving())
        MESSAGES.print("Ctrl-C stops")
        await stop.wait()
        MESSAGES.print("Stopping: calls that run may end")


def _servings(room: Room) -> list[Callable[[], AbstractAsyncContextManager[None]]]:
    """Bind each wanted service to its settings; the imports are as heavy as the service."""
    from services.common.settings import OracleSettings, TrainerSettings, read_settings

    chosen: list[Callable[[], AbstractAsyncContextManager[None]]] = []
    if room in (Room.SEARCHER, Room.ALL):
        settings = searcher_settings(room)  # before anything is started
    if room in (Room.TRAINER, Room.ALL):
        from services.trainer import server as trainer

        chosen.append(lambda: trainer.serving(read_settings(TrainerSettings)))
    if room in (Room.ORACLE, Room.ALL):
        from services.hw_oracle import server as oracle

        chosen.append(lambda: oracle.serving(read_settings(OracleSettings)))
    if room in (Room.SEARCHER, Room.ALL):
        from services.searcher import server as searcher

        chosen.append(lambda: searcher.serving(settings))
    return chosen


def searcher_settings(room: Room) -> SearcherSettings:
    """Read the searcher's settings; with all three in one process it asks its neighbours, unless told.

    Raises
    ------
    InvalidRequest
        A neighbour takes any port, so that its address is not known.
    """
    from services.common import settings as of

    settings = of.read_settings(of.SearcherSettings)
    if room is not Room.ALL:
        return settings
    beside: dict[str, of.ServerSettings] = {
        "oracle": of.read_settings(of.OracleSettings), "trainer": of.read_settings(of.TrainerSettings)
    }  # fmt: skip
    found = {}
    for name, there in beside.items():
        if name not in settings.model_fields_set:
            if not there.port:
                wanted = f"a port that the searcher can ask, or {of.variable(settings, name)}"
                raise InvalidRequest.of(violation(of.variable(there, "port"), 0, wanted))
            host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(there.host, there.host)  # noqa: S104  # asked, not bound
            found[name] = f"{f'[{host}]' if ':' in host else host}:{there.port}"
    return settings.model_copy(update=found)
