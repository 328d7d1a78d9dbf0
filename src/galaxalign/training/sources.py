"""A catalogue as it takes part in training: classes or votes, sentences, symbols and pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from galaxalign.data.catalogs import Catalog, Pictures, load_pictures, read_catalog
from galaxalign.data.images import OK, Preprocessing, is_read
from galaxalign.errors import InputError
from galaxalign.morphology import (
    Taxonomy,
    Votes,
    attribute_caption,
    class_prompts,
    describe,
    has_votes,
    load_taxonomy,
    morphology_bank,
    read_votes,
    symbol_bank,
    vote_caption,
    vote_labels,
    vote_morphology,
)
from galaxalign.progress import note, progress
from galaxalign.training.batch import TrainingData, VoteCounts
from galaxalign.training.prompt_sampling import Captioner
from galaxalign.training.recipe import Recipe

_KIND_VARIANTS = 8  # drawings of each galaxy's own Morphology, of which there are many more than classes
_MOST_DETAIL = 2.0  # canvases are at most so much wider than the frame: four times the memory


@dataclass
class Source:
    """A catalogue with the taxonomy that its labels or votes follow.

    Attributes
    ----------
    catalog : Catalog
    taxonomy : Taxonomy
    labels : ndarray (N,), int64
        Class of each row, -1 where there is none.
    votes : Votes, optional
        Where the taxonomy is a decision tree and the catalogue has its votes.
    weight : float
        How often a galaxy is seen in an epoch.
    view : (float, float), optional
        Smallest and largest share of the picture that is shown in training; above 1 with sky around it.
    """

    catalog: Catalog
    taxonomy: Taxonomy
    labels: NDArray[np.int64]
    votes: Votes | None = None
    weight: float = 1.0
    view: tuple[float, float] | None = None
    rows: dict[str, NDArray[np.int64]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Name of the catalogue."""
        return self.catalog.source

    @property
    def has_captions(self) -> bool:
        """Whether sentences can be made of each galaxy's own votes or attributes."""
        columns = set(map(str, self.catalog.table.columns))
        return self.votes is not None or any(attribute.name in columns for attribute in self.taxonomy.attributes)

    def captioner(self, rows: NDArray[np.int64]) -> Captioner | None:
        """Return what makes sentences of some of the galaxies; None without votes and attributes."""
        if self.votes is not None:
            votes = self.votes.take(rows)

            def from_votes(chosen: NDArray[np.int64], rng: np.random.Generator | None) -> list[str]:
                return [vote_caption(votes.tree, votes.fractions[i], votes.voters[i], rng) for i in chosen]

            return from_votes
        if not self.has_captions:
            return None
        columns = [str(column) for column in self.catalog.table.columns]
        table = self.catalog.table.iloc[rows].itertuples(index=False)
        records = [dict(zip(columns, row, strict=True)) for row in table]

        def from_attributes(chosen: NDArray[np.int64], rng: np.random.Generator | None) -> list[str]:
            return [attribute_caption(self.taxonomy, records[i], rng) for i in chosen]

        return from_attributes


def catalog_labels(catalog: Catalog, taxonomy: Taxonomy, votes: Votes | None = None) -> NDArray[np.int64]:
    """Return the class index of each row, -1 where there is none.

    By the column `label`, or without one by the answers that most volunteers gave.

    Raises
    ------
    InputError
        Neither a label column nor votes of the taxonomy's tree.
    """
    if "label" in catalog.table:
        return taxonomy.encode(catalog.table["label"])
    if votes is None and taxonomy.tree is not None and has_votes(catalog.table, taxonomy.tree):
        votes = read_votes(catalog.table, taxonomy.tree, source=f"catalogue {catalog.source}")
    if votes is not None:
        return vote_labels(taxonomy, votes)
    found = ", ".join(map(str, catalog.table.columns))
    wanted = "column label" if taxonomy.tree is None else f"column label and no votes of {taxonomy.name}"
    raise InputError(f"catalogue {catalog.source} has no {wanted}; it has {found}")


def open_source(
    catalog: Catalog, taxonomy: Taxonomy, *, weight: float = 1.0, view: tuple[float, float] | None = None
) -> Source:
    """Return a catalogue as it takes part in training.

    Raises
    ------
    InputError
        It has neither labels nor votes of the taxonomy, a weight of no use, or a view outside 0..5.
    """
    if not 0 < weight < float("inf"):
        raise InputError(f"the weight of {catalog.source} is {weight}; give a positive number")
    if view is not None and not 0 < view[0] <= view[1] <= 5:
        raise InputError(
            f"the view of {catalog.source} is {view[0]}-{view[1]}; give two shares, 0 < small <= large <= 5"
        )
    votes = None
    if taxonomy.tree is not None and has_votes(catalog.table, taxonomy.tree):
        votes = read_votes(catalog.table, taxonomy.tree, source=f"catalogue {catalog.source}")
    return Source(catalog, taxonomy, catalog_labels(catalog, taxonomy, votes), votes, weight, view)


def unlabelled_source(catalog: Catalog, taxonomy: Taxonomy) -> Source:
    """Return a catalogue whose labels are not needed: every row counts."""
    return Source(catalog, taxonomy, np.zeros(len(catalog), np.int64))


def open_sources(
    catalog: str | Path | Sequence[str | Path],
    taxonomy: str | Path | Sequence[str | Path],
    weight: float | Sequence[float],
    view: str | Sequence[str],
    columns: Mapping[str, str] | None,
    quiet: bool,
) -> list[Source]:
    """Return catalogues with the taxonomy, weight and view of each; one value counts for all.

    Raises
    ------
    InputError
        The numbers of values do not fit, or a catalogue cannot be used.
    """
    catalogs = [catalog] if isinstance(catalog, str | Path) else list(catalog)
    schemes = [taxonomy] if isinstance(taxonomy, str | Path) else list(taxonomy)
    weights = [weight] if isinstance(weight, int | float) else list(weight)
    views = [view] if isinstance(view, str) else list(view)
    if not catalogs:
        raise InputError("no catalogue is given")
    for what, given in (("taxonomies", schemes), ("weights", weights), ("views", views)):
        if len(given) not in (0, 1, len(catalogs)) or (what == "taxonomies" and not given):
            raise InputError(f"{len(catalogs)} catalogues have {len(given)} {what}; give one for all, or one for each")
    schemes = schemes * len(catalogs) if len(schemes) == 1 else schemes
    weights = weights * len(catalogs) if len(weights) == 1 else weights or [1.0] * len(catalogs)
    views = views * len(catalogs) if len(views) == 1 else views or [""] * len(catalogs)
    sources = []
    for path, scheme, how_often, shown in zip(catalogs, schemes, weights, views, strict=True):
        table = read_catalog(path, columns=columns, quiet=quiet)
        source = open_source(table, load_taxonomy(scheme), weight=how_often, view=_view(shown))
        if source.votes is not None:
            note(f"{source.name}: the votes are read from the columns of {source.votes.kind}", quiet=quiet)
        sources.append(source)
    names = [source.name for source in sources]
    if len(set(names)) < len(names):
        raise InputError(f"two catalogues are called {max(names, key=names.count)}; rename the folder of one")
    return sources


def _view(text: str) -> tuple[float, float] | None:
    """Return the shares in "0.4-1"; None for ""."""
    if not text:
        return None
    try:
        small, _, large = text.partition("-")
        return float(small), float(large or small)
    except ValueError as error:
        raise InputError(f"the view {text!r} is not understood; write two shares of the picture, as 0.4-1") from error


def prepare_source(
    source: Source, preprocessing: Preprocessing, plan: Recipe, drawings: Path | None, seed: int, *, quiet: bool
) -> tuple[TrainingData, list[tuple[str, str]]]:
    """Decode the pictures of a catalogue's training and validation rows once, and gather its words and symbols.

    Returns
    -------
    data : TrainingData
    skipped : list of (str, str)
        The ids that could not be read, with the reason.

    Raises
    ------
    InputError
        No picture of a part could be read, or the recipe learns from votes that do not say of how many volunteers.
    """
    counts = None
    if source.votes is not None and any(stage.uses("votes") for stage in plan.stages):
        counts = source.votes.counted(source=source.name).astype(np.float32)
    canvas = preprocessing.with_margin(preprocessing.widest_margin())
    if source.view is not None:
        # The canvas is the whole crop, in enough detail for the smallest view.
        canvas = replace(
            preprocessing, size=round(preprocessing.size * min(_MOST_DETAIL, max(1.0, 1 / source.view[0])))
        )
    ids = source.catalog.ids
    images, kept, skipped = {}, {}, []
    with progress("reading", sum(map(len, source.rows.values())), quiet=quiet) as done:
        for part, frame in (("train", canvas), ("validation", preprocessing)):
            rows = source.rows[part]
            pixels, statuses = load_pictures(source.catalog.select(rows), frame, progress=done)
            good = is_read(statuses)
            skipped += [(ids[row], s) for row, s in zip(rows, statuses, strict=True) if s != OK]
            if not good.any():
                raise InputError(f"none of the {len(good)} {part} images could be read; the first: {statuses[0]}")
            images[part] = pixels if good.all() else pixels.take(good)
            kept[part] = rows[good]
    taxonomy, rows = source.taxonomy, kept["train"]
    needs_symbols = any(stage.uses("symbol") for stage in plan.stages)
    extra: dict[str, Any] = {}
    if source.votes is not None:
        votes = source.votes.take(rows)
        extra["vote_roots"] = votes.roots()
        if counts is not None:
            extra["votes"] = VoteCounts(votes.tree, counts[rows], counts[kept["validation"]])
        if needs_symbols and drawings is None:
            shapes = [vote_morphology(votes.tree, fractions, voters) for fractions, voters in votes]
            numbers = {shape: number for number, shape in enumerate(dict.fromkeys(shapes))}
            extra["kinds"] = np.array([numbers[shape] for shape in shapes], np.int64)
            extra["kind_prompts"] = [[describe(shape)] for shape in numbers]
            symbols = morphology_bank(list(numbers), variants=_KIND_VARIANTS, size=preprocessing.size, seed=seed)
    if "kinds" not in extra:
        variants = plan.symbol_variants if needs_symbols else 1
        symbols = symbol_bank(taxonomy, variants=variants, size=preprocessing.size, seed=seed, drawings=drawings)
    data = TrainingData(
        images=images["train"],
        labels=source.labels[rows],
        validation_images=images["validation"],
        validation_labels=source.labels[kept["validation"]],
        prompts=[list(class_prompts(galaxy_class)) for galaxy_class in taxonomy.classes],
        symbols=symbols,
        flip_permutation=taxonomy.flip_permutation(),
        canvas_factor=canvas.margin,
        captioner=source.captioner(rows) if any(stage.uses("caption") for stage in plan.stages) else None,
        name=source.name,
        weight=source.weight,
        views=source.view,
        **extra,
    )
    return data, skipped


def framed(data: TrainingData, size: int) -> NDArray[np.uint8] | Pictures:
    """Return the training pictures as they are seen at use, (N, size, size, 3)."""
    pictures = data.images if isinstance(data.images, Pictures) else Pictures(data.images)
    if data.views is None:
        return pictures.centre(size)
    small = np.zeros((len(pictures), size, size, 3), np.uint8)
    for start in range(0, len(pictures), 256):
        part = torch.from_numpy(pictures[start : start + 256]).permute(0, 3, 1, 2).float()
        resized = F.interpolate(part, size=(size, size), mode="bilinear", antialias=True)
        small[start : start + 256] = resized.round().clamp(0, 255).byte().permute(0, 2, 3, 1).numpy()
    return small
