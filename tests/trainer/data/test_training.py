"""What training makes of a data set: normalisation, shifts, flips, and no look at the test part."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from services.common.candidate import parse_candidate
from services.trainer.data import Augmentation, Dataset, Registry, load_dataset
from services.trainer.fit import Seeds, train
from services.trainer.recipe import load_recipe
from services.trainer.resident import Draws, Resident
from services.trainer.types import AccuracyReport, EvaluationRequest, TrainRecipe
from tests.trainer.data.files import write_cifar10


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def cifar(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("data")
    write_cifar10(folder)
    return Registry(folder).load("cifar10")


def draws() -> Draws:
    return Draws(*map(Seeds("an evaluation").generator, ("order", "shifts", "flips")))


def batches(data: Dataset, shift_px: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    """All images of one epoch and their labels."""
    xs, ys = zip(*Resident(data).train_batches(64, shift_px, draws()), strict=True)
    return torch.cat(xs), torch.cat(ys)


def trained(data: Dataset, blocks: str = "VGG4", epochs: int = 1) -> AccuracyReport:
    recipe = TrainRecipe(name="short", epochs=epochs)
    request = EvaluationRequest(candidate=parse_candidate(blocks), dataset=data.info.name, recipe=recipe)
    *_, report = train(request, Resident(data))
    assert isinstance(report, AccuracyReport)
    return report


@pytest.mark.parametrize("name", ["digits", "digits-hard"])
def test_batches_of_digits_are_bit_for_bit_those_of_a_float_copy_normalised_at_once(name: str) -> None:
    """What studies before CIFAR-10 were trained on: a later epoch of them must find the same numbers."""
    data = load_dataset(name)
    images = torch.tensor(data.images[data.train], dtype=torch.float32).clone()
    deviation, mean = torch.std_mean(images, dim=(0, 2, 3), keepdim=True)
    padded = (torch.nn.functional.pad(images, (1,) * 4) - mean) / deviation
    windows = padded.unfold(2, 8, 1).unfold(3, 8, 1)
    order, shifts = (Seeds("an evaluation").generator(p) for p in ("order", "shifts"))
    chosen = torch.randperm(len(images), generator=order)
    dy, dx = torch.randint(3, (2, len(images)), generator=shifts)
    x, y = batches(data)
    assert torch.equal(x, windows[chosen, :, dy, dx])
    assert torch.equal(y, torch.tensor(data.labels[data.train])[chosen])


def test_a_quick_training_gives_the_accuracy_it_always_gave() -> None:
    """Measured before there were other data sets than digits; two images of 540 for another processor."""
    request = EvaluationRequest(
        candidate=parse_candidate("VGG8"), dataset="digits-hard", recipe=load_recipe("quick")
    )
    *_, report = train(request, Resident(load_dataset("digits-hard")))
    assert isinstance(report, AccuracyReport)
    assert report.accuracy_frac == pytest.approx(445 / 540, abs=2 / 540)
    assert report.epochs[-1].train_loss_nats == pytest.approx(1.2093038504464286, rel=1e-3)


def test_a_training_part_has_mean_0_and_deviation_1_by_channel(cifar: Dataset) -> None:
    plain = dataclasses.replace(cifar, augmentation=Augmentation(shift_px=0))
    deviation, mean = torch.std_mean(batches(plain)[0], dim=(0, 2, 3))
    torch.testing.assert_close(mean, torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(deviation, torch.ones(3), atol=1e-5, rtol=0)


def test_a_constant_channel_stays_finite() -> None:
    data = load_dataset("digits")
    flat = dataclasses.replace(data, images=data.images * 0, mean=(0.0,), deviation=(0.0,))
    assert torch.equal(batches(flat)[0], torch.zeros(1000, 1, 8, 8))


def test_half_of_the_images_are_mirrored_where_the_data_set_allows_it(cifar: Dataset) -> None:
    still = dataclasses.replace(cifar, augmentation=Augmentation(flip=False, shift_px=0))
    moved = dataclasses.replace(cifar, augmentation=Augmentation(flip=True, shift_px=0))
    (plain, _), (mirrored, _) = batches(still), batches(moved)
    same = (plain == mirrored).all(dim=(1, 2, 3))
    flipped = (plain.flip(3) == mirrored).all(dim=(1, 2, 3))
    assert torch.equal(same, ~flipped)
    assert 30 < int(flipped.sum()) < 60  # of 90


def test_shifts_are_as_large_as_the_data_set_says_times_the_recipe(cifar: Dataset) -> None:
    """Of white images, the black that was shifted in tells how far each went."""
    white = dataclasses.replace(
        cifar,
        images=np.full_like(cifar.images, 255),
        mean=(0.0,) * 3,
        deviation=(255.0,) * 3,
        augmentation=Augmentation(flip=False, shift_px=4),
    )
    for recipe_shift, largest in ((0, 0), (1, 4), (2, 8)):
        x = batches(white, recipe_shift)[0][:, 0]
        black_rows = (x == 0).all(dim=2).sum(dim=1)
        black_columns = (x == 0).all(dim=1).sum(dim=1)
        assert int(black_rows.max()) == int(black_columns.max()) == largest


def test_the_test_part_has_no_part_in_a_training(cifar: Dataset) -> None:
    other = cifar.images.copy()
    other[cifar.test] = 0
    labels = cifar.labels.copy()
    labels[cifar.test] = 0
    blind = dataclasses.replace(cifar, images=other, labels=labels)
    one, two = trained(cifar), trained(blind)
    assert one.epochs[0].train_loss_nats == two.epochs[0].train_loss_nats
    assert one.accuracy_frac == two.accuracy_frac


def test_a_training_on_colour_images_that_are_flipped_repeats_bit_for_bit(cifar: Dataset) -> None:
    one, two = trained(cifar, "RES4-VGG4"), trained(cifar, "RES4-VGG4")
    assert one.epochs[0].train_loss_nats == two.epochs[0].train_loss_nats


def test_a_trainer_finds_the_data_sets_of_its_folder_by_name(tmp_path: Path) -> None:
    from services.trainer.inline import InlineTrainer

    write_cifar10(tmp_path)
    with InlineTrainer(datasets=Registry(tmp_path)) as trainer:
        assert trainer.info().datasets == ("digits", "digits-hard", "cifar10")
        recipe = TrainRecipe(name="short", epochs=1)
        report = trainer.evaluate(
            EvaluationRequest(candidate=parse_candidate("VGG4"), dataset="cifar10", recipe=recipe)
        )
    assert report.validation_images == 10
