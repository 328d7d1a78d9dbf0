"""`galaxalign audit`: what spoils results, found before they are published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from galaxalign import evaluation, options as opt, reports
from galaxalign.data import catalogs, splits, tables
from galaxalign.progress import note, progress
from galaxalign.signature import verb
from galaxalign.verbs.split import appearance_marks, appearance_pairs

if TYPE_CHECKING:
    import pandas as pd

    from galaxalign.data.images import Location


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
            (title, severities[kind], kinds.count(kind))
            for kind, (title, _) in reports.MEANINGS.items()
            if kind in severities
        ]

    def warnings(self) -> list[str]:
        """Return the first row of each kind of error but leaks, and what is doubtful of the whole, a phrase each."""
        errors = self.findings[(self.findings["severity"] == "error") & (self.findings["kind"] != "leak")]
        firsts = errors.drop_duplicates("kind")[["kind", "id_str", "detail"]].to_numpy()
        said = [f"{reports.MEANINGS[kind][0]}, first {identity}: {detail}" for kind, identity, detail in firsts]
        whole = self.findings[(self.findings["id_str"] == "") & (self.findings["severity"] == "warning")]
        doubts = whole[["label", "detail"]].to_numpy()
        return said + [f"{label}: {detail}" if label else str(detail) for label, detail in doubts]


@verb
def audit(
    *,
    catalog: opt.Catalog,
    split: opt.AuditSplit = None,
    against: opt.Against = None,
    out: opt.FindingsOut = None,
    radius: opt.Radius = "60arcsec",
    group: opt.Group = None,
    columns: opt.Columns = None,
    by_appearance: opt.ByAppearance = False,
    images: opt.Images = True,
    model: opt.AuditModel = None,
    device: opt.Device = None,
    quiet: opt.Quiet = False,
) -> Audit:
    """Find leaks, duplicates, contradictory labels and broken pictures.

    A catalogue without images or ids is accepted; what needs them is left out. On the command line the exit status is 1
    if the split leaks.

    Returns
    -------
    Audit

    Raises
    ------
    InputError
        An input cannot be used. A leak is no error here; see `Audit.leaks`.
    """
    import pandas as pd

    table_only = out is not None and tables.table_suffix(Path(out)) in tables.TABLE_SUFFIXES
    if out is not None:
        tables.check_output(out, folder=not table_only)
    reach = catalogs.arcsec(radius)
    source = catalogs.read_catalog(catalog, require=(), columns=columns, quiet=quiet)
    other = catalogs.read_catalog(against, require=(), quiet=quiet) if against is not None else None
    parts = splits.read_split(split) if split is not None else None
    rows = splits.gather(source, parts, other)
    near = splits.sky_pairs_of(rows, reach)
    pairs = [*splits.same_ids(rows), *near]
    pairs += splits.same_values(rows, group) if group is not None else []
    pairs += splits.split_groups(rows, parts) if parts is not None else []
    checks = [splits.check_positions(rows), splits.check_classes(rows)]
    pictured = images and all("file_loc" in one.table for one in rows.catalogs)
    if pictured:
        more, told = _look(rows, by_appearance, quiet=quiet)
        checks.append(more)
        pairs += told
    elif images and "file_loc" in source.table:
        note(f"{rows.catalogs[-1].source} has no images, so those of {source.source} were not compared", quiet=quiet)
    if model is not None:
        checks.append(_improbable(rows, catalog, columns, model, device, quiet=quiet))
    found = pd.concat([splits.check_pairs(rows, pairs), *checks], ignore_index=True)
    order = {kind: place for place, kind in enumerate(reports.MEANINGS)}
    found = found.sort_values("kind", key=lambda kinds: kinds.map(order), kind="stable", ignore_index=True)
    leaks = found[found["kind"] == "leak"]
    if len(leaks):
        verdict = f"{splits.leak_sentence(leaks, reach)}."
    elif parts is not None:
        verdict = _no_leak(rows, reach, split, pictured=pictured, by_appearance=by_appearance, group=group)
    else:
        verdict = "No split was given, so leaks were not looked for."
        if lack := catalogs.lacking(source.table.columns):
            verdict += f" Rows were not compared by position ({lack})."
    distances = _by_distance(near, reach) if near else []
    result = Audit(found, len(leaks), verdict[0].upper() + verdict[1:], distances)
    if out is not None:
        tables.write_table(found, out if table_only else Path(out) / "findings.csv")
        if not table_only:
            _write_page(result, rows, Path(out) / "audit.html", pictured=pictured)
    return result


def _by_distance(near: Sequence[splits.Pairs], radius: float) -> list[tuple[str, int]]:
    """Return how many pairs of rows lie within 1, 2, 5, ... arcsec, up to the radius of the audit."""
    limits = sorted({limit for limit in (1.0, 2.0, 5.0, 10.0, 30.0) if limit < radius} | {radius})
    return [(f"{limit:g}", sum(int((told.distance <= limit).sum()) for told in near)) for limit in limits]


def _look(rows: splits.Rows, by_appearance: bool, *, quiet: bool) -> tuple[pd.DataFrame, list[splits.Pairs]]:
    """Go through the pictures; return what is wrong with them and which show one galaxy."""
    paths = [path for catalog in rows.catalogs for path in catalog.paths()]
    with progress("looking", len(paths), quiet=quiet) as done:
        facts = splits.survey_pictures(paths, progress=done)
    pairs = splits.same_pictures(rows, facts)
    if by_appearance:
        first, *others = appearance_marks(rows.catalogs, quiet=quiet)
        for other in (None, *others):
            which, likeness = appearance_pairs(first, other)
            if other is not None:
                which[:, 1] += rows.audited
            pairs.append(splits.Pairs("same_appearance", "warning", which, likeness, "likeness"))
    return splits.check_pictures(rows, facts), pairs


def _no_leak(
    rows: splits.Rows, radius: float, split: object, *, pictured: bool, by_appearance: bool, group: str | None
) -> str:
    """Say that no leak was found, and by what was looked for one."""
    import numpy as np

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
    rows: splits.Rows,
    catalog: str | Path,
    columns: Mapping[str, str] | None,
    model: str | Path,
    device: str | None,
    *,
    quiet: bool,
) -> pd.DataFrame:
    """Return the labels that a model finds improbable."""
    # Only here is a model needed; the rest of an audit should not wait for torch.
    import numpy as np

    from galaxalign.data.images import is_read
    from galaxalign.training import catalog_labels, read_trained_on
    from galaxalign.verbs.with_model import open_model, predict

    whole = catalogs.read_catalog(catalog, columns=columns, quiet=True)
    loaded = open_model(model, whole.store, device)
    scheme, trained_on = loaded.taxonomy, read_trained_on(loaded.folder)
    labels = catalog_labels(whole, scheme)
    with progress("looking", len(whole), quiet=quiet) as done:
        _, probabilities, statuses = predict(loaded, whole, scheme, loaded.classifier, done)
    known = np.flatnonzero((labels >= 0) & is_read(statuses))
    suspects = known[evaluation.improbable_labels(labels[known], probabilities[known])]
    learnt = set() if trained_on is None else set(trained_on.ids)
    given = probabilities[suspects, labels[suspects]]
    said = [
        f"the model says {scheme.class_names[int(probabilities[row].argmax())]} ({probabilities[row].max():.2f})"
        + ("; it was trained or chosen with this galaxy" if rows.table["id_str"][row] in learnt else "")
        for row in suspects
    ]
    return splits.findings(
        "improbable_label", "warning", rows, suspects, distance=given, unit="probability of the label", detail=said
    )


def _write_page(result: Audit, rows: splits.Rows, path: Path, *, pictured: bool) -> None:
    pictures: dict[tuple[str, str], Location] = {}
    if pictured:
        for catalog in rows.catalogs:
            named = zip(catalog.ids, catalog.paths(), strict=True)
            pictures |= {(catalog.source, identity): file for identity, file in named}
    html = reports.page(
        result.findings,
        pictures,
        source=rows.catalogs[0].source,
        rows=rows.audited,
        against=rows.catalogs[1].source if len(rows.catalogs) > 1 else "",
        verdict=result.verdict,
        bad=result.leaks > 0,
        distances=result.distances,
    )
    tables.write_text(html, path)
