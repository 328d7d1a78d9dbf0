"""Pairs on the sky are those of the sphere, few where placeholders crowd, and doubtful coordinates are noticed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st

from galaxalign.data.catalogs.sky import arcsec, friends, nearest, separation
from galaxalign.data.splits.audit import sky_pairs
from galaxalign.errors import InputError

ARCSEC = 1 / 3600


def brute_force(ra: np.ndarray, dec: np.ndarray, radius: float) -> set[tuple[int, int]]:
    """Return the pairs by astropy's own angular separation of each with each."""
    from astropy import units as u
    from astropy.coordinates import angular_separation

    a, b = np.triu_indices(len(ra), k=1)
    rad = [np.radians(values) for values in (ra[a], dec[a], ra[b], dec[b])]
    apart = (angular_separation(*(value * u.rad for value in rad))).to_value("arcsec")
    return {(int(x), int(y)) for x, y, d in zip(a, b, apart, strict=True) if d <= radius}


def as_set(pairs: np.ndarray) -> set[tuple[int, int]]:
    return {(int(a), int(b)) for a, b in pairs}


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), where=st.sampled_from(["zero", "north", "south", "sky"]), n=st.integers(2, 40))
def test_pairs_are_those_of_sphere_at_the_poles_and_across_zero(seed: int, where: str, n: int) -> None:
    rng = np.random.default_rng(seed)
    offsets = rng.uniform(-120, 120, (n, 2)) * ARCSEC
    if where == "zero":
        ra, dec = offsets[:, 0] % 360, offsets[:, 1]
    elif where == "sky":
        ra, dec = rng.uniform(0, 360, n), np.degrees(np.arcsin(rng.uniform(-1, 1, n)))
    else:
        ra, dec = rng.uniform(0, 360, n), (90 - np.abs(offsets[:, 1])) * (1 if where == "north" else -1)
    ra[1], dec[1] = ra[0], dec[0]  # one row twice at the very same place
    assert as_set(sky_pairs(ra, dec, 60)) == brute_force(ra, dec, 60)


def test_bands_of_declination_lose_and_repeat_no_pair(monkeypatch: pytest.MonkeyPatch) -> None:
    from galaxalign.data.catalogs import sky

    rng = np.random.default_rng(1)
    ra, dec = 10 + rng.uniform(0, 0.2, 400), rng.uniform(-0.1, 0.1, 400)
    whole = sky_pairs(ra, dec, 60)
    monkeypatch.setattr(sky, "_BAND", 37)
    banded = sky_pairs(ra, dec, 60)
    np.testing.assert_array_equal(banded, whole)
    assert len(whole) > 500
    assert as_set(whole) == brute_force(ra, dec, 60)


def test_the_smaller_index_comes_first_and_the_boundary_belongs() -> None:
    pairs = sky_pairs([10, 200, 10], [0, 0, 60 * ARCSEC], 60)
    assert pairs.tolist() == [[0, 2]]
    assert separation([10, 200, 10], [0, 0, 60 * ARCSEC], pairs) == pytest.approx([60])
    assert len(sky_pairs([10, 200, 10], [0, 0, 60 * ARCSEC], 59.99)) == 0


def test_right_ascension_may_be_negative_or_360() -> None:
    assert sky_pairs([-0.001, 359.999, 360, 0], [5, 5, -3, -3], 1).tolist() == [[0, 1], [2, 3]]


def test_rows_without_a_position_are_in_no_pair() -> None:
    assert sky_pairs([np.nan, 1, 1, 1], [2, 2, np.nan, 2], 5).tolist() == [[1, 3]]
    assert sky_pairs([], [], 5).shape == (0, 2)
    assert sky_pairs([np.nan], [np.nan], 5).shape == (0, 2)


def test_placeholder_pairs_grow_in_proportion_to_rows() -> None:
    ra, dec = np.zeros(200_000), np.zeros(200_000)
    ra[-1] = 0.5 * ARCSEC
    pairs = sky_pairs(ra, dec, 60)
    assert len(pairs) == 199_999
    assert [0, 199_999] in pairs[-1:].tolist()
    assert len(friends(ra, dec, 60)) < 2 * len(ra)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_friends_tie_together_what_all_pairs_tie_together(seed: int) -> None:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    rng = np.random.default_rng(seed)
    ra, dec = rng.uniform(0, 0.1, 60), rng.uniform(0, 0.1, 60)

    def groups(pairs: np.ndarray) -> set[frozenset[int]]:
        graph = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(60, 60))
        label = connected_components(graph, directed=False)[1]
        return {frozenset(np.flatnonzero(label == number).tolist()) for number in range(label.max() + 1)}

    assert groups(friends(ra, dec, 40)) == groups(sky_pairs(ra, dec, 40))


def test_the_nearest_row_of_another_table() -> None:
    distance, which = nearest([10, np.nan, 50], [0, 0, 0], [300, 10], [0, 2 * ARCSEC])
    assert distance[0] == pytest.approx(2)
    assert which.tolist() == [1, -1, 1]
    assert distance[1] == np.inf
    assert nearest([1], [1], [], [])[1].tolist() == [-1]


@pytest.mark.parametrize(
    ("text", "value"), [(60, 60), ("60", 60), ("2arcsec", 2), ("1 arcmin", 60), ("0.01deg", 36), ('3"', 3), ("0", 0)]
)
def test_angles_are_read_with_their_unit(text: object, value: float) -> None:
    assert arcsec(text) == pytest.approx(value)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["", "2 parsec", "arcsec", -1, float("nan"), "inf", "1.2.3"])
def test_what_is_no_angle_is_refused(text: object) -> None:
    with pytest.raises(InputError, match="is no angle; give it as 60arcsec"):
        arcsec(text)  # type: ignore[arg-type]


def test_impossible_coordinates_are_refused_with_their_row() -> None:
    with pytest.raises(InputError, match=r"dec = -90\.5 in row 2; it must be in degrees, at most 90"):
        sky_pairs([0, 1], [0, -90.5], 1)
    with pytest.raises(InputError, match=r"ra = 400 in row 1; .* at most 360"):
        sky_pairs([400, 1], [0, 0], 1)
    with pytest.raises(InputError, match="2 right ascensions but 1 declinations"):
        sky_pairs([0, 1], [0], 1)


@pytest.mark.real
def test_galaxy10_decals_has_its_known_numbers_of_pairs(shared) -> None:
    table = pd.read_csv(shared / "data" / "galaxy10_decals_coordinates.csv")
    assert len(sky_pairs(table["RA"], table["DEC"], 1)) == 59
    assert len(sky_pairs(table["RA"], table["DEC"], 60)) == 220
