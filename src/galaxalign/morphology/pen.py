"""The pen that symbols are drawn with, exact or by an unsteady hand, and the geometry of its lines."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeVar

import drawsvg
import numpy as np
from numpy.typing import NDArray

OUTLINE_POINTS = 48
"""Points along a closed outline or an arm: smooth at several hundred pixels."""

T = TypeVar("T")
Points = NDArray[np.float64]


class Pen:
    """Draws lines and areas in grey; with a random generator, by an unsteady hand.

    Parameters
    ----------
    rng : numpy.random.Generator, optional
        Source of the hand: width of the line, wobble, shaded or outlined areas. None: the exact drawing.
    """

    def __init__(self, rng: np.random.Generator | None) -> None:
        self.rng = rng
        self.line = self.between(0.035, 0.075)
        self.wobble = self.between(0.0, 0.05)
        self._waves = np.zeros(2) if rng is None else rng.uniform(2.0, 4.0, 2)
        self._phases = np.zeros(2) if rng is None else rng.uniform(0, 2 * math.pi, 2)
        self.ground = self.between(0.10, 0.36)  # grey of a disc
        self.style = self.choose("flat", ("flat", "flat", "shaded", "outline"))
        self.edged = rng is None or self.chance(0.6)
        self.marks: list[drawsvg.DrawingElement] = []

    def between(self, low: float, high: float) -> float:
        """Return a random number of the range, or its middle."""
        return (low + high) / 2 if self.rng is None else float(self.rng.uniform(low, high))

    def chance(self, probability: float) -> bool:
        """Return True with this probability; the exact drawing never takes chances."""
        return self.rng is not None and bool(self.rng.random() < probability)

    def choose(self, exact: T, options: Sequence[T]) -> T:
        """Return one of the options at random, or the one of the exact drawing."""
        return exact if self.rng is None else options[int(self.rng.integers(len(options)))]

    def area(self, outline: Points, grey: float, *, edge: float = 0.0, width: float | None = None) -> None:
        """Fill a closed outline (N, 2); edge is the grey of its rim, 0 for none. A sketch has only the rim."""
        outline = self._unsteady(outline, closed=True)
        rim = {"stroke": _grey(edge), "stroke_width": width or 0.7 * self.line} if edge else {}
        if self.style == "outline":
            rim = {"stroke": _grey(max(edge, 0.85)), "stroke_width": width or 0.8 * self.line}
            fill: str | drawsvg.RadialGradient = "black"
        else:
            fill = _grey(grey)
        self.marks.append(drawsvg.Path(d=_closed(outline), fill=fill, stroke_linejoin="round", **rim))

    def solid(self, outline: Points, grey: float) -> None:
        """Fill a closed outline (N, 2) in every style: bulges and clumps are solid in a sketch as well."""
        self.marks.append(drawsvg.Path(d=_closed(self._unsteady(outline, closed=True)), fill=_grey(grey)))

    def glow(self, outline: Points, profile: Sequence[tuple[float, float]]) -> None:
        """Fill a closed outline (N, 2) with light that falls from its centre: (radius 0 to 1, grey) pairs."""
        gradient = drawsvg.RadialGradient("50%", "50%", "50%", gradientUnits="objectBoundingBox")
        for radius, grey in profile:
            gradient.add_stop(f"{radius:.3f}", _grey(grey))
        self.marks.append(drawsvg.Path(d=_closed(self._unsteady(outline, closed=True)), fill=gradient))

    def stroke(self, line: Points, width: float, grey: float, *, taper: float = 0.0, closed: bool = False) -> None:
        """Draw a line (N, 2) of uneven width; taper is the share of the width lost towards its end."""
        line = self._unsteady(line, closed=closed)
        along = np.linspace(0, 1, len(line))
        widths = width * (1 - taper * along)
        if self.rng is not None:
            strength, phase = self.rng.uniform(0, 0.3), self.rng.uniform(0, 2 * math.pi)
            widths = widths * (1 + strength * np.sin(2 * math.pi * 2 * along + phase))
        if closed:
            self.marks.append(
                drawsvg.Path(d=_closed(line), fill="none", stroke=_grey(grey), stroke_width=f"{width:.4f}")
            )
            return
        self.marks.append(drawsvg.Path(d=_closed(_brush(line, widths)), fill=_grey(grey)))

    def _unsteady(self, line: Points, *, closed: bool) -> Points:
        """Return the line (N, 2) as a hand draws it.

        The whole galaxy is bent by one slow field, so that arms stay at the ends of their bar; each line
        strays from it a little, in proportion to its own length and width. An open line starts where it should.
        """
        if self.rng is None:
            return line
        bent = line + self.wobble * np.sin(line[:, ::-1] * self._waves + self._phases)
        along = np.linspace(0, 2 * math.pi, len(line), endpoint=not closed)
        extent = np.ptp(line, axis=0)
        phases = self.rng.uniform(0, 2 * math.pi, (2, 3))
        harmonics = np.sin(np.arange(1, 4)[:, None] * along + phases[:, :, None])
        strength = self.rng.normal(0, 0.5 * self.wobble, (2, 3)) * extent[:, None] / np.array([1.0, 2.0, 3.0])
        stray = np.einsum("ak,akn->na", strength, harmonics)
        return np.asarray(bent + (stray if closed else (along / (2 * math.pi))[:, None] * stray))


def direction(angle: NDArray[np.float64] | float) -> Points:
    """Return unit vectors (..., 2); the angle grows clockwise on the screen, where y points down."""
    return np.stack([np.cos(angle), np.sin(angle)], axis=-1)


def incline(points: Points, axis_ratio: float) -> Points:
    """Return points (..., 2) of the disc's plane as seen at an angle."""
    return np.asarray(points * np.array([1.0, axis_ratio]))


def ellipse(a: float, b: float) -> Points:
    angle = np.linspace(0, 2 * math.pi, OUTLINE_POINTS, endpoint=False)
    return np.stack([a * np.cos(angle), b * np.sin(angle)], axis=1)


def segment(ends: Points, count: int = 12) -> Points:
    """Return points along a straight line, for a hand to wobble."""
    return np.asarray(ends[0] + np.linspace(0, 1, count)[:, None] * (ends[1] - ends[0]))


def _brush(line: Points, widths: NDArray[np.float64]) -> Points:
    """Return the outline of a line (N, 2) drawn with a round brush of these widths (N,)."""
    tangent = np.gradient(line, axis=0)
    tangent /= np.maximum(np.linalg.norm(tangent, axis=1, keepdims=True), 1e-9)
    normal = np.stack([-tangent[:, 1], tangent[:, 0]], axis=1)
    half = widths[:, None] / 2
    cap = np.linspace(0, math.pi, 7)[1:-1, None]
    head = line[-1] + half[-1] * (np.cos(cap) * normal[-1] + np.sin(cap) * tangent[-1])
    tail = line[0] - half[0] * (np.cos(cap) * normal[0] + np.sin(cap) * tangent[0])
    return np.concatenate([line + half * normal, head, (line - half * normal)[::-1], tail])


def _closed(points: Points) -> str:
    """Return the SVG path of a closed polygon (N, 2)."""
    template = "M%.3f %.3f" + "L%.3f %.3f" * (len(points) - 1) + "Z"
    return template % tuple(points.ravel().tolist())


def _grey(value: float) -> str:
    level = round(255 * min(max(value, 0.0), 1.0))
    return f"#{level:02x}{level:02x}{level:02x}"
