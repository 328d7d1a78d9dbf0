"""The results of a finished cell: cell.json, predictions.parquet, vectors.npy."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from galaxalign.bench.config import Benchmark, Cell
from galaxalign.data.tables import read_table, write_json, write_table
from galaxalign.errors import InputError
from galaxalign.progress import note

NO_LEAK = "none found"
"""Detail of the leak gate if the audit checked everything and found nothing."""

_FORMAT = 1
_ABOUT, _PREDICTIONS, _VECTORS = "cell.json", "predictions.parquet", "vectors.npy"


@dataclass(frozen=True, eq=False)
class CellResult:
    """A finished cell: `about` is the content of cell.json (figures, gates, cost, settings and provenance)."""

    cell: Cell
    about: dict[str, Any]
    folder: Path

    def predictions(self) -> pd.DataFrame:
        """Return a row for each readable test galaxy.

        `id_str`, `group`, `label` (index of the class), `probability_<class>`, `average_precision`,
        `average_precision_at_5`.
        """
        return read_table(self.folder / _PREDICTIONS, text_columns=("id_str", "group"))

    def check(self) -> None:
        """Raise InputError if the predictions cannot be read or are not those of cell.json."""
        table, test = self.predictions(), self.about["test"]
        given = table[[f"probability_{name}" for name in self.about["classes"]]].to_numpy().argmax(1)
        # single precision may turn a tie
        if len(table) != test["n"] or abs(np.mean(given == table["label"]) - test["accuracy"]) > 2.5 / test["n"]:
            raise InputError(
                f"{_PREDICTIONS} and {_ABOUT} in {self.folder} are of different runs; "
                "delete the folder to run the cell again"
            )

    def vectors(self) -> NDArray[np.float16] | None:
        """Return the unit vectors (N, D) in the order of the predictions; None if they were not kept."""
        path = self.folder / _VECTORS
        return np.load(path, allow_pickle=False) if path.is_file() else None


def cell_folder(out: Path, cell: Cell) -> Path:
    """Return the folder of a cell."""
    return out / "cells" / cell.name


def write_result(
    folder: Path, about: dict[str, Any], predictions: pd.DataFrame, vectors: NDArray[np.floating] | None
) -> None:
    """Write a cell; cell.json, which marks it as finished, comes last."""
    write_table(predictions, folder / _PREDICTIONS)
    if vectors is not None:
        with (folder / _VECTORS).open("wb") as file:
            np.save(file, vectors.astype(np.float16))
    write_json({"format": _FORMAT, **about}, folder / _ABOUT)


def finished(out: Path, cell: Cell, digest: str | None = None) -> dict[str, Any] | None:
    """Return the content of cell.json; None if the cell is unfinished or its settings differ from `digest`."""
    path = cell_folder(out, cell) / _ABOUT
    if not path.is_file():
        return None
    try:
        about = json.loads(path.read_text())
        return about if about["format"] == _FORMAT and digest in (None, about["digest"]) else None
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is damaged ({error}); delete the folder to run the cell again") from error


def read_results(out: str | Path, benchmark: Benchmark, digests: Mapping[str, str] | None = None) -> list[CellResult]:
    """Return the finished cells of a benchmark in its order; a note names each damaged one."""
    results = []
    for cell in benchmark.cells():
        try:
            about = finished(Path(out), cell, None if digests is None else digests.get(cell.name))
            if about is not None:
                result = CellResult(cell, about, cell_folder(Path(out), cell))
                result.check()
                results.append(result)
        except InputError as error:
            note(f"{cell.name} is left out of the report: {error}")
    return results
