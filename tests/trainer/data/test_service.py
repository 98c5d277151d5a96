"""What a caller over the network can open: names in the trainer's folder, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from services.common.candidate import parse_candidate
from services.common.errors import InvalidDataset, NotFound
from services.common.settings import TrainerSettings
from services.trainer.client import Trainer
from services.trainer.data import Registry
from services.trainer.inline import InlineTrainer
from services.trainer.server import trainer_server
from services.trainer.types import EvaluationRequest, TrainRecipe
from tests.trainer.data.files import write_cifar10, write_folder

RECIPE = TrainRecipe(name="short", epochs=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trainer") / "data"
    write_cifar10(folder)
    write_folder(folder.parent / "private")
    (folder / "broken.npz").write_bytes(b"half")
    return folder


@pytest.fixture(scope="module")
def trainer(host: Any, any_ports: dict[str, Any], folder: Path) -> Iterator[Trainer]:
    settings = TrainerSettings(**any_ports, data=folder)
    with InlineTrainer(datasets=Registry(settings.data)) as inline:
        ports = host.start(trainer_server(inline, settings))
        with Trainer(f"127.0.0.1:{ports.calls}") as client:
            yield client


def evaluate(trainer: Trainer, dataset: str) -> object:
    return trainer.evaluate(
        EvaluationRequest(candidate=parse_candidate("VGG4"), dataset=dataset, recipe=RECIPE)
    )


def test_a_data_set_of_the_folder_is_described_and_trained_on(trainer: Trainer) -> None:
    assert trainer.dataset("cifar10").train_images == 90
    assert "cifar10" in trainer.info().datasets
    evaluate(trainer, "cifar10")


@pytest.mark.parametrize("ask", [evaluate, Trainer.dataset])
@pytest.mark.parametrize("name", ["../private", "folder:../private", "npz:/etc/passwd", "/etc", "..", "a/b"])
def test_a_path_is_refused(trainer: Trainer, ask: Callable[[Trainer, str], object], name: str) -> None:
    with pytest.raises(NotFound, match=r"files are found by name .*, never by path"):
        ask(trainer, name)


@pytest.mark.parametrize("ask", [evaluate, Trainer.dataset])
def test_absent_files_are_told_with_how_to_get_them_and_not_where_others_are(
    trainer: Trainer, folder: Path, ask: Callable[[Trainer, str], object]
) -> None:
    with pytest.raises(NotFound, match=r"ckplus: its files are not there .*agreement") as caught:
        ask(trainer, "ckplus")
    assert str(folder) not in f"{caught.value} {caught.value.violations}"


@pytest.mark.parametrize("ask", [evaluate, Trainer.dataset])
def test_a_damaged_file_is_told_with_its_name_alone(
    trainer: Trainer, ask: Callable[[Trainer, str], object]
) -> None:
    with pytest.raises(InvalidDataset, match=r"^broken\.npz: cannot be read") as caught:
        ask(trainer, "broken")
    assert [v.field for v in caught.value.violations] == ["broken.npz"]
