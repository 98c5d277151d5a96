from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from services.common.errors import InvalidRequest, NotFound
from services.common.layers import Shape
from services.trainer.identity import identify
from services.trainer.recipe import PRESETS, load_recipe, read_recipe
from services.trainer.types import DatasetInfo, Schedule, TrainRecipe
from tests.trainer.evaluators import request


def test_every_recipe_is_found_by_its_own_name() -> None:
    assert set(PRESETS) == {"final", "paper", "quick", "staged", "standard"}
    for name in PRESETS:
        assert load_recipe(name).name == name
        assert read_recipe(name).title


def test_quick_and_standard_are_what_they_always_were() -> None:
    assert load_recipe("quick") == TrainRecipe(name="quick", epochs=20)
    assert load_recipe("standard") == TrainRecipe(name="standard", epochs=60)


def test_one_preset_is_continuable_and_its_rungs_leave_a_branch_each() -> None:
    assert [name for name in PRESETS if load_recipe(name).continuable] == ["staged"]
    staged = load_recipe("staged")
    assert staged.schedule is Schedule.CONSTANT
    assert [staged.trunk_epochs(epochs) for epochs in (6, 18, 54)] == [5, 14, 43]


def write(folder: Path, text: str, name: str = "mine.toml") -> str:
    (folder / name).write_text(text)
    return str(folder / name)


def test_a_file_is_a_recipe_whose_absent_fields_have_their_defaults(tmp_path: Path) -> None:
    file = write(tmp_path, "# Long\n# For the end.\nepochs = 90\nlearning_rate = 1\n")
    named = read_recipe(file)
    assert named.recipe == TrainRecipe(name="custom", epochs=90, learning_rate=1.0)
    assert (named.name, named.title, named.notes) == (file, "Long", "For the end.")


def test_a_result_depends_on_what_a_recipe_says_not_on_where_it_is(tmp_path: Path) -> None:
    data = DatasetInfo(
        name="d", input_shape=Shape(channels=1, height=8, width=8), classes=10, train_images=9,
        validation_images=9, test_images=9, fingerprint="f", description="",
    )  # fmt: skip

    def identity(text: str, name: str) -> object:
        return identify(request(recipe=load_recipe(write(tmp_path, text, name))), data, "cpu")

    one = identity("epochs = 9", "a.toml")
    assert one == identity("# another comment\nepochs = 9\nmomentum = 0.9", "b.toml")
    assert one != identity("epochs = 8", "a.toml")
    quick = identity('name = "quick"\nepochs = 20', "c.toml")
    assert quick == identify(request(recipe=load_recipe("quick")), data, "cpu")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("epoch = 9", "recipe.epoch: unknown field, wanted one of .* .did you mean epochs"),
        ('epochs = "9"', "recipe.epochs: got '9', wanted a value of type int"),
        ("epochs = true", "recipe.epochs: got True"),
        ("epochs = 0", "recipe.epochs: got 0, wanted 1 to 10000"),
        ("learning_rate = nan", "recipe.learning_rate: got nan, wanted 0 < value <= 10"),
        ('schedule = "cosine"', "recipe.schedule: got 'cosine', wanted one of one_cycle, constant"),
        ("epochs = ", "this is no TOML"),
        ("# nothing", "sets nothing"),
    ],
)
def test_what_is_wrong_with_a_file_is_told_with_the_file_and_the_field(
    tmp_path: Path, text: str, told: str
) -> None:
    with pytest.raises(InvalidRequest, match=f"mine.toml: .*{told}"):
        load_recipe(write(tmp_path, text))


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(NotFound, match=r"none\.toml: no such file"):
        load_recipe("none.toml")


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
