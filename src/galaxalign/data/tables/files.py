"""What all table files share: suffixes, the text of a cell, and writing whole or not at all."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from galaxalign.errors import InputError

TABLE_SUFFIXES = (".csv", ".csv.gz", ".parquet", ".fits", ".vot")
"""The formats of tables that are read and written."""

# One slash, because Path makes one of two; two letters, because "C:/" is a drive.
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")


def refuse_address(source: str | Path, advice: str) -> None:
    """Raise InputError if a local file is needed and an address ("https://...", "s3://...") is given."""
    if _ADDRESS.match(str(source)) and not Path(source).exists():
        raise InputError(f"{source} is an address, and only files on this machine are read here; {advice}")


def table_suffix(path: Path) -> str:
    """Return the suffix of a table in lower case, both parts of ".csv.gz"."""
    return ".csv.gz" if path.name.lower().endswith(".csv.gz") else path.suffix.lower()


def cell_text(value: object) -> str:
    """Return the text of a cell without blanks around it; "" for a missing value."""
    if isinstance(value, bytes):
        value = value.decode("utf-8")
    text = str(value).strip()
    return "" if value is None or text in ("nan", "<NA>") else text


def check_output(path: str | Path, *, folder: bool = False, suffixes: Sequence[str] = ()) -> None:
    """Check before long work that a file can be written.

    Parameters
    ----------
    path : path
        The file to be written; missing folders above it are made later.
    folder : bool
        The output is a folder of files instead.
    suffixes : sequence of str
        Suffixes to choose from, as `TABLE_SUFFIXES`. Default: any.

    Raises
    ------
    InputError
        The path exists as the other kind, the suffix is not known, or the system refuses to write.
    """
    path = Path(path)
    if suffixes and table_suffix(path) not in suffixes:
        raise InputError(f"the output {path} must end in one of {', '.join(suffixes)}")
    if path.exists() and path.is_dir() != folder:
        what = "a file, not a folder" if folder else "a folder, not a file"
        raise InputError(f"the output {path} is {what}; choose another name")
    if path.is_file() and not os.access(path, os.W_OK):
        raise InputError(f"the output {path} exists and is write-protected; choose another name")
    place = path if folder else path.parent
    while not place.exists() and place != place.parent:
        place = place.parent
    if not place.is_dir():
        raise InputError(f"the output {path} cannot be written, because {place} is not a folder")
    probe = place / f".galaxalign-{os.getpid()}.tmp"
    try:
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise InputError(cannot_write(path, error)) from None


def write_json(value: Any, path: str | Path) -> Path:
    """Write JSON whole or not at all; raises InputError if the path cannot be written."""
    return write_text(json.dumps(value, indent=2), path)


def write_text(text: str, path: str | Path) -> Path:
    """Write text whole or not at all; raises InputError if the path cannot be written."""
    path = Path(path)
    part = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise InputError(cannot_write(path, error)) from error
    finally:
        part.unlink(missing_ok=True)
    return path


def cannot_write(path: Path, error: OSError) -> str:
    """Return the sentence for an output that the system refuses to write."""
    return f"the output {path} cannot be written ({error.strerror or error}); choose another place"
