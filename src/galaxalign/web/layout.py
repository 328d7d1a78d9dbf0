"""Where each galaxy stands on the map of the page, and the numbers its points are coloured by."""

from __future__ import annotations

import json
import struct
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sklearn.decomposition import PCA

from galaxalign.data.tables import read_table
from galaxalign.errors import InputError
from galaxalign.gallery import METHODS, Gallery, project

# Up to here t-SNE takes less than about a minute on two cores; beyond, the quick map is shown unless one is given.
_QUICK = 20_000
_FITTED = 10_000  # galaxies from which the axes of the quick map are known
_MOST_NAMES = 60  # different texts of a column that is still worth colours


class Layout:
    """The rows of a gallery and their places in the plane.

    The page knows a galaxy by its row, a number from 0 in the order of the gallery: a million numbers fit a browser
    where a million ids do not.

    Parameters
    ----------
    gallery : Gallery
    source : str or path, optional
        A table with ``id_str``, ``x`` and ``y``, as ``galaxalign project`` writes it; or a method (tsne, umap, pca),
        which is then run beside the server. By default t-SNE for up to 20,000 galaxies, else PCA.
    seed : int

    Attributes
    ----------
    ids : pyarrow.StringArray
        Ids by row.
    method : str
        What the places were made by.
    state : {"ready", "making", "failed"}
    problem : str
        Why it failed.
    """

    def __init__(self, gallery: Gallery, source: str | Path | None = None, *, seed: int = 0) -> None:
        self.ids = _one(gallery.table(["id_str"]).column("id_str")).cast(pa.string())
        self.state: Literal["ready", "making", "failed"] = "making"
        self.problem = ""
        self._places = np.full((len(self.ids), 2), np.nan, np.float32)
        self._gallery, self._seed = gallery, seed
        named = str(source) if source is not None else ("tsne" if len(self.ids) <= _QUICK else "pca")
        self.method = named if named in METHODS else Path(named).name
        if named not in METHODS:
            self._places[:] = _from_table(Path(named), self.ids)
            self.state = "ready"

    def __len__(self) -> int:
        return len(self.ids)

    def start(self) -> None:
        """Begin to calculate the map beside the server, if it is not there yet."""
        if self.state == "making":
            threading.Thread(target=self.make, name="galaxalign-map", daemon=True).start()

    def make(self) -> None:
        """Calculate the map; what goes wrong is told in `problem`."""
        try:
            ids, places = self._projected()
            rows = pc.index_in(ids.cast(pa.string()), value_set=self.ids).to_numpy()
            self._places[rows] = _scaled(places)
        except InputError as error:
            self.state, self.problem = "failed", str(error)
        except Exception as error:  # the thread has no caller that could hear of it
            self.state, self.problem = "failed", f"the map could not be calculated ({type(error).__name__}: {error})"
        else:
            self.state = "ready"

    def _projected(self) -> tuple[pa.ChunkedArray, np.ndarray]:
        """Return the galaxies that have an embedding and their places (N, 2)."""
        if self.method != "pca" or len(self) <= _QUICK:
            pieces = list(self._gallery.pieces())
            ids = pa.chunked_array([ids for ids, _ in pieces], pa.string())
            return ids, project(np.concatenate([part for _, part in pieces]), method=self.method, seed=self._seed)
        # Two axes are known well enough from a sample; then the vectors of millions need not be in memory.
        axes = PCA(2, random_state=self._seed).fit(self._gallery.sample(_FITTED))
        found = [(ids, axes.transform(part).astype(np.float32)) for ids, part in self._gallery.pieces()]
        return pa.chunked_array([ids for ids, _ in found]), np.concatenate([places for _, places in found])

    def rows(self, ids: pa.Array | list[str]) -> list[int | None]:
        """Return the rows of some galaxies; None where an id is not there."""
        return list(pc.index_in(pa.array(ids, pa.string()), value_set=self.ids).to_pylist())

    def at(self, rows: list[int]) -> pa.Array:
        """Return the ids of some rows."""
        wanted = np.asarray(rows, dtype=np.int64)
        if wanted.size and (wanted.min() < 0 or wanted.max() >= len(self.ids)):
            raise InputError(f"there are rows 0 to {len(self.ids) - 1}; one of those asked for is not among them")
        return self.ids.take(pa.array(wanted))

    def points(self) -> bytes:
        """Return x of all galaxies, then y: float32, little-endian, within -1 to 1; NaN where there is none."""
        return np.ascontiguousarray(self._places.T, dtype="<f4").tobytes()


def column_bytes(table: pa.Table, name: str) -> bytes:
    """Return a column as colours need it: a header and one value per galaxy.

    The header is JSON behind its length (uint32, little-endian) and padded to a multiple of four: ``kind`` is
    "number" (float32 values, NaN where unknown; ``low`` and ``high`` are the 1st and 99th percentile) or "category"
    (uint16 codes into ``names``, which are in the order of their frequency; the last one gathers the rest).
    """
    values = _one(table.column(name))
    kind = values.type
    if pa.types.is_boolean(kind):
        values = values.cast(pa.string())
        kind = values.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        numbers = values.cast(pa.float32()).to_numpy(zero_copy_only=False).astype("<f4")
        known = numbers[np.isfinite(numbers)]
        low, high = (float(v) for v in np.percentile(known, (1, 99))) if known.size else (0.0, 1.0)
        return _with_header({"kind": "number", "low": low, "high": high}, numbers.tobytes())
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_dictionary(kind)):
        raise InputError(f"column {name} holds {kind}, which has no colours; choose numbers or words")
    counts = pc.value_counts(values.cast(pa.string()).fill_null(""))
    found = sorted(counts.to_pylist(), key=lambda entry: (-entry["counts"], entry["values"]))
    kept = [entry["values"] for entry in found[:_MOST_NAMES]]
    codes = pc.index_in(values.cast(pa.string()).fill_null(""), value_set=pa.array(kept, pa.string())).fill_null(
        len(kept)
    )
    names = [text or "(none)" for text in kept] + (["(others)"] if len(found) > len(kept) else [])
    tallies = [entry["counts"] for entry in found[:_MOST_NAMES]]
    if len(found) > len(kept):
        tallies.append(sum(entry["counts"] for entry in found[_MOST_NAMES:]))
    header: dict[str, object] = {"kind": "category", "names": names, "counts": tallies}
    return _with_header(header, codes.to_numpy(zero_copy_only=False).astype("<u2").tobytes())


def _with_header(header: Mapping[str, object], body: bytes) -> bytes:
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 4)
    return struct.pack("<I", len(text)) + text + body


def _one(column: pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _from_table(path: Path, ids: pa.Array) -> np.ndarray:
    """Return the places (N, 2) of a table, by id; NaN for galaxies that it does not have."""
    table = read_table(path, text_columns=("id_str",))
    missing = [name for name in ("id_str", "x", "y") if name not in table]
    if missing:
        raise InputError(f"{path} has no column {missing[0]}; a map is made with galaxalign project")
    found = pc.index_in(ids, value_set=pa.array(table["id_str"].astype(str), pa.string()))
    known = np.asarray(found.is_valid())
    if not known.any():
        raise InputError(f"{path} has none of the galaxies that are served; project the same embeddings")
    places = np.full((len(ids), 2), np.nan, np.float32)
    places[known] = table[["x", "y"]].to_numpy(np.float32)[found.drop_null().to_numpy()]
    return _scaled(places)


def _scaled(places: np.ndarray) -> np.ndarray:
    """Return places (N, 2) moved and shrunk, alike in x and y, into -0.95 to 0.95."""
    low, high = np.nanmin(places, 0), np.nanmax(places, 0)
    extent = float(max(high - low)) or 1.0
    return np.asarray(((places - (low + high) / 2) * (1.9 / extent)).astype(np.float32))
