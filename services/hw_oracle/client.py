"""The oracle for callers: in this process, or a service elsewhere, with the same calls and errors."""

from __future__ import annotations

from services.common.alone import extra
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

    Raises
    ------
    NotPossible
        This process cannot evaluate, as the extra ``oracle`` is not installed.
    """

    def __init__(self, address: str | None = None, timeout_s: float = 60.0) -> None:
        self._oracle: _Remote | _Local = _Local() if address is None else _Remote(address, timeout_s)

    def evaluate(self, layers: LayerList, chip: ChipConfig | str = ChipConfig()) -> CostReport:
        """Cost of one inference of `layers` on `chip`, which may be the name of a preset.

        Raises
        ------
        InvalidNetwork, InvalidChip, ChipTooSmall, NotFound
            As the core does.
        Unavailable, Overloaded, DeadlineExceeded
            The service cannot answer.
        """
        return self._oracle.evaluate(layers, chip)

    def info(self) -> OracleInfo:
        """Say what the oracle is."""
        return self._oracle.info()

    def close(self) -> None:
        """Close the connection, if there is one."""
        self._oracle.close()


class _Local:
    """The oracle in this process, which needs more than a client has."""

    def __init__(self) -> None:
        with extra("oracle"):
            from services.hw_oracle import local
        self.evaluate, self.info = local.evaluate, local.info

    def close(self) -> None:
        pass


class _Remote:
    def __init__(self, address: str, timeout_s: float) -> None:
        self._connection = Connection(address, timeout_s)
        self._stub = HwOracleServiceStub(self._connection.channel)
        self.close = self._connection.close

    def evaluate(self, layers: LayerList, chip: ChipConfig | str) -> CostReport:
        response = self._connection.call(self._stub.Evaluate, request_to_pb(layers, chip))
        return from_pb(response.report, CostReport)

    def info(self) -> OracleInfo:
        request = pb.HwOracleServiceGetServerInfoRequest()
        return from_pb(self._connection.call(self._stub.GetServerInfo, request).info, OracleInfo)
