"""`imcnas recipes`: what is listed, shown and refused."""

import json
from pathlib import Path

from services.trainer.recipe import PRESETS
from tests.cli.conftest import Command


def test_the_commands_teach_by_examples(imcnas: Command):
    for command in ("list", "show", "validate"):
        code, out, _ = imcnas("recipes", command, "--help")
        assert code == 0
        assert f"imcnas recipes {command}" in out.split("For example:")[1]


def test_list_gives_every_preset_a_line_with_its_title(imcnas: Command):
    code, out, _ = imcnas("recipes", "list")
    head, *lines = out.splitlines()
    assert code == 0
    assert head.split() == ["name", "epochs", "batch", "rate", "schedule", "title"]
    assert [line.split()[0] for line in lines] == list(PRESETS)
    quick = next(line for line in lines if line.startswith("quick"))
    assert quick.split()[:5] == ["quick", "20", "64", "0.1", "one_cycle"]


def test_show_gives_each_field_and_the_default_where_it_differs(imcnas: Command):
    code, out, _ = imcnas("recipes", "show", "staged")
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert code == 0
    assert "schedule constant default one_cycle" in lines
    assert "momentum 0.9" in lines
    assert "Continuable" in out


def test_show_json_is_one_object_with_every_field(imcnas: Command):
    code, out, _ = imcnas("recipes", "show", "quick", "--json")
    row = json.loads(out)
    assert code == 0
    assert (row["name"], row["recipe"]["epochs"], row["recipe"]["precision"]) == ("quick", 20, "auto")


def test_validate_tells_every_wrong_value_and_exits_with_1(imcnas: Command):
    code, _, _ = imcnas("recipes", "list")
    Path("good.toml").write_text("epochs = 7")
    Path("bad.toml").write_text("epochs = 0\nmomentum = 2.0")
    code, out, _ = imcnas("recipes", "validate", "good.toml", "bad.toml")
    assert code == 1
    assert out.splitlines()[:2] == ["good.toml: ok, recipe custom, 7 epochs", "bad.toml: 2 mistakes"]
    assert [line.split(":")[0].strip() for line in out.splitlines()[2:]] == [
        "recipe.epochs",
        "recipe.momentum",
    ]


def test_a_search_names_its_study_by_the_recipe_file_and_refuses_a_wrong_one(imcnas: Command):
    code, _, err = imcnas("search", "--recipe", "none.toml")
    assert (code, "none.toml: no such file" in err) == (2, True)
    code, _, err = imcnas("search", "--recipe", "quik")
    assert code == 2
    assert "did you mean quick" in err
    assert "or the path of a .toml file" in err
