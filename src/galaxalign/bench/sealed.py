"""The test galaxies of a benchmark behind a seal: nothing sees their labels before the predictions are made.

A cell is developed from a `Development`, whose catalogue has no row of the test part. The result, a frozen model, goes
to `Sealed.answer`, which shows it the pictures alone, checks that it is unchanged, and then joins the labels.
Protocols that leak on purpose request pictures and labels with `Sealed.leak`, which records it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from galaxalign.bench.config import Dataset
from galaxalign.bench.frozen_model import FrozenModel
from galaxalign.data.catalogs import Catalog, Pictures, arcsec, lacking_note, load_pictures
from galaxalign.data.images import Preprocessing, is_read
from galaxalign.data.splits import LeakGuard, Split, refuse_leaks
from galaxalign.errors import InputError
from galaxalign.morphology import Taxonomy, load_taxonomy
from galaxalign.training import Source, catalog_labels, open_source, split_fingerprint


@dataclass
class Development:
    """The part of a data set that a cell may use."""

    source: Source  # a catalogue without test galaxies; its `rows` are the labelled ones of training and validation
    fingerprints: dict[str, str]  # of the whole catalogue and of the split
    leaks: list[str]  # from the audit of the split
    remarks: list[str]  # what the audit could not check

    @property
    def taxonomy(self) -> Taxonomy:
        """Return the taxonomy."""
        return self.source.taxonomy


@dataclass(frozen=True, eq=False)
class Answers:
    """The predictions for the N readable test galaxies, with their labels."""

    table: pd.DataFrame  # `id_str`, `group`, `label`
    vectors: NDArray[np.float32]  # (N, D)
    probabilities: dict[str, NDArray[np.float64]]  # (N, K) by classifier
    n_failed: int  # test galaxies with an unreadable picture
    digest: str  # of the model


class Sealed:
    """The labelled test galaxies of a data set; rows of one group are one object or neighbours."""

    def __init__(self, catalog: Catalog, labels: NDArray[np.int64], groups: list[str]) -> None:
        self._catalog, self._labels, self._groups = catalog, labels, groups
        self.leaked: list[str] = []

    def __len__(self) -> int:
        return len(self._catalog)

    @property
    def identities(self) -> Catalog:
        """Return a catalogue of ids and positions alone."""
        names = [name for name in ("id_str", "ra", "dec") if name in self._catalog.table]
        return replace(self._catalog, table=self._catalog.table[names])

    def answer(self, model: FrozenModel) -> Answers:
        """Return the predictions of a frozen model with the labels."""
        before = model.digest()
        pictures, good = self._pictures(model.encoder.preprocessing)
        vectors, probabilities = model.predict(pictures)
        if model.digest() != before:
            raise RuntimeError("the model changed while it predicted for the test galaxies; its figures are void")
        table = pd.DataFrame({"id_str": self._catalog.ids, "group": self._groups, "label": self._labels}, dtype=object)
        table = table[good].astype({"label": np.int64}).reset_index(drop=True)
        return Answers(table, vectors, probabilities, int((~good).sum()), before)

    def leak(self, protocol: str, preprocessing: Preprocessing) -> tuple[Pictures, NDArray[np.int64]]:
        """Return pictures and labels of the readable test galaxies, and record the protocol that leaks them."""
        self.leaked.append(protocol)
        pictures, good = self._pictures(preprocessing)
        return pictures, self._labels[good]

    def _pictures(self, preprocessing: Preprocessing) -> tuple[Pictures, NDArray[np.bool_]]:
        pictures, statuses = load_pictures(self._catalog, preprocessing)
        good = is_read(statuses)
        if not good.any():
            raise InputError(f"none of the {len(good)} test images could be read; the first: {statuses[0]}")
        return pictures if good.all() else pictures.take(good), good


def open_dataset(
    catalog: Catalog, dataset: Dataset, split: Split, *, share: float, seed: int
) -> tuple[Development, Sealed]:
    """Return the part of a data set that a cell may use, and the test galaxies behind a seal.

    `share` is the percentage of the training labels, and `seed` chooses them.
    """
    for column in dataset.cuts:  # the report needs them; fail before the cells run
        if column not in catalog.table:
            columns = ", ".join(map(str, catalog.table.columns))
            raise InputError(f"{catalog.source} has no column {column!r} to cut by; it has {columns}")
    taxonomy = load_taxonomy(dataset.taxonomy)
    labels = catalog_labels(catalog, taxonomy)
    rows = {}
    for part in ("train", "validation", "test"):
        members = split.part(catalog, part, share=share / 100 if part == "train" else 1.0, seed=seed)
        rows[part] = members[labels[members] >= 0]
        if not len(rows[part]):
            raise InputError(f"the {part} part of {catalog.source} has no galaxy with a label of {taxonomy.name}")
    test = catalog.select(rows["test"])
    sealed = Sealed(test, labels[rows["test"]], split.groups_of(test))
    known = np.flatnonzero(np.isin(split.parts_of(catalog), ("train", "validation")))
    source = open_source(catalog.select(known), taxonomy)
    for part in ("train", "validation"):
        source.rows[part] = np.searchsorted(known, rows[part])
    remarks = [*lacking_note(catalog, "ids and the groups of the split")]
    leaks = []
    try:
        remarks += refuse_leaks(catalog, split, LeakGuard(radius=arcsec(dataset.radius)))
    except InputError as leak:
        leaks = [str(leak)]
    fingerprints = {"catalog": catalog.fingerprint, "split": split_fingerprint(split)}
    return Development(source, fingerprints, leaks, remarks), sealed
