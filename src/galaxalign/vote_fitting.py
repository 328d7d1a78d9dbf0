"""`galaxalign fit-votes`: a trained model learns how volunteers answer the questions of a decision tree."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from galaxalign.analysis.encode import encode_catalog
from galaxalign.analysis.vote_head import VoteHead, fit_vote_head
from galaxalign.data.audit import refuse_leaks
from galaxalign.data.catalog import Catalog, check_output, read_catalog
from galaxalign.data.sky import arcsec
from galaxalign.data.splits import Split, make_split, read_split
from galaxalign.encoders.folder import BOX, Model, load_model, model_folder, save_model
from galaxalign.encoders.load import default_device
from galaxalign.errors import InputError
from galaxalign.progress import note, progress
from galaxalign.taxonomy import load_taxonomy
from galaxalign.training.seen import read_trained_on, write_trained_on
from galaxalign.votes import Votes, read_votes

__all__ = ["fit_votes"]

_SPLIT = "votes_split.parquet"


def fit_votes(
    *,
    catalog: str | Path,
    model: str | Path = BOX[0],
    out: str | Path,
    taxonomy: str | Path | None = None,
    split: str | Path | None = None,
    voters: float | None = None,
    columns: Mapping[str, str] | None = None,
    radius: str | float = "60arcsec",
    allow_leaks: bool = False,
    seed: int = 0,
    device: str | None = None,
    quiet: bool = False,
) -> Path:
    """Fit a head on the votes of a catalogue to a trained model, whose towers stay as they are.

    Parameters
    ----------
    catalog : path
        With images and the votes of a decision tree, see docs/votes.md.
    model : path
        Folder of a trained model.
    out : path
        Folder of the same model with the head; it may be that of `model`.
    taxonomy : str or path, optional
        A decision tree; by default that of the model.
    split : path, optional
        A saved split, of which the train and validation parts are used, kept as OUT/votes_split.parquet. By default
        that of the model where it was trained on this catalogue, otherwise a new one.
    voters : float, optional
        How many volunteers saw each galaxy, for a catalogue that does not say.
    columns : mapping, optional
        What columns of the catalogue are to be called, new name first: {"id_str": "objid"}.
    radius : str or float
        As "60arcsec": how close on the sky rows of different parts must not be.
    allow_leaks : bool
        Fit although the split has the same galaxy, or neighbours, in different parts.
    seed : int
        Of the split; the fit itself draws nothing.
    device : str, optional
    quiet : bool

    Returns
    -------
    Path
        The model folder.

    Raises
    ------
    InputError
        No decision tree, no votes, a split that leaks, or no readable image.
    """
    folder, reach = Path(out), arcsec(radius)
    check_output(folder, folder=True)
    source = read_catalog(catalog, columns=columns, quiet=quiet)
    loaded = load_model(model, device=default_device(device))
    scheme = loaded.taxonomy if taxonomy is None else load_taxonomy(taxonomy)
    if scheme.tree is None:
        raise InputError(f"{scheme.name} is no decision tree, so nobody voted; name one with --taxonomy galaxy_zoo_2")
    votes = read_votes(source.table, scheme.tree, source=source.source)
    note(f"reading the votes of {scheme.name} as {votes.kind.replace('_', ' ')}", quiet=quiet)
    parts = _split(source, split, model_folder(model) / "split.parquet", seed, reach)
    for line in refuse_leaks(source, parts, radius=reach, allow=allow_leaks):
        note(line, quiet=quiet)
    rows = {part: parts.part(source, part) for part in ("train", "validation")}
    train, validation = (
        _embedded(loaded, source, votes, members[votes.known[members]], part, quiet) for part, members in rows.items()
    )
    head = fit_vote_head(train, validation, voters=voters)
    about = {
        "taxonomy": scheme.name,
        "catalog": source.source,
        "catalog_fingerprint": source.fingerprint,
        "kind": votes.kind,
        "encoder_fingerprint": loaded.encoder.fingerprint,
    }
    head = replace(head, settings=head.settings | about)
    card = _card((model_folder(model) / "README.md").read_text("utf-8"), head)
    save_model(replace(loaded, votes=head), folder, card=card)
    parts.write(folder / _SPLIT)
    own = model_folder(model) / "split.parquet"
    if own.is_file() and not (folder / own.name).exists():
        # So that evaluate still knows which galaxies the towers were trained on.
        shutil.copyfile(own, folder / own.name)
    # Without the list of what the towers know, nobody would leave those galaxies out of a test.
    known = read_trained_on(loaded.folder)
    if known is not None:
        write_trained_on(folder, [(source, rows)], before=known)
    return folder


def _split(catalog: Catalog, split: str | Path | None, own: Path, seed: int, radius: float) -> Split:
    """Return the given split, that of the model where it has this catalogue, or a new one."""
    if split is not None:
        return read_split(split)
    if own.is_file() and catalog.fingerprint in (parts := read_split(own)).fingerprints.values():
        return parts
    return make_split(catalog, seed=seed, radius=radius)


def _embedded(
    model: Model, catalog: Catalog, votes: Votes, rows: np.ndarray, part: str, quiet: bool
) -> tuple[np.ndarray, Votes]:
    """Return vectors and votes of the galaxies of a part that could be read."""
    if not len(rows):
        raise InputError(f"the {part} part of {catalog.source} has no galaxy with votes; give another --split")
    vectors, good = np.zeros((len(rows), model.encoder.dimension), np.float32), np.zeros(len(rows), bool)
    mirror = not (model.taxonomy.handed or votes.tree.handed)
    with progress(f"looking ({part})", len(rows), quiet=quiet) as done:
        for piece, found, statuses in encode_catalog(model.encoder, catalog.select(rows), mirror=mirror):
            vectors[piece], good[piece] = found, [status == "ok" for status in statuses]
            done(len(statuses))
    if not good.any():
        raise InputError(f"none of the {len(rows)} images of the {part} part of {catalog.source} could be read")
    if not good.all():
        note(f"{int((~good).sum())} images of the {part} part could not be read and are left out", quiet=quiet)
    return vectors[good], votes.take(rows[good])


_HEADING = "\n## Votes\n"


def _card(card: str, head: VoteHead) -> str:
    """Return a model card with what is to be known of its head for votes."""
    best = head.validation[str(head.settings["penalty"])]
    return f"""{card.partition(_HEADING)[0].rstrip()}
{_HEADING}
A linear head gives the fractions of volunteers expected to answer each question of `{head.settings["taxonomy"]}`
(`galaxalign classify --votes`). It was fitted by the Dirichlet-multinomial likelihood on the votes on {head.n_train}
galaxies of `{head.settings["catalog"]}`, with the towers as they are; its penalty was chosen on {head.n_validation}
more, with {best:.2f} nats per galaxy there.
"""
