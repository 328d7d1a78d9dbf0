"""The one training loop: stages of a recipe over galaxies, symbols and words."""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from accelerate import Accelerator
from torch import Tensor, nn

from galaxalign.benchmark.metrics import classification_metrics
from galaxalign.benchmark.retrieval import retrieval_metrics
from galaxalign.encoders.base import to_tensor
from galaxalign.encoders.clip import ClipEncoder
from galaxalign.encoders.cpu import bf16_is_fast
from galaxalign.encoders.vision import VisionEncoder
from galaxalign.errors import InputError
from galaxalign.training.checkpoint import load_checkpoint, save_checkpoint
from galaxalign.training.norms import SymbolStatistics, freeze_batch_norm
from galaxalign.training.recipe import Recipe, Stage
from galaxalign.training.step import (
    Epoch,
    TrainingData,
    VoteCounts,
    applicable,
    drawn_per_epoch,
    mixed_batches,
    step_losses,
)
from galaxalign.training.vote_likelihood import concentrations, constant_outputs, dirichlet_multinomial_loss
from galaxalign.training.words import Captions, Prompts

__all__ = ["TrainingResult", "check_recipe", "fit"]

_STATISTICS = "symbol_statistics."
_HEADS = ("image-label", "image-votes")  # pairs with a linear head, which compare nothing with anything
_EPOCH_SEED = 1_000_003  # a prime: the streams of neighbouring seeds and epochs do not meet


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


class _Towers(nn.Module):
    """Everything that can be trained, behind one forward (so that accelerate can wrap it)."""

    def __init__(self, encoder: ClipEncoder | VisionEncoder, sources: Sequence[TrainingData], recipe: Recipe) -> None:
        super().__init__()
        self.visual = encoder.visual
        self.symbol: nn.Module | None = None
        self.text: nn.Module | None = None
        self.heads = nn.ModuleList(nn.Linear(encoder.dimension, source.classes) for source in sources)
        for head in self.heads.parameters():
            nn.init.zeros_(head)
        self.vote_heads = nn.ModuleDict()
        if any(stage.uses("votes") for stage in recipe.stages):
            for index, source in enumerate(sources):
                if source.votes is not None:
                    self.vote_heads[str(index)] = _vote_head(encoder.dimension, source.votes)
        low, high = recipe.log_scale_range
        # One scale for each pair of kinds: what separates images from words need not suit images alone.
        used = [(stage, pair) for stage in recipe.stages for source in sources for pair in applicable(stage, source)]
        names = {pair for _, pair in used}
        start = min(max(math.log(1 / 0.07), low), high)
        self.log_scale = nn.ParameterDict(
            {name: nn.Parameter(torch.tensor(start)) for name in sorted(names.difference(_HEADS))}
        )
        judged = {pair for stage, pair in used if stage.loss == "sigmoid" or pair == "image-image"}
        self.margin = nn.ParameterDict(
            {name: nn.Parameter(torch.tensor(0.5)) for name in sorted(judged.difference(_HEADS))}
        )


def _vote_head(dimension: int, votes: VoteCounts) -> nn.Linear:
    """Return a linear layer that begins with the most probable constant."""
    head = nn.Linear(dimension, votes.counts.shape[1])
    nn.init.zeros_(head.weight)
    with torch.no_grad():
        head.bias.copy_(constant_outputs(torch.from_numpy(votes.counts), votes.tree.slices))
    return head


def _parameter_groups(towers: _Towers, encoder: Any, stage: Stage) -> list[dict[str, Any]]:
    """Return the trained parameters with their learning rates; biases and norms are not decayed.

    Where the image tower carries low-rank adapters, they are trained in its place.
    """
    adapted = any("lora_" in name for name, _ in towers.named_parameters())
    rates: dict[str, float] = {"trunk": stage.lr_trunk, "head": stage.lr_head, "text": stage.lr_text}
    groups: dict[tuple[str, bool], list[nn.Parameter]] = {}
    for name, parameter in towers.named_parameters():
        if name.startswith("text."):
            kind = "text"
        elif name.startswith(("heads.", "vote_heads.", "log_scale.", "margin.")) or ".head." in name:
            kind = "head"
        else:
            kind = "trunk"
        trained = rates[kind] > 0 and not (adapted and kind == "trunk" and "lora_" not in name)
        parameter.requires_grad_(trained)
        if trained:
            decay = parameter.ndim > 1
            groups.setdefault((kind, decay), []).append(parameter)
    return [
        {"params": members, "lr": rates[kind], "weight_decay": stage.weight_decay if decay else 0.0}
        for (kind, decay), members in groups.items()
    ]


def _rate(step: int, total: int, warmup: float) -> float:
    """Return the share of the peak learning rate: a linear rise, then a cosine to 1 % of it."""
    rise = max(1, round(total * warmup))
    if step < rise:
        return (step + 1) / rise
    progress = (step - rise) / max(1, total - rise)
    return 0.01 + 0.99 * (1 + math.cos(math.pi * progress)) / 2


class _Average:
    """Exponential moving average of weights; statistics of norms are copied."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay, self.steps = decay, 0
        self.state = {k: v.detach().clone() for k, v in module.state_dict().items()}

    @torch.no_grad()
    def update(self, module: nn.Module) -> None:
        self.steps += 1
        decay = min(self.decay, self.steps / (self.steps + 9))  # young averages forget their start faster
        for key, value in module.state_dict().items():
            if value.is_floating_point() and "running_" not in key:
                self.state[key].lerp_(value, 1 - decay)
            else:
                self.state[key].copy_(value)


def fit(
    encoder: ClipEncoder | VisionEncoder,
    recipe: Recipe,
    data: TrainingData | Sequence[TrainingData],
    *,
    out: Path | None = None,
    seed: int = 0,
    settings: dict[str, Any] | None = None,
    head: Tensor | None = None,
    on_epoch: Callable[[dict[str, Any]], None] | None = None,
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
        Folder for the checkpoint of each epoch, metrics.csv and TensorBoard files. A run whose checkpoint
        is found there, made with the same `settings`, goes on where it stopped and ends the same.
    seed : int
    settings : dict, optional
        What identifies the run; a checkpoint of other settings is refused.
    head : Tensor (K, D + 1), optional
        Weights and bias that the linear head starts from, for vectors before normalisation; zeros by default.
    on_epoch, on_step : callable, optional
        Called with the row of each epoch, with the number of galaxies of each step.

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
    check_recipe(recipe, encoder, [source.votes is not None and bool(source.votes.counts.any()) for source in sources])
    if recipe.select == "votes" and not any(
        "image-votes" in applicable(recipe.stages[-1], s) and s.votes is not None and s.votes.validation_counts.any()
        for s in sources
    ):
        raise InputError(
            f"recipe {recipe.name} chooses the epoch by the votes on validation galaxies, and none of these has votes; "
            "give another split"
        )
    n_galaxies = sum(len(source.labels) for source in sources)
    if n_galaxies < 2:
        raise InputError(f"only {n_galaxies} labelled galaxies to train on; at least 2 are needed")
    accelerator = Accelerator(cpu=encoder.device.type == "cpu", mixed_precision="no")
    torch.manual_seed(seed)
    towers = _Towers(encoder, sources, recipe)
    if head is not None:
        own: Any = towers.heads[0]
        with torch.no_grad():
            own.weight.copy_(head[:, :-1])
            own.bias.copy_(head[:, -1])
    towers = towers.to(encoder.device)
    result = TrainingResult()
    best: dict[str, Tensor] = {}
    best_score = -math.inf
    writer = _writer(out)
    identity = {"recipe": recipe.model_dump(mode="json"), "seed": seed} | (settings or {})
    restored = load_checkpoint(out, identity) if out is not None else None
    epoch = 0
    statistics: SymbolStatistics | None = None
    for stage_index, stage in enumerate(recipe.stages):
        statistics = None
        if isinstance(encoder, ClipEncoder):
            if stage.uses("text") or stage.uses("symbol") or stage.uses("caption"):
                text: Any = getattr(encoder.model, "text", None)
                if text is None and stage.lr_text:
                    raise InputError(f"{encoder.name} has no text tower of its own to train; set lr_text = 0")
                # a frozen one would be averaged at each step, and saved at each epoch, as what it always was
                towers.text = text if any(each.lr_text for each in recipe.stages) else None
            if stage.uses("symbol") and stage.symbol_tower == "own":
                if encoder.symbol is None:
                    encoder.copy_symbol_tower()
                towers.symbol = encoder.symbol
            elif stage.uses("symbol") and recipe.batch_norm == "separate":
                statistics = SymbolStatistics(towers.visual)
        groups = _parameter_groups(towers, encoder, stage)
        optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.99))
        average = _Average(towers, recipe.ema)
        model, optimizer = accelerator.prepare(towers, optimizer)
        peaks = [group["lr"] for group in optimizer.param_groups]
        sizes, draws = [len(source.labels) for source in sources], drawn_per_epoch(stage, sources)
        batch_size = min(recipe.batch_size, sum(draws))
        steps = sum(draws) // batch_size
        total = steps * stage.epochs
        epochs: list[Epoch] = []
        for stage_epoch in range(stage.epochs):
            epoch += 1
            if restored is not None and epoch <= restored.epoch:
                if epoch == restored.epoch:
                    restored.into(towers, average.state, optimizer, statistics)
                    average.steps = (stage_epoch + 1) * steps
                    result.history, best, best_score = restored.history, restored.best, restored.best_score
                    result.best_epoch = restored.best_epoch
                continue
            # after a restart, too, words are embedded by the text tower as it stands
            if not epochs:
                epochs = [_words(encoder, source, recipe, stage) for source in sources]
            started = time.monotonic()
            generator = torch.Generator().manual_seed(seed * _EPOCH_SEED + epoch)
            torch.manual_seed(seed * _EPOCH_SEED + epoch)  # dropout
            towers.train()
            if recipe.batch_norm == "frozen":
                freeze_batch_norm(towers)
            sums: dict[str, float] = {}
            drawn, batches = mixed_batches(sizes, draws, batch_size, generator)
            for index, (source, words, rows) in enumerate(zip(sources, epochs, drawn, strict=True)):
                if "image-caption" in words.weights and source.captioner is not None:
                    fresh = np.random.default_rng([seed, epoch, index]) if stage.captions == "sampled" else None
                    words.captions = Captions(encoder, source.captioner, rows, fresh, frozen=stage.lr_text == 0)
            for step in range(steps):
                rate = _rate(stage_epoch * steps + step, total, stage.warmup)
                for group, peak in zip(optimizer.param_groups, peaks, strict=True):
                    group["lr"] = peak * rate
                loss, told = step_losses(
                    encoder, model, sources, epochs, batches[step], recipe, stage, statistics, generator
                )
                if not bool(torch.isfinite(loss)):
                    raise InputError(
                        f"the loss became {float(loss.detach())} in epoch {epoch}; lower the learning rates"
                    )
                optimizer.zero_grad()
                accelerator.backward(loss)
                accelerator.clip_grad_norm_(towers.parameters(), 5.0)
                optimizer.step()
                with torch.no_grad():
                    for scale in towers.log_scale.values():
                        scale.clamp_(*recipe.log_scale_range)
                average.update(towers)
                for pair, value in told.items():
                    sums[pair] = sums.get(pair, 0.0) + value
                if on_step is not None:
                    on_step(batch_size)
            seconds = time.monotonic() - started
            row: dict[str, Any] = {"stage": stage.name, "epoch": epoch}
            row |= {f"loss_{pair}": value / steps for pair, value in sums.items()}
            row |= {f"scale_{k}": float(v.detach().exp()) for k, v in towers.log_scale.items()}
            row |= {f"margin_{k}": float(v.detach()) for k, v in towers.margin.items()}
            row |= {"seconds": seconds, "images_per_second": steps * batch_size / seconds}
            last_of_stage = stage_epoch == stage.epochs - 1
            if not last_of_stage and (stage_epoch + 1) % recipe.validate_every:
                result.history.append(row)
                continue
            figures = _validate(encoder, towers, average.state, sources, stage)
            names = dict.fromkeys(key for found in figures for key in found)
            row |= {key: _mean([found[key] for found in figures if key in found]) for key in names}
            if len(sources) > 1:
                row |= {f"{s.name}_{k}": v for s, found in zip(sources, figures, strict=True) for k, v in found.items()}
            # a warm-up is never chosen; of equal epochs the longest trained is
            final = stage_index == len(recipe.stages) - 1
            score = _mean([_score(found, recipe.select) for found in figures]) if final else -math.inf
            if final and score >= best_score:
                best_score, result.best_epoch = score, epoch
                best = {k: v.clone() for k, v in average.state.items()}
                if statistics is not None:
                    best |= {f"{_STATISTICS}{k}": v.clone() for k, v in statistics.state().items()}
            result.history.append(row)
            if writer is not None:
                for key, value in row.items():
                    if isinstance(value, float):
                        writer.add_scalar(key, value, epoch)
            if out is not None:
                save_checkpoint(
                    out,
                    identity,
                    epoch,
                    towers,
                    average.state,
                    optimizer,
                    statistics,
                    result.history,
                    best,
                    best_score,
                    result.best_epoch,
                )
                _write_csv(out / "metrics.csv", result.history)
            if on_epoch is not None:
                on_epoch(row)
        if stage_index < len(recipe.stages) - 1:
            towers.load_state_dict(average.state)
            if statistics is not None:
                # stage 2 copies the image tower for the symbols, with the statistics that symbols had
                with statistics.active():
                    encoder.copy_symbol_tower()  # type: ignore[union-attr]
    towers.load_state_dict({k: v for k, v in best.items() if not k.startswith(_STATISTICS)})
    if statistics is not None:
        # one tower saw both to the end: symbols keep a copy of it with their statistics
        statistics.load({k.removeprefix(_STATISTICS): v for k, v in best.items() if k.startswith(_STATISTICS)})
        with statistics.active():
            encoder.copy_symbol_tower()  # type: ignore[union-attr]
    towers.eval().requires_grad_(False)
    if any("image-label" in stage.pairs for stage in recipe.stages):
        first: Any = towers.heads[0]
        result.head = torch.cat([first.weight, first.bias[:, None]], 1).detach().cpu()
    spoken = [pair for pair in ("image-text", "image-caption") if pair in towers.log_scale]
    if isinstance(encoder, ClipEncoder) and spoken:
        with torch.no_grad():
            encoder.model.logit_scale.copy_(towers.log_scale[spoken[0]])  # type: ignore[operator]
    if writer is not None:
        writer.close()
    return result


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
    only_images = isinstance(encoder, VisionEncoder)
    if only_images and recipe.needs_words:
        raise InputError(f"{encoder.name} has only an image tower; recipe {recipe.name} needs words and symbols")
    for stage in recipe.stages:
        if only_images and not {*_HEADS} & {*stage.pairs}:
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


def _score(row: dict[str, Any], select: str) -> float:
    """Return what the epoch is chosen by; macro F1 alone where no class has two validation galaxies for an mAP."""
    if select == "votes":
        return float(row.get("vote_log_likelihood", math.nan))  # nan: a catalogue without votes has no say
    if not math.isfinite(row["map"]):
        return float(row["macro_f1"])
    return float((row["macro_f1"] + row["map"]) / 2 if select == "mean" else row[select])


def _mean(values: list[float]) -> float:
    """Return the mean of those that are known."""
    known = [value for value in values if math.isfinite(value)]
    return sum(known) / len(known) if known else math.nan


def _words(encoder: Any, data: TrainingData, recipe: Recipe, stage: Stage) -> Epoch:
    """Return what a stage says of the classes of a catalogue."""
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


@torch.inference_mode()
def _validate(
    encoder: Any, towers: _Towers, averaged: dict[str, Tensor], sources: list[TrainingData], stage: Stage
) -> list[dict[str, float]]:
    """Return validation figures of the averaged weights for each catalogue, by words or by the linear heads."""
    kept = {k: v.clone() for k, v in towers.state_dict().items()}
    towers.load_state_dict(averaged)
    towers.eval()
    figures = [_figures(encoder, towers, index, data, stage) for index, data in enumerate(sources)]
    towers.load_state_dict(kept)
    return figures


def _figures(encoder: Any, towers: _Towers, index: int, data: TrainingData, stage: Stage) -> dict[str, float]:
    """Return figures on the validation galaxies of one catalogue.

    mAP; accuracy and macro F1 where there is something to classify with; and with "image-votes" the mean log likelihood
    of the votes, in nats per galaxy that has some.
    """
    images, labels = data.validation_images, data.validation_labels
    vectors, logits, likely = [], [], []
    use_head = "image-label" in stage.pairs and not stage.uses("text")
    votes = data.votes if "image-votes" in applicable(stage, data) else None
    for start in range(0, len(images), 256):
        with torch.autocast(encoder.device.type, torch.bfloat16, enabled=bf16_is_fast(encoder.device.type)):
            features = encoder.visual(encoder.normalize(to_tensor(images[start : start + 256], encoder.device)))
        features = features.float()
        vectors.append(F.normalize(features, dim=-1))
        if use_head:
            logits.append(towers.heads[index](features))
        if votes is not None:
            counts = torch.from_numpy(votes.validation_counts[start : start + 256]).to(features)
            alpha = concentrations(towers.vote_heads[str(index)](features))
            loss = dirichlet_multinomial_loss(alpha, counts, votes.tree.slices)
            likely.append(-loss[counts.sum(1) > 0].double())
    embedded = torch.cat(vectors)
    scores: Tensor | None = None
    if use_head:
        scores = torch.cat(logits)
    elif isinstance(encoder, ClipEncoder) and len(towers.log_scale):
        counts_of_prompts = [len(p) for p in data.prompts]
        words = encoder.encode_texts([s for p in data.prompts for s in p])
        means = torch.stack([group.mean(0) for group in words.split(counts_of_prompts)])
        spoken = [pair for pair in ("image-text", "image-caption") if pair in towers.log_scale]
        pair = spoken[0] if spoken else next(iter(towers.log_scale))
        scores = towers.log_scale[pair].exp() * embedded @ F.normalize(means, dim=-1).T
    figures: dict[str, float] = {}
    if scores is not None:
        names = [str(i) for i in range(data.classes)]
        found = classification_metrics(labels, scores.softmax(1).cpu().numpy(), names)
        figures = {"accuracy": float(found["accuracy"]), "macro_f1": float(found["macro_f1"])}
    figures["map"] = float(retrieval_metrics(embedded.cpu().numpy(), labels)["map"])
    if votes is not None:
        figures["vote_log_likelihood"] = float(torch.cat(likely).mean())
    return figures


def _writer(out: Path | None) -> Any:
    if out is None:
        return None
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(out / "tensorboard"))


def _write_csv(path: Path, history: list[dict[str, Any]]) -> None:
    columns = list(dict.fromkeys(key for row in history for key in row))
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, columns)
        table.writeheader()
        table.writerows(history)
