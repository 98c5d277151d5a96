from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from torch import nn

from services.common.errors import InvalidRequest, TrainingFailed
from services.trainer.analog import FINE_TUNING, evaluate_on_chip, fine_tune
from services.trainer.analog.cells import chip_generator
from services.trainer.analog.fine_tune import _Learner
from services.trainer.analog_types import AnalogConfig
from services.trainer.data import Dataset
from services.trainer.types import TrainRecipe
from tests.trainer.analog.conftest import untrained
from tests.trainer.analog.networks import random_images, scrambled

NEXT_TO_NOTHING = replace(FINE_TUNING, learning_rate=1e-9)
FAULTY = AnalogConfig(stuck_off_frac=0.05, stuck_on_frac=0.05)


def tuned(module: nn.Module, digits: Dataset, seed: int = 0, recipe: TrainRecipe = FINE_TUNING) -> nn.Module:
    module = copy.deepcopy(module)
    fine_tune(module, digits, FAULTY, epochs=1, seed=seed, recipe=recipe)
    return module


def numbers(module: nn.Module) -> bytes:
    return b"".join(v.numpy().tobytes() for v in module.state_dict().values())


def test_fine_tuning_repeats_bit_for_bit_by_its_seed(trained: nn.Module, digits: Dataset) -> None:
    first = numbers(tuned(trained, digits))
    torch.rand(3)
    assert numbers(tuned(trained, digits)) == first
    assert numbers(tuned(trained, digits, seed=1)) != first


@pytest.mark.parametrize("blocks", ["VGG4-RES6", "RES4-RES4"])
def test_folding_the_normalisation_leaves_the_network_as_it_was(blocks: str, digits: Dataset) -> None:
    before = scrambled(untrained(digits, blocks))
    after = tuned(before, digits, recipe=NEXT_TO_NOTHING)
    x = random_images(4, channels=1, side=8).float()
    with torch.no_grad():
        torch.testing.assert_close(after(x), before(x), rtol=1e-4, atol=1e-4)
    norms = [part for part in after.modules() if isinstance(part, nn.BatchNorm2d)]
    assert norms
    assert all(bool((part.weight == 1).all()) and not part.training for part in norms)


def test_a_network_learns_to_bear_a_coarse_adc(trained: nn.Module, digits: Dataset) -> None:
    coarse, module = AnalogConfig(adc_bits=4), copy.deepcopy(trained)
    fine_tune(module, digits, coarse, epochs=3, seed=0)
    before, after = (evaluate_on_chip(m, digits, coarse, 5, 7).folded.mean_frac for m in (trained, module))
    assert after > before + 0.02


@pytest.mark.parametrize("seed", [0, 7, 2**40])
def test_no_chip_that_is_learnt_on_is_one_that_is_judged(seed: int) -> None:
    learnt_on = _Learner((), FAULTY, seed)._cells.random(8).tolist()
    judged = [chip_generator(seed, draw, layer).random(8).tolist() for draw in range(3) for layer in range(3)]
    assert learnt_on not in judged


def test_fine_tuning_that_diverges_says_so(trained: nn.Module, digits: Dataset) -> None:
    recipe = replace(FINE_TUNING, learning_rate=10.0, label_smoothing_frac=0.0)
    with pytest.raises(TrainingFailed, match=r"epoch \d+ of 30; a learning rate below 10"):
        fine_tune(copy.deepcopy(trained), digits, AnalogConfig(), epochs=30, seed=0, recipe=recipe)


@pytest.mark.parametrize(
    ("epochs", "seed", "recipe", "field"),
    [
        (0, 0, FINE_TUNING, "recipe.epochs"),
        (1, -1, FINE_TUNING, "seed"),
        (1, 2**63, FINE_TUNING, "seed"),
    ],
)
def test_a_number_out_of_range_is_refused_by_name(
    epochs: int, seed: int, recipe: TrainRecipe, field: str, trained: nn.Module, digits: Dataset
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        fine_tune(trained, digits, FAULTY, epochs=epochs, seed=seed, recipe=recipe)
    assert [violation.field for violation in refused.value.violations] == [field]
