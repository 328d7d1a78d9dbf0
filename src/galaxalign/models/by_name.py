"""Any encoder by its name."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import torch

from galaxalign.data.images import ImageOptions, Preprocessing, parse_bands
from galaxalign.errors import InputError
from galaxalign.models.clip import ClipEncoder
from galaxalign.models.minilm import build_lite, build_timm_minilm
from galaxalign.models.model_folder import BOX, load_model, model_folder, saved_preprocessing, starting_folder
from galaxalign.models.msn import build_msn
from galaxalign.models.open_clip_models import build_clip
from galaxalign.models.vision import VisionEncoder, build_vision


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


@dataclass(frozen=True)
class _Request:
    """What an encoder is built with."""

    preprocessing: Preprocessing
    size: int | None
    pretrained: bool
    device: torch.device

    @property
    def settings(self) -> dict[str, Any]:
        return {each.name: getattr(self, each.name) for each in fields(self)}


def load_encoder(
    name: str,
    *,
    look: ImageOptions | None = None,
    size: int | None = None,
    pretrained: bool = True,
    words: bool = True,
    device: str | None = None,
) -> ClipEncoder | VisionEncoder:
    """Return an encoder to start training from, by its name.

    Parameters
    ----------
    name : str
        "lite"; a GalaxAlign model ("local-dir:FOLDER", "galaxy-lite"), to train it further; an open_clip model
        ("ViT-B-16/openai", "ViT-B-16@FILE", "hf-hub:OWNER/MODEL", "local-dir:FOLDER"); or a timm tower
        ("resnet18.a1_in1k", "MODEL@FILE.safetensors", "hf_hub:OWNER/MODEL"), which gets MiniLM beside it where words
        are wanted. "timm:convnext_base@FILE" is timm's where open_clip has a model of the same name;
        "msn:facebook/vit-msn-base" (or with "@FILE") is converted to timm's.
    look : ImageOptions, optional
        How it looks at images. A GalaxAlign model has its own, and no other.
    size : int, optional
        Side of the pictures in pixels; that of the weights by default. Position embeddings of a ViT are resampled.
    pretrained : bool
        False: train "from scratch". The image tower and its projection start from random weights, by the seed given
        to torch, and nothing is downloaded; the text tower keeps its weights where it is MiniLM, and is random too
        where the name is one of open_clip's. Tags do not count, and of a file for timm only the names in it.
    words : bool
        False: only the image tower, its pooled features as vectors.
    device : str, optional

    Raises
    ------
    InputError
        No such encoder, its weights cannot be had, its own preprocessing is another one than asked for, or it cannot
        look at pictures of that size.
    """
    look = look or ImageOptions()
    size = look.size if size is None else size
    preprocessing = _preprocessing(name, {key: value for key, value in look.given.items() if key != "size"})
    request = _Request(preprocessing, size, pretrained, default_device(device))
    build = next((build for matches, build in _KINDS if matches(name)), None)
    if build is None:
        raise InputError(_unknown(name))
    encoder = build(name, request)
    if words and not encoder.has_words:
        folder = starting_folder(name)
        if folder is not None:
            raise InputError(f"the model {folder} has no words, which this recipe needs; name another encoder")
        return _beside_minilm(encoder, request.device)
    return encoder if words or not encoder.has_words else _trunk_alone(encoder, request.device)


def _lite(name: str, request: _Request) -> ClipEncoder:
    sized = request.preprocessing if request.size is None else replace(request.preprocessing, size=request.size)
    return build_lite(preprocessing=sized, pretrained=request.pretrained, device=request.device)


def _trained(name: str, request: _Request) -> ClipEncoder | VisionEncoder:
    folder = model_folder(name.removeprefix("local-dir:"))
    own = request.preprocessing.size
    if not request.pretrained:
        raise InputError(f"the model {folder} is its weights; to train from scratch name what it was made from")
    if request.size not in (None, own):
        raise InputError(f"the model {folder} looks at {own} pixels, not {request.size}; leave the size out")
    return load_model(folder, device=request.device).encoder


def _architecture(name: str) -> str:
    return name.partition("@")[0].partition("/")[0]


def _is_open_clip(name: str) -> bool:
    import open_clip

    return name.startswith(("hf-hub:", "local-dir:")) or _architecture(name) in open_clip.list_models()


def _is_timm(name: str) -> bool:
    import timm

    return name.startswith("timm:") or "hub:" in name or timm.is_model(_architecture(name).partition(".")[0])


# Kinds of encoders: what their names look like, and how they are built. The first that matches counts.
_KINDS: tuple[tuple[Callable[[str], bool], Callable[[str, _Request], Any]], ...] = (
    (lambda name: name == "lite", _lite),
    (lambda name: starting_folder(name) is not None, _trained),
    (_is_open_clip, lambda name, request: build_clip(name, **request.settings)),
    (lambda name: name.startswith("msn:"), lambda name, request: build_msn(name, **request.settings)),
    (_is_timm, lambda name, request: build_vision(name, **request.settings)),
)


def _unknown(name: str) -> str:
    import open_clip
    import timm

    known = ["lite", *BOX, *open_clip.list_models(), *timm.list_models(pretrained=True)]
    close = get_close_matches(name, known, n=3, cutoff=0.4)
    hint = f"; did you mean {', '.join(close)}?" if close else ""
    return (
        f"unknown encoder {name!r}; known are lite, {', '.join(BOX)}, open_clip's models (open_clip.list_models()), "
        f"timm's (timm.list_models()), hf-hub:NAME, local-dir:FOLDER and msn:NAME{hint}"
    )


def chain_for_store(name: str, held: Preprocessing, look: ImageOptions) -> tuple[Preprocessing, ImageOptions]:
    """Return how an encoder is going to look at the pictures of a prepared store, without building it.

    Parameters
    ----------
    name : str
        As for `load_encoder`.
    held : Preprocessing
        What the store was prepared with.
    look : ImageOptions
        What the user gave; what was not given is that of the store, except that a GalaxAlign folder keeps its own.

    Returns
    -------
    chain : Preprocessing
        With the input size of the encoder, as far as that is known without loading it.
    look : ImageOptions
        What to give `load_encoder`.
    """
    if starting_folder(name) is not None:
        return _preprocessing(name, look.given), look
    own = ("crop", "stretch", "bands", "pixel_scale")
    look = ImageOptions(**{key: getattr(held, key) for key in own} | look.given)
    return replace(_preprocessing(name, look.given), size=_input_size(name) or held.size), look


def _input_size(name: str) -> int | None:
    """Return the side in pixels that an encoder takes, None where only its weights tell."""
    if name == "lite":
        return Preprocessing().size
    import open_clip
    from timm import get_pretrained_cfg

    if name.startswith("msn:"):
        return 224
    architecture = name.partition("@")[0].partition("/")[0]
    config = open_clip.get_model_config(architecture) if architecture in open_clip.list_models() else None
    if name.startswith("local-dir:"):
        path = Path(name.removeprefix("local-dir:"), "open_clip_config.json")
        try:
            config = json.loads(path.read_text())["model_cfg"]
        except (OSError, ValueError, KeyError, TypeError):
            return None  # what is wrong with the folder is said where it is loaded
    if config is not None:
        size = config.get("vision_cfg", {}).get("image_size")
        return int(size[0] if isinstance(size, list | tuple) else size) if size else None
    tower = None if "hub:" in name else get_pretrained_cfg(name.removeprefix("timm:").partition("@")[0])
    return int(tower.input_size[-1]) if tower is not None else None


def _preprocessing(name: str, asked: dict[str, Any]) -> Preprocessing:
    """Return how an encoder looks at images: as it was saved, or as is asked for."""
    if "bands" in asked:
        asked["bands"] = parse_bands(asked["bands"])
    folder = starting_folder(name)
    saved = saved_preprocessing(folder) if folder is not None else None
    if saved is None:
        return Preprocessing(**asked)
    saved.require(
        replace(saved, **asked),
        owner=f"the model {folder}",
        advice="leave --crop, --stretch, --bands and --pixel-scale out, or start from another encoder",
    )
    return saved


def _beside_minilm(vision: VisionEncoder, device: torch.device) -> ClipEncoder:
    return build_timm_minilm(
        vision.architecture,
        {key: value.cpu() for key, value in vision.visual.state_dict().items()},
        preprocessing=vision.preprocessing,
        pixels=(vision.mean, vision.std),
        device=device,
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
        pixels=(encoder.mean, encoder.std),
        device=device,
    )
