"""What is done with data before there is a model: known data sets, and stores of prepared pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from galaxalign.data.catalog import read_catalog
from galaxalign.data.convert import convert_survey
from galaxalign.data.files import refuse_address
from galaxalign.data.prepare import prepare_store
from galaxalign.data.preprocessing import Preprocessing
from galaxalign.data.surveys import Survey, fetch_survey, find_survey, surveys
from galaxalign.errors import InputError
from galaxalign.progress import note

__all__ = ["convert", "data_sets", "fetch", "prepare"]


def data_sets() -> tuple[Survey, ...]:
    """Return the known data sets: what they are, their terms, and where their files lie."""
    return surveys()


def fetch(
    *,
    name: str,
    out: str | Path | None = None,
    everything: bool = False,
    yes: bool = False,
    mirror: str | None = None,
    quiet: bool = False,
) -> list[Path]:
    """Download the published files of a known data set; says its licence and what to cite.

    Interrupted at any moment, the same call continues. Published checksums are compared; where none is published
    that of what came is recorded in OUT/checksums.json.

    Parameters
    ----------
    name : str
        As `data_sets` lists it.
    out : path, optional
        Folder; the name of the data set by default.
    everything : bool
        The files that few need, too (pictures of 100 GB, predictions of models).
    yes : bool
        More than a gigabyte is wanted.
    mirror : str, optional
        Address of a folder with these files, if not where they are published.
    quiet : bool

    Returns
    -------
    list of Path

    Raises
    ------
    InputError
        The name is unknown, more than a gigabyte was not agreed to, or the files cannot be had.
    """
    survey = find_survey(name)
    folder = Path(out) if out is not None else Path(name)
    return fetch_survey(survey, folder, everything=everything, yes=yes, mirror=mirror, quiet=quiet)


def convert(*, name: str, from_: str | Path | Sequence[str | Path], out: str | Path, quiet: bool = False) -> Path:
    """Make a catalogue of the published files of a known data set.

    Parameters
    ----------
    name : str
        As `data_sets` lists it; "huggingface" for whatever the library `datasets` can load.
    from_ : path or sequence of path
        The files, or folders that hold them; archives need not be unpacked. With "huggingface" a name on the hub, or
        a folder.
    out : path
        Folder for catalog.parquet, and for pictures that come out of archives.
    quiet : bool

    Returns
    -------
    Path
        The catalogue.

    Raises
    ------
    InputError
        The name is unknown, a file is missing or not as published.
    """
    given = [from_] if isinstance(from_, str | Path) else list(from_)
    if name == "huggingface":
        from galaxalign.data.hugging_face import convert_hugging_face

        if len(given) != 1:
            raise InputError(f"--from names {len(given)} data sets of Hugging Face; convert one at a time")
        return convert_hugging_face(str(given[0]), Path(out), quiet=quiet)
    for source in given:
        refuse_address(source, f"galaxalign data fetch {name} downloads the published files")
    return convert_survey(find_survey(name), [Path(path) for path in given], Path(out), quiet=quiet)


def prepare(
    *,
    catalog: str | Path,
    out: str | Path,
    crop: float | str | None = None,
    size: int | None = None,
    stretch: str | None = None,
    bands: str | Sequence[str] | None = None,
    pixel_scale: str | float | None = None,
    model: str | Path | None = None,
    for_training: bool = False,
    workers: int | None = None,
    quiet: bool = False,
) -> Path:
    """Decode and frame every picture of a catalogue once; the store is then given in place of the catalogue.

    Interrupted at any moment, the same call continues, and ends with the same bytes.

    Parameters
    ----------
    catalog : path
    out : path
        Folder of the store: pictures as .npy, the catalogue's table, and what could not be read.
    crop : float or str, optional
        Central part of the pictures: a fraction, "64px" or "30arcsec"; 1 by default.
    size : int, optional
        Side of the result in pixels; 128 by default.
    stretch, bands, pixel_scale : optional
        How files of flux become pictures, as for `train`.
    model : path, optional
        Take all of this from a model.
    for_training : bool
        Keep what lies around the crop as well, as training turns and shifts the pictures. Where the crop is the
        whole picture there is nothing around it and every store is fit for training.
    workers : int, optional
        Threads that decode; one for each processor by default.
    quiet : bool

    Returns
    -------
    Path
        The store.

    Raises
    ------
    InputError
        Something about the input is at fault.
    """
    asked: dict[str, Any] = {"crop": crop, "size": size, "stretch": stretch, "bands": bands, "pixel_scale": pixel_scale}
    given = {name: value for name, value in asked.items() if value is not None}
    if model is not None and given:
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise InputError(f"--model says how pictures are prepared already; leave out {flags}, or --model")
    if model is not None:
        from galaxalign.encoders.folder import load_model

        preprocessing = load_model(model).encoder.preprocessing
    else:
        preprocessing = Preprocessing(**given)
    canvas = preprocessing.with_margin(preprocessing.widest_margin()) if for_training else None
    store = prepare_store(read_catalog(catalog), out, preprocessing, canvas=canvas, workers=workers, quiet=quiet)
    failed = int(store.about["n_failed"])
    if failed == len(store):
        raise InputError(
            f"none of the {failed} images of {catalog} could be read; the first: {store.statuses[0]} (delete "
            f"{store.folder} and prepare again)"
        )
    if failed:
        note(
            f"{failed} of {len(store)} images could not be read; {store.folder / 'failed.parquet'} says why",
            quiet=quiet,
        )
    return store.folder
