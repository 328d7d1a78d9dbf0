"""Pictures of test galaxies: the grid along principal components, and retrieval panels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from galaxalign import evaluation
from galaxalign.bench.compare import Method
from galaxalign.bench.config import Dataset
from galaxalign.data.catalogs import iter_pictures, open_store, read_catalog
from galaxalign.data.images import Preprocessing
from galaxalign.errors import InputError
from galaxalign.gallery import grid_figure, project

_TILE = 96
_ANSWERS = 8


class TestPictures:
    """Pictures of the test galaxies of a data set, from its catalogue.

    Raises
    ------
    InputError
        The catalogue is gone.
    """

    def __init__(self, dataset: Dataset) -> None:
        self.catalog = read_catalog(dataset.catalog, columns=dataset.columns, quiet=True)
        self.rows = {identity: row for row, identity in enumerate(self.catalog.ids)}
        if self.catalog.store is not None:  # a store has the preprocessings that it was made with
            self.preprocessing = next(iter(open_store(self.catalog.store).preprocessings.values()))
        else:
            self.preprocessing = dataset.image_options(_TILE).applied_to(Preprocessing())

    def load(self, ids: list[str]) -> NDArray[np.uint8]:
        """Return the pictures of some galaxies (N, H, W, 3); InputError if one has left the catalogue."""
        gone = [identity for identity in ids if identity not in self.rows]
        if gone:
            raise InputError(f"catalogue {self.catalog.source} has no galaxy {gone[0]}")
        part = self.catalog.select([self.rows[identity] for identity in ids])
        return np.concatenate([images.copy() for _, images, _ in iter_pictures(part, self.preprocessing, workers=1)])


def grid_plate(method: Method, pictures: TestPictures, out: Path, *, side: int = 20) -> Path:
    """Draw test galaxies on a grid along the first two principal components of their vectors, first seed."""
    table, vectors = method.tables[0], _vectors(method)
    # snap_to_grid takes a sample where there are more; only that is loaded
    chosen = np.sort(np.random.default_rng(0).permutation(len(table))[: side**2])
    places = project(vectors, method="pca")[chosen]
    with evaluation.plate():
        return grid_figure(pictures.load(list(table["id_str"].iloc[chosen])), places, out, side=side)


def retrieval_plates(method: Method, pictures: TestPictures, folder: Path, prefix: str) -> list[tuple[str, Path]]:
    """Draw a query of each class with its nearest galaxies, first seed.

    The query of a class is its galaxy of median average precision, neither the best nor the worst. Returns a caption
    and a file for each class.
    """
    table, vectors = method.tables[0], _vectors(method)
    labels, ids = table["label"].to_numpy(), list(table["id_str"])
    plates = []
    for index, name in enumerate(method.classes):
        rows = np.flatnonzero((labels == index) & table["average_precision"].notna().to_numpy())
        if not len(rows):
            continue
        order = np.argsort(table["average_precision"].to_numpy()[rows], kind="stable")
        query = int(rows[order[len(rows) // 2]])
        similarity = vectors @ vectors[query]
        similarity[query] = -np.inf
        answers = np.argsort(-similarity, kind="stable")[: min(_ANSWERS, len(table) - 1)]
        right = [bool(labels[row] == index) for row in answers]
        images = pictures.load([ids[row] for row in (query, *answers)])
        readable = name.replace("_", " ")
        out = evaluation.retrieval_panel(
            images[0],
            images[1:],
            [method.classes[labels[row]].replace("_", " ") for row in answers],
            right,
            folder / f"{prefix}_{name}.png",
            title=readable,
            columns=_ANSWERS // 2,
        )
        precision = table["average_precision"].iloc[query]
        plates.append((f"{readable}: {sum(right)} of {len(right)} correct, average precision {precision:.2f}", out))
    return plates


def _vectors(method: Method) -> NDArray[np.float32]:
    vectors = method.cells[0].vectors()
    if vectors is None:
        raise InputError(f"no vectors were kept of {method.cells[0].cell.name}")
    matrix = vectors.astype(np.float32)
    return np.asarray(matrix / np.linalg.norm(matrix, axis=1, keepdims=True))
