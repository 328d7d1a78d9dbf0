"""What a finished cell of a benchmark leaves behind, and how it is read again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from galaxalign.benchmark.config import Benchmark, Cell
from galaxalign.data.tables import read_table, write_json, write_table
from galaxalign.errors import InputError
from galaxalign.progress import note

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["NO_LEAK", "CellResult", "cell_folder", "finished", "read_results", "write_result"]

NO_LEAK = "none found"
"""What the leak gate says where the audit looked at everything and found nothing."""

_FORMAT = 1
_ABOUT, _PREDICTIONS, _VECTORS = "cell.json", "predictions.parquet", "vectors.npy"


@dataclass(frozen=True, eq=False)
class CellResult:
    """A finished cell.

    Attributes
    ----------
    cell : Cell
    about : dict
        Figures, gates, cost, settings and provenance: what cell.json holds.
    folder : Path
    """

    cell: Cell
    about: dict[str, Any]
    folder: Path

    def predictions(self) -> pd.DataFrame:
        """Return one row for each readable test galaxy.

        `id_str`, `group`, `label` (index of the class), `probability_<class>`, `average_precision`,
        `average_precision_at_5`.
        """
        return read_table(self.folder / _PREDICTIONS, text_columns=("id_str", "group"))

    def check(self) -> None:
        """Refuse predictions that are not those that cell.json was made from.

        Raises
        ------
        InputError
            They are not, or cannot be read.
        """
        table, test = self.predictions(), self.about["test"]
        given = table[[f"probability_{name}" for name in self.about["classes"]]].to_numpy().argmax(1)
        # probabilities are kept in single precision, which may turn a tie
        if len(table) != test["n"] or abs(np.mean(given == table["label"]) - test["accuracy"]) > 2.5 / test["n"]:
            raise InputError(
                f"{_PREDICTIONS} and {_ABOUT} in {self.folder} are not of the same run; "
                "delete the folder to run the cell again"
            )

    def vectors(self) -> NDArray[np.float16] | None:
        """Return the unit vectors of the test galaxies (N, D) in the order of the predictions, where they were kept."""
        path = self.folder / _VECTORS
        return np.load(path, allow_pickle=False) if path.is_file() else None


def cell_folder(out: Path, cell: Cell) -> Path:
    """Return where a cell's files lie."""
    return out / "cells" / cell.name


def write_result(
    folder: Path, about: dict[str, Any], predictions: pd.DataFrame, vectors: NDArray[np.floating] | None
) -> None:
    """Write a cell; cell.json, without which it is not finished, comes last."""
    write_table(predictions, folder / _PREDICTIONS)
    if vectors is not None:
        with (folder / _VECTORS).open("wb") as file:
            np.save(file, vectors.astype(np.float16))
    write_json({"format": _FORMAT, **about}, folder / _ABOUT)


def finished(out: Path, cell: Cell, digest: str | None = None) -> dict[str, Any] | None:
    """Return what cell.json says, or None where the cell is not finished, or of other settings than `digest` says."""
    path = cell_folder(out, cell) / _ABOUT
    if not path.is_file():
        return None
    try:
        about = json.loads(path.read_text())
        if about["format"] != _FORMAT or digest not in (None, about["digest"]):
            return None
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is damaged ({error}); delete the folder to run the cell again") from error
    return dict(about)


def read_results(out: str | Path, benchmark: Benchmark, digests: Mapping[str, str] | None = None) -> list[CellResult]:
    """Return the finished cells of a benchmark in its order; one that is damaged is left out, and a note says so.

    Parameters
    ----------
    out : path
    benchmark : Benchmark
    digests : mapping, optional
        What identifies the settings of each cell now, by its name; a cell of other settings is left out.
    """
    found = []
    for cell in benchmark.cells():
        try:
            about = finished(Path(out), cell, None if digests is None else digests.get(cell.name))
            if about is not None:
                result = CellResult(cell, about, cell_folder(Path(out), cell))
                result.check()
                found.append(result)
        except InputError as error:
            note(f"{cell.name} is left out of the report: {error}")
    return found
