"""Whatever is sent to any call of the oracle: a typed answer, no text of ours, and the service goes on."""

from __future__ import annotations

import gc
import os
import re
from collections.abc import Iterator
from functools import reduce
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import Descriptor, MethodDescriptor
from google.protobuf.message import Message
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from hypothesis import given, settings
from hypothesis import strategies as st

from services.common.convert import to_pb
from services.common.pb.imcnas.v1 import candidate_pb2, error_pb2, network_pb2
from services.common.pb.imcnas.v1 import hw_oracle_pb2 as pb
from services.common.rpc.limits import MESSAGE_OPTIONS
from services.common.settings import OracleSettings
from services.common.space import load_space
from services.hw_oracle.server import SERVICE, oracle_server
from services.hw_oracle.types import ChipConfig
from tests.fuzz.messages import changed, damaged, messages, new
from tests.hw_oracle.networks import networks
from tests.hw_oracle.random_chips import chips

CALLS: dict[str, MethodDescriptor] = pb.DESCRIPTOR.services_by_name["HwOracleService"].methods_by_name
"""Every call of the service by its name, whatever is added to it."""

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "40"))
"""Of each test and call; `make fuzz` takes many."""

TYPED = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
}
PATH = re.compile(r"[a-z_0-9]+(\[\d+\])?(\.[a-z_0-9]+(\[\d+\])?)*")
OURS = re.compile(r"Traceback|incident|Error\b|Exception|services/|\.py\b|<class|object at 0x")

SHAPE = network_pb2.Shape(channels=1, height=8, width=8)
CONV = network_pb2.Layer(conv2d=network_pb2.Conv2d(inputs=[-1], out_channels=4, kernel_size=3))
NETWORK = network_pb2.LayerList(input_shape=SHAPE, layers=[CONV])
GOOD = pb.HwOracleServiceEvaluateRequest(network=NETWORK, preset="mnsim2_default")


class Service:
    """A served oracle, asked with bytes and answering with bytes."""

    def __init__(self, port: int) -> None:
        self._channel = grpc.insecure_channel(f"127.0.0.1:{port}", MESSAGE_OPTIONS)
        self.good = self.ask("Evaluate", GOOD.SerializeToString())

    def ask(self, name: str, *requests: bytes) -> list[bytes]:
        """Call a method, of whatever kind."""
        method = CALLS[name]
        path = f"/{SERVICE}/{name}"
        if method.client_streaming and method.server_streaming:
            return list(self._channel.stream_stream(path)(iter(requests), timeout=60))
        assert not method.client_streaming, "a new kind of call: teach it here"
        assert not method.server_streaming, "a new kind of call: teach it here"
        return [self._channel.unary_unary(path)(request, timeout=60) for request in requests]

    def check(self, name: str, *requests: bytes) -> None:
        """Every answer is a sound one or a typed refusal, and a good request is answered as ever."""
        try:
            answers = self.ask(name, *requests)
        except grpc.RpcError as error:
            check_refusal(error, name)
        else:
            for answer in answers:
                for report in errors_in(new(CALLS[name].output_type).FromString(answer)):
                    assert report.reason
                    check_texts(report.message, report.violations, name)
        assert self.ask("Evaluate", GOOD.SerializeToString()) == self.good

    def close(self) -> None:
        self._channel.close()


def check_refusal(error: Any, name: str) -> None:
    assert error.code() in TYPED, (error.code(), error.details())
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    for detail in rpc_status.from_call(error).details:
        detail.Unpack(info)
        detail.Unpack(bad)
    assert info.domain == "imcnas"
    assert info.reason
    assert bad.field_violations or error.code() is not grpc.StatusCode.INVALID_ARGUMENT
    check_texts(error.details(), bad.field_violations, name)


def check_texts(message: str, violations: Any, name: str) -> None:
    """An error speaks of fields that there are, and not of our code."""
    shown = re.sub(r"got '.*?', wanted|got \".*?\", wanted|got '.*", "", message, flags=re.DOTALL)
    assert not OURS.search(shown), message
    for violation in violations:
        assert PATH.fullmatch(violation.field), violation.field
        assert is_field(violation.field, CALLS[name].input_type), violation.field
        assert violation.description


def is_field(path: str, request: Descriptor) -> bool:
    """Whether a path leads through fields of the request, of its network or of its chip."""
    roots = request, network_pb2.LayerList.DESCRIPTOR
    names = re.sub(r"\[\d+\]", "", path).split(".")
    if names == ["request"] or names == ["chip"]:
        return True  # bytes that are no message; the oneof of a preset and a chip
    if names[0] == "chip":
        names, roots = names[1:], (pb.ChipConfig.DESCRIPTOR,)
    if names[0] in ("preset", "blocks"):
        return True  # in GetChip's `name`; blocks are what a candidate's choices stand for
    return any(
        reduce(
            lambda at, name: (field := at and at.fields_by_name.get(name)) and (field.message_type or field),
            names,
            root,
        )
        for root in roots
    )


def errors_in(message: Message) -> Iterator[error_pb2.ErrorReport]:
    if isinstance(message, error_pb2.ErrorReport):
        yield message
    for field, value in message.ListFields():
        if field.message_type is not None:
            for inner in value if field.is_repeated else [value]:
                yield from errors_in(inner)


@pytest.fixture(scope="module")
def service(host: Any, any_ports: dict[str, Any]) -> Iterator[Service]:
    made = Service(host.start(oracle_server(OracleSettings(**any_ports))).calls)
    yield made
    made.close()


NETWORKS = networks(max_layers=4).map(lambda network: to_pb(network, network_pb2.LayerList))
CHIPS = st.just(ChipConfig()) | chips()
CANDIDATES = {
    "space": to_pb(load_space("small"), candidate_pb2.SearchSpace),
    "input_shape": SHAPE,
    "classes": 10,
    "depths": [1, 2, 1],
    "choices": [0, 1, 2, 0],
}


@st.composite
def sound(draw: st.DrawFn, name: str) -> Message:
    """Requests that a client might send; of a call that is new here, empty ones."""
    given: dict[str, Any] = {}
    fields = CALLS[name].input_type.fields_by_name
    if "network" in fields:
        given["network"] = draw(NETWORKS)
    if "networks" in fields:
        given["networks"] = draw(st.lists(NETWORKS, max_size=3))
    if "space" in fields:
        given |= CANDIDATES
    if "name" in fields:
        given["name"] = "mnsim2_default"
    if "config" in fields:
        given |= draw(
            st.just({"preset": "mnsim2_default"})
            | CHIPS.map(lambda chip: {"config": to_pb(chip, pb.ChipConfig)})
        )
    if "detail" in fields:
        given["detail"] = draw(st.sampled_from(pb.Detail.values()))
    return type(new(CALLS[name].input_type))(**given)


@pytest.mark.parametrize("name", CALLS)
@settings(max_examples=EXAMPLES)
@given(st.data())
def test_any_message_at_all(service: Service, name: str, data: st.DataObject) -> None:
    request = data.draw(messages(CALLS[name].input_type))
    service.check(name, request.SerializeToString())


@pytest.mark.parametrize("name", CALLS)
@settings(max_examples=EXAMPLES)
@given(st.data())
def test_a_sound_message_with_some_fields_changed(service: Service, name: str, data: st.DataObject) -> None:
    request = data.draw(sound(name).flatmap(changed))
    service.check(name, request.SerializeToString())


@pytest.mark.parametrize("name", CALLS)
@settings(max_examples=EXAMPLES)
@given(st.data())
def test_any_bytes_and_the_damaged_bytes_of_a_sound_message(
    service: Service, name: str, data: st.DataObject
) -> None:
    some = st.binary(max_size=200)
    raw = data.draw(some | sound(name).flatmap(lambda request: damaged(request.SerializeToString())))
    service.check(name, raw)


@settings(max_examples=EXAMPLES)
@given(st.data())
def test_a_stream_of_all_of_these(service: Service, data: st.DataObject) -> None:
    request = sound("EvaluateStream")
    some = st.one_of(
        request.map(lambda sent: sent.SerializeToString()),
        request.flatmap(changed).map(lambda sent: sent.SerializeToString()),
        messages(CALLS["EvaluateStream"].input_type).map(lambda sent: sent.SerializeToString()),
        st.binary(max_size=50),
    )
    service.check("EvaluateStream", *data.draw(st.lists(some, max_size=5)))


@pytest.mark.parametrize("name", CALLS)
@settings(max_examples=5)
@given(st.data())
def test_what_is_changed_was_sound(service: Service, name: str, data: st.DataObject) -> None:
    request: Any = data.draw(sound(name))
    if "preset" in request.DESCRIPTOR.fields_by_name:
        request.preset = "mnsim2_default"
    (answer,) = service.ask(name, request.SerializeToString())
    assert list(errors_in(new(CALLS[name].output_type).FromString(answer))) == []


@pytest.mark.parametrize(
    ("name", "request_"),
    [
        ("Evaluate", pb.HwOracleServiceEvaluateRequest(network=NETWORK, preset="x")),
        ("Evaluate", pb.HwOracleServiceEvaluateRequest(network=NETWORK)),
        ("Evaluate", pb.HwOracleServiceEvaluateRequest(preset="mnsim2_default")),
        ("BatchEvaluate", pb.HwOracleServiceBatchEvaluateRequest(networks=[NETWORK] * 1001)),
        ("Validate", pb.HwOracleServiceValidateRequest(network=network_pb2.LayerList(), preset="x")),
        ("EvaluateStream", pb.HwOracleServiceEvaluateStreamRequest(preset="mnsim2_default")),
        ("EvaluateStream", pb.HwOracleServiceEvaluateStreamRequest(network=NETWORK)),
    ],
)
def test_a_request_that_is_refused_is_let_go_of(service: Service, name: str, request_: Any) -> None:
    """Its memory waited for a full garbage collection: 50 requests of 16 MB came to 10 GB."""

    def alive() -> set[int]:
        return {id(item) for item in gc.get_objects() if type(item) is type(request_)}

    gc.collect()
    gc.disable()
    try:
        before = alive()
        for _ in range(3):
            service.check(name, request_.SerializeToString())
        for _ in range(100):  # the last thread may be ending
            if not alive() - before:
                break
        assert alive() - before == set()
    finally:
        gc.enable()
