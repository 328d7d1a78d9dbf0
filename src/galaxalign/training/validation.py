"""Figures on validation galaxies after an epoch, and what an epoch is chosen by."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from galaxalign.evaluation import classification_metrics, retrieval_metrics
from galaxalign.models import (
    ClipEncoder,
    VisionEncoder,
    bf16_is_fast,
    concentrations,
    dirichlet_multinomial_loss,
    to_tensor,
)
from galaxalign.training.batch import TrainingData, applicable
from galaxalign.training.recipe import Stage
from galaxalign.training.towers import Towers

_BATCH = 256


@torch.inference_mode()
def validate(
    encoder: ClipEncoder | VisionEncoder,
    towers: Towers,
    averaged: dict[str, Tensor],
    sources: Sequence[TrainingData],
    stage: Stage,
) -> list[dict[str, float]]:
    """Return validation figures of the averaged weights for each catalogue, by words or by the linear heads."""
    kept = {name: value.clone() for name, value in towers.state_dict().items()}
    towers.load_state_dict(averaged)
    towers.eval()
    figures = [_figures(encoder, towers, index, data, stage) for index, data in enumerate(sources)]
    towers.load_state_dict(kept)
    return figures


def _figures(
    encoder: ClipEncoder | VisionEncoder, towers: Towers, index: int, data: TrainingData, stage: Stage
) -> dict[str, float]:
    """Return figures on the validation galaxies of one catalogue.

    mAP; accuracy and macro F1 where there is something to classify with; and with "image-votes" the mean log likelihood
    of the votes, in nats per galaxy that has some.
    """
    images, labels = data.validation_images, data.validation_labels
    votes = data.votes if "image-votes" in applicable(stage, data) else None
    use_head = "image-label" in stage.pairs and not stage.uses("text")
    vectors, logits, likely = [], [], []
    for start in range(0, len(images), _BATCH):
        with torch.autocast(encoder.device.type, torch.bfloat16, enabled=bf16_is_fast(encoder.device.type)):
            features = encoder.visual(encoder.normalize(to_tensor(images[start : start + _BATCH], encoder.device)))
        features = features.float()
        vectors.append(F.normalize(features, dim=-1))
        if use_head:
            logits.append(towers.heads[index](features))
        if votes is not None:
            counts = torch.from_numpy(votes.validation_counts[start : start + _BATCH]).to(features)
            alpha = concentrations(towers.vote_heads[str(index)](features))
            loss = dirichlet_multinomial_loss(alpha, counts, votes.tree.slices)
            likely.append(-loss[counts.sum(1) > 0].double())
    embedded = torch.cat(vectors)
    scores = torch.cat(logits) if use_head else _word_scores(encoder, towers, data, embedded)
    figures: dict[str, float] = {}
    if scores is not None:
        names = [str(i) for i in range(data.classes)]
        metrics = classification_metrics(labels, scores.softmax(1).cpu().numpy(), names)
        figures = {"accuracy": float(metrics["accuracy"]), "macro_f1": float(metrics["macro_f1"])}
    figures["map"] = float(retrieval_metrics(embedded.cpu().numpy(), labels)["map"])
    if votes is not None:
        figures["vote_log_likelihood"] = float(torch.cat(likely).mean())
    return figures


def _word_scores(
    encoder: ClipEncoder | VisionEncoder, towers: Towers, data: TrainingData, vectors: Tensor
) -> Tensor | None:
    """Return the scores (M, K) of galaxies for the words of their classes; None where words take no part."""
    if not encoder.has_words or not len(towers.log_scale):
        return None
    words: Tensor = encoder.encode_texts([sentence for prompts in data.prompts for sentence in prompts])
    means = torch.stack([group.mean(0) for group in words.split([len(prompts) for prompts in data.prompts])])
    scale = towers.log_scale[towers.word_pair or next(iter(towers.log_scale))].exp()
    scores: Tensor = scale * vectors @ F.normalize(means, dim=-1).T
    return scores


def merged(figures: Sequence[Mapping[str, float]], names: Sequence[str]) -> dict[str, float]:
    """Return the mean of each figure over the catalogues, and beside it that of each where there are several."""
    keys = dict.fromkeys(key for one in figures for key in one)
    row = {key: _mean([one[key] for one in figures if key in one]) for key in keys}
    if len(names) > 1:
        row |= {f"{name}_{key}": value for name, one in zip(names, figures, strict=True) for key, value in one.items()}
    return row


def mean_score(figures: Sequence[Mapping[str, float]], select: str) -> float:
    """Return what an epoch is chosen by: the mean of the catalogues' scores."""
    return _mean([_score(one, select) for one in figures])


def _score(row: Mapping[str, float], select: str) -> float:
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
