"""A trainer that trains nothing, its events, and a service around it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from prometheus_client import CollectorRegistry

from services.common.candidate import parse_candidate
from services.common.pb.imcnas.v1.trainer_pb2_grpc import add_TrainerServiceServicer_to_server
from services.common.rpc.server import RpcServer
from services.common.settings import TrainerSettings
from services.trainer.client import Trainer
from services.trainer.jobs import Item, TrainJob
from services.trainer.server import SERVICE, TrainerServicer
from services.trainer.types import AccuracyReport, EpochReport, EvaluationRequest, TrainRecipe
from tests.trainer import evaluators

EPOCHS = tuple(
    EpochReport(epoch=n, train_loss_nats=1.0 / n, validation_accuracy_frac=0.1 * n, elapsed_s=float(n))
    for n in (1, 2, 3)
)
REPORT = AccuracyReport(
    network_key="0" * 64,
    accuracy_frac=0.3,
    accuracy_stderr_frac=0.02,
    validation_images=400,
    epochs=EPOCHS,
    train_s=3.0,
    device="cpu",
    torch_version="none",
)


class Scripted(evaluators.Scripted):
    """Trains nothing, in no time."""

    def __init__(self) -> None:
        super().__init__(self.train, slots=2)
        self.trained: list[str] = []
        self.before: Callable[[], object] = lambda: None

    def train(self, job: TrainJob) -> Iterator[Item]:
        self.trained.append(job.request.request_id)
        self.before()
        yield from EPOCHS
        yield REPORT


def make_request(**changes: Any) -> EvaluationRequest:
    settings = {
        "candidate": parse_candidate("VGG8-RES16"),
        "dataset": "digits",
        "recipe": TrainRecipe(name="quick", epochs=3),
    }
    return EvaluationRequest(**(settings | changes))


def connect(host: Any, any_ports: dict[str, Any], servicer: TrainerServicer) -> Trainer:
    """Serve it, and give a client that waits for nothing before it tries again."""
    rpc = RpcServer(
        SERVICE,
        lambda s: add_TrainerServiceServicer_to_server(servicer, s),
        TrainerSettings(**any_ports),
        CollectorRegistry(),
    )
    trainer = Trainer(f"127.0.0.1:{host.start(rpc).calls}")
    trainer._remote._pause_s = 0.0
    return trainer
