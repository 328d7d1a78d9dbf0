"""`galaxalign audit`: what spoils results, found before they are published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from galaxalign.analysis.label_errors import improbable_labels
from galaxalign.audit_page import MEANINGS, page
from galaxalign.data.audit import (
    Pairs,
    Rows,
    check_classes,
    check_pairs,
    check_positions,
    findings,
    gather,
    leak_sentence,
    same_ids,
    same_values,
    sky_pairs_of,
    split_groups,
)
from galaxalign.data.catalog import TABLE_SUFFIXES, check_output, read_catalog, write_table
from galaxalign.data.doubts import lacking
from galaxalign.data.locations import Location
from galaxalign.data.picture_audit import check_pictures, same_pictures, survey_pictures
from galaxalign.data.sky import arcsec
from galaxalign.data.splits import read_split
from galaxalign.data.tables import table_suffix, write_text
from galaxalign.progress import note, progress
from galaxalign.splitting import appearance_marks, appearance_pairs

__all__ = ["Audit", "audit"]


@dataclass(frozen=True, eq=False)
class Audit:
    """What an audit found.

    Attributes
    ----------
    findings : pandas.DataFrame
        One row each: kind, severity (error, warning, info), source, id_str, part, label, the same of the other
        galaxy of a pair, distance and its unit, and a detail in words.
    leaks : int
        The number of pairs that the split has in different parts.
    verdict : str
        One sentence.
    distances : list of (str, int)
        How many pairs of rows lie within so many arcsec.
    """

    findings: pd.DataFrame
    leaks: int
    verdict: str
    distances: list[tuple[str, int]]

    def counts(self) -> list[tuple[str, str, int]]:
        """Return title, severity and number of each kind of finding, the gravest first."""
        kinds, severities = (
            self.findings["kind"].tolist(),
            dict(zip(self.findings["kind"], self.findings["severity"], strict=True)),
        )
        return [
            (title, severities[kind], kinds.count(kind)) for kind, (title, _) in MEANINGS.items() if kind in severities
        ]

    def warnings(self) -> list[str]:
        """Return the first row of each kind of error but leaks, and what is doubtful of the whole, a phrase each."""
        errors = self.findings[(self.findings["severity"] == "error") & (self.findings["kind"] != "leak")]
        firsts = errors.drop_duplicates("kind")[["kind", "id_str", "detail"]].to_numpy()
        said = [f"{MEANINGS[kind][0]}, first {identity}: {detail}" for kind, identity, detail in firsts]
        whole = self.findings[(self.findings["id_str"] == "") & (self.findings["severity"] == "warning")]
        doubts = whole[["label", "detail"]].to_numpy()
        return said + [f"{label}: {detail}" if label else str(detail) for label, detail in doubts]


def audit(
    *,
    catalog: str | Path,
    split: str | Path | None = None,
    against: str | Path | None = None,
    out: str | Path | None = None,
    radius: str | float = "60arcsec",
    group: str | None = None,
    columns: Mapping[str, str] | None = None,
    by_appearance: bool = False,
    images: bool = True,
    model: str | Path | None = None,
    device: str | None = None,
    quiet: bool = False,
) -> Audit:
    """Look for what spoils results: leaks, duplicates, contradictory labels, broken pictures.

    Parameters
    ----------
    catalog : path
        Also one without images or ids; what needs them is then left out.
    split : path, optional
        A saved split, whose parts must not share a galaxy.
    against : path, optional
        Another catalogue to compare with, such as a benchmark.
    out : path, optional
        A folder for findings.csv and audit.html, or a table (.csv, .parquet, .fits, .vot).
    radius : str or float
        As "60arcsec"; how close on the sky two rows of different parts must not be.
    group : str, optional
        A column whose equal values are one galaxy.
    columns : mapping, optional
        What columns of the catalogue are to be called, new name first: {"id_str": "objid"}.
    by_appearance : bool
        Look also for the same galaxy in another frame and pixel scale; slow, see docs/audit.md.
    images : bool
        Look at the pictures.
    model : path, optional
        A trained model, whose improbable labels are listed.
    device : str, optional
    quiet : bool

    Returns
    -------
    Audit

    Raises
    ------
    InputError
        Something about the input is at fault. A leak is not raised; see `Audit.leaks`.
    """
    table_only = out is not None and table_suffix(Path(out)) in TABLE_SUFFIXES
    if out is not None:
        check_output(out, folder=not table_only)
    reach = arcsec(radius)
    source = read_catalog(catalog, require=(), columns=columns, quiet=quiet)
    other = read_catalog(against, require=(), quiet=quiet) if against is not None else None
    parts = read_split(split) if split is not None else None
    rows = gather(source, parts, other)
    near = sky_pairs_of(rows, reach)
    pairs = [*same_ids(rows), *near]
    pairs += same_values(rows, group) if group is not None else []
    pairs += split_groups(rows, parts) if parts is not None else []
    tables = [check_positions(rows), check_classes(rows)]
    pictured = images and all("file_loc" in one.table for one in rows.catalogs)
    if pictured:
        more, told = _look(rows, by_appearance, quiet=quiet)
        tables.append(more)
        pairs += told
    elif images and "file_loc" in source.table:
        note(f"{rows.catalogs[-1].source} has no images, so those of {source.source} were not compared", quiet=quiet)
    if model is not None:
        tables.append(_improbable(rows, catalog, columns, model, device, quiet=quiet))
    found = pd.concat([check_pairs(rows, pairs), *tables], ignore_index=True)
    order = {kind: place for place, kind in enumerate(MEANINGS)}
    found = found.sort_values("kind", key=lambda kinds: kinds.map(order), kind="stable", ignore_index=True)
    leaks = found[found["kind"] == "leak"]
    if len(leaks):
        verdict = f"{leak_sentence(leaks, reach)}."
    elif parts is not None:
        verdict = _no_leak(rows, reach, split, pictured=pictured, by_appearance=by_appearance, group=group)
    else:
        verdict = "No split was given, so leaks were not looked for."
        if lack := lacking(source.table.columns):
            verdict += f" Rows were not compared by position ({lack})."
    distances = _by_distance(near, reach) if near else []
    result = Audit(found, len(leaks), verdict[0].upper() + verdict[1:], distances)
    if out is not None:
        write_table(found, out if table_only else Path(out) / "findings.csv")
        if not table_only:
            _write_page(result, rows, Path(out) / "audit.html", pictured=pictured)
    return result


def _by_distance(near: Sequence[Pairs], radius: float) -> list[tuple[str, int]]:
    """Return how many pairs of rows lie within 1, 2, 5, ... arcsec, up to the radius of the audit."""
    limits = sorted({limit for limit in (1.0, 2.0, 5.0, 10.0, 30.0) if limit < radius} | {radius})
    return [(f"{limit:g}", sum(int((told.distance <= limit).sum()) for told in near)) for limit in limits]


def _look(rows: Rows, by_appearance: bool, *, quiet: bool) -> tuple[pd.DataFrame, list[Pairs]]:
    """Go through the pictures; return what is wrong with them and which show one galaxy."""
    paths = [path for catalog in rows.catalogs for path in catalog.paths()]
    with progress("looking", len(paths), quiet=quiet) as done:
        facts = survey_pictures(paths, progress=done)
    pairs = same_pictures(rows, facts)
    if by_appearance:
        first, *others = appearance_marks(rows.catalogs, quiet=quiet)
        for other in (None, *others):
            which, likeness = appearance_pairs(first, other)
            if other is not None:
                which[:, 1] += rows.audited
            pairs.append(Pairs("same_appearance", "warning", which, likeness, "likeness"))
    return check_pictures(rows, facts), pairs


def _no_leak(
    rows: Rows, radius: float, split: object, *, pictured: bool, by_appearance: bool, group: str | None
) -> str:
    """Say that no leak was found, and by what was looked for one."""
    told = []
    if radius > 0 and np.isfinite(rows.table["ra"] + rows.table["dec"]).any():
        told.append(f"positions (within {radius:g} arcsec)")
    told += [f"column {group}"] * (group is not None)
    told += ["ids"] * (len(rows.catalogs) > 1)
    told += ["files and pictures in the same frame"] * pictured
    told += ["pictures in other frames"] * (pictured and by_appearance)
    if not told:
        return f"There are neither positions nor pictures to look for leaks of {split} by; name a column with --group."
    return f"No leak of {split} was found; compared were {', '.join(told)}."


def _improbable(
    rows: Rows,
    catalog: str | Path,
    columns: Mapping[str, str] | None,
    model: str | Path,
    device: str | None,
    *,
    quiet: bool,
) -> pd.DataFrame:
    """Return the labels that a model finds improbable."""
    # Only here is a model needed; the rest of an audit should not wait for torch.
    from galaxalign.encoders.folder import load_model
    from galaxalign.training.seen import read_trained_on
    from galaxalign.training.sources import catalog_labels
    from galaxalign.verbs import classify

    loaded = load_model(model)
    scheme, trained_on = loaded.taxonomy, read_trained_on(loaded.folder)
    labels = catalog_labels(rows.catalogs[0], scheme)
    predicted = classify(catalog=catalog, model=model, columns=columns, device=device, quiet=quiet)
    probabilities = predicted[[f"probability_{name}" for name in scheme.class_names]].to_numpy()
    known = np.flatnonzero((labels >= 0) & (predicted["status"] == "ok").to_numpy())
    suspects = known[improbable_labels(labels[known], probabilities[known])]
    learnt = set() if trained_on is None else set(trained_on.ids)
    given = probabilities[suspects, labels[suspects]]
    said = [
        f"the model says {scheme.class_names[int(probabilities[row].argmax())]} ({probabilities[row].max():.2f})"
        + ("; it was trained or chosen with this galaxy" if rows.table["id_str"][row] in learnt else "")
        for row in suspects
    ]
    return findings(
        "improbable_label", "warning", rows, suspects, distance=given, unit="probability of the label", detail=said
    )


def _write_page(result: Audit, rows: Rows, path: Path, *, pictured: bool) -> None:
    pictures: dict[tuple[str, str], Location] = {}
    if pictured:
        for catalog in rows.catalogs:
            named = zip(catalog.ids, catalog.paths(), strict=True)
            pictures |= {(catalog.source, identity): file for identity, file in named}
    html = page(
        result.findings,
        pictures,
        source=rows.catalogs[0].source,
        rows=rows.audited,
        against=rows.catalogs[1].source if len(rows.catalogs) > 1 else "",
        verdict=result.verdict,
        bad=result.leaks > 0,
        distances=result.distances,
    )
    write_text(html, path)
