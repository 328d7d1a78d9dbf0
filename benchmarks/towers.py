"""What several scripts here start from: the small towers of the weights folder, two data sets, recipes with changes."""

from __future__ import annotations

import json
from pathlib import Path

from galaxalign.data import Preprocessing
from galaxalign.models import ClipEncoder
from galaxalign.models.minilm import build_lite, build_timm_minilm
from galaxalign.models.vision import read_weights
from galaxalign.training import Recipe

TOWERS = {
    "mobilenet": ("mobilenetv3_small_100", "mobilenetv3_small_100_timm.safetensors"),
    "dinov2": ("vit_small_patch14_dinov2", "dinov2_vits14_timm_fp16.safetensors"),
}
DATASETS = {"efigi": ("efigi", 1.0), "gz1": ("galaxy_zoo_1", 0.45)}


def override(recipe: Recipe, changes: list[str]) -> Recipe:
    """Return the recipe with KEY=VALUE changes; stage.KEY changes every stage, stageN.KEY one of them."""
    values = recipe.model_dump(mode="json", by_alias=True)
    for change in changes:
        key, _, text = change.partition("=")
        try:
            value = json.loads(text)
        except ValueError:  # a word
            value = text
        first, _, rest = key.partition(".")
        if first == "stage":
            for stage in values["stage"]:
                stage[rest] = value
        elif first.startswith("stage"):
            values["stage"][int(first[5:])][rest] = value
        elif first == "augmentation":
            values["augmentation"][rest] = value
        else:
            values[key] = value
    return Recipe.model_validate(values)


def make_encoder(tower: str, crop: float, weights: Path, *, size: int = 128) -> ClipEncoder:
    """Return the tower with its text tower."""
    preprocessing = Preprocessing(crop=crop, size=size)
    if tower == "lite":
        return build_lite(preprocessing=preprocessing)
    architecture, file = TOWERS[tower]
    return build_timm_minilm(architecture, read_weights(weights / file), preprocessing=preprocessing)
