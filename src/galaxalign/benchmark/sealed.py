"""The test galaxies of a benchmark behind a seal: nobody sees their labels before the predictions are handed in.

A cell is developed from a `Development`, whose catalogue has no row of the test part at all. What comes out, a frozen
model, is given to `Sealed.answer`, which shows it pictures and nothing else, checks that it is still the same model,
and only then puts the labels beside its answers. The protocols that leak, which exist to measure what a leak is worth,
have to ask for what they leak by `Sealed.leak`, and the seal remembers it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from galaxalign.benchmark.config import Dataset
from galaxalign.data.audit import refuse_leaks
from galaxalign.data.catalog import Catalog
from galaxalign.data.doubts import lacking_note
from galaxalign.data.pictures import load_pictures
from galaxalign.data.preprocessing import Preprocessing
from galaxalign.data.sky import arcsec
from galaxalign.data.splits import Split
from galaxalign.data.store import Pictures
from galaxalign.errors import InputError
from galaxalign.taxonomy import Taxonomy, load_taxonomy
from galaxalign.training.run import split_fingerprint
from galaxalign.training.sources import Source, catalog_labels, open_source

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Answers", "Development", "Frozen", "Sealed", "open_dataset"]


class Frozen(Protocol):
    """A model that is not changed any more."""

    @property
    def preprocessing(self) -> Preprocessing:
        """How it looks at images."""
        ...

    def digest(self) -> str:
        """Return what identifies its weights and its classifiers."""
        ...

    def predict(self, pictures: Pictures) -> tuple[NDArray[np.float32], dict[str, NDArray[np.float64]]]:
        """Return unit vectors (N, D) of framed pictures, and probabilities (N, K) by classifier."""
        ...


@dataclass
class Development:
    """What a cell may see of a data set.

    Attributes
    ----------
    source : Source
        A catalogue without the rows of the test part; its `rows` are the labelled ones of training and validation.
    fingerprints : dict
        Of the whole catalogue and of the split.
    leaks : list of str
        What the audit of the split found, a sentence each.
    remarks : list of str
        What it could not look at.
    """

    source: Source
    fingerprints: dict[str, str]
    leaks: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    @property
    def taxonomy(self) -> Taxonomy:
        """Return the taxonomy."""
        return self.source.taxonomy


@dataclass(frozen=True, eq=False)
class Answers:
    """The predictions for the test galaxies that could be read, with the truth beside them.

    Attributes
    ----------
    table : pandas.DataFrame
        `id_str`, `group`, `label`.
    vectors : ndarray (N, D), float32
    probabilities : dict of ndarray (N, K)
        By classifier.
    n_failed : int
        Test galaxies whose picture could not be read.
    digest : str
        The model that answered.
    """

    table: pd.DataFrame
    vectors: NDArray[np.float32]
    probabilities: dict[str, NDArray[np.float64]]
    n_failed: int
    digest: str


class Sealed:
    """The labelled test galaxies of a data set.

    Parameters
    ----------
    catalog : Catalog
        Their rows alone.
    labels : ndarray (N,), int64
    groups : sequence of str
        Rows of one group are one object, or neighbours, and are resampled together.
    """

    def __init__(self, catalog: Catalog, labels: NDArray[np.int64], groups: list[str]) -> None:
        self._catalog, self._labels, self._groups = catalog, labels, groups
        self.leaked: list[str] = []

    def __len__(self) -> int:
        return len(self._catalog)

    @property
    def identities(self) -> Catalog:
        """Return ids and positions of the galaxies, and nothing else."""
        names = [name for name in ("id_str", "ra", "dec") if name in self._catalog.table]
        return replace(self._catalog, table=self._catalog.table[names])

    def answer(self, model: Frozen) -> Answers:
        """Let a frozen model see the pictures, and then put the truth beside its answers.

        Raises
        ------
        InputError
            No picture can be read.
        RuntimeError
            The model is another one after it saw the pictures.
        """
        before = model.digest()
        pictures, good = self._pictures(model.preprocessing)
        vectors, probabilities = model.predict(pictures)
        if model.digest() != before:
            raise RuntimeError("the model changed while it looked at the test galaxies; no figure of it is true")
        return Answers(self._table(good), vectors, probabilities, int((~good).sum()), before)

    def leak(self, what: str, preprocessing: Preprocessing) -> tuple[Pictures, NDArray[np.int64]]:
        """Return pictures and labels of the test galaxies that can be read, and remember for what they were given."""
        self.leaked.append(what)
        pictures, good = self._pictures(preprocessing)
        return pictures, self._labels[good]

    def _pictures(self, preprocessing: Preprocessing) -> tuple[Pictures, NDArray[np.bool_]]:
        pictures, statuses = load_pictures(self._catalog, preprocessing)
        good = np.array([status == "ok" for status in statuses])
        if not good.any():
            raise InputError(f"none of the {len(good)} test images could be read; the first: {statuses[0]}")
        return pictures if good.all() else pictures.take(good), good

    def _table(self, good: NDArray[np.bool_]) -> pd.DataFrame:
        import pandas as pd

        columns: dict[str, Any] = {
            "id_str": np.array(self._catalog.ids, object)[good],
            "group": np.array(self._groups, object)[good],
            "label": self._labels[good],
        }
        return pd.DataFrame(columns)


def open_dataset(
    catalog: Catalog, dataset: Dataset, split: Split, *, share: float, seed: int
) -> tuple[Development, Sealed]:
    """Return what a cell may see of a data set, and the rest behind a seal.

    Parameters
    ----------
    catalog : Catalog
    dataset : Dataset
    split : Split
    share : float
        Percent of the training labels.
    seed : int
        Which of them.

    Raises
    ------
    InputError
        The split is of another catalogue, a part has no labelled galaxy, or there is no column of the `cuts`.
    """
    for column in dataset.cuts:  # the report needs them: better to say so now than after all cells
        if column not in catalog.table:
            there = ", ".join(map(str, catalog.table.columns))
            raise InputError(f"{catalog.source} has no column {column!r} to cut by; it has {there}")
    taxonomy = load_taxonomy(dataset.taxonomy)
    labels = catalog_labels(catalog, taxonomy)
    parts = np.array(split.parts_of(catalog))
    chosen = {
        part: split.part(catalog, part, share=share / 100 if part == "train" else 1.0, seed=seed)
        for part in ("train", "validation", "test")
    }
    rows = {part: members[labels[members] >= 0] for part, members in chosen.items()}
    for part, members in rows.items():
        if not len(members):
            raise InputError(f"the {part} part of {catalog.source} has no galaxy with a label of {taxonomy.name}")
    test = catalog.select(rows["test"])
    sealed = Sealed(test, labels[rows["test"]], split.groups_of(test))
    known = np.flatnonzero(np.isin(parts, ("train", "validation")))
    place = {row: index for index, row in enumerate(known.tolist())}
    source = open_source(catalog.select(known), taxonomy)
    for part in ("train", "validation"):
        source.rows[part] = np.array([place[row] for row in rows[part].tolist()], np.int64)
    leaks, remarks = _audit(catalog, split, dataset)
    fingerprints = {"catalog": catalog.fingerprint, "split": split_fingerprint(split)}
    return Development(source, fingerprints, leaks, remarks), sealed


def _audit(catalog: Catalog, split: Split, dataset: Dataset) -> tuple[list[str], list[str]]:
    """Return what leaks in the split, and what else is to be said of it."""
    radius = arcsec(dataset.radius)
    remarks = [*lacking_note(catalog, "ids and the groups of the split")]
    try:
        return [], remarks + refuse_leaks(catalog, split, radius=radius)
    except InputError as leak:
        return [str(leak)], remarks
