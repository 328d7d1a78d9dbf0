"""`galaxalign data …` on the command line: known data sets and stores of prepared pictures."""

from __future__ import annotations

import shlex
import sys
import textwrap
from pathlib import Path
from typing import Annotated

import typer

import galaxalign
from galaxalign.cli.options import Quiet

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Known data sets, and stores of prepared pictures.")


def _asks() -> bool:
    return sys.stdin.isatty()


Name = Annotated[
    str, typer.Argument(metavar="NAME", help="A data set of galaxalign data list; for convert also huggingface.")
]


@app.command("list")
def list_(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="All there is to say about one.")] = None,
) -> None:
    """List the known data sets."""
    from galaxalign.data.surveys import find_survey, size_text

    if name is None:
        sets = galaxalign.data_sets()
        width = max(len(survey.name) for survey in sets)
        for survey in sets:
            size = size_text(sum(file.size for file in survey.wanted()))
            print(f"{survey.name:{width}s}  {survey.galaxies:>7,}  {size:>7s}  {survey.title}: {survey.labels}")
        print("\ngalaxalign data list NAME says more: pictures, licence, what to cite, files.")
        return
    survey = find_survey(name)
    facts = {
        "galaxies": f"{survey.galaxies:,}",
        "pictures": survey.pictures,
        "labels": survey.labels,
        "taxonomy": survey.taxonomy or "none: the catalogue has votes, no classes",
        "licence": survey.licence,
        "cite": survey.citation,
        "see": survey.homepage,
        "note": survey.note,
    }
    print(survey.title)
    for key, value in facts.items():
        if value:
            print(textwrap.fill(value, 100, initial_indent=f"  {key:9s} ", subsequent_indent=" " * 12))
    for file in survey.files:
        how = "" if file.url else ", by hand from there"
        only = ", with --all" if file.optional else ""
        check = file.checksum or "no checksum published"
        print(f"  file      {file.name}  about {size_text(file.size)}{only}{how}, {check}")


@app.command()
def fetch(
    name: Name,
    *,
    out: Annotated[Path | None, typer.Option("--out", help="Folder; the name of the data set by default.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="The large files that few need, too.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before gigabytes.")] = False,
    mirror: Annotated[str | None, typer.Option("--mirror", help="Address of a folder with the same files.")] = None,
    quiet: Quiet = False,
) -> None:
    """Download a data set; run again after a stop, it continues."""
    if not yes and _asks():
        from galaxalign.data.surveys import MUCH, find_survey, size_text

        survey = find_survey(name)
        total = sum(file.size for file in survey.wanted(everything) if file.url or mirror)
        yes = total > MUCH and typer.confirm(f"{survey.title} is about {size_text(total)}. Download it?", abort=True)
    paths = galaxalign.fetch(name=name, out=out, everything=everything, yes=yes, mirror=mirror, quiet=quiet)
    folder = str(paths[0].parent)
    print(f"The {len(paths)} files are in {folder}.")
    following = ["galaxalign", "data", "convert", name, "--from", folder, "--out", f"{name}-catalog"]
    print(f"Try next:\n  {shlex.join(following)}")


@app.command()
def convert(
    name: Name,
    *,
    from_: Annotated[list[str], typer.Option("--from", help="A published file, or a folder of them; repeatable.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for catalog.parquet and unpacked pictures.")],
    quiet: Quiet = False,
) -> None:
    """Make a catalogue of the published files of a data set."""
    from galaxalign.data.reader import open_table

    path = galaxalign.convert(name=name, from_=from_, out=out, quiet=quiet)
    print(f"The catalogue is {path}.")
    if (path.parent / "split.parquet").is_file():
        print(f"Its own division into training and test galaxies is {path.parent / 'split.parquet'}.")
    if "file_loc" in open_table(path).names:
        print(f"Try next:\n  {shlex.join(['galaxalign', 'data', 'prepare', str(path), '--out', f'{name}-store'])}")
    else:
        print("It has no pictures. To classify, embed or train give --from their folder or archive, too.")


@app.command()
def prepare(
    catalog: Annotated[str, typer.Argument(metavar="CATALOG", help="Table, folder or glob of images.")],
    *,
    out: Annotated[Path, typer.Option("--out", help="Folder of the store.")],
    crop: Annotated[str | None, typer.Option("--crop", help="Centred part: 0.5, 64px or 30arcsec. [1]")] = None,
    size: Annotated[int | None, typer.Option("--size", help="Pixels along each side. [128]")] = None,
    stretch: Annotated[str | None, typer.Option("--stretch", help="For files of flux, as for train.")] = None,
    bands: Annotated[str | None, typer.Option("--bands", help="Bands for red, green, blue, as for train.")] = None,
    pixel_scale: Annotated[
        str | None, typer.Option("--pixel-scale", help="wcs, column or arcsec per pixel. [wcs]")
    ] = None,
    model: Annotated[str | None, typer.Option("--model", help="Prepare as this model was trained.")] = None,
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
        stretch=stretch,
        bands=bands,
        pixel_scale=pixel_scale,
        model=model,
        for_training=for_training,
        workers=workers,
        quiet=quiet,
    )
    print(f"The store is {store}: give it to train, classify, evaluate and embed in place of the catalogue.")
