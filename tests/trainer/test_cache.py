"""What was trained once is known, and a database that fails costs nothing but a training."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from services.common.errors import InvalidRequest
from services.searcher.store import Store
from services.trainer.artifacts import Artifacts
from services.trainer.cache import ResultCache
from services.trainer.identity import identify
from services.trainer.inline import InlineTrainer
from services.trainer.running import Ended
from services.trainer.types import DatasetInfo, Precision, Schedule, TrainRecipe
from tests.postgres import Postgres
from tests.trainer.evaluators import request


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "made" / "results.sqlite"


def data() -> DatasetInfo:
    with InlineTrainer() as trainer:
        return trainer.dataset("digits")


def test_a_result_is_found_by_another_trainer_and_its_epochs_are_told(file: Path) -> None:
    ended: list[Ended] = []
    looks: list[bool] = []
    with InlineTrainer(cache=ResultCache(file), on_end=ended.append) as first:
        report = first.evaluate(request(request_id="a"))
    told = []
    with InlineTrainer(cache=ResultCache(file), on_end=ended.append, on_cached=looks.append) as second:
        assert second.evaluate(request(request_id="b"), told.append) == report
        assert second.evaluate(request(seed=1)) != report
    assert tuple(told) == report.epochs
    assert (len(ended), looks) == (2, [True, False])


def test_a_cached_result_without_what_is_asked_for_is_trained_again(file: Path, tmp_path: Path) -> None:
    ended: list[Ended] = []
    options = {"artifacts": Artifacts(tmp_path / "artifacts"), "on_end": ended.append}
    with InlineTrainer(cache=ResultCache(file), **options) as trainer:  # type: ignore[arg-type]
        assert trainer.evaluate(request()).test_accuracy_frac is None
        judged = trainer.evaluate(request(judge_test=True))
        assert judged.test_accuracy_frac is not None
        assert trainer.evaluate(request()) == judged
        trainer.evaluate(request(keep_weights=True))
        trainer.evaluate(request(keep_weights=True))
    assert len(ended) == 3


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"blocks": "MVGG4"},
        {"recipe": TrainRecipe(name="short", epochs=3)},
        {"recipe": TrainRecipe(name="short", epochs=2, version=2)},
        {"recipe": TrainRecipe(name="short", epochs=2, precision=Precision.BFLOAT16)},
        {"recipe": TrainRecipe(name="short", epochs=2, schedule=Schedule.CONSTANT)},
    ],
)
def test_whatever_decides_a_result_is_part_of_its_name(change: dict[str, object]) -> None:
    other = request(**({"blocks": "VGG4"} | change))  # type: ignore[arg-type]
    assert identify(other, data(), "cpu").evaluation != identify(request(), data(), "cpu").evaluation


def test_data_device_and_budget_are_part_of_a_name_and_the_budget_not_of_a_trunks() -> None:
    info, recipe = data(), TrainRecipe(name="staged", epochs=9, schedule=Schedule.CONSTANT)
    whole = identify(request(recipe=recipe), info, "cpu")
    part = identify(request(recipe=recipe, budget_epochs=3), info, "cpu")
    assert whole.evaluation != part.evaluation
    assert whole.trunk == part.trunk
    others = [
        identify(request(recipe=recipe), dataclasses.replace(info, fingerprint="another"), "cpu"),
        identify(request(recipe=recipe), info, "cuda"),
    ]
    assert len({whole.evaluation, *(other.evaluation for other in others)}) == 3


def test_what_is_done_beside_a_training_is_no_part_of_its_name() -> None:
    beside = request(request_id="a", keep_weights=True, judge_test=True)
    assert identify(beside, data(), "cpu") == identify(request(), data(), "cpu")


def test_a_damaged_row_is_trained_again(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    with InlineTrainer(cache=ResultCache(file)) as trainer:
        report = trainer.evaluate(request())
    with ResultCache(file) as cache:
        from services.common.sql import transaction
        from services.trainer.cache import EVALUATIONS

        with transaction(cache._engine, write=True) as connection:
            connection.execute(EVALUATIONS.update().values(report="{"))
        identity = identify(request(), data(), "cpu")
        assert cache.find(identity, request()) is None
    assert report.accuracy_frac > 0
    assert "cache of results failed" in caplog.text


def test_a_file_that_is_no_database_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    path.write_text("something else, long enough to be no database at all")
    with pytest.raises(InvalidRequest, match=r"cache: cannot open .*results\.sqlite"):
        ResultCache(path)
    with pytest.raises(InvalidRequest, match="cache: cannot open"):
        ResultCache("nothing://of the kind")


def test_a_database_that_cannot_be_opened_is_refused_without_its_password() -> None:
    pytest.importorskip("psycopg")
    with pytest.raises(
        InvalidRequest, match=r"cache: cannot open postgresql://ada:\*\*\*@localhost:1/x"
    ) as caught:
        ResultCache("postgresql://ada:s3cret@localhost:1/x")
    assert "s3cret" not in str(caught.value)


def test_results_can_be_kept_in_postgresql_beside_the_studies(postgres: Postgres) -> None:
    url = postgres.new_schema()
    with Store(url), ResultCache(url) as cache, InlineTrainer() as trainer:
        asked, identity = request(), identify(request(), data(), "cpu")
        assert cache.find(identity, asked) is None
        report = trainer.evaluate(asked)
        cache.put(identity, asked, report)
        cache.put(identity, asked, report)
        assert cache.find(identity, asked) == report
    with ResultCache(url) as again:
        assert again.find(identity, asked) == report
