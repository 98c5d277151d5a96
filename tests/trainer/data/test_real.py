"""Real images, where IMCNAS_TEST_DATA names a folder of subsets as npz files.

It may hold ``cifar10_lossless_5k_1k.npz`` (official pixels, ``index_train`` their official numbers),
``asl_letters_signmnist_28x28.npz`` (with ``group_train``, the photograph of each image) and
``asl_digits_32x32.npz``. The first two are written in their official formats and read from those.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from services.common.candidate import parse_candidate
from services.trainer.data import Dataset, Registry, locate
from services.trainer.data.check import check_dataset
from services.trainer.data.npz import read_npz
from services.trainer.data.similar import near_duplicate_groups, nearest, standardised
from services.trainer.inline import InlineTrainer
from services.trainer.types import EvaluationRequest, TrainRecipe
from tests.trainer.data.files import write_csv

pytestmark = pytest.mark.slow

SETTING = "IMCNAS_TEST_DATA"


def arrays(name: str) -> dict[str, np.ndarray]:
    path = Path(os.environ.get(SETTING, "")) / f"{name}.npz"
    if SETTING not in os.environ or not path.exists():
        pytest.skip(f"needs real images: set {SETTING} to a folder with {name}.npz")
    with np.load(path) as archive:
        return dict(archive)


@pytest.fixture(scope="module")
def cifar(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    real = arrays("cifar10_lossless_5k_1k")
    folder = tmp_path_factory.mktemp("real") / "cifar-10-batches-bin"
    folder.mkdir()

    def write(name: str, images: np.ndarray, labels: np.ndarray) -> None:
        rows = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
        np.concatenate([labels[:, None], rows], axis=1).astype(np.uint8).tofile(folder / f"{name}.bin")

    for batch in range(5):
        rows = real["index_train"] // 10_000 == batch
        write(f"data_batch_{batch + 1}", real["x_train"][rows], real["y_train"][rows])
    write("test_batch", real["x_test"], real["y_test"])
    return Registry(folder.parent).load("cifar10")


@pytest.fixture(scope="module")
def letters(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    real = arrays("asl_letters_signmnist_28x28")
    folder = tmp_path_factory.mktemp("real")
    for part in ("train", "test"):
        write_csv(folder / f"sign_mnist_{part}.csv", real[f"y_{part}"], real[f"x_{part}"])
    return Registry(folder).load("asl")


def test_real_cifar10_has_its_known_mean_and_deviation(cifar: Dataset) -> None:
    """Of all 50,000 images: .4914 .4822 .4465 and .2470 .2435 .2616."""
    np.testing.assert_allclose(np.array(cifar.mean) / 255, [0.4914, 0.4822, 0.4465], atol=0.006)
    np.testing.assert_allclose(np.array(cifar.deviation) / 255, [0.2470, 0.2435, 0.2616], atol=0.003)
    assert check_dataset(cifar).findings == ()


def test_real_photographs_are_found_again_exactly() -> None:
    real = arrays("asl_letters_signmnist_28x28")
    images = real["x_train"].reshape(-1, 1, 28, 28)
    found = near_duplicate_groups(images, real["y_train"].astype(np.int64))
    photographs = len(np.unique(real["group_train"]))
    assert len(np.unique(found)) == photographs == 267
    assert len(set(zip(found.tolist(), real["group_train"].tolist(), strict=True))) == photographs


def test_a_split_of_real_letters_by_image_leaks_and_ours_does_not(letters: Dataset) -> None:
    part = np.concatenate([letters.train, letters.validation])
    mixed = np.random.default_rng(0).permutation(part)
    held, kept = mixed[: len(letters.validation)], mixed[len(letters.validation) :]
    index, _ = nearest(letters.images, kept, standardised(letters.images[held]))
    by_image = np.mean(letters.labels[index] == letters.labels[held])
    check = check_dataset(letters)
    assert by_image > 0.99
    assert check.judged["validation"].neighbour_accuracy_frac < 0.6
    assert check.judged["validation"].twins_frac == 0
    assert check.findings == ()


def test_an_archive_with_photographs_is_split_by_them() -> None:
    arrays("asl_letters_signmnist_28x28")
    path = Path(os.environ[SETTING]) / "asl_letters_signmnist_28x28.npz"
    assert check_dataset(read_npz("letters", path)).findings == ()


@pytest.mark.parametrize(
    ("name", "blocks", "epochs", "least"), [("asl_digits_32x32", "VGG8-VGG16-VGG16", 8, 0.75)]
)
def test_real_signs_are_learnt(name: str, blocks: str, epochs: int, least: float) -> None:
    arrays(name)
    located = locate(f"npz:{os.environ[SETTING]}/{name}.npz")
    recipe = TrainRecipe(name="short", epochs=epochs)
    with InlineTrainer(datasets=Registry(None, [located])) as trainer:
        report = trainer.evaluate(
            EvaluationRequest(candidate=parse_candidate(blocks), dataset=located.name, recipe=recipe)
        )
    assert report.accuracy_frac > least
