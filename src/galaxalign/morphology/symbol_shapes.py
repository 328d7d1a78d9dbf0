"""The shapes of a schematic galaxy: discs, arms, bars, rings, mergers; plausible values for unknown fields."""

from __future__ import annotations

import math
from dataclasses import replace

import drawsvg
import numpy as np

from galaxalign.morphology.morphology import Morphology
from galaxalign.morphology.pen import OUTLINE_POINTS, Pen, Points, direction, ellipse, incline, segment

HALF_WIDTH = 1.2
"""The canvas reaches from -HALF_WIDTH to HALF_WIDTH; a disc has a radius of about 1."""

_DISC = 0.95  # radius of a disc seen face-on
_SHOWN = 0.3  # a ring, a tail or dust weaker than this is left out of the drawing


def _completed(morphology: Morphology, pen: Pen) -> Morphology:
    """Return the morphology with plausible values for unknown fields.

    The exact pen takes the typical value, a random one draws it. Known fractions vary a little, never so much that they
    would be drawn as something else.
    """
    m = morphology
    merger = bool(m.merger)
    irregularity = _vary(m.irregularity, 0.0, (0.0, 0.0), pen)
    form = m.form or "featured"
    armed = (
        form == "featured"
        and m.arms != 0
        and (m.arms, m.arm_strength, m.winding, m.handedness).count(None) < 4
        and m.arm_strength != 0
    )
    # A side view hides arms and clumps; draw it only if neither is known.
    could_be_edge_on = (
        form == "featured"
        and not merger
        and irregularity < 0.4
        and m.handedness is None
        and (m.disturbance or 0) < _SHOWN
        and (m.axis_ratio is None or m.axis_ratio <= 0.3)
    )
    edge_on = m.edge_on if m.edge_on is not None else could_be_edge_on and pen.chance(0.08)
    axis_ratio = _axis_ratio(m, form, edge_on, armed, pen)
    arms = (m.arms or pen.choose(2, (2, 2, 2, 2, 3, 4))) if armed else 0
    barred = m.bar if m.bar is not None else (pen.between(0.4, 0.8) if pen.chance(0.25) else 0.0)
    can_be_barred = form == "featured" and not edge_on and irregularity < 0.4
    return replace(
        m,
        form=form,
        merger=merger,
        edge_on=edge_on,
        axis_ratio=axis_ratio,
        irregularity=irregularity,
        arms=arms,
        arm_strength=_vary(m.arm_strength, 0.6, (0.4, 0.9), pen) if arms else 0.0,
        winding=_vary(m.winding, 0.45, (0.2, 0.8), pen),
        bar=_vary(barred, 0.0, (0.0, 0.0), pen) if can_be_barred else 0.0,
        # Smooth light gathers in the centre, or it would be a dwarf's; that of discs mostly does not.
        bulge=_vary(m.bulge, *((0.6, (0.2, 0.9)) if form == "smooth" else (0.28, (0.1, 0.45))), pen),
        bulge_shape=m.bulge_shape or "round",
        inner_ring=_vary(m.inner_ring, 0.0, (0.0, 0.0), pen),
        outer_ring=_vary(m.outer_ring, 0.0, (0.0, 0.0), pen),
        disturbance=_vary(m.disturbance, 0.0, (0.0, 0.0), pen),
        dust=m.dust if m.dust is not None else (0.6 if edge_on and pen.chance(0.3) else 0.0),
        flocculence=_vary(m.flocculence, 0.0, (0.0, 0.3), pen),
    )


def draw(morphology: Morphology, pen: Pen) -> list[drawsvg.DrawingElement]:
    """Return the marks of a galaxy with its major axis along x; its arms make an S (anticlockwise)."""
    m = _completed(morphology, pen)
    if m.form == "artifact":
        _artifact(pen)
    elif m.merger:
        _merger(pen)
    elif _known(m.irregularity) > 0.4:
        _irregular(_known(m.axis_ratio), pen)
    elif m.edge_on:
        _edge_on(m, pen)
    elif m.form == "smooth":
        _smooth(m, pen)
    else:
        _disc(m, pen)
    return pen.marks


def _known(value: float | None) -> float:
    """Return a field of a completed morphology, which is never None."""
    if value is None:
        raise TypeError("the morphology must be completed before it is drawn")
    return float(value)


def _vary(value: float | None, typical: float, span: tuple[float, float], pen: Pen) -> float:
    """Return a known fraction varied a little (0 and 1 stay), or an unknown one drawn from its span."""
    if value is None:
        return typical if pen.rng is None else pen.between(*span)
    if value in (0, 1):
        return float(value)
    return min(max(value + pen.between(-0.08, 0.08), 0.02), 1.0)


def _axis_ratio(m: Morphology, form: str, edge_on: bool, armed: bool, pen: Pen) -> float:
    """Return an axis ratio; those of round, oval and cigar-shaped galaxies don't overlap."""
    q = m.axis_ratio
    if edge_on:
        return pen.between(0.07, 0.13)
    if q is None and form == "smooth":
        return 0.78 if pen.rng is None else pen.between(0.5, 1.0)
    if q is None:
        typical = 0.9 if armed or m.edge_on is False or m.disturbance else 0.55
        return typical if pen.rng is None else pen.between(0.4 if m.edge_on is None else 0.5, 1.0)
    if form != "smooth":
        return min(max(q + pen.between(-0.08, 0.08), 0.25), 1.0)
    low, high = (0.92, 1.0) if q >= 0.85 else (0.52, 0.76) if q >= 0.48 else (0.22, 0.34)
    return min(max(q + pen.between(-0.1, 0.1), low), high)


def _disc(m: Morphology, pen: Pen) -> None:
    """Draw a disc seen from above or at an angle, with all that lies in it."""
    q, bulge, bar = _known(m.axis_ratio), _known(m.bulge), _known(m.bar)
    disturbed = _known(m.disturbance) > _SHOWN
    radius = 0.62 if disturbed else _DISC
    if disturbed:
        _tails(radius, q, pen)
    body = ellipse(radius, radius * q)
    if disturbed:
        body = _lopsided(body, _known(m.disturbance), pen)
    if pen.style == "shaded":
        pen.glow(body, [(0, min(1.0, 2 * pen.ground)), (0.75, pen.ground), (1, 0.02)])
    elif not m.arms or pen.edged or pen.style == "flat":
        pen.area(body, pen.ground, edge=0.5 if pen.edged or not m.arms else 0.0)
    bulge_radius = radius * (0.1 + 0.42 * bulge)
    bar_radius = radius * (0.25 + 0.35 * bar) if bar > 0.1 else 0.0
    start = max(bar_radius, 0.8 * bulge_radius, 0.14 * radius)
    phase = _arms(m, start, radius, q, pen, barred=bar_radius > 0) if m.arms else pen.between(0, 2 * math.pi) * 0.5
    for strength, where in ((m.inner_ring, 0.55), (m.outer_ring, 0.97)):
        if _known(strength) > _SHOWN:
            ring = ellipse(radius * where, radius * where * q)
            pen.stroke(ring, pen.line * (0.8 + 0.8 * _known(strength)), 0.9, closed=True)
    if bar_radius:
        ends = incline(np.array([[-1.0], [1.0]]) * bar_radius * direction(phase), q)
        pen.stroke(segment(ends), 0.17 * radius, 1.0)
    centre = np.array([0.12 * radius, 0.06 * radius]) if disturbed else np.zeros(2)
    if bulge > 0.02:
        pen.solid(ellipse(bulge_radius, bulge_radius * max(q, 0.65)) + centre, 1.0)
    if _known(m.dust) > _SHOWN:
        # The lane lies on the near side, in front of the bulge.
        arc = np.linspace(math.radians(15), math.radians(165), OUTLINE_POINTS)
        lane = incline(0.5 * radius * direction(arc), 0.8 * q)
        pen.stroke(lane, pen.line * (0.8 + _known(m.dust)), 0.0)


def _arms(m: Morphology, start: float, radius: float, q: float, pen: Pen, *, barred: bool) -> float:
    """Draw logarithmic arms from start to radius and return the angle at which the first one begins."""
    count = int(_known(m.arms))
    pitch = math.tan(math.radians(42 - 35 * _known(m.winding)))
    end = 0.97 * radius
    # More arms get less room each. Without a bar they begin farther out and keep their pitch.
    longest = 2.7 * math.pi if count <= 2 else 5 * math.pi / count
    turn = math.log(end / start) / pitch
    if turn > longest:
        turn = longest
        start = start if barred else end * math.exp(-pitch * turn)
        pitch = math.log(end / start) / turn
    # The exact drawing ends its first arm at the upper right, where an S ends.
    phase = math.radians(-20) - turn if pen.rng is None else pen.between(0, 2 * math.pi)
    width = pen.line * (1.1 + 1.1 * _known(m.arm_strength)) * (1.0 if count <= 3 else 0.85)
    for k in range(count):
        along = np.linspace(0, turn * (1.0 if pen.rng is None else pen.between(0.85, 1.0)), OUTLINE_POINTS)
        offset = 0.0 if pen.rng is None or k == 0 else pen.between(-0.15, 0.15)
        angle = phase + 2 * math.pi * k / count + offset + along
        arm = incline((start * np.exp(pitch * along))[:, None] * direction(angle), q)
        if _known(m.flocculence) > 0.4:
            _patches(arm, width, _known(m.flocculence), pen)
        else:
            pen.stroke(arm, width, 0.92, taper=0.45)
    return phase


def _patches(arm: Points, width: float, flocculence: float, pen: Pen) -> None:
    """Draw an arm (N, 2) as a row of separate patches."""
    steps = np.linalg.norm(np.diff(arm, axis=0), axis=1)
    length = np.concatenate([[0.0], np.cumsum(steps)])
    here = 0.0
    while here < length[-1] - 0.05:
        piece = pen.between(0.13, 0.3)
        at = np.linspace(here, min(here + piece, length[-1]), 8)
        patch = np.stack([np.interp(at, length, arm[:, axis]) for axis in (0, 1)], axis=1)
        shift = np.zeros(2) if pen.rng is None else pen.rng.normal(0, 0.02, 2)
        pen.stroke(patch + shift, width * pen.between(0.9, 1.5), pen.between(0.8, 1.0))
        here += piece + (0.06 + 0.1 * flocculence) * pen.between(0.7, 1.3)


def _smooth(m: Morphology, pen: Pen) -> None:
    """Draw light without structure; the bulge fraction says how much it gathers in the centre."""
    q, bulge = _known(m.axis_ratio), _known(m.bulge)
    diffuse = bulge < 0.25
    radius = pen.between(0.6, 0.72) if diffuse else 0.95
    peak, fall = (0.6, 1.3) if diffuse else (1.0, 1.5 + 2.2 * bulge)
    if pen.style == "outline":
        rings = (1.0,) if diffuse else (1.0, 0.62, 0.32)
        for fraction in rings:
            pen.stroke(ellipse(radius * fraction, radius * fraction * q), 0.8 * pen.line, 0.85, closed=True)
        if not diffuse:
            pen.solid(ellipse(0.1 * radius, 0.1 * radius * max(q, 0.6)), 1.0)
        return
    edge = 0.16 * peak

    def light(r: float) -> float:
        return edge + (peak - edge) * (math.exp(-fall * r) - math.exp(-fall)) / (1 - math.exp(-fall))

    if pen.choose("glow", ("glow", "bands")) == "glow":
        stops = [(float(r), light(float(r))) for r in np.linspace(0, 1, 9)]
        pen.glow(ellipse(radius, radius * q), stops)
        return
    for r in np.linspace(1, 0.15, 6):
        pen.solid(ellipse(radius * r, radius * r * q), light(float(r) - 0.15))


def _edge_on(m: Morphology, pen: Pen) -> None:
    """Draw a thin disc with pointed ends, unlike a cigar, and its bulge above and below."""
    q, bulge = _known(m.axis_ratio), _known(m.bulge)
    angle = np.linspace(0, 2 * math.pi, OUTLINE_POINTS, endpoint=False)
    y = np.sin(angle) * np.abs(np.sin(angle)) ** 0.6
    pen.area(1.1 * np.stack([np.cos(angle), q * y], axis=1), 0.62, edge=0.85, width=0.5 * pen.line)
    has_bulge = bulge > 0.04 and m.bulge_shape != "none"
    half = 0.14 + 0.32 * bulge
    if has_bulge and m.bulge_shape == "boxy":
        # A superellipse with a waist: the "peanut" of a bar seen from its side.
        x = np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** 0.25
        y = np.sign(np.sin(angle)) * np.abs(np.sin(angle)) ** 0.25
        pen.solid(half * np.stack([1.2 * x, 0.95 * y * (0.88 + 0.12 * x**2)], axis=1), 1.0)
    elif has_bulge:
        pen.solid(ellipse(half, 0.85 * half), 1.0)
    dusty = _known(m.dust) > _SHOWN
    lane = segment(np.array([[-0.95, 0.0], [0.95, 0.0]]))
    if pen.style != "outline" or dusty:
        pen.stroke(lane, pen.line * (0.4 + 0.6 * dusty), 0.0 if dusty else 0.95)


def _merger(pen: Pen) -> None:
    """Draw two inclined bodies in contact, each with a tail that bends away (Toomre & Toomre 1972)."""
    sizes = (0.42, 0.42 * pen.between(0.6, 1.0))
    apart = 0.5 * sum(sizes) * pen.between(0.75, 1.0)
    if pen.rng is None or pen.chance(0.75):
        for side in (1.0, -1.0):
            t = np.linspace(0, pen.between(1.5, 2.1), 30)
            arc = np.stack([apart + 0.5 * np.sin(t), -0.14 - 0.45 * (1 - np.cos(t))], axis=1)
            pen.stroke(side * arc, 2.4 * pen.line, 0.7, taper=0.75)
    bodies = [(-apart, sizes[0], pen.between(0.5, 0.8)), (apart, sizes[1], pen.between(0.4, 0.9))]
    turns = (math.radians(-35), math.radians(40))
    for (x, size, q), turn in zip(bodies, turns, strict=True):
        turn = turn if pen.rng is None else pen.between(0, math.pi)
        rotation = np.array([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]])
        place = np.array([x, pen.between(-0.08, 0.08)])
        pen.area(ellipse(size, size * q) @ rotation + place, 0.42, edge=0.65)
    for (x, size, q), _ in zip(bodies, turns, strict=True):
        pen.solid(ellipse(0.34 * size, 0.34 * size * max(q, 0.7)) + np.array([x, 0.0]), 1.0)


def _irregular(axis_ratio: float, pen: Pen) -> None:
    """Draw a ragged body with clumps scattered over it and no centre."""
    rng = np.random.default_rng(11) if pen.rng is None else pen.rng
    angle = np.linspace(0, 2 * math.pi, OUTLINE_POINTS, endpoint=False)
    radius = np.full(OUTLINE_POINTS, 0.72)
    for k in range(2, 6):
        radius += rng.normal(0, 0.16 / k**0.5) * np.sin(k * angle + rng.uniform(0, 2 * math.pi))
    q = max(axis_ratio, 0.55)
    body = np.clip(radius, 0.35, 1.05)[:, None] * direction(angle)
    pen.area(incline(body, q), pen.ground, edge=0.45)
    clumps = int(rng.integers(6, 11))
    for k in range(clumps):
        # Turned by the golden angle from one to the next, so that they spread without any pattern.
        size = rng.uniform(0.06, 0.17)
        distance, angle_of = rng.uniform(0.12, 0.6), 2.4 * k + rng.normal(0, 0.4)
        place = incline(distance * direction(angle_of), q)
        pen.solid(ellipse(size, size * rng.uniform(0.55, 1.0)) + place, rng.uniform(0.6, 1.0))


def _tails(radius: float, q: float, pen: Pen) -> None:
    """Draw one long tidal tail that leaves the disc, or two unequal ones."""
    count = 2 if pen.chance(0.35) else 1
    for k in range(count):
        t = np.linspace(0, pen.between(2.3, 2.9) * (1.0 if k == 0 else 0.7), OUTLINE_POINTS)
        angle = math.pi * k + t
        reach = radius * (0.95 + 0.27 * t)
        pen.stroke(incline(reach[:, None] * direction(angle), max(q, 0.7)), 4.5 * pen.line, 0.65, taper=0.8)


def _lopsided(outline: Points, disturbance: float, pen: Pen) -> Points:
    """Return the outline (N, 2) pulled out to one side and bent."""
    x = outline[:, 0]
    pull = 0.4 * disturbance * (1.0 if pen.rng is None else pen.between(0.5, 1.3))
    return np.stack([x + pull * x**2, outline[:, 1] + 0.6 * pull * x * np.abs(x)], axis=1)


def _artifact(pen: Pen) -> None:
    """Draw a star with diffraction spikes: what is not a galaxy is mostly that."""
    for end in (np.array([1.05, 0.0]), np.array([0.0, 1.05])):
        pen.stroke(segment(np.stack([np.zeros(2), end])), 2 * pen.line, 0.9, taper=0.9)
        pen.stroke(segment(np.stack([np.zeros(2), -end])), 2 * pen.line, 0.9, taper=0.9)
    pen.solid(ellipse(0.2, 0.2), 1.0)
