"""`galaxalign data …` on the command line: known data sets and stores of prepared pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import galaxalign

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Known data sets, and stores of prepared pictures.")

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars.")]


@app.command()
def prepare(
    catalog: Annotated[str, typer.Argument(metavar="CATALOG", help="Table, folder or glob of images.")],
    *,
    out: Annotated[Path, typer.Option("--out", help="Folder of the store.")],
    crop: Annotated[float | None, typer.Option("--crop", help="Centred share of the frame, 0 to 1. [1]")] = None,
    size: Annotated[int | None, typer.Option("--size", help="Pixels along each side. [128]")] = None,
    model: Annotated[str | None, typer.Option("--model", help="Crop and size of this model.")] = None,
    for_training: Annotated[
        bool, typer.Option("--for-training", help="Keep what lies around the crop, to turn and shift pictures.")
    ] = False,
    workers: Annotated[int | None, typer.Option("--workers", help="Threads; one per core by default.")] = None,
    quiet: Quiet = False,
) -> None:
    """Decode, crop and resize all pictures once; run again after a stop, it continues."""
    store = galaxalign.prepare(
        catalog=catalog,
        out=out,
        crop=crop,
        size=size,
        model=model,
        for_training=for_training,
        workers=workers,
        quiet=quiet,
    )
    print(f"The store is {store}: give it to train, classify, evaluate and embed in place of the catalogue.")
