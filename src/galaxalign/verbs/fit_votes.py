"""`galaxalign fit-votes`: a trained model learns how volunteers answer the questions of a decision tree."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from galaxalign import inference, models, morphology, options as opt, training
from galaxalign.data import catalogs, images
from galaxalign.errors import InputError
from galaxalign.progress import progress
from galaxalign.signature import verb

if TYPE_CHECKING:
    import numpy as np

_SPLIT = "votes_split.parquet"


@verb
def fit_votes(
    *,
    catalog: opt.Catalog,
    model: opt.Model = "galaxy-lite",
    out: opt.VoteModelOut,
    taxonomy: opt.VoteTaxonomy = None,
    split: opt.VoteSplit = None,
    voters: opt.Voters = None,
    columns: opt.Columns = None,
    radius: opt.Radius = "60arcsec",
    allow_leaks: opt.AllowLeaks = False,
    seed: opt.Seed = 0,
    device: opt.Device = None,
    quiet: opt.Quiet = False,
) -> Path:
    """Teach a model how volunteers vote on your survey; its towers stay as they are.

    The split is kept as OUT/votes_split.parquet; its train and validation parts are used.

    Returns
    -------
    Path
        The model folder.

    Raises
    ------
    InputError
        The taxonomy has no decision tree, there are no votes, the split leaks, or no image can be read.
    """
    job = training.open_job(out, seed=seed, radius=radius, allow_leaks=allow_leaks, quiet=quiet)
    source = catalogs.read_catalog(catalog, columns=columns, quiet=quiet)
    start = models.load_model(model, device=models.default_device(device))
    scheme = start.taxonomy if taxonomy is None else morphology.load_taxonomy(taxonomy)
    if scheme.tree is None:
        raise InputError(f"{scheme.name} has no decision tree; choose one with --taxonomy, such as galaxy_zoo_2")
    votes = morphology.read_votes(source.table, scheme.tree, source=source.source)
    job.note(f"reading the votes of {scheme.name} as {votes.kind.replace('_', ' ')}")
    own = models.model_folder(model)
    parts = training.divide(job, [source], split, own / "split.parquet")
    ways = "ids" if split is None else "ids and the groups of the split"
    training.check_leaks(job, [source], parts, ways=ways)
    rows = {part: parts.part(source, part) for part in ("train", "validation")}
    train, validation = (
        _embedded(job, start, source, votes, members[votes.known[members]], part) for part, members in rows.items()
    )
    head = models.fit_vote_head(train, validation, voters=voters)
    about = {
        "taxonomy": scheme.name,
        "catalog": source.source,
        "catalog_fingerprint": source.fingerprint,
        "kind": votes.kind,
        "encoder_fingerprint": start.encoder.fingerprint,
    }
    head = replace(head, settings=head.settings | about)
    card = _card((own / "README.md").read_text("utf-8"), head)
    models.save_model(replace(start, votes=head), job.folder, card=card)
    parts.write(job.folder / _SPLIT)
    if (own / "split.parquet").is_file() and not (job.folder / "split.parquet").exists():
        # So that evaluate still knows which galaxies the towers were trained on.
        shutil.copyfile(own / "split.parquet", job.folder / "split.parquet")
    # The list of what the towers know lets a later test leave those galaxies out.
    known = training.read_trained_on(start.folder)
    if known is not None:
        training.write_trained_on(job.folder, [(source, rows)], before=known)
    return job.folder


def _embedded(
    job: training.Job,
    model: models.Model,
    catalog: catalogs.Catalog,
    votes: morphology.Votes,
    rows: np.ndarray,
    part: str,
) -> tuple[np.ndarray, morphology.Votes]:
    """Return vectors and votes of the galaxies of a part that could be read."""
    if not len(rows):
        raise InputError(f"the {part} part of {catalog.source} has no galaxy with votes; give another --split")
    mirror = not (model.taxonomy.handed or votes.tree.handed)
    with progress(f"looking ({part})", len(rows), quiet=job.quiet) as done:
        vectors, statuses = inference.encode_whole(model.encoder, catalog.select(rows), done, mirror=mirror)
    good = images.is_read(statuses)
    if not good.any():
        raise InputError(f"none of the {len(rows)} images of the {part} part of {catalog.source} could be read")
    if not good.all():
        job.note(f"{int((~good).sum())} images of the {part} part could not be read and are left out")
    return vectors[good], votes.take(rows[good])


_HEADING = "\n## Votes\n"


def _card(card: str, head: models.VoteHead) -> str:
    """Return a model card with what is to be known of its head for votes."""
    best = head.validation[str(head.settings["penalty"])]
    return f"""{card.partition(_HEADING)[0].rstrip()}
{_HEADING}
A linear head gives the fractions of volunteers expected to answer each question of `{head.settings["taxonomy"]}`
(`galaxalign classify --votes`). It was fitted by the Dirichlet-multinomial likelihood on the votes on {head.n_train}
galaxies of `{head.settings["catalog"]}`, with the towers as they are; its penalty was chosen on {head.n_validation}
more, with {best:.2f} nats per galaxy there.
"""
