"""`imcnas serve`: run the services for other tools."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from enum import StrEnum
from typing import Annotated

import typer

from services.cli.console import MESSAGES


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

      IMCNAS_SEARCHER_ORACLE=        host:port of what a search uses;
                                     likewise _TRAINER

      IMCNAS_SEARCHER_STORE=         file of the studies

      IMCNAS_SEARCHER_WORKERS=2      trainings at once for each search
    """
    asyncio.run(_serve(room))


async def _serve(room: Room) -> None:
    from services.common.rpc.server import stop_on_signals

    stop = stop_on_signals()
    async with AsyncExitStack() as stack:
        # Drained in the opposite order: the searcher, who asks the others, first.
        for serving in _servings(room):
            await stack.enter_async_context(serving())
        MESSAGES.print("Ctrl-C stops")
        await stop.wait()
        MESSAGES.print("Stopping: calls that run may end")


def _servings(room: Room) -> list[Callable[[], AbstractAsyncContextManager[None]]]:
    """Bind each wanted service to its settings; the imports are as heavy as the service."""
    from services.common.settings import OracleSettings, SearcherSettings, TrainerSettings, read_settings

    chosen: list[Callable[[], AbstractAsyncContextManager[None]]] = []
    if room in (Room.TRAINER, Room.ALL):
        from services.trainer import server as trainer

        chosen.append(lambda: trainer.serving(read_settings(TrainerSettings)))
    if room in (Room.ORACLE, Room.ALL):
        from services.hw_oracle import server as oracle

        chosen.append(lambda: oracle.serving(read_settings(OracleSettings)))
    if room in (Room.SEARCHER, Room.ALL):
        from services.searcher import server as searcher

        chosen.append(lambda: searcher.serving(read_settings(SearcherSettings)))
    return chosen
