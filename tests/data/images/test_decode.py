"""Pictures become RGB squares; a bad file becomes one clear sentence and never ends a run."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, strategies as st
from PIL import Image

from galaxalign.data.images import OK, arrays, decode, frame, iter_images, load_images, prepare, stream
from galaxalign.data.images.arrays import ReadOptions
from galaxalign.data.images.decode import read_picture
from galaxalign.data.images.preprocessing import Preprocessing
from galaxalign.errors import InputError


def blob(height: int, width: int, *, colour: tuple[int, int, int] = (255, 200, 120)) -> np.ndarray:
    """Return a round, smooth galaxy in the middle of a picture."""
    y, x = np.mgrid[:height, :width]
    radius = np.hypot(y - (height - 1) / 2, x - (width - 1) / 2) / min(height, width)
    return (np.exp(-((radius / 0.2) ** 2))[..., None] * np.array(colour)).round().astype(np.uint8)


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def hollow_png(width: int, height: int) -> bytes:
    """Return a small PNG that claims a size and holds the start of its pixels only."""
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + png_chunk(b"IDAT", zlib.compress(bytes(50)))


def jpeg(path: Path, size: int = 96) -> Path:
    Image.fromarray(blob(size, size)).save(path, quality=92)
    return path


def save_bad(folder: Path) -> dict[str, tuple[Path, str]]:
    """Write one file of each bad kind; return their paths and words that the sentence must hold."""
    whole = jpeg(folder / "whole.jpg").read_bytes()
    contents = {
        "truncated.jpg": (whole[: len(whole) // 2], "is truncated: it ends before"),
        "zero.jpg": (b"", "empty"),
        "text.jpg": (b"this is no picture\n", "no image that is recognised"),
        "bomb.png": (hollow_png(30_000, 30_000), "more than 80,000,000 pixels"),
        "large.png": (hollow_png(9_000, 9_000), "more than 80,000,000 pixels"),
        "hollow.png": (hollow_png(100, 100), "is truncated: it ends before"),
    }
    bad = {"missing.jpg": (folder / "missing.jpg", "no image at"), "folder": (folder, "is a folder")}
    for name, (content, words) in contents.items():
        (folder / name).write_bytes(content)
        bad[name] = (folder / name, words)
    Image.fromarray(np.eye(16, dtype=np.float32)).save(folder / "float.tif")
    bad["float.tif"] = (folder / "float.tif", "holds flux")
    Image.fromarray(blob(7, 30)).save(folder / "small.png")
    bad["small.png"] = (folder / "small.png", "30 x 7 pixels, too few")
    return bad


BAD = (
    "missing.jpg",
    "folder",
    "truncated.jpg",
    "zero.jpg",
    "text.jpg",
    "bomb.png",
    "large.png",
    "hollow.png",
    "float.tif",
    "small.png",
)


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_file_gets_one_sentence_that_names_it(tmp_path: Path, kind: str) -> None:
    path, words = save_bad(tmp_path)[kind]
    with pytest.raises(InputError) as caught:
        decode(path)
    sentence = str(caught.value)
    assert str(path) in sentence
    assert words in sentence
    assert "\n" not in sentence


def test_a_bomb_is_refused_without_being_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "mild.png"
    Image.new("RGB", (50, 50)).save(path)
    monkeypatch.setattr(arrays, "MAX_PIXELS", 2_499)
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("pixels were decoded"))
    with pytest.raises(InputError, match=r"more than 2,499 pixels"):
        decode(path)


def test_a_file_that_may_not_be_read_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = jpeg(tmp_path / "secret.jpg")

    def refuse(*args: object, **kwargs: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Image, "open", refuse)
    with pytest.raises(InputError, match="may not be read"):
        decode(path)


def test_grey_palette_and_cmyk_become_rgb(tmp_path: Path) -> None:
    picture = Image.fromarray(blob(40, 40, colour=(255, 0, 0)))
    picture.convert("L").save(tmp_path / "grey.png")
    picture.quantize(64).save(tmp_path / "palette.gif")
    picture.convert("CMYK").save(tmp_path / "cmyk.tif")
    Image.fromarray(blob(40, 40)).convert("1", dither=Image.Dither.NONE).save(tmp_path / "bits.png")
    grey = decode(tmp_path / "grey.png")
    assert grey.shape == (40, 40, 3)
    assert grey.dtype == np.uint8
    assert np.ptp(grey, axis=2).max() == 0
    for name in ("palette.gif", "cmyk.tif"):
        red = decode(tmp_path / name)[20, 20]
        assert red[0] > 220, name
        assert red[1:].max() < 30, name
    assert set(np.unique(decode(tmp_path / "bits.png"))) == {0, 255}


@pytest.mark.parametrize("name", ["deep.png", "deep.tif"])
def test_sixteen_bits_are_scaled_not_cut(tmp_path: Path, name: str) -> None:
    ramp = np.array([0, 128, 129, 257 * 100, 65534, 65535, 0, 0], np.uint16)
    Image.fromarray(np.tile(ramp, (8, 1))).save(tmp_path / name)
    np.testing.assert_array_equal(decode(tmp_path / name)[0, :6, 0], [0, 0, 1, 100, 255, 255])


def test_transparency_is_laid_on_black(tmp_path: Path) -> None:
    rgba = np.zeros((8, 8, 4), np.uint8)
    rgba[..., :3] = 200  # the colour hidden below full transparency must not show
    rgba[0, 0, 3], rgba[0, 1, 3] = 255, 128
    Image.fromarray(rgba).save(tmp_path / "alpha.png")
    pixels = decode(tmp_path / "alpha.png")[..., 0]
    assert pixels[0, 0] == 200
    assert abs(int(pixels[0, 1]) - 100) <= 1
    assert not pixels[1].any()

    Image.fromarray(rgba).convert("LA").save(tmp_path / "grey_alpha.png")
    np.testing.assert_array_equal(decode(tmp_path / "grey_alpha.png")[..., 0], pixels)

    palette = Image.new("P", (8, 8))
    palette.putpalette([255, 255, 255, 10, 20, 30])
    palette.putpixel((1, 0), 1)
    palette.save(tmp_path / "palette.png", transparency=0)
    assert decode(tmp_path / "palette.png")[0, :2].tolist() == [[0, 0, 0], [10, 20, 30]]


def test_the_kind_of_file_is_told_by_its_content(tmp_path: Path) -> None:
    Image.fromarray(blob(8, 8)).save(tmp_path / "really.png")
    (tmp_path / "really.png").rename(tmp_path / "called.jpg")
    np.testing.assert_array_equal(decode(tmp_path / "called.jpg"), blob(8, 8))


def test_exif_orientation_is_applied_as_viewers_do(tmp_path: Path) -> None:
    picture = np.zeros((16, 32, 3), np.uint8)
    picture[:, 16:] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # turn a quarter clockwise to see it upright
    Image.fromarray(picture).save(tmp_path / "turned.jpg", exif=exif, quality=95)
    upright = decode(tmp_path / "turned.jpg")
    assert upright.shape == (32, 16, 3)
    assert upright[:8].mean() < 10
    assert upright[-8:].mean() > 245


@given(height=st.integers(1, 90), width=st.integers(1, 90), crop=st.floats(0.01, 1), size=st.integers(1, 64))
def test_a_frame_is_a_square_of_the_asked_size(height: int, width: int, crop: float, size: int) -> None:
    square = frame(np.full((height, width, 3), 77, np.uint8), Preprocessing(crop, size))
    assert square.shape == (size, size, 3)
    assert square.dtype == np.uint8
    assert (square == 77).all()


@pytest.mark.parametrize("shape", [(90, 90), (91, 120), (130, 89)])
@pytest.mark.parametrize("crop", [1.0, 0.5, 0.333])
def test_framing_keeps_the_galaxy_in_the_middle(shape: tuple[int, int], crop: float) -> None:
    square = frame(blob(*shape), Preprocessing(crop, 64)).astype(int)
    for mirrored in (square[::-1], square[:, ::-1]):
        assert abs(square - mirrored).max() <= 2


def test_a_crop_enlarges() -> None:
    picture = np.zeros((90, 90, 3), np.uint8)
    picture[30:60, 30:60] = 255
    assert frame(picture, Preprocessing(1 / 3, 30)).min() == 255
    assert frame(picture, Preprocessing(1.0, 90)).mean() == pytest.approx(255 / 9, abs=0.5)


def test_shrinking_is_antialiased() -> None:
    stripes = np.zeros((128, 128, 3), np.uint8)
    stripes[:, ::2] = 255
    inside = frame(stripes, Preprocessing(1.0, 32))[:, 2:-2].astype(int)
    assert abs(inside - 127).max() <= 3


def test_reduced_decoding_large_jpegs_changes_nothing_visible(tmp_path: Path) -> None:
    big = blob(1200, 1200)
    big[100:110, :, :] = 255
    Image.fromarray(big).save(tmp_path / "big.jpg", quality=95)
    reduced = read_picture(tmp_path / "big.jpg", ReadOptions(Preprocessing(1.0, 128), reduce=True)).pixels
    assert reduced.shape == (300, 300, 3)
    whole = decode(tmp_path / "big.jpg")
    assert whole.shape == big.shape
    preprocessing = Preprocessing(1.0, 128)
    np.testing.assert_array_equal(prepare(tmp_path / "big.jpg", preprocessing), frame(reduced, preprocessing))
    difference = np.abs(frame(reduced, preprocessing).astype(int) - frame(whole, preprocessing))
    assert difference.mean() < 0.5
    assert difference.max() <= 12


def test_a_catalogue_with_broken_images_is_read_to_its_end(tmp_path: Path) -> None:
    good = jpeg(tmp_path / "good.jpg")
    bad = save_bad(tmp_path)
    paths = [good, *(bad[kind][0] for kind in BAD), good]
    seen: list[int] = []
    pixels, statuses = load_images(paths, Preprocessing(1.0, 32), workers=2, progress=seen.append)
    assert pixels.shape == (len(paths), 32, 32, 3)
    assert statuses[0] == statuses[-1] == OK
    for kind, status in zip(BAD, statuses[1:-1], strict=True):
        assert bad[kind][1] in status
    assert not pixels[1:-1].any()
    np.testing.assert_array_equal(pixels[0], pixels[-1])
    assert pixels[0].any()
    assert sum(seen) == len(paths)


def test_streaming_keeps_order_and_gives_what_loading_gives(tmp_path: Path) -> None:
    paths = []
    for number in range(11):
        path = tmp_path / f"{number}.png"
        picture = Image.new("RGB", (10 + number, 12), (number, 0, 0))
        picture.putpixel((9 + number, 11), (255, 255, 255))  # a picture of one colour would be refused as blank
        picture.save(path)
        paths.append(path)
    preprocessing = Preprocessing(1.0, 8)
    batches = list(iter_images(paths, preprocessing, batch_size=4, workers=3))
    assert [rows for rows, _, _ in batches] == [slice(0, 4), slice(4, 8), slice(8, 11)]
    streamed = np.concatenate([batch for _, batch, _ in batches])
    np.testing.assert_array_equal(streamed, load_images(paths, preprocessing)[0])
    assert streamed[:, 0, 0, 0].tolist() == list(range(11))


def test_streaming_reads_only_a_few_batches_ahead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[Path] = []

    def record(path: Path, preprocessing: Preprocessing, scale: float | None) -> tuple[np.ndarray, str]:
        begun.append(path)
        return np.zeros((preprocessing.size, preprocessing.size, 3), np.uint8), OK

    monkeypatch.setattr(stream, "_read", record)
    batches = iter_images([tmp_path / str(n) for n in range(1000)], Preprocessing(1.0, 4), batch_size=5, workers=2)
    next(batches)
    batches.close()  # leaving early must neither hang nor read on
    assert 5 <= len(begun) <= 20
    assert len(begun) == len(set(begun))


def test_no_images_give_an_empty_array() -> None:
    pixels, statuses = load_images([], Preprocessing(1.0, 16))
    assert pixels.shape == (0, 16, 16, 3)
    assert statuses == []


@pytest.mark.real
def test_real_galaxies_are_read(shared: Path) -> None:
    for source in ("efigi", "gz1", "gz2", "gz2_stripe82"):
        paths = sorted((shared / "data" / source / "images").iterdir())[:20]
        pixels, statuses = load_images(paths, Preprocessing(1.0, 64))
        assert statuses == [OK] * 20
        assert (pixels.reshape(20, -1).std(axis=1) > 2).all()
