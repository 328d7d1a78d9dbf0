"""Batch normalisation in a tower that sees galaxies and symbols in turn."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


def _norms(tower: nn.Module) -> list[nn.modules.batchnorm._BatchNorm]:
    return [layer for layer in tower.modules() if isinstance(layer, nn.modules.batchnorm._BatchNorm)]


def freeze_batch_norm(tower: nn.Module) -> None:
    """Let the tower normalise by its stored statistics while it trains; call after `train()`."""
    for layer in _norms(tower):
        layer.eval()


class SymbolStatistics:
    """A second set of running statistics, used while a tower looks at symbols.

    Galaxies are mostly black with one bright centre, symbols are line drawings: a running average over
    both fits neither, and evaluation, which uses it, collapses.

    Parameters
    ----------
    tower : nn.Module
        Its present statistics are the start of the second set.
    """

    def __init__(self, tower: nn.Module) -> None:
        self._layers = _norms(tower)
        self._other = [
            (layer.running_mean.clone(), layer.running_var.clone())  # type: ignore[union-attr]
            for layer in self._layers
        ]

    def _swap(self) -> None:
        for i, layer in enumerate(self._layers):
            mean, var = self._other[i]
            self._other[i] = (layer.running_mean, layer.running_var)
            layer.running_mean, layer.running_var = mean, var

    @contextmanager
    def active(self) -> Iterator[None]:
        """Use the symbols' statistics inside the block."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def state(self) -> dict[str, Tensor]:
        """Return the second set, to be saved with a checkpoint."""
        return {f"{i}.{k}": t for i, pair in enumerate(self._other) for k, t in zip(("mean", "var"), pair, strict=True)}

    def load(self, state: dict[str, Tensor]) -> None:
        """Take back what `state` returned."""
        with torch.no_grad():
            for i, (mean, var) in enumerate(self._other):
                mean.copy_(state[f"{i}.mean"])
                var.copy_(state[f"{i}.var"])
