"""What every encoder offers, whatever is inside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from galaxalign.data.images import Preprocessing

Pixels = Tensor | np.ndarray
"""Images as uint8: torch (N, 3, S, S) or numpy (N, S, S, 3)."""


@runtime_checkable
class Encoder(Protocol):
    """Turn images, and where it can words and symbols, into unit vectors of one space.

    Attributes
    ----------
    name : str
        What the user calls it.
    dimension : int
        Length D of the vectors.
    preprocessing : Preprocessing
        The crop and size in pixels that images must have.
    fingerprint : str
        Identifies weights and preprocessing; vectors of different fingerprints cannot be compared.
    has_words : bool
        Whether there is a text tower.
    logit_scale : float
        What the model multiplies cosines with words by.
    """

    name: str
    dimension: int
    preprocessing: Preprocessing

    @property
    def has_words(self) -> bool:
        """Whether there is a text tower."""
        ...

    @property
    def logit_scale(self) -> float:
        """What the model multiplies cosines with words by."""
        ...

    @property
    def fingerprint(self) -> str:
        """Return what identifies the weights and the preprocessing."""
        ...

    def encode_images(self, images: Pixels) -> Tensor:
        """Return unit vectors (N, D), float32, of uint8 images."""
        ...

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """Return unit vectors (N, D); InputError where the encoder has no text tower."""
        ...

    def encode_symbols(self, symbols: Pixels) -> Tensor:
        """Return unit vectors (N, D); InputError where the encoder has no symbol tower."""
        ...


def to_tensor(images: Pixels, device: torch.device | str) -> Tensor:
    """Return uint8 images as a (N, 3, S, S) tensor on `device`.

    Parameters
    ----------
    images : Tensor (N, 3, S, S) or ndarray (N, S, S, 3), uint8
    device : device
    """
    if isinstance(images, np.ndarray):
        images = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2)
    return images.to(device)


def eight_views(images: Tensor, *, mirror: bool = True) -> list[Tensor]:
    """Return the four quarter turns of a batch and, with `mirror`, their mirror images.

    Parameters
    ----------
    images : Tensor (N, C, S, S)
    mirror : bool
        False where the handedness of the arms is a class: a mirror image would be another class.
    """
    turns = [torch.rot90(images, k, (2, 3)) for k in range(4)]
    return turns + [view.flip(3) for view in turns] if mirror else turns


def fingerprint(parts: dict[str, Any]) -> str:
    """Return 16 hex digits that identify tensors and settings."""
    import hashlib

    digest = hashlib.sha256()
    for name in sorted(parts):
        value = parts[name]
        digest.update(name.encode())
        if isinstance(value, Tensor):
            array = value.detach().cpu().contiguous()
            digest.update(array.flatten().view(torch.uint8).numpy().data)
        else:
            digest.update(repr(value).encode())
    return digest.hexdigest()[:16]
