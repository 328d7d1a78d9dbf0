"""Flux becomes brightness by stated formulas, and nothing about them is quiet."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.visualization import AsinhStretch, LogStretch, make_lupton_rgb

from galaxalign.data.images.stretch import STRETCHES, Stretch
from galaxalign.errors import InputError

FLUX = np.random.default_rng(0).gamma(0.5, 0.4, (3, 20, 30)).astype(np.float32)


@pytest.mark.parametrize("kind", STRETCHES)
def test_every_kind_has_defaults_and_survives_its_own_text(kind: str) -> None:
    stretch = Stretch.parse(kind)
    assert Stretch.parse(str(stretch)) == stretch
    picture = stretch.apply(FLUX)
    assert picture.shape == (20, 30, 3)
    assert picture.dtype == np.uint8
    assert np.ptp(picture) > 100


def test_lupton_is_that_of_astropy() -> None:
    picture = Stretch.parse("lupton:stretch=0.3,Q=6,minimum=0.01,scale=2/1/0.5").apply(FLUX)
    np.testing.assert_array_equal(
        picture, make_lupton_rgb(2 * FLUX[0], FLUX[1], 0.5 * FLUX[2], minimum=0.01, stretch=0.3, Q=6)
    )


@pytest.mark.parametrize(
    ("text", "curve"),
    [
        ("asinh:minimum=0.1,maximum=1.1,softening=0.05", AsinhStretch(0.05)),
        ("log:minimum=0.1,maximum=1.1,a=100", LogStretch(100)),
        ("linear:minimum=0.1,maximum=1.1", lambda values: values),
    ],
)
def test_the_others_are_those_of_astropy_between_two_fluxes(text: str, curve) -> None:
    expected = np.rint(255 * curve(np.clip(FLUX - np.float32(0.1), 0, 1)))
    assert np.abs(Stretch.parse(text).apply(FLUX) - np.moveaxis(expected, 0, -1)).max() <= 1


def test_percentiles_are_of_all_channels_together_or_of_each() -> None:
    channels = FLUX * np.array([1, 10, 100], np.float32)[:, None, None]
    together = Stretch.parse("linear:minimum=p0,maximum=p100").apply(channels).max(axis=(0, 1))
    assert together[0] < 10
    assert together[2] == 255
    assert Stretch.parse("percentile:lower=0,upper=100").apply(channels).max(axis=(0, 1)).tolist() == [255] * 3


def test_what_not_measured_is_black_and_changes_nothing_else() -> None:
    holes = FLUX.copy()
    holes[1, 2, 3] = np.nan
    for kind in ("lupton", "asinh:minimum=0,maximum=1", "linear:minimum=-1,maximum=1"):
        whole, holed = Stretch.parse(kind).apply(FLUX), Stretch.parse(kind).apply(holes)
        assert holed[2, 3].tolist() == [0, 0, 0]
        holed[2, 3] = whole[2, 3]
        np.testing.assert_array_equal(holed, whole)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("luptn", "choose lupton, asinh, log, linear, percentile"),
        ("asinh:soft=1", "no parameter 'soft'; the closest is 'softening'"),
        ("asinh:softening", "not understood at 'softening'"),
        ("asinh:softening=x", "'x', which is no number"),
        ("asinh:softening=0", "above 0"),
        ("asinh:softening=3", r"\(0, 1\]"),
        ("lupton:stretch=-1", "above 0"),
        ("lupton:minimum=p1", "must be a number"),
        ("linear:minimum=2,maximum=1", "goes from 2.0 to 1.0"),
        ("linear:minimum=p9,maximum=p8", "goes from p9 to p8"),
        ("linear:maximum=p101", "a percentile such as p99.5"),
        ("percentile:lower=99,upper=1", "goes from 99.0 to 1.0"),
        ("percentile:upper=200", "0 to 100"),
        ("lupton:scale=1/2", "three positive factors"),
        ("lupton:scale=1/0/1", "three positive factors"),
        ("linear:maximum=nan", "finite"),
    ],
)
def test_a_stretch_that_means_nothing_is_refused(text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        Stretch.parse(text)
