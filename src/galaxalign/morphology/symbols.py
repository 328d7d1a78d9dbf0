"""Schematic symbols of galaxies: Morphology to SVG to pixels, a user's own drawings, and the labelled sheet."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from pathlib import Path
from textwrap import fill

import drawsvg
import numpy as np
import resvg_py
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from galaxalign.errors import InputError
from galaxalign.morphology.morphology import Morphology
from galaxalign.morphology.pen import Pen
from galaxalign.morphology.symbol_shapes import HALF_WIDTH, draw
from galaxalign.morphology.taxonomy import Taxonomy

DRAWING_SUFFIXES = (".svg", ".png", ".jpg", ".jpeg")

_FORMATS = ("PNG", "JPEG")
_MAX_PIXELS = 80_000_000
_WORKING = 512  # pixels of the longer side of a user's drawing before it is cropped
_INK = 40  # grey above the paper from which a pixel belongs to the drawing, of 255
# Free border around a user's drawing, chosen on validation galaxies (benchmarks/sketch_search.py). Variants of the
# symbols leave 0.1 (edge-on) to 0.3 (mergers).
_MARGIN = 0.2
_TILT = -25.0  # degrees; the major axis of the exact drawing rises to the right


def render_svg(morphology: Morphology, *, size: int = 128, rng: np.random.Generator | None = None) -> str:
    """Return the symbol of a morphology, light on black, as SVG.

    Parameters
    ----------
    morphology : Morphology
        What to draw; a field of None is unknown and takes a plausible value.
    size : int
        Width and height in pixels.
    rng : numpy.random.Generator, optional
        Draws a random variant: unknown fields, orientation, inclination, pitch, strokes. None: the exact drawing.
        With the same state, ``morphology.flipped()`` gives the mirror image if the handedness is known.

    Returns
    -------
    str
        An SVG document.
    """
    pen = Pen(rng)
    turn = _TILT if rng is None else pen.between(0, 360)
    scale = 1.0 if rng is None else pen.between(0.75, 1.0)
    x, y = (0.0, 0.0) if rng is None else (pen.between(-0.06, 0.06), pen.between(-0.06, 0.06))
    # Drawn in every case, so that a known handedness does not shift later random numbers.
    coin = pen.chance(0.5)
    clockwise = coin if morphology.handedness is None else morphology.handedness == "clockwise"
    # Shapes are drawn anticlockwise; the outermost transform mirrors everything.
    mirror = "scale(-1 1) " if clockwise else ""
    group = drawsvg.Group(transform=f"{mirror}translate({x:.3f} {y:.3f}) rotate({turn:.2f}) scale({scale:.3f})")
    for mark in draw(morphology, pen):
        group.append(mark)
    drawing = drawsvg.Drawing(2 * HALF_WIDTH, 2 * HALF_WIDTH, origin="center")
    drawing.set_render_size(size, size)
    drawing.append(drawsvg.Rectangle(-HALF_WIDTH, -HALF_WIDTH, 2 * HALF_WIDTH, 2 * HALF_WIDTH, fill="black"))
    drawing.append(group)
    return str(drawing.as_svg())


def rasterize(svg: str, size: int) -> NDArray[np.uint8]:
    """Return an SVG document as pixels."""
    return np.asarray(_svg_picture(svg, "the SVG", size, size).convert("RGB"))


def render(morphology: Morphology, *, size: int = 128, rng: np.random.Generator | None = None) -> NDArray[np.uint8]:
    """Return the symbol of a morphology as pixels, uint8 (size, size, 3); see `render_svg`."""
    return rasterize(render_svg(morphology, size=size, rng=rng), size)


def symbol_bank(
    taxonomy: Taxonomy,
    *,
    variants: int,
    size: int = 128,
    seed: int = 0,
    drawings: str | Path | None = None,
) -> NDArray[np.uint8]:
    """Return symbols of every class.

    Parameters
    ----------
    taxonomy : Taxonomy
    variants : int
        Symbols of each class. 1 gives the exact drawings, more give random ones.
    size : int
        Width and height in pixels.
    seed : int
        Banks of the same seed have the same symbol for a class and a variant.
    drawings : path, optional
        Folder with a drawing of each class, ``CLASS.svg``, ``.png`` or ``.jpg``, instead of the symbols; all
        variants of a class are the same.

    Returns
    -------
    numpy.ndarray
        uint8 (classes, variants, size, size, 3)

    Raises
    ------
    InputError
        If a drawing is missing or can't be read, or variants is less than 1.
    """
    if variants < 1:
        raise InputError(f"a symbol bank cannot have {variants} variants; ask for at least 1")
    if drawings is not None:
        bank = np.zeros((len(taxonomy), variants, size, size, 3), np.uint8)
        for k, path in enumerate(_drawings_of(taxonomy, Path(drawings))):
            bank[k] = load_drawing(path, size)
        return bank
    shapes = [galaxy_class.morphology for galaxy_class in taxonomy.classes]
    return morphology_bank(shapes, variants=variants, size=size, seed=seed)


def morphology_bank(
    morphologies: Sequence[Morphology], *, variants: int, size: int = 128, seed: int = 0
) -> NDArray[np.uint8]:
    """Return symbols of some Morphologies, uint8 (len(morphologies), variants, size, size, 3); see `symbol_bank`."""
    bank = np.zeros((len(morphologies), variants, size, size, 3), np.uint8)
    for k, morphology in enumerate(morphologies):
        for v in range(variants):
            rng = None if variants == 1 else np.random.default_rng([seed, k, v])
            bank[k, v] = render(morphology, size=size, rng=rng)
    return bank


def load_drawing(path: str | Path, size: int = 128) -> NDArray[np.uint8]:
    """Read a user's drawing of a galaxy and bring it into the style of the symbols.

    Dark lines on light paper become light on black without the paper's shade; the drawing is cropped, centred with a
    border and made grey. A picture is stretched to full brightness; the greys of an SVG stay.

    Parameters
    ----------
    path : path
        SVG, PNG or JPEG. Transparent parts are paper, whatever the colour of the ink.
    size : int
        Width and height in pixels.

    Returns
    -------
    numpy.ndarray
        uint8 (size, size, 3)

    Raises
    ------
    InputError
        If the file is missing, of another kind, damaged, too large or blank.
    """
    path = Path(path)
    light = _light_on_dark(_read_drawing(path), stretch=path.suffix.lower() != ".svg")
    rows, columns = (np.flatnonzero((light > _INK).any(axis)) for axis in (1, 0))
    if not rows.size:
        raise InputError(f"{path} is blank; draw the galaxy in a colour that stands out from the paper")
    cropped = light[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    side = round(max(cropped.shape) / (1 - 2 * _MARGIN))
    square = np.zeros((side, side), np.uint8)
    top, left = ((side - length) // 2 for length in cropped.shape)
    square[top : top + cropped.shape[0], left : left + cropped.shape[1]] = cropped
    small = np.asarray(Image.fromarray(square).resize((size, size), Image.Resampling.LANCZOS))
    return np.repeat(small[:, :, None], 3, axis=2)


def symbol_sheet(taxonomy: Taxonomy, out: str | Path) -> Path:
    """Draw the symbol of every class, large, with three variants beside it and its title under it.

    Parameters
    ----------
    taxonomy : Taxonomy
    out : path
        PNG, SVG or PDF, by its suffix.

    Returns
    -------
    pathlib.Path
        The sheet.

    Raises
    ------
    InputError
        If the suffix is another one or the file can't be written.
    """
    out = Path(out)
    suffix = out.suffix.lower()
    if suffix not in (".png", ".svg", ".pdf"):
        raise InputError(f"{out} must end in .png, .svg or .pdf for a sheet of symbols")
    if not out.parent.is_dir():
        raise InputError(f"the sheet cannot be written to {out} (no such folder); choose another place")
    from matplotlib.figure import Figure  # takes a second to import

    exact = symbol_bank(taxonomy, variants=1, size=384)
    varied = symbol_bank(taxonomy, variants=3, size=128)
    across = min(5, len(taxonomy)) if len(taxonomy) != 6 else 3
    down = -(-len(taxonomy) // across)
    width, height, foot = 2.1, 1.5, 0.42  # inches of a class: the symbols, and the title under them
    figure = Figure(figsize=(across * width + 0.1, down * (height + foot) + 0.1), facecolor="white")
    total_width, total_height = figure.get_size_inches()

    def show(picture: NDArray[np.uint8], x: float, y: float, side: float) -> None:
        axes = figure.add_axes((x / total_width, y / total_height, side / total_width, side / total_height))
        axes.imshow(picture)
        axes.axis("off")

    for k, galaxy_class in enumerate(taxonomy.classes):
        x = 0.1 + width * (k % across)
        y = total_height - 0.1 - height - (height + foot) * (k // across)
        small = height / 3
        show(exact[k, 0], x, y, height)
        for v in range(3):
            show(varied[k, v], x + height, y + height - (v + 1) * small, small)
        middle = (x + (height + small) / 2) / total_width
        title = fill(galaxy_class.title, 27)
        figure.text(middle, (y - 0.05) / total_height, title, ha="center", va="top", fontsize=9)
    part = out.with_name(f".{os.getpid()}.{out.name}")
    try:
        figure.savefig(part, format=suffix[1:], dpi=200)
        part.replace(out)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise InputError(
            f"the sheet cannot be written to {out} ({error.strerror or error}); choose another place"
        ) from error
    return out


def _drawings_of(taxonomy: Taxonomy, folder: Path) -> list[Path]:
    """Return the drawing file of each class."""
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}; name one that holds CLASS.svg or CLASS.png")
    found = []
    for name in taxonomy.class_names:
        files = [folder / f"{name}{suffix}" for suffix in DRAWING_SUFFIXES]
        existing = [file for file in files if file.is_file()]
        if not existing:
            raise InputError(f"{folder} has no drawing of the class {name}; add {name}.svg or {name}.png to it")
        found.append(existing[0])
    return found


def _read_drawing(path: Path) -> Image.Image:
    """Return a drawing file as RGBA of at most the working size."""
    if path.suffix.lower() not in DRAWING_SUFFIXES:
        raise InputError(f"{path} is no drawing that can be read; it must be {', '.join(DRAWING_SUFFIXES)}")
    try:
        if path.suffix.lower() == ".svg":
            picture = _svg_picture(path.read_text(encoding="utf-8"), str(path))
        else:
            with Image.open(path, formats=_FORMATS) as opened:
                if opened.width * opened.height > _MAX_PIXELS:
                    raise InputError(
                        f"{path} has {opened.width} × {opened.height} pixels, which is too many for a drawing; "
                        "make it smaller"
                    )
                picture = ImageOps.exif_transpose(opened).convert("RGBA")
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"there is no drawing at {path}; check the path") from None
    except UnidentifiedImageError:
        raise InputError(f"{path} is neither PNG nor JPEG, whatever its name says; save it again") from None
    except Image.DecompressionBombError:
        raise InputError(f"{path} has too many pixels for a drawing; make it smaller") from None
    except Exception as error:
        # Decoders raise almost anything on damaged bytes.
        reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise InputError(f"{path} cannot be read as a drawing ({reason}); save it again") from error
    picture.thumbnail((_WORKING, _WORKING))
    return picture


def _svg_picture(svg: str, where: str, width: int | None = None, height: int | None = None) -> Image.Image:
    """Return an SVG document as RGBA, at its own shape if no size is given."""
    try:
        if width is None:
            width = _WORKING
        pixels = resvg_py.svg_to_bytes(svg_string=svg, width=width, height=height, skip_system_fonts=True)
    except ValueError as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise InputError(f"{where} is no valid SVG ({reason}); save it again as plain SVG") from error
    return Image.open(io.BytesIO(bytes(pixels))).convert("RGBA")


def _light_on_dark(picture: Image.Image, *, stretch: bool) -> NDArray[np.uint8]:
    """Return the ink of an RGBA drawing as light on black, uint8 (height, width), at full brightness if stretched."""
    rgba = np.asarray(picture, dtype=np.float64)
    grey = rgba[:, :, :3] @ np.array([0.299, 0.587, 0.114])
    cover = rgba[:, :, 3] / 255
    if cover.min() < 0.5:
        # Transparent paper is white under dark ink, black under light ink.
        ink = float((grey * cover).sum() / max(float(cover.sum()), 1e-6))
        grey = grey * cover + (255 if ink < 128 else 0) * (1 - cover)
    border = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    paper = float(np.median(border))
    light = np.abs(grey - paper) if 64 < paper < 192 else (paper - grey if paper >= 128 else grey - paper)
    # Drop the grain of the paper and the noise of a JPEG.
    light = np.where(light < _INK / 2, 0, light)
    brightest = float(light.max())
    if not stretch and brightest > _INK:
        return np.rint(light).clip(0, 255).astype(np.uint8)
    return np.rint(light * (255 / brightest if brightest > _INK else 0)).clip(0, 255).astype(np.uint8)
