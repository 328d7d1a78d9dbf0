"""Image-only towers through timm: the baselines, and the trunks that other encoders are built on."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from galaxalign.data.images import Preprocessing
from galaxalign.errors import InputError
from galaxalign.models.base import Pixels
from galaxalign.models.cpu import depthwise_in_fp32, tune_allocator
from galaxalign.models.image_tower import ImageTower, Normalization

_BY_FILE = (
    'timm:ARCHITECTURE@FILE.safetensors (ARCHITECTURE is the "architecture" in the repository\'s config.json; how a '
    "pytorch_model.bin becomes one stands in docs/benchmark/systems.md)"
)


class VisionEncoder(ImageTower):
    """A timm tower whose pooled features are the vectors; it has no text or symbol tower.

    Parameters
    ----------
    trunk : nn.Module
        timm model with `num_classes=0`.
    architecture : str, optional
        timm's name of the tower, from which a saved one is built again; by default `name` up to "@".
    name, preprocessing, pixels, device
        See `ImageTower`.
    """

    symbol = None
    text_tower = None
    has_words = False
    logit_scale = 1.0

    def __init__(
        self,
        trunk: nn.Module,
        *,
        name: str,
        preprocessing: Preprocessing,
        pixels: Normalization,
        device: torch.device | str = "cpu",
        architecture: str | None = None,
    ) -> None:
        super().__init__(name=name, preprocessing=preprocessing, pixels=pixels, device=device)
        self.architecture = architecture or name.partition("@")[0]
        depthwise_in_fp32(trunk)
        self._trunk = trunk.to(self.device).eval()
        self.dimension = width_at(self.visual, preprocessing.size, name=name, device=self.device)

    @property
    def visual(self) -> nn.Module:
        """The tower."""
        return self._trunk

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """Raise InputError: there is no text tower."""
        raise InputError(f"{self.name} has no text tower; train it with the galaxalign recipe to search by words")

    def encode_symbols(self, symbols: Pixels) -> Tensor:
        """Raise InputError: there is no symbol tower."""
        raise InputError(f"{self.name} has no symbol tower; train it with the galaxalign recipe first")

    def copy_symbol_tower(self) -> None:
        """Raise InputError: there is no symbol tower."""
        raise InputError(f"{self.name} cannot have a symbol tower; start from an encoder with words")

    def set_log_scale(self, value: Tensor) -> None:
        """Raise InputError: there are no words to scale cosines with."""
        raise InputError(f"{self.name} has no text tower, so no scale; start from an encoder with words")


def verify_sha256(path: Path, expected: str) -> None:
    """Raise InputError unless the file has the expected sha256."""
    if not path.is_file():
        raise InputError(f"{path} is missing; reinstall the package that holds it")
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != expected:
        raise InputError(f"{path} has sha256 {found[:12]}…, expected {expected[:12]}…; reinstall or restore it")


def read_weights(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file as float32."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if path.suffix != ".safetensors":
        raise InputError(f"{path} is not a .safetensors file; convert the weights, pickled files are not loaded")
    if not path.is_file():
        raise InputError(f"weights file {path} does not exist")
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path} is not a readable safetensors file: {error}") from error
    return {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}


def create_timm(
    architecture: str, weights: dict[str, Tensor] | None, *, size: int, pretrained: bool = True
) -> nn.Module:
    """Return a timm tower without classifier, with the given weights, those of the hub, or random ones."""
    import timm

    tune_allocator()
    if "hub:" not in architecture and not timm.is_model(architecture):
        raise InputError(f"timm has no model {architecture!r}; see timm.list_models()")
    fetched = weights is None and pretrained
    try:
        trunk = untrained_timm(architecture, size=size, pretrained=fetched)
    except Exception as error:  # the hub's clients raise many kinds; the way out is the same
        if not fetched:
            raise
        advice = _BY_FILE if "hub:" in architecture else f"timm:{architecture}@FILE"
        raise InputError(
            f"the weights of {architecture} cannot be fetched ({type(error).__name__}); download its "
            f"model.safetensors where the hub is in reach and name the encoder {advice}"
        ) from error
    if weights is not None:
        # resamples what depends on the size of the image: each family of timm has its own
        fitted = getattr(sys.modules[type(trunk).__module__], "checkpoint_filter_fn", None)
        weights = fitted(dict(weights), trunk) if fitted is not None else weights
        own = trunk.state_dict()
        # ConvNeXt's last norm is called head.norm: only a classifier that this trunk has not is left out
        kept = {k: v for k, v in weights.items() if k in own or not k.startswith(("classifier.", "head.", "fc."))}
        absent = [key for key in own if key not in kept]
        # a trunk may come without the convolution that follows pooling (MobileNetV3's conv_head)
        missing = [key for key in absent if not key.startswith("conv_head.")]
        reshaped = [key for key, value in kept.items() if key in own and value.shape != own[key].shape]
        mismatches = [key for key in kept if key not in own] + missing + reshaped
        if mismatches:
            raise InputError(f"the weights do not fit {architecture}: the first mismatch is {mismatches[0]}")
        if pretrained:
            trunk.load_state_dict(kept, strict=False)
        if absent:
            drop_untrained_head(trunk)
    return trunk


def untrained_timm(architecture: str, *, size: int, pretrained: bool = False) -> nn.Module:
    """Return a timm tower without classifier for images of some size, which a ViT has to be told."""
    import timm

    sized: dict[str, Any] = {"img_size": size} if "vit_" in architecture else {}
    return timm.create_model(architecture, pretrained=pretrained, num_classes=0, **sized)


@torch.no_grad()
def width_at(tower: nn.Module, size: int, *, name: str, device: torch.device | str = "cpu") -> int:
    """Return the length of a tower's vectors of images of some size."""
    training = tower.training
    try:
        return int(tower.eval()(torch.zeros(1, 3, size, size, device=device)).shape[1])
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"{name} cannot look at pictures of {size} pixels ({error}); leave the size out") from error
    finally:
        tower.train(training)


def normalization(trunk: nn.Module) -> tuple[Sequence[float], Sequence[float]]:
    """Return the mean and standard deviation of pixels in 0..1 that a timm tower was trained with."""
    config: Any = trunk.pretrained_cfg
    return config["mean"], config["std"]


def drop_untrained_head(trunk: nn.Module) -> None:
    """Let the pooled features of the last stage be the output where what follows has no weights."""
    for name in ("conv_head", "norm_head", "act2"):
        if hasattr(trunk, name):
            setattr(trunk, name, nn.Identity())


def build_vision(
    name: str,
    *,
    preprocessing: Preprocessing | None = None,
    size: int | None = None,
    pretrained: bool = True,
    device: torch.device | str = "cpu",
) -> VisionEncoder:
    """Return a timm tower by name, its weights from the hub or from a local file."""
    from timm import get_pretrained_cfg

    architecture, _, file = name.removeprefix("timm:").partition("@")
    if "hub:" in architecture and (file or not pretrained):
        raise InputError(f"without the hub {architecture} does not say its architecture; name the encoder {_BY_FILE}")
    config = get_pretrained_cfg(architecture)
    side = size or (config.input_size[-1] if config else 224)
    weights = read_weights(Path(file)) if file else None
    trunk = create_timm(architecture, weights, size=side, pretrained=pretrained)
    if "hub:" in architecture:
        told: Any = trunk.pretrained_cfg
        architecture = told["architecture"]  # a saved model is built again without the hub
    return VisionEncoder(
        trunk,
        architecture=architecture,
        name=name,
        preprocessing=replace(preprocessing or Preprocessing(), size=side),
        pixels=normalization(trunk),
        device=device,
    )
