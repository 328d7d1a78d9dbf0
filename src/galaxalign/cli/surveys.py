"""Verbs about catalogues, symbols and simulated surveys."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import galaxalign
from galaxalign.cli import console
from galaxalign.cli.options import Catalog, Columns, Device, Exclude, Group, Quiet, Radius, Seed
from galaxalign.errors import InputError

__all__ = ["audit", "demo", "simulate", "split", "symbols"]


def symbols(
    taxonomy: Annotated[str, typer.Argument(metavar="TAXONOMY", help="Name or TOML file.")],
    *,
    out: Annotated[Path, typer.Option("--out", help="The sheet (.png .svg .pdf).")],
) -> None:
    """Draw the schematic symbol of each class on one labelled sheet."""
    print(f"The symbols are in {galaxalign.symbols(taxonomy=taxonomy, out=out)}.")


def simulate(
    *,
    taxonomy: Annotated[str, typer.Option("--taxonomy", help="Name or TOML file.")] = "galaxy10_decals",
    n: Annotated[int, typer.Option("--n", help="Number of galaxies.")] = 2000,
    out: Annotated[Path, typer.Option("--out", help="Folder for catalog.csv and the images.")],
    size: Annotated[int, typer.Option("--size", help="Pixels along each side.")] = 128,
    seed: Seed = 0,
    workers: Annotated[int | None, typer.Option("--workers", help="Processes; one per core by default.")] = None,
    quiet: Quiet = False,
) -> None:
    """Make a survey of simulated galaxies whose true morphology is known."""
    path = galaxalign.simulate(taxonomy=taxonomy, n=n, out=out, size=size, seed=seed, workers=workers, quiet=quiet)
    print(f"The catalogue is {path}.")


def split(
    catalogs: Annotated[list[str], typer.Argument(metavar="CATALOG...", help="One or several catalogues.")],
    *,
    out: Annotated[Path, typer.Option("--out", help="The split (.parquet).")],
    fractions: Annotated[
        tuple[float, float, float], typer.Option("--fractions", help="Shares of train, validation, test.")
    ] = (0.7, 0.1, 0.2),
    group: Group = None,
    columns: Columns = None,
    radius: Radius = "60arcsec",
    exclude: Exclude = None,
    exclude_radius: Annotated[
        str | None, typer.Option("--exclude-radius", help="How close to a galaxy of --exclude; --radius by default.")
    ] = None,
    by_appearance: Annotated[
        bool, typer.Option("--by-appearance", help="Keep together pictures of one galaxy in whatever frame (slow).")
    ] = False,
    folds: Annotated[
        int | None, typer.Option("--folds", help="So many splits, OUT-1.parquet ..., instead of --fractions.")
    ] = None,
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Divide catalogues into train, validation and test, the same galaxy always in the same part."""
    path = galaxalign.split(
        catalogs=catalogs,
        out=out,
        fractions=fractions,
        group=group,
        columns=columns,
        radius=radius,
        exclude=tuple(exclude or ()),
        exclude_radius=exclude_radius,
        by_appearance=by_appearance,
        folds=folds,
        seed=seed,
        quiet=quiet,
    )
    console.print_split(galaxalign.read_split(path))
    if folds is None:
        print(f"The split is in {path}.")
    else:
        print(f"These are the numbers of {path}; the other folds lie beside it, up to {path.stem[:-1]}{folds}.parquet.")


def audit(
    catalog: Catalog,
    *,
    split: Annotated[Path | None, typer.Option("--split", help="Saved split to look for leaks in.")] = None,
    against: Annotated[str | None, typer.Option("--against", help="Another catalogue to compare with.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for audit.html and findings.csv; or a table.")
    ] = None,
    radius: Radius = "60arcsec",
    group: Group = None,
    columns: Columns = None,
    by_appearance: Annotated[
        bool, typer.Option("--by-appearance", help="Look for one galaxy in other frames and pixel scales too (slow).")
    ] = False,
    images: Annotated[bool, typer.Option("--images/--no-images", help="Look at the pictures.")] = True,
    model: Annotated[
        str | None, typer.Option("--model", help="Model folder; list the labels that it finds improbable.")
    ] = None,
    device: Device = None,
    quiet: Quiet = False,
) -> None:
    """Look for leaks, duplicates, contradictory labels and broken pictures; exit status 1 if the split leaks."""
    found = galaxalign.audit(
        catalog=catalog,
        split=split,
        against=against,
        out=out,
        radius=radius,
        group=group,
        columns=columns,
        by_appearance=by_appearance,
        images=images,
        model=model,
        device=device,
        quiet=quiet,
    )
    console.print_audit(found.counts(), found.distances, found.warnings())
    if out is not None:
        print(f"The findings are in {out}.")
    if found.leaks:
        raise InputError(found.verdict)
    print(found.verdict)


def demo(
    *,
    out: Annotated[Path, typer.Option("--out", help="Folder for everything it makes.")] = Path("galaxalign-demo"),
    n: Annotated[int, typer.Option("--n", help="Number of simulated galaxies.")] = 500,
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """See all of it in a few minutes, offline: simulate, train, evaluate, search, and read the report."""
    report = galaxalign.demo(out=out, n=n, seed=seed, quiet=quiet)
    print(f"The report is {report}: open it in a browser.")
