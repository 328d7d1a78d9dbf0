"""Groups are dealt whole, evenly within each class."""

from __future__ import annotations

import numpy as np

from galaxalign.data.splits.assign_parts import deal
from galaxalign.data.splits.splits import hashes


def test_groups_stay_whole_and_shares_are_exact() -> None:
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(300), rng.integers(1, 4, 300))
    strata = rng.integers(0, 3, len(group))
    part = deal(group, strata, np.full(300, -1), hashes(map(str, range(300)), 0), (0.6, 0.1, 0.1, 0.2))
    assert part.shape == (300,)
    share = np.bincount(part[group], minlength=4) / len(group)
    np.testing.assert_allclose(share, (0.6, 0.1, 0.1, 0.2), atol=0.02)


def test_what_is_fixed_stays() -> None:
    fixed = np.array([1, -1, 1, -1])
    part = deal(np.arange(4), np.zeros(4, int), fixed, hashes("abcd", 0), (0.5, 0.5))
    assert part.tolist() == [1, 0, 1, 0]


def test_a_hash_depends_on_text_and_seed_alone() -> None:
    assert hashes(["a", "b"], 1)[1] == hashes(["b"], 1)[0] != hashes(["b"], 2)[0]
