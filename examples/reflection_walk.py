"""What a service can be asked, and an answer of it, without its protos and without imcnas.

::

    pip install grpcio grpcio-reflection
    python examples/reflection_walk.py 127.0.0.1:50051
"""

from __future__ import annotations

import sys
from typing import Any

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.json_format import ParseDict
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

TIMEOUT_S = 30.0

NETWORK = {
    "input_shape": {"channels": 3, "height": 8, "width": 8},
    "layers": [
        {"conv2d": {"inputs": [-1], "out_channels": 16, "kernel_size": 3, "padding": 1}},
        {"linear": {"inputs": [0], "out_features": 10}},
    ],
}


def walk(channel: grpc.Channel) -> None:
    """Print every call of every service; then evaluate a network."""
    database = ProtoReflectionDescriptorDatabase(channel)
    pool = DescriptorPool(database)  # asks the service for each file when it is first needed
    for name in database.get_services():
        print(name)
        for method in pool.FindServiceByName(name).methods:
            takes = f"{'stream ' * method.client_streaming}{method.input_type.name}"
            print(
                f"  {method.name}({takes}) -> {'stream ' * method.server_streaming}{method.output_type.name}"
            )

    evaluate = pool.FindMethodByName("imcnas.v1.HwOracleService.Evaluate")
    print("Evaluate takes", ", ".join(field.name for field in evaluate.input_type.fields))
    request = {"network": NETWORK, "preset": "mnsim2_default", "detail": "DETAIL_LAYERS"}
    report = call(channel, evaluate, request).report
    print(f"latency_ns {report.latency_ns}\nenergy_nj {report.energy_nj}\nlayers {len(report.layers)}")


def call(channel: grpc.Channel, method: MethodDescriptor, request: dict[str, Any]) -> Any:
    """Make a unary call whose request is given as JSON has it."""
    send = channel.unary_unary(
        f"/{method.containing_service.full_name}/{method.name}",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=GetMessageClass(method.output_type).FromString,
    )
    return send(ParseDict(request, GetMessageClass(method.input_type)()), timeout=TIMEOUT_S)


if __name__ == "__main__":
    address = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:50051"
    try:
        with grpc.insecure_channel(address) as opened:
            walk(opened)
    except grpc.RpcError as error:
        sys.exit(f"{error.code().name} from {address}: {error.details()}")
