"""Entries of one galaxy are put together in little memory, however many answers are looked at."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from galaxalign.gallery.collapse import collapsed
from galaxalign.gallery.memory import Candidates


def candidates(vectors, ra, dec):
    n = len(vectors)
    return Candidates(
        [f"g{row}" for row in range(n)],
        np.zeros((n, 1), np.float32), np.asarray(ra, float), np.asarray(dec, float),
        np.asarray(vectors, np.float32), np.zeros(1), np.ones(1), True,
    )  # fmt: skip


def different(n):
    vectors = np.random.default_rng(0).normal(size=(n, 16))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def nowhere(n):
    return np.full(n, np.nan), np.full(n, np.nan)


def test_each_entry_joins_the_best_galaxy_that_it_is():
    vectors = different(700)
    vectors[650] = vectors[3]  # the same picture, far apart in rank
    ra, dec = np.linspace(0, 300, 700), np.full(700, 89.0)
    ra[300], dec[300] = ra[5], dec[5] + 1.99 / 3600
    ra[301], dec[301] = ra[6], dec[6] + 2.01 / 3600
    ra[10], dec[10], ra[11], dec[11] = 0.0, 5.0, 360 - 1 / 3600, 5.0  # across RA 0
    groups = collapsed(candidates(vectors, ra, dec), 700)
    assert [group for group in groups if len(group) > 1] == [[3, 650], [5, 300], [10, 11]]
    assert [group[0] for group in groups] == sorted(group[0] for group in groups)
    assert collapsed(candidates(vectors, ra, dec), 0) == []


def test_a_chain_of_neighbours_is_not_one_galaxy():
    """Entries 1.5 arcsec from each other: the third is 3 arcsec from the first."""
    dec = np.arange(5) * 1.5 / 3600
    assert collapsed(candidates(different(5), np.zeros(5), dec), 5) == [[0, 1], [2, 3], [4]]


@pytest.mark.parametrize("same", [True, False])
def test_many_answers_take_little_memory(same):
    """Where a survey has no picture it may show the same grey square a hundred thousand times."""
    n = 100_000 if same else 8_000
    vectors = np.tile(different(1), (n, 1)) if same else different(n)
    found = candidates(vectors, *nowhere(n))
    tracemalloc.start()
    groups = collapsed(found, n)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(groups) == (1 if same else n)
    assert peak < 60e6
