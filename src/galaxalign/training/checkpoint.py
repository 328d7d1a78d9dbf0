"""The state of a run, saved after each validation, so that a killed run resumes and ends the same."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from galaxalign.data.images import Preprocessing
from galaxalign.errors import InputError
from galaxalign.training.average import Average
from galaxalign.training.batch_norm import SymbolStatistics
from galaxalign.training.towers import Towers

_TENSORS, _SETTINGS = "checkpoint.safetensors", "checkpoint.json"
_STATISTICS = "symbol_statistics."


@dataclass
class State:
    """A run as it stands: what a checkpoint saves and restores.

    Attributes
    ----------
    towers : Towers
    average : Average
        Of the weights in this stage.
    optimizer : Optimizer
    statistics : SymbolStatistics, optional
        Of symbols, where one tower sees images and symbols.
    epoch : int
        Finished epochs over all stages.
    history : list of dict
        One row per epoch.
    best : dict of str to Tensor
        The chosen weights.
    best_score : float
    best_epoch : int
    """

    towers: Towers
    average: Average = field(init=False)
    optimizer: torch.optim.Optimizer = field(init=False)
    statistics: SymbolStatistics | None = None
    epoch: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)
    best_score: float = -math.inf
    best_epoch: int = 0

    def keep_if_best(self, score: float) -> None:
        """Keep the averaged weights if no epoch was better; of equal epochs the longest trained is kept."""
        if score >= self.best_score:
            self.best_score, self.best_epoch = score, self.epoch
            self.best = {name: value.clone() for name, value in self.average.state.items()}
            if self.statistics is not None:
                own = self.statistics.state()
                self.best |= {f"{_STATISTICS}{name}": value.clone() for name, value in own.items()}

    def load_best(self) -> None:
        """Give the towers, and the statistics of symbols, the chosen weights."""
        own = {name: value for name, value in self.best.items() if not name.startswith(_STATISTICS)}
        self.towers.load_state_dict(own)
        if self.statistics is not None:
            ours = {name.removeprefix(_STATISTICS): self.best[name] for name in self.best.keys() - own.keys()}
            self.statistics.load(ours)

    def tensors(self) -> dict[str, Tensor]:
        """Return everything that is a tensor, by part and name."""
        parts: dict[str, dict[str, Tensor]] = {
            "model": dict(self.towers.state_dict()),
            "average": self.average.state,
            "best": self.best,
            "statistics": self.statistics.state() if self.statistics is not None else {},
            "optimizer": {
                f"{index}.{name}": value
                for index, state in self.optimizer.state_dict()["state"].items()
                for name, value in state.items()
            },
        }
        return {
            f"{part}/{name}": value.detach().cpu().contiguous().clone()
            for part, members in parts.items()
            for name, value in members.items()
        }

    def restore(self, checkpoint: Checkpoint, steps: int) -> None:
        """Put everything back as it was; `steps` is the number of steps of this stage until then."""
        self.towers.load_state_dict(checkpoint.part("model"))
        self.average.steps = steps
        for name, value in checkpoint.part("average").items():
            self.average.state[name].copy_(value)
        if self.statistics is not None:
            self.statistics.load(checkpoint.part("statistics"))
        states: dict[int, dict[str, Tensor]] = {}
        for key, value in checkpoint.part("optimizer").items():
            index, name = key.split(".", 1)
            states.setdefault(int(index), {})[name] = value
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": states, "param_groups": groups})
        about = checkpoint.about
        self.history, self.best, self.best_epoch = about["history"], checkpoint.part("best"), about["best_epoch"]
        self.best_score = -math.inf if about["best_score"] is None else about["best_score"]


@dataclass(frozen=True)
class Checkpoint:
    """A saved state."""

    tensors: dict[str, Tensor]
    about: dict[str, Any]

    @property
    def epoch(self) -> int:
        """The epoch after which it was saved."""
        return int(self.about["epoch"])

    def part(self, name: str) -> dict[str, Tensor]:
        """Return the tensors of one part: model, average, best, statistics or optimizer."""
        start = f"{name}/"
        return {key.removeprefix(start): value for key, value in self.tensors.items() if key.startswith(start)}


def save_checkpoint(folder: Path, identity: dict[str, Any], state: State) -> None:
    """Write the state into a folder; the previous one is replaced only once the new one is complete."""
    from safetensors.torch import save_file

    about = {
        "identity": identity,
        "epoch": state.epoch,
        "history": state.history,
        "best_score": state.best_score if state.best else None,
        "best_epoch": state.best_epoch,
    }
    # The settings are inside the tensor file: one rename makes both visible together.
    temporary = folder / f"{_TENSORS}.part"
    save_file(state.tensors(), temporary, metadata={_SETTINGS: json.dumps(about)})
    temporary.replace(folder / _TENSORS)


def load_checkpoint(folder: Path, identity: dict[str, Any]) -> Checkpoint | None:
    """Return the checkpoint in a folder, or None where there is none."""
    from safetensors import SafetensorError, safe_open

    path = folder / _TENSORS
    if not path.is_file():
        return None
    try:
        with safe_open(path, "pt") as file:
            about = json.loads(file.metadata()[_SETTINGS])
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, OSError, KeyError, TypeError) as error:
        raise InputError(f"{path} is not a readable checkpoint ({error}); delete it to start afresh") from error
    saved, wanted = about["identity"], json.loads(json.dumps(identity))
    if saved != wanted:
        if {"preprocessing"} <= saved.keys() & wanted.keys():
            Preprocessing.from_dict(saved["preprocessing"]).require(
                Preprocessing.from_dict(wanted["preprocessing"]),
                owner=f"the unfinished run in {folder}",
                advice="choose another --out, or delete it to start afresh",
            )
        differing = sorted(key for key in {*saved, *wanted} if saved.get(key) != wanted.get(key))
        raise InputError(
            f"{folder} holds an unfinished run with other settings ({', '.join(differing)}); "
            "choose another --out, or delete it to start afresh"
        )
    return Checkpoint(tensors, about)
