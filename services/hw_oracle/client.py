"""The oracle for callers: in this process, or a service elsewhere, with the same calls and errors."""

from __future__ import annotations

from services.common.closing import Closing
from services.common.convert import from_pb
from services.common.layers import LayerList
from services.common.pb.imcnas.v1 import hw_oracle_pb2 as pb
from services.common.pb.imcnas.v1.hw_oracle_pb2_grpc import HwOracleServiceStub
from services.common.rpc.channel import Connection
from services.hw_oracle.convert import request_to_pb
from services.hw_oracle.info import OracleInfo
from services.hw_oracle.types import ChipConfig, CostReport


class HwOracle(Closing):
    """What a network costs on a chip.

    Parameters
    ----------
    address : str or None
        ``host:port`` of an oracle's service; None evaluates in this process.
    timeout_s : float
        Deadline of a remote call.
    """

    def __init__(self, address: str | None = None, timeout_s: float = 60.0) -> None:
        self._remote = None if address is None else Connection(address, timeout_s)

    def evaluate(self, layers: LayerList, chip: ChipConfig | str) -> CostReport:
        """Cost of one inference of `layers` on `chip`, which may be the name of a preset.

        Raises
        ------
        InvalidNetwork, InvalidChip, ChipTooSmall, NotFound
            As the core does.
        Unavailable, Overloaded, DeadlineExceeded
            The service cannot answer.
        """
        if self._remote is None:
            from services.hw_oracle.local import evaluate  # needs more than a client has

            return evaluate(layers, chip)
        stub = HwOracleServiceStub(self._remote.channel)
        return from_pb(self._remote.call(stub.Evaluate, request_to_pb(layers, chip)).report, CostReport)

    def info(self) -> OracleInfo:
        """Say what the oracle is."""
        if self._remote is None:
            from services.hw_oracle.local import info  # as above

            return info()
        stub = HwOracleServiceStub(self._remote.channel)
        response = self._remote.call(stub.GetServerInfo, pb.HwOracleServiceGetServerInfoRequest())
        return from_pb(response.info, OracleInfo)

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._remote is not None:
            self._remote.close()
