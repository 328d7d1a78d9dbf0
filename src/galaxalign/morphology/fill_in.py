"""Plausible values for the unknown fields of a Morphology, as frequent as in a survey."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from galaxalign.morphology.morphology import Morphology

# How far the galaxies of one class differ from each other (1 sigma); 0 and 1 mean "none" and "all" and stay.
_SCATTER = {
    "axis_ratio": 0.04,
    "bulge": 0.06,
    "bar": 0.12,
    "arm_strength": 0.12,
    "winding": 0.07,
    "inner_ring": 0.1,
    "outer_ring": 0.1,
    "disturbance": 0.1,
    "irregularity": 0.1,
    "dust": 0.1,
    "flocculence": 0.1,
}


def scatter(morphology: Morphology, rng: np.random.Generator) -> Morphology:
    """Return a galaxy near a class: each known number that is neither 0 nor 1 moves a little."""
    moved: dict[str, Any] = {}
    for name, sigma in _SCATTER.items():
        step = sigma * float(rng.standard_normal())
        value = getattr(morphology, name)
        if value is not None and 0 < value < 1:
            moved[name] = float(np.clip(value + step, 0.02, 1.0 if name == "axis_ratio" else 0.98))
    return replace(morphology, **moved)


def complete(morphology: Morphology, rng: np.random.Generator) -> Morphology:
    """Draw the unknown fields at random, plausible beside the known ones.

    Fields without a meaning stay None: winding and handedness without arms, all but the form of an artifact.
    """
    known = morphology.known()

    def fill(name: str, value: Any) -> Any:
        return known.setdefault(name, value)

    def sometimes(share: float, low: float, high: float) -> float:
        drawn, value = rng.random() < share, float(rng.uniform(low, high))
        return value if drawn else 0.0

    if known.get("form") == "artifact":
        return morphology
    has_disc = any(known.get(name) for name in ("edge_on", "bar", "arms", "arm_strength", "inner_ring"))
    smooth_share = 0.0 if has_disc or known.get("irregularity", 0) > 0.4 else 0.3
    smooth = fill("form", "smooth" if rng.random() < smooth_share else "featured") == "smooth"
    merger = fill("merger", False)
    disturbance = fill("disturbance", float(rng.uniform(0.5, 1.0) if merger else rng.uniform(0.0, 0.15)))
    irregularity = fill("irregularity", 0.0 if smooth else sometimes(0.5, 0.0, 0.25))

    face_on = smooth or merger or irregularity > 0.4 or any(known.get(n) for n in ("bar", "arms", "arm_strength"))
    edge_on = fill("edge_on", not face_on and rng.random() < 0.1)
    # Bars and arms are visible, and in a catalogue, only if the disc is not too inclined.
    flattest = 0.5 if has_disc else 0.4
    thickness = rng.uniform(0.08, 0.18) if edge_on else rng.uniform(flattest, 1.0)
    ratio = fill("axis_ratio", float(thickness))

    bulge_drawn = float(rng.uniform(0.45, 1.0) if smooth else rng.beta(1.5, 4.5))
    if known.get("bulge_shape") == "none":
        bulge_drawn = 0.0
    barred = known.get("bar", 0) > 0.3
    # A large bulge would hide the bar, and most bars end in two arms.
    bulge = fill("bulge", bulge_drawn * (1 - irregularity) * (0.6 if barred else 1.0))
    shape = "boxy" if edge_on and rng.random() < 0.2 else "round"
    fill("bulge_shape", "none" if bulge < 0.02 else shape)

    plain = smooth or edge_on or irregularity > 0.6
    fill("bar", 0.0 if plain else sometimes(0.4, 0.2, 0.8))
    shares = [0.03, 0.85, 0.07, 0.03, 0.02] if barred else [0.04, 0.62, 0.16, 0.1, 0.08]
    number = int(rng.choice([1, 2, 3, 4, 5], p=shares))
    bare = plain or rng.random() < 0.2 * (disturbance < 0.3)
    strength = float(rng.uniform(0.3, 0.9))
    armed = known.get("arms") or "winding" in known or not bare
    if known.get("arms") == 0 or not armed:
        strength = 0.0
    arms = fill("arms", number if fill("arm_strength", strength) > 0 else 0)
    winding, hand = float(rng.uniform(0.1, 0.9)), rng.choice(["clockwise", "anticlockwise"])
    if arms:
        fill("winding", winding)
        fill("handedness", str(hand))
    fill("inner_ring", 0.0 if plain else sometimes(0.15, 0.3, 0.9))
    fill("outer_ring", 0.0 if plain else sometimes(0.08, 0.3, 0.8))
    fill("dust", 0.0 if smooth else sometimes(0.6 if edge_on else 0.3 * (ratio < 0.6), 0.2, 0.9))
    fill("flocculence", float(rng.uniform(0.0, 0.7)) if arms else 0.0)
    return Morphology(**known)
