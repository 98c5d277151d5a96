"""A service behind the oracle's door that answers each call with the bytes it was given at start."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from services.common.pb.imcnas.v1 import hw_oracle_pb2 as pb
from services.common.pb.imcnas.v1 import hw_oracle_pb2_grpc
from services.common.rpc.server import RpcServer, listening, serve_until
from services.common.settings import OracleSettings, read_settings
from services.hw_oracle.server import SERVICE


class Echo(hw_oracle_pb2_grpc.HwOracleServiceServicer):
    """Parses each request as the oracle does, and sends a response made before."""

    def __init__(self, response: bytes) -> None:
        self._response = pb.HwOracleServiceEvaluateResponse.FromString(response)

    async def Evaluate(self, request: Any, context: Any) -> Any:  # noqa: N802  # gRPC's name
        """Answer."""
        return self._response


def main() -> None:
    """Serve until a signal; the one argument is the file of the response."""
    servicer = Echo(Path(sys.argv[1]).read_bytes())

    def add(server: Any) -> None:
        hw_oracle_pb2_grpc.add_HwOracleServiceServicer_to_server(servicer, server)

    async def serve() -> None:
        server = RpcServer(SERVICE, add, read_settings(OracleSettings), CollectorRegistry())
        await serve_until(listening(server), None)

    asyncio.run(serve())


if __name__ == "__main__":
    main()
