"""The trainer as a foreign client sees it: raw requests, raw statuses, metrics."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from prometheus_client import CollectorRegistry

from services.common.errors import TrainingFailed
from services.common.pb.imcnas.v1 import candidate_pb2, trainer_pb2_grpc
from services.common.pb.imcnas.v1 import trainer_pb2 as pb
from services.common.settings import TrainerSettings
from services.trainer import server
from services.trainer.jobs import Item, TrainJob
from services.trainer.metrics import TrainerMetrics
from services.trainer.running import Ended
from services.trainer.server import trainer_server
from tests.trainer.evaluators import Scripted

BLOCK = candidate_pb2.Block(type=candidate_pb2.BLOCK_TYPE_VGG, kernels=8)
CANDIDATE = candidate_pb2.Candidate(blocks=[BLOCK])


def fail(job: TrainJob) -> Iterator[Item]:
    raise TrainingFailed("diverged")
    yield


@pytest.fixture(scope="module")
def stub(host: Any, any_ports: dict[str, Any]) -> Iterator[trainer_pb2_grpc.TrainerServiceStub]:
    ports = host.start(trainer_server(Scripted(fail), TrainerSettings(**any_ports)))
    with grpc.insecure_channel(f"127.0.0.1:{ports.calls}") as channel:
        yield trainer_pb2_grpc.TrainerServiceStub(channel)


def ask(
    stub: trainer_pb2_grpc.TrainerServiceStub, request: pb.TrainerServiceEvaluateRequest
) -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as caught:
        list(stub.Evaluate(request, timeout=10))
    return caught.value


def fields(error: Any) -> list[str]:
    bad = error_details_pb2.BadRequest()
    for detail in rpc_status.from_call(error).details:
        detail.Unpack(bad)
    return [v.field for v in bad.field_violations]


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (pb.TrainerServiceEvaluateRequest(), "candidate"),
        (pb.TrainerServiceEvaluateRequest(candidate=candidate_pb2.Candidate(blocks=[candidate_pb2.Block()])),
         "candidate.blocks[0].type"),
        (pb.TrainerServiceEvaluateRequest(candidate=CANDIDATE), "recipe"),
        (pb.TrainerServiceEvaluateRequest(candidate=CANDIDATE, recipe=pb.TrainRecipe(momentum=1.0)),
         "recipe.momentum"),
        (pb.TrainerServiceEvaluateRequest(candidate=CANDIDATE, recipe=pb.TrainRecipe(), seed=-1), "seed"),
        (pb.TrainerServiceEvaluateRequest(candidate=CANDIDATE, recipe=pb.TrainRecipe(name="x" * 201)),
         "recipe.name"),
        (pb.TrainerServiceEvaluateRequest(candidate=CANDIDATE, recipe=pb.TrainRecipe(), request_id="x" * 201),
         "request_id"),
    ],
)  # fmt: skip
def test_a_bad_request_is_an_invalid_argument_with_the_path_of_its_field(
    stub: trainer_pb2_grpc.TrainerServiceStub, request_: pb.TrainerServiceEvaluateRequest, field: str
) -> None:
    error = ask(stub, request_)
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert fields(error) == [field]


def test_more_evaluations_than_threads_are_refused_as_overloaded(
    stub: trainer_pb2_grpc.TrainerServiceStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "MAX_EVALUATIONS", 0)
    request = pb.TrainerServiceEvaluateRequest(
        candidate=CANDIDATE, dataset="digits", recipe=pb.TrainRecipe(name="x")
    )
    assert ask(stub, request).code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_metrics_follow_trainings_queue_and_slots() -> None:
    registry = CollectorRegistry()
    metrics = TrainerMetrics(registry)
    evaluator = Scripted(fail, slots=3)
    metrics.watch(evaluator)
    metrics.ended(Ended(job="training", outcome="complete", wall_s=2.0, images=1000))
    metrics.ended(Ended(job="training", outcome="failed", wall_s=1.0, images=0))
    read = registry.get_sample_value
    assert read("imcnas_trainer_evaluations_total", {"job": "training", "outcome": "failed"}) == 1
    assert read("imcnas_trainer_evaluation_seconds_sum", {"job": "training"}) == 3.0
    assert read("imcnas_trainer_images_total") == 1000
    assert read("imcnas_trainer_queue_length") == 0
    assert read("imcnas_trainer_workers", {"state": "idle"}) == 3
    assert read("imcnas_trainer_workers", {"state": "busy"}) == 0
