"""The state of a run after each epoch, so that a killed run goes on and ends the same."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from galaxalign.data.preprocessing import Preprocessing
from galaxalign.errors import InputError
from galaxalign.training.norms import SymbolStatistics

__all__ = ["Checkpoint", "load_checkpoint", "save_checkpoint"]

_TENSORS, _SETTINGS = "checkpoint.safetensors", "checkpoint.json"


@dataclass
class Checkpoint:
    """A run as it stood after an epoch."""

    epoch: int
    history: list[dict[str, Any]]
    best: dict[str, Tensor]
    best_score: float
    best_epoch: int
    tensors: dict[str, Tensor]

    def part(self, name: str) -> dict[str, Tensor]:
        """Return the tensors of one part: model, average, best, statistics or optimizer."""
        start = f"{name}/"
        return {k.removeprefix(start): v for k, v in self.tensors.items() if k.startswith(start)}

    def into(
        self,
        towers: nn.Module,
        average: dict[str, Tensor],
        optimizer: torch.optim.Optimizer,
        statistics: SymbolStatistics | None,
    ) -> None:
        """Put everything back where it was."""
        towers.load_state_dict(self.part("model"))
        for key, value in self.part("average").items():
            average[key].copy_(value)
        if statistics is not None:
            statistics.load(self.part("statistics"))
        states: dict[int, dict[str, Tensor]] = {}
        for key, value in self.part("optimizer").items():
            index, name = key.split(".", 1)
            states.setdefault(int(index), {})[name] = value
        template = optimizer.state_dict()
        optimizer.load_state_dict({"state": states, "param_groups": template["param_groups"]})


def save_checkpoint(
    out: Path,
    identity: dict[str, Any],
    epoch: int,
    towers: nn.Module,
    average: dict[str, Tensor],
    optimizer: torch.optim.Optimizer,
    statistics: SymbolStatistics | None,
    history: list[dict[str, Any]],
    best: dict[str, Tensor],
    best_score: float,
    best_epoch: int,
) -> None:
    """Write the state into `out`, replacing the previous one only once it is complete."""
    from safetensors.torch import save_file

    parts: dict[str, dict[str, Tensor]] = {
        "model": dict(towers.state_dict()),
        "average": average,
        "best": best,
        "statistics": statistics.state() if statistics is not None else {},
        "optimizer": {
            f"{index}.{name}": value
            for index, state in optimizer.state_dict()["state"].items()
            for name, value in state.items()
        },
    }
    tensors = {
        f"{part}/{name}": value.detach().cpu().contiguous().clone()
        for part, members in parts.items()
        for name, value in members.items()
    }
    settings = {
        "identity": identity,
        "epoch": epoch,
        "history": history,
        "best_score": best_score if best else None,
        "best_epoch": best_epoch,
    }
    # the settings ride inside the tensor file: one rename makes both visible together
    temporary = out / f"{_TENSORS}.part"
    save_file(tensors, temporary, metadata={_SETTINGS: json.dumps(settings)})
    temporary.replace(out / _TENSORS)


def load_checkpoint(out: Path, identity: dict[str, Any]) -> Checkpoint | None:
    """Return the checkpoint in `out`, or None where there is none.

    Raises
    ------
    InputError
        It belongs to a run with other settings, or cannot be read.
    """
    from safetensors import SafetensorError, safe_open

    path = out / _TENSORS
    if not path.is_file():
        return None
    try:
        with safe_open(path, "pt") as file:
            settings = json.loads(file.metadata()[_SETTINGS])
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, OSError, KeyError, TypeError) as error:
        raise InputError(f"{path} is not a readable checkpoint ({error}); delete it to start afresh") from error
    found = settings["identity"]
    wanted = json.loads(json.dumps(identity))
    if found != wanted:
        if {"preprocessing"} <= found.keys() & wanted.keys():
            Preprocessing.from_dict(found["preprocessing"]).require(
                Preprocessing.from_dict(wanted["preprocessing"]),
                owner=f"the unfinished run in {out}",
                advice="choose another --out, or delete it to start afresh",
            )
        differing = sorted(k for k in {*found, *wanted} if found.get(k) != wanted.get(k))
        raise InputError(
            f"{out} holds an unfinished run with other settings ({', '.join(differing)}); "
            "choose another --out, or delete it to start afresh"
        )
    checkpoint = Checkpoint(
        epoch=settings["epoch"],
        history=settings["history"],
        best={},
        best_score=settings["best_score"] if settings["best_score"] is not None else float("-inf"),
        best_epoch=settings["best_epoch"],
        tensors=tensors,
    )
    checkpoint.best = checkpoint.part("best")
    return checkpoint
