"""The LanceDB database of an index: its tables, what it records about itself, and its errors in one sentence."""

from __future__ import annotations

import asyncio
import json
import os
import re
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from galaxalign.errors import InputError

T = TypeVar("T")

GALAXIES, SAMPLE, ABOUT = "galaxies", "sample", "about"
"""The tables of an index: all galaxies; a fixed random sample of them; one row of JSON about the whole."""

FORMAT = 1
EXACT_BELOW = 200_000
"""Up to so many galaxies are compared one by one."""

HEALPIX, HEALPIX_ORDER = "healpix_29", 29
"""Column of the nested HEALPix cell of each position: at this order a cell is 0.4 milliarcsec wide."""


def connect(path: str | Path) -> Any:
    """Return the LanceDB database at a path or address.

    Raises
    ------
    InputError
        The library is missing, or the address cannot be reached.
    """
    # What it says of every new table is no news to users; set before the first import, which reads it.
    os.environ.setdefault("LANCEDB_LOG", "error")
    try:
        import lancedb
    except ImportError:
        raise InputError("an index needs LanceDB; pip install 'galaxalign[explore]'") from None
    if "://" not in str(path):
        try:
            return lancedb.connect(str(path))
        except OSError as error:
            reason = error.strerror or str(error)
            raise InputError(f"the folder {path} cannot be used for an index ({reason}); choose another") from error
    try:
        database = lancedb.connect(str(path))
        table_names(database)
    except (ValueError, RuntimeError, OSError) as error:
        told = re.search("<Message>(.*?)</Message>", str(error))
        reason = told[1] if told else " ".join(str(error).split())[:200]
        raise InputError(
            f"{path} cannot be reached ({reason}); check the address, the credentials and the region"
        ) from error
    return database


def table_names(database: Any) -> list[str]:
    """Return the tables that are there."""
    return list(database.list_tables().tables)


@contextmanager
def readable_errors(path: str | Path) -> Iterator[None]:
    """Raise InputError for what LanceDB raises where an index is damaged or its disk full."""
    try:
        yield
    except InputError:
        raise
    except (RuntimeError, OSError, ValueError) as error:
        reason = " ".join(re.sub(r", /\S*$", "", str(error)).split())[:200]
        raise InputError(
            f"the index {path} cannot be read or written ({reason}); it may have been made anew since it was opened: "
            "open it again; if its files are damaged, remove it and make it again with galaxalign index"
        ) from error


def is_index(path: str | Path) -> bool:
    """Tell whether a path is that of a folder that holds an index, or an address of an object store."""
    return "://" in str(path) or (Path(path) / f"{ABOUT}.lance").is_dir()


def read_about(database: Any, path: str | Path) -> dict[str, Any]:
    """Return what an index says of itself.

    Raises
    ------
    InputError
        It is none, or of another format.
    """
    if ABOUT not in table_names(database):
        raise InputError(f"there is no index at {path}; make one with galaxalign index EMBEDDINGS --out {path}")
    about: dict[str, Any] = json.loads(database.open_table(ABOUT).to_arrow().column("json")[0].as_py())
    if about.get("format") != FORMAT:
        raise InputError(f"{path} has index format {about.get('format')}, this version reads {FORMAT}; index again")
    return about


@cache
def _loop() -> asyncio.AbstractEventLoop:
    """Return an event loop in a thread of its own: a notebook or a server has one that is busy."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="galaxalign-index", daemon=True).start()
    return loop


if hasattr(os, "register_at_fork"):
    # Threads do not survive it.
    os.register_at_fork(after_in_child=_loop.cache_clear)


def awaited(what: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in the event loop of the index, and return its result."""
    return asyncio.run_coroutine_threadsafe(what, _loop()).result()


async def open_galaxies(path: str | Path, version: int) -> Any:
    """Return the galaxies as they are in one version: others may be added in the meantime."""
    import lancedb

    table = await (await lancedb.connect_async(str(path))).open_table(GALAXIES)
    await table.checkout(version)
    return table
