"""How an image file becomes the encoder's input, as one value that is saved with the model."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from difflib import get_close_matches
from functools import cached_property
from typing import Any

from galaxalign.data.images.stretch import Stretch
from galaxalign.errors import InputError

_CROP = re.compile(r"([0-9.eE+-]+)\s*(px|arcsec|\"|″|)")
_BLUE_TO_RED = "ugrizyJHK"


@dataclass(frozen=True)
class Preprocessing:
    """How an image file becomes the encoder's input: read, stretched, cut to a centred square, resized.

    Parameters
    ----------
    crop : float or str
        Side of the square: a fraction of the shorter side of the picture, in (0, 1]; or "64px"; or "30arcsec".
    size : int
        Side of the result in pixels.
    stretch : str, optional
        How flux becomes brightness, as `Stretch.parse` reads it. Pictures (8 and 16 bits) are shown as they are;
        flux needs a stretch.
    bands : tuple of str, optional
        Red, green and blue: names of bands or their numbers from 1, "r+i" for a mean; one entry for grey, two for red
        and blue with their mean as green. Default: `flux.DEFAULT_BANDS`.
    pixel_scale : float or str
        Arcsec per pixel of the file, for a crop in arcsec: a number; "wcs", from the file's header; or "column",
        from the catalogue.
    margin : float
        How much wider (and larger) than crop and size the square is cut, to be turned and shifted in training; the
        picture is reflected beyond its edge.

    Raises
    ------
    InputError
        A value that means nothing.
    """

    crop: float | str = 1.0
    size: int = 128
    stretch: str | None = None
    bands: tuple[str, ...] | None = None
    pixel_scale: float | str = "wcs"
    margin: float = 1.0

    def __post_init__(self) -> None:
        value, unit = _crop(self.crop)
        object.__setattr__(self, "crop", f"{value:.12g}{unit}" if unit else value)
        if self.size != int(self.size) or self.size < 1:
            raise InputError(f"preprocessing has size = {self.size}; it must be a positive whole number of pixels")
        if self.stretch is not None:
            object.__setattr__(self, "stretch", str(Stretch.parse(self.stretch)))
        if self.bands is not None:
            object.__setattr__(self, "bands", parse_bands(self.bands))
        object.__setattr__(self, "pixel_scale", _pixel_scale(self.pixel_scale))
        if not 1 <= self.margin <= 2:
            raise InputError(f"preprocessing has margin = {self.margin}; it must lie in 1 to 2")

    @property
    def side(self) -> int:
        """Side in pixels of the square that is made: `size` with its margin."""
        return round(self.size * self.margin)

    @cached_property
    def flux(self) -> Stretch | None:
        """The stretch of what holds flux."""
        return Stretch.parse(self.stretch) if self.stretch is not None else None

    def arcsec_per_pixel(self, *, header: float | None = None, column: float | None = None) -> float | None:
        """Return arcsec per pixel: the given number, or that of the file's header or of the catalogue."""
        wanted = self.pixel_scale
        return wanted if isinstance(wanted, float) else header if wanted == "wcs" else column

    def crop_pixels(self, shorter: int, pixel_scale: float | None) -> float:
        """Return the side of the square in pixels of the file, without margin.

        Parameters
        ----------
        shorter : int
            Shorter side of the picture.
        pixel_scale : float, optional
            Arcsec per pixel where known.

        Raises
        ------
        InputError
            The crop is in arcsec and the scale is unknown, or the picture is smaller than the crop.
        """
        value, unit = _crop(self.crop)
        if not unit:
            return max(1.0, value * shorter)
        if unit == "arcsec":
            if pixel_scale is None:
                raise InputError(
                    f"nothing says its pixel scale, which a crop of {self.crop} needs; give arcsec per pixel by "
                    "--pixel-scale NUMBER, or --pixel-scale column and a column pixel_scale of the catalogue"
                )
            value /= pixel_scale
        if value > shorter + 0.5:  # half a pixel is the rounding of whoever cut the picture out
            raise InputError(
                f"its shorter side of {shorter} px is less than the crop of {self.crop}"
                + (f" ({value:.1f} px at {pixel_scale:.4g} arcsec/px)" if unit == "arcsec" else "")
                + "; make larger cutouts or choose a smaller --crop"
            )
        return max(1.0, min(value, shorter))

    def widest_margin(self) -> float:
        """Return the largest margin for training, 1 to sqrt(2), which a square turned by 45 degrees needs.

        A crop that is a fraction takes no more than the picture has; augmentation reflects the rest.
        """
        value, unit = _crop(self.crop)
        return math.sqrt(2) if unit else min(math.sqrt(2), 1 / value)

    def with_margin(self, margin: float) -> Preprocessing:
        """Return the same with a margin, rounded to a side of whole pixels."""
        return replace(self, margin=round(self.size * margin) / self.size)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-able form."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Preprocessing:
        """Return the preprocessing that `to_dict` wrote; InputError if a key is unknown."""
        known = [field.name for field in fields(cls)]
        for key in values:
            if key not in known:
                close = get_close_matches(key, known, n=1, cutoff=0)
                raise InputError(f"preprocessing has the unknown key {key!r}; the closest known one is {close[0]!r}")
        return cls(**values)

    def __str__(self) -> str:
        parts = [f"crop {self.crop}", f"{self.size} px", f"stretch {self.stretch or 'none (pictures only)'}"]
        if self.bands:
            parts.append(f"bands {','.join(self.bands)}")
        scale = self.pixel_scale
        parts.append(f"pixel scale {scale} arcsec" if isinstance(scale, float) else f"pixel scale from {scale}")
        if self.margin != 1:
            parts.append(f"margin {self.margin:.6g}")
        return ", ".join(parts)

    def require(self, wanted: Preprocessing, *, owner: str, advice: str) -> None:
        """Raise InputError, with `advice`, unless `wanted` equals this one, that of `owner` ("the model FOLDER")."""
        if self != wanted:
            raise InputError(f"{owner} was made with [{self}], and [{wanted}] is asked for; {advice}")


@dataclass(frozen=True)
class ImageOptions:
    """The options of a preprocessing that a user gave; None leaves a choice to the model or to the defaults.

    Parameters
    ----------
    crop, size, stretch, bands, pixel_scale : optional
        As for `Preprocessing`, each the value of the flag of this name.
    """

    crop: float | str | None = None
    size: int | None = None
    stretch: str | None = None
    bands: str | Sequence[str] | None = None
    pixel_scale: float | str | None = None

    @property
    def given(self) -> dict[str, Any]:
        """The options that are not None, by name."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: value for name, value in values.items() if value is not None}

    @property
    def flags(self) -> str:
        """The flags of the given options, "--crop, --pixel-scale"."""
        return ", ".join(f"--{name.replace('_', '-')}" for name in self.given)

    def applied_to(self, base: Preprocessing) -> Preprocessing:
        """Return a preprocessing with the given options in place of its own.

        Raises
        ------
        InputError
            A value that means nothing.
        """
        return replace(base, **self.given)


def parse_bands(bands: str | Sequence[str]) -> tuple[str, ...]:
    """Return the bands of red, green and blue from "z,r,g" or a sequence.

    Raises
    ------
    InputError
        There are more than three entries, an empty one, or known filters from blue to red.
    """
    entries = bands.split(",") if isinstance(bands, str) else list(bands)
    found = tuple("+".join(name.strip() for name in str(entry).split("+")) for entry in entries)
    shown = ",".join(found)
    if not 1 <= len(found) <= 3 or not all(name for entry in found for name in entry.split("+")):
        raise InputError(
            f"bands {shown!r} is not understood; name what becomes red, green and blue, such as z,r,g (or one for grey)"
        )
    if len(found) > 1 and all(len(entry) == 1 and entry in _BLUE_TO_RED for entry in found):
        places = [_BLUE_TO_RED.index(entry) for entry in found]
        if places == sorted(set(places)):
            raise InputError(
                f"bands {shown} runs from blue to red, and what comes first becomes red; write {','.join(found[::-1])}"
            )
    return found


def _crop(crop: float | str) -> tuple[float, str]:
    """Return a crop as its number and its unit: "", "px" or "arcsec"."""
    match = _CROP.fullmatch(str(crop).strip())
    try:
        value = float(match[1]) if match else math.nan
    except ValueError:
        value = math.nan
    unit = {'"': "arcsec", "″": "arcsec"}.get(match[2], match[2]) if match else ""
    if not math.isfinite(value) or value <= 0 or (not unit and value > 1):
        raise InputError(f"crop is {crop}; write a fraction in (0, 1] such as 0.5, or a size such as 64px or 30arcsec")
    return value, unit


def _pixel_scale(scale: float | str) -> float | str:
    if isinstance(scale, str):
        text = scale.strip().lower().removesuffix("arcsec")
        if text in ("wcs", "column"):
            return text
        try:
            scale = float(text)
        except ValueError:
            scale = math.nan
    if not math.isfinite(scale) or scale <= 0:
        raise InputError(
            f"pixel scale is {scale}; write arcsec per pixel such as 0.262, wcs (the file's header), or column "
            "(pixel_scale of the catalogue)"
        )
    return float(scale)
