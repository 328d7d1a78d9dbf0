"""How transfer trains the tower: its methods, and the mix of weights before and after."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from galaxalign.errors import InputError
from galaxalign.models import ClassifierChoice, ClipEncoder, VisionEncoder
from galaxalign.morphology import Taxonomy
from galaxalign.progress import progress
from galaxalign.training.adapt import add_adapters, interpolate, merge_adapters, tower_weights
from galaxalign.training.batch import TrainingData
from galaxalign.training.chooser import Chooser, symbol_vectors
from galaxalign.training.job import Job, train_tower
from galaxalign.training.loop import TrainingResult
from galaxalign.training.recipe import Recipe, load_recipe

METHODS: dict[str, str | None] = {
    "zero-shot": None,
    "linear": None,
    "fine-tune": "supervised",
    "lp-ft": "supervised",
    "lora": "supervised",
    "flyp": "image-text",
    "flyp-symbols": "galaxalign",
}
"""Ways to learn the target, and the recipe of each that trains the tower."""

_SHARES = tuple(round(0.1 * i, 1) for i in range(11))  # of the fine-tuned weights, from none to all


def mixing_share(wise_ft: str | float | None, method: str) -> str | float:
    """Return the share of the fine-tuned weights, or "auto"; InputError for an unknown method or share."""
    if method not in METHODS:
        raise InputError(f"there is no method {method!r} of transfer; choose {', '.join(METHODS)}")
    if wise_ft is None:
        return 1.0
    if METHODS[method] is None:
        raise InputError(f"the method {method} trains no tower, so there is nothing to mix; leave --wise-ft out")
    if wise_ft == "auto":
        return "auto"
    try:
        value = float(wise_ft)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise InputError(f"--wise-ft is {wise_ft}; give a number from 0 (as before) to 1 (fine-tuned), or auto")
    return value


def transfer_recipe(method: str, recipe: str | Path | None, n: int, steps: int) -> Recipe | None:
    """Return the recipe that trains the tower, with at least so many steps on n labels; None where none does."""
    own = METHODS[method]
    if own is None:
        if recipe is not None:
            raise InputError(f"the method {method} trains no tower; leave --recipe out")
        return None
    plan = load_recipe(recipe or own)
    if method == "flyp-symbols" and recipe is None:
        plan = plan.model_copy(update={"stages": plan.stages[-1:]})  # the model has had its warm-up
    return plan.at_least(n, steps)


@dataclass
class FineTuning:
    """Trains the tower of an encoder in place by a method of transfer.

    Parameters
    ----------
    job : Job
    encoder : ClipEncoder or VisionEncoder
    scheme : Taxonomy
    data : TrainingData
    plan : Recipe, optional
        None: the tower stays as it is.
    method : str
        One of `METHODS`.
    drawings : Path, optional
        Folder with a drawing of each class in place of ours.
    """

    job: Job
    encoder: ClipEncoder | VisionEncoder
    scheme: Taxonomy
    data: TrainingData
    plan: Recipe | None
    method: str
    drawings: Path | None = None

    def __post_init__(self) -> None:
        self._chooser = Chooser(self.encoder, self.data, self.scheme)

    def run(
        self, mixing: str | float, identity: dict[str, Any]
    ) -> tuple[ClassifierChoice, np.ndarray | None, dict[str, Any]]:
        """Train, mix the weights with those before, and choose the classifier.

        Parameters
        ----------
        mixing : float or "auto"
            Share of the fine-tuned weights.
        identity : dict
            Settings that a checkpoint must share to be resumed.

        Returns
        -------
        choice : ClassifierChoice
        symbols : ndarray (K, D), optional
            Unit vectors of the classes' symbols; None without a symbol tower.
        about : dict
            What is saved with the model: best epoch and share.
        """
        self.job.note(
            f"learning from {len(self.data.labels)} galaxies ({identity['share']:g} % of the training labels), "
            f"choosing on {len(self.data.validation_labels)} of the validation part"
        )
        head, about = (None, {}) if self.plan is None else self._train(self.plan, mixing, identity)
        symbols = self._symbols()
        return self._chooser.choose(head, symbols=symbols), symbols, about

    def _symbols(self) -> np.ndarray | None:
        if self.encoder.symbol is None:
            return None
        return symbol_vectors(self.encoder, self.scheme, self.plan, self.drawings)

    def _train(
        self, plan: Recipe, mixing: str | float, identity: dict[str, Any]
    ) -> tuple[Tensor | None, dict[str, Any]]:
        """Train the tower and mix its weights; return the head (K, D + 1) and what is saved with the model."""
        before = tower_weights(self.encoder)
        start = self._chooser.probe() if self.method == "lp-ft" else None
        if self.method == "lora":
            add_adapters(self.encoder, seed=self.job.seed)
        # The mix comes after training, so another one resumes the same checkpoint.
        settings = {key: value for key, value in identity.items() if key != "wise_ft"}
        result = train_tower(self.job, self.encoder, plan, [self.data], settings, head=start)
        if self.method == "lora":
            merge_adapters(self.encoder)
        about: dict[str, Any] = {"best_epoch": result.best_epoch, "wise_ft": {"share": mixing}}
        if mixing == 1.0:
            return result.head, about
        after = tower_weights(self.encoder)

        def mix(share: float) -> Tensor | None:
            interpolate(self.encoder, before, after, share)
            return _mixed_head(start, result, share)

        if mixing == "auto":
            losses = {}
            with progress("mixing", len(_SHARES), quiet=self.job.quiet) as done:
                for share in _SHARES:
                    choice = self._chooser.choose(mix(share), symbols=self._symbols(), quick=True)
                    losses[share] = choice.validation[choice.name]["log_loss"]
                    done(1)
            mixing = min(losses, key=lambda share: losses[share])
            validation = {f"{share:g}": loss for share, loss in losses.items()}
            about["wise_ft"] = {"share": mixing, "validation_log_loss": validation}
        return mix(float(mixing)), about


def _mixed_head(start: Tensor | None, result: TrainingResult, share: float) -> Tensor | None:
    """Return the head between where it started, at the probe or at zeros, and where training took it."""
    if result.head is None or share == 0:
        return start
    return share * result.head + (0 if start is None else (1 - share) * start)
