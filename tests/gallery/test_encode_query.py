"""Pictures and drawings in a query: only what is one is read, and nothing else."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from galaxalign.errors import InputError
from galaxalign.gallery.encode_query import PartEncoder
from galaxalign.gallery.query import Part

SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><circle cx="4" cy="4" r="3" fill="black"/>{}</svg>'


class _Model:
    """What a query needs of a model."""

    def __init__(self, encoder):
        self.encoder, self.symbols, self.folder = encoder, np.eye(2), "m"
        self.taxonomy = type("T", (), {"handed": False})()


@pytest.fixture
def encoder(tiny_clip):
    found = PartEncoder({})
    found._model = _Model(tiny_clip)
    return found


def url(content, kind="image/png"):
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def png(side=40):
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (side, side, 3)).astype(np.uint8)).save(file, "PNG")
    return file.getvalue()


def test_a_picture_is_the_same_as_a_file_and_as_a_data_url(encoder, tmp_path):
    (tmp_path / "i.png").write_bytes(png())
    by_path = encoder.vector(Part(kind="image", value=str(tmp_path / "i.png")))
    np.testing.assert_allclose(encoder.vector(Part(kind="image", value=url(png())), files=False), by_path)
    assert np.linalg.norm(by_path) == pytest.approx(1, abs=1e-5)
    with pytest.raises(InputError, match="must be a base64 data URL"):
        encoder.vector(Part(kind="image", value=str(tmp_path / "i.png")), files=False)
    with pytest.raises(InputError, match="there is no image"):
        encoder.vector(Part(kind="image", value=str(tmp_path / "none.png")))


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (url(b"no picture"), "the picture"),
        (url(png(), "text/html"), "kind text/html"),
        (url(SVG.format("").encode(), "image/svg+xml"), r"kind image/svg\+xml"),
        ("data:image/png;base64,????", "no valid base64"),
        ("/etc/passwd", "data URL"),
    ],
)
def test_non_picture_is_refused_without_the_temporary_path(encoder, value, words):
    with pytest.raises(InputError, match=words) as caught:
        encoder.vector(Part(kind="image", value=value), files=False)
    assert "galaxalign-" not in str(caught.value)


@pytest.mark.parametrize(
    "poison",
    [
        '<image href="/etc/secret.png"/>',
        "<script>1</script>",
        '<a xlink:href="file:///etc/passwd"/>',
        "<foreignObject/>",
        '<rect fill="url(http://x)"/>',
    ],
)
def test_a_drawing_is_lines_and_nothing_else(encoder, poison):
    good = Part(kind="sketch", value=SVG.format(""))
    assert np.isfinite(encoder.vector(good, files=False)).all()
    with pytest.raises(InputError, match="which no drawing needs"):
        encoder.vector(Part(kind="sketch", value=SVG.format(poison)), files=False)
    with pytest.raises(InputError, match="which no drawing needs"):
        encoder.vector(Part(kind="sketch", value=url(SVG.format(poison).encode(), "image/svg+xml")), files=False)
