"""Everything that a run can train: towers, linear heads, scales and margins."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from galaxalign.errors import InputError
from galaxalign.models import ClipEncoder, VisionEncoder, constant_outputs
from galaxalign.training.batch import TrainingData, VoteCounts, applicable
from galaxalign.training.batch_norm import SymbolStatistics
from galaxalign.training.recipe import HEADS, Recipe, Stage


class Towers(nn.Module):
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
            {name: nn.Parameter(torch.tensor(start)) for name in sorted(names.difference(HEADS))}
        )
        judged = {pair for stage, pair in used if stage.loss == "sigmoid" or pair == "image-image"}
        self.margin = nn.ParameterDict(
            {name: nn.Parameter(torch.tensor(0.5)) for name in sorted(judged.difference(HEADS))}
        )

    def start_stage(
        self, encoder: ClipEncoder | VisionEncoder, recipe: Recipe, stage: Stage
    ) -> SymbolStatistics | None:
        """Take in the towers that a stage trains; return the statistics of symbols where one tower sees both."""
        if not encoder.has_words:
            return None
        if any(map(stage.uses, ("text", "symbol", "caption"))):
            text = encoder.text_tower
            if text is None and stage.lr_text:
                raise InputError(f"{encoder.name} has no text tower of its own to train; set lr_text = 0")
            # A frozen text tower stays outside: its average and checkpoint would never change.
            self.text = text if any(each.lr_text for each in recipe.stages) else None
        if stage.uses("symbol") and stage.symbol_tower == "own":
            if encoder.symbol is None:
                encoder.copy_symbol_tower()
            self.symbol = encoder.symbol
        elif stage.uses("symbol") and recipe.batch_norm == "separate":
            return SymbolStatistics(self.visual)
        return None

    def set_head(self, head: Tensor) -> None:
        """Start the linear head of the first catalogue from weights and bias (K, D + 1)."""
        own: Any = self.heads[0]
        with torch.no_grad():
            own.weight.copy_(head[:, :-1])
            own.bias.copy_(head[:, -1])

    def head(self) -> Tensor:
        """Return weights and bias (K, D + 1) of the linear head of the first catalogue."""
        own: Any = self.heads[0]
        return torch.cat([own.weight, own.bias[:, None]], 1).detach().cpu()

    @property
    def word_pair(self) -> str | None:
        """The pair whose scale is that of images and words; None where no pair compares them."""
        return next((pair for pair in ("image-text", "image-caption") if pair in self.log_scale), None)


def _vote_head(dimension: int, votes: VoteCounts) -> nn.Linear:
    """Return a linear layer that begins with the most probable constant."""
    head = nn.Linear(dimension, votes.counts.shape[1])
    nn.init.zeros_(head.weight)
    with torch.no_grad():
        head.bias.copy_(constant_outputs(torch.from_numpy(votes.counts), votes.tree.slices))
    return head


def parameter_groups(towers: Towers, stage: Stage) -> list[dict[str, Any]]:
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
