"""Recipes by name: those that ship with the project, and files. Standard library only: no torch is needed."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources

from services.common.codec import from_jsonable
from services.common.errors import InvalidInput, InvalidRequest, NotFound, one_of, violation
from services.common.files import notes, parse_toml, read_file, title
from services.trainer.types import TrainRecipe

UNNAMED = "custom"
"""Name of a recipe whose file gives none: never the file's, on which no result may depend."""

_FOLDER = resources.files("services.trainer") / "recipes"

PRESETS = tuple(sorted(f.name.removesuffix(".toml") for f in _FOLDER.iterdir() if f.name.endswith(".toml")))
"""Recipes that ship with the project, by name: `recipes/<name>.toml` holds each with where it is from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedRecipe:
    """A recipe as it was asked for.

    Parameters
    ----------
    name : str
        Of the preset, or the path of the file.
    title, notes : str
        First line of the file, where that is a comment, and the comment lines behind it.
    recipe : TrainRecipe
    """

    name: str
    title: str
    notes: str
    recipe: TrainRecipe


def load_recipe(name: str) -> TrainRecipe:
    """Read a recipe by its name or from its file; raises as `read_recipe`."""
    return read_recipe(name).recipe


def read_recipe(name: str) -> NamedRecipe:
    """Read a recipe by its name, or from the path of a .toml file.

    Raises
    ------
    NotFound
        No preset or file of that name.
    InvalidRequest
        The file's content is wrong; the file and the field are named.
    """
    if name in PRESETS:
        return _named(name, (_FOLDER / f"{name}.toml").read_text("utf-8"))
    if name.endswith(".toml"):
        return read_file(name, lambda text: _named(name, text), InvalidRequest)
    raise NotFound.of(violation("recipe", name, f"{one_of(PRESETS, name)}, or the path of a .toml file"))


def recipe_from_toml(text: str) -> TrainRecipe:
    """Read a recipe; what is left out has its default.

    Raises
    ------
    InvalidRequest
        Not TOML; or an unknown key, a wrong type or every wrong value, each with its field.
    """
    table = {"name": UNNAMED} | parse_toml(text, InvalidRequest)
    try:
        return from_jsonable(TrainRecipe, table, "recipe")
    except InvalidInput as error:
        raise InvalidRequest(error.message, error.violations) from None


def _named(name: str, text: str) -> NamedRecipe:
    return NamedRecipe(name=name, title=title(text), notes=notes(text), recipe=recipe_from_toml(text))
