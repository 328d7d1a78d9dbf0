"""Models of open_clip by their names."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import torch

from galaxalign.data.images import Preprocessing
from galaxalign.errors import InputError
from galaxalign.models.clip import ClipEncoder
from galaxalign.models.vision import read_weights, width_at


def build_clip(
    name: str,
    *,
    preprocessing: Preprocessing | None = None,
    size: int | None = None,
    pretrained: bool = True,
    device: torch.device | str = "cpu",
) -> ClipEncoder:
    """Return an open_clip model by name."""
    import open_clip

    architecture, file, tag = _parts(name)
    if name.startswith("hf-hub:") and not pretrained:
        raise InputError(f"random weights need no repository; name one of open_clip's architectures in place of {name}")
    weights = read_weights(Path(file)) if file and pretrained else None
    try:
        model, _, _ = open_clip.create_model_and_transforms(
            architecture,
            pretrained=(tag or None) if pretrained else None,
            load_weights=pretrained,
            pretrained_text=pretrained,
            force_image_size=size,
            weights_only=True,
        )
        tokenizer = open_clip.get_tokenizer(architecture)
        config = open_clip.get_model_config(architecture)
        if config is None and architecture.startswith("local-dir:"):
            text = Path(architecture.removeprefix("local-dir:"), "open_clip_config.json").read_text()
            config = json.loads(text)["model_cfg"]
    except Exception as error:  # open_clip raises a dozen kinds; each becomes the one sentence
        raise InputError(f"cannot load {name!r} through open_clip: {error}; {_way_out(architecture)}") from error
    if weights is not None:
        try:
            open_clip.model.resize_pos_embed(weights, model)
            model.load_state_dict(weights)
        except RuntimeError as error:
            raise InputError(f"{file} does not fit {architecture}: {error}") from error
    own = model.visual.image_size
    side = int(own[0] if isinstance(own, tuple | list) else own)
    config = config or {"embed_dim": model.visual.output_dim}
    if size is not None:
        width_at(model.visual, side, name=name)
        config["vision_cfg"] = config.get("vision_cfg", {}) | {"image_size": side}
    mean = getattr(model.visual, "image_mean", None) or open_clip.OPENAI_DATASET_MEAN
    std = getattr(model.visual, "image_std", None) or open_clip.OPENAI_DATASET_STD
    own_preprocessing = replace(preprocessing or Preprocessing(), size=side)
    return ClipEncoder(
        model, tokenizer, config, name=name, preprocessing=own_preprocessing, pixels=(mean, std), device=device
    )


def _parts(name: str) -> tuple[str, str, str | None]:
    """Return architecture, file and tag of an open_clip name."""
    import open_clip

    if name.startswith(("hf-hub:", "local-dir:")):
        return name, "", None
    architecture, _, file = name.partition("@")
    tag: str | None = None
    if not file:
        architecture, _, tag = name.partition("/")
    if architecture not in open_clip.list_models():
        raise InputError(f"open_clip has no architecture {architecture!r}")
    published = open_clip.get_pretrained_cfg(architecture, tag) if tag else {}
    if published.get("quick_gelu") and f"{architecture}-quickgelu" in open_clip.list_models():
        architecture += "-quickgelu"  # the activation that these weights were trained with
    return architecture, file, tag


def _way_out(architecture: str) -> str:
    """Return what to do where the hub is out of reach."""
    weights = "open_clip_model.safetensors"
    whole = f"put its {weights} and open_clip_config.json into a folder and name the encoder local-dir:FOLDER"
    if architecture.startswith(("hf-hub:", "local-dir:")):
        return f"where the hub is out of reach, {whole}"
    return (
        f"where the hub is out of reach, download its {weights} elsewhere and name the encoder {architecture}@FILE; "
        f"or {whole}"
    )
