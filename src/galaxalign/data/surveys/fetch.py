"""Downloads that resume and are checked before they get their name."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from galaxalign.errors import InputError

CHECKSUMS = "checksums.json"
"""File in the download folder with the sha256 of each file and its published checksum."""

_CHUNK = 2**20
_TRIES = 6  # without a single new byte
_TIMEOUT = 60  # seconds
_PAUSE = 1.0  # seconds before the second try; doubled for each further one


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A published file.

    Parameters
    ----------
    name : str
        Local file name.
    url : str
        Address; "" if it must be downloaded by hand.
    size : int
        Approximate bytes, for the question before a large download.
    checksum : str
        "md5:…" or "sha256:…" as published; "" if unknown.
    optional : bool
        Fetched only with ``everything``.
    """

    name: str
    url: str
    size: int
    checksum: str = ""
    optional: bool = False


def file_digest(path: Path, kind: str = "sha256") -> str:
    """Return the checksum of a file, in constant memory."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, kind).hexdigest()


def download(file: RemoteFile, folder: Path, *, progress: Callable[[int], object] | None = None) -> bool:
    """Fetch one file into a folder, resuming an earlier call.

    Bytes are appended to NAME.part. If the server supports ranges, a broken connection or a killed process loses
    nothing; if the file changed on the server, the download restarts. It is renamed once its checksum matches.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / file.name
    if path.is_file():
        _check_present(file, path)
        if progress is not None:
            progress(path.stat().st_size)
    else:
        part = path.with_name(f"{path.name}.part")
        try:
            _gather(file, part, progress)
        except OSError as error:
            raise InputError(
                f"{part} cannot be written ({error.strerror or error}); make room and run again"
            ) from error
        _check_arrived(file, part)
        part.replace(path)
        _state_file(part).unlink(missing_ok=True)
    _record(folder, file)
    return bool(file.checksum)


class _BrokenOff(Exception):
    """The connection ended before the file did."""


def _gather(file: RemoteFile, part: Path, progress: Callable[[int], object] | None) -> None:
    """Append to the part until it is complete."""
    tries, pause, counted = 0, _PAUSE, 0
    while True:
        before = part.stat().st_size if part.is_file() else 0
        try:
            _one_connection(file, part, counted, progress)
            return
        except urllib.error.HTTPError as error:
            if error.code < 500 and error.code not in (408, 429):
                raise InputError(
                    f"{file.url} answers {error.code} {error.reason}; fetch {file.name} by hand and use "
                    "data convert --from, or name another server with --mirror"
                ) from None
            reason = f"{error.code} {error.reason}"
        except (_BrokenOff, urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError) as error:
            reason = str(getattr(error, "reason", error)) or type(error).__name__
        there = part.stat().st_size if part.is_file() else 0
        counted = max(counted, there)
        tries, pause = (0, _PAUSE) if there > before else (tries + 1, pause * 2)
        if tries >= _TRIES:
            raise InputError(
                f"{file.url} cannot be fetched ({reason}); {there:,} bytes have come: run again to continue from there"
            ) from None
        time.sleep(min(pause, 60.0))


def _one_connection(file: RemoteFile, part: Path, counted: int, progress: Callable[[int], object] | None) -> None:
    """Request the missing bytes and append them; raise _BrokenOff if the answer is incomplete."""
    state = _read_state(part, file.url)
    there = part.stat().st_size if state and part.is_file() else 0
    if state and state["size"] is not None and there == state["size"]:
        return
    headers = {"User-Agent": "galaxalign", "Accept-Encoding": "identity"}
    if there:
        headers["Range"] = f"bytes={there}-"
        if state["validator"]:
            headers["If-Range"] = state["validator"]
    try:
        answer = urllib.request.urlopen(urllib.request.Request(file.url, headers=headers), timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # what is there does not fit the file any more
            part.unlink(missing_ok=True)
            raise _BrokenOff("the file changed on the server") from None
        raise
    with answer:
        continues = answer.status == 206 and _range_start(answer.headers) == there
        size = _whole_size(answer, there if continues else 0)
        if continues and state and state["size"] not in (None, size):
            part.unlink()
            raise _BrokenOff("the file changed on the server")
        if answer.status == 206 and not continues:
            part.unlink(missing_ok=True)
            raise _BrokenOff("the server sent another range than was asked for")
        start = there if continues else 0
        if not continues:
            # Delete old bytes before the new state is written, so that a kill in between never mixes two files.
            part.unlink(missing_ok=True)
            _write_state(part, {"url": file.url, "validator": _validator(answer.headers), "size": size})
        if size is not None and shutil.disk_usage(part.parent).free < size - start:
            raise InputError(f"{part.parent} has no room for the {size - start:,} bytes that are missing; make room")
        with part.open("ab") as target:
            if progress is not None and start > counted:
                progress(start - counted)
            came = start
            while block := answer.read(_CHUNK):
                target.write(block)
                came += len(block)
                if progress is not None and came > counted:
                    progress(min(len(block), came - counted))
    if size is not None and came != size:
        raise _BrokenOff(f"{came:,} of {size:,} bytes came")


def _range_start(headers: Any) -> int | None:
    text = str(headers.get("Content-Range", ""))
    with suppress(ValueError):
        return int(text.removeprefix("bytes ").split("-")[0])
    return None


def _whole_size(answer: Any, start: int) -> int | None:
    total = str(answer.headers.get("Content-Range", "")).rpartition("/")[2]
    if answer.status == 206 and total.isdigit():
        return int(total)
    length = answer.headers.get("Content-Length")
    return start + int(length) if length is not None else None


def _validator(headers: Any) -> str | None:
    """Return the identifier of this version of the file; a weak ETag must not be used with a range."""
    tag: str | None = headers.get("ETag")
    modified: str | None = headers.get("Last-Modified")
    return tag if tag and not tag.startswith("W/") else modified


def _state_file(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _read_state(part: Path, url: str) -> dict[str, Any]:
    """Return the recorded state of the part; {} if unknown, and then its bytes are not used."""
    try:
        state = json.loads(_state_file(part).read_text())
        return state if state["url"] == url and "validator" in state and "size" in state else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _write_state(part: Path, state: Mapping[str, Any]) -> None:
    _replace(_state_file(part), json.dumps(state))


def _replace(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.new")
    with temporary.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _check_arrived(file: RemoteFile, part: Path) -> None:
    with part.open("rb") as target:
        os.fsync(target.fileno())
    if not file.checksum:
        return
    kind, _, expected = file.checksum.partition(":")
    found = file_digest(part, kind)
    if found != expected:
        part.unlink()
        _state_file(part).unlink(missing_ok=True)
        raise InputError(
            f"what came from {file.url} has the {kind} {found}, but {expected} is published; it was deleted: run "
            "again, and if it stays so the published file has changed"
        )


def _check_present(file: RemoteFile, path: Path) -> None:
    """Compare an existing file with the published checksum, or with the recorded one."""
    recorded = _recorded(path.parent).get(path.name, {}).get("sha256")
    kind, _, expected = (file.checksum or (f"sha256:{recorded}" if recorded else "")).partition(":")
    if expected and (found := file_digest(path, kind)) != expected:
        raise InputError(f"{path} has the {kind} {found}, not {expected}; delete it to fetch it again")


def _recorded(folder: Path) -> dict[str, dict[str, Any]]:
    try:
        return dict(json.loads((folder / CHECKSUMS).read_text()))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise InputError(f"{folder / CHECKSUMS} is damaged ({error}); delete it") from None


def _record(folder: Path, file: RemoteFile) -> None:
    known = _recorded(folder)
    if file.name not in known:
        known[file.name] = {
            "sha256": file_digest(folder / file.name),
            "published": file.checksum or None,
            "url": file.url,
        }
        _replace(folder / CHECKSUMS, json.dumps(dict(sorted(known.items())), indent=1))
