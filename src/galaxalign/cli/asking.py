"""Verbs that ask a model, or a gallery of galaxies."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import galaxalign
from galaxalign.cli import console
from galaxalign.cli.options import Catalog, Columns, Device, Model, OtherTaxonomy, Quiet, Seed, try_next

__all__ = ["classify", "embed", "evaluate", "index", "project", "search", "serve"]


def classify(
    catalog: Catalog,
    *,
    model: Model = "galaxy-lite",
    taxonomy: OtherTaxonomy = None,
    votes: Annotated[
        bool, typer.Option("--votes", help="Also the fraction of volunteers expected to give each answer.")
    ] = False,
    columns: Columns = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Table of predictions (.parquet .csv .fits .vot); else CSV to a pipe."),
    ] = None,
    device: Device = None,
    quiet: Quiet = False,
) -> None:
    """Say what each galaxy is, and how sure that is."""
    answer = galaxalign.classify(
        catalog=catalog,
        model=model,
        taxonomy=taxonomy,
        votes=votes,
        columns=columns,
        out=out,
        device=device,
        quiet=quiet,
    )
    if out is None:
        console.print_predictions(answer)
    else:
        console.print_counts(answer)
        print(f"The predictions are in {answer}.")


def evaluate(
    catalog: Catalog,
    *,
    model: Model = "galaxy-lite",
    taxonomy: OtherTaxonomy = None,
    split: Annotated[
        Path | None,
        typer.Option("--split", help="Saved split. Left out: all that the model was not trained or chosen on."),
    ] = None,
    part: Annotated[str, typer.Option("--part", help="Part of the split: train, validation or test.")] = "test",
    columns: Columns = None,
    out: Annotated[Path | None, typer.Option("--out", help="metrics.json with per-class figures.")] = None,
    device: Device = None,
    quiet: Quiet = False,
) -> None:
    """Measure classification and retrieval on labelled galaxies, with 95 % intervals."""
    metrics = galaxalign.evaluate(
        catalog=catalog,
        model=model,
        taxonomy=taxonomy,
        split=split,
        part=part,
        columns=columns,
        out=out,
        device=device,
        quiet=quiet,
    )
    console.print_metrics(metrics)


def embed(
    catalog: Catalog,
    *,
    model: Model = "galaxy-lite",
    out: Annotated[Path, typer.Option("--out", help="Embeddings file (.parquet).")],
    columns: Columns = None,
    device: Device = None,
    quiet: Quiet = False,
) -> None:
    """Turn each galaxy into a vector, once; search and maps then need no images."""
    path = galaxalign.embed(catalog=catalog, model=model, out=out, columns=columns, device=device, quiet=quiet)
    print(f"The embeddings are in {path}.")
    try_next(
        ["galaxalign", "search", str(path), "--text", "a barred spiral galaxy"],
        ["galaxalign", "project", str(path), "--out", "map.parquet"],
    )


def index(
    embeddings: Annotated[Path, typer.Argument(metavar="EMBEDDINGS", help="File made by galaxalign embed.")],
    *,
    out: Annotated[str, typer.Option("--out", help="Folder of the index, or s3://...; one that is there is added to.")],
    exact_below: Annotated[
        int, typer.Option("--exact-below", help="Up to so many galaxies are compared one by one.")
    ] = 200_000,
    quiet: Quiet = False,
) -> None:
    """Put embeddings where millions can be searched and filtered; run again after a stop, it continues."""
    path = galaxalign.index(embeddings=embeddings, out=out, exact_below=exact_below, quiet=quiet)
    print(f"The index is {path}.")
    try_next(["galaxalign", "search", str(path), "--text", "a barred spiral galaxy"])


def search(
    embeddings: Annotated[
        str, typer.Argument(metavar="EMBEDDINGS|INDEX", help="Made by galaxalign embed or galaxalign index.")
    ],
    *,
    text: Annotated[list[str] | None, typer.Option("--text", help="What it looks like, in words.")] = None,
    not_: Annotated[list[str] | None, typer.Option("--not", help="What it should not look like.")] = None,
    image: Annotated[list[str] | None, typer.Option("--image", help="A picture of a galaxy.")] = None,
    symbol: Annotated[
        list[str] | None, typer.Option("--symbol", help="A class of the taxonomy, or a drawing (SVG, PNG).")
    ] = None,
    id_: Annotated[list[str] | None, typer.Option("--id", help="A galaxy of the file.")] = None,
    query: Annotated[
        Path | None, typer.Option("--query", metavar="FILE.json", help="A whole query instead; see docs/search.md.")
    ] = None,
    where: Annotated[
        str | None, typer.Option("--where", metavar="SQL", help='Only such galaxies: "redshift < 0.1".')
    ] = None,
    cone: Annotated[
        str | None, typer.Option("--cone", metavar="RA,DEC,RADIUS", help="Only within a circle, degrees.")
    ] = None,
    moc: Annotated[str | None, typer.Option("--moc", help="Only within a part of the sky: a MOC file.")] = None,
    floor: Annotated[float | None, typer.Option("--floor", help="Leave out what scores less.")] = None,
    collapse: Annotated[
        bool, typer.Option("--collapse/--no-collapse", help="Show several entries of one galaxy as one.")
    ] = True,
    label: Annotated[
        str | None, typer.Option("--label", help="What right ones are called in the column label: estimates precision.")
    ] = None,
    marks: Annotated[
        Path | None, typer.Option("--marks", help="Table of id_str and mark (good or bad) that refines the query.")
    ] = None,
    model: Annotated[str | None, typer.Option("--model", help="The one the file names by default.")] = None,
    k: Annotated[int, typer.Option("-k", help="How many galaxies.")] = 20,
    form: Annotated[console.Format, typer.Option("--format", help="How to print them.")] = "table",
    out: Annotated[Path | None, typer.Option("--out", help="Write a table instead of printing.")] = None,
    device: Device = None,
    quiet: Quiet = False,
) -> None:
    """Find galaxies by words, pictures, drawings or ids: each can be repeated, weighted ("a bar^0.5") and combined."""
    if out is not None:
        from galaxalign.data.catalog import check_output

        check_output(out)
    results = galaxalign.search(
        embeddings=embeddings,
        text=tuple(text or ()),
        not_=tuple(not_ or ()),
        image=tuple(image or ()),
        symbol=tuple(symbol or ()),
        id=tuple(id_ or ()),
        query=query,
        where=where,
        cone=cone,
        moc=moc,
        floor=floor,
        collapse=collapse,
        label=label,
        marks=marks,
        model=model,
        k=k,
        device=device,
        quiet=quiet,
    )
    if out is None:
        console.print_results(results, form)
    else:
        console.write_results(results, out)
        print(f"The {len(results)} galaxies are in {out}.")


def project(
    embeddings: Annotated[Path, typer.Argument(metavar="EMBEDDINGS", help="File made by galaxalign embed.")],
    *,
    out: Annotated[Path, typer.Option("--out", help="Table of positions (.parquet .csv .fits .vot).")],
    method: Annotated[str, typer.Option("--method", help="tsne, umap or pca.")] = "tsne",
    figure: Annotated[
        Path | None, typer.Option("--figure", help="Picture of the map; beside the table by default.")
    ] = None,
    seed: Seed = 0,
) -> None:
    """Lay the galaxies out on a map: neighbours look alike."""
    path = galaxalign.project(embeddings=embeddings, method=method, out=out, figure=figure, seed=seed)
    print(f"The map is in {path}, its picture in {figure or path.with_suffix('.png')}.")


def serve(
    embeddings: Annotated[
        str, typer.Argument(metavar="EMBEDDINGS|INDEX", help="Made by galaxalign embed or galaxalign index.")
    ],
    *,
    model: Annotated[str | None, typer.Option("--model", help="The one the file names by default.")] = None,
    map_: Annotated[
        str | None, typer.Option("--map", help="Table made by galaxalign project; or tsne, umap, pca.")
    ] = None,
    labels: Annotated[
        Path | None, typer.Option("--labels", help="CSV that keeps the labels given in the page.")
    ] = None,
    label_names: Annotated[
        list[str] | None, typer.Option("--label", help="What galaxies can be labelled as; the classes by default.")
    ] = None,
    host: Annotated[
        str, typer.Option("--host", help="Address to listen on; others than this machine want a token.")
    ] = ("127.0.0.1"),
    port: Annotated[int, typer.Option("--port", help="0 for a free one.")] = 8765,
    token: Annotated[
        str | None, typer.Option("--token", envvar="GALAXALIGN_TOKEN", help="What a visitor must show.")
    ] = None,
    names: Annotated[
        list[str] | None, typer.Option("--name", help="Another name of this server, such as that of a proxy.")
    ] = None,
    open_browser: Annotated[bool, typer.Option("--open", help="Show the page in the browser.")] = False,
    device: Device = None,
    quiet: Quiet = False,
) -> None:
    """Explore galaxies in a browser: map, pictures, table, search, labels; and a REST API."""
    galaxalign.serve(
        embeddings=embeddings,
        model=model,
        map=map_,
        labels=labels,
        label_names=tuple(label_names or ()),
        host=host,
        port=port,
        token=token,
        names=tuple(names or ()),
        open_browser=open_browser,
        device=device,
        quiet=quiet,
    )
