"""The command line: each verb is the function of the same name; here text only becomes arguments."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import galaxalign
from galaxalign import console, data_cli
from galaxalign.errors import InputError

__all__ = ["app", "main"]


class _Polite(TyperGroup):
    """Ends in one sentence where the user can mend it: 1 input at fault, 2 wrong usage, 130 interrupted."""

    def invoke(self, ctx: Any) -> Any:
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except InputError as error:
            _say(f"Error: {' '.join(str(error).split())}")
            raise typer.Exit(1) from None
        except KeyboardInterrupt:
            resumes = ctx.invoked_subcommand in ("train", "transfer", "demo", "data", "benchmark", "index")
            _say(f"\nStopped{'; the same command continues where it was' if resumes else ''}.")
            raise typer.Exit(130) from None
        except BrokenPipeError:
            # Who reads has seen enough (`| head`). What is left in the buffer must go somewhere at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(0) from None
        return result


def _say(text: str) -> None:
    print(text, file=sys.stderr)


def _try_next(*commands: list[str]) -> None:
    print("Try next:")
    for command in commands:
        print(f"  {shlex.join(command)}")


def _mapping(text: str) -> dict[str, str]:
    """Read "id_str=objid,ra=RA"."""
    pairs = [pair.partition("=") for pair in text.split(",")]
    columns = {new.strip(): old.strip() for new, _, old in pairs}
    if not all(columns) or not all(columns.values()) or len(columns) < len(pairs):
        raise typer.BadParameter(f"{text!r} is not of the form NEW=OLD,NEW=OLD, as id_str=objid,ra=RA")
    return columns


def _columns_again(columns: dict[str, str] | None) -> list[str]:
    return ["--columns", ",".join(f"{new}={old}" for new, old in columns.items())] if columns else []


app = typer.Typer(
    cls=_Polite,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Teach a vision-language model the morphology of galaxies in your survey, and ask it about each.",
)

app.add_typer(data_cli.app, name="data")

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


def _version(wanted: bool) -> None:
    if wanted:
        print(f"galaxalign {galaxalign.__version__}")
        raise typer.Exit()


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


@app.command()
def train(
    recipe: Annotated[
        str,
        typer.Argument(
            metavar="[RECIPE]",
            help="galaxalign, galaxalign-pair, image-text, clip-gmc, galaxy-lite, supervised, demo, the ablations "
            "galaxalign-v1 galaxalign-v2 galaxalign-v3; or a TOML file.",
        ),
    ] = "galaxalign",
    *,
    catalog: Annotated[
        list[str], typer.Option("--catalog", help="Catalogue with images and labels or votes; several learn together.")
    ],
    taxonomy: Annotated[
        list[str], typer.Option("--taxonomy", help="Name or TOML file of the classes, for all or each catalogue.")
    ],
    out: Annotated[Path, typer.Option("--out", help="Run folder; it becomes the model folder.")],
    encoder: Annotated[
        str, typer.Option("--encoder", help="lite, galaxy-lite, local-dir:MODEL, open_clip or timm name.")
    ] = "lite",
    split: Annotated[Path | None, typer.Option("--split", help="Saved split; made and kept if left out.")] = None,
    crop: Annotated[
        str | None,
        typer.Option(
            "--crop", help="Centred square to look at: 0.5 of the frame, 64px or 30arcsec. Of a store, its own."
        ),
    ] = None,
    stretch: Annotated[
        str | None,
        typer.Option("--stretch", help="For FITS and arrays: lupton, asinh:softening=0.1, log, linear, percentile."),
    ] = None,
    bands: Annotated[
        str | None, typer.Option("--bands", help="What becomes red, green, blue, such as z,r,g or 3,2,1.")
    ] = None,
    pixel_scale: Annotated[
        str | None, typer.Option("--pixel-scale", help="For a crop in arcsec: wcs, column, or arcsec per pixel.")
    ] = None,
    size: Annotated[
        int | None, typer.Option("--size", help="Side in pixels that the network sees; that of its weights by default.")
    ] = None,
    share: Annotated[float, typer.Option("--share", help="Percent of the training labels to learn from.")] = 100.0,
    weight: Annotated[
        list[float] | None,
        typer.Option("--weight", help="How often a galaxy is seen in an epoch, for all or each catalogue."),
    ] = None,
    view: Annotated[
        list[str] | None,
        typer.Option(
            "--view",
            help="Share of the picture to show in training, as 0.4-1 (above 1: with sky), for all or each catalogue.",
        ),
    ] = None,
    symbols: Annotated[
        Path | None, typer.Option("--symbols", help="Folder of your own drawings, CLASS.svg or CLASS.png.")
    ] = None,
    columns: Columns = None,
    exclude: Exclude = None,
    radius: Radius = "60arcsec",
    allow_leaks: Annotated[
        bool, typer.Option("--allow-leaks", help="Train although the split has one galaxy in two parts.")
    ] = False,
    seed: Seed = 0,
    device: Device = None,
    quiet: Quiet = False,
) -> None:
    """Train on your catalogue; run again after a stop, it continues."""
    folder = galaxalign.train(
        recipe=recipe,
        catalog=catalog,
        taxonomy=taxonomy,
        encoder=encoder,
        split=split,
        out=out,
        crop=crop,
        stretch=stretch,
        bands=bands,
        pixel_scale=pixel_scale,
        size=size,
        seed=seed,
        share=share,
        weight=tuple(weight or ()),
        view=tuple(view or ()),
        symbols=symbols,
        columns=columns,
        exclude=tuple(exclude or ()),
        radius=radius,
        allow_leaks=allow_leaks,
        device=device,
        quiet=quiet,
    )
    print(f"The model is in {folder}.")
    parts = str(split or folder / "split.parquet")
    again = [catalog[0], *_columns_again(columns), "--model", str(folder)]
    _try_next(
        ["galaxalign", "evaluate", *again, "--split", parts, "--part", "test"],
        ["galaxalign", "embed", *again, "--out", "embeddings.parquet"],
        ["galaxalign", "search", "embeddings.parquet", "--text", "a barred spiral galaxy"],
    )


@app.command()
def transfer(
    catalog: Catalog,
    *,
    model: Annotated[
        str, typer.Option("--model", help="Model folder to start from, of any taxonomy, or a model in the box.")
    ] = "galaxy-lite",
    taxonomy: Annotated[str, typer.Option("--taxonomy", help="Name or TOML file of the target's classes.")],
    out: Annotated[Path, typer.Option("--out", help="Run folder; it becomes the new model folder.")],
    share: Annotated[float, typer.Option("--share", help="Percent of the training labels to learn from.")] = 100.0,
    method: Annotated[
        str, typer.Option("--method", help="zero-shot, linear, fine-tune, lp-ft, lora, flyp or flyp-symbols.")
    ] = "fine-tune",
    wise_ft: Annotated[
        str | None,
        typer.Option("--wise-ft", help="Share of the fine-tuned weights in a mix with those before, 0 to 1, or auto."),
    ] = None,
    recipe: Annotated[
        str | None, typer.Option("--recipe", help="Train the tower by this recipe, not the method's own.")
    ] = None,
    steps: Annotated[int, typer.Option("--steps", help="Take at least so many, however few the labels.")] = 300,
    validation_share: Annotated[
        float, typer.Option("--validation-share", help="Percent of the validation part to choose on.")
    ] = 100.0,
    split: Annotated[Path | None, typer.Option("--split", help="Saved split; made and kept if left out.")] = None,
    crop: Annotated[
        str | None, typer.Option("--crop", help="Centred square to look at; as the model does if left out.")
    ] = None,
    stretch: Annotated[str | None, typer.Option("--stretch", help="For FITS and arrays; as the model does.")] = None,
    bands: Annotated[str | None, typer.Option("--bands", help="What becomes red, green, blue.")] = None,
    pixel_scale: Annotated[
        str | None, typer.Option("--pixel-scale", help="For a crop in arcsec: wcs, column, or arcsec per pixel.")
    ] = None,
    symbols: Annotated[
        Path | None, typer.Option("--symbols", help="Folder of your own drawings, CLASS.svg or CLASS.png.")
    ] = None,
    columns: Columns = None,
    exclude: Exclude = None,
    radius: Radius = "60arcsec",
    allow_leaks: Annotated[
        bool, typer.Option("--allow-leaks", help="Go on although the model knows galaxies of the test part.")
    ] = False,
    seed: Seed = 0,
    device: Device = None,
    quiet: Quiet = False,
) -> None:
    """Teach a trained model the classes of another survey with few labels; run again after a stop, it continues."""
    folder = galaxalign.transfer(
        catalog=catalog,
        model=model,
        taxonomy=taxonomy,
        out=out,
        share=share,
        method=method,
        wise_ft=wise_ft,
        recipe=recipe,
        steps=steps,
        validation_share=validation_share,
        split=split,
        crop=crop,
        stretch=stretch,
        bands=bands,
        pixel_scale=pixel_scale,
        seed=seed,
        symbols=symbols,
        columns=columns,
        exclude=tuple(exclude or ()),
        radius=radius,
        allow_leaks=allow_leaks,
        device=device,
        quiet=quiet,
    )
    print(f"The model is in {folder}.")
    again = [catalog, *_columns_again(columns), "--model", str(folder)]
    _try_next(
        ["galaxalign", "evaluate", *again, "--split", str(split or folder / "split.parquet"), "--part", "test"],
        ["galaxalign", "classify", *again, "--out", "predictions.parquet"],
    )


@app.command()
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


@app.command()
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


@app.command()
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
    _try_next(
        ["galaxalign", "search", str(path), "--text", "a barred spiral galaxy"],
        ["galaxalign", "project", str(path), "--out", "map.parquet"],
    )


@app.command()
def fit_votes(
    catalog: Catalog,
    *,
    model: Model = "galaxy-lite",
    out: Annotated[Path, typer.Option("--out", help="Folder of the model with the head; may be that of --model.")],
    taxonomy: Annotated[
        str | None, typer.Option("--taxonomy", help="Decision tree, name or TOML file; the model's own by default.")
    ] = None,
    split: Annotated[
        Path | None, typer.Option("--split", help="Saved split; that of the model, or a new one, if left out.")
    ] = None,
    voters: Annotated[
        float | None, typer.Option("--voters", help="Volunteers per galaxy, where the catalogue does not say.")
    ] = None,
    columns: Columns = None,
    radius: Radius = "60arcsec",
    allow_leaks: Annotated[
        bool, typer.Option("--allow-leaks", help="Fit although the split has one galaxy in two parts.")
    ] = False,
    seed: Seed = 0,
    device: Device = None,
    quiet: Quiet = False,
) -> None:
    """Teach a model how volunteers vote on your survey; its towers stay as they are."""
    folder = galaxalign.fit_votes(
        catalog=catalog,
        model=model,
        out=out,
        taxonomy=taxonomy,
        split=split,
        voters=voters,
        columns=columns,
        radius=radius,
        allow_leaks=allow_leaks,
        seed=seed,
        device=device,
        quiet=quiet,
    )
    print(f"The model with a head for votes is in {folder}.")
    again = [catalog, *_columns_again(columns), "--model", str(folder)]
    _try_next(["galaxalign", "classify", *again, "--votes", "--out", "votes.parquet"])


@app.command()
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
    _try_next(["galaxalign", "search", str(path), "--text", "a barred spiral galaxy"])


@app.command()
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


@app.command()
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


@app.command()
def benchmark(
    config: Annotated[
        Path, typer.Argument(metavar="CONFIG", help="TOML: data sets, encoders, trainings, shares, seeds.")
    ],
    *,
    out: Annotated[Path, typer.Option("--out", help="Folder of the cells and the report.")],
    data: Annotated[Path | None, typer.Option("--data", help="What {data} in the configuration stands for.")] = None,
    shard: Annotated[
        str | None, typer.Option("--shard", metavar="K/N", help="Only every N-th cell, from the K-th; no report.")
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", help="Processes that run cells; with GPUs one for each.")] = 1,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the cells and an estimate; run nothing.")] = False,
    report_only: Annotated[bool, typer.Option("--report-only", help="Write the report of what is finished.")] = False,
    keep_models: Annotated[bool, typer.Option("--keep-models", help="Keep the model folder of each cell.")] = False,
    device: Device = None,
    quiet: Quiet = False,
) -> None:
    """Compare methods on splits that do not leak: every cell of a configuration, with a report."""
    path = galaxalign.benchmark(
        config=config,
        out=out,
        data=data,
        shard=shard,
        jobs=jobs,
        dry_run=dry_run,
        report_only=report_only,
        keep_models=keep_models,
        device=device,
        quiet=quiet,
    )
    if not dry_run:
        print(f"The {'cells are' if shard else 'report is'} in {path}.")


@app.command()
def symbols(
    taxonomy: Annotated[str, typer.Argument(metavar="TAXONOMY", help="Name or TOML file.")],
    *,
    out: Annotated[Path, typer.Option("--out", help="The sheet (.png .svg .pdf).")],
) -> None:
    """Draw the schematic symbol of each class on one labelled sheet."""
    print(f"The symbols are in {galaxalign.symbols(taxonomy=taxonomy, out=out)}.")


@app.command()
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


@app.command()
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


@app.command()
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


@app.command()
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


@app.command()
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


def main() -> None:
    """Run the command line."""
    app(prog_name="galaxalign")


if __name__ == "__main__":
    main()
