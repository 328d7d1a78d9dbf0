"""What the explorer knows and does, without a word of HTTP."""

from __future__ import annotations

import json
import math
import re
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

import galaxalign
from galaxalign.data.preprocessing import Preprocessing
from galaxalign.errors import InputError
from galaxalign.gallery.feedback import refine
from galaxalign.gallery.filters import in_cone, in_moc, read_moc
from galaxalign.gallery.gallery import Gallery
from galaxalign.gallery.query import Part, Query
from galaxalign.gallery.results import Results
from galaxalign.symbols import render_svg
from galaxalign.web.cutouts import Cutouts
from galaxalign.web.exports import ExportFormat, marks_bytes, table_bytes
from galaxalign.web.labels import LabelFile
from galaxalign.web.layout import Layout, column_bytes
from galaxalign.web.reading import Reader
from galaxalign.web.samp import SampLink
from galaxalign.web.schemas import (
    About,
    Column,
    Galaxy,
    Health,
    Hit,
    LabelRequest,
    Labels,
    MarksRequest,
    Neighbour,
    Page,
    Reading,
    Refinement,
    SampState,
    SearchAnswer,
    Symbol,
    TableRequest,
)
from galaxalign.web.settings import Settings
from galaxalign.web.sky_links import sky_links
from galaxalign.web.uploads import checked_drawing, checked_picture, data_url, picture_bytes

__all__ = ["Explorer", "NoGalaxyError"]

_MOST_RESULTS = 2000
_MOST_PARTS = 32
_LONGEST = 4000  # characters of a condition
_HIDDEN = ("embedding", "vector", "image_path", "file_loc")


class NoGalaxyError(InputError, LookupError):
    """There is no galaxy of that id."""


class Explorer:
    """A gallery with a map, pictures, a model's readings, labels and a line to other programs.

    Parameters
    ----------
    gallery : Gallery
    settings : Settings
    chart : str or path, optional
        Places on the map; see `Layout`.

    Raises
    ------
    InputError
        The map or the file of labels cannot be read.
    """

    def __init__(self, gallery: Gallery, settings: Settings, *, chart: str | Path | None = None) -> None:
        self.gallery, self.settings = gallery, settings
        self.layout = Layout(gallery, chart)
        self.samp = SampLink(settings.title)
        self._labels = LabelFile(settings.labels) if settings.labels is not None else None
        self._problem = ""
        self._reader: Reader | None = None
        try:
            self._reader = Reader(gallery.encoder.model)
        except InputError as error:
            # Browsing, columns and known galaxies need no model; the page says what is missing.
            self._problem = str(error)
        self.cutouts = Cutouts(gallery, _preprocessing(gallery.metadata))
        self._columns: dict[str, bytes] = {}
        self._lock = threading.Lock()

    def close(self) -> None:
        """Leave the SAMP hub."""
        self.samp.close()

    # --- about ---------------------------------------------------------------------------------------------

    def health(self) -> Health:
        """Return what is served."""
        return Health(
            version=galaxalign.__version__,
            galaxies=len(self.layout),
            dimension=self.gallery.dimension,
            model=str(self.gallery.metadata.get("model", "")),
            fingerprint=str(self.gallery.fingerprint),
        )

    def about(self) -> About:
        """Return what the page needs to know first."""
        columns = [Column(name=name, kind=_kind(kind)) for name, kind in self.gallery.columns.items()]
        names = {column.name for column in columns}
        model = self._reader is not None
        classes = list(self._reader.classes) if self._reader is not None else []
        return About(
            title=self.settings.title,
            version=galaxalign.__version__,
            galaxies=len(self.layout),
            model=str(self.gallery.metadata.get("model", "")),
            taxonomy=str(self.gallery.metadata.get("taxonomy", "")),
            columns=columns,
            can={
                "text": model,
                "image": model,
                "sketch": model and self.gallery.encoder.model.symbols is not None,
                "pictures": self.cutouts.there,
                "labels": self._labels is not None,
                "sky": {"ra", "dec"} <= names,
            },
            label_names=list(self.settings.label_names) or classes,
            labels_file=self.settings.labels.name if self.settings.labels is not None else "",
            map_state=self.layout.state,
            map_method=self.layout.method,
            map_problem=self.layout.problem,
            map_points=self.settings.map_points,
            problem=self._problem,
        )

    # --- search --------------------------------------------------------------------------------------------

    def search(self, query: Query) -> SearchAnswer:
        """Answer a query that came from outside."""
        return self._answer(self.gallery.search(self.checked(query), files=False))

    def refine(self, refinement: Refinement) -> SearchAnswer:
        """Search again with galaxies marked as right and wrong."""
        query = self.checked(refinement.query)
        return self._answer(refine(self.gallery, query, refinement.good, refinement.bad, files=False))

    def checked(self, query: Query) -> Query:
        """Return a query whose pictures and drawings were decoded here and whose symbols are names of classes.

        Raises
        ------
        InputError
            A part is a path, a dangerous drawing, too large, or there are too many.
        """
        if len(query.parts) > _MOST_PARTS:
            raise InputError(f"the query has {len(query.parts)} parts; give at most {_MOST_PARTS}")
        if query.k > _MOST_RESULTS:
            raise InputError(f"the query asks for {query.k} galaxies; ask for {_MOST_RESULTS} at most")
        _check_condition(query.where)
        return query.model_copy(update={"parts": [self._checked_part(part) for part in query.parts]})

    def _checked_part(self, part: Part) -> Part:
        most = self.settings.upload_pixels
        value = part.value
        if part.kind == "image":
            png = checked_picture(picture_bytes(str(value)), most_pixels=most)
            return part.model_copy(update={"value": data_url(png)})
        if part.kind == "sketch":
            return part.model_copy(update={"value": checked_drawing(str(value), most_pixels=most)})
        if part.kind == "symbol" and str(value) not in {one.name for one in self.symbols()}:
            raise InputError(f"{value!r} is no class of the model; GET /api/v1/symbols lists them")
        return part

    def _answer(self, found: Results) -> SearchAnswer:
        rows = self.layout.rows([one.id_str for one in found])
        hits = [
            Hit(
                rank=one.rank,
                id_str=one.id_str,
                row=row,
                score=one.score,
                why=list(one.why),
                ra=_number(one.ra),
                dec=_number(one.dec),
                duplicates=list(one.duplicates),
            )
            for one, row in zip(found, rows, strict=True)
        ]
        return SearchAnswer(
            hits=hits,
            precision=None if found.precision is None else [float(value) for value in found.precision],
            precision_reason=found.why_no_precision,
            seconds=found.seconds,
        )

    def classify(self, data: bytes) -> Reading:
        """Return what the model says of an uploaded picture."""
        png = checked_picture(data, most_pixels=self.settings.upload_pixels)
        return self.reader.read(self.reader.vector_of(png))

    def symbols(self) -> list[Symbol]:
        """Return the palette: the symbol of each class that the model knows."""
        if self._reader is None:
            return []
        model = self.gallery.encoder.model
        tasks = [model.task(), *model.also.values()]
        found: dict[str, Symbol] = {}
        for task in tasks:
            if task is None or task.symbols is None:
                continue
            for one in task.taxonomy.classes:
                if one.name not in found:
                    svg = render_svg(one.morphology, size=96)
                    found[one.name] = Symbol(name=one.name, title=one.title, svg=svg, searchable=True)
        return list(found.values())

    # --- galaxies ------------------------------------------------------------------------------------------

    @property
    def reader(self) -> Reader:
        """The model's readings; InputError where there is no model."""
        if self._reader is None:
            raise InputError(f"this needs the model that made the embeddings: {self._problem}")
        return self._reader

    def require(self, id_str: str) -> int:
        """Return the row of a galaxy; NoGalaxyError where there is none."""
        row = self.layout.rows([id_str])[0]
        if row is None:
            raise NoGalaxyError(f"there is no galaxy {id_str[:80]!r} here")
        return row

    def galaxy(self, id_str: str, neighbours: int) -> Galaxy:
        """Return all that is known of one galaxy."""
        row = self.require(id_str)
        columns = {name: _plain(value) for name, value in self.gallery.galaxy(id_str).items() if _shown(name)}
        reading, problem, near = None, "", []
        try:
            near = list(self.gallery.neighbours(id_str, neighbours)) if neighbours else []
            reading = self.reader.read(self.gallery.vector(id_str))
        except InputError as error:
            problem = str(error)
        rows = self.layout.rows([one.id_str for one in near])
        ra, dec = _number(columns.get("ra")), _number(columns.get("dec"))
        return Galaxy(
            id_str=id_str,
            row=row,
            label=self._labels.labels.get(id_str) if self._labels is not None else None,
            columns=columns,
            reading=reading,
            reading_problem=problem,
            neighbours=[
                Neighbour(id_str=one.id_str, row=place, score=one.score) for one, place in zip(near, rows, strict=True)
            ],
            ra=ra,
            dec=dec,
            links=sky_links(ra, dec),
        )

    def column(self, name: str) -> bytes:
        """Return a column for the colours of the map."""
        if name not in self.gallery.columns or not _shown(name):
            raise NoGalaxyError(f"there is no column {name[:80]!r} here")
        with self._lock:
            if name not in self._columns:
                self._columns[name] = column_bytes(self.gallery.table([name]), name)
            return self._columns[name]

    def page(self, request: TableRequest) -> Page:
        """Return a page of the table."""
        names = [name for name in self.gallery.columns if _shown(name) and name != "id_str"]
        if request.columns is not None:
            unknown = [name for name in request.columns if name not in (*names, "id_str")]
            if unknown:
                raise InputError(f"there is no column {unknown[0][:80]!r}; known are {', '.join(names)}")
            names = [name for name in dict.fromkeys(request.columns) if name != "id_str"]
        names = ["id_str", *names]
        order = request.order.removeprefix("-") if request.order else None
        _check_condition(request.where)
        if order is not None and (order not in self.gallery.columns or not _shown(order)):
            raise InputError(f"there is no column {order[:80]!r} to sort by; known are {', '.join(names)}")
        part, total = self._part(request, names)
        cells = [[_plain(value) for value in row.values()] for row in part.to_pylist()]
        return Page(total=total, rows=self.layout.rows(part.column("id_str")), columns=names, cells=cells)

    def _part(self, request: TableRequest, names: list[str]) -> tuple[pa.Table, int]:
        """Return the wanted part of the table, and how many rows there are in all."""
        where, order = request.where or None, request.order or None
        somewhere = request.cone is not None or bool(request.moc)
        if request.rows is None and where is None and not somewhere:
            return self.gallery.table(names, None, request.limit, request.offset, order), len(self.layout)
        if request.rows is not None and where is None and order is None and not somewhere:
            ids = self.layout.at(request.rows[request.offset : request.offset + request.limit])
            return self.gallery.rows(ids.to_pylist(), names), len(request.rows)
        # In order, ids alone: the cells are read of the few rows that are shown.
        found = self._there(request, where, order) if somewhere else self.gallery.table(["id_str"], where, order=order)
        found = found.column("id_str")
        if request.rows is not None:
            found = found.filter(pc.is_in(found, value_set=self.layout.at(request.rows)))
        ids = found.slice(request.offset, request.limit)
        return self.gallery.rows(ids.to_pylist(), names), len(found)

    def _there(self, request: TableRequest, where: str | None, order: str | None) -> pa.Table:
        """Return ids of the galaxies in the wanted part of the sky."""
        if not {"ra", "dec"} <= set(self.gallery.columns):
            raise InputError("the catalogue has no positions (ra, dec), so no part of the sky can be chosen")
        table = self.gallery.table(["id_str", "ra", "dec"], where, order=order)
        ra, dec = (table.column(name).to_numpy().astype(float) for name in ("ra", "dec"))
        inside = np.ones(len(table), dtype=bool)
        if request.cone is not None:
            inside &= in_cone(ra, dec, request.cone)
        if request.moc:
            inside &= in_moc(ra, dec, read_moc(request.moc, files=False))
        return table.filter(pa.array(inside))

    def export_marks(self, request: MarksRequest) -> bytes:
        """Return marked galaxies as labels, or as a manifest for volunteers, in CSV.

        Where the images lie is told only where nobody but this machine is served; else it is their names alone.
        """
        for identity in (*request.good, *request.bad):
            self.require(identity)
        return marks_bytes(
            self.gallery,
            request.good,
            request.bad,
            label=request.label.strip(),
            other=request.other.strip(),
            manifest=request.manifest,
            folders=self.settings.alone,
        )

    def export(self, rows: list[int], form: ExportFormat) -> bytes:
        """Return some galaxies as a table file."""
        return table_bytes(self._table(rows), form)

    def _table(self, rows: list[int]) -> pa.Table:
        if not rows:
            raise InputError("nothing is selected; select galaxies first")
        ids = self.layout.at(rows)
        names = [name for name in self.gallery.columns if _shown(name) and name != "id_str"]
        table = self.gallery.rows(ids.to_pylist(), ["id_str", *names])
        if self._labels is not None and len(self._labels):
            given = self._labels.labels
            told = pa.array([given.get(identity, "") for identity in table.column("id_str").to_pylist()])
            table = table.append_column("given_label", told)
        return table

    # --- labels --------------------------------------------------------------------------------------------

    def labels(self) -> Labels:
        """Return the labels given so far."""
        if self._labels is None:
            return Labels(labelled=0, labels={}, file="")
        return Labels(labelled=len(self._labels), labels=self._labels.labels, file=self._labels.path.name)

    def label(self, request: LabelRequest) -> Labels:
        """Label galaxies, on disk."""
        if self._labels is None:
            raise InputError("labels are kept nowhere; start the server with --labels labels.csv")
        rows = self.layout.rows(request.ids)
        if None in rows:
            raise NoGalaxyError(f"there is no galaxy {request.ids[rows.index(None)][:80]!r} here; nothing was labelled")
        self._labels.give(request.ids, request.label.strip())
        return self.labels()

    # --- SAMP ----------------------------------------------------------------------------------------------

    def samp_state(self) -> SampState:
        """Return the state of the SAMP connection."""
        connected = self.samp.connected
        clients = self.samp.clients() if connected else []
        told = self.samp.highlighted
        row = self.layout.rows([told])[0] if told is not None else None
        return SampState(connected=connected, clients=clients, highlighted=told, row=row, serial=self.samp.serial)

    def samp_connect(self) -> SampState:
        """Join the hub."""
        self.samp.connect()
        return self.samp_state()

    def samp_send(self, rows: list[int]) -> SampState:
        """Send galaxies as a table."""
        self.samp.send(self._table(rows))
        return self.samp_state()

    def samp_highlight(self, id_str: str) -> SampState:
        """Highlight a galaxy in the table that was sent last with it, and point at its place."""
        self.require(id_str)
        known = self.gallery.galaxy(id_str)
        self.samp.highlight(id_str, _number(known.get("ra")), _number(known.get("dec")))
        return self.samp_state()


def _shown(name: str) -> bool:
    """Tell whether a column is the page's business: not the vectors, nor where files lie on this machine."""
    return name not in _HIDDEN


def _check_condition(where: str | None) -> None:
    """Refuse a condition that is long, or asks for what is not shown: its answers would spell out a path."""
    if where is None:
        return
    if len(where) > _LONGEST:
        raise InputError(f"the condition has more than {_LONGEST} characters; make it shorter")
    for name in _HIDDEN:
        if name in re.findall(r"\w+", where.lower()):
            raise InputError(f"there is no column {name!r} here that can be asked for")


def _kind(kind: str) -> Literal["number", "text", "truth", "other"]:
    """Return how the page shows a column of this Arrow type."""
    if kind == "bool":
        return "truth"
    if kind.startswith(("int", "uint", "float", "double", "halffloat", "decimal")):
        return "number"
    return "text" if kind.startswith(("string", "large_string", "dictionary")) else "other"


def _preprocessing(metadata: Mapping[str, Any]) -> Preprocessing:
    """Return how the model sees images, as the embeddings say."""
    said = metadata.get("preprocessing")
    return Preprocessing.from_dict(json.loads(str(said))) if said else Preprocessing()


def _number(value: Any) -> float | None:
    """Return a finite number, or None."""
    if value is None or isinstance(value, str | bool):
        return None
    number = float(value)
    return number if math.isfinite(number) else None


def _plain(value: Any) -> Any:
    """Return a cell as JSON has it; what is not finite is unknown."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return str(value)
