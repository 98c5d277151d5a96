"""`imcnas recipes`: how candidates can be trained, what a recipe says, and whether a file is one."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from services.cli.arguments import AsJson
from services.common.errors import InvalidRequest

app = typer.Typer(
    no_args_is_help=True,
    help="""Show and check recipes: how candidates are trained.

A recipe is a preset by name or a .toml file; docs/recipes.md shows how to
write one.

For example:

  imcnas recipes list

  imcnas recipes show standard

  imcnas search --recipe mine.toml""",
)


@app.command("list")
def list_presets() -> None:
    """Name the presets, each on a line.

    For example:

      imcnas recipes list
    """
    from services.cli.console import CONSOLE
    from services.trainer.recipe import PRESETS, read_recipe

    lines = [f"{'name':10} {'epochs':>6} {'batch':>5} {'rate':>5}  {'schedule':9}  title"]
    for named in map(read_recipe, PRESETS):
        r = named.recipe
        numbers = f"{named.name:10} {r.epochs:6} {r.batch_size:5} {r.learning_rate:5g}"
        lines.append(f"{numbers}  {r.schedule:9}  {named.title}")
    for line in lines:
        print(line if len(line) <= CONSOLE.width else f"{line[: CONSOLE.width - 3]}...")


@app.command("show")
def show(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="A preset, or a .toml file.")],
    as_json: AsJson = False,
) -> None:
    """Show every field of a recipe, and the default where it differs.

    For example:

      imcnas recipes show paper

      imcnas recipes show mine.toml --json
    """
    from services.common.codec import to_jsonable
    from services.trainer.recipe import read_recipe
    from services.trainer.types import TrainRecipe

    named = read_recipe(recipe)
    values = to_jsonable(named.recipe)
    if as_json:
        row = {"name": named.name, "title": named.title, "notes": named.notes, "recipe": values}
        print(json.dumps(row, allow_nan=False))
        return
    print(f"{named.name}: {named.title}\n" if named.title else f"{named.name}\n")
    if named.notes:
        print(f"{named.notes}\n")
    defaults = to_jsonable(TrainRecipe(name=named.recipe.name))
    for name, value in values.items():
        note = f"default {defaults[name]}" if value != defaults[name] else ""
        print(f"{name:22}{value!s:12}{note}".rstrip())
    if named.recipe.continuable:
        print("\nContinuable: a training for fewer epochs is gone on from.")


@app.command("validate")
def validate(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Recipes, in .toml files.")],
) -> None:
    """Say of each file that it is a recipe, or what is wrong with it.

    Exits with 1 if any is wrong, with 2 if there is no such file.

    For example:

      imcnas recipes validate mine.toml
    """
    from services.cli.mistakes import print_mistakes
    from services.trainer.recipe import load_recipe

    failed = False
    for file in files:
        try:
            recipe = load_recipe(file)
        except InvalidRequest as error:
            failed = True
            print_mistakes(file, error)
        else:
            print(f"{file}: ok, recipe {recipe.name}, {recipe.epochs} epochs")
    if failed:
        raise typer.Exit(1)
