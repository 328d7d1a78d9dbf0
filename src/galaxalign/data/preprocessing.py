"""The way from an image file to the encoder's input as one value, saved with the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from difflib import get_close_matches
from typing import Any

from galaxalign.errors import InputError

__all__ = ["Preprocessing"]


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How a picture becomes the encoder's input: a centred square of it, resized.

    Parameters
    ----------
    crop : float
        Side of the square as a fraction of the shorter side of the picture, in (0, 1].
    size : int
        Side of the result in pixels.
    """

    crop: float = 1.0
    size: int = 128

    def __post_init__(self) -> None:
        if not 0 < self.crop <= 1:
            raise InputError(f"preprocessing has crop = {self.crop}; it must lie in (0, 1]")
        if self.size != int(self.size) or self.size < 1:
            raise InputError(f"preprocessing has size = {self.size}; it must be a positive whole number of pixels")

    def to_dict(self) -> dict[str, float | int]:
        """Return a JSON-able form."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Preprocessing:
        """Return the preprocessing that `to_dict` wrote.

        Raises
        ------
        InputError
            If a key is not known.
        """
        known = [field.name for field in fields(cls)]
        for key in values:
            if key not in known:
                close = get_close_matches(key, known, n=1, cutoff=0)
                raise InputError(f"preprocessing has the unknown key {key!r}; the closest known one is {close[0]!r}")
        return cls(**values)
