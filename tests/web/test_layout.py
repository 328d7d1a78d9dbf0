"""Places on the map, also where the vectors do not fit in memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from galaxalign.gallery.gallery import Gallery, open_gallery
from galaxalign.verbs.index import index
from galaxalign.web import layout
from galaxalign.web.layout import Layout


def places(gallery: Gallery) -> np.ndarray:
    """Return the PCA map of a gallery, (2, N)."""
    made = Layout(gallery, "pca")
    made.make()
    assert made.state == "ready", made.problem
    return np.frombuffer(made.points(), "<f4").reshape(2, -1)


@pytest.mark.slow
def test_a_map_made_piece_by_piece_is_that_of_all_at_once(
    gallery: Gallery, embeddings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = places(gallery)
    monkeypatch.setattr(layout, "_QUICK", 4)
    monkeypatch.setattr("galaxalign.gallery.memory.PIECE", 5)
    index(embeddings=embeddings, out=tmp_path / "index", exact_below=0, quiet=True)
    for other in (gallery, open_gallery(tmp_path / "index", exact_below=0)):
        found = places(other)
        assert np.isnan(found).sum() == 2  # the galaxy whose image is missing
        np.testing.assert_allclose(found, whole, atol=1e-4)
