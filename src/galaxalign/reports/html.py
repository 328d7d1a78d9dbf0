"""Pages that need nothing else: templates of the package, and figures inside the page."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

_WIDEST = 1400  # pixels; twice the width at which a figure is shown, for sharp screens


def render_page(template: str, **contents: object) -> str:
    """Return the HTML of a template of this package."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("galaxalign.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(contents)


@dataclass(frozen=True)
class Picture:
    """A figure inside the page: the PNG as a data URI, and its size in pixels, so that the page keeps its layout."""

    uri: str
    width: int
    height: int

    @classmethod
    def read(cls, path: Path) -> Picture:
        """Return the figure in an image file, narrowed to the width of a page."""
        from PIL import Image

        data = path.read_bytes()
        with Image.open(BytesIO(data)) as file:
            width, height = file.size
            if width > _WIDEST:
                image = file.convert("RGB")  # figures have no transparency worth keeping
                image.thumbnail((_WIDEST, _WIDEST * 4), Image.Resampling.LANCZOS)
                width, height = image.size
                buffer = BytesIO()
                image.save(buffer, "PNG")
                data = buffer.getvalue()
        return cls(f"data:image/png;base64,{base64.b64encode(data).decode('ascii')}", width, height)
