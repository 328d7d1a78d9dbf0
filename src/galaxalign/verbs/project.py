"""The verb project: a map of the embeddings."""

from __future__ import annotations

from pathlib import Path

from galaxalign import gallery, options as opt
from galaxalign.data import tables
from galaxalign.signature import verb


@verb
def project(
    *,
    embeddings: opt.EmbeddingsFile,
    method: opt.MapMethod = "tsne",
    out: opt.MapOut,
    figure: opt.Figure = None,
    seed: opt.Seed = 0,
) -> Path:
    """Lay the galaxies out on a map: neighbours look alike.

    Returns
    -------
    Path
        `out`, with `id_str`, `x`, `y` and, where known, `label`.

    Raises
    ------
    InputError
        The embeddings cannot be read, or the method is unknown.
    """
    import numpy as np
    import pandas as pd

    tables.check_output(out)
    picture = Path(figure) if figure is not None else Path(out).with_suffix(".png")
    tables.check_output(picture, suffixes=(".png", ".pdf", ".svg"))
    galaxies = gallery.Embeddings.read(embeddings)
    good = galaxies.ok
    places = gallery.project(galaxies.vectors[good], method=method, seed=seed)
    ids = np.array(galaxies.ids, dtype=object)[good]
    table = pd.DataFrame({"id_str": ids, "x": places[:, 0], "y": places[:, 1]})
    names, codes = ["galaxies"], np.zeros(len(table), np.int64)
    if "label" in galaxies.columns:
        table["label"] = galaxies.columns["label"][good]
        found = [value if isinstance(value, str) and value else "no label" for value in table["label"]]
        classes, codes = np.unique(found, return_inverse=True)
        names = [str(name) for name in classes]
    tables.write_table(table, out, metadata={key: str(value) for key, value in galaxies.metadata.items()})
    gallery.map_figure(places, codes, names, picture)
    return Path(out)
