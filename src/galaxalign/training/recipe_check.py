"""Recipes that cannot be followed with an encoder and the catalogues at hand."""

from __future__ import annotations

from collections.abc import Sequence

from galaxalign.errors import InputError
from galaxalign.models import ClipEncoder, VisionEncoder
from galaxalign.training.batch import TrainingData, applicable
from galaxalign.training.recipe import HEADS, Recipe


def check_recipe(recipe: Recipe, encoder: ClipEncoder | VisionEncoder, voted: Sequence[bool]) -> None:
    """Refuse a recipe that cannot be followed, before any picture is read.

    Parameters
    ----------
    recipe : Recipe
    encoder : ClipEncoder or VisionEncoder
    voted : sequence of bool
        Which of the catalogues have votes.

    Raises
    ------
    InputError
        The encoder lacks a tower, no catalogue has the votes that a stage needs, or the epoch cannot be chosen.
    """
    only_images = not encoder.has_words
    if only_images and recipe.needs_words:
        raise InputError(f"{encoder.name} has only an image tower; recipe {recipe.name} needs words and symbols")
    for stage in recipe.stages:
        if only_images and not {*HEADS} & {*stage.pairs}:
            raise InputError(
                f"stage {stage.name} of recipe {recipe.name} has neither words nor image-label to classify with, "
                "nor image-votes"
            )
        if {*stage.pairs} == {"image-votes"} and not any(voted):
            raise InputError(
                f"stage {stage.name} of recipe {recipe.name} learns from votes alone, and no catalogue has any; name a "
                "taxonomy with questions whose votes the catalogue has, or another recipe"
            )
    last = recipe.stages[-1]
    if recipe.select == "votes" and ("image-votes" not in last.pairs or not any(voted)):
        lacking = "no catalogue has any" if "image-votes" in last.pairs else f"stage {last.name} has no image-votes"
        raise InputError(f"recipe {recipe.name} chooses the epoch by votes, but {lacking}; change select")
    classified = "image-label" in last.pairs or (not only_images and {*last.pairs} != {"image-votes"})
    if recipe.select != "votes" and not classified:
        raise InputError(
            f"stage {last.name} of recipe {recipe.name} has neither words nor image-label to classify with; "
            'set select = "votes"'
        )


def check_data(recipe: Recipe, encoder: ClipEncoder | VisionEncoder, sources: Sequence[TrainingData]) -> None:
    """Refuse galaxies that a recipe cannot be followed with."""
    check_recipe(recipe, encoder, [source.votes is not None and bool(source.votes.counts.any()) for source in sources])
    if recipe.select == "votes" and not any(
        "image-votes" in applicable(recipe.stages[-1], source)
        and source.votes is not None
        and source.votes.validation_counts.any()
        for source in sources
    ):
        raise InputError(
            f"recipe {recipe.name} chooses the epoch by the votes on validation galaxies, and none of these has votes; "
            "give another split"
        )
    galaxies = sum(len(source.labels) for source in sources)
    if galaxies < 2:
        raise InputError(f"only {galaxies} labelled galaxies to train on; at least 2 are needed")
