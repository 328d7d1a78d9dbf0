"""The one training loop: for each stage of a recipe, for each epoch, for each step."""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor

from galaxalign.errors import InputError
from galaxalign.models import ClipEncoder, VisionEncoder
from galaxalign.training.average import Average
from galaxalign.training.batch import Epoch, TrainingData, applicable, drawn_per_epoch, mixed_batches
from galaxalign.training.batch_norm import freeze_batch_norm
from galaxalign.training.checkpoint import State, load_checkpoint, save_checkpoint
from galaxalign.training.prompt_sampling import Captions, Prompts
from galaxalign.training.recipe import Recipe, Stage
from galaxalign.training.recipe_check import check_data
from galaxalign.training.schedule import Schedule
from galaxalign.training.step import Step, step_losses
from galaxalign.training.towers import Towers, parameter_groups
from galaxalign.training.validation import mean_score, merged, validate

_EPOCH_SEED = 1_000_003  # a prime: the streams of neighbouring seeds and epochs do not meet
_LONGEST_GRADIENT = 5.0


@dataclass
class TrainingResult:
    """What a run leaves behind: the encoder holds the chosen weights.

    Attributes
    ----------
    history : list of dict
        One row per epoch: stage, epoch, losses, validation figures, seconds.
    best_epoch : int
        Counted from 1 over all stages.
    head : Tensor (K, D + 1), optional
        Weights and bias of the linear head of the first catalogue, where the recipe trains one, for vectors before
        normalisation.
    """

    history: list[dict[str, Any]] = field(default_factory=list)
    best_epoch: int = 0
    head: Tensor | None = None


def fit(
    encoder: ClipEncoder | VisionEncoder,
    recipe: Recipe,
    data: TrainingData | Sequence[TrainingData],
    *,
    out: Path | None = None,
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
    head: Tensor | None = None,
    on_step: Callable[[int], None] | None = None,
) -> TrainingResult:
    """Train `encoder` in place by `recipe` and leave it with the weights of the best validation epoch.

    Parameters
    ----------
    encoder : ClipEncoder or VisionEncoder
        A VisionEncoder needs "image-label" or "image-votes" in every stage; "image-image" can stand beside it.
    recipe : Recipe
    data : TrainingData or sequence of TrainingData
        One catalogue, or several, each with its own classes, that are learnt together. An epoch is chosen by the mean
        of their validation figures.
    out : Path, optional
        Folder for the checkpoint of each epoch, metrics.csv and TensorBoard files. A run with the same `settings`
        resumes from the checkpoint in it and ends the same.
    seed : int
    settings : mapping, optional
        What identifies the run; a checkpoint of other settings is refused.
    head : Tensor (K, D + 1), optional
        Weights and bias that the linear head starts from, for vectors before normalisation; zeros by default.
    on_step : callable, optional
        Called with the number of galaxies of each step.

    Returns
    -------
    TrainingResult

    Raises
    ------
    InputError
        The encoder lacks a tower that the recipe needs, there are fewer than two galaxies, the loss is no longer
        finite, or the folder holds a checkpoint of other settings.
    """
    sources = [data] if isinstance(data, TrainingData) else list(data)
    check_data(recipe, encoder, sources)
    run = _Run(encoder, recipe, sources, seed, on_step or _ignore)
    state = run.begin(head)
    log = _Log(out)
    identity = {"recipe": recipe.model_dump(mode="json"), "seed": seed} | dict(settings or {})
    checkpoint = load_checkpoint(out, identity) if out is not None else None
    for stage in recipe.stages:
        run.start_stage(state, stage)
        for epoch in range(stage.epochs):
            state.epoch += 1
            if checkpoint is not None and state.epoch <= checkpoint.epoch:
                if state.epoch == checkpoint.epoch:
                    state.restore(checkpoint, (epoch + 1) * run.steps)
                continue
            row = run.train_epoch(state, stage, epoch)
            last = epoch == stage.epochs - 1
            if not last and (epoch + 1) % recipe.validate_every:
                state.history.append(row)
                continue
            figures = validate(encoder, state.towers, state.average.state, sources, stage)
            row |= merged(figures, [source.name for source in sources])
            if stage is recipe.stages[-1]:  # a warm-up is never chosen
                state.keep_if_best(mean_score(figures, recipe.select))
            state.history.append(row)
            log.write(state)
            if out is not None:
                save_checkpoint(out, identity, state)
        if stage is not recipe.stages[-1]:
            run.end_warm_up(state)
    log.close()
    return run.finish(state)


class _Run:
    """One run of the loop: what does not change from step to step, and what a stage sets up."""

    def __init__(
        self,
        encoder: ClipEncoder | VisionEncoder,
        recipe: Recipe,
        sources: list[TrainingData],
        seed: int,
        on_step: Callable[[int], None],
    ) -> None:
        self.encoder, self.recipe, self.sources = encoder, recipe, sources
        self.seed, self.on_step = seed, on_step
        self.accelerator = Accelerator(cpu=encoder.device.type == "cpu", mixed_precision="no")

    def begin(self, head: Tensor | None) -> State:
        """Return the state before the first stage."""
        torch.manual_seed(self.seed)
        towers = Towers(self.encoder, self.sources, self.recipe)
        if head is not None:
            towers.set_head(head)
        towers = towers.to(self.encoder.device)
        return State(towers)

    def start_stage(self, state: State, stage: Stage) -> None:
        """Set up what a stage trains, and how many steps its epochs have."""
        towers = state.towers
        state.statistics = towers.start_stage(self.encoder, self.recipe, stage)
        optimizer = torch.optim.AdamW(parameter_groups(towers, stage), betas=(0.9, 0.99))
        state.average = Average(towers, self.recipe.ema)
        self.model, state.optimizer = self.accelerator.prepare(towers, optimizer)
        self.draws = drawn_per_epoch(stage, self.sources)
        self.batch_size = min(self.recipe.batch_size, sum(self.draws))
        self.steps = sum(self.draws) // self.batch_size
        self.schedule = Schedule(state.optimizer, self.steps * stage.epochs, stage.warmup)
        self.words: list[Epoch] = []

    def train_epoch(self, state: State, stage: Stage, epoch: int) -> dict[str, Any]:
        """Train for an epoch of a stage, and return its losses, scales and speed."""
        # Made at the first epoch that is trained: after a restart words are embedded by the restored text tower.
        self.words = self.words or [_words(self.encoder, source, self.recipe, stage) for source in self.sources]
        started = time.monotonic()
        generator = torch.Generator().manual_seed(self.seed * _EPOCH_SEED + state.epoch)
        torch.manual_seed(self.seed * _EPOCH_SEED + state.epoch)  # dropout
        state.towers.train()
        if self.recipe.batch_norm == "frozen":
            freeze_batch_norm(state.towers)
        sizes = [len(source.labels) for source in self.sources]
        rows, batches = mixed_batches(sizes, self.draws, self.batch_size, generator)
        self._write_captions(state.epoch, stage, rows)
        sums: dict[str, float] = {}
        for number in range(self.steps):
            self.schedule.set(epoch * self.steps + number)
            step = Step(self.encoder, self.model, self.recipe, stage, state.statistics, generator)
            loss, losses = step_losses(step, self.sources, self.words, batches[number])
            self._descend(state, loss)
            for pair, value in losses.items():
                sums[pair] = sums.get(pair, 0.0) + value
            self.on_step(self.batch_size)
        seconds = time.monotonic() - started
        row: dict[str, Any] = {"stage": stage.name, "epoch": state.epoch}
        row |= {f"loss_{pair}": value / self.steps for pair, value in sums.items()}
        row |= {f"scale_{pair}": float(scale.detach().exp()) for pair, scale in state.towers.log_scale.items()}
        row |= {f"margin_{pair}": float(margin.detach()) for pair, margin in state.towers.margin.items()}
        return row | {"seconds": seconds, "images_per_second": self.steps * self.batch_size / seconds}

    def _write_captions(self, epoch: int, stage: Stage, rows: Sequence[np.ndarray]) -> None:
        """Write the sentences of the galaxies of an epoch."""
        for index, (source, words, drawn) in enumerate(zip(self.sources, self.words, rows, strict=True)):
            if "image-caption" in words.weights and source.captioner is not None:
                fresh = np.random.default_rng([self.seed, epoch, index]) if stage.captions == "sampled" else None
                words.captions = Captions(self.encoder, source.captioner, drawn, fresh, frozen=stage.lr_text == 0)

    def _descend(self, state: State, loss: Tensor) -> None:
        """Take one step down the gradient of a loss."""
        if not bool(torch.isfinite(loss)):
            raise InputError(f"the loss became {float(loss.detach())} in epoch {state.epoch}; lower the learning rates")
        state.optimizer.zero_grad()
        self.accelerator.backward(loss)
        self.accelerator.clip_grad_norm_(state.towers.parameters(), _LONGEST_GRADIENT)
        state.optimizer.step()
        with torch.no_grad():
            for scale in state.towers.log_scale.values():
                scale.clamp_(*self.recipe.log_scale_range)
        state.average.update(state.towers)

    def end_warm_up(self, state: State) -> None:
        """Start the next stage from the averaged weights."""
        state.towers.load_state_dict(state.average.state)
        self._copy_symbol_tower(state)

    def finish(self, state: State) -> TrainingResult:
        """Leave the encoder with the chosen weights."""
        state.load_best()
        self._copy_symbol_tower(state)
        towers = state.towers.eval().requires_grad_(False)
        if self.encoder.has_words and towers.word_pair is not None:
            self.encoder.set_log_scale(towers.log_scale[towers.word_pair])
        trains_head = any("image-label" in stage.pairs for stage in self.recipe.stages)
        return TrainingResult(state.history, state.best_epoch, towers.head() if trains_head else None)

    def _copy_symbol_tower(self, state: State) -> None:
        """Where one tower saw both, give symbols a copy of it with the statistics that symbols had."""
        if state.statistics is not None:
            with state.statistics.active():
                self.encoder.copy_symbol_tower()


def _ignore(galaxies: int) -> None:
    """Take no note of a step."""


def _words(encoder: Any, data: TrainingData, recipe: Recipe, stage: Stage) -> Epoch:
    """Return the words of the classes of a catalogue in a stage."""
    weights = applicable(stage, data)
    kinds = {kind for pair in weights for kind in pair.split("-")}
    frozen = stage.lr_text == 0
    counts = np.bincount(data.labels, minlength=data.classes) + 1.0
    words = Epoch(weights=weights, log_prior=torch.from_numpy(np.log(counts / counts.sum())).float().to(encoder.device))
    if "text" in kinds:
        words.prompts = Prompts(encoder, data.prompts, recipe, frozen=frozen)
        if data.kind_prompts is not None and "symbol" in kinds:
            words.kind_prompts = Prompts(encoder, data.kind_prompts, recipe, frozen=frozen)
    return words


class _Log:
    """Writes metrics.csv and TensorBoard files into a folder; nothing without one."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        if folder is not None:
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(folder / "tensorboard"))

    def write(self, state: State) -> None:
        """Write the epochs until now."""
        if self._folder is None:
            return
        for key, value in state.history[-1].items():
            if isinstance(value, float):
                self._writer.add_scalar(key, value, state.epoch)
        with (self._folder / "metrics.csv").open("w", newline="") as file:
            table = csv.DictWriter(file, list(dict.fromkeys(key for row in state.history for key in row)))
            table.writeheader()
            table.writerows(state.history)

    def close(self) -> None:
        """Finish the files."""
        if self._folder is not None:
            self._writer.close()
