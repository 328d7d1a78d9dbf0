"""Making a store; an interrupted run resumes to the same bytes."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from galaxalign.data.catalogs.catalog import Catalog, order_digest
from galaxalign.data.catalogs.pictures import iter_pictures
from galaxalign.data.catalogs.store import (
    CANVAS,
    FAILED,
    IMAGES,
    PROGRESS_FILE,
    STORE_FILE,
    STORE_TABLE,
    Store,
    open_store,
)
from galaxalign.data.images import OK, Location, Preprocessing
from galaxalign.data.tables import check_output, write_table
from galaxalign.errors import InputError
from galaxalign.progress import progress

if TYPE_CHECKING:
    import pandas as pd

_BATCH = 64
_FLUSH = 32 * 2**20  # bytes of pictures between two records of progress


def prepare_store(
    catalog: Catalog,
    out: str | Path,
    preprocessing: Preprocessing,
    *,
    canvas: Preprocessing | None = None,
    workers: int | None = None,
    quiet: bool = False,
) -> Store:
    """Decode and frame every picture of a catalogue once, into memory-mapped files.

    Files are appended and synced before the progress is recorded; store.json is written last. The same call on the
    same folder resumes, to the same bytes.

    Parameters
    ----------
    catalog : Catalog
    out : path
        Folder of the store.
    preprocessing : Preprocessing
        What a model sees.
    canvas : Preprocessing, optional
        The larger picture that training needs, if any.
    workers : int, optional
        Threads that decode; one for each processor by default.
    quiet : bool

    Returns
    -------
    Store

    Raises
    ------
    InputError
        The folder holds something else, another process is writing to it, or the disk is full.
    """
    folder = Path(out)
    if catalog.store is not None:
        raise InputError(f"{catalog.store} is a store already; prepare from the catalogue that it was made of")
    check_output(folder, folder=True)
    views = {IMAGES: preprocessing} | ({CANVAS: canvas} if canvas is not None and canvas != preprocessing else {})
    request = _request(catalog, views)
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder):
        if (folder / STORE_FILE).is_file():
            done = open_store(folder)
            _same_request(folder, {key: done.about.get(key) for key in request}, request)
            _tidy(folder, views)
            return done
        _check_space(folder, len(catalog), views)
        state = _state(folder, request)
        _write_catalog(catalog, folder)
        with progress("preparing", len(catalog) * len(views), quiet=quiet) as advance:
            for name, view in views.items():
                _write_view(catalog, folder, name, view, state, workers, advance)
        _finish(catalog, folder, views, request)
    return open_store(folder)


def _request(catalog: Catalog, views: dict[str, Preprocessing]) -> dict[str, Any]:
    """Return what the bytes of the store depend on besides the image files."""
    return {
        "format": 1,
        "n": len(catalog),
        "source": catalog.source,
        "catalog_fingerprint": catalog.fingerprint,
        "order": order_digest(catalog),
        "views": [{"file": name, "preprocessing": view.to_dict()} for name, view in views.items()],
    }


def _same_request(folder: Path, then: dict[str, Any], now: dict[str, Any]) -> None:
    if then == now:
        return
    if then["views"] != now["views"]:
        was, wanted = (
            " and ".join(f"[{Preprocessing.from_dict(view['preprocessing'])}]" for view in each["views"])
            for each in (then, now)
        )
        raise InputError(f"{folder} holds pictures with {was}, not {wanted}; choose another --out or delete it")
    raise InputError(
        f"{folder} was made of another catalogue than {now['source']} as it is now "
        f"({', '.join(key for key in now if then.get(key) != now[key])} differ); choose another --out or delete it"
    )


def _state(folder: Path, request: dict[str, Any]) -> dict[str, Any]:
    """Return the progress of an interrupted or a new run."""
    path = folder / PROGRESS_FILE
    if not path.is_file():
        foreign = sorted(each.name for each in folder.iterdir() if not each.name.startswith("."))
        if foreign:
            raise InputError(f"{folder} holds other files ({', '.join(foreign[:3])}); choose an empty folder as --out")
        new: dict[str, Any] = {"request": request, "done": {}}
        _write_synced(path, json.dumps(new, indent=1).encode())
        return new
    try:
        state: dict[str, Any] = json.loads(path.read_text())
        _same_request(folder, state["request"], request)
    except InputError:
        raise
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is damaged ({error}); delete {folder} and start again") from None
    return state


def _check_space(folder: Path, n: int, views: dict[str, Preprocessing]) -> None:
    there = sum((folder / name).stat().st_size for name in views if (folder / name).is_file())
    needed = sum(n * view.side**2 * 3 for view in views.values()) - there
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise InputError(
            f"the store {folder} needs {needed / 1e9:.1f} GB more and the disk has {free / 1e9:.1f} GB free; "
            "make room or choose another --out"
        )


def _write_view(
    catalog: Catalog,
    folder: Path,
    name: str,
    view: Preprocessing,
    state: dict[str, Any],
    workers: int | None,
    advance: Any,
) -> None:
    """Append the missing pictures of one file."""
    row_bytes = view.side**2 * 3
    header = _header(len(catalog), view.side)
    done = state["done"].setdefault(name, {"rows": 0, "failures": 0})
    advance(done["rows"])
    try:
        with (folder / name).open("ab") as pictures, _failures(folder, name).open("ab") as failures:
            if done["rows"] == 0:
                pictures.truncate(0)
                pictures.write(header)
            # Bytes beyond the last record are from the interrupted write.
            _cut(pictures, len(header) + done["rows"] * row_bytes)
            _cut(failures, done["failures"])
            if done["rows"] == len(catalog):
                return
            first, unrecorded = done["rows"], 0
            rest = catalog.select(np.arange(first, len(catalog)))
            for rows, batch, statuses in iter_pictures(rest, view, batch_size=_BATCH, workers=workers):
                pictures.write(batch.data)
                for row, status in enumerate(statuses, first + rows.start):
                    if status != OK:
                        failures.write(json.dumps({"row": row, "status": status}).encode() + b"\n")
                unrecorded += len(statuses)
                if unrecorded * row_bytes >= _FLUSH or first + rows.stop == len(catalog):
                    _sync(pictures)
                    _sync(failures)
                    done |= {"rows": first + rows.stop, "failures": failures.tell()}
                    _write_synced(folder / PROGRESS_FILE, json.dumps(state, indent=1).encode())
                    unrecorded = 0
                advance(len(statuses))
    except OSError as error:
        raise InputError(
            f"{folder / name} cannot be written ({error.strerror or error}); see to it and run again"
        ) from error


def _write_catalog(catalog: Catalog, folder: Path) -> None:
    """Write the table before decoding, which takes hours."""
    table = catalog.table.copy()
    table["file_loc"] = [_from(folder, path) for path in catalog.paths()]
    _write_table_synced(table, folder / STORE_TABLE)


def _from(folder: Path, path: Location) -> str:
    """Return a location relative to the store."""
    return path if isinstance(path, str) else os.path.relpath(path.absolute(), folder.absolute())


def _write_table_synced(table: pd.DataFrame, path: Path) -> None:
    write_table(table, path)
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _finish(catalog: Catalog, folder: Path, views: dict[str, Preprocessing], request: dict[str, Any]) -> None:
    """Write failed.parquet, then store.json, then delete the files for resuming."""
    import pandas as pd

    failed: dict[int, str] = {}
    for name in views:
        for line in _failures(folder, name).read_text().splitlines():
            failed.setdefault(json.loads(line)["row"], json.loads(line)["status"])
    order = sorted(failed)
    ids = catalog.ids
    frame = pd.DataFrame(
        {
            "row": np.array(order, dtype=np.int64),
            "id_str": pd.array([ids[row] for row in order], dtype="str"),
            "status": pd.array([failed[row] for row in order], dtype="str"),
        }
    )
    _write_table_synced(frame, folder / FAILED)
    about = request | {"n_failed": len(failed)}
    _write_synced(folder / STORE_FILE, json.dumps(about, indent=1).encode())
    _tidy(folder, views)


def _tidy(folder: Path, views: Sequence[str] | dict[str, Preprocessing]) -> None:
    for name in views:
        _failures(folder, name).unlink(missing_ok=True)
    (folder / PROGRESS_FILE).unlink(missing_ok=True)
    for left in (*folder.glob(".*.part"), *folder.glob(".*.parquet")):
        left.unlink()  # of a killed process


def _failures(folder: Path, name: str) -> Path:
    return folder / f"{name}.failures"


def _header(n: int, size: int) -> bytes:
    """Return the header of the .npy file, so that `numpy.load(..., mmap_mode="r")` reads it."""
    import io

    buffer = io.BytesIO()
    description = {"descr": "|u1", "fortran_order": False, "shape": (n, size, size, 3)}
    np.lib.format.write_array_header_1_0(buffer, description)
    return buffer.getvalue()


def _cut(file: BinaryIO, size: int) -> None:
    """Truncate a file to its recorded size; InputError if it is shorter."""
    file.flush()
    if file.seek(0, os.SEEK_END) < size:
        raise InputError(f"{file.name} is shorter than its record of progress says; delete its folder and start again")
    file.truncate(size)


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _write_synced(path: Path, content: bytes) -> None:
    """Replace a file whole or not at all, even after a power failure."""
    part = path.with_name(f".{path.name}.part")
    with part.open("wb") as file:
        file.write(content)
        _sync(file)
    part.replace(path)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":
        return  # elsewhere folders cannot be opened
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Lock the folder against a second process; the system releases the lock when this one ends."""
    if os.name != "posix":
        yield
        return
    import fcntl

    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise InputError(f"another process is preparing {folder}; wait for it, or choose another --out") from None
    finally:
        os.close(handle)
