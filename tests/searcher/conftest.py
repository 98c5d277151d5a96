"""A world in which training takes no time: costs and accuracies are smooth functions of the network."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from services.common.candidate import BlockType, candidate_layers
from services.common.errors import TrainingFailed
from services.common.layers import LayerList, Shape, macs, params
from services.common.network_json import network_key
from services.common.space import load_space
from services.common.sql import connect, transaction
from services.hw_oracle.types import (
    AreaBreakdown,
    ChipConfig,
    CostReport,
    EnergyBreakdown,
    LatencyBreakdown,
    PowerBreakdown,
    chip_hash,
)
from services.searcher import propose
from services.searcher.loop import run_search
from services.searcher.store import Store
from services.searcher.types import StudyConfig, StudyStatus, Trial
from services.trainer.analog_types import AnalogReport, ChipAccuracy, OnChipReport, OnChipRequest
from services.trainer.types import (
    AccuracyReport,
    DatasetInfo,
    EpochReport,
    EvaluationRequest,
    TrainRecipe,
)

DATASET = DatasetInfo(
    name="digits",
    input_shape=Shape(channels=1, height=8, width=8),
    classes=10,
    train_images=1000,
    validation_images=400,
    test_images=397,
    fingerprint="0" * 64,
    description="8x8 digits",
)
VALIDATION_IMAGES = 400
FAILED = 7  # the trial of `searched` that does


@dataclass
class World:
    """Stands for oracle and trainer; notes what was trained, and fails where a test says so."""

    trained: list[str] = field(default_factory=list)
    before: Callable[[EvaluationRequest], None] = lambda request: None

    def cost(self, network: LayerList) -> CostReport:
        points = sum(shape.points for shape in network.shapes)
        return CostReport(
            model_version="fake",
            chip_hash=chip_hash(ChipConfig()),
            latency_ns=5e4 + 1e3 * points + 0.02 * macs(network),
            area_um2=1e6 + params(network),
            power_w=1.0,
            energy_nj=2e3 + 1e-3 * macs(network) + 40.0 * len(network.layers),
            tiles=len(network.layers),
            pes=4 * len(network.layers),
            crossbars=64,
            latency=LatencyBreakdown(),
            area=AreaBreakdown(),
            power=PowerBreakdown(),
            energy=EnergyBreakdown(),
            accumulator_area=AreaBreakdown(),
            accumulator_power=PowerBreakdown(),
            accumulator_energy=EnergyBreakdown(),
            layers=(),
        )

    def dataset(self, name: str) -> DatasetInfo:
        return replace(DATASET, name=name)

    def evaluate_on_chip(
        self, request: OnChipRequest, on_epoch: Callable[[EpochReport], None]
    ) -> OnChipReport:
        report = self.evaluate(request.evaluation, on_epoch)
        draws = tuple(report.accuracy_frac - 0.01 * (n + 1) for n in range(request.draws))
        analog = AnalogReport(
            float_frac=report.accuracy_frac, quantised_frac=report.accuracy_frac - 0.005,
            folded=ChipAccuracy(draws_frac=draws), exact=None, folded_error=None, images=100,
            config=request.analog, seed=request.seed,
        )  # fmt: skip
        return OnChipReport(accuracy=report, analog=analog)

    def evaluate(self, request: EvaluationRequest, on_epoch: Callable[[EpochReport], None]) -> AccuracyReport:
        self.before(request)
        self.trained.append(request.request_id)
        network = candidate_layers(request.candidate, DATASET.input_shape, DATASET.classes)
        kernels = sum(math.log2(b.kernels) for b in request.candidate.blocks)
        residual = sum(b.type is BlockType.RES for b in request.candidate.blocks)
        share = 0.5 + 0.48 * (1 - math.exp(-kernels / 5)) + 0.002 * residual
        accuracy = round(share * VALIDATION_IMAGES) / VALIDATION_IMAGES
        epoch = EpochReport(epoch=1, train_loss_nats=0.5, validation_accuracy_frac=accuracy, elapsed_s=0.1)
        on_epoch(epoch)
        return AccuracyReport(
            network_key=network_key(network),
            accuracy_frac=accuracy,
            accuracy_stderr_frac=math.sqrt(accuracy * (1 - accuracy) / VALIDATION_IMAGES),
            validation_images=VALIDATION_IMAGES,
            epochs=(epoch,),
            train_s=0.1,
            device="cpu",
            torch_version="fake",
        )


@pytest.fixture(autouse=True)
def few_attempts(monkeypatch: pytest.MonkeyPatch) -> int:
    """Ask TPE 5 times instead of 50 before giving up: that is where a tiny search spends its time."""
    monkeypatch.setattr(propose, "ATTEMPTS", 5)
    return 5


@pytest.fixture
def world() -> World:
    return World()


def study_config(**changes: Any) -> StudyConfig:
    """Make the settings of a study of the `small` space."""
    settings = {
        "name": "test",
        "dataset": DATASET,
        "space": load_space("small"),
        "objective": "accuracy/latency",
        "chip": ChipConfig(),
        "chip_name": "default",
        "recipe": TrainRecipe(name="quick", epochs=1),
        "startup_trials": 4,
    }
    return StudyConfig(**(settings | changes))


@pytest.fixture
def make_config() -> Callable[..., StudyConfig]:
    return study_config


@pytest.fixture
def where(tmp_path: Path) -> Path | str:
    """An empty place for studies: what a Store is opened with."""
    return tmp_path / "studies.db"


@pytest.fixture(params=["sqlite", "postgresql"])
def each_database(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """As `where`, of every kind; a module takes it by a fixture `where` of its own."""
    if request.param == "sqlite":
        return tmp_path / "studies.db"
    url: str = request.getfixturevalue("postgres").new_schema()
    return url


@pytest.fixture
def store(where: Path | str) -> Iterator[Store]:
    with Store(where) as opened:
        yield opened


@pytest.fixture
def sql(where: Path | str) -> Iterator[Callable[[str], Any]]:
    """Change the database behind the store's back."""
    engine = connect(where)

    def run(text: str) -> Any:
        with transaction(engine, write=True) as connection:
            result = connection.execute(sa.text(text))
            return result.all() if result.returns_rows else None

    yield run
    engine.dispose()


@pytest.fixture(scope="session")
def searched(tmp_path_factory: pytest.TempPathFactory) -> tuple[StudyStatus, tuple[Trial, ...]]:
    """Status and trials of a search of 12, of which number FAILED failed."""
    world = World()

    def fail(request: EvaluationRequest) -> None:
        if request.request_id.endswith(f"-{FAILED}"):
            raise TrainingFailed("loss is nan")

    world.before = fail
    with (
        pytest.MonkeyPatch.context() as patch,
        Store(tmp_path_factory.mktemp("searched") / "studies.db") as store,
    ):
        patch.setattr(propose, "ATTEMPTS", 5)
        study = store.open_study(study_config(), 12)
        status = run_search(store, study, cost=world.cost, trainer=world)
        return status, store.trials(study)
