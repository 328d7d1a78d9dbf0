"""The way from a file to the encoder is one value that can be written, read and compared."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from galaxalign.data.images.preprocessing import ImageOptions, Preprocessing, parse_bands
from galaxalign.errors import InputError

FULL = Preprocessing("30 arcsec", 96, "asinh:softening=0.2", ("z", "r + i", "g"), "0.262", 1.25)


def test_it_survives_json_and_names_a_misspelt_key() -> None:
    for chain in (Preprocessing(), FULL):
        assert Preprocessing.from_dict(json.loads(json.dumps(chain.to_dict()))) == chain
    with pytest.raises(InputError, match=r"'corp'.*'crop'"):
        Preprocessing.from_dict({"corp": 0.4})
    with pytest.raises(InputError, match="size"):
        Preprocessing(size=0)


def test_two_ways_to_say_the_same_are_equal() -> None:
    assert Preprocessing("0.50") == Preprocessing(0.5)
    assert Preprocessing('30"') == Preprocessing("30arcsec") == Preprocessing("30.0 arcsec")
    assert Preprocessing(stretch="Asinh") == Preprocessing(stretch="asinh:softening=0.1,minimum=p1")
    assert Preprocessing(bands="z, r+ i, g").bands == ("z", "r+i", "g")  # type: ignore[arg-type]


@pytest.mark.parametrize("crop", [0, -0.5, 1.01, float("nan"), "half", "0px", "64 pixels", "-3arcsec"])
def test_a_crop_that_means_nothing_is_refused(crop) -> None:
    with pytest.raises(InputError, match="write a fraction.*64px or 30arcsec"):
        Preprocessing(crop=crop)


def test_a_crop_is_counted_in_pixels_of_the_file() -> None:
    assert Preprocessing(0.5).crop_pixels(200, None) == 100
    assert Preprocessing("64px").crop_pixels(200, None) == 64
    assert Preprocessing("30arcsec").crop_pixels(200, 0.5) == 60
    assert Preprocessing("100px").crop_pixels(100, None) == 100
    with pytest.raises(InputError, match=r"side of 100 px is less than the crop of 30arcsec \(120"):
        Preprocessing("30arcsec").crop_pixels(100, 0.25)
    with pytest.raises(InputError, match="--pixel-scale"):
        Preprocessing("30arcsec").crop_pixels(100, None)


@pytest.mark.parametrize(("crop", "margin"), [(1.0, 1.0), (0.8, 1.25), (0.4, 2**0.5), ("64px", 2**0.5)])
def test_margin_is_as_wide_as_turn_needs_and_the_picture_allows(crop, margin) -> None:
    chain = Preprocessing(crop)
    assert chain.widest_margin() == pytest.approx(margin)
    wide = chain.with_margin(chain.widest_margin())
    assert wide.side == round(128 * margin)
    assert wide.margin * 128 == wide.side


@pytest.mark.parametrize(("bands", "words"), [("", "not understood"), ("a,b,c,d", "not understood"), ("z,,g", "not")])
def test_bands_that_mean_nothing_are_refused(bands, words) -> None:
    with pytest.raises(InputError, match=words):
        parse_bands(bands)


def test_bands_from_blue_to_red_refused_because_red_would_blue() -> None:
    with pytest.raises(InputError, match="write z,r,g"):
        parse_bands("g,r,z")
    assert parse_bands("z,r,g") == ("z", "r", "g")
    assert parse_bands("g") == ("g",)
    assert parse_bands("1,2,3") == ("1", "2", "3")  # numbers have no colour


@pytest.mark.parametrize("scale", [0, -1, float("inf"), "big"])
def test_a_pixel_scale_that_means_nothing_is_refused(scale) -> None:
    with pytest.raises(InputError, match="wcs"):
        Preprocessing(pixel_scale=scale)


def test_another_one_is_an_error_that_names_both() -> None:
    FULL.require(FULL, owner="x", advice="y")
    with pytest.raises(InputError, match=r"the model M was made with \[.*asinh.*0.262 arcsec.*\[.*log.*\].*; do this"):
        FULL.require(replace(FULL, stretch="log"), owner="the model M", advice="do this")


def test_options_replace_what_they_give() -> None:
    options = ImageOptions(crop=0.5, bands="z,r,g")
    assert options.given == {"crop": 0.5, "bands": "z,r,g"}
    assert options.flags == "--crop, --bands"
    base = Preprocessing(stretch="log", size=64)
    assert options.applied_to(base) == Preprocessing(0.5, 64, base.stretch, ("z", "r", "g"))
    assert ImageOptions().applied_to(base) == base
