"""Ids are compared, and catalogues recognised, without holding them."""

from __future__ import annotations

import hashlib

import numpy as np
import pandas as pd
import pytest

from galaxalign.data.catalogs import fingerprint as identity
from galaxalign.data.catalogs.fingerprint import Fingerprint, IdHashes, hashes, plain_texts


def test_repeated_hashes_are_found_however_many_passes_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "_AT_A_TIME", 100)
    with IdHashes() as seen:
        for first in range(0, 2000, 250):
            seen.add([str(number % 1990) for number in range(first, first + 250)])
        found = seen.repeated()
    assert sorted(found) == sorted(hashes([str(number) for number in range(10)]))
    with IdHashes() as seen:
        assert len(seen.repeated()) == 0


def test_the_fingerprint_is_a_sum_over_rows() -> None:
    table = pd.DataFrame({"id_str": ["a", "b", "c"], "label": ["1", "", "2"], "file_loc": ["x/1.jpg", "2.jpg", "y/"]})
    whole, pieces = Fingerprint(), Fingerprint()
    whole.add(table)
    for row in (2, 0, 1):
        pieces.add(table[row : row + 1])
    assert pieces.hexdigest() == whole.hexdigest()
    rows = ("a\x1f1\x1f1.jpg", "b\x1f\x1f2.jpg", "c\x1f2\x1fy")
    total = sum(int(hashlib.sha256(row.encode()).hexdigest(), 16) for row in rows) % 2**256
    assert int(whole.hexdigest(), 16) == total
    assert len(whole.hexdigest()) == 64


def test_texts_of_fast_and_slow_columns_agree() -> None:
    assert plain_texts(pd.Series([" a ", None, "nan", "3.0"], dtype=object)) == ["a", "", "", "3"]
    assert plain_texts(pd.Series([" a ", None, "nan", "3.1"], dtype=object)) == ["a", "", "", "3.1"]
    assert plain_texts(pd.Series([3.0, np.nan])) == ["3", ""]
    assert plain_texts(pd.Series([3, None], dtype="Int64")) == ["3", ""]
    assert plain_texts(pd.Series([b"x", 5, None], dtype=object)) == ["x", "5", ""]
