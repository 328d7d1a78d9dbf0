"""An exponential moving average of weights, which is validated and kept in place of the weights themselves."""

from __future__ import annotations

import torch
from torch import nn


class Average:
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
