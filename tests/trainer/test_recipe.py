from __future__ import annotations

import subprocess
import sys

import pytest

from services.common.errors import InvalidRequest, NotFound
from services.trainer.recipe import RECIPES, load_recipe
from services.trainer.types import TrainRecipe


def test_every_recipe_is_found_by_its_own_name() -> None:
    assert set(RECIPES) == {"quick", "standard"}
    for name in RECIPES:
        assert load_recipe(name).name == name


def test_standard_trains_longer_than_quick_and_is_else_the_same() -> None:
    quick, standard = load_recipe("quick"), load_recipe("standard")
    assert standard.epochs == 3 * quick.epochs
    assert (standard.batch_size, standard.learning_rate) == (quick.batch_size, quick.learning_rate)


def test_an_unknown_recipe_is_refused_with_a_suggestion() -> None:
    with pytest.raises(NotFound, match="did you mean quick"):
        load_recipe("quik")


def test_a_recipe_names_every_wrong_value() -> None:
    with pytest.raises(InvalidRequest) as caught:
        TrainRecipe(name="mine", epochs=0, momentum=1.0)
    assert [v.field for v in caught.value.violations] == ["recipe.epochs", "recipe.momentum"]


def test_recipes_need_neither_torch_nor_numpy() -> None:
    code = (
        "import sys, services.trainer.recipe; "
        "sys.exit(bool({'torch', 'ray', 'numpy', 'sklearn'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
