"""A candidate trained and judged on chips by a trainer, in this process and over gRPC."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
from safetensors.torch import load

from services.common.errors import EvaluationCancelled, InvalidRequest, NotFound
from services.common.pb.imcnas.v1 import trainer_pb2 as pb
from services.common.settings import TrainerSettings
from services.trainer.analog import evaluate_on_chip, fine_tune
from services.trainer.analog_types import AnalogConfig, ChipDraw, OnChipRequest
from services.trainer.build import build_module
from services.trainer.cache import ResultCache
from services.trainer.client import Trainer
from services.trainer.convert import request_to_pb
from services.trainer.data import load_dataset
from services.trainer.evaluator import Evaluator
from services.trainer.inline import InlineTrainer
from services.trainer.running import Ended
from services.trainer.server import trainer_server
from services.trainer.types import EpochReport
from tests.trainer.evaluators import request

UNSEEN = count(1)  # seeds of which nothing is kept
ROUGH = AnalogConfig(adc_bits=4, variation_frac=0.2)


class Core(InlineTrainer):
    """Counts the jobs that it does."""

    def __init__(self, cache: ResultCache) -> None:
        self.ended: list[Ended] = []
        super().__init__(cache=cache, on_end=self.ended.append)


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Core]:
    with Core(ResultCache(tmp_path_factory.mktemp("cache") / "evaluations.sqlite")) as core:
        yield core


@pytest.fixture(scope="module")
def address(host: Any, any_ports: dict[str, Any], core: Core) -> str:
    return f"127.0.0.1:{host.start(trainer_server(core, TrainerSettings(**any_ports))).calls}"


@pytest.fixture(params=["in process", "over gRPC"])
def trainer(request: pytest.FixtureRequest, core: Core, address: str) -> Iterator[Evaluator | Trainer]:
    core.ended.clear()
    if request.param == "in process":
        yield core
    else:
        with Trainer(address) as trainer:
            yield trainer


def chips(**changes: Any) -> OnChipRequest:
    values: dict[str, Any] = {"evaluation": request(), "analog": ROUGH, "draws": 3, "images": 60}
    return OnChipRequest(**values | changes)


def test_training_and_chips_are_told_and_make_up_the_report(trainer: Evaluator | Trainer) -> None:
    epochs: list[EpochReport] = []
    draws: list[ChipDraw] = []
    asked = chips(exact_draws=1, evaluation=request(seed=next(UNSEEN)))
    report = trainer.evaluate_on_chip(asked, epochs.append, on_draw=draws.append)
    assert report.accuracy.epochs == tuple(epochs)
    assert len(epochs) == 2
    folded = tuple(d.accuracy_frac for d in draws if not d.exact)
    assert folded == report.analog.folded.draws_frac
    assert [d.accuracy_frac for d in draws if d.exact] == list(report.analog.exact.draws_frac)
    assert (report.analog.images, report.analog.config) == (60, ROUGH)


def test_it_is_the_same_wherever_it_is_asked(core: Core, trainer: Evaluator | Trainer) -> None:
    here, there = core.evaluate_on_chip(chips()), trainer.evaluate_on_chip(chips())
    assert there == here
    assert there.analog != core.evaluate_on_chip(chips(seed=1)).analog


def test_a_network_is_trained_once_for_all_its_chips(trainer: Evaluator | Trainer, core: Core) -> None:
    evaluation = request(seed=next(UNSEEN))
    for bits in (3, 4, 5):
        trainer.evaluate_on_chip(chips(evaluation=evaluation, analog=replace(ROUGH, adc_bits=bits)))
    assert [ended.job for ended in core.ended] == ["training", "chips", "chips", "chips"]


def test_an_id_asked_again_judges_no_chip_again(trainer: Evaluator | Trainer, core: Core) -> None:
    evaluation = request(seed=next(UNSEEN), request_id=f"again {type(trainer).__name__}")
    asked = chips(evaluation=evaluation, exact_draws=1)
    told: list[list[ChipDraw]] = [[], []]
    first, again = (trainer.evaluate_on_chip(asked, on_draw=heard.append) for heard in told)
    assert again == first
    assert told[0] == told[1] == list(first.analog.chips())
    assert [ended.job for ended in core.ended] == ["training", "chips"]
    trainer.evaluate_on_chip(replace(asked, seed=1))
    assert [ended.job for ended in core.ended] == ["training", "chips", "chips"]


def test_it_is_what_the_weights_give_by_hand(core: Core) -> None:
    digits = load_dataset("digits")
    asked = chips(fine_tune_epochs=1, analog=AnalogConfig(stuck_on_frac=0.05))
    module = build_module(asked.evaluation.candidate, digits.info.input_shape, digits.info.classes)
    module.load_state_dict(load(core.weights(asked.evaluation)))
    fine_tune(module, digits, asked.analog, epochs=1, seed=asked.seed)
    by_hand = evaluate_on_chip(module, digits, asked.analog, asked.draws, asked.seed, images=asked.images)
    assert core.evaluate_on_chip(asked).analog == by_hand


def test_it_can_be_cancelled_while_the_network_learns_its_chip(
    trainer: Evaluator | Trainer, core: Core
) -> None:
    id_ = f"stop {type(trainer).__name__}"
    core.evaluate_on_chip(chips())  # so that its training is known
    core.ended.clear()
    asked = chips(evaluation=request(request_id=id_), fine_tune_epochs=1000)
    with ThreadPoolExecutor() as threads:
        waiting = threads.submit(trainer.evaluate_on_chip, asked)
        while not core.busy_slots:
            assert not waiting.done()
        assert core.cancel(id_)
        with pytest.raises(EvaluationCancelled, match=id_):
            waiting.result(30)
    assert [(ended.job, ended.outcome) for ended in core.ended] == [("chips", "cancelled")]
    assert trainer.evaluate_on_chip(chips()).analog.images == 60  # the worker lives


@pytest.mark.parametrize(
    ("changes", "error", "names"),
    [
        ({"evaluation": request(dataset="no such data")}, NotFound, "no such data"),
        ({"analog": AnalogConfig(rows=8)}, InvalidRequest, "rows"),
    ],
)
def test_what_cannot_be_is_refused_with_what_is_wrong(
    trainer: Evaluator | Trainer, changes: dict[str, Any], error: type[Exception], names: str
) -> None:
    with pytest.raises(error, match=names):
        trainer.evaluate_on_chip(chips(**changes))


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (pb.EvaluateOnChipRequest(), "evaluation.candidate"),
        (pb.EvaluateOnChipRequest(evaluation=request_to_pb(request()), seed=-1), "seed"),
        (pb.EvaluateOnChipRequest(evaluation=request_to_pb(request()), draws=0), "draws"),
    ],
)
def test_a_foreign_request_is_refused_by_the_path_of_its_field(
    address: str, request_: pb.EvaluateOnChipRequest, field: str
) -> None:
    with Trainer(address) as trainer, pytest.raises(InvalidRequest) as caught:
        list(trainer._remote.stream(trainer._stub.EvaluateOnChip, lambda: request_))
    assert [v.field for v in caught.value.violations] == [field]


def test_a_wrong_seed_of_the_training_is_not_taken_for_the_chips(address: str) -> None:
    message = pb.EvaluateOnChipRequest(evaluation=request_to_pb(request()))
    message.evaluation.seed = -1
    with Trainer(address) as trainer, pytest.raises(InvalidRequest) as caught:
        list(trainer._remote.stream(trainer._stub.EvaluateOnChip, lambda: message))
    assert [v.field for v in caught.value.violations] == ["evaluation.seed"]
