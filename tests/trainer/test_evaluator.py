"""What an evaluator promises beside the training: ids, ends, weights, and who waits for whom."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest
import torch
from safetensors.torch import load, save

from services.common.errors import Cancelled, EvaluationCancelled, ImcnasError, InvalidRequest, NotPossible
from services.trainer.analog_types import AnalogConfig, AnalogReport, ChipAccuracy, OnChipRequest
from services.trainer.artifacts import Artifacts
from services.trainer.cache import ResultCache
from services.trainer.data import Dataset, Registry
from services.trainer.evaluator import Evaluator
from services.trainer.inline import InlineTrainer
from services.trainer.jobs import ChipJob, Item, Job
from services.trainer.running import Ended
from services.trainer.types import AccuracyReport, EpochReport, Schedule, TrainRecipe, Weights
from tests.trainer.evaluators import Scripted, request
from tests.trainer.scripted import REPORT

ON_CHIP = AnalogReport(
    float_frac=0.3,
    quantised_frac=0.3,
    folded=ChipAccuracy(draws_frac=(0.2,)),
    exact=None,
    folded_error=None,
    images=400,
    config=AnalogConfig(),
    seed=0,
)


def train_alone(job: Job) -> Iterator[Item]:
    """Keep weights and a report; chips are never to be judged."""
    assert not isinstance(job, ChipJob)
    yield Weights(data=save({"weight": torch.zeros(1)}))
    yield REPORT


@pytest.mark.parametrize(
    ("end", "error"),
    [(Evaluator.close, Cancelled), (lambda trainer: trainer.cancel("a"), EvaluationCancelled)],
)
def test_an_evaluation_on_chips_can_be_ended_between_its_training_and_its_chips(
    end: Callable[[Evaluator], object], error: type[ImcnasError]
) -> None:
    def training_ended(_: Ended) -> None:
        end(trainer)

    with Scripted(train_alone, on_end=training_ended) as trainer, pytest.raises(error):
        trainer.evaluate_on_chip(OnChipRequest(evaluation=request(request_id="a")))


def test_who_was_trained_is_not_refused_its_chips_because_others_wait() -> None:
    other_runs, go_on = Event(), Event()

    def run(job: Job) -> Iterator[Item]:
        if isinstance(job, ChipJob):
            yield ON_CHIP
        elif job.request.seed == 0:
            yield from train_alone(job)
        else:
            other_runs.set()
            assert go_on.wait(30)
            yield REPORT

    with ThreadPoolExecutor(2) as threads:

        def fill_the_queue(ended: Ended) -> None:
            if not other_runs.is_set():
                others.append(threads.submit(trainer.evaluate, request(seed=1)))
                assert other_runs.wait(30)
                others.append(threads.submit(trainer.evaluate, request(seed=2)))
                while trainer.queue_length < 1:
                    Event().wait(0.001)

        others: list[Future[AccuracyReport]] = []
        with Scripted(run, queue_limit=1, on_end=fill_the_queue) as trainer:
            asked = OnChipRequest(evaluation=request())
            report = trainer.evaluate_on_chip(asked, on_queued=lambda place: place.ahead and go_on.set())
            assert report.analog is ON_CHIP
            assert [other.result(30) for other in others] == [REPORT, REPORT]


def test_an_evaluation_can_be_cancelled_while_its_data_are_read() -> None:
    class Slow(Registry):
        def load(self, name: str) -> Dataset:
            assert trainer.cancel("a")
            return super().load(name)

    with Scripted(train_alone, datasets=Slow()) as trainer, pytest.raises(EvaluationCancelled, match="'a'"):
        trainer.evaluate(request(request_id="a"))


def test_a_result_whose_weights_made_room_is_trained_again_where_they_are_wanted(tmp_path: Path) -> None:
    ended: list[Ended] = []
    asked = request(request_id="a", keep_weights=True)
    with InlineTrainer(artifacts=Artifacts(tmp_path), on_end=ended.append) as trainer:
        first = trainer.evaluate(asked)
        assert trainer.evaluate(asked) is first
        [kept] = tmp_path.iterdir()
        kept.unlink()
        trainer.evaluate(asked)
        assert kept.exists()
    assert len(ended) == 2


@pytest.mark.parametrize("damage", [lambda data: data[:-100], lambda data: b"", lambda data: b"x" * 100])
def test_damaged_weights_cost_a_training_and_no_more(
    tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    asked, cache = request(), ResultCache(tmp_path / "results.sqlite")
    with InlineTrainer(artifacts=Artifacts(tmp_path / "artifacts"), cache=cache) as trainer:
        learnt = load(trainer.weights(asked))
        [kept] = (tmp_path / "artifacts").iterdir()
        kept.write_bytes(damage(kept.read_bytes()))
        chips = OnChipRequest(evaluation=asked, draws=1, images=10)
        assert trainer.evaluate_on_chip(chips).analog.images == 10
        kept.write_bytes(damage(kept.read_bytes()))
        again = load(trainer.weights(asked))
    assert all(torch.equal(learnt[name], again[name]) for name in learnt)


def test_weights_can_be_asked_for_by_an_id_that_did_not_keep_them() -> None:
    with InlineTrainer() as trainer:
        report = trainer.evaluate(request(request_id="a"))
        assert trainer.weights(request(request_id="a"))
        assert trainer.evaluate(request(request_id="a")) is report


def test_weights_that_cannot_be_kept_are_no_reason_to_ask_again() -> None:
    class Full(Artifacts):
        def put_weights(self, evaluation: str, data: bytes) -> None:
            pass

    with InlineTrainer(artifacts=Full()) as trainer:
        with pytest.raises(NotPossible, match="artifacts: the weights could not be kept"):
            trainer.evaluate_on_chip(OnChipRequest(evaluation=request()))
        with pytest.raises(NotPossible, match="artifacts: the weights could not be kept"):
            trainer.weights(request())


def test_who_waits_goes_on_from_what_was_learnt_meanwhile() -> None:
    recipe = TrainRecipe(name="staged", epochs=10, schedule=Schedule.CONSTANT)
    first_trains, second_waits = Event(), Event()

    def hold(epoch: EpochReport) -> None:
        first_trains.set()
        assert second_waits.wait(30)

    with InlineTrainer() as trainer, ThreadPoolExecutor(1) as threads:
        first = threads.submit(trainer.evaluate, request(recipe=recipe, budget_epochs=5), hold)
        assert first_trains.wait(30)
        second = trainer.evaluate(request(recipe=recipe), on_queued=lambda _: second_waits.set())
        assert first.result(30).resumed_epochs == 0
    assert second.resumed_epochs == 4


def test_chips_that_a_network_does_not_fit_are_counted_as_failed() -> None:
    ended: list[Ended] = []
    with InlineTrainer(on_end=ended.append) as trainer, pytest.raises(InvalidRequest, match="rows"):
        trainer.evaluate_on_chip(OnChipRequest(evaluation=request(), analog=AnalogConfig(rows=8)))
    assert [(e.job, e.outcome) for e in ended] == [("training", "complete"), ("chips", "failed")]
