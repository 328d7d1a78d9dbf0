"""A simulated survey: Morphology -> picture, with a point-spread function, noise, stars and neighbours.

As in a survey, a galaxy is seen on the pixels of a detector, developed, published as JPEG, and resized to
the frame that is asked for: small and distant galaxies are enlarged, near ones reduced.

Every galaxy has its own random numbers, made from the seed and its number: a survey has the same bytes
whatever the number of processes.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import galsim
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import fft
from scipy.ndimage import gaussian_filter, shift

from galaxalign.data.tables import check_output, write_table
from galaxalign.errors import InputError
from galaxalign.light import Light, galaxy_light
from galaxalign.morphology import Morphology
from galaxalign.plausible import complete, scatter
from galaxalign.progress import progress
from galaxalign.taxonomy import load_taxonomy

__all__ = ["draw_galaxy", "simulate"]

_JPEG_QUALITY = 92
_SMALLEST = 32
_CHUNK = 8
# Half-light radius in pixels above which a profile is sampled pixel by pixel: its transform would be large.
_WELL_SAMPLED = 5.0
# Coarse transforms: errors of a percent are far below the noise, and eight times faster.
_COARSE = galsim.GSParams(folding_threshold=2e-2, maxk_threshold=1e-2, kvalue_accuracy=1e-4, xvalue_accuracy=1e-4)


def draw_galaxy(morphology: Morphology, rng: np.random.Generator, *, size: int = 128) -> NDArray[np.uint8]:
    """Draw one galaxy as a survey in g, r and z would show it.

    Parameters
    ----------
    morphology : Morphology
        Unknown fields are drawn from what is plausible (`galaxalign.plausible.complete`).
    rng : numpy.random.Generator
        Everything that is left to chance. The same state gives the same pixels.
    size : int
        Side of the picture in pixels.

    Returns
    -------
    array of uint8, shape (size, size, 3)
        Colours z, r, g as red, green, blue in an asinh stretch (Lupton et al. 2004, PASP 116, 133).

    Raises
    ------
    InputError
        If the picture would be too small to show a galaxy.
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


def simulate(
    *,
    taxonomy: str = "galaxy10_decals",
    n: int = 2000,
    out: str | Path,
    size: int = 128,
    seed: int = 0,
    workers: int | None = None,
    quiet: bool = False,
) -> Path:
    """Make a survey of simulated galaxies, with equal numbers of every class.

    Parameters
    ----------
    taxonomy : str
        Name of a taxonomy, or the path of its TOML file.
    n : int
        Number of galaxies.
    out : path
        Folder for ``catalog.csv`` and ``images/``; new, empty, or with an earlier simulated survey,
        which is replaced.
    size : int
        Side of the pictures in pixels.
    seed : int
        The same seed gives the same bytes.
    workers : int, optional
        Number of processes. Default: one for each processor.
    quiet : bool
        Show no progress.

    Returns
    -------
    Path
        The catalogue, with the columns id_str, file_loc, label, and true_<field> for every field of
        Morphology (empty: without meaning for that galaxy).

    Raises
    ------
    InputError
        If n, size, seed or workers are out of range, or the folder cannot be written or holds other files.
    """
    import joblib
    import pandas as pd

    classes = load_taxonomy(taxonomy).classes
    for name, value, least in (("n", n, 1), ("size", size, _SMALLEST), ("seed", seed, 0), ("workers", workers, 1)):
        if value is not None and value < least:
            raise InputError(f"{name} is {value}; simulate needs {least} or more")
    out = Path(out)
    images = _prepare(out)
    tasks = [(index, classes[index % len(classes)].morphology) for index in range(n)]
    chunks = [tasks[start : start + _CHUNK] for start in range(0, n, _CHUNK)]
    processes = min(workers or joblib.cpu_count(), len(chunks))
    truths: list[Morphology] = []
    with progress("simulate", n, quiet=quiet) as advance:
        # joblib starts clean processes: a forked copy of one with running threads (torch, BLAS) can hang, and
        # multiprocessing's others import the user's script again, which then simulates again.
        pool = joblib.Parallel(n_jobs=processes, return_as="generator", idle_worker_timeout=5)
        for done in pool(joblib.delayed(_draw_chunk)(chunk, images, size, seed) for chunk in chunks):
            truths += done
            advance(len(done))
    rows = [
        {
            "id_str": _name(index),
            "file_loc": f"images/{_name(index)}.jpg",
            "label": classes[index % len(classes)].name,
            **{f"true_{field}": getattr(truth, field) for field in Morphology.field_names()},
        }
        for index, truth in enumerate(truths)
    ]
    frame = pd.DataFrame(rows)
    numbers = frame.select_dtypes("float").columns
    frame[numbers] = frame[numbers].round(4)
    frame["true_arms"] = frame["true_arms"].astype("Int64")
    return write_table(frame, out / "catalog.csv")


def _name(index: int) -> str:
    return f"sim_{index:06d}"


def _is_simulated(catalog: Path) -> bool:
    """Tell whether a catalogue is one of ours: a user's own of the same name must not be deleted."""
    if not catalog.is_file():
        return False
    with catalog.open("rb") as file:
        return b",true_form," in file.readline(4096)


def _prepare(out: Path) -> Path:
    """Make the folder for the images, and empty it of an earlier survey; refuse what is not one."""
    check_output(out, folder=True)
    images = out / "images"
    found = [*out.iterdir()] if out.is_dir() else []
    ours = (images, out / "catalog.csv") if _is_simulated(out / "catalog.csv") else (images,)
    found = [path for path in found if path not in ours]
    pictures = [*images.iterdir()] if images.is_dir() else []
    foreign = found + [path for path in pictures if not (path.name.startswith("sim_") and path.suffix == ".jpg")]
    if foreign:
        raise InputError(f"the folder {out} holds other files, such as {foreign[0].name}; choose an empty or new one")
    try:
        (out / "catalog.csv").unlink(missing_ok=True)
        for path in pictures:
            path.unlink()
        images.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"the folder {out} cannot be written ({error.strerror or error}); choose another") from None
    return images


def _draw_chunk(tasks: Sequence[tuple[int, Morphology]], images: Path, size: int, seed: int) -> list[Morphology]:
    """Draw and save some galaxies; return what they truly are."""
    truths = []
    for index, typical in tasks:
        rng = np.random.default_rng([seed, index])
        truth = complete(scatter(typical, rng), rng)
        picture = draw_galaxy(truth, rng, size=size)
        path = images / f"{_name(index)}.jpg"
        try:
            Image.fromarray(picture).save(path, quality=_JPEG_QUALITY)
        except OSError as error:
            raise InputError(f"{path} cannot be written ({error.strerror or error}); choose another folder") from None
        truths.append(truth)
    return truths


# --- from the sky to the picture -----------------------------------------------------------------------


@dataclass(frozen=True)
class _Survey:
    """How a survey shows the sky.

    Parameters
    ----------
    sky : float
        Brightness of the sky that is left in the picture.
    white : array of shape (3,)
        Weights of z, r, g in the display.
    keeps_hue : bool
        Whether a pixel that is too bright keeps its colour (Lupton et al. 2004) or turns white.
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
    """Return how many pixels of the detector the frame spans: galaxies are near or far, so it varies a lot."""
    # What a catalogue says of arms, bars and rings has to be visible: that takes a galaxy of some extent.
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
    """Return stars and small galaxies that happen to lie in the field, shape (3, side, side)."""
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
    # Survey images are resampled onto one grid, so that the noise of a pixel is like its neighbours'; the
    # bands share a part of it, for faint sources in the background are in all of them.
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
    """Return the picture as a user gets it: compressed by the server, then resized to the frame."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=int(rng.integers(80, 96)))
    with Image.open(buffer) as published:
        return np.asarray(published.resize((size, size), Image.Resampling.LANCZOS))
