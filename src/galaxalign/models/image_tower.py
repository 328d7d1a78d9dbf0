"""What every encoder shares: an image tower, how it looks at pictures, and how it normalises their pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from galaxalign.data.images import Preprocessing
from galaxalign.models.base import Pixels, fingerprint, to_tensor
from galaxalign.models.cpu import bf16_is_fast

Normalization = tuple[Sequence[float], Sequence[float]]
"""Mean and standard deviation of the channels of pixels in 0..1, 3 numbers each."""


class ImageTower:
    """An encoder of pictures.

    Parameters
    ----------
    name : str
        What the user calls it.
    preprocessing : Preprocessing
    pixels : (mean, std)
        Normalisation of pixels in 0..1.
    device : device
    """

    dimension: int

    def __init__(
        self, *, name: str, preprocessing: Preprocessing, pixels: Normalization, device: torch.device | str = "cpu"
    ) -> None:
        self.name, self.preprocessing = name, preprocessing
        self.mean, self.std = map(tuple, pixels)
        self.device = torch.device(device)
        self._mean, self._std = (torch.tensor(part, device=self.device).view(1, 3, 1, 1) * 255 for part in pixels)

    @property
    def visual(self) -> nn.Module:
        """The tower: normalised pixels (N, 3, S, S) -> vectors (N, D) of any length."""
        raise NotImplementedError

    @property
    def fingerprint(self) -> str:
        """What identifies the image tower and its preprocessing: what makes vectors comparable."""
        parts: dict[str, Any] = dict(self.visual.state_dict())
        return fingerprint(parts | {"preprocessing": str(self.preprocessing), "mean": self.mean, "std": self.std})

    def normalize(self, images: Tensor) -> Tensor:
        """Return uint8 or 0..255 float pixels (N, 3, S, S) as the tower wants them."""
        scaled = (images.float() - self._mean) / self._std
        return scaled.contiguous(memory_format=torch.channels_last)

    def autocast(self) -> torch.autocast:
        """Return the mixed precision that is fastest on this device."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=bf16_is_fast(self.device.type))

    def encode_images(self, images: Pixels) -> Tensor:
        """Return unit vectors (N, D) of uint8 images, see `Encoder`."""
        return self._encode(self.visual, images)

    @torch.inference_mode()
    def _encode(self, tower: nn.Module, images: Pixels) -> Tensor:
        with self.autocast():
            vectors = tower(self.normalize(to_tensor(images, self.device)))
        return F.normalize(vectors.float(), dim=-1)
