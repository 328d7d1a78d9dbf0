"""A small catalogue of vectors with positions and columns, as a file, in memory and on disk."""

from __future__ import annotations

import numpy as np
import pytest

from galaxalign.gallery.embeddings import Embeddings

N, D = 400, 16


def make(n: int = N, *, seed: int = 0, prefix: str = "g") -> Embeddings:
    """Return galaxies of four classes whose vectors lie around four directions."""
    rng = np.random.default_rng(seed)
    kinds = np.arange(n) % 4
    centres = np.random.default_rng(99).normal(size=(4, D))
    vectors = (centres[kinds] + 0.7 * rng.normal(size=(n, D))).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    status = ["ok"] * n
    for row in range(7, n, 50):
        vectors[row], status[row] = 0, "zero bytes"
    redshift = rng.uniform(0, 0.2, n)
    redshift[3::40] = np.nan
    columns = {
        "label": np.array(["elliptical", "spiral", "edge_on", "merger"], dtype=object)[kinds],
        "redshift": redshift,
        "votes": rng.integers(0, 50, n),
        "ra": rng.uniform(0, 360, n),
        "dec": np.degrees(np.arcsin(rng.uniform(-1, 1, n))),
    }
    return Embeddings([f"{prefix}{row}" for row in range(n)], vectors, status, {"fingerprint": "abc"}, columns)


@pytest.fixture(scope="session")
def embeddings():
    """Return the function that makes such galaxies."""
    return make


@pytest.fixture
def survey():
    """Return the galaxies."""
    return make()


@pytest.fixture
def file(survey, tmp_path):
    """Return an embeddings file of them."""
    return survey.write(tmp_path / "e.parquet")
