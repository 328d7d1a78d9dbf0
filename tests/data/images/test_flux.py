"""FITS, NumPy, HDF5 and remote files give pictures; what is bad about them becomes one sentence."""

from __future__ import annotations

import functools
import gzip
import http.server
import sys
import threading
from pathlib import Path

import h5py
import numpy as np
import pytest
from astropy.io import fits
from PIL import Image

from galaxalign.data.catalogs import read_catalog
from galaxalign.data.images import OK, decode, load_images, prepare
from galaxalign.data.images.hdf5 import hdf5_columns
from galaxalign.data.images.locations import pattern_rows
from galaxalign.data.images.preprocessing import Preprocessing
from galaxalign.errors import InputError

RAW = Preprocessing(stretch="linear:minimum=0,maximum=255")


def cube(bands: int = 3, height: int = 20, width: int = 24) -> np.ndarray:
    """Return bands from blue to red with values of whole numbers, each another ramp."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x + 2 * y + 30 * band for band in range(bands)]).astype(np.float32)


def shown(planes: np.ndarray) -> np.ndarray:
    """Return bands from blue to red as the picture that RAW makes of them, first row on top."""
    return np.moveaxis(np.nan_to_num(planes[::-1], posinf=255, neginf=0), 0, -1).astype(np.uint8)


def write(path: Path, data: np.ndarray, **cards: object) -> Path:
    hdu = fits.PrimaryHDU(data)
    hdu.header.update(cards)
    hdu.writeto(path)
    return path


def test_fits_counts_its_rows_from_the_bottom(tmp_path: Path) -> None:
    np.testing.assert_array_equal(decode(write(tmp_path / "a.fits", cube()), RAW), shown(cube()[:, ::-1]))


def test_the_same_flux_is_the_same_picture_however_it_is_stored(tmp_path: Path) -> None:
    data = cube()
    expected = decode(write(tmp_path / "plain.fits", data), RAW)
    (tmp_path / "zipped.fits.gz").write_bytes(gzip.compress((tmp_path / "plain.fits").read_bytes()))
    (tmp_path / "called.dat").write_bytes((tmp_path / "plain.fits").read_bytes())
    packed = fits.CompImageHDU(data.astype(np.int16))
    fits.HDUList([fits.PrimaryHDU(), packed]).writeto(tmp_path / "packed.fits.fz", checksum=True)
    write(tmp_path / "double.fits", data.astype(np.float64))
    write(tmp_path / "unsigned.fits", data.astype(np.uint16))  # BZERO 32768
    scaled = fits.PrimaryHDU(data.astype(np.int16))
    scaled.scale("int16", bscale=0.5, bzero=7)
    scaled.writeto(tmp_path / "scaled.fits", checksum=True)
    parts = fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(data[::-1], name="WHT"), fits.ImageHDU(data, name="SCI")])
    parts.writeto(tmp_path / "parts.fits")
    np.save(tmp_path / "first.npy", data[:, ::-1])
    np.save(tmp_path / "last.npy", np.moveaxis(data[:, ::-1], 0, -1))
    np.save(tmp_path / "swapped.npy", data[:, ::-1].astype(">f4"))
    with h5py.File(tmp_path / "rows.h5", "w") as file:
        file["deep/images"] = np.stack([np.zeros_like(data), data[:, ::-1]])
    names = ["zipped.fits.gz", "called.dat", "packed.fits.fz", "double.fits", "unsigned.fits", "scaled.fits"]
    names += ["parts.fits[2]", "parts.fits[SCI]", "packed.fits.fz[1]", "first.npy", "last.npy", "swapped.npy"]
    for name in [*names, "rows.h5::deep/images[1]", "rows.h5::/deep/images[1]"]:
        np.testing.assert_array_equal(decode(tmp_path / name, RAW), expected, err_msg=name)
    with pytest.raises(InputError, match="2 images of one size"):
        decode(tmp_path / "parts.fits", RAW)  # the first image is the weights


@pytest.mark.parametrize(
    ("bands", "expected"), [(1, (0, 0, 0)), (2, (1, (0, 1), 0)), (3, (2, 1, 0)), (4, (3, (1, 2), 0)), (5, (3, 2, 1))]
)
def test_one_to_five_bands_become_red_green_and_blue(tmp_path: Path, bands: int, expected: tuple) -> None:
    data = cube(bands)
    picture = decode(write(tmp_path / "a.fits", data[0] if bands == 1 else data), RAW)
    for channel, source in enumerate(expected):
        wanted = data[list(source)].mean(0) if isinstance(source, tuple) else data[source]
        np.testing.assert_array_equal(picture[..., channel], wanted[::-1].astype(np.uint8))


def test_bands_are_chosen_by_number_or_by_names_in_the_header(tmp_path: Path) -> None:
    data = cube(7)
    path = write(tmp_path / "a.fits", data, BANDS="ugrizyJ")
    with pytest.raises(InputError, match="has 7 bands.*--bands"):
        decode(path, RAW)
    chain = {bands: Preprocessing(stretch=RAW.stretch, bands=bands.split(",")) for bands in ("7,3,2", "J,r,g", "z+y")}
    np.testing.assert_array_equal(decode(path, chain["7,3,2"]), decode(path, chain["J,r,g"]))
    assert decode(path, chain["7,3,2"])[0, 0, 0] == data[6, -1, 0]
    grey = decode(path, chain["z+y"])
    np.testing.assert_array_equal(grey[..., 0], np.rint(data[4:6].mean(0)[::-1]))
    with pytest.raises(InputError, match="lacks the band K; its bands are u, g, r, i, z, y, J"):
        decode(path, Preprocessing(stretch=RAW.stretch, bands=("K", "r", "g")))
    with pytest.raises(InputError, match="has 6 bands; .* such as 6,3,1"):
        decode(write(tmp_path / "six.fits", cube(6)), RAW)
    with pytest.raises(InputError, match=r"lacks the band z; it has one band, g; .* galaxy.fits\[{band}\]"):
        decode(write(tmp_path / "one.fits", cube(1)[0], FILTER="g"), Preprocessing(stretch=RAW.stretch, bands=("z",)))
    with pytest.raises(InputError, match="lacks the band r; it has 3 unnamed bands, 1 to 3"):
        decode(write(tmp_path / "b.fits", cube()), Preprocessing(stretch=RAW.stretch, bands=("r",)))


def test_several_images_of_one_size_never_read_as_first_alone(tmp_path: Path) -> None:
    planes = dict(zip("GRZ", cube(), strict=True))
    bands = fits.HDUList([fits.PrimaryHDU(), *(fits.ImageHDU(plane, name=band) for band, plane in planes.items())])
    bands.writeto(tmp_path / "a.fits")
    _, statuses = load_images([tmp_path / "a.fits"], RAW)
    assert "a.fits has 3 images of one size (1 G, 2 R, 3 Z)" in statuses[0]
    assert "a.fits[Z], or a.fits[{band}] and name what becomes red, green and blue by --bands" in statuses[0]
    np.testing.assert_array_equal(decode(tmp_path / "a.fits[Z]", RAW)[..., 0], planes["Z"][::-1])
    chain = Preprocessing(stretch=RAW.stretch, bands=("Z", "R", "G"))
    np.testing.assert_array_equal(decode(tmp_path / "a.fits[{band}]", chain), shown(cube()[:, ::-1]))
    with pytest.raises(InputError, match=r"lacks the band Z; it has one band; where .* galaxy.fits\[{band}\]"):
        decode(tmp_path / "a.fits", chain)
    # One pattern names the same extension of all files, or one for each band.
    assert read_catalog(str(tmp_path / "{id}.fits[{band}]")).paths() == [tmp_path / "a.fits[{band}]"]
    assert read_catalog(str(tmp_path / "{id}.fits[R]")).paths() == [tmp_path / "a.fits[R]"]


def test_weights_and_masks_beside_an_image_are_no_bands(tmp_path: Path) -> None:
    beside = [fits.ImageHDU(cube(1)[0] * 0 + 1, name=name) for name in ("ERR", "DQ", "WHT", "VAR_POISSON")]
    small = fits.ImageHDU(cube(1, 10, 12)[0], name="PREVIEW")
    hdus = fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(cube(1)[0], name="SCI"), *beside, small])
    hdus.writeto(tmp_path / "a.fits")
    np.testing.assert_array_equal(decode(tmp_path / "a.fits", RAW)[..., 0], cube(1)[0][::-1])


def test_one_file_for_each_band(tmp_path: Path) -> None:
    for number in (1, 2):
        for band, plane in zip("grz", cube(), strict=True):
            write(tmp_path / f"ugc_{number}_{band}.fits", plane * number)
    write(tmp_path / "ugc_3_g.fits", cube(1)[0])
    for band, side in zip("grz", (20, 20, 30), strict=True):
        write(tmp_path / f"ugc_4_{band}.fits", cube(1, side, side)[0])
    chain = Preprocessing(stretch=RAW.stretch, bands=("z", "r", "g"))
    np.testing.assert_array_equal(decode(tmp_path / "ugc_1_{band}.fits", chain), shown(cube()[:, ::-1]))
    catalog = read_catalog(str(tmp_path / "{id}_{band}.fits"))
    assert catalog.ids == ["ugc_1", "ugc_2", "ugc_3", "ugc_4"]
    pixels, statuses = load_images(catalog.paths(), chain)
    assert statuses[:2] == [OK, OK]
    assert (pixels[1] != pixels[0]).any()
    assert "no image at" in statuses[2]
    assert "ugc_3_z.fits" in statuses[2]
    assert "bands of different sizes (z 30 x 30, r 20 x 20, g 20 x 20)" in statuses[3]
    with pytest.raises(InputError, match="a file for each band.*--bands"):
        decode(tmp_path / "ugc_1_{band}.fits", RAW)
    with pytest.raises(InputError, match="finds no file"):
        read_catalog(str(tmp_path / "none_{id}_{band}.fits"))
    with pytest.raises(InputError, match="has no {id}"):
        pattern_rows("x_{band}.fits")


def test_a_catalogue_may_say_id_in_file_loc(tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text("id_str,file_loc\n007,cut_{id}.fits\nweb,https://example.org/{id}.jpg\n")
    assert read_catalog(tmp_path / "c.csv").paths() == [tmp_path / "cut_007.fits", "https://example.org/web.jpg"]


def test_folder_of_fits_is_catalogue_and_its_table_is_no_galaxy(tmp_path: Path) -> None:
    for name in ("a.fits", "b.fits.gz", "c.fits.fz", "catalog.fits"):
        (tmp_path / name).write_bytes(b"")
    assert read_catalog(tmp_path).ids == ["a", "b", "c"]


def test_bytes_in_arrays_are_pictures_and_need_no_stretch(tmp_path: Path) -> None:
    rgb = np.random.default_rng(0).integers(0, 255, (4, 16, 16, 3), np.uint8)
    with h5py.File(tmp_path / "g10.h5", "w") as file:
        file["images"] = rgb
    np.save(tmp_path / "a.npy", rgb[2])
    np.testing.assert_array_equal(decode(tmp_path / "g10.h5::images[2]"), rgb[2])
    np.testing.assert_array_equal(decode(tmp_path / "a.npy"), rgb[2])
    pixels, statuses = load_images(
        [tmp_path / f"g10.h5::images[{row % 4}]" for row in range(40)], Preprocessing(size=16)
    )
    assert statuses == [OK] * 40
    np.testing.assert_array_equal(pixels[:4], rgb)


def test_colours_may_come_first_in_hdf5(tmp_path: Path) -> None:
    rgb = np.random.default_rng(0).integers(0, 255, (4, 16, 20, 3), np.uint8)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["images"], file["labels"] = np.moveaxis(rgb, -1, 1), np.arange(4)
        file["grey"] = rgb[..., :2]
    np.testing.assert_array_equal(decode(tmp_path / "a.h5::images[2]"), rgb[2])
    rows, columns = hdf5_columns(tmp_path / "a.h5", images="images", columns=["labels"])
    assert rows == 4
    assert columns["labels"].tolist() == [0, 1, 2, 3]
    with pytest.raises(InputError, match="or with the three colours first"):
        hdf5_columns(tmp_path / "a.h5", images="grey", columns=[])


def test_a_row_without_file_loc_is_said(tmp_path: Path) -> None:
    Image.fromarray(shown(cube())).save(tmp_path / "a.png")
    (tmp_path / "c.csv").write_text("id_str,file_loc\na,a.png\nb,\nc,a.png\n")
    _, statuses = load_images(read_catalog(tmp_path / "c.csv").paths(), RAW)
    assert statuses == [OK, "its row of the catalogue has no file_loc; name its image there, or leave the row out", OK]


def test_an_hdf5_file_that_is_written_again_is_read_again(tmp_path: Path) -> None:
    for value in (100, 20_000):
        with h5py.File(tmp_path / "a.h5", "w") as file:
            file["images"] = np.full((1 + value // 1000, 9, 9), 7, np.uint8) + np.arange(9, dtype=np.uint8) * (
                value > 100
            )
        if value > 100:
            assert np.ptp(decode(tmp_path / "a.h5::images[0]")) == 8
        else:
            with pytest.raises(InputError, match="blank"):
                decode(tmp_path / "a.h5::images[0]")


def test_crop_in_arcsec_takes_scale_from_header_or_catalogue(tmp_path: Path) -> None:
    wcs = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 10.0, "CRVAL2": 89.0, "CRPIX1": 1.0, "CRPIX2": 1.0}
    path = write(tmp_path / "a.fits", cube(), CDELT1=-0.5 / 3600, CDELT2=0.5 / 3600, **wcs)
    bare = write(tmp_path / "bare.fits", cube())
    expected = prepare(path, Preprocessing("10px", 10, RAW.stretch))
    np.testing.assert_array_equal(expected, decode(path, RAW)[5:15, 7:17])
    chains = [Preprocessing("5arcsec", 10, RAW.stretch, pixel_scale=scale) for scale in ("wcs", 0.5, "column")]
    np.testing.assert_array_equal(prepare(path, chains[0]), expected)
    np.testing.assert_array_equal(prepare(bare, chains[1]), expected)
    np.testing.assert_array_equal(prepare(bare, chains[2], pixel_scale=0.5), expected)
    with pytest.raises(InputError, match=r"bare.fits cannot be cut: nothing says its pixel scale.*--pixel-scale"):
        prepare(bare, chains[0])
    with pytest.raises(InputError, match=r"less than the crop of 30arcsec \(60.0 px at 0.5 arcsec/px\)"):
        prepare(path, Preprocessing("30arcsec", 10, RAW.stretch))
    (tmp_path / "c.csv").write_text("id_str,file_loc,PxScale\na,a.fits,0.5\nb,bare.fits,0.25\nc,a.fits,\n")
    catalog = read_catalog(tmp_path / "c.csv")
    pixels, statuses = load_images(catalog.paths(), chains[2], pixel_scales=catalog.pixel_scales(chains[2]))
    np.testing.assert_array_equal(pixels[0], expected)
    assert statuses[:2] == [OK, OK]
    assert "nothing says its pixel scale" in statuses[2]
    (tmp_path / "d.csv").write_text("id_str,file_loc\na,a.fits\n")
    with pytest.raises(InputError, match="no column pixel_scale or pxscale"):
        read_catalog(tmp_path / "d.csv").pixel_scales(chains[2])


def test_crop_in_pixels_of_large_jpeg_counts_pixels_of_the_file(tmp_path: Path) -> None:
    y, x = np.mgrid[:800, :800]
    Image.fromarray(np.stack([x / 4, y / 4, 0 * x], -1).astype(np.uint8)).save(tmp_path / "a.jpg", quality=95)
    picture = prepare(tmp_path / "a.jpg", Preprocessing("400px", 50)).astype(int)
    assert abs(picture[:, 0, 0].mean() - 50) < 3
    assert abs(picture[:, -1, 0].mean() - 149) < 3
    wide = prepare(tmp_path / "a.jpg", Preprocessing("800px", 50).with_margin(1.2))
    assert wide.shape == (60, 60, 3)  # the margin beyond the picture is its mirror image
    assert abs(int(wide[30, 0, 0]) - int(wide[30, 9, 0])) < 4


def spoilt() -> dict[str, tuple[np.ndarray, str]]:
    """Return flux with each kind of bad pixels, and words of what becomes of it."""
    data = cube()
    kinds = {"some NaN": data.copy(), "many NaN": data.copy(), "half": data.copy()}
    kinds["some NaN"][:, :4] = np.nan
    kinds["many NaN"][1, :6] = np.nan  # in one band alone
    kinds["half"][:, :3] = -np.inf
    kinds |= {"all NaN": data * np.nan, "all the same": data * 0 + 5, "saturated": data.copy(), "white": data + 1e4}
    kinds["saturated"][:, 10, 10] = np.inf
    kinds["dark"] = data * 1e-5
    kinds["swapped"] = data.byteswap()
    words = {
        "some NaN": OK,
        "many NaN": "blank over 30% of its pixels (NaN), more than 25%",
        "half": OK,
        "all NaN": "blank: every pixel is NaN",
        "all the same": "blank: every pixel is 5",
        "saturated": OK,
        "white": "overexposed over 100% of its pixels by the stretch linear:minimum=0,maximum=255: its flux",
        "dark": "shows nothing by the stretch linear:minimum=0,maximum=255, but one brightness of 0 of 255",
        "swapped": "bytes of each number are in the wrong order",
    }
    return {kind: (kinds[kind] * 1, words[kind]) for kind in kinds}


@pytest.mark.parametrize("kind", spoilt())
@pytest.mark.parametrize("suffix", [".fits", ".npy"])
def test_bad_pixels_follow_the_stated_rule(tmp_path: Path, kind: str, suffix: str) -> None:
    values, words = spoilt()[kind]
    path = tmp_path / f"a{suffix}"
    if suffix == ".npy":
        np.save(path, values[:, ::-1])
    else:
        write(path, values)
    _, statuses = load_images([path], RAW)
    assert words in statuses[0]
    if words == OK:
        picture = decode(path, RAW)[::-1]
        bad = ~np.isfinite(values).all(0) & ~(values == np.inf).any(0)
        assert (picture[bad] == 0).all()  # black
        np.testing.assert_array_equal(picture[8], shown(values)[8])
        if kind == "saturated":
            assert picture[10, 10].tolist() == [values[band][np.isfinite(values[band])].max() for band in (2, 1, 0)]


@pytest.mark.parametrize("kind", ["float32", "int16"])
def test_pixels_at_saturate_of_the_header_are_saturated(tmp_path: Path, kind: str) -> None:
    data = cube(1)[0].astype(kind)
    data[10, 10:12] = (200, 250)
    expected = data.astype(np.uint8)
    expected[10, 10:12] = expected[data < 200].max()
    np.testing.assert_array_equal(decode(write(tmp_path / "a.fits", data, SATURATE=200), RAW)[::-1, :, 0], expected)
    primary = fits.PrimaryHDU()
    primary.header["SATURATE"] = 200.0
    fits.HDUList([primary, fits.ImageHDU(data)]).writeto(tmp_path / "b.fits")
    np.testing.assert_array_equal(decode(tmp_path / "b.fits", RAW)[::-1, :, 0], expected)
    for number, level in enumerate((0, "unknown", 1e6)):  # means nothing, or is not reached
        path = write(tmp_path / f"none{number}.fits", data, SATURATE=level)
        np.testing.assert_array_equal(decode(path, RAW)[::-1, :, 0], data.astype(np.uint8))
    with pytest.raises(InputError, match=r"is saturated over \d\d% of its pixels .*SATURATE.*more than 20%"):
        decode(write(tmp_path / "c.fits", data, SATURATE=15), RAW)


def galaxy(side: int, radius: float, *, peak: float = 1.0, noise: float = 0.01) -> np.ndarray:
    """Return a red galaxy on its sky in the unit that lupton is made for, float32 (3, side, side)."""
    y, x = np.mgrid[:side, :side] - side / 2
    light = peak * np.exp(-np.hypot(x, y) / radius)
    sky = np.random.default_rng(0).normal(0, noise, (3, side, side))
    return (light * np.array([0.5, 0.8, 1.0])[:, None, None] + sky).astype(np.float32)


@pytest.mark.parametrize("stretch", ["lupton", "asinh:minimum=0,maximum=1", "linear:minimum=0,maximum=1"])
@pytest.mark.parametrize(
    ("factor", "words"), [(1e-3, "shows nothing"), (1e-2, "shows nothing"), (1, OK), (1e3, "overexposed")]
)
def test_flux_in_another_unit_is_noticed(tmp_path: Path, stretch: str, factor: float, words: str) -> None:
    # The first fills its frame and keeps its colours: with lupton nothing of it is white in all three channels.
    for number, cut in enumerate((galaxy(64, 20.0), galaxy(96, 4.0, noise=0.02))):
        np.save(tmp_path / f"{number}.npy", cut * np.float32(factor))
        _, statuses = load_images([tmp_path / f"{number}.npy"], Preprocessing(stretch=stretch))
        if words != "shows nothing" or factor < 1e-2 or stretch != "asinh:minimum=0,maximum=1":
            assert words in statuses[0]  # asinh shows a hundredth as dim, as it shows faint galaxies


@pytest.mark.parametrize(
    "stretch", ["lupton", "linear:minimum=0,maximum=1", "percentile", "percentile:upper=60", "log"]
)
@pytest.mark.parametrize("noise", [0.0, 0.02])
def test_a_small_galaxy_on_much_sky_is_no_other_unit(tmp_path: Path, stretch: str, noise: float) -> None:
    np.save(tmp_path / "a.npy", galaxy(256, 1.5, peak=0.5, noise=noise))
    _, statuses = load_images([tmp_path / "a.npy"], Preprocessing(stretch=stretch))
    assert statuses == [OK]


def test_a_few_hot_pixels_do_not_hide_that_there_is_nothing(tmp_path: Path) -> None:
    cut = galaxy(64, 10.0) * np.float32(1e-4)
    cut[:, 5, 5:8] = 1.0
    np.save(tmp_path / "a.npy", cut)
    with pytest.raises(InputError, match="shows nothing by the stretch lupton"):
        decode(tmp_path / "a.npy", Preprocessing(stretch="lupton"))


def bad_files(folder: Path) -> dict[str, tuple[str, str]]:
    """Write one file of each bad kind; return what to read and words that the sentence must hold."""
    plain = write(folder / "plain.fits", cube()).read_bytes()
    fits.PrimaryHDU(cube()).writeto(folder / "sum.fits", checksum=True)
    summed = bytearray((folder / "sum.fits").read_bytes())
    summed[2880 + 400] ^= 1
    (folder / "sum.fits").write_bytes(summed)
    (folder / "cut.fits").write_bytes(plain[:4000])
    (folder / "header.fits").write_bytes(plain[:1000])
    (folder / "cut.fits.gz").write_bytes(gzip.compress(plain)[:300])
    (folder / "text.gz").write_bytes(gzip.compress(b"hello"))
    fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(np.random.default_rng(0).normal(size=(99, 99)))]).writeto(
        folder / "whole.fz"
    )
    (folder / "cut.fz").write_bytes((folder / "whole.fz").read_bytes()[:9000])
    fits.PrimaryHDU().writeto(folder / "nothing.fits")
    table = fits.BinTableHDU.from_columns([fits.Column("a", "E", array=[1.0])], name="CAT")
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(folder / "table.fits")
    write(folder / "four.fits", np.ones((2, 3, 9, 9), np.float32))
    write(folder / "small.fits", np.ones((3, 5, 40), np.float32))
    with h5py.File(folder / "g.h5", "w") as file:
        file["galaxies/pictures"], file["ans"] = np.ones((3, 9, 9, 3), np.uint8), np.arange(3)
    (folder / "cut.h5").write_bytes((folder / "g.h5").read_bytes()[:700])
    np.save(folder / "object.npy", np.array([{}, 1], object), allow_pickle=True)
    np.save(folder / "complex.npy", np.ones((9, 9), complex))
    np.save(folder / "whole.npy", cube())
    (folder / "cut.npy").write_bytes((folder / "whole.npy").read_bytes()[:500])
    return {
        "checksum": ("sum.fits", "does not fit its checksum"),
        "truncated": ("cut.fits", "is truncated: it ends before its image does; fetch or copy it again"),
        "header alone": ("header.fits", "is truncated: it ends"),
        "truncated gzip": ("cut.fits.gz", "is truncated: it ends"),
        "gzip of text": ("text.gz", "no FITS"),
        "truncated .fz": ("cut.fz", "is truncated: it ends"),
        "no data": ("nothing.fits", "FITS without an image; it holds 0 PRIMARY"),
        "a table": ("table.fits", "FITS without an image; it holds 0 PRIMARY, 1 CAT"),
        "no such extension": ("plain.fits[SCI]", "has no extension SCI; it has 0 PRIMARY"),
        "extension of a table": ("table.fits[1]", "holds no image"),
        "missing": ("gone.fits[1]", "no image at"),
        "four axes": ("four.fits", "2 x 3 x 9 x 9"),
        "small": ("small.fits", "40 x 5 pixels, too few"),
        "HDF5 alone": ("g.h5", "is an HDF5 file; name the row"),
        "other keys": ("g.h5::images[0]", "no dataset images; it has ans (3), galaxies/pictures (3 x 9 x 9 x 3)"),
        "no such row": ("g.h5::galaxies/pictures[3]", "3 x 9 x 9 x 3, rows first and counted from 0"),
        "row below 0": ("g.h5::galaxies/pictures[-1]", "rows are counted from 0"),
        "labels": ("g.h5::ans[0]", "has the shape 3, rows first"),
        "no row": ("g.h5::galaxies/pictures", "write FILE.h5::DATASET[ROW]"),
        "truncated HDF5": ("cut.h5::images[0]", "is truncated: it ends"),
        "no HDF5": ("plain.fits::images[0]", "is no HDF5 file"),
        "missing HDF5": ("gone.h5::images[0]", "no image at"),
        "objects": ("object.npy", "holds Python objects"),
        "complex": ("complex.npy", "complex128 and no real numbers"),
        "truncated array": ("cut.npy", "is truncated: it ends"),
        "unknown protocol": ("carrier://pigeon/a.jpg", "unknown kind of address"),
    }


BAD = """checksum|truncated|header alone|truncated gzip|gzip of text|truncated .fz|no data|a table|no such extension
extension of a table|missing|four axes|small|HDF5 alone|other keys|no such row|row below 0|labels|no row
truncated HDF5|no HDF5|missing HDF5|objects|complex|truncated array|unknown protocol""".replace("\n", "|").split("|")


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_file_becomes_one_sentence_that_names_it(tmp_path: Path, kind: str) -> None:
    name, words = bad_files(tmp_path)[kind]
    location = name if "//" in name else tmp_path / name
    pixels, statuses = load_images([location], RAW)
    assert words in statuses[0]
    assert name.partition("[")[0].partition("::")[0] in statuses[0]
    assert "\n" not in statuses[0]
    assert not pixels.any()


def test_flux_is_refused_where_nothing_says_how_to_show_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds flux.*--stretch"):
        decode(write(tmp_path / "a.fits", cube()))


def test_floating_point_tiff_is_flux_and_its_pages_are_bands(tmp_path: Path) -> None:
    pages = [Image.fromarray(plane[::-1]) for plane in cube()]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    np.testing.assert_array_equal(decode(tmp_path / "a.tif", RAW), shown(cube()[:, ::-1]))


@pytest.mark.parametrize("kind", ["float32", "float64", "uint16", "int32"])
@pytest.mark.parametrize("layout", ["contig", "separate"])
@pytest.mark.parametrize("bands", [2, 3, 5])
def test_tiff_of_several_bands_in_each_pixel_is_flux(tmp_path: Path, kind: str, layout: str, bands: int) -> None:
    tifffile = pytest.importorskip("tifffile")
    data = cube(bands).astype(kind)
    np.save(tmp_path / "a.npy", data)
    stored = np.moveaxis(data, 0, -1) if layout == "contig" else data
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="minisblack", planarconfig=layout, compression="zlib")
    np.testing.assert_array_equal(decode(tmp_path / "a.tif", RAW), decode(tmp_path / "a.npy", RAW))


def test_a_missing_package_for_tiff_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tifffile = pytest.importorskip("tifffile")
    tifffile.imwrite(tmp_path / "a.tif", np.moveaxis(cube(), 0, -1), photometric="minisblack", planarconfig="contig")
    monkeypatch.setitem(sys.modules, "tifffile", None)
    with pytest.raises(InputError, match=r"a.tif is a TIFF .* pip install 'galaxalign\[tiff\]'"):
        decode(tmp_path / "a.tif", RAW)


def test_pictures_are_never_stretched(tmp_path: Path) -> None:
    Image.fromarray(shown(cube())).save(tmp_path / "a.png")
    np.testing.assert_array_equal(decode(tmp_path / "a.png", Preprocessing(stretch="log")), shown(cube()))


@pytest.fixture
def server(tmp_path: Path):
    """Serve a folder over HTTP."""

    class Silent(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

    handler = functools.partial(Silent, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def test_remote_files_are_read_as_local_ones(tmp_path: Path, server: str) -> None:
    write(tmp_path / "a.fits", cube())
    Image.fromarray(shown(cube())).save(tmp_path / "a.png")
    for band, plane in zip("grz", cube(), strict=True):
        write(tmp_path / f"b_{band}.fits", plane)
    names = ["a.fits", "a.fits[0]", "a.png", "b_{band}.fits", "gone.jpg"]
    lines = [f"{number},{server}/{name}" for number, name in enumerate(names)]
    (tmp_path / "c.csv").write_text("\n".join(["id_str,file_loc", *lines]))
    chain = Preprocessing(stretch=RAW.stretch, bands=("3", "2", "1"))
    named = Preprocessing(stretch=RAW.stretch, bands=("z", "r", "g"))
    paths = read_catalog(tmp_path / "c.csv").paths()
    (tmp_path / "beside.csv").write_text("id_str,file_loc\nx,a.fits\n")
    assert read_catalog(f"{server}/beside.csv").paths() == [paths[0]]
    pixels, statuses = load_images(paths, chain)
    assert statuses[:3] == [OK] * 3
    np.testing.assert_array_equal(pixels[0], prepare(tmp_path / "a.fits", chain))
    np.testing.assert_array_equal(pixels[2], prepare(tmp_path / "a.png", chain))
    assert f"no image at {server}/gone.jpg" in statuses[4]
    np.testing.assert_array_equal(prepare(paths[3], named), prepare(tmp_path / "a.fits", chain))


def test_a_server_that_does_not_answer_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with pytest.raises(InputError, match=r"http://127.0.0.1:9/a.jpg cannot be fetched"):
        decode("http://127.0.0.1:9/a.jpg")


def test_missing_package_for_s3_is_named_with_line_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, "s3", raising=False)
    with pytest.raises(
        InputError, match=r"s3://bucket/a.jpg needs s3fs; install it with: pip install 'galaxalign\[s3\]'"
    ):
        decode("s3://bucket/a.jpg")
