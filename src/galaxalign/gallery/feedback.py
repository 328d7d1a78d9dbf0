"""Relevance feedback: a query refined by what was marked good and bad, and the marks as labels for others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from galaxalign.errors import InputError
from galaxalign.gallery.gallery import Gallery
from galaxalign.gallery.query import Part, Query
from galaxalign.gallery.results import Results

CLASSIFIER_FROM = 2
"""Marks of each kind from which a classifier takes the place of Rocchio's rule; see benchmarks/feedback.py."""

_BETA, _GAMMA = 0.75, 0.25  # Rocchio (1971) with the usual weights of Manning et al. (2008), section 9.1
_BACKGROUND = 1000
_STRENGTH = 1.0
_PANOPTES = (".jpg", ".jpeg", ".png", ".gif", ".svg")  # pictures that it takes as media of a subject


def refine(gallery: Gallery, query: Query, good: Sequence[str], bad: Sequence[str], *, files: bool = True) -> Results:
    """Search again, nearer to the galaxies that were marked good and farther from those marked bad.

    Marked galaxies are not among the answers, nor are those asked with where the query says so.

    Parameters
    ----------
    gallery : Gallery
    query : Query
        What was asked; may have no parts where galaxies are marked good.
    good, bad : sequence of str
        Ids.
    files : bool
        As for `Gallery.search`.

    Raises
    ------
    InputError
        Nothing is marked good and nothing was asked, an id is marked both, or is not there; or the query has a floor:
        marks change what a score is.
    """
    wanted = refined_query(gallery, query, good, bad)
    own = [str(part.value) for part in query.parts if part.kind == "id"] if query.exclude_self else []
    return gallery.search(wanted, files=files, leave_out={*good, *bad, *own})


def refined_query(gallery: Gallery, query: Query, good: Sequence[str], bad: Sequence[str]) -> Query:
    """Return the query with a part that points from the bad to the good galaxies.

    With fewer than 2 marks of a kind it is Rocchio's: the mean of the good less a third of the mean of the bad, both
    about the mean of the gallery, beside the parts of the query. From 2 of each on it is the direction of a logistic
    regression of good against bad and a random sample of the gallery (which is mostly not what is wanted, and weighs as
    much as the bad), and takes the place of the query. Either is one direction in the space of embeddings, so that the
    search with it is as fast as any, in memory or on disk.

    Parameters and errors are those of `refine`.
    """
    _check_marks(good, bad)
    if not good and not bad:
        return query
    if query.floor is not None:
        raise InputError("marks change the scale of the scores, so a floor means nothing beside them; leave one out")
    if not good and not query.parts:
        raise InputError("only bad galaxies are marked; mark a good one, or ask for something")
    # Right answers are called what they were before, although the query becomes a direction without a name.
    query = query.model_copy(update={"label": gallery.label_of(query)})
    background = gallery.sample(_BACKGROUND)
    centre = background.mean(axis=0)
    liked = _vectors(gallery, good) - centre
    disliked = _vectors(gallery, bad) - centre
    if len(liked) >= CLASSIFIER_FROM and len(disliked) >= CLASSIFIER_FROM:
        direction = _classifier_direction(liked, disliked, background - centre)
        return query.model_copy(update={"parts": [_part(direction, 1.0)]})
    parts = list(query.parts)
    size = sum(abs(part.weight) for part in parts) or 1.0
    if len(liked):
        direction = liked.mean(axis=0) - (_GAMMA / _BETA * disliked.mean(axis=0) if len(disliked) else 0)
        parts.append(_part(direction, _BETA * size))
    else:
        parts.append(_part(disliked.mean(axis=0), -_GAMMA * size))
    return query.model_copy(update={"parts": parts})


def read_marks(path: str | Path) -> tuple[list[str], list[str]]:
    """Return the ids that a table marks good and bad.

    Parameters
    ----------
    path : path
        Table (.csv, .parquet, .fits, .vot) with the columns `id_str` and `mark`: "good" or "bad".

    Raises
    ------
    InputError
        It cannot be read, lacks a column, or has another mark.
    """
    from galaxalign.data.tables import read_table

    table = read_table(path, text_columns=("id_str", "mark"))
    for name in ("id_str", "mark"):
        if name not in table:
            raise InputError(f"{path} has no column {name}; marks are a table of id_str and mark (good or bad)")
    marks = [str(mark).strip().lower() for mark in table["mark"]]
    for row, mark in enumerate(marks):
        if mark not in ("good", "bad"):
            raise InputError(f"{path} has the mark {mark!r} in row {row + 1}; write good or bad")
    ids = [str(identity).strip() for identity in table["id_str"]]
    good, bad = ([one for one, mark in zip(ids, marks, strict=True) if mark == kind] for kind in ("good", "bad"))
    return good, bad


def marks_table(gallery: Gallery, good: Sequence[str], bad: Sequence[str], *, label: str, other: str = "") -> pa.Table:
    """Return marked galaxies as a catalogue of labels."""
    _check_marks(good, bad)
    if not label.strip():
        raise InputError("the label of the good galaxies is empty; give it a name")
    ids = [*good, *bad]
    if not ids:
        raise InputError("nothing is marked, so there is nothing to write")
    known = [name for name in ("image_path", "ra", "dec") if name in gallery.columns]
    found = gallery.rows(ids, ["id_str", *known])
    labels = [label] * len(good) + [other or f"not_{label}"] * len(bad)
    data: dict[str, Any] = {"id_str": found.column("id_str")}
    if "image_path" in known:
        data["file_loc"] = found.column("image_path")
    data["label"] = pa.array(labels, pa.string())
    return pa.table(data | {name: found.column(name) for name in ("ra", "dec") if name in known})


def export_marks(
    gallery: Gallery,
    good: Sequence[str],
    bad: Sequence[str],
    out: str | Path,
    *,
    label: str,
    other: str = "",
    manifest: bool = False,
) -> Path:
    """Write marked galaxies as a catalogue of labels, or as a manifest of subjects for Zooniverse's Panoptes.

    Parameters
    ----------
    gallery : Gallery
    good, bad : sequence of str
        Ids.
    out : path
        .csv, .parquet, .fits or .vot; a manifest is a .csv.
    label, other : str
        See `marks_table`.
    manifest : bool
        A row for each subject: `subject_id`, `filename` (the image's name without its folder; upload the images
        beside the manifest), and what volunteers must not see before they classify, marked by a leading ``#``:
        ``#id_str``, ``#label``, ``#ra``, ``#dec``.

    Raises
    ------
    InputError
        The file cannot be written, nothing is marked or one galaxy both ways, or a manifest is wanted and the gallery
        does not know the images, or they are none that a browser shows.
    """
    from galaxalign.data.tables import write_table

    table = marks_table(gallery, good, bad, label=label, other=other)
    if manifest:
        if Path(out).suffix.lower() != ".csv":
            raise InputError(f"a manifest is a CSV file, so {out} must end in .csv")
        if "file_loc" not in table.column_names:
            raise InputError("the gallery does not know its images, so no manifest of them can be written")
        table = _manifest(table)
    write_table(table.to_pandas(), out)
    return Path(out)


def _check_marks(good: Sequence[str], bad: Sequence[str]) -> None:
    both = sorted({*good} & {*bad})
    if both:
        raise InputError(f"galaxy {both[0]} is marked good and bad; unmark one")


def _manifest(table: pa.Table) -> pa.Table:
    names = [Path(path).name for path in table.column("file_loc").to_pylist()]
    other = next((name for name in names if Path(name).suffix.lower() not in _PANOPTES), None)
    if other is not None:
        raise InputError(
            f"Zooniverse shows {', '.join(_PANOPTES)} alone, and the image of one galaxy is {other}; "
            "make pictures of the images first"
        )
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"two images are called {twice}, so a manifest of names cannot tell them apart; rename one")
    hidden = {f"#{name}": table.column(name) for name in table.column_names if name != "file_loc"}
    return pa.table({"subject_id": table.column("id_str"), "filename": pa.array(names, pa.string()), **hidden})


def _vectors(gallery: Gallery, ids: Sequence[str]) -> NDArray[np.float32]:
    return gallery.vectors(ids) if len(ids) else np.zeros((0, gallery.dimension), np.float32)


def _classifier_direction(
    liked: NDArray[np.float32], disliked: NDArray[np.float32], background: NDArray[np.float32]
) -> NDArray[np.float64]:
    from sklearn.linear_model import LogisticRegression

    # Per dimension the spread of the gallery, so that a direction in which all galaxies are alike can still count.
    spread = background.std(axis=0) + 1e-6
    points = np.concatenate([liked, disliked, background]) / spread
    truth = np.repeat([1, 0, 0], [len(liked), len(disliked), len(background)])
    counts = [len(liked), len(disliked), len(background)]
    weights = np.repeat([1 / counts[0], 0.5 / counts[1], 0.5 / counts[2]], counts) * counts[0]
    # With few marks in hundreds of dimensions it is held back to the difference of means; with more it learns more.
    strength = _STRENGTH * (counts[0] + counts[1]) / points.shape[1]
    model = LogisticRegression(C=strength, max_iter=200).fit(points, truth, sample_weight=weights)
    return np.asarray(model.coef_[0] / spread)


def _part(direction: NDArray[Any], weight: float) -> Part:
    size = float(np.linalg.norm(direction))
    if not size > 0:
        raise InputError("the good and the bad galaxies cancel out; mark others")
    return Part(kind="vector", value=[float(value) for value in direction / size], weight=weight)
