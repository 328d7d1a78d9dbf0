"""The known data sets: description, licence and files."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cache
from importlib import resources
from pathlib import Path

from galaxalign.data.surveys.fetch import RemoteFile, download
from galaxalign.errors import InputError
from galaxalign.progress import note, progress
from galaxalign.strict_toml import TomlTable, parse_toml

MUCH = 1_000_000_000
"""Bytes above which a download needs ``--yes``."""

_SURVEY = "name title galaxies pictures labels taxonomy licence citation homepage note file".split()  # noqa: SIM905
_FILE = ["name", "url", "size", "checksum", "optional"]


@dataclass(frozen=True)
class Survey:
    """A published data set.

    Attributes
    ----------
    name, title : str
    galaxies : int
    pictures, labels : str
        In words.
    taxonomy : str
        Name of the taxonomy of its classes, or "".
    licence, citation, homepage, note : str
    files : tuple of RemoteFile
    """

    name: str
    title: str
    galaxies: int
    pictures: str
    labels: str
    taxonomy: str
    licence: str
    citation: str
    homepage: str
    note: str
    files: tuple[RemoteFile, ...]

    def wanted(self, everything: bool = False) -> tuple[RemoteFile, ...]:
        """Return the files to fetch, all or without the optional ones."""
        return tuple(file for file in self.files if everything or not file.optional)


@cache
def surveys() -> tuple[Survey, ...]:
    """Return the known data sets."""
    source = "surveys.toml"
    content = resources.files("galaxalign.data.surveys").joinpath(source).read_text("utf-8")
    top = TomlTable(parse_toml(content, source), source, ["survey"])
    return tuple(_survey(entry) for entry in top.tables("survey", _SURVEY))


def _survey(entry: TomlTable) -> Survey:
    files = [
        RemoteFile(
            name=file.text("name"),
            url=file.text("url"),
            size=file.get("size", int),
            checksum=file.text("checksum", ""),
            optional=file.get("optional", bool, False),
        )
        for file in entry.tables("file", _FILE)
    ]
    texts = {key: entry.text(key) for key in ("name", "title", "pictures", "labels", "licence", "citation", "homepage")}
    return Survey(
        **texts,
        galaxies=entry.get("galaxies", int),
        taxonomy=entry.text("taxonomy", ""),
        note=entry.text("note", ""),
        files=tuple(files),
    )


def find_survey(name: str) -> Survey:
    """Return a known data set; InputError with the closest name if the name is unknown."""
    known = {survey.name: survey for survey in surveys()}
    if name not in known:
        raise InputError(
            f"the data set {name!r} is unknown, the closest is {_closest(name, list(known))!r}; known are "
            f"{', '.join(known)}"
        )
    return known[name]


def _closest(name: str, known: Sequence[str]) -> str:
    """Return the most likely name: "gz2" is Galaxy Zoo 2, although other names contain "gz"."""
    asked = _spelt(name)
    spelt = {_spelt(other): other for other in reversed(known)}
    holding = [short for short in spelt if asked and asked in short]
    if holding:
        return spelt[min(holding, key=len)]
    return spelt[get_close_matches(asked, spelt, n=1, cutoff=0)[0]]


def _spelt(name: str) -> str:
    """Return the short form of a name: lower case, without dashes, "galaxy zoo" as "gz"."""
    return re.sub(r"[\W_]", "", name.lower()).replace("galaxyzoo", "gz")


def size_text(size: int) -> str:
    """Return a number of bytes in words."""
    return f"{size / 1e9:.1f} GB" if size >= MUCH else f"{max(1, round(size / 1e6))} MB"


def fetch_survey(
    survey: Survey,
    out: Path,
    *,
    everything: bool = False,
    yes: bool = False,
    mirror: str | None = None,
    quiet: bool = False,
    report: Callable[[str], object] = note,
) -> list[Path]:
    """Download the files of a data set, resuming an earlier call, and report its licence.

    Parameters
    ----------
    survey : Survey
    out : Path
        Folder for the files and checksums.json.
    everything : bool
        Include the optional files.
    yes : bool
        Agree to more than a gigabyte.
    mirror : str, optional
        Address of a folder that holds the files, instead of their publisher.
    quiet : bool
        No progress bars; licence and warnings are still reported.
    report : callable
        Receives each sentence about licence and checksums.

    Returns
    -------
    list of Path

    Raises
    ------
    InputError
        If a file needs an account, more than a gigabyte was not agreed to, or a download fails.
    """
    files = survey.wanted(everything)
    if mirror is not None:
        files = tuple(replace(file, url=f"{mirror.rstrip('/')}/{file.name}") for file in files)
    by_hand = [file.name for file in files if not file.url]
    if by_hand:
        raise InputError(
            f"{survey.name} needs an account: download {' and '.join(by_hand)} from {survey.homepage} and give them "
            f"to galaxalign data convert {survey.name} --from"
        )
    total = sum(file.size for file in files)
    if total > MUCH and not yes:
        raise InputError(f"{survey.name} is about {size_text(total)}; say --yes to download that much")
    report(f"{survey.title}. Licence: {survey.licence}. Please cite {survey.citation}.")
    paths = []
    for file in files:
        with progress(file.name, file.size, unit="bytes", quiet=quiet) as advance:
            checked = download(file, out, progress=advance)
        if not checked:
            report(f"{file.name}: no checksum is published; that of what came is recorded in {out / 'checksums.json'}")
        paths.append(out / file.name)
    return paths
