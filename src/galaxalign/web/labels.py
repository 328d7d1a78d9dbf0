"""Labels given in the page, kept in a file from the first one on."""

from __future__ import annotations

import csv
import os
import threading
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from galaxalign.errors import InputError

_HEADER = ("id_str", "label", "time")


class LabelFile:
    """A CSV to which each label is appended; the last one of a galaxy counts, and an empty one takes it back.

    Parameters
    ----------
    path : path
        Read where it exists.

    Raises
    ------
    InputError
        It is another kind of file, or cannot be written.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._lock = threading.Lock()
        self._labels: dict[str, str] = {}
        # An empty file is one that `touch` made, or a run that was cut before it wrote.
        if self.path.exists() and (not self.path.is_file() or self.path.stat().st_size):
            self._read()
        else:
            self._append([_HEADER])

    def __len__(self) -> int:
        return len(self._labels)

    @property
    def labels(self) -> dict[str, str]:
        """Return the label of each galaxy that has one."""
        with self._lock:
            return dict(self._labels)

    def give(self, ids: Iterable[str], label: str) -> None:
        """Label galaxies; "" takes their label back. On disk when it returns."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        rows = [(identity, label, now) for identity in ids]
        with self._lock:
            self._append(rows)
            for identity, _, _ in rows:
                if label:
                    self._labels[identity] = label
                else:
                    self._labels.pop(identity, None)

    def _append(self, rows: Sequence[Sequence[str]]) -> None:
        try:
            with self.path.open("a", newline="", encoding="utf-8") as file:
                csv.writer(file, lineterminator="\n").writerows(rows)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise InputError(
                f"the labels cannot be written to {self.path} ({error.strerror or error}); choose another file"
            ) from error

    def _ends_a_line(self) -> bool:
        with self.path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) == b"\n"

    def _read(self) -> None:
        try:
            with self.path.open(newline="", encoding="utf-8") as file:
                rows = csv.reader(file)
                header = tuple(next(rows, ()))
                if header != _HEADER:
                    raise InputError(
                        f"{self.path} is no file of labels: its first line is not {','.join(_HEADER)}; name another"
                    )
                for row in rows:
                    if len(row) == len(_HEADER):
                        self._labels[row[0]] = row[1]
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise InputError(f"the labels in {self.path} cannot be read ({error}); name another file") from error
        if not self._ends_a_line():
            # Half a line of a run that was cut; the next label must not be glued to it.
            self._append([()])
        self._labels = {identity: label for identity, label in self._labels.items() if label}
