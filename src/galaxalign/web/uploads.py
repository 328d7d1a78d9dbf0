"""Pictures, drawings and parts of the sky that come from outside: what is taken, and what is refused.

Nothing of an upload reaches the rest of the program but pixels decoded here, or an SVG of plain shapes.
"""

from __future__ import annotations

import base64
import io
import re
import tempfile
import warnings
from pathlib import Path
from xml.etree import ElementTree

from PIL import Image, ImageOps, UnidentifiedImageError

from galaxalign.errors import InputError
from galaxalign.gallery import from_data_url, read_moc
from galaxalign.web.schemas import SkyPart

_FORMATS = ("PNG", "JPEG", "WEBP", "TIFF")
_SIDE = 1024  # no encoder looks at more

_SVG_BYTES = 1_000_000
_SVG_PARTS = 20_000
_SVG_SHAPE = 8.0  # how much longer than wide a drawing may be
_SVG_NAMES = frozenset(
    {"svg", "g", "path", "circle", "ellipse", "rect", "line", "polyline", "polygon", "title", "desc"}
    | {"defs", "linearGradient", "radialGradient", "stop"}
)
_SVG_LENGTH = re.compile(r"\s*([0-9.]+(?:[eE][+-]?[0-9]+)?)\s*(px)?\s*")


def picture_bytes(url: str) -> bytes:
    """Return the bytes of ``data:image/png;base64,…``."""
    held = from_data_url(url)
    if held is None:
        raise InputError("a picture is sent as a data URL (data:image/png;base64,...); this is none")
    return held[1]


def checked_picture(data: bytes, *, most_pixels: int) -> bytes:
    """Return an uploaded picture as PNG, decoded and written anew."""
    if not data:
        raise InputError("the picture is empty (zero bytes); send it again")
    if data.lstrip()[:5].lower().startswith((b"<svg", b"<?xml", b"<!doc", b"<html")):
        raise InputError("this is an SVG or a page, not a picture; an SVG can be searched with as a drawing")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=_FORMATS) as opened:
                width, height = opened.size
                if width * height > most_pixels:
                    raise InputError(
                        f"the picture has {width} x {height} pixels, more than {most_pixels}; make it smaller"
                    )
                if opened.format == "JPEG":
                    opened.draft("RGB", (_SIDE, _SIDE))
                picture = ImageOps.exif_transpose(opened)
                if picture.mode.startswith(("I", "F")):
                    raise InputError("the picture holds flux, not colours; send it as an 8-bit PNG or JPEG")
                picture = picture.convert("RGBA" if "A" in picture.mode or "transparency" in picture.info else "RGB")
    except InputError:
        raise
    except UnidentifiedImageError:
        raise InputError(f"the file is no picture that is known here; send {', '.join(_FORMATS)}") from None
    except (Image.DecompressionBombError, MemoryError):
        raise InputError("the picture has too many pixels; make it smaller") from None
    except Exception as error:
        # Decoders raise almost anything on damaged bytes, and whatever it was, the upload is at fault.
        raise InputError("the picture is damaged; save it again and send that") from error
    picture.thumbnail((_SIDE, _SIDE))
    out = io.BytesIO()
    picture.save(out, "PNG", compress_level=1)
    return out.getvalue()


def checked_drawing(value: str, *, most_pixels: int) -> str:
    """Return a drawing that can be handed on: SVG of plain shapes, or a PNG data URL made anew."""
    if value.lstrip().startswith("<"):
        return checked_svg(value)
    data = picture_bytes(value)
    if data.lstrip()[:5].lower().startswith((b"<svg", b"<?xml")):
        try:
            return checked_svg(data.decode("utf-8"))
        except UnicodeDecodeError:
            raise InputError("the SVG is no UTF-8 text; save it again as plain SVG") from None
    return data_url(checked_picture(data, most_pixels=most_pixels))


def sky_part(data: bytes) -> SkyPart:
    """Return what a MOC file covers, for a query."""
    with tempfile.TemporaryDirectory(prefix="galaxalign-") as folder:
        path = Path(folder) / "moc"
        path.write_bytes(data)
        try:
            moc = read_moc(str(path))
        except InputError as error:
            # The user has never seen the temporary file.
            raise InputError(str(error).replace(str(path), "the file")) from None
    if moc.empty():
        raise InputError("the file covers no part of the sky; choose another MOC")
    return SkyPart(moc=moc.to_string(format="json"), share=float(moc.sky_fraction))


def data_url(png: bytes) -> str:
    """Return a PNG as a data URL."""
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def checked_svg(text: str) -> str:
    """Return an SVG if it draws with plain shapes alone.

    Scripts, pictures, links, styles, fonts, filters and entities are refused, not taken out: who sends them should
    know that they do not count.
    """
    if len(text) > _SVG_BYTES:
        raise InputError(f"the SVG is larger than {_SVG_BYTES // 1000} kB; draw with fewer points")
    if "<!doctype" in text.lower() or "<!entity" in text.lower() or "<?xml-stylesheet" in text.lower():
        raise InputError("the SVG has a document type, entities or a style sheet; save it again as plain SVG")
    try:
        root = ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError) as error:
        raise InputError(f"the drawing is no valid SVG ({error}); save it again as plain SVG") from None
    if _local(root.tag) != "svg":
        raise InputError("the drawing is no SVG; its first element must be <svg>")
    for number, element in enumerate(root.iter()):
        if number >= _SVG_PARTS:
            raise InputError(f"the SVG has more than {_SVG_PARTS} parts; draw with fewer")
        name = _local(element.tag)
        if name not in _SVG_NAMES:
            raise InputError(f"the SVG has <{name}>, which a drawing does not need; keep to lines and shapes")
        for key, setting in element.attrib.items():
            _check_attribute(name, _local(key).lower(), setting)
    _check_shape(root)
    return text


def _check_attribute(element: str, key: str, setting: str) -> None:
    lower = re.sub(r"\s", "", setting).lower()
    if key.startswith("on"):
        raise InputError(f"the SVG has a script ({key}); keep to lines and shapes")
    outside = (key in ("href", "src") and not lower.startswith("#")) or "javascript:" in lower
    # Gradients of the drawing itself, url(#a), are all that may be pointed to.
    outside = outside or any(not part.lstrip("'\"").startswith("#") for part in lower.split("url(")[1:])
    if outside or (key == "style" and ("@" in lower or "\\" in lower)):
        raise InputError(f"<{element}> of the SVG points outside the drawing ({key}); keep to lines and shapes")


def _check_shape(root: ElementTree.Element) -> None:
    """Refuse drawings so long and thin that their pixels would not fit into memory."""
    box = root.get("viewBox")
    try:
        if box is not None:
            width, height = (float(value) for value in re.split(r"[\s,]+", box.strip())[2:4])
        else:
            width, height = _length(root.get("width", "100")), _length(root.get("height", "100"))
        fits = 0 < width < 1e6 and 0 < height < 1e6 and 1 / _SVG_SHAPE <= width / height <= _SVG_SHAPE
    except ValueError:
        fits = False
    if box is not None and fits and (root.get("width") or root.get("height")):
        try:
            given = [_length(value) for value in (root.get("width"), root.get("height")) if value]
            fits = all(0 < value < 1e6 for value in given)
            fits = fits and (len(given) < 2 or 1 / _SVG_SHAPE <= given[0] / given[1] <= _SVG_SHAPE)
        except ValueError:
            fits = False
    if not fits:
        raise InputError(f"the SVG must have a width and a height within a factor of {_SVG_SHAPE:g}, in pixels")


def _length(text: str) -> float:
    match = _SVG_LENGTH.fullmatch(text)
    if match is None:
        raise ValueError(text)
    return float(match[1])


def _local(name: object) -> str:
    """Return an element's or attribute's name without its namespace; comments and instructions have none."""
    return name.rpartition("}")[2] if isinstance(name, str) else "comment"
