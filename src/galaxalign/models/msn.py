"""MSN's image towers (Assran et al. 2022, arXiv 2204.07141), which are published in the names of transformers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from galaxalign.data.images import Preprocessing
from galaxalign.errors import InputError
from galaxalign.models.vision import VisionEncoder, create_timm, read_weights

MSN = {
    "facebook/vit-msn-small": "vit_small_patch16_224",
    "facebook/vit-msn-base": "vit_base_patch16_224",
    "facebook/vit-msn-large": "vit_large_patch16_224",
}
"""Repositories, and what timm calls their architecture."""

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, as the preprocessor of these models has them

# Files and transformers up to 4 say encoder.layer.0, transformers 5 in memory layers.0.
_RENAMED = [
    (r"^vit\.", ""),
    (r"^embeddings\.cls_token$", "cls_token"),
    (r"^embeddings\.position_embeddings$", "pos_embed"),
    (r"^embeddings\.patch_embeddings\.projection\.", "patch_embed.proj."),
    (r"^(encoder\.layer|layers)\.(\d+)\.", r"blocks.\2."),
    (r"\.layernorm_before\.", ".norm1."),
    (r"\.layernorm_after\.", ".norm2."),
    (r"^layernorm\.", "norm."),
    (r"\.attention\.(attention\.query|q_proj)\.", ".attn.q."),
    (r"\.attention\.(attention\.key|k_proj)\.", ".attn.k."),
    (r"\.attention\.(attention\.value|v_proj)\.", ".attn.v."),
    (r"\.attention\.(output\.dense|o_proj)\.", ".attn.proj."),
    (r"\.(intermediate\.dense|mlp\.fc1)\.", ".mlp.fc1."),
    (r"\.(output\.dense|mlp\.fc2)\.", ".mlp.fc2."),
]


def msn_to_timm(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights of a ViTMSNModel in the names of timm's vision transformer."""
    found = {}
    for name, value in weights.items():
        for pattern, new in _RENAMED:
            name = re.sub(pattern, new, name)
        found[name] = value
    queries = [name for name in found if ".attn.q." in name]
    if not queries:
        raise InputError("these weights are not of a ViTMSNModel: there are no queries of an attention in them")
    for name in queries:
        try:
            parts = [found.pop(name.replace(".attn.q.", f".attn.{part}.")) for part in "qkv"]
        except KeyError as error:
            raise InputError(f"these weights are not of a whole ViTMSNModel: {error} is missing") from error
        found[name.replace(".attn.q.", ".attn.qkv.")] = torch.cat(parts)
    return found


def build_msn(
    name: str,
    *,
    preprocessing: Preprocessing | None = None,
    size: int | None = None,
    pretrained: bool = True,
    device: torch.device | str = "cpu",
) -> VisionEncoder:
    """Return an image tower of MSN."""
    repository, _, file = name.removeprefix("msn:").partition("@")
    if repository not in MSN:
        raise InputError(
            f"there is no MSN model {repository!r} that timm has the architecture of; known: {', '.join(MSN)}"
        )
    architecture, weights = MSN[repository], None
    if pretrained:
        weights = msn_to_timm(read_weights(Path(file)) if file else _fetched(repository))
    side = size or 224
    return VisionEncoder(
        create_timm(architecture, weights, size=side, pretrained=pretrained),
        architecture=architecture,
        name=name,
        preprocessing=replace(preprocessing or Preprocessing(), size=side),
        pixels=(_MEAN, _STD),
        device=device,
    )


def _fetched(repository: str) -> dict[str, Tensor]:
    from transformers import ViTMSNModel

    try:
        return dict(ViTMSNModel.from_pretrained(repository).state_dict())
    except Exception as error:  # the hub's clients raise many kinds; the way out is the same
        raise InputError(
            f"the weights of {repository} cannot be fetched ({type(error).__name__}); download its model.safetensors "
            f"where the hub is in reach and name the encoder msn:{repository}@FILE"
        ) from error
