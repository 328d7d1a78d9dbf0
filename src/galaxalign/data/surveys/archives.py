"""Pictures and tables from zip and tar archives; no file is ever written outside its folder."""

from __future__ import annotations

import gzip
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO

from galaxalign.errors import InputError

ARCHIVE_SUFFIXES = (".zip", ".tgz", ".tar.gz", ".tar")

_DAMAGED = (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, gzip.BadGzipFile)


@contextmanager
def _archive_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except _DAMAGED as error:
        zipped = _begins(path, b"PK")
        # tarfile gives a line for each compression it tried if it recognises none.
        unknown = isinstance(error, tarfile.ReadError) and "\n" in str(error) and not zipped
        reason = "it begins as no zip or tar file does" if unknown else _reason(error)
        kind = "zip archive" if zipped else "archive"
        raise InputError(f"{path} is a truncated or damaged {kind} ({reason}); fetch it again") from error
    except NotImplementedError as error:  # zipfile lacks the compression
        raise InputError(f"{path} cannot be unpacked here ({error}); unpack it yourself and give the folder") from error
    except FileNotFoundError:
        raise InputError(f"there is no archive at {path}") from None


def _begins(path: Path, signature: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(signature)) == signature


def _reason(error: BaseException) -> str:
    """Return in plain words why an archive could not be read."""
    if isinstance(error, tarfile.ReadError | EOFError):
        return "its end is missing, or it is neither zip nor tar"
    if isinstance(error, zipfile.BadZipFile | zlib.error | gzip.BadGzipFile):
        return "its bytes do not fit their checksum or its list of files"
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__


@contextmanager
def _whole(target: Path) -> Iterator[IO[bytes]]:
    """Write a file whole or not at all; after an error no part and no empty new folder remains."""
    missing = [folder for folder in target.parents if not folder.exists()]
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    try:
        with part.open("wb") as file:
            yield file
        part.replace(target)
    except BaseException:
        part.unlink(missing_ok=True)
        for folder in missing:  # the innermost first
            folder.rmdir()
        raise


def _climbs(name: str) -> bool:
    """Return whether a name leads out of the folder that the archive is unpacked in, on any system."""
    for path in (PurePosixPath(name), PureWindowsPath(name)):
        if path.is_absolute() or path.drive or path.root or ".." in path.parts:
            return True
    return False


def members(path: Path) -> dict[str, int]:
    """Return the files in an archive and their sizes in bytes, without the debris of macOS."""
    found: dict[str, int] = {}
    with _archive_errors(path):
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                entries = [(entry.filename, entry.file_size, not entry.is_dir()) for entry in archive.infolist()]
        else:
            with tarfile.open(path) as tar:
                entries = [(entry.name, entry.size, entry.isfile()) for entry in tar]
    for name, size, is_file in entries:
        if _climbs(name):
            raise InputError(
                f"{path} holds {name!r}, which would be written outside the folder it is unpacked in; nothing was "
                "taken from it: fetch the published file"
            )
        if is_file and not PurePosixPath(name).name.startswith("._") and "__MACOSX" not in name:
            found[name] = size
    return found


def extract(path: Path, wanted: Mapping[str, Path], *, progress: Callable[[int], object] | None = None) -> None:
    """Write some members of an archive to the given files; skip those that are complete."""
    sizes = members(path)

    def write(name: str, source: IO[bytes]) -> None:
        target = wanted[name]
        if not (target.is_file() and target.stat().st_size == sizes[name]):
            with _whole(target) as file:
                shutil.copyfileobj(source, file)
        if progress is not None:
            progress(1)

    with _archive_errors(path):
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                for name in sizes:
                    if name in wanted:
                        with archive.open(name) as source:
                            write(name, source)
        else:
            with tarfile.open(path) as tar:
                for entry in tar:
                    data = tar.extractfile(entry) if entry.name in wanted else None
                    if data is not None:
                        write(entry.name, data)


def gunzip(path: Path, target: Path) -> Path:
    """Unpack a .gz file unless the target exists; return the target."""
    if not target.is_file():
        with _archive_errors(path), gzip.open(path) as source, _whole(target) as file:
            shutil.copyfileobj(source, file, 2**20)
    return target
