"""What each command prints: it runs its verb, says where the answer is, and what to do with it next.

A function here has the name of its verb. `run` calls the verb with what was given on the command line.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from galaxalign import options as opt
from galaxalign.cli import console
from galaxalign.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from galaxalign.gallery import Results
    from galaxalign.verbs import Audit


def train(
    run: Callable[..., Path],
    *,
    catalog: Sequence[str],
    columns: Mapping[str, str] | None,
    split: Path | None,
) -> None:
    folder = run()
    print(f"The model is in {folder}.")
    again = _again(catalog[0], columns, folder)
    _try_next(
        ["galaxalign", "evaluate", *again, "--split", str(split or folder / "split.parquet"), "--part", "test"],
        ["galaxalign", "embed", *again, "--out", "embeddings.parquet"],
        ["galaxalign", "search", "embeddings.parquet", "--text", "a barred spiral galaxy"],
    )


def transfer(run: Callable[..., Path], *, catalog: str, columns: Mapping[str, str] | None, split: Path | None) -> None:
    folder = run()
    print(f"The model is in {folder}.")
    again = _again(catalog, columns, folder)
    _try_next(
        ["galaxalign", "evaluate", *again, "--split", str(split or folder / "split.parquet"), "--part", "test"],
        ["galaxalign", "classify", *again, "--out", "predictions.parquet"],
    )


def fit_votes(run: Callable[..., Path], *, catalog: str, columns: Mapping[str, str] | None) -> None:
    folder = run()
    print(f"The model with a head for votes is in {folder}.")
    _try_next(["galaxalign", "classify", *_again(catalog, columns, folder), "--votes", "--out", "votes.parquet"])


def classify(run: Callable[..., pd.DataFrame | Path]) -> None:
    answer = run()
    if isinstance(answer, Path):
        console.print_counts(answer)
        print(f"The predictions are in {answer}.")
    else:
        console.print_predictions(answer)


def evaluate(run: Callable[..., dict[str, Any]]) -> None:
    console.print_metrics(run())


def embed(run: Callable[..., Path]) -> None:
    path = run()
    print(f"The embeddings are in {path}.")
    _try_next(
        ["galaxalign", "search", str(path), "--text", "a barred spiral galaxy"],
        ["galaxalign", "project", str(path), "--out", "map.parquet"],
    )


def index(run: Callable[..., Path | str]) -> None:
    path = run()
    print(f"The index is {path}.")
    _try_next(["galaxalign", "search", str(path), "--text", "a barred spiral galaxy"])


def search(run: Callable[..., Results], *, form: opt.Form = "table", out: opt.AnswersOut = None) -> None:
    if out is None:
        console.print_results(run(), form)
        return
    from galaxalign.data.tables import check_output

    check_output(out)
    results = run()
    console.write_results(results, Path(out))
    print(f"The {len(results)} galaxies are in {out}.")


def project(run: Callable[..., Path], *, figure: Path | None) -> None:
    path = run()
    print(f"The map is in {path}, its picture in {figure or path.with_suffix('.png')}.")


def symbols(run: Callable[..., Path]) -> None:
    print(f"The symbols are in {run()}.")


def simulate(run: Callable[..., Path]) -> None:
    print(f"The catalogue is {run()}.")


def split(run: Callable[..., Path], *, folds: int | None) -> None:
    from galaxalign.data.splits import read_split

    path = run()
    console.print_split(read_split(path))
    if folds is None:
        print(f"The split is in {path}.")
    else:
        print(f"These are the numbers of {path}; the other folds lie beside it, up to {path.stem[:-1]}{folds}.parquet.")


def audit(run: Callable[..., Audit], *, out: str | None) -> None:
    answer = run()
    console.print_audit(answer.counts(), answer.distances, answer.warnings())
    if out is not None:
        print(f"The findings are in {out}.")
    if answer.leaks:
        raise InputError(answer.verdict)
    print(answer.verdict)


def benchmark(run: Callable[..., Path], *, dry_run: bool, shard: str | None) -> None:
    path = run()
    if not dry_run:
        print(f"The {'cells are' if shard else 'report is'} in {path}.")


def serve(run: Callable[..., None]) -> None:
    run()


def demo(run: Callable[..., Path]) -> None:
    print(f"The report is {run()}: open it in a browser.")


def fetch(run: Callable[..., list[Path]], *, name: str, everything: bool, yes: bool, mirror: str | None) -> None:
    if not yes and asks_first():
        import typer

        from galaxalign.data.surveys import MUCH, find_survey, size_text

        survey = find_survey(name)
        total = sum(file.size for file in survey.wanted(everything) if file.url or mirror)
        yes = total > MUCH and typer.confirm(f"{survey.title} is about {size_text(total)}. Download it?", abort=True)
    paths = run(yes=yes)
    folder = str(paths[0].parent)
    print(f"The {len(paths)} files are in {folder}.")
    _try_next(["galaxalign", "data", "convert", name, "--from", folder, "--out", f"{name}-catalog"])


def asks_first() -> bool:
    """Whether somebody is there to answer."""
    return sys.stdin.isatty()


def convert(run: Callable[..., Path], *, name: str) -> None:
    from galaxalign.data.tables import open_table

    path = run()
    print(f"The catalogue is {path}.")
    if (path.parent / "split.parquet").is_file():
        print(f"Its own division into training and test galaxies is {path.parent / 'split.parquet'}.")
    if "file_loc" in open_table(path).names:
        _try_next(["galaxalign", "data", "prepare", str(path), "--out", f"{name}-store"])
    else:
        print("It has no pictures. To classify, embed or train give --from their folder or archive, too.")


def prepare(run: Callable[..., Path]) -> None:
    print(f"The store is {run()}: give it to train, classify, evaluate and embed in place of the catalogue.")


def _again(catalog: str, columns: Mapping[str, str] | None, model: Path) -> list[str]:
    """Return the arguments that name the same catalogue and the new model, for the next command."""
    renamed = ["--columns", ",".join(f"{new}={old}" for new, old in columns.items())] if columns else []
    return [catalog, *renamed, "--model", str(model)]


def _try_next(*commands: list[str]) -> None:
    print("Try next:")
    for command in commands:
        print(f"  {shlex.join(command)}")
