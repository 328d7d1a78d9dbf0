"""Where an image is: a file, a part of one, one file for each band, or a remote address."""

from __future__ import annotations

import atexit
import re
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from galaxalign.errors import InputError, reason

Location = Path | str
"""A local path or a remote address ("https://…", "s3://…"); "" where a catalogue names none."""

FITS_SUFFIXES = (".fits", ".fit", ".fts", ".fits.gz", ".fit.gz", ".fits.fz", ".fz")

_REMOTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_EXTENSION = re.compile(r"(.+(?:\.fits?|\.fts|\.fz|\.gz))\[([^\[\]]+)\]", re.IGNORECASE)
_ROW = re.compile(r"(.+?)::(.+)\[(-?\d+)\]")
_EXTRAS = {"s3": ("s3fs", "galaxalign[s3]"), "s3a": ("s3fs", "galaxalign[s3]")}
_TRIES = 3
_T = TypeVar("_T")


@dataclass(frozen=True)
class Place:
    """A location in parts: the file, the whole as `name` for errors, a FITS extension, an HDF5 dataset and its row."""

    file: Location
    name: str
    extension: str | None = None
    dataset: str | None = None
    row: int = 0

    @property
    def remote(self) -> bool:
        """Whether the file has to be fetched."""
        return isinstance(self.file, str)


def located(root: Location, file_loc: str) -> Location:
    """Return a catalogue's `file_loc` as a location: relative to `root` unless it is remote or empty."""
    if not file_loc.strip():
        return ""
    if _REMOTE.match(file_loc):
        return file_loc
    return f"{root.rstrip('/')}/{file_loc}" if isinstance(root, str) else root / file_loc


def resolved(location: Location) -> str:
    """Return a location that is valid in any folder: absolute unless it is remote."""
    return location if isinstance(location, str) else str(location.resolve())


def locate(location: Location) -> Place:
    """Return the parts of `file.fits[2]`, `file.fits[SCI]`, `file.h5::images[17]` or a bare file.

    Raises
    ------
    InputError
        It has "::" without a row counted from 0.
    """
    name = str(location)
    remote = _REMOTE.match(name) is not None

    def file(text: str) -> Location:
        return text if remote else Path(text)

    if "::" in name:
        match = _ROW.fullmatch(name)
        if match is None:
            raise InputError(f"{name} does not name a row of an HDF5 file; write FILE.h5::DATASET[ROW], rows from 0")
        if int(match[3]) < 0:
            raise InputError(f"{name} names the row {match[3]}; rows are counted from 0, and none is below it")
        return Place(file(match[1]), name, dataset=match[2].strip("/"), row=int(match[3]))
    match = _EXTENSION.fullmatch(name)
    if match is not None and (remote or not Path(name).is_file()):
        return Place(file(match[1]), name, extension=match[2].strip())
    return Place(file(name), name)


def is_remote(location: Location) -> bool:
    """Tell whether a location is an address such as "https://…" or "s3://…"."""
    return isinstance(location, str) and _REMOTE.match(location) is not None


def fetch(place: Place) -> bytes:
    """Return the bytes of a remote file through fsspec.

    Raises
    ------
    InputError
        It does not exist or cannot be reached, or the package for its kind of address is missing.
    """
    missing = f"there is no image at {place.name}; check file_loc in the catalogue"
    return _reach(str(place.file), lambda system, path: bytes(system.cat_file(path)), missing)


def local_copy(address: str) -> Path:
    """Return a copy of a remote file, deleted at the end of the process; errors are those of `fetch`."""
    folder = Path(tempfile.mkdtemp(prefix="galaxalign-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    copy = folder / address.rstrip("/").rpartition("/")[2]
    missing = f"there is no catalogue at {address}; a remote one must be a table, so name the file"
    _reach(address, lambda system, path: system.get_file(path, str(copy)), missing)
    if not copy.is_file():
        raise InputError(missing)
    return copy


def _reach(address: str, read: Callable[[Any, str], _T], missing: str) -> _T:
    """Call `read` with the file system and path of a remote file; retry if the network fails."""
    import fsspec

    scheme = address.partition("://")[0].lower()
    for attempt in range(_TRIES):
        try:
            system, path = fsspec.core.url_to_fs(address)
            return read(system, path)
        except FileNotFoundError:
            raise InputError(missing) from None
        except ImportError:
            package, extra = _EXTRAS.get(scheme, (f"fsspec's package for {scheme}://", f"fsspec[{scheme}]"))
            raise InputError(f"{address} needs {package}; install it with: pip install '{extra}'") from None
        except ValueError as error:
            if "rotocol not known" not in str(error):
                raise InputError(f"{address} cannot be fetched ({reason(error)}); check the address") from error
            raise InputError(f"{address} has an unknown kind of address; use https:// or s3:// or a file") from None
        except PermissionError:
            raise InputError(f"{address} may not be read; check your credentials for it") from None
        except Exception as error:  # each protocol has its own errors
            if type(error).__name__ == "NoCredentialsError":
                raise InputError(
                    f"{address} needs credentials; set those of AWS, or FSSPEC_S3_ANON=true for a public bucket"
                ) from None
            if attempt == _TRIES - 1:
                raise InputError(f"{address} cannot be fetched ({reason(error)}); try again later") from error
            time.sleep(0.5 * 2**attempt)
    raise AssertionError("unreachable")


def without_suffix(path: Path) -> str:
    """Return the name of an image file without its suffix, as ".jpg" or ".fits.gz"."""
    suffix = max((s for s in FITS_SUFFIXES if path.name.lower().endswith(s)), key=len, default=path.suffix)
    return path.name[: len(path.name) - len(suffix)]


def pattern_rows(pattern: str) -> tuple[Path, list[tuple[str, str]]]:
    """Return the galaxies that match a pattern such as "cutouts/{id}_{band}.fits".

    Parameters
    ----------
    pattern : str
        With {id}, and {band} where each band has its own file or, in brackets, its own extension.

    Returns
    -------
    root : Path
        The folder before the first placeholder.
    rows : list of (str, str)
        Id and location relative to root, with {band} left in it; sorted by id.
    """
    # The same extension of every file, "{id}.fits[SCI]", is no part of their names.
    match = _EXTENSION.fullmatch(pattern)
    extension = f"[{match[2]}]" if match is not None and "{id}" not in match[2] else ""
    path = Path(pattern.removesuffix(extension))
    fixed = next(number for number, part in enumerate(path.parts) if "{" in part)
    root = Path(*path.parts[:fixed]) if fixed else Path()
    rest = Path(*path.parts[fixed:]).as_posix()
    seen: set[str] = set()
    expression = ""
    for piece in re.split(r"(\{id\}|\{band\})", rest):
        if piece in ("{id}", "{band}"):
            name = piece[1:-1]
            # A band has no "_" so that galaxy_12_g is band g of galaxy_12.
            expression += f"(?P={name})" if name in seen else f"(?P<{name}>{'[^/]+' if name == 'id' else '[^/_]+'})"
            seen.add(name)
        else:
            expression += re.escape(piece)
    if "id" not in seen:
        raise InputError(f"the pattern {pattern} has no {{id}}; write for example cutouts/{{id}}_{{band}}.fits")
    glob = re.sub(r"\[", "[[]", rest).replace("{id}", "*").replace("{band}", "*")
    matcher = re.compile(expression)
    found = {match["id"] for file in root.glob(glob) if (match := matcher.fullmatch(file.relative_to(root).as_posix()))}
    return root, [(identity, rest.replace("{id}", identity) + extension) for identity in sorted(found)]
