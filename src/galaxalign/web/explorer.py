"""The state of a running explorer: gallery, map, images, model, labels and SAMP."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
from fastapi import Depends, Request

from galaxalign.data.images import Preprocessing
from galaxalign.errors import InputError
from galaxalign.gallery import Gallery
from galaxalign.web.cutouts import Cutouts
from galaxalign.web.labels import LabelFile
from galaxalign.web.layout import Layout
from galaxalign.web.model_answer import Reader
from galaxalign.web.samp import SampLink
from galaxalign.web.settings import Settings

HIDDEN_COLUMNS = ("embedding", "vector", "image_path", "file_loc")
"""Columns that the API never shows: vectors and paths on this machine."""


class NotFoundError(InputError, LookupError):
    """The gallery has no such galaxy or column."""


class Explorer:
    """A gallery with its map, images, model, labels and SAMP connection.

    Parameters
    ----------
    gallery : Gallery
    settings : Settings
    chart : str or path, optional
        Positions on the map; see `Layout`.

    Attributes
    ----------
    reader : Reader or None
        None if the model cannot be loaded; `model_problem` holds the reason.
    labels : LabelFile or None
    column_cache : dict
        Encoded columns for the colours of the map; hold `lock` to change it.

    Raises
    ------
    InputError
        If the map or the file of labels cannot be read.
    """

    def __init__(self, gallery: Gallery, settings: Settings, *, chart: str | Path | None = None) -> None:
        self.gallery, self.settings = gallery, settings
        self.layout = Layout(gallery, chart)
        self.samp = SampLink(settings.title)
        self.labels = LabelFile(settings.labels) if settings.labels is not None else None
        self.reader: Reader | None = None
        self.model_problem = ""
        try:
            self.reader = Reader(gallery.encoder.model)
        except InputError as error:
            # Browsing, columns and searches by known galaxies work without a model.
            self.model_problem = str(error)
        self.cutouts = Cutouts(gallery, _preprocessing(gallery.metadata))
        self.column_cache: dict[str, bytes] = {}
        self.lock = threading.Lock()

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns that are shown, ``id_str`` first."""
        others = (name for name in self.gallery.columns if name not in HIDDEN_COLUMNS and name != "id_str")
        return ("id_str", *others)

    def model_reader(self) -> Reader:
        """Return the model's reader; InputError if there is no model."""
        if self.reader is None:
            raise InputError(f"this needs the model that made the embeddings: {self.model_problem}")
        return self.reader

    def row(self, id_str: str) -> int:
        """Return the row of a galaxy; NotFoundError if it is unknown."""
        row = self.layout.rows([id_str])[0]
        if row is None:
            raise NotFoundError(f"there is no galaxy {id_str[:80]!r} here")
        return row

    def selection(self, rows: list[int]) -> pa.Table:
        """Return some galaxies as a table, with the labels given in the page as ``given_label``."""
        if not rows:
            raise InputError("nothing is selected; select galaxies first")
        table = self.gallery.rows(self.layout.at(rows).to_pylist(), list(self.columns))
        if self.labels is not None and len(self.labels):
            given = self.labels.labels
            names = [given.get(identity, "") for identity in table.column("id_str").to_pylist()]
            table = table.append_column("given_label", pa.array(names))
        return table


def _explorer(request: Request) -> Explorer:
    explorer: Explorer = request.app.state.explorer
    return explorer


Served = Annotated[Explorer, Depends(_explorer)]
"""The explorer that answers a request."""


def _preprocessing(metadata: Mapping[str, Any]) -> Preprocessing:
    """Return the preprocessing recorded in the embeddings."""
    recorded = metadata.get("preprocessing")
    return Preprocessing.from_dict(json.loads(str(recorded))) if recorded else Preprocessing()


def finite_number(value: Any) -> float | None:
    """Return a finite number, or None."""
    if value is None or isinstance(value, str | bool):
        return None
    number = float(value)
    return number if math.isfinite(number) else None


def json_cell(value: Any) -> Any:
    """Return a cell as JSON; None if it is not finite."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return str(value)
