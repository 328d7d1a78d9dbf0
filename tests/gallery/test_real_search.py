"""Real galaxies: words, a class's symbol and a drawing find what they mean; from a file and from an index alike."""

from __future__ import annotations

import pandas as pd
import pytest

from galaxalign.gallery.gallery import open_gallery
from galaxalign.gallery.query import Part, Query
from galaxalign.verbs.embed import embed
from galaxalign.verbs.index import index

EDGE_ON = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 100"><rect width="100" height="100" fill="black"/>
<ellipse cx="50" cy="50" rx="42" ry="4" fill="white"/></svg>"""


@pytest.mark.slow
@pytest.mark.real
def test_words_symbols_and_drawings_find_edge_on_galaxies(shared, tmp_path):
    folder = shared / "data" / "gz1"
    every = pd.read_csv(folder / "catalog.csv", dtype={"id_str": str})
    every = every[every["label"].isin(["elliptical", "edge_on", "spiral_clockwise", "merger"])]
    some = every.groupby("label").head(25).assign(redshift=0.1)
    some["file_loc"] = [str(folder / name) for name in some["file_loc"]]
    some[["id_str", "file_loc", "label", "redshift"]].to_csv(tmp_path / "catalog.csv", index=False)
    path = embed(catalog=tmp_path / "catalog.csv", out=tmp_path / "e.parquet", quiet=True)
    gallery = open_gallery(path)
    assert gallery.columns["redshift"] == "double"
    parts = {
        "text": Part(kind="text", value="an edge-on disc galaxy"),
        "symbol": Part(kind="symbol", value="edge_on"),
        "sketch": Part(kind="sketch", value=EDGE_ON),
    }
    found = {}
    for name, part in parts.items():
        found[name] = gallery.search(Query(parts=[part], k=10, where="redshift > 0"), files=False)
        labels = gallery.rows(found[name].ids, ["label"])["label"].to_pylist()
        assert labels.count("edge_on") >= 8, name
    assert found["symbol"].precision is not None
    assert found["text"].show(columns=5, size=64).size[0] > 300
    again = open_gallery(index(embeddings=path, out=tmp_path / "i", quiet=True), exact_below=0)
    both = Query(parts=list(parts.values()), k=10)
    assert again.search(both).ids == gallery.search(both).ids
