"""A simulated survey: Morphology -> picture, with a point-spread function, noise, stars and neighbours.

As in a survey, the light falls on detector pixels, is stretched to colours, published as JPEG and resized: distant
galaxies are enlarged, near ones reduced.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import galsim
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import fft
from scipy.ndimage import gaussian_filter, shift

from galaxalign.errors import InputError
from galaxalign.morphology.fill_in import complete
from galaxalign.morphology.galaxy_body import Light
from galaxalign.morphology.morphology import Morphology
from galaxalign.morphology.render_light import galaxy_light

_SMALLEST = 32

# Half-light radius in pixels above which a profile is sampled pixel by pixel: its transform would be large.
_WELL_SAMPLED = 5.0

# Coarse transforms: errors of a percent are far below the noise, and eight times faster.
_COARSE = galsim.GSParams(folding_threshold=2e-2, maxk_threshold=1e-2, kvalue_accuracy=1e-4, xvalue_accuracy=1e-4)


def draw_galaxy(morphology: Morphology, rng: np.random.Generator, *, size: int = 128) -> NDArray[np.uint8]:
    """Draw one galaxy as a survey in g, r and z would show it.

    Parameters
    ----------
    morphology : Morphology
        Unknown fields are drawn from what is plausible (`galaxalign.morphology.fill_in.complete`).
    rng : numpy.random.Generator
        The same state gives the same pixels.
    size : int
        Side of the picture in pixels.

    Returns
    -------
    array of uint8, shape (size, size, 3)
        Colours z, r, g as red, green, blue in an asinh stretch (Lupton et al. 2004, PASP 116, 133).

    Raises
    ------
    InputError
        If `size` is too small for a galaxy.
    """
    if size < _SMALLEST:
        raise InputError(f"a simulated picture of {size} px is too small; choose a size of {_SMALLEST} or more")
    morphology = complete(morphology, rng)
    survey = _Survey.draw(rng)
    pixels = _detector_pixels(morphology, rng, size)
    # A margin, so that light from outside the picture reaches it and the transform does not wrap into it.
    margin = pixels // 8
    side = pixels + 2 * margin
    psf = galsim.Moffat(beta=float(rng.uniform(2.5, 4.0)), fwhm=_seeing(rng), gsparams=_COARSE)
    psf = psf.shear(g1=float(rng.normal(0, 0.015)), g2=float(rng.normal(0, 0.015)))
    if morphology.form == "artifact":
        light = _artifact(rng, side)
    else:
        radius = pixels * float(np.clip(rng.normal(0.44, 0.08), 0.3, 0.6))
        light = galaxy_light(morphology, rng, shape=(side, side), radius=radius)
    sky = light.image + _field(rng, pixels, side)
    compact = np.zeros_like(sky)
    for profile, half_light, flux in light.profiles:
        if half_light > _WELL_SAMPLED:
            seen = profile.drawImage(nx=side, ny=side, scale=1.0, dtype=float, method="no_pixel")
            sky = sky + flux[:, None, None] * seen.array[::-1]
        else:
            blurred = galsim.Convolve(profile, psf, gsparams=_COARSE)
            seen = blurred.drawImage(nx=side, ny=side, scale=1.0, dtype=float)
            compact += flux[:, None, None] * seen.array[::-1]
    bands = _misalign(_convolve(sky, psf) + compact, survey, rng)
    bands = bands[:, margin : margin + pixels, margin : margin + pixels]
    return _publish(_develop(_detect(bands, survey, rng), survey, rng), rng, size)


@dataclass(frozen=True)
class _Survey:
    """How a survey shows the sky.

    Parameters
    ----------
    sky : float
        Residual brightness of the sky.
    white : array of shape (3,)
        Weights of z, r, g in the display.
    keeps_hue : bool
        Whether a saturated pixel keeps its colour (Lupton et al. 2004) or turns white.
    """

    sky: float
    white: NDArray[np.float64]
    keeps_hue: bool

    @classmethod
    def draw(cls, rng: np.random.Generator) -> _Survey:
        # Between the dark sky and warm colours of the SDSS server and the grey sky and cool colours of EFIGI.
        warm = rng.random() < 0.5
        if warm:
            sky, hue, green = rng.normal(0.002, 0.0015), rng.normal(0.15, 0.06), rng.normal(0.03, 0.03)
        else:
            sky, hue, green = rng.normal(0.013, 0.004), rng.normal(-0.03, 0.05), rng.normal(-0.03, 0.03)
        white = np.exp([hue, green, -hue])
        return cls(float(np.clip(sky, 0.0, 0.04)), white, bool(warm or rng.random() < 0.3))


def _detector_pixels(morphology: Morphology, rng: np.random.Generator, size: int) -> int:
    """Return the detector pixels along the frame, which vary with the distance of the galaxy."""
    # Arms, bars and rings must be visible, which takes a galaxy of some extent.
    least = 42 if morphology.form == "smooth" or morphology.edge_on else 66
    pixels = np.clip(np.exp(rng.normal(np.log(84), 0.35)), least, 190)
    return int(pixels * max(size / 128, 1.0))


def _seeing(rng: np.random.Generator) -> float:
    """Return the full width at half maximum in pixels of the detector."""
    return float(np.clip(np.exp(rng.normal(np.log(2.1), 0.2)), 1.5, 3.4))


def _convolve(image: NDArray[np.float64], psf: galsim.GSObject) -> NDArray[np.float64]:
    """Return the bands (3, H, W) through the point-spread function."""
    side = image.shape[-1]
    width = min(side // 2 * 2 - 1, 63)
    kernel = psf.drawImage(nx=width, ny=width, scale=1.0, dtype=float).array[::-1]
    padded = fft.next_fast_len(side + width - 1, real=True)
    shape = (padded, padded)
    product = fft.rfft2(image, shape) * fft.rfft2(kernel / kernel.sum(), shape)
    half = width // 2
    return np.asarray(fft.irfft2(product, shape))[:, half : half + side, half : half + side]


def _misalign(bands: NDArray[np.float64], survey: _Survey, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return the bands (3, H, W) as little out of register as those of a survey: colours get fringes."""
    spread = 0.15 if survey.keeps_hue else 0.1
    offsets = spread * rng.standard_normal((3, 2))
    return np.stack([shift(band, offset, order=3, mode="nearest") for band, offset in zip(bands, offsets, strict=True)])


def _field(rng: np.random.Generator, size: int, side: int) -> NDArray[np.float64]:
    """Return stars and small galaxies in the field, shape (3, side, side)."""
    image = np.zeros((3, side, side))
    y, x = np.mgrid[0:side, 0:side].astype(float)
    for _ in range(rng.poisson(rng.gamma(2.0, 3.0))):
        # Few are bright: the counts rise fourfold with every magnitude and a half.
        flux = min(0.052 * float(rng.pareto(0.7)) + 0.022, 26.0)
        temperature = rng.normal(0.1, 0.45)
        colour = np.exp(temperature * np.array([0.6, 0.0, -0.6]))
        column, row = rng.uniform(0, side - 1, 2)
        i, j = int(row), int(column)
        v, u = row - i, column - j
        for di, dj, share in ((0, 0, (1 - u) * (1 - v)), (0, 1, u * (1 - v)), (1, 0, (1 - u) * v), (1, 1, u * v)):
            if i + di < side and j + dj < side:
                image[:, i + di, j + dj] += flux * share * colour
    for _ in range(rng.poisson(rng.gamma(1.5, 1.3))):
        column, row = rng.uniform(0, side - 1, 2)
        # Most are small; now and then a large one reaches into the frame.
        scale = min(0.8 * (1 + float(rng.pareto(1.8))), 9.0) * size / 128
        ratio, angle = rng.uniform(0.3, 1.0), rng.uniform(0, np.pi)
        cos, sin = np.cos(angle), np.sin(angle)
        along, across = (x - column) * cos + (y - row) * sin, (y - row) * cos - (x - column) * sin
        brightness = min(0.015 * float(rng.pareto(1.1)) + 0.01, 0.5)
        colour = np.exp(rng.normal(0.1, 0.25) * np.array([1.0, 0.0, -1.0]))
        image += colour[:, None, None] * brightness * np.exp(-np.hypot(along, across / ratio) / scale)
    return image


def _artifact(rng: np.random.Generator, side: int) -> Light:
    """Return a saturated star with its spikes, or the trail of a satellite."""
    y, x = np.mgrid[0:side, 0:side] - (side - 1) / 2.0
    x, y = x - rng.normal(0, side / 12), y - rng.normal(0, side / 12)
    angle = rng.uniform(0, np.pi)
    u, v = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    if rng.random() < 0.4:
        light = rng.uniform(0.1, 0.6) * np.exp(-0.5 * (v / rng.uniform(0.8, 2.5)) ** 2)
    else:
        spikes = np.exp(-np.abs(v) / 0.8 - np.abs(u) / 15) + np.exp(-np.abs(u) / 0.8 - np.abs(v) / 15)
        light = rng.uniform(1, 4) * (np.exp(-np.hypot(u, v) / rng.uniform(3, 7)) * 4 + spikes)
    colour = np.exp(rng.normal(0, 0.5) * np.array([0.6, 0.0, -0.6]))
    return Light(colour[:, None, None] * light)


def _detect(bands: NDArray[np.float64], survey: _Survey, rng: np.random.Generator) -> NDArray[np.float64]:
    """Add the noise of sky and photons by GalSim, slightly correlated as on resampled survey images."""
    size = bands.shape[-1]
    depth = 10 ** min(rng.normal(-2.45, 0.18), -2.2)
    blur = float(rng.uniform(0.4, 0.75))
    deviate = galsim.BaseDeviate(int(rng.integers(1, 2**31 - 1)))
    # Resampling correlates the noise of neighbouring pixels; faint background sources are in all bands.
    fields = []
    for _ in range(4):
        noise = galsim.ImageD(size, size)
        noise.addNoise(galsim.GaussianNoise(deviate, sigma=1.0))
        field = gaussian_filter(noise.array, blur)
        fields.append(field * ((1 - 0.3 * blur) / max(float(field.std()), 1e-9)))
    noisy = np.empty_like(bands)
    for band, factor in enumerate((1.3, 1.0, 1.1)):
        sigma = np.sqrt((factor * depth) ** 2 + np.clip(bands[band], 0, None) * depth * 0.02)
        noisy[band] = bands[band] + sigma * (0.6 * fields[3] + 0.8 * fields[band])
    return noisy


def _develop(bands: NDArray[np.float64], survey: _Survey, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return the colour picture of the bands: asinh of the mean, colours kept."""
    softening = float(np.exp(rng.normal(np.log(0.04), 0.25)))
    # The sky is never subtracted to the last photon, nor equally in every band.
    pedestal = survey.sky * np.array([1.03, 0.9, 1.12]) + rng.normal(0, 0.0012, 3)
    patches = gaussian_filter(rng.standard_normal(bands.shape), (0, *(2 * [bands.shape[-1] / 9])))
    pedestal = pedestal[:, None, None] + 0.0012 * patches / patches.std()
    bands = bands * survey.white[:, None, None] + pedestal
    mean = np.clip(bands.mean(axis=0), 1e-6, None)
    stretched = np.arcsinh(mean / softening) / np.arcsinh(1 / softening)
    colours = np.clip(bands, 0, None) * (stretched / mean)
    if survey.keeps_hue:
        colours = colours / np.maximum(colours.max(axis=0), 1.0)
    colours = np.minimum(colours, 1.0)
    return np.ascontiguousarray(np.rint(255 * np.moveaxis(colours, 0, -1)).astype(np.uint8))


def _publish(picture: NDArray[np.uint8], rng: np.random.Generator, size: int) -> NDArray[np.uint8]:
    """Return the picture after JPEG compression, resized to the frame."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=int(rng.integers(80, 96)))
    with Image.open(buffer) as published:
        return np.asarray(published.resize((size, size), Image.Resampling.LANCZOS))
