"""Figures that papers published, each with its source and data set."""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path

import pandas as pd

from galaxalign.data.tables import read_table
from galaxalign.errors import InputError

_NUMBERS = ["training_share_percent", "value", "spread"]
_COLUMNS = ("source", "method", "dataset", "training_share_percent", "metric", "value", "spread")


def read_published(path: str | Path = "") -> pd.DataFrame:
    """Read a table of published figures.

    Parameters
    ----------
    path : path
        With the columns source, method, dataset, training_share_percent, metric, value, spread; by default the one in
        the package.

    Returns
    -------
    pandas.DataFrame
        `source`, `method`, `dataset`, `share` (percent of the training labels; 0 is zero-shot), `metric`, `value`,
        `spread` (as printed; NaN if none) and `decimals` (digits after the point).

    Raises
    ------
    InputError
        No such table, a missing column, or a value that is no number.
    """
    if not path:
        with as_file(files("galaxalign.bench") / "published.csv") as file:
            return read_published(file)
    table = read_table(path, text_columns=_COLUMNS)
    missing = [name for name in _COLUMNS if name not in table]
    if missing:
        raise InputError(f"{path} lacks the column {missing[0]}; published figures need {', '.join(_COLUMNS)}")
    text = table[list(_COLUMNS)].fillna("").astype(str)
    numbers = text[_NUMBERS].apply(pd.to_numeric, errors="coerce")
    no_spread = (text[_NUMBERS].to_numpy() == "") & [False, False, True]
    wrong = numbers.isna().to_numpy() & ~no_spread
    if wrong.any():
        row = int(wrong.any(axis=1).argmax()) + 1
        raise InputError(f"{path}, row {row}: value and training_share_percent must be numbers, spread one or empty")
    text["decimals"] = text["value"].str.partition(".")[2].str.len()
    text[_NUMBERS] = numbers.astype(float)
    return text.rename(columns={"training_share_percent": "share"})
