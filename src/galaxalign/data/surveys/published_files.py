"""The published files of a data set that the user has: find them, read their tables, unpack their pictures."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from galaxalign.data.images import IMAGE_SUFFIXES
from galaxalign.data.surveys.archives import ARCHIVE_SUFFIXES, extract, members
from galaxalign.data.surveys.published_votes import check_votes
from galaxalign.data.surveys.surveys import Survey
from galaxalign.data.tables import read_table
from galaxalign.errors import InputError
from galaxalign.progress import note, progress

if TYPE_CHECKING:
    import pandas as pd


@dataclass
class PublishedFiles:
    """The files of a data set that the user has."""

    survey: Survey
    sources: tuple[Path, ...]
    out: Path
    quiet: bool
    found: list[Path] = field(init=False)

    def __post_init__(self) -> None:
        self.found = []
        for source in self.sources:
            if source.is_dir():
                self.found += sorted(path for path in source.rglob("*") if path.is_file())
            elif source.is_file():
                self.found.append(source)
            else:
                raise InputError(f"there is nothing at {source}; give --from the published files or their folder")

    def find(self, *names: str) -> Path | None:
        """Return the first file with one of these names."""
        by_name = {path.name: path for path in reversed(self.found)}
        return next((by_name[name] for name in names if name in by_name), None)

    def need(self, *names: str) -> Path:
        """Return the same, or raise InputError."""
        path = self.find(*names)
        if path is None:
            there = ", ".join(sorted({path.name for path in self.found})[:8]) or "no file"
            raise InputError(
                f"{self.survey.name} needs {' or '.join(names)}; --from has {there}: fetch it with galaxalign data "
                f"fetch {self.survey.name}, or from {self.survey.homepage}"
            )
        return path

    def table(self, path: Path, id_column: str) -> pd.DataFrame:
        """Read a table with its ids as text, in the column id_str."""
        table = read_table(path, text_columns={id_column.lower()})
        for name in table.columns:
            if str(name).strip().lower() == id_column.lower():
                return table.rename(columns={name: "id_str"})
        raise InputError(
            f"{path} has no column {id_column}; its columns are {', '.join(map(str, table.columns[:12]))} …: it is not "
            f"the published table of {self.survey.name}"
        )

    def votes(self, path: Path, id_column: str) -> pd.DataFrame:
        """Read a table of votes likewise; all published columns must be there."""
        table = self.table(path, id_column)
        check_votes(self.survey.name, table.columns, path, self.survey.homepage)
        return table

    def with_pictures(self, table: pd.DataFrame, stems: Iterable[str]) -> pd.DataFrame:
        """Return the rows with the picture of their name; all rows without file_loc if there are no pictures."""
        places = self._pictures(set(stems := list(stems)))
        if not places:
            note(f"no pictures of {self.survey.name} in --from: the catalogue has no file_loc", quiet=self.quiet)
            return table
        has = np.array([stem in places for stem in stems])
        if not has.all():
            without = f"{int((~has).sum())} of {len(table)} galaxies"
            note(f"{without} have no picture in --from and are left out", quiet=self.quiet)
        shown = table[has].reset_index(drop=True)
        return shown.assign(file_loc=[places[stem] for stem in stems if stem in places])

    def _pictures(self, stems: set[str]) -> dict[str, str]:
        """Return file_loc by the name of the picture without suffix; unpacks archives."""
        places: dict[str, str] = {}
        for path in self.found:
            if path.suffix.lower() in IMAGE_SUFFIXES and path.stem in stems:
                places[path.stem] = relative(path, self.out)
        for path in self.found:
            if not path.name.lower().endswith(ARCHIVE_SUFFIXES):
                continue
            wanted: dict[str, Path] = {}
            for name in members(path):
                inside = Path(name)
                if inside.suffix.lower() in IMAGE_SUFFIXES and inside.stem in stems and inside.stem not in places:
                    wanted[name] = self.out / "images" / inside.name
                    places[inside.stem] = f"images/{inside.name}"
            if wanted:
                with progress(f"unpacking {path.name}", len(wanted), quiet=self.quiet) as advance:
                    extract(path, wanted, progress=advance)
        return places


def relative(path: Path, folder: Path) -> str:
    """Return the path as it is written from a folder, with forward slashes."""
    return Path(os.path.relpath(path.absolute(), folder.absolute())).as_posix()


def unpacked(archive: Path, out: Path) -> Path:
    """Unpack the file of an archive that has the name of `out`."""
    inside = [name for name in members(archive) if Path(name).name == out.name]
    if not inside:
        raise InputError(f"{archive} holds no {out.name}; it holds {', '.join(members(archive))}")
    extract(archive, {inside[0]: out})
    return out
