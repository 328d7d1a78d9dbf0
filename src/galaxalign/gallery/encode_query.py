"""The parts of a query as vectors: words, pictures, drawings and classes through the model of the gallery."""

from __future__ import annotations

import base64
import binascii
import json
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from galaxalign.data.images import IMAGE_SUFFIXES, Preprocessing, locate, located, prepare
from galaxalign.errors import InputError
from galaxalign.gallery.query import Part
from galaxalign.inference import encode_array
from galaxalign.models import Model, default_device, load_model
from galaxalign.morphology import DRAWING_SUFFIXES, Taxonomy, load_drawing

_KINDS = {
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/webp": ".webp",
    "image/tiff": ".tif",
    "image/bmp": ".bmp",
    "image/gif": ".gif",
    "image/fits": ".fits",
    "application/fits": ".fits",
    "image/svg+xml": ".svg",
}
_DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+)?(?:;[\w=-]+)*;base64,", re.IGNORECASE)
# What makes an SVG more than a drawing: other files, programs, entities that grow.
_NO_DRAWING = re.compile(
    r"<\s*(image|script|foreignobject|use)\b|<!(entity|doctype)|\bhref\s*=|url\(\s*['\"]?[^#'\"\s)]", re.I
)


def model_of(metadata: Mapping[str, Any], model: str | Path | None = None, device: str | None = None) -> Model:
    """Return the model that made some embeddings."""
    named = str(model) if model is not None else str(metadata.get("model", ""))
    if not named:
        raise InputError("the embeddings do not say which model made them; name it with --model")
    loaded = load_model(named, device=default_device(device))
    if "preprocessing" in metadata:
        then = Preprocessing.from_dict(json.loads(str(metadata["preprocessing"])))
        then.require(
            loaded.encoder.preprocessing,
            owner="the embeddings file",
            advice=f"embed the catalogue again with {named}, or name the model that made it",
        )
    made_by = metadata.get("fingerprint")
    if made_by != loaded.encoder.fingerprint:
        raise InputError(
            f"the embeddings were made by a model with fingerprint {made_by}, {named} has "
            f"{loaded.encoder.fingerprint}; embed the catalogue again or name the other model"
        )
    return loaded


class PartEncoder:
    """Turns words, pictures, drawings and classes into unit vectors; the model is loaded at the first of them.

    Parameters
    ----------
    metadata : mapping
        Of the embeddings file or index.
    model : path, optional
    device : str, optional
    """

    def __init__(self, metadata: Mapping[str, Any], model: str | Path | None = None, device: str | None = None) -> None:
        self._metadata, self._named, self._device = metadata, model, device
        self._model: Model | None = None

    @property
    def model(self) -> Model:
        """The model that made the embeddings; InputError if it is another or cannot be found."""
        if self._model is None:
            self._model = model_of(self._metadata, self._named, self._device)
        return self._model

    def vector(self, part: Part, *, files: bool = True) -> np.ndarray:
        """Return the unit vector (D,) of a text, image, symbol or sketch."""
        value = str(part.value)
        encoder = self.model.encoder
        if part.kind == "text":
            return np.asarray(encoder.encode_texts([value]).cpu().numpy()[0])
        if part.kind == "symbol":
            return self._class(value)
        if part.kind == "image":
            with _as_file(value, files=files, suffixes=(*IMAGE_SUFFIXES, ".fits")) as path:
                return self._picture(path)
        if self.model.symbols is None:
            raise InputError(f"{self.model.folder} was trained without symbols; it cannot read a sketch")
        with _as_file(value, files=files, suffixes=DRAWING_SUFFIXES) as path:
            if path.lower().endswith(".svg"):
                _check_svg(Path(path))
            drawing = load_drawing(path, size=encoder.preprocessing.size)
        return np.asarray(encoder.encode_symbols(drawing[None]).cpu().numpy()[0])

    def _picture(self, path: str) -> np.ndarray:
        location = located(Path(), path)
        if "{band}" not in path and not (found := locate(location)).remote and not Path(found.file).is_file():
            raise InputError(f"there is no image {path} to search with; check the path")
        picture = prepare(location, self.model.encoder.preprocessing)
        return np.asarray(encode_array(self.model.encoder, picture[None], mirror=not self.model.taxonomy.handed)[0])

    def _class(self, name: str) -> np.ndarray:
        """Return the unit vector of a class's symbol."""
        model = self.model
        if model.symbols is None:
            raise InputError(f"{model.folder} was trained without symbols; train it with the galaxalign recipe first")
        for task in (model.task(), *model.also.values()):
            assert task is not None
            if task.symbols is not None and name in task.taxonomy.class_names:
                return np.asarray(task.symbols[task.taxonomy.class_names.index(name)])
        return np.asarray(model.symbols[_index(model.taxonomy, name)])


def _index(taxonomy: Taxonomy, name: str) -> int:
    """Return the number of a class, in other spellings too."""
    index = taxonomy.index(name)
    if index is None:
        raise InputError(f"{taxonomy.name} ignores the label {name!r}; choose {', '.join(taxonomy.class_names)}")
    return index


def from_data_url(value: str) -> tuple[str, bytes] | None:
    """Return the kind (such as "image/png") and the content of a data URL; None where the text is something else.

    Raises
    ------
    InputError
        It is no valid base64.
    """
    head = _DATA_URL.match(value)
    if head is None:
        return None
    try:
        return (head[1] or "").lower(), base64.b64decode(value[head.end() :], validate=True)
    except (binascii.Error, ValueError):
        raise InputError("the data URL is no valid base64; encode the file again") from None


@contextmanager
def _as_file(value: str, *, files: bool, suffixes: tuple[str, ...]) -> Iterator[str]:
    """Give the path of an image: its own, or that of a temporary copy of what a data URL or an SVG document holds."""
    held = ("image/svg+xml", value.encode()) if value.lstrip()[:1] == "<" else from_data_url(value)
    if held is None:
        if not files:
            raise InputError(
                "an image must be a base64 data URL here (data:image/png;base64,...); files cannot be named"
            )
        yield value
        return
    kind, content = held
    suffix = _KINDS.get(kind, "")
    if suffix not in suffixes:
        told = kind or "(none)"
        raise InputError(f"an image of kind {told} cannot be read here; use {', '.join(sorted(set(suffixes)))}")
    with tempfile.TemporaryDirectory(prefix="galaxalign-") as folder:
        path = Path(folder) / f"query{suffix}"
        path.write_bytes(content)
        try:
            yield str(path)
        except InputError as error:
            # The user has never seen the temporary file.
            raise InputError(str(error).replace(str(path), "the picture")) from error


def _check_svg(path: Path) -> None:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return  # load_drawing says what is wrong with it
    found = _NO_DRAWING.search(text)
    if found:
        raise InputError(
            f"{path} holds {found[0].strip()[:20]!r}, which no drawing needs; save it as plain SVG of shapes and paths"
        )
