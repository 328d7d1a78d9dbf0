"""A training recipe: stages, read from TOML. Every default is on this screen."""

from __future__ import annotations

import math
import tomllib
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from galaxalign.data.images import Augmentation
from galaxalign.errors import InputError
from galaxalign.training.losses import Targets

Pair = Literal[
    "image-text", "image-caption", "image-symbol", "symbol-text", "image-image", "image-label", "image-votes"
]


HEADS = ("image-label", "image-votes")
"""Pairs with a linear head, which compare nothing with anything."""


class Stage(BaseModel):
    """One stage of training.

    Parameters
    ----------
    name : str
    pairs : dict of pair to weight
        Which kinds of input are brought together, and the weight of each in the loss. "image-caption" brings
        each galaxy to a sentence made of its own votes or attributes (prompts of its class where it has none);
        "image-image" tells for every two galaxies whether they share a class, "image-label" is cross-entropy
        with a linear head, and "image-votes" the likelihood of each galaxy's votes with a linear head, in nats per
        question answered (`question_loss`); catalogues without votes take no part in it.
    epochs : int
    targets : {"same_class", "pair"}
        What belongs together by its class: everything of one class, or each galaxy and its own partner.
    loss : {"infonce", "sigmoid"}
        Softmax over the candidates (CLIP), or each pair judged by itself (SigLIP); of words and symbols.
    captions : {"sampled", "fixed"}
        A fresh sentence for each galaxy in each epoch, or always the one.
    caption_targets : {"same_text", "pair", "soft"}
        A galaxy's caption: its own sentence and equal ones, its own alone, or every one as much as the votes on its
        galaxy agree with those on this one ("same_text" where there are attributes instead of votes).
    soft_temperature : float
        Agreement below 1 by this much counts 1/e as much.
    other_captions : int
        Sentences of galaxies outside the batch that a galaxy must be told apart from.
    symbol_tower : {"own", "shared"}
        "shared": one image tower sees images and symbols. "own": symbols have a tower, which starts as a
        copy of the image tower.
    lr_trunk, lr_head, lr_text : float
        Peak learning rates of the pretrained image (and symbol) tower, of new layers and of the text
        tower; 0 freezes, and a frozen text tower embeds each prompt once.
    weight_decay : float
    warmup : float
        Share of the steps during which the learning rate rises; then it falls as a cosine.
    label_smoothing : float
    prior : float
        Strength of the log class frequencies in the loss, see `alignment_loss`. At 1 the learnt scores are
        free of the frequencies, which treats rare classes alike; 0 learns them in.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    pairs: dict[Pair, float]
    epochs: int = Field(ge=1)
    targets: Targets = "same_class"
    loss: Literal["infonce", "sigmoid"] = "infonce"
    captions: Literal["sampled", "fixed"] = "sampled"
    caption_targets: Literal["same_text", "pair", "soft"] = "same_text"
    soft_temperature: float = Field(0.1, gt=0)
    other_captions: int = Field(64, ge=0)
    symbol_tower: Literal["own", "shared"] = "own"
    lr_trunk: float = Field(1e-3, ge=0)
    lr_head: float = Field(2e-3, ge=0)
    lr_text: float = Field(0.0, ge=0)
    weight_decay: float = Field(0.02, ge=0)
    warmup: float = Field(0.2, ge=0, lt=1)
    label_smoothing: float = Field(0.1, ge=0, lt=1)
    prior: float = Field(0.0, ge=0, le=1)

    @field_validator("pairs")
    @classmethod
    def _used_pairs(cls, pairs: dict[Pair, float]) -> dict[Pair, float]:
        """Leave out pairs with weight 0, the natural way to write an ablation."""
        if not pairs or min(pairs.values()) < 0 or sum(pairs.values()) == 0:
            raise ValueError("pairs needs at least one pair with a positive weight and none with a negative one")
        return {pair: weight for pair, weight in pairs.items() if weight}

    def uses(self, kind: str) -> bool:
        """Tell whether the stage needs this kind of input: image, text, caption, symbol, label or votes."""
        return any(kind in pair.split("-") and weight > 0 for pair, weight in self.pairs.items())


class Recipe(BaseModel):
    """How a model is trained.

    Parameters
    ----------
    name, description : str
    stages : tuple of Stage
    batch_size : int
        Galaxies per step.
    symbols_per_class : int
        Symbols drawn for each class at each step ("pair": each galaxy takes one of those of its class).
    symbol_variants : int
        Different drawings per class; 1 is the one canonical symbol, as in the paper.
    prompts : {"ensemble", "caption"}
        Draw a fresh prompt for each class at each step, or always the paper's one caption.
    prompts_per_class : int
        Prompts drawn for each class at each step.
    batch_norm : {"separate", "frozen", "shared"}
        Statistics of batch normalisation: those of galaxies and symbols apart, those of the pretrained
        tower, or mixed (collapses at evaluation where one tower sees both; kept to be measured).
    ema : float
        Decay per step of the running average of the weights that is validated and kept.
    select : {"mean", "macro_f1", "map", "votes"}
        Which validation figure chooses the epoch; "mean" is that of macro F1 and mAP, "votes" the likelihood of the
        votes by the head of "image-votes".
    validate_every : int
        Epochs between validations and checkpoints; the last epoch of a stage is always validated.
    log_scale_range : tuple of float
        Limits of the learnable log inverse temperature.
    augmentation : Augmentation
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    description: str = ""
    batch_size: int = Field(32, ge=2)
    symbols_per_class: int = Field(2, ge=1)
    symbol_variants: int = Field(64, ge=1)
    prompts: Literal["ensemble", "caption"] = "ensemble"
    prompts_per_class: int = Field(1, ge=1)
    batch_norm: Literal["separate", "frozen", "shared"] = "separate"
    ema: float = Field(0.99, ge=0, lt=1)
    select: Literal["mean", "macro_f1", "map", "votes"] = "mean"
    validate_every: int = Field(1, ge=1)
    log_scale_range: tuple[float, float] = (1.0, 4.6052)
    augmentation: Augmentation = Field(default_factory=Augmentation.model_validate({}).model_copy)
    stages: tuple[Stage, ...] = Field(alias="stage", min_length=1)

    def uses(self, kind: str) -> bool:
        """Tell whether a stage needs this kind of input, see `Stage.uses`."""
        return any(stage.uses(kind) for stage in self.stages)

    @property
    def needs_words(self) -> bool:
        """Tell whether a stage needs a text tower; symbols are compared with words."""
        return any(map(self.uses, ("text", "caption", "symbol")))

    @property
    def epochs(self) -> int:
        """Return the epochs of all stages together."""
        return sum(stage.epochs for stage in self.stages)

    def at_least(self, n: int, steps: int) -> Recipe:
        """Return the recipe with its epochs multiplied where `n` galaxies would make fewer than `steps` steps."""
        each = max(1, n // min(self.batch_size, n))
        factor = steps / (each * self.epochs)
        if factor <= 1:
            return self
        stages = tuple(stage.model_copy(update={"epochs": math.ceil(stage.epochs * factor)}) for stage in self.stages)
        longer = self.model_copy(update={"stages": stages})
        return longer.model_copy(update={"validate_every": max(self.validate_every, longer.epochs // 15)})


def recipe_names() -> tuple[str, ...]:
    """Return the names of the recipes that come with the package."""
    folder = files("galaxalign.training") / "recipes"
    return tuple(sorted(path.name.removesuffix(".toml") for path in folder.iterdir() if path.name.endswith(".toml")))


def load_recipe(name_or_path: str | Path) -> Recipe:
    """Return a recipe by name or from a TOML file.

    Raises
    ------
    InputError
        No such recipe, or the file has an unknown key or a value out of range.
    """
    path = Path(name_or_path)
    if path.suffix == ".toml":
        if not path.is_file():
            raise InputError(f"recipe file {path} does not exist")
        text = path.read_text()
    elif str(name_or_path) in recipe_names():
        text = (files("galaxalign.training") / "recipes" / f"{name_or_path}.toml").read_text()
    else:
        known = ", ".join(recipe_names())
        raise InputError(f"unknown recipe {str(name_or_path)!r}; known are {known}, or a .toml file")
    try:
        return Recipe.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"recipe {name_or_path} is not valid TOML: {error}") from error
    except ValidationError as error:
        raise InputError(f"recipe {name_or_path}: {_first_problem(error)}") from error


def _first_problem(error: ValidationError) -> str:
    problem = error.errors()[0]
    where = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        known: list[str] = [*Recipe.model_fields, *Stage.model_fields, *Augmentation.model_fields, "stage"]
        close = get_close_matches(str(problem["loc"][-1]), known, n=1, cutoff=0)
        return f"unknown key {where}; did you mean {close[0]!r}?"
    given: Any = problem.get("input")
    return f"{where} is {given!r}: {problem['msg']}"
