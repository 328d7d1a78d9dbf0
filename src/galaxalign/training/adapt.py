"""Ways to change a pretrained tower that keep it near what it was: low-rank adapters and interpolated weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from galaxalign.errors import InputError
from galaxalign.models import ClipEncoder, VisionEncoder

State = dict[str, dict[str, Tensor]]


def _towers(encoder: ClipEncoder | VisionEncoder) -> dict[str, nn.Module]:
    symbol = getattr(encoder, "symbol", None)
    return {"visual": encoder.visual} | ({"symbol": symbol} if symbol is not None else {})


def tower_weights(encoder: ClipEncoder | VisionEncoder) -> State:
    """Return a copy of the weights and buffers of the image tower, and of the symbol tower where there is one."""
    return {
        name: {k: v.detach().clone() for k, v in tower.state_dict().items()} for name, tower in _towers(encoder).items()
    }


@torch.no_grad()
def interpolate(encoder: ClipEncoder | VisionEncoder, before: State, after: State, share: float) -> None:
    """Give the towers the weights (1 - share) * before + share * after, in place (WiSE-FT, arXiv 2109.01903).

    Running means and variances of batch normalisation are interpolated as well, counters are those of `after`. A symbol
    tower that was not there before started as the image tower, so it comes from there.
    """
    for name, tower in _towers(encoder).items():
        start, end = before.get(name, before["visual"]), after[name]
        mixed = {
            key: torch.lerp(start[key], value, share) if value.is_floating_point() else value
            for key, value in end.items()
        }
        tower.load_state_dict(mixed)


def add_adapters(encoder: ClipEncoder | VisionEncoder, *, rank: int = 8, seed: int = 0) -> None:
    """Put low-rank adapters (LoRA, arXiv 2106.09685) beside the linear layers of the image tower, in place.

    `fit` then trains them, and the projection and head, and leaves the tower's own weights as they are.
    """
    targets = _linear_layers(encoder.visual)
    if not targets:
        raise InputError(
            f"the image tower of {encoder.name} has no linear layers to put adapters beside (it is made of "
            "convolutions); choose the method fine-tune, or a transformer"
        )
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError as error:
        raise InputError("the method lora needs peft; install it with: pip install 'galaxalign[lora]'") from error
    torch.manual_seed(seed)
    settings = LoraConfig(r=rank, lora_alpha=2 * rank, lora_dropout=0.0, target_modules=targets)
    inject_adapter_in_model(settings, encoder.visual)


def merge_adapters(encoder: ClipEncoder | VisionEncoder) -> None:
    """Add the adapters to the weights that they stand beside and take them away: the tower is as plain as before."""
    for name, layer in list(encoder.visual.named_modules()):
        if not hasattr(layer, "lora_A"):
            continue
        adapted: Any = layer
        adapted.merge()
        parent, _, child = name.rpartition(".")
        setattr(encoder.visual.get_submodule(parent), child, adapted.get_base_layer())


def _linear_layers(tower: nn.Module) -> list[str]:
    """Return the names of the linear layers of attention and MLPs; the projection is trained as a whole anyway.

    torch's own MultiheadAttention reads the weights of its layers past any adapter, so those are left out.
    """
    hidden = tuple(f"{name}." for name, layer in tower.named_modules() if isinstance(layer, nn.MultiheadAttention))
    return [
        name
        for name, layer in tower.named_modules()
        if isinstance(layer, nn.Linear) and not name.startswith(hidden or ("\0",)) and "head" not in name.split(".")
    ]
