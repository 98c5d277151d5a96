"""Environment -> frozen settings: ports, addresses, places. What decides a result is never here.

``IMCNAS_ORACLE_PORT=0`` sets `OracleSettings.port`, and so on for each field of each class.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.common.errors import InvalidRequest, Violation, one_of

Port = Annotated[int, Field(ge=0, le=65535)]
Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class ServerSettings(BaseSettings):
    """What every service has.

    Parameters
    ----------
    host : str
        Address to listen on; loopback unless told.
    port, health_port, metrics_port : int
        0 lets the system choose; the ports chosen are printed.
    drain_s : float
        Time between saying NOT_SERVING and refusing new calls, so that balancers notice.
    grace_s : float
        Time that running calls get to end.
    max_concurrent_calls : int
        A call over this number is refused as RESOURCE_EXHAUSTED.
    """

    host: str = "127.0.0.1"
    port: Port
    health_port: Port
    metrics_port: Port
    drain_s: Seconds = 0.0
    grace_s: Seconds = 10.0
    max_concurrent_calls: Count = 256


class OracleSettings(ServerSettings):
    """Settings of the hardware oracle.

    Parameters
    ----------
    cached_layers : int
        Layers of late reports that are kept, to be found when asked for again; 0 keeps none.
    """

    model_config = SettingsConfigDict(env_prefix="IMCNAS_ORACLE_", frozen=True)
    port: Port = 50051
    health_port: Port = 50052
    metrics_port: Port = 9101
    cached_layers: Annotated[int, Field(ge=0)] = 20_000


class TrainerSettings(ServerSettings):
    """Settings of the trainer.

    Parameters
    ----------
    inline : bool
        Train one at a time in the service's own process, without Ray.
    slots : int
        Trainings at once, each in a Ray actor.
    ray_address : str or None
        Ray cluster to join, ``auto`` for the one of this machine; None starts one of its own.
    data : Path
        Folder of the data sets' files: `services.trainer.data.registry` says what it holds.
    cache : str
        SQLite file, or URL of a database, of results by what decides them; empty keeps none.
    artifacts : Path or None
        Folder of checkpoints and weights, the oldest of which make room; None is a temporary one.
    queue_limit : int
        Evaluations that may wait for a slot; a further one is refused as RESOURCE_EXHAUSTED. 0 is no limit.
    timeout_s : float
        Longest that one training may take; 0 is no limit.
    """

    model_config = SettingsConfigDict(env_prefix="IMCNAS_TRAINER_", frozen=True)
    port: Port = 50061
    health_port: Port = 50062
    metrics_port: Port = 9102
    inline: bool = False
    slots: Count = 1
    ray_address: str | None = None
    data: Path = Path("data")
    cache: str = ""
    artifacts: Path | None = None
    queue_limit: Annotated[int, Field(ge=0)] = 1024
    timeout_s: Seconds = 0.0


class SearcherSettings(ServerSettings):
    """Settings of the searcher.

    Parameters
    ----------
    oracle, trainer : str
        Addresses of the services that studies use.
    store : str
        Database that studies are kept in: a SQLite file, or ``postgresql://user@host/name``.
    workers : int
        Evaluations in flight for one study.
    """

    model_config = SettingsConfigDict(env_prefix="IMCNAS_SEARCHER_", frozen=True)
    port: Port = 50071
    health_port: Port = 50072
    metrics_port: Port = 9103
    oracle: str = "127.0.0.1:50051"
    trainer: str = "127.0.0.1:50061"
    store: str = "runs/studies.sqlite"
    workers: Count = 1


S = TypeVar("S", bound=ServerSettings)


def variable(settings: ServerSettings | type[ServerSettings], name: str) -> str:
    """Name the environment variable that sets the field `name`."""
    return f"{settings.model_config['env_prefix']}{name}".upper()


def read_settings(cls: type[S]) -> S:
    """Read a service's settings from the environment.

    Raises
    ------
    InvalidRequest
        Naming each variable at fault; one that looks like the room's but is unknown is one.
    """
    known = [variable(cls, name) for name in cls.model_fields]
    wrong = [
        Violation(name, f"unknown variable, wanted {one_of(known, name.upper())}")
        for name in os.environ
        if name.upper().startswith(variable(cls, "")) and name.upper() not in known
    ]
    if wrong:
        raise InvalidRequest.of(*wrong)
    try:
        return cls()  # type: ignore[call-arg]  # every field has a default in a class that is read
    except ValidationError as error:
        raise InvalidRequest.of(
            *(
                Violation(variable(cls, "_".join(map(str, e["loc"]))), f"got {e['input']!r}: {e['msg']}")
                for e in error.errors()
            )
        ) from None
