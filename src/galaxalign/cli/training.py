"""Verbs that make models, and compare them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import galaxalign
from galaxalign.cli.options import (
    Catalog,
    Columns,
    Device,
    Exclude,
    Model,
    Quiet,
    Radius,
    Seed,
    columns_again,
    try_next,
)

__all__ = ["benchmark", "fit_votes", "train", "transfer"]


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
    again = [catalog[0], *columns_again(columns), "--model", str(folder)]
    try_next(
        ["galaxalign", "evaluate", *again, "--split", parts, "--part", "test"],
        ["galaxalign", "embed", *again, "--out", "embeddings.parquet"],
        ["galaxalign", "search", "embeddings.parquet", "--text", "a barred spiral galaxy"],
    )


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
    again = [catalog, *columns_again(columns), "--model", str(folder)]
    try_next(
        ["galaxalign", "evaluate", *again, "--split", str(split or folder / "split.parquet"), "--part", "test"],
        ["galaxalign", "classify", *again, "--out", "predictions.parquet"],
    )


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
    again = [catalog, *columns_again(columns), "--model", str(folder)]
    try_next(["galaxalign", "classify", *again, "--votes", "--out", "votes.parquet"])


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
