"""Recipes by name. Standard library only, so that a client can name one without torch."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from services.common.errors import NotFound, one_of, violation
from services.trainer.types import TrainRecipe

RECIPES: Mapping[str, TrainRecipe] = MappingProxyType(
    {
        recipe.name: recipe
        for recipe in (
            TrainRecipe(name="quick", epochs=20),
            TrainRecipe(name="standard", epochs=60),
        )
    }
)
"""``quick`` ranks candidates in a search; ``standard`` trains to the end what a search has found."""


def load_recipe(name: str) -> TrainRecipe:
    """Find a recipe by its name.

    Raises
    ------
    NotFound
        No recipe of that name.
    """
    if name not in RECIPES:
        wrong = violation("recipe", name, one_of(RECIPES, name))
        raise NotFound(str(wrong), [wrong])
    return RECIPES[name]
