"""Catalogues of bare images: a folder, a glob, or a pattern with {id} and {band}."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Sequence
from pathlib import Path

from galaxalign.data.catalogs.catalog import Catalog, as_catalog
from galaxalign.data.images import FLUX_SUFFIXES, IMAGE_SUFFIXES, pattern_rows, without_suffix
from galaxalign.data.tables import TABLE_SUFFIXES, table_suffix
from galaxalign.errors import InputError


def folder_catalog(path: Path, require: Sequence[str]) -> Catalog:
    """Return the catalogue of the images in a folder; its sub-folders are not searched."""
    return _image_catalog(path, sorted(path.iterdir()), f"folder {path}", require)


def glob_catalog(pattern: str, require: Sequence[str]) -> Catalog:
    """Return the catalogue of the images that a glob matches; its root is the folder before the first wildcard."""
    parts = Path(pattern).parts
    fixed = next(number for number, part in enumerate(parts) if glob.has_magic(part))
    images = [Path(name) for name in sorted(glob.glob(pattern, recursive=True))]
    return _image_catalog(Path(*parts[:fixed]), images, f"glob {pattern}", require)


def pattern_catalog(pattern: str, require: Sequence[str]) -> Catalog:
    """Return the catalogue of the images that a pattern such as "cutouts/{id}_{band}.fits" matches."""
    return _listed(*pattern_rows(pattern), f"pattern {pattern}", require)


def _image_catalog(root: Path, found: Iterable[Path], where: str, require: Sequence[str]) -> Catalog:
    """Return the catalogue of bare image files."""
    files = [path for path in found if _is_image(path) and path.is_file()]
    if not files:
        beside = sorted(root.iterdir()) if root.is_dir() else []
        tables = [path for path in beside if table_suffix(path) in TABLE_SUFFIXES]
        hint = f"; the catalogue may be {tables[0]}" if tables else ""
        raise InputError(f"the {where} holds no images ({', '.join((*IMAGE_SUFFIXES, *FLUX_SUFFIXES))}){hint}")
    rows = [(without_suffix(path), path.relative_to(root).as_posix()) for path in files]
    return _listed(root, rows, where, require)


def _is_image(path: Path) -> bool:
    """Tell by its name whether a file is an image; a FITS file called catalog is none."""
    name = path.name.lower()
    flux = name.endswith(FLUX_SUFFIXES) and name.partition(".")[0] not in ("catalog", "catalogue")
    return flux or name.endswith(IMAGE_SUFFIXES)


def _listed(root: Path, rows: list[tuple[str, str]], where: str, require: Sequence[str]) -> Catalog:
    """Return the catalogue of ids and where their images lie."""
    import pandas as pd

    if not rows:
        raise InputError(f"the {where} finds no file; check the folder and what stands around {{id}} and {{band}}")
    frame = pd.DataFrame(rows, columns=["id_str", "file_loc"])
    return as_catalog(frame, root=root, source=root.resolve().name, require=require, where=f"the {where}")
