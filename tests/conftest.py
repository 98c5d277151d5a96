"""What tests of services share: servers that run in a loop of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from threading import Thread
from typing import Any

import pytest
from hypothesis import settings

from services.common.rpc.server import Ports, RpcServer
from tests.postgres import Postgres, missing

settings.register_profile("imcnas", deadline=None)  # time never decides a test
settings.load_profile("imcnas")

ANY_PORTS = {"port": 0, "health_port": 0, "metrics_port": 0, "grace_s": 5.0}


@dataclass
class Host:
    """A loop in a thread, and the servers started in it."""

    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    servers: list[RpcServer] = field(default_factory=list)

    def submit(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Begin `work` in the loop; its result is a future."""
        return asyncio.run_coroutine_threadsafe(work, self.loop)

    def start(self, server: RpcServer) -> Ports:
        """Start a server, drained when the fixture ends."""
        ports: Ports = self.submit(server.start()).result(timeout=30)
        self.servers.append(server)
        return ports


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A real PostgreSQL, started when the first test asks for it."""
    if missing():
        pytest.skip(missing())
    server = Postgres()
    yield server
    server.close()


@pytest.fixture(scope="module")
def any_ports() -> dict[str, Any]:
    """Settings of a server that takes ports the system chooses."""
    return dict(ANY_PORTS)


@pytest.fixture(scope="module")
def make_host() -> Iterator[Callable[[], Host]]:
    """Make hosts; all are closed at the module's end."""
    hosts: list[tuple[Host, Thread]] = []

    def make() -> Host:
        host = Host()
        thread = Thread(target=host.loop.run_forever)
        thread.start()
        hosts.append((host, thread))
        return host

    yield make
    for host, thread in hosts:
        for server in host.servers:
            host.submit(server.drain()).result(timeout=30)
        host.loop.call_soon_threadsafe(host.loop.stop)
        thread.join()
        host.loop.close()


@pytest.fixture(scope="module")
def host(make_host: Callable[[], Host]) -> Host:
    """One host for the module's servers."""
    return make_host()
