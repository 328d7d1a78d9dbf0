"""FITS cubes against the pictures made from them by the same stretch: what a model sees of the difference.

    python benchmarks/fits_and_jpeg.py --shared ../shared [--model RUN] [--n 60] [--figure docs/images/stretches.png]

Flux is made of real galaxies (EFIGI, Galaxy Zoo 1): their pixels to the power 2.2, as on a display, with the noise of a
detector that is as deep as the picture. Prints, for each stretch and each way to save the picture, the smallest and
the median cosine of the two vectors of a galaxy; and how fast one thread reads each kind of file, as a ratio to JPEG.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import h5py
import numpy as np
from astropy.io import fits
from PIL import Image

from galaxalign.data import read_catalog
from galaxalign.data.images import Preprocessing, load_images, prepare
from galaxalign.data.images.stretch import Stretch
from galaxalign.inference import encode_array
from galaxalign.models import load_encoder, load_model
from galaxalign.morphology import Morphology, complete
from galaxalign.morphology.render_light import galaxy_light

STRETCHES = (
    "lupton:stretch=0.5,Q=8",
    "asinh:minimum=0,maximum=1,softening=0.1",
    "log:minimum=0,maximum=1,a=300",
    "linear:minimum=0,maximum=1",
    "percentile:lower=1,upper=99.8",
)
# Simulated galaxies are fainter.
SHOWN = ("lupton:stretch=0.15,Q=8", "asinh:minimum=0,maximum=1,softening=0.03", *STRETCHES[2:])
SAVED: dict[str, dict[str, object]] = {
    "PNG": {"format": "PNG"},
    # What every JPEG does before it compresses anything: luminance and two colours, each in 8 bits, and back.
    "PNG by YCbCr": {"format": "PNG"},
    "JPEG 100": {"format": "JPEG", "quality": 100, "subsampling": 0},
    "JPEG 100, half the colours": {"format": "JPEG", "quality": 100, "subsampling": 2},
    "JPEG 95": {"format": "JPEG", "quality": 95, "subsampling": 0},
    "JPEG 95, half the colours": {"format": "JPEG", "quality": 95, "subsampling": 2},
}


def as_flux(path: Path, seed: int) -> np.ndarray:
    """Return a real galaxy as flux, float32 (3, height, width), blue first and the lowest row first, as FITS has it."""
    with Image.open(path) as picture:
        rgb = np.asarray(picture.convert("RGB"), np.float32)
    noise = np.random.default_rng(seed).normal(0, 0.001, rgb.shape)
    return np.moveaxis((rgb / 255) ** 2.2 + noise, -1, 0)[::-1, ::-1].astype(np.float32)


def simulated() -> list[np.ndarray]:
    """Return four simulated galaxies as flux, in the order of `as_flux`."""
    cubes = []
    for seed, form in enumerate(("smooth", "featured", "featured", "featured")):
        rng = np.random.default_rng(seed + 3)
        light = galaxy_light(complete(Morphology(form=form), rng), rng, shape=(160, 160), radius=62.0)
        image = light.image + rng.normal(0, 0.006, light.image.shape)
        for profile, _, flux in light.profiles:
            image += flux[:, None, None] * profile.drawImage(nx=160, ny=160, scale=1.0, dtype=float).array[::-1]
        cubes.append(image[::-1, ::-1].astype(np.float32))
    return cubes


def figure(path: Path) -> None:
    """Draw simulated galaxies in each stretch, at its defaults but for the unit of the flux."""
    import matplotlib.pyplot as plt

    cubes = simulated()
    chart, axes = plt.subplots(len(cubes), len(SHOWN), figsize=(8, 6.6), layout="constrained")
    with tempfile.TemporaryDirectory() as folder:
        for row, cube in enumerate(cubes):
            file = Path(folder) / f"{row}.fits"
            fits.writeto(file, cube)
            for column, stretch in enumerate(SHOWN):
                axes[row, column].imshow(prepare(file, Preprocessing(size=160, stretch=stretch)))
                axes[row, column].set_axis_off()
                if row == 0:
                    axes[row, column].set_title(stretch.replace(":", "\n").replace(",", "\n"), fontsize=8)
    chart.savefig(path, dpi=85)
    plt.close(chart)


def agreement(shared: Path, model: str | None, n: int) -> None:
    """Print the cosines, then those of all stretches together with the share that the issue's 0.999 holds for."""
    print("| galaxies | stretch | " + " | ".join(f"{name}: smallest, median" for name in SAVED) + " |")
    print("|---|---|" + "---|" * len(SAVED))
    every: dict[str, list[np.ndarray]] = {kind: [] for kind in SAVED}
    levels: dict[str, list[float]] = {kind: [] for kind in SAVED}
    for source, crop in (("efigi", 1.0), ("gz1", 0.45)):
        paths = [Path(path) for path in read_catalog(shared / "data" / source / "catalog.csv").paths()[:n]]
        cubes = [as_flux(path, seed) for seed, path in enumerate(paths)]
        for stretch in STRETCHES:
            encoder = load_model(model).encoder if model else load_encoder("lite")
            chain = Preprocessing(crop, encoder.preprocessing.size, stretch)
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                files: dict[str, list[Path]] = {kind: [] for kind in ("FITS", *SAVED)}
                for number, cube in enumerate(cubes):
                    files["FITS"].append(folder / f"{number}.fits")
                    fits.writeto(files["FITS"][-1], cube)
                    picture = Image.fromarray(Stretch.parse(stretch).apply(cube[::-1, ::-1]))
                    for kind, settings in SAVED.items():
                        file = folder / f"{number} {kind}.{settings['format']}"
                        shown = picture.convert("YCbCr").convert("RGB") if kind == "PNG by YCbCr" else picture
                        shown.save(file, **settings)
                        files[kind].append(file)
                vectors, seen = {}, {}
                for kind, found in files.items():
                    pixels, statuses = load_images(found, chain)
                    assert set(statuses) == {"ok"}, statuses
                    seen[kind] = pixels.astype(np.float32)
                    vectors[kind] = encode_array(encoder, pixels, mirror=True)
            cosines = {kind: (vectors["FITS"] * vectors[kind]).sum(1) for kind in SAVED}
            for kind, cosine in cosines.items():
                every[kind].append(cosine)
                levels[kind].append(float(np.abs(seen[kind] - seen["FITS"]).mean()))
            cells = " | ".join(f"{cosine.min():.4f}, {np.median(cosine):.4f}" for cosine in cosines.values())
            print(f"| {source} | `{stretch}` | {cells} |", flush=True)
    print("\n| picture | grey levels off, mean | smallest cosine | 5th percentile | median | over 0.999 |")
    print("|---|---|---|---|---|---|")
    for kind, parts in every.items():
        cosine = np.concatenate(parts)
        low, middle = np.percentile(cosine, (5, 50))
        print(
            f"| {kind} | {np.mean(levels[kind]):.2f} | {cosine.min():.4f} | {low:.4f} | {middle:.4f} "
            f"| {(cosine > 0.999).mean():.0%} |"
        )


def rates(shared: Path, n: int) -> None:
    """Print how fast each kind of file is read and prepared, all in one run, alternating."""
    paths = [Path(path) for path in read_catalog(shared / "data" / "gz1" / "catalog.csv").paths()[:n]]
    cubes = [as_flux(path, seed)[:, 84:340, 84:340] for seed, path in enumerate(paths)]
    chain = Preprocessing(1.0, 128, STRETCHES[0])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        kinds: dict[str, list[Path]] = {
            kind: [] for kind in ("JPEG", "FITS", "FITS.gz", "FITS.fz", "NumPy", "HDF5 bytes")
        }
        pictures = np.stack([Stretch.parse(STRETCHES[0]).apply(cube[::-1, ::-1]) for cube in cubes])
        with h5py.File(folder / "a.h5", "w") as file:
            file["images"] = pictures
        for number, (cube, picture) in enumerate(zip(cubes, pictures, strict=True)):
            base = folder / str(number)
            Image.fromarray(picture).save(base.with_suffix(".jpg"), quality=95)
            fits.writeto(base.with_suffix(".fits"), cube)
            fits.writeto(folder / f"{number}.fits.gz", cube)
            packed = fits.CompImageHDU(cube, compression_type="RICE_1", quantize_level=16)
            fits.HDUList([fits.PrimaryHDU(), packed]).writeto(folder / f"{number}.fits.fz")
            np.save(base.with_suffix(".npy"), cube)
            for kind, suffix in zip(kinds, (".jpg", ".fits", ".fits.gz", ".fits.fz", ".npy"), strict=False):
                kinds[kind].append(folder / f"{number}{suffix}")
            kinds["HDF5 bytes"].append(folder / f"a.h5::images[{number}]")
        best = dict.fromkeys(kinds, 0.0)
        for _ in range(3):
            for kind, found in kinds.items():
                start = time.process_time()
                _, statuses = load_images(found, chain, workers=1)
                best[kind] = max(best[kind], len(found) / (time.process_time() - start))
                assert set(statuses) == {"ok"}, statuses
    print("\n256 px, three bands, one thread, images per second of processor time (ratio to JPEG):")
    print(", ".join(f"{kind} {rate:.0f} ({rate / best['JPEG']:.2f})" for kind, rate in best.items()))


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--model", help="a trained model folder; lite without training by default")
    parser.add_argument("--n", type=int, default=60)
    parser.add_argument("--figure", type=Path)
    args = parser.parse_args()
    if args.figure:
        figure(args.figure)
    rates(args.shared, args.n)
    agreement(args.shared, args.model, args.n)


if __name__ == "__main__":
    main()
