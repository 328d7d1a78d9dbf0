"""The verb prepare: pictures decoded and framed once."""

from __future__ import annotations

from pathlib import Path

from galaxalign import models, options as opt
from galaxalign.data import catalogs, images
from galaxalign.errors import InputError
from galaxalign.progress import note
from galaxalign.signature import verb


@verb
def prepare(
    *,
    catalog: opt.Catalog,
    out: opt.StoreOut,
    crop: opt.Crop = None,
    size: opt.StoreSize = None,
    stretch: opt.Stretch = None,
    bands: opt.Bands = None,
    pixel_scale: opt.PixelScale = None,
    model: opt.StoreModel = None,
    for_training: opt.ForTraining = False,
    workers: opt.Threads = None,
    quiet: opt.Quiet = False,
) -> Path:
    """Decode, crop and resize all pictures once; rerun to resume.

    Give the store in place of the catalogue. A resumed run ends with the same bytes.

    Returns
    -------
    Path
        The store: pictures as .npy, the catalogue's table, and the pictures that cannot be read.

    Raises
    ------
    InputError
        The catalogue cannot be used, or no picture can be read.
    """
    options = images.ImageOptions(crop=crop, size=size, stretch=stretch, bands=bands, pixel_scale=pixel_scale)
    if model is None:
        preprocessing = options.applied_to(images.Preprocessing())
    elif options.given:
        raise InputError(f"--model sets how pictures are prepared; leave out {options.flags}, or --model")
    else:
        preprocessing = models.load_model(model).encoder.preprocessing
    canvas = preprocessing.with_margin(preprocessing.widest_margin()) if for_training else None
    store = catalogs.prepare_store(
        catalogs.read_catalog(catalog), out, preprocessing, canvas=canvas, workers=workers, quiet=quiet
    )
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
