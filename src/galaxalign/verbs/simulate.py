"""The verb simulate: a labelled survey of simulated galaxies."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from galaxalign import morphology, options as opt
from galaxalign.data import tables
from galaxalign.errors import InputError
from galaxalign.progress import progress
from galaxalign.signature import verb

_JPEG_QUALITY = 92

_SMALLEST = 32

_CHUNK = 8


@verb
def simulate(
    *,
    taxonomy: opt.Taxonomy = "galaxy10_decals",
    n: opt.Number = 2000,
    out: opt.SurveyOut,
    size: opt.PictureSize = 128,
    seed: opt.Seed = 0,
    workers: opt.Processes = None,
    quiet: opt.Quiet = False,
) -> Path:
    """Simulate a survey of galaxies whose true morphology is known.

    All classes have equal numbers. The folder is new, empty, or has an earlier simulated survey, which is replaced.

    Returns
    -------
    Path
        The catalogue, with `id_str`, `file_loc`, `label`, and `true_<field>` for each field of Morphology (empty where
        it has no meaning for that galaxy).

    Raises
    ------
    InputError
        A number is out of range, or the folder cannot be written or holds other files.
    """
    import joblib
    import pandas as pd

    classes = morphology.load_taxonomy(taxonomy).classes
    for name, value, least in (("n", n, 1), ("size", size, _SMALLEST), ("seed", seed, 0), ("workers", workers, 1)):
        if value is not None and value < least:
            raise InputError(f"{name} is {value}; simulate needs {least} or more")
    out = Path(out)
    images = _prepare(out)
    tasks = [(index, classes[index % len(classes)].morphology) for index in range(n)]
    chunks = [tasks[start : start + _CHUNK] for start in range(0, n, _CHUNK)]
    processes = min(workers or joblib.cpu_count(), len(chunks))
    truths: list[morphology.Morphology] = []
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
            **{f"true_{field}": getattr(truth, field) for field in morphology.Morphology.field_names()},
        }
        for index, truth in enumerate(truths)
    ]
    frame = pd.DataFrame(rows)
    numbers = frame.select_dtypes("float").columns
    frame[numbers] = frame[numbers].round(4)
    frame["true_arms"] = frame["true_arms"].astype("Int64")
    return tables.write_table(frame, out / "catalog.csv")


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
    tables.check_output(out, folder=True)
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


def _draw_chunk(
    tasks: Sequence[tuple[int, morphology.Morphology]], images: Path, size: int, seed: int
) -> list[morphology.Morphology]:
    """Draw and save some galaxies; return what they truly are."""
    import numpy as np
    from PIL import Image

    truths = []
    for index, typical in tasks:
        rng = np.random.default_rng([seed, index])
        truth = morphology.complete(morphology.scatter(typical, rng), rng)
        picture = morphology.draw_galaxy(truth, rng, size=size)
        path = images / f"{_name(index)}.jpg"
        try:
            Image.fromarray(picture).save(path, quality=_JPEG_QUALITY)
        except OSError as error:
            raise InputError(f"{path} cannot be written ({error.strerror or error}); choose another folder") from None
        truths.append(truth)
    return truths
