"""From flux to brightness: one formula, the same in training and in use."""

from __future__ import annotations

import math
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from galaxalign.errors import InputError

if TYPE_CHECKING:
    from astropy.visualization import BaseStretch

_Level = float | str  # a value of the file, or "p99.5": a percentile of each picture

STRETCHES: dict[str, dict[str, _Level]] = {
    "lupton": {"minimum": 0.0, "stretch": 0.5, "Q": 10.0},
    "asinh": {"minimum": "p1", "maximum": "p99.5", "softening": 0.1},
    "log": {"minimum": "p1", "maximum": "p99.5", "a": 1000.0},
    "linear": {"minimum": "p1", "maximum": "p99.5"},
    "percentile": {"lower": 1.0, "upper": 99.5},
}
"""The kinds of stretch, each with its parameters and their defaults."""

_LEVELS = ("minimum", "maximum")


@dataclass(frozen=True)
class Stretch:
    """How linear flux becomes 8-bit red, green and blue.

    Parameters
    ----------
    kind : {"lupton", "asinh", "log", "linear", "percentile"}
        "lupton" is the colour-preserving asinh of Lupton et al. (2004, PASP 116, 133), by
        `astropy.visualization.make_lupton_rgb`; "asinh", "log" and "linear" map `minimum`..`maximum` to black..white by
        `AsinhStretch`, `LogStretch` and `LinearStretch` of astropy; "percentile" is linear between two percentiles of
        each channel.
    settings : tuple of (str, float or str)
        Its parameters, see `STRETCHES`. `minimum` and `maximum` are in the unit of the file after `scale`, or
        percentiles of each picture over its three channels ("p99.5").
    scale : tuple of three floats
        Factors of red, green and blue, applied first.

    Raises
    ------
    InputError
        An unknown kind or parameter, or a value out of its range.
    """

    kind: str
    settings: tuple[tuple[str, _Level], ...] = ()
    scale: tuple[float, float, float] = (1.0, 1.0, 1.0)

    def __post_init__(self) -> None:
        if self.kind not in STRETCHES:
            raise InputError(f"unknown stretch {self.kind!r}; choose {', '.join(STRETCHES)}")
        defaults = STRETCHES[self.kind]
        given = dict(self.settings)
        for name in given:
            if name not in defaults:
                close = get_close_matches(name, [*defaults, "scale"], n=1, cutoff=0)
                raise InputError(
                    f"stretch {self.kind} has no parameter {name!r}; the closest is {close[0]!r} "
                    f"of {', '.join(defaults)} and scale"
                )
        whole = {name: _value(self.kind, name, given.get(name, default)) for name, default in defaults.items()}
        object.__setattr__(self, "settings", tuple(whole.items()))
        factors = tuple(float(factor) for factor in self.scale)
        if len(factors) != 3 or not all(math.isfinite(factor) and factor > 0 for factor in factors):
            raise InputError(
                f"stretch {self.kind} has scale = {'/'.join(map(str, self.scale))}; it must be three positive "
                "factors, of red, green and blue"
            )
        object.__setattr__(self, "scale", factors)
        low, high = (whole.get(name) for name in _LEVELS)
        if self.kind == "percentile":
            low, high = whole["lower"], whole["upper"]
        if type(low) is type(high) and _rank(low) >= _rank(high):  # one in flux, one a percentile: any picture tells
            raise InputError(f"stretch {self.kind} goes from {low} to {high}; the second must be larger")

    @classmethod
    def parse(cls, text: str) -> Stretch:
        """Return the stretch of a text: "lupton" or "asinh:softening=0.1,maximum=p99.9,scale=2/1.5/1"."""
        kind, _, rest = text.strip().partition(":")
        settings: dict[str, _Level] = {}
        scale: tuple[float, ...] = (1.0, 1.0, 1.0)
        for part in filter(None, (part.strip() for part in rest.split(","))):
            name, equals, value = (piece.strip() for piece in part.partition("="))
            if not equals or name in settings:
                raise InputError(
                    f"stretch {text!r} is not understood at {part!r}; write for example asinh:softening=0.1,maximum=5"
                )
            if name == "scale":
                scale = tuple(_number(text, name, factor) for factor in value.split("/"))
                scale = scale * 3 if len(scale) == 1 else scale
            else:
                settings[name] = value if value.startswith("p") else _number(text, name, value)
        return cls(kind.strip().lower(), tuple(settings.items()), scale)  # type: ignore[arg-type]

    @property
    def clipped(self) -> float:
        """Largest share of pixels that percentiles put above white in one of the three channels."""
        level = dict(self.settings).get("upper" if self.kind == "percentile" else "maximum")
        if isinstance(level, str):
            level = float(level.removeprefix("p"))
        elif self.kind != "percentile":
            return 0.0
        return 3 * (1 - float(level or 0) / 100)

    def __str__(self) -> str:
        parts = [f"{name}={_short(value)}" for name, value in self.settings]
        if self.scale != (1.0, 1.0, 1.0):
            parts.append("scale=" + "/".join(_short(factor) for factor in self.scale))
        return f"{self.kind}:{','.join(parts)}"

    def apply(self, channels: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Return the picture of three channels.

        Parameters
        ----------
        channels : numpy.ndarray
            float32 (3, height, width): red, green, blue; NaN becomes black.

        Returns
        -------
        numpy.ndarray
            uint8 (height, width, 3).
        """
        settings = dict(self.settings)
        missing = np.isnan(channels).any(axis=0)
        scaled = channels * np.array(self.scale, np.float32)[:, None, None]
        if self.kind == "lupton":
            from astropy.visualization import make_lupton_rgb

            minimum = float(settings["minimum"])
            filled = np.where(missing, np.float32(minimum), scaled)
            with np.errstate(divide="ignore", invalid="ignore"):  # astropy divides by an intensity of 0, then drops it
                picture: NDArray[np.uint8] = make_lupton_rgb(
                    *filled, minimum=minimum, stretch=float(settings["stretch"]), Q=float(settings["Q"])
                )
            return picture
        if self.kind == "percentile":
            percentiles = [float(settings[name]) for name in ("lower", "upper")]
            limits = [_percentiles(channel, percentiles) for channel in scaled]
        else:
            limits = [np.array([_level(settings[name], scaled) for name in _LEVELS])] * 3
        unit = np.empty_like(scaled)
        for channel, (low, high), out in zip(scaled, limits, unit, strict=True):
            # A picture of one value has no range and becomes black.
            np.subtract(channel, low, out=out)
            out /= high - low if high > low else np.inf
        np.nan_to_num(unit, copy=False, nan=0.0)
        np.clip(unit, 0, 1, out=unit)
        shown = self._curve(unit, clip=False) if self._curve is not None else unit
        shown[:, missing] = 0
        return np.ascontiguousarray(np.moveaxis(np.rint(shown * 255).astype(np.uint8), 0, -1))

    @cached_property
    def _curve(self) -> BaseStretch | None:
        """The curve from 0..1 to 0..1; None for the straight line."""
        from astropy.visualization import AsinhStretch, LogStretch

        settings = dict(self.settings)
        if self.kind == "asinh":
            return AsinhStretch(float(settings["softening"]))
        if self.kind == "log":
            return LogStretch(float(settings["a"]))
        return None


def _value(kind: str, name: str, value: _Level) -> _Level:
    """Return a parameter as its number or percentile; InputError if it is out of range."""
    if isinstance(value, str):
        if name not in _LEVELS or kind == "lupton":
            raise InputError(f"stretch {kind} has {name} = {value}; it must be a number")
        try:
            percent = float(value.removeprefix("p"))
        except ValueError:
            percent = math.nan
        if not value.startswith("p") or not 0 <= percent <= 100:
            raise InputError(f"stretch {kind} has {name} = {value}; write a number, or a percentile such as p99.5")
        return f"p{_short(percent)}"
    number = float(value)
    if not math.isfinite(number):
        raise InputError(f"stretch {kind} has {name} = {number}; it must be a finite number")
    if name in ("stretch", "Q", "softening", "a") and number <= 0:
        raise InputError(f"stretch {kind} has {name} = {_short(number)}; it must be above 0")
    if name == "softening" and number > 1:
        raise InputError(f"stretch {kind} has {name} = {_short(number)}; it must lie in (0, 1], as a part of the range")
    if name in ("lower", "upper") and not 0 <= number <= 100:
        raise InputError(f"stretch {kind} has {name} = {_short(number)}; it is a percentile, 0 to 100")
    return number


def _number(text: str, name: str, value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise InputError(f"stretch {text!r} has {name} = {value!r}, which is no number; write one") from None


def _rank(level: object) -> float:
    return float(level.removeprefix("p")) if isinstance(level, str) else float(level or 0.0)  # type: ignore[arg-type]


def _short(number: _Level) -> str:
    return number if isinstance(number, str) else f"{number:.12g}"


def _level(level: _Level, channels: NDArray[np.float32]) -> float:
    if isinstance(level, str):
        return float(_percentiles(channels, [float(level.removeprefix("p"))])[0])
    return float(level)


def _percentiles(channels: NDArray[np.float32], percent: list[float]) -> NDArray[np.float64]:
    """Return percentiles of the finite values; zeros where there are none."""
    measured = channels[np.isfinite(channels)]
    return np.percentile(measured, percent) if measured.size else np.zeros(len(percent))
