"""The body of one galaxy on the sky: its place, size, brightness and colour, and the light it emits.

Arrays have the shape (3, H, W), bands in the order of display: z, r, g. A brightness of 1 is displayed white.
Lengths are in pixels; y points up on the display, so angles grow anticlockwise.
"""

from __future__ import annotations

from dataclasses import dataclass

import galsim
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from galaxalign.morphology.morphology import Morphology

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Light:
    """What a galaxy emits: an image, and smooth profiles too sharp in the middle for pixels.

    Parameters
    ----------
    image : array, shape (3, H, W)
        Structured light, one brightness for each pixel.
    profiles : tuple of (galsim.GSObject, float, array of shape (3,))
        Analytic profiles around the centre of the image, each with its half-light radius in pixels and its
        flux in every band.
    """

    image: Array
    profiles: tuple[tuple[galsim.GSObject, float, Array], ...] = ()

    def plus(self, other: Light) -> Light:
        """Return the light of both."""
        return Light(self.image + other.image, self.profiles + other.profiles)


@dataclass(frozen=True)
class GalaxyBody:
    """Where one galaxy lies, how large, how bright and how blue."""

    morphology: Morphology
    shape: tuple[int, int]
    radius: float
    centre: tuple[float, float]
    angle: float
    brightness: float
    blueness: float

    @classmethod
    def draw(
        cls,
        morphology: Morphology,
        rng: np.random.Generator,
        shape: tuple[int, int],
        radius: float,
        centre: tuple[float, float] = (0.0, 0.0),
    ) -> GalaxyBody:
        irregular = morphology.irregularity or 0.0
        faintest = -1.2 if irregular < 0.4 else -1.4
        bluer = 0.5 * (1 - 2 * (morphology.bulge or 0.0)) + 0.7 * irregular
        return cls(
            morphology,
            shape,
            radius,
            centre,
            float(rng.uniform(0, np.pi)),
            float(10 ** max(rng.normal(-1.05 - 0.3 * irregular, 0.22), faintest)),
            float((0.6 if morphology.edge_on else 1.0) * bluer + rng.normal(0, 0.3)),
        )

    @property
    def ratio(self) -> float:
        return max(self.morphology.axis_ratio or 1.0, 0.05)

    @property
    def scale(self) -> float:
        """Scale length of the disc: about 3.2 of them reach the visible edge."""
        return self.radius / 3.2

    @property
    def tint(self) -> Array:
        return np.exp(self.blueness * np.array([-0.22, -0.06, 0.22]))

    def plane(self, warp: Array | None = None) -> tuple[Array, Array]:
        """Return coordinates along the major and the minor axis on the sky."""
        height, width = self.shape
        y, x = np.mgrid[0:height, 0:width].astype(float)
        x = x - (width - 1) / 2 - self.centre[0]
        y = (height - 1) / 2 - y - self.centre[1]
        if warp is not None:
            x, y = x + warp[0], y + warp[1]
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        return x * cos + y * sin, y * cos - x * sin

    def profile(
        self, index: float, half_light: float, ratio: float, flux: float, tint: Array
    ) -> tuple[galsim.GSObject, float, Array]:
        # A table per Sersic index is slow to build and kept by GalSim: few indices, many uses.
        sersic = galsim.Sersic(n=round(2 * index) / 2, half_light_radius=half_light, trunc=8 * half_light)
        sersic = sersic.shear(q=max(ratio, 0.1), beta=self.angle * galsim.radians)
        return sersic.shift(*self.centre), half_light, flux * tint * self.tint


def smooth_noise(rng: np.random.Generator, shape: tuple[int, int], scale: float) -> Array:
    """Return a random field of unit variance, smooth over so many pixels."""
    field = gaussian_filter(rng.standard_normal(shape), scale, mode="wrap")
    return field / max(float(field.std()), 1e-9)
