"""What several verbs share: their options, and what is said to do next."""

from __future__ import annotations

import shlex
from typing import Annotated

import typer

__all__ = [
    "Catalog",
    "Columns",
    "Device",
    "Exclude",
    "Group",
    "Model",
    "OtherTaxonomy",
    "Quiet",
    "Radius",
    "Seed",
    "columns_again",
    "try_next",
]


def _mapping(text: str) -> dict[str, str]:
    """Read "id_str=objid,ra=RA"."""
    pairs = [pair.partition("=") for pair in text.split(",")]
    columns = {new.strip(): old.strip() for new, _, old in pairs}
    if not all(columns) or not all(columns.values()) or len(columns) < len(pairs):
        raise typer.BadParameter(f"{text!r} is not of the form NEW=OLD,NEW=OLD, as id_str=objid,ra=RA")
    return columns


def columns_again(columns: dict[str, str] | None) -> list[str]:
    """Return the flag that renames the columns, for the next command."""
    return ["--columns", ",".join(f"{new}={old}" for new, old in columns.items())] if columns else []


def try_next(*commands: list[str]) -> None:
    """Say what can be done with what was made."""
    print("Try next:")
    for command in commands:
        print(f"  {shlex.join(command)}")


Catalog = Annotated[
    str,
    typer.Argument(
        metavar="CATALOG",
        help="CSV, Parquet, FITS, VOTable (also s3://, https://), HATS; folder or glob of images; or a store.",
    ),
]
Columns = Annotated[
    dict | None,
    typer.Option("--columns", parser=_mapping, metavar="NEW=OLD,...", help="Rename columns: id_str=objid,ra=RA."),
]
Model = Annotated[
    str, typer.Option("--model", help="Model folder, as made by galaxalign train, or a model in the box.")
]
OtherTaxonomy = Annotated[str | None, typer.Option("--taxonomy", help="Name or TOML file; the model's own by default.")]
Device = Annotated[str | None, typer.Option("--device", help="cpu, cuda, cuda:1 …; the fastest by default.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars.")]
Radius = Annotated[str, typer.Option("--radius", help="What lies closer on the sky stays together; 0arcsec: ignore.")]
Exclude = Annotated[
    list[str] | None, typer.Option("--exclude", help="Benchmark whose galaxies must take no part; can be repeated.")
]
Group = Annotated[str | None, typer.Option("--group", help="Column whose equal values stay together.")]
Seed = Annotated[int, typer.Option("--seed", help="Same seed, same result.")]
