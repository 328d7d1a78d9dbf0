"""Pictures of the catalogue's galaxies for the page: by id, never by path."""

from __future__ import annotations

import io
import threading
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path
from typing import Literal

from PIL import Image

from galaxalign.data.images import Preprocessing, located, prepare
from galaxalign.errors import InputError
from galaxalign.gallery import Gallery

_KEPT_BYTES = 64 * 2**20
_COLUMN = "image_path"


class Cutouts:
    """Makes small JPEGs of the gallery's images and remembers the latest ones.

    Parameters
    ----------
    gallery : Gallery
        Its column ``image_path`` says where the images lie.
    preprocessing : Preprocessing
        How the model sees an image: stretch, bands, crop.
    """

    def __init__(self, gallery: Gallery, preprocessing: Preprocessing) -> None:
        self._gallery, self._preprocessing = gallery, preprocessing
        self._kept: OrderedDict[tuple[str, int, str], bytes] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    @property
    def there(self) -> bool:
        """Whether the gallery says where its images lie."""
        return _COLUMN in self._gallery.columns

    def get(self, id_str: str, size: int, view: Literal["model", "whole"] = "model") -> bytes:
        """Return one galaxy as JPEG."""
        key = (id_str, size, view)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        jpeg = self._make(id_str, size, view)
        with self._lock:
            if key not in self._kept:
                self._kept[key] = jpeg
                self._bytes += len(jpeg)
            while self._bytes > _KEPT_BYTES:
                self._bytes -= len(self._kept.popitem(last=False)[1])
        return jpeg

    def _make(self, id_str: str, size: int, view: str) -> bytes:
        if not self.there:
            raise InputError("the embeddings do not say where the images lie; embed the catalogue again")
        path = self._gallery.galaxy(id_str).get(_COLUMN)
        if not path:
            raise InputError(f"galaxy {id_str} has no image in the catalogue")
        crop = self._preprocessing.crop if view == "model" else 1.0
        try:
            pixels = prepare(located(Path(), str(path)), replace(self._preprocessing, size=size, margin=1.0, crop=crop))
        except InputError:
            # The sentence names a path of this machine, which is nobody's business in a browser.
            raise InputError(f"the image of galaxy {id_str} cannot be read; its column status may say why") from None
        out = io.BytesIO()
        Image.fromarray(pixels).save(out, "JPEG", quality=90)
        return out.getvalue()
