"""A catalogue with pictures from a data set of the Hugging Face library `datasets`, on the hub or in a folder."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image, UnidentifiedImageError

from galaxalign.data.catalogs import as_catalog
from galaxalign.data.surveys.convert import write_catalog
from galaxalign.data.tables import check_output
from galaxalign.errors import InputError
from galaxalign.progress import note, progress

_PARTS = {"train": "train", "validation": "validation", "valid": "validation", "val": "validation", "test": "test"}


def convert_hugging_face(source: str, out: Path, *, quiet: bool = False) -> Path:
    """Write pictures and catalogue of a data set that the library `datasets` can load.

    Parameters
    ----------
    source : str
        A folder (as `save_to_disk` writes it, or of Parquet files), or a name on the hub such as
        "mwalmsley/gz_evo".
    out : Path
        Folder for catalog.parquet and images.
    quiet : bool

    Returns
    -------
    Path
        The catalogue: `id_str` of the data set, or part and row from 0; `label` as class names; all columns of
        single values; `part` (and split.parquet) if the data set has parts.

    Raises
    ------
    InputError
        If the library is missing, or the data set cannot be loaded or has no column of pictures.
    """
    import pandas as pd

    check_output(out, folder=True)
    parts = _load(source)
    rows: list[dict[str, Any]] = []
    with progress("writing pictures", sum(len(part) for part in parts.values()), quiet=quiet) as done:
        for name, part in parts.items():
            for row in _rows(name, part, source, out, divided=len(parts) > 1):
                rows.append(row)
                done(1)
    lost = sum(not row["file_loc"] for row in rows)
    if lost:
        note(f"{lost} of {len(rows)} rows of {source} have no picture and are left out", quiet=quiet)
    table = pd.DataFrame([row for row in rows if row["file_loc"]])
    return write_catalog(as_catalog(table, root=out, source=out.resolve().name, where=source), out)


def _load(source: str) -> dict[str, Any]:
    """Return the parts of a data set by name."""
    try:
        import datasets
    except ImportError:
        raise InputError(
            "data sets of Hugging Face need the library datasets; install it with: pip install 'galaxalign[hub]'"
        ) from None
    folder = Path(source)
    try:
        saved = (folder / "dataset_dict.json").is_file() or (folder / "state.json").is_file()
        found: Any = datasets.load_from_disk(source) if saved else datasets.load_dataset(source)
    except Exception as error:  # hub, network and files each have their own errors
        reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise InputError(
            f"{source} cannot be loaded by the library datasets ({reason}); give a folder of its files, or a name on "
            "the hub"
        ) from error
    return dict(found) if isinstance(found, dict) else {"all": found}


def _rows(name: str, part: Any, source: str, out: Path, *, divided: bool) -> Iterator[dict[str, Any]]:
    """Write the pictures of one part; yield the rows of its table, with an empty file_loc if there is no picture."""
    import datasets

    pictures = [column for column, kind in part.features.items() if isinstance(kind, datasets.Image)]
    if not pictures:
        raise InputError(f"{source} has no column of pictures; its columns are {', '.join(part.features)}")
    plain = [
        column
        for column, kind in part.features.items()
        if isinstance(kind, datasets.Value | datasets.ClassLabel) and column.lower() not in ("file_loc", "part")
    ]
    names = {column: part.features[column].names for column in plain if hasattr(part.features[column], "names")}
    folder = out / "images"
    folder.mkdir(parents=True, exist_ok=True)
    shown = pictures[0]
    part = part.select_columns([shown, *plain]).cast_column(shown, datasets.Image(decode=False))
    for number, row in enumerate(part):
        values = {column: row[column] for column in plain}
        for column, classes in names.items():
            code = values[column]
            values[column] = classes[code] if code is not None and code >= 0 else ""
        known = next((values.pop(column) for column in plain if column.lower() == "id_str"), None)
        identity = str(known) if known is not None else f"{name}_{number}"
        values = {"id_str": identity, "file_loc": _save(row[shown], folder / f"{name}_{number}"), **values}
        yield values | ({"part": _PARTS.get(name, name)} if divided else {})


def _save(picture: dict[str, Any] | None, stem: Path) -> str:
    """Write the bytes of a picture unchanged and return its file_loc; "" if there is no picture."""
    if not picture or not (picture["bytes"] or picture["path"]):
        return ""
    if not picture["bytes"]:
        return str(Path(picture["path"]).absolute())
    try:
        with Image.open(BytesIO(picture["bytes"])) as opened:
            suffix = f".{(opened.format or 'image').lower()}"
    except (UnidentifiedImageError, OSError):
        suffix = ".image"  # kept; reading the catalogue reports it
    path = stem.with_name(stem.name + suffix)
    path.write_bytes(picture["bytes"])
    return f"images/{path.name}"
