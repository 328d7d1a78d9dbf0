"""Any encoder by its name."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import Any

import torch

from galaxalign.data.preprocessing import Preprocessing
from galaxalign.encoders.clip import ClipEncoder, build_clip, build_lite, build_timm_minilm
from galaxalign.encoders.vision import VisionEncoder, build_vision, read_weights
from galaxalign.errors import InputError

__all__ = ["default_device", "load_encoder"]


def default_device(device: str | None = None) -> torch.device:
    """Return the named device, or the fastest there is.

    Raises
    ------
    InputError
        torch does not know the device or it is not there.
    """
    if device is None:
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        chosen = torch.device(device)
        torch.empty(1, device=chosen)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"device {device!r} cannot be used here; leave it out or name cpu") from error
    return chosen


def load_encoder(
    name: str, *, crop: float = 1.0, words: bool = True, device: str | None = None
) -> ClipEncoder | VisionEncoder:
    """Return a pretrained encoder that knows no galaxies yet.

    Parameters
    ----------
    name : str
        "lite"; an open_clip model ("ViT-B-16/openai", "ViT-B-16@FILE", "hf-hub:OWNER/MODEL",
        "local-dir:FOLDER"); or a timm tower ("resnet18.a1_in1k", "MODEL@FILE.safetensors",
        "hf_hub:OWNER/MODEL"), which gets MiniLM beside it where words are wanted.
    crop : float
        Fraction of the frame's shorter side that the encoder looks at.
    words : bool
        False: only the image tower, its pooled features as vectors.
    device : str, optional

    Raises
    ------
    InputError
        No such encoder, or its weights cannot be had.
    """
    import open_clip
    import timm

    target = default_device(device)
    preprocessing = Preprocessing(crop=crop)
    if name == "lite":
        encoder = build_lite(preprocessing=preprocessing, device=target)
        if words:
            return encoder
        return _trunk_alone(encoder, target)
    architecture = name.partition("@")[0].partition("/")[0]
    if name.startswith(("hf-hub:", "local-dir:")) or architecture in open_clip.list_models():
        clip = build_clip(name, preprocessing=preprocessing, device=target)
        return clip if words else _trunk_alone(clip, target)
    if "hub:" in name or timm.is_model(architecture.partition(".")[0]):
        vision = build_vision(name, preprocessing=None, device=target)
        vision.preprocessing = Preprocessing(crop=crop, size=vision.preprocessing.size)
        if not words:
            return vision
        file = name.partition("@")[2]
        weights: dict[str, Any] = read_weights(Path(file)) if file else dict(vision.visual.state_dict())
        return build_timm_minilm(architecture, weights, preprocessing=vision.preprocessing, device=target)
    known = ["lite", *open_clip.list_models(), *timm.list_models(pretrained=True)]
    close = get_close_matches(name, known, n=3, cutoff=0.4)
    hint = f"; did you mean {', '.join(close)}?" if close else ""
    raise InputError(
        f"unknown encoder {name!r}; known are lite, open_clip's models (open_clip.list_models()), "
        f"timm's (timm.list_models()), hf-hub:NAME and local-dir:FOLDER{hint}"
    )


def _trunk_alone(encoder: ClipEncoder, device: torch.device) -> VisionEncoder:
    architecture = encoder.config.get("vision_cfg", {}).get("timm_model_name")
    if architecture is None:
        raise InputError(
            f"the image tower of {encoder.name} is open_clip's own and cannot be trained without words; "
            "name one of timm's (timm.list_models())"
        )
    trunk: Any = encoder.visual.trunk
    return VisionEncoder(
        trunk,
        architecture=architecture,
        name=encoder.name,
        preprocessing=encoder.preprocessing,
        mean=encoder.mean,
        std=encoder.std,
        device=device,
    )
