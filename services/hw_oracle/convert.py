"""The oracle's messages <-> its values."""

from __future__ import annotations

from services.common.convert import from_pb, to_pb
from services.common.errors import InvalidRequest, missing
from services.common.layers import LayerList
from services.common.pb.imcnas.v1 import hw_oracle_pb2 as pb
from services.common.pb.imcnas.v1 import network_pb2
from services.hw_oracle.types import ChipConfig


def request_to_pb(layers: LayerList, chip: ChipConfig | str) -> pb.HwOracleServiceEvaluateRequest:
    """Make the request that evaluates a network on a chip or, by its name, on a preset."""
    network = to_pb(layers, network_pb2.LayerList)
    if isinstance(chip, str):
        return pb.HwOracleServiceEvaluateRequest(network=network, preset=chip)
    return pb.HwOracleServiceEvaluateRequest(network=network, config=to_pb(chip, pb.ChipConfig))


def request_from_pb(request: pb.HwOracleServiceEvaluateRequest) -> tuple[LayerList, ChipConfig | str]:
    """Read the network, and the chip or the name of a preset."""
    layers = from_pb(request.network, LayerList)
    match request.WhichOneof("chip"):
        case "preset":
            return layers, request.preset
        case "config":
            return layers, from_pb(request.config, ChipConfig, "chip")
        case _:
            raise InvalidRequest.of(missing("chip", "preset or config"))
