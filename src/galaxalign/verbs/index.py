"""The verb index: embeddings on disk in an order that can be searched without reading all of them."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from galaxalign import gallery, options as opt
from galaxalign.data import catalogs, images
from galaxalign.errors import InputError
from galaxalign.progress import note, progress
from galaxalign.signature import verb

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq
    from lancedb import DBConnection
    from lancedb.index import IvfPq
    from lancedb.table import Table

_PIECE = 32_768
_SAMPLE = 10_000
_UNIT = 0.01
_LOCK = ".lock"
_TAKEN = ("_rowid", "_rowaddr", "_distance", "_score", "_relevance_score")  # by LanceDB


@verb
def index(
    *,
    embeddings: opt.EmbeddingsFile,
    out: opt.IndexOut,
    exact_below: opt.ExactBelow = 200_000,
    quiet: opt.Quiet = False,
) -> Path | str:
    """Index embeddings so that millions can be searched and filtered; rerun to resume.

    Galaxies that the index has are replaced, others are added. Memory does not grow with the number of galaxies. An
    index of up to `exact_below` galaxies is searched exactly, in memory.

    Returns
    -------
    path
        `out`.

    Raises
    ------
    InputError
        The file holds no embeddings or repeats an id; the index is of another encoder, has other columns, or is
        unfinished with another file; the folder is something else.
    """
    source = Path(embeddings)
    _check_place(out)
    with _opened(source) as file:
        metadata = gallery.read_metadata(file.schema_arrow, source)
        _check_ids(file, source)
        schema = _schema(file.schema_arrow)
        key = _key(source)
        database = gallery.connect(out)
        with gallery.readable_errors(out), _alone(out):
            about = _prepared(database, out, source, metadata, schema, key)
            galaxies = database.open_table(gallery.GALAXIES)
            if about["building"]:
                _fill(galaxies, file, source, new=about["building"]["new"], quiet=quiet)
                _finish(database, galaxies, exact_below, new=about["building"]["new"], quiet=quiet)
                _write_about(database, about | {"building": None, "rows": galaxies.count_rows()})
    return out if "://" in str(out) else Path(out)


def _prepared(
    database: DBConnection, out: str | Path, source: Path, metadata: dict[str, Any], schema: pa.Schema, key: str
) -> dict[str, Any]:
    """Return what the index says of itself once it is told that this file is on its way in."""
    if gallery.ABOUT not in gallery.table_names(database):
        # The table of contents comes last: without it there is no index, and a half-made table is made again.
        database.create_table(gallery.GALAXIES, schema=schema, mode="overwrite")
        about: dict[str, Any] = {
            "format": gallery.FORMAT,
            "metadata": metadata,
            "rows": 0,
            "building": {"key": key, "new": True},
        }
        _write_about(database, about)
        return about
    about = gallery.read_about(database, out)
    ours, theirs = metadata.get("fingerprint"), about["metadata"].get("fingerprint")
    if ours != theirs:
        raise InputError(
            f"{source} was made by an encoder with fingerprint {ours}, the index {out} by one with {theirs}; embed the "
            "catalogue with the same model, or choose another --out"
        )
    if about["building"]:
        if about["building"]["key"] != key:
            raise InputError(f"the index {out} is not finished with another embeddings file; run that one again first")
        return about
    present = {entry.name: entry.type for entry in database.open_table(gallery.GALAXIES).schema}
    given = {entry.name: entry.type for entry in schema}
    differing = sorted(name for name in {*present, *given} if present.get(name) != given.get(name))
    if differing:
        raise InputError(
            f"{source} and the index {out} differ in the columns {', '.join(differing)}; embed a catalogue with the "
            "same columns, or choose another --out"
        )
    about = about | {"building": {"key": key, "new": False}}
    _write_about(database, about)
    return about


def _fill(galaxies: Table, file: pq.ParquetFile, source: Path, *, new: bool, quiet: bool) -> None:
    """Add the rows of a file: in order to a new index, by their ids to one that has galaxies already."""
    # A piece is in the table as a whole or not at all, and a new index gets nothing else: so its length says what is
    # left to do. Into one that had galaxies a piece may go twice, and it replaces itself.
    done = galaxies.count_rows() if new else 0
    total = file.metadata.num_rows
    with progress("indexing", total, quiet=quiet) as tell:
        tell(done)
        for table in _pieces(file, source, done, galaxies.schema):
            if new:
                galaxies.add(table, on_bad_vectors="null")
            else:
                merge = galaxies.merge_insert("id_str").when_matched_update_all().when_not_matched_insert_all()
                merge.execute(table, on_bad_vectors="null")
            tell(len(table))


def _pieces(file: pq.ParquetFile, source: Path, done: int, schema: pa.Schema) -> Iterator[pa.Table]:
    """Yield the rows after the first `done` as the index stores them."""
    import pyarrow as pa

    first = 0
    for group in range(file.num_row_groups):
        size = file.metadata.row_group(group).num_rows
        if first + size > done:
            place = first
            for batch in file.iter_batches(_PIECE, row_groups=[group]):
                skipped = max(0, done - place)
                if skipped < len(batch):
                    yield _stored(pa.Table.from_batches([batch.slice(skipped)]), source, schema)
                place += len(batch)
        first += size


def _stored(table: pa.Table, source: Path, schema: pa.Schema) -> pa.Table:
    """Return rows with unit vectors, null for not-a-number, and the HEALPix cell of each position."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    column = table.column("embedding").combine_chunks()
    dimension = column.type.list_size
    ok = np.asarray(pc.equal(table.column("status"), images.OK))
    vectors = np.asarray(pc.fill_null(pc.list_flatten(column.fill_null([0.0] * dimension)), 0), np.float32)
    vectors = vectors.reshape(-1, dimension)
    norms = np.linalg.norm(vectors, axis=1)
    if not (np.abs(norms[ok] - 1) < _UNIT).all():
        raise InputError(f"{source} has embeddings that are not unit vectors; make it again with galaxalign embed")
    vectors = (vectors / np.where(ok, norms, 1)[:, None]).astype(np.float32)
    data = dict(zip(table.column_names, table.columns, strict=True))
    data["embedding"] = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), dimension, mask=pa.array(~ok))
    for name, values in data.items():
        if pa.types.is_floating(values.type):
            # To a database not-a-number is larger than any number, and would pass redshift > 0.1.
            data[name] = pc.if_else(pc.is_nan(values), pa.scalar(None, values.type), values)
    if gallery.HEALPIX in schema.names:
        data[gallery.HEALPIX] = _cells(data["ra"], data["dec"])
    return pa.table({name: data[name] for name in schema.names}, schema=schema)


def _cells(ra: pa.Array, dec: pa.Array) -> pa.Array:
    import astropy.units as u
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc
    from astropy.coordinates import Latitude, Longitude
    from cdshealpix.nested import lonlat_to_healpix

    lon = np.asarray(pc.fill_null(pc.cast(ra, pa.float64()), np.nan), dtype=np.float64)
    lat = np.asarray(pc.fill_null(pc.cast(dec, pa.float64()), np.nan), dtype=np.float64)
    lon, lat = gallery.real_positions(lon, lat)
    placed = np.isfinite(lon)
    cells = np.zeros(len(lon), dtype=np.int64)
    cells[placed] = lonlat_to_healpix(
        Longitude(lon[placed] * u.deg), Latitude(lat[placed] * u.deg), gallery.HEALPIX_ORDER
    )
    return pa.array(cells, mask=~placed)


def _finish(database: DBConnection, galaxies: Table, exact_below: int, *, new: bool, quiet: bool) -> None:
    """Compact the table, and make its indices and its sample."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc
    from lancedb.index import BTree

    with warnings.catch_warnings():
        # Nobody reads an index that was never finished; from one that is being added to, old rows go after a week.
        warnings.simplefilter("ignore")
        galaxies.optimize(cleanup_older_than=timedelta(0) if new else None)
    names = galaxies.schema.names
    for name in ("id_str", gallery.HEALPIX):
        if name in names:
            galaxies.create_index(name, config=BTree())
    count = galaxies.count_rows("status = 'ok'")
    if count > exact_below:
        note(f"building the vector index of {count} galaxies", quiet=quiet)
        galaxies.create_index("embedding", config=_vector_index(count))
    rows = galaxies.count_rows()
    chosen = np.random.default_rng(0).permutation(rows)[: 2 * _SAMPLE]
    sample = galaxies.take_offsets(np.sort(chosen).tolist()).to_arrow()
    # In the order that was drawn, or the first of them would all be from the first half of the catalogue.
    sample = sample.take(pa.array(np.argsort(np.argsort(chosen))))
    sample = sample.filter(pc.equal(sample.column("status"), images.OK)).slice(0, _SAMPLE)
    database.create_table(gallery.SAMPLE, sample, mode="overwrite")


def _vector_index(count: int) -> IvfPq:
    import numpy as np
    from lancedb.index import IvfPq

    # Candidates are compared exactly afterwards, so the codes need not be perfect: training them on 16,000 galaxies
    # rather than LanceDB's 65,000, with fewer rounds, takes a tenth of the time.
    return IvfPq(distance_type="cosine", num_partitions=max(1, int(np.sqrt(count))), sample_rate=64, max_iterations=15)


def _write_about(database: DBConnection, about: dict[str, Any]) -> None:
    import pyarrow as pa

    database.create_table(gallery.ABOUT, pa.table({"json": [json.dumps(about)]}), mode="overwrite")


@contextmanager
def _alone(out: str | Path) -> Iterator[None]:
    """Refuse to write where another process writes; that of another machine to an object store is not seen."""
    if "://" in str(out):
        yield
        return
    try:
        with FileLock(Path(out) / _LOCK, blocking=False):
            yield
    except Timeout:
        raise InputError(f"another galaxalign index is writing {out}; wait until it is done") from None


def _check_place(out: str | Path) -> None:
    if "://" in str(out):
        return
    path = Path(out)
    if path.is_file():
        raise InputError(f"{path} is a file; an index is a folder: choose another --out")
    inside = [entry.name for entry in path.iterdir() if entry.name != _LOCK] if path.is_dir() else []
    if inside and not any(name == f"{gallery.GALAXIES}.lance" for name in inside):
        raise InputError(f"the folder {path} holds other things ({inside[0]}); choose another --out")


def _opened(source: Path) -> pq.ParquetFile:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not source.is_file():
        raise InputError(f"no embeddings file at {source}; make one with galaxalign embed")
    try:
        return pq.ParquetFile(source)
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"{source} cannot be read as Parquet ({reason}); make it again with galaxalign embed"
        ) from error


def _check_ids(file: pq.ParquetFile, source: Path) -> None:
    with catalogs.IdHashes() as seen:
        for batch in file.iter_batches(columns=["id_str"]):
            seen.add(batch.column(0).to_pylist())
        if len(seen.repeated()):
            raise InputError(f"{source} has ids that come more than once; make it again with galaxalign embed")


def _schema(schema: pa.Schema) -> pa.Schema:
    """Return the columns of the index: those of the file, and the HEALPix cell where there are positions."""
    import pyarrow as pa

    dimension = schema.field("embedding").type.list_size
    fields = []
    for entry in schema:
        if "." in entry.name or entry.name in (gallery.HEALPIX, *_TAKEN):
            raise InputError(
                f"the column {entry.name!r} cannot be in an index; rename it in the catalogue, and embed it again"
            )
        kind = pa.list_(pa.float32(), dimension) if entry.name == "embedding" else entry.type
        fields.append(pa.field(entry.name, pa.string() if pa.types.is_null(kind) else kind))
    if {"ra", "dec"} <= set(schema.names):
        fields.append(pa.field(gallery.HEALPIX, pa.int64()))
    return pa.schema(fields)


def _key(source: Path) -> str:
    """Return what tells one embeddings file from another: its size and its last megabyte, with the footer."""
    size = source.stat().st_size
    with source.open("rb") as file:
        file.seek(max(0, size - 2**20))
        return f"{size}-{hashlib.sha256(file.read()).hexdigest()[:16]}"
