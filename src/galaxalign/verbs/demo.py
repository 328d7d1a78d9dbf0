"""The whole path in a few minutes, offline: train, evaluate, search, and a report of it all."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from galaxalign import __version__, morphology, options as opt, reports, training
from galaxalign.data import catalogs, splits, tables
from galaxalign.errors import InputError
from galaxalign.signature import verb
from galaxalign.verbs.classify import classify
from galaxalign.verbs.embed import embed
from galaxalign.verbs.evaluate import evaluate
from galaxalign.verbs.project import project
from galaxalign.verbs.search import search
from galaxalign.verbs.simulate import simulate
from galaxalign.verbs.split import split
from galaxalign.verbs.train import train

_TAXONOMY = "galaxy10_decals"
_ENCODER = "lite"
# More held-out galaxies than usual, so that a class has more than a page of answers to find; and enough
# validation galaxies that each class has two of them even in the smallest survey.
_FRACTIONS = (0.6, 0.15, 0.25)
_FEWEST = 100
_CLASSES_ASKED = 2
_ANSWERS = 10


@dataclass(frozen=True)
class _Step:
    """One step: what to say, what it leaves behind, and what it does."""

    name: str
    title: str
    outputs: tuple[Path, ...]
    act: Callable[[], object]


@verb
def demo(
    *,
    out: opt.DemoOut = "galaxalign-demo",
    n: opt.Number = 500,
    seed: opt.Seed = 0,
    quiet: opt.Quiet = False,
    _recipe: str | Path = "demo",
) -> Path:
    """Run the whole program in a few minutes, offline: simulate, train, evaluate, search, report.

    Finished steps are not repeated: rerun on the same folder to resume. `n` is at least 100.

    Returns
    -------
    Path
        The report, one HTML file.

    Raises
    ------
    InputError
        The folder holds something else or cannot be written, or `n` is too small.
    """
    if n < _FEWEST:
        raise InputError(f"{n} galaxies are too few for the demo; simulate at least {_FEWEST}")
    run = reports.RunFiles(Path(out))
    settings = {
        "galaxalign": __version__,
        "n": n,
        "seed": seed,
        "taxonomy": _TAXONOMY,
        "encoder": _ENCODER,
        "recipe": training.load_recipe(_recipe).model_dump(mode="json"),
    }
    state = _open(run, settings)
    seconds = state["seconds"]
    steps = _steps(run, n, seed, _recipe, quiet)
    total = len(steps) + 1
    for number, step in enumerate(steps, start=1):
        _say(f"[{number}/{total}] {step.title}", "bold", quiet=quiet)
        if step.name in seconds and all(path.exists() for path in step.outputs):
            _say(f"      done before, in {seconds[step.name]:.0f} s", "dim", quiet=quiet)
            continue
        started = time.monotonic()
        tables.write_json(state | {"running": step.name}, run.state)
        step.act()
        seconds[step.name] = round(time.monotonic() - started, 1)
        tables.write_json(state, run.state)
        _say(f"      {seconds[step.name]:.0f} s", "dim", quiet=quiet)
    _say(f"[{total}/{total}] draw the figures and write the report", "bold", quiet=quiet)
    report = reports.write_report(run.folder)
    _say("\nTry next:", "bold", quiet=quiet)
    for what, command in reports.next_steps(run.folder):
        _say(f"  {command}", quiet=quiet)
        _say(f"      {what}", "dim", quiet=quiet)
    return report


def _steps(run: reports.RunFiles, n: int, seed: int, recipe: str | Path, quiet: bool) -> list[_Step]:
    """Return the steps in order; each needs only files of the ones before it."""
    taxonomy = morphology.load_taxonomy(_TAXONOMY)

    def make_survey() -> None:
        simulate(taxonomy=_TAXONOMY, n=n, out=run.survey, seed=seed, quiet=quiet)

    def divide() -> None:
        split(catalogs=[run.catalog], out=run.split, fractions=_FRACTIONS, seed=seed)
        catalog = catalogs.read_catalog(run.catalog)
        chosen = catalog.select(splits.read_split(run.split).part(catalog, "test"))
        _write_here(chosen, run.held_out)

    def fit() -> None:
        train(
            recipe=recipe, catalog=run.catalog, taxonomy=_TAXONOMY, encoder=_ENCODER, split=run.split, out=run.model,
            seed=seed, quiet=quiet,
        )  # fmt: skip

    def measure() -> None:
        evaluate(catalog=run.catalog, model=run.model, split=run.split, part="test", out=run.metrics, quiet=quiet)
        classify(catalog=run.held_out, model=run.model, out=run.predictions, quiet=quiet)

    def ask() -> None:
        embed(catalog=run.held_out, model=run.model, out=run.embeddings, quiet=quiet)
        tables.write_json(_ask(run, taxonomy, seed), run.searches)

    def lay_out() -> None:
        run.figures.mkdir(exist_ok=True)
        for method, table, figure in (("tsne", run.map, "map.png"), ("pca", run.components, "components.png")):
            project(embeddings=run.embeddings, method=method, out=table, figure=run.figures / figure, seed=seed)

    model_files = (run.model / "galaxalign.json", run.model / "metrics.csv")
    return [
        _Step("simulate", f"simulate {n} galaxies of {len(taxonomy)} classes", (run.catalog,), make_survey),
        _Step("split", "divide into training, validation and held-out galaxies", (run.split, run.held_out), divide),
        _Step("train", "train on pictures, words and symbols, in two stages", model_files, fit),
        _Step("evaluate", "classify the held-out galaxies and measure", (run.metrics, run.predictions), measure),
        _Step("search", "search by picture, by words and by symbol", (run.embeddings, run.searches), ask),
        _Step("project", "draw a map of what looks alike", (run.map, run.components, run.figures), lay_out),
    ]


def _ask(run: reports.RunFiles, taxonomy: morphology.Taxonomy, seed: int) -> list[dict[str, Any]]:
    """Ask for each of some classes in three ways; return queries and answers.

    The classes are drawn by the seed, before any answer is seen. The picture is a validation galaxy:
    it is neither in the gallery nor among those that were trained on.
    """
    import numpy as np

    catalog = catalogs.read_catalog(run.catalog)
    labels = np.array(catalog.texts("label"), dtype=object)
    parts = splits.read_split(run.split)
    spare = parts.part(catalog, "validation")
    gallery = parts.part(catalog, "test")
    rng = np.random.default_rng(seed)
    possible = [
        galaxy_class
        for galaxy_class in taxonomy.classes
        if galaxy_class.name in labels[spare] and galaxy_class.name in labels[gallery]
    ]
    known = dict(zip(catalog.ids, labels, strict=True))
    found = []
    for place in rng.permutation(len(possible))[:_CLASSES_ASKED]:
        wanted = possible[place]
        example = rng.choice(spare[labels[spare] == wanted.name])
        picture = Path(catalog.paths()[example]).relative_to(run.folder).as_posix()
        words = morphology.with_article(wanted.phrases[0])
        for kind, query, asked in (
            ("picture", picture, {"image": run.folder / picture}),
            ("words", words, {"text": words}),
            ("symbol", wanted.name, {"symbol": wanted.name}),
        ):
            entries = search(embeddings=run.embeddings, model=run.model, k=_ANSWERS, quiet=True, **asked)
            answers = [
                {"rank": entry.rank, "id_str": entry.id_str, "score": entry.score, "label": known[entry.id_str]}
                for entry in entries
            ]
            found.append({"kind": kind, "query": query, "class": wanted.name, "answers": answers})
    return found


def _open(run: reports.RunFiles, settings: dict[str, Any]) -> dict[str, Any]:
    """Return the state of the demo in the folder; InputError if the folder is not this demo's.

    It has the `settings`, the `seconds` of each finished step, and by name the steps that were `stopped`: their
    seconds are those of the last attempt alone.
    """
    tables.check_output(run.folder, folder=True)
    if not run.folder.is_dir() or not any(run.folder.iterdir()):
        run.folder.mkdir(parents=True, exist_ok=True)
        return {"settings": settings, "seconds": {}, "stopped": []}
    if not run.state.is_file():
        raise InputError(f"{run.folder} holds files that are not of a demo; name a new or empty folder with --out")
    try:
        state = json.loads(run.state.read_text(encoding="utf-8"))
        found = dict(state["settings"])
        going_on = {"settings": settings, "seconds": dict(state["seconds"]), "stopped": list(state["stopped"])}
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{run.state} is damaged ({error}); delete {run.folder} and start again") from error
    differing = sorted(key for key in {*found, *settings} if found.get(key) != settings.get(key))
    if differing:
        raise InputError(
            f"{run.folder} holds a demo with other settings ({', '.join(differing)}); "
            "name another folder with --out, or delete it"
        )
    if "running" in state:
        going_on["stopped"] = sorted({*going_on["stopped"], state["running"]})
    return going_on


def _write_here(catalog: catalogs.Catalog, path: Path) -> None:
    """Write a selection of a catalogue into another folder; its images stay where they are."""
    table = catalog.table.copy()
    folder = path.parent.resolve()
    table["file_loc"] = [Path(os.path.relpath(Path(image).resolve(), folder)).as_posix() for image in catalog.paths()]
    tables.write_table(table, path)


def _say(text: str, style: str = "", *, quiet: bool) -> None:
    """Say one line on standard error, in colour on a terminal."""
    if quiet:
        return
    from rich.console import Console

    Console(stderr=True, highlight=False, soft_wrap=True).print(text, style=style, markup=False)
