"""The learning rate over the steps of a stage."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch


class Schedule:
    """A linear rise to each group's peak learning rate, then a cosine to 1 % of it.

    Parameters
    ----------
    optimizer : Optimizer
        Its present learning rates are the peaks.
    steps : int
        Steps of the stage.
    warmup : float
        Share of the steps during which the rate rises.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, steps: int, warmup: float) -> None:
        self._optimizer, self._steps = optimizer, steps
        self._rise = max(1, round(steps * warmup))
        self._peaks: Sequence[float] = [group["lr"] for group in optimizer.param_groups]

    def share(self, step: int) -> float:
        """Return the share of the peak at a step, counted from 0."""
        if step < self._rise:
            return (step + 1) / self._rise
        progress = (step - self._rise) / max(1, self._steps - self._rise)
        return 0.01 + 0.99 * (1 + math.cos(math.pi * progress)) / 2

    def set(self, step: int) -> None:
        """Set the learning rates of a step."""
        for group, peak in zip(self._optimizer.param_groups, self._peaks, strict=True):
            group["lr"] = peak * self.share(step)
