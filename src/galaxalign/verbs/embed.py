"""The verb embed: a vector for every galaxy."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from galaxalign import gallery, inference, options as opt
from galaxalign.data import catalogs, images, tables
from galaxalign.progress import note, progress
from galaxalign.signature import verb
from galaxalign.verbs.with_model import (
    note_warnings,
    open_model,
    origin,
)

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


# Ours, or what would mean something else beside a vector.
_NOT_CARRIED = ("id_str", "file_loc", "embedding", "status", "image_path")


@verb
def embed(
    *,
    catalog: opt.Catalog,
    model: opt.Model = "galaxy-lite",
    out: opt.EmbeddingsOut,
    columns: opt.Columns = None,
    device: opt.Device = None,
    quiet: opt.Quiet = False,
) -> Path:
    """Turn each galaxy into a vector, once; search and maps then need no images.

    Memory does not grow with the catalogue.

    Returns
    -------
    Path
        `out`.

    Raises
    ------
    InputError
        The catalogue, the model or the output cannot be used.
    """
    import pyarrow as pa

    tables.check_output(out, suffixes=(".parquet",))
    source = catalogs.scan_catalog(catalog, columns=columns, keep=None, quiet=quiet)
    note_warnings(source.source, source.doubts, quiet)
    loaded = open_model(model, source.store, device)
    about = origin(loaded, loaded.taxonomy, loaded.classifier) | {"catalog_fingerprint": source.fingerprint}
    mirror, failed = not loaded.taxonomy.handed, 0
    with (
        progress("embedding", len(source), quiet=quiet) as done,
        gallery.EmbeddingWriter(out, dimension=loaded.encoder.dimension, metadata=about) as writer,
    ):
        for piece in source.pieces():
            ids, paths = piece.ids, piece.paths()
            carried = _carried(piece.table) | {"image_path": pa.array([str(images.resolved(path)) for path in paths])}
            for rows, vectors, statuses in inference.encode_catalog(loaded.encoder, piece, mirror=mirror):
                writer.write(ids[rows], vectors, statuses, {name: values[rows] for name, values in carried.items()})
                failed += int((~images.is_read(statuses)).sum())
                done(len(statuses))
    if failed:
        note(f"{failed} of {len(source)} images could not be read; column status says why", quiet=quiet)
    return Path(out)


def _carried(table: pd.DataFrame) -> dict[str, pa.Array]:
    """Return the columns of a catalogue that travel with its embeddings, missing values as null."""
    import pyarrow as pa

    columns = {str(name): pa.Array.from_pandas(table[name]) for name in table.columns if name not in _NOT_CARRIED}
    return {name: values for name, values in columns.items() if not pa.types.is_nested(values.type)}
