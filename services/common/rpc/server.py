"""One bootstrap for every service: calls, reflection, health and metrics, each where it belongs."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from threading import Thread
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from prometheus_client import CollectorRegistry, start_http_server

from services.common.errors import NotPossible
from services.common.rpc import limits
from services.common.rpc.interceptor import CallInterceptor, CallMetrics
from services.common.settings import ServerSettings, variable

# A second server would take half the calls of a port in silence if gRPC let it.
_ONE_SERVER_A_PORT = ("grpc.so_reuseport", 0)

# Calls that are over the limit but still get a typed refusal; beyond them gRPC refuses by itself.
_BACKSTOP = 64

_OPTIONS = (
    _ONE_SERVER_A_PORT,
    *limits.MESSAGE_OPTIONS,
    ("grpc.http2.min_recv_ping_interval_without_data_ms", limits.SERVER_MIN_PING_INTERVAL_MS),
    ("grpc.http2.max_ping_strikes", limits.SERVER_PING_STRIKES),
    ("grpc.max_connection_age_ms", limits.MAX_CONNECTION_AGE_MS),
    ("grpc.max_connection_age_grace_ms", limits.MAX_CONNECTION_AGE_GRACE_MS),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Ports in use, chosen by the system where the settings say 0."""

    calls: int
    health: int
    metrics: int


class RpcServer:
    """A service ready to start.

    Parameters
    ----------
    service : str
        Full name of the gRPC service, such as ``imcnas.v1.HwOracleService``.
    add : callable
        Adds the servicer to the server it is given.
    settings : ServerSettings
    registry : CollectorRegistry
        The room's own; the calls' metrics are added to it.

    Notes
    -----
    Health has a server of its own: its probes must get through when the calls' server is full.
    """

    def __init__(
        self,
        service: str,
        add: Callable[[grpc.aio.Server], None],
        settings: ServerSettings,
        registry: CollectorRegistry,
    ) -> None:
        self.name = service.rpartition(".")[2]
        self._service = service
        self._add = add
        self._settings = settings
        self._registry = registry
        self._interceptor = CallInterceptor(CallMetrics(registry), settings.max_concurrent_calls)
        self._health = health.aio.HealthServicer()
        self._servers: list[grpc.aio.Server] = []
        self._metrics: tuple[Any, Thread] | None = None

    async def start(self) -> Ports:
        """Listen on all three ports.

        Raises
        ------
        NotPossible
            The host is unknown or a port taken; nothing listens then.
        """
        s = self._settings
        try:
            socket.getaddrinfo(s.host, None)
        except (OSError, UnicodeError) as error:
            fix = f"set {variable(s, 'host')} to an address of this machine"
            raise NotPossible(f"cannot listen on host {s.host!r} ({error}): {fix}") from None
        try:
            calls = grpc.aio.server(
                interceptors=(self._interceptor,),
                options=_OPTIONS,
                maximum_concurrent_rpcs=s.max_concurrent_calls + _BACKSTOP,
            )
            self._add(calls)
            reflection.enable_server_reflection((self._service, reflection.SERVICE_NAME), calls)
            probes = grpc.aio.server(options=(_ONE_SERVER_A_PORT,))
            health_pb2_grpc.add_HealthServicer_to_server(self._health, probes)
            self._servers = [calls, probes]
            calls_port = self._bind(calls, "port")
            health_port = self._bind(probes, "health_port")
            self._metrics = self._start_metrics()
            await calls.start()
            await self._health.set(self._service, health_pb2.HealthCheckResponse.SERVING)
            await probes.start()
        except BaseException:
            await self._stop(0)
            raise
        return Ports(calls=calls_port, health=health_port, metrics=self._metrics[0].server_port)

    async def drain(self) -> None:
        """Say NOT_SERVING, wait until balancers know, refuse new calls, let running ones end, stop."""
        await self._health.enter_graceful_shutdown()
        await asyncio.sleep(self._settings.drain_s)
        await self._stop(self._settings.grace_s)

    def _start_metrics(self) -> tuple[Any, Thread]:
        s = self._settings
        try:
            return start_http_server(s.metrics_port, s.host, self._registry)
        except OSError as error:
            raise self._taken("metrics_port", error) from None

    def _bind(self, server: grpc.aio.Server, name: str) -> int:
        try:
            return server.add_insecure_port(self._address(name))
        except RuntimeError as error:
            raise self._taken(name, error) from None

    def _address(self, name: str) -> str:
        host = self._settings.host
        return f"{f'[{host}]' if ':' in host else host}:{getattr(self._settings, name)}"

    def _taken(self, name: str, error: Exception) -> NotPossible:
        why = str(error).partition(";")[0]  # behind it gRPC recommends a debugging aid
        return NotPossible(
            f"cannot listen on {self._address(name)} ({why}): perhaps {self.name} runs already;"
            f" otherwise set {variable(self._settings, name)} to another port, or to 0 for any"
        )

    async def _stop(self, grace_s: float) -> None:
        for server in self._servers:
            await server.stop(grace_s)
            grace_s = 0  # for the probes' server: who watches health learns of the end by it
        if self._metrics:
            httpd, thread = self._metrics
            await asyncio.to_thread(httpd.shutdown)
            httpd.server_close()
            await asyncio.to_thread(thread.join)
        self._servers, self._metrics = [], None


def stop_on_signals() -> asyncio.Event:
    """Make the event that SIGTERM or Ctrl-C sets, for the loop that runs."""
    stop = asyncio.Event()
    for sign in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(sign, stop.set)
    return stop


@asynccontextmanager
async def listening(server: RpcServer) -> AsyncIterator[None]:
    """Start a server and print its ports; drain it at the end."""
    ports = await server.start()
    where = f"port {ports.calls}, health {ports.health}, metrics {ports.metrics}"
    print(f"{server.name} serves on {where}", flush=True)  # noqa: T201  # whoever asked for port 0 reads them here
    try:
        yield
    finally:
        await server.drain()


async def serve_until(room: AbstractAsyncContextManager[None], stop: asyncio.Event | None) -> None:
    """Serve a room until `stop` is set, or a signal comes if none is given."""
    stop = stop or stop_on_signals()
    async with room:
        await stop.wait()
