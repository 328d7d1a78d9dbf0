"""The command line parses, hands over, prints, and ends politely."""

from __future__ import annotations

import csv
import inspect
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner, Result

import galaxalign
from galaxalign import cli
from galaxalign.data.tables import write_table
from galaxalign.errors import InputError
from galaxalign.gallery.embeddings import Embeddings
from galaxalign.gallery.query import Part, Query
from galaxalign.gallery.results import Result as Found, Results

VERBS = (
    "train",
    "transfer",
    "classify",
    "evaluate",
    "embed",
    "fit_votes",
    "index",
    "search",
    "project",
    "symbols",
    "simulate",
    "split",
    "audit",
    "demo",
)
NINETEEN_DIGITS = "1237648720693755918"

# What else the command line offers, beyond the arguments of the function of the same name.
ONLY_ON_THE_COMMAND_LINE = {"search": {"format", "out"}}


def run(*arguments: object) -> Result:
    """Run the command line in this process."""
    return CliRunner().invoke(cli.app, [str(argument) for argument in arguments])


def python(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a new interpreter."""
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, check=False, timeout=120, **options
    )


def complaint(result: Result) -> str:
    """Return the one sentence of a run whose input was at fault, after checking that it is nothing else."""
    assert result.exit_code == 1, (result.output, result.exception)
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1
    return result.stderr


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    """Return a catalogue of twelve small pictures of two classes, one id of 19 digits among them."""
    rng = np.random.default_rng(0)
    (tmp_path / "images").mkdir()
    rows = []
    for number in range(12):
        name = f"images/{number}.png"
        Image.fromarray(rng.integers(0, 255, (32, 32, 3), dtype=np.uint8)).save(tmp_path / name)
        identity = NINETEEN_DIGITS if number == 0 else f"g{number}"
        rows.append((identity, name, "elliptical" if number % 2 else "late_spiral"))
    path = tmp_path / "catalog.csv"
    pd.DataFrame(rows, columns=["id_str", "file_loc", "label"]).to_csv(path, index=False)
    return path


@pytest.fixture
def embeddings(tmp_path: Path) -> Path:
    """Return an embeddings file of five galaxies."""
    vectors = np.random.default_rng(1).normal(size=(5, 4)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    ids = [NINETEEN_DIGITS, "[bold]b", "c", "d", "e"]
    metadata = {"model": "", "fingerprint": "0", "taxonomy": "efigi"}
    return Embeddings(ids, vectors, ["ok"] * 5, metadata).write(tmp_path / "embeddings.parquet")


# Light


@pytest.mark.parametrize("arguments", [["--help"], ["search", "--help"], ["--version"]])
def test_help_and_version_import_nothing_heavy(arguments: list[str]) -> None:
    code = f"""
import sys
from galaxalign.cli import app
try:
    app({arguments!r}, prog_name="galaxalign")
except SystemExit as end:
    assert not end.code
heavy = {{"torch", "matplotlib", "pandas", "scipy", "pyarrow", "numpy", "PIL", "galsim"}} & set(sys.modules)
print("imported:", sorted(heavy))
"""
    done = python("-c", code)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "imported: []"


def test_package_imports_nothing_until_a_name_is_used() -> None:
    done = python("-c", "import sys, galaxalign; dir(galaxalign); print({'numpy', 'torch'} & set(sys.modules))")
    assert done.stdout.strip() == "set()"


def test_version() -> None:
    result = run("--version")
    assert (result.exit_code, result.stdout) == (0, f"galaxalign {galaxalign.__version__}\n")


# The public names


@pytest.mark.slow
def test_every_public_name_is_there() -> None:
    for name in galaxalign.__all__:
        assert getattr(galaxalign, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="attribute observe"):
        _ = galaxalign.observe


@pytest.mark.parametrize("verb", ["symbols", "simulate", "demo"])
def test_a_verb_stays_a_function_beside_its_module(verb: str) -> None:
    code = f"import galaxalign.verbs.{verb}, galaxalign; print(callable(galaxalign.{verb}))"
    assert python("-c", code).stdout.strip() == "True"


@pytest.mark.parametrize("verb", VERBS)
def test_command_and_function_have_same_arguments_and_defaults(verb: str) -> None:
    """Each verb is one keyword-only function of the same name and arguments."""
    function = {
        name.strip("_"): parameter.default
        for name, parameter in inspect.signature(getattr(galaxalign, verb)).parameters.items()
        if not name.startswith("_")  # for tests
    }
    group = typer.main.get_command(cli.app)
    command = {
        max(parameter.opts, key=len).lstrip("-").replace("-", "_"): parameter.default
        for parameter in group.commands[verb.replace("_", "-")].params  # type: ignore[attr-defined]
    }
    kinds = {p.kind for p in inspect.signature(getattr(galaxalign, verb)).parameters.values()}
    assert kinds == {inspect.Parameter.KEYWORD_ONLY}
    assert set(command) - ONLY_ON_THE_COMMAND_LINE.get(verb, set()) == set(function)
    for name, default in function.items():
        if default not in (inspect.Parameter.empty, ()):
            assert str(command[name]) == str(default), name


# What is handed over


def test_search_hands_over_every_part_of_the_query(monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {}
    monkeypatch.setattr(galaxalign, "search", lambda **arguments: given.update(arguments) or found())
    result = run(
        *(
            "search",
            "e.parquet",
            "--text",
            "a bar",
            "--text",
            "a ring",
            "--not",
            "a merger",
            "--image",
            "i.png",
        ),
        *(
            "--symbol",
            "spiral",
            "--id",
            NINETEEN_DIGITS,
            "-k",
            "7",
            "--where",
            "z < 1",
            "--floor",
            "0.5",
            "--no-collapse",
            "--model",
            "m",
            "--quiet",
        ),
    )
    assert result.exit_code == 0
    assert given == {
        "embeddings": "e.parquet",
        "text": ("a bar", "a ring"),
        "not_": ("a merger",),
        "image": ("i.png",),
        "symbol": ("spiral",),
        "id": (NINETEEN_DIGITS,),
        "query": None,
        "where": "z < 1",
        "cone": None,
        "moc": None,
        "floor": 0.5,
        "collapse": False,
        "label": None,
        "marks": None,
        "model": "m",
        "k": 7,
        "device": None,
        "quiet": True,
    }


def test_train_says_where_the_model_is_and_what_to_try_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(galaxalign, "train", lambda **arguments: arguments["out"])
    result = run("train", "galaxalign", "--catalog", "my galaxies.csv", "--taxonomy", "efigi", "--out", "run")
    assert result.exit_code == 0
    assert "The model is in run." in result.stdout
    assert "galaxalign evaluate 'my galaxies.csv' --model run --split run/split.parquet --part test" in result.stdout


# What is printed


def test_evaluate_prints_metrics_with_their_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("accuracy", "macro_f1", "balanced_accuracy", "ece", "brier", "map", "map_at_5")
    metrics: dict[str, Any] = {name: 0.5 for name in names} | {f"{name}_ci": [0.4, 0.6] for name in names}
    metrics |= {"n": 660, "n_failed": 2, "taxonomy": "efigi", "classifier": "both"}
    monkeypatch.setattr(galaxalign, "evaluate", lambda **arguments: metrics)
    result = run("evaluate", "catalog.csv", "--model", "m")
    assert result.exit_code == 0
    assert result.stdout.count("0.5000  0.4000 to 0.6000") == len(names)
    assert "660 galaxies" in result.stdout
    assert "2 more are left out" in result.stdout


def test_evaluate_leaves_out_metric_that_could_not_be_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    metrics: dict[str, Any] = {"map": None, "map_at_5": None, "n": 2, "n_failed": 0}
    for name in ("accuracy", "macro_f1", "balanced_accuracy", "ece", "brier"):
        metrics |= {name: 0.5, f"{name}_ci": [0.4, 0.6]}
    metrics |= {"taxonomy": "efigi", "classifier": "both"}
    monkeypatch.setattr(galaxalign, "evaluate", lambda **arguments: metrics)
    result = run("evaluate", "catalog.csv", "--model", "m")
    assert result.exit_code == 0
    assert "mAP" not in result.stdout


def test_classify_prints_csv_in_a_pipe_and_counts_beside_a_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    frame = pd.DataFrame(
        {
            "id_str": [NINETEEN_DIGITS, "b"],
            "label": ["merger", ""],
            "probability_merger": [0.9, np.nan],
            "status": ["ok", "truncated"],
        }
    )

    def classify(out: Path | None, **arguments: object) -> pd.DataFrame | Path:
        return frame if out is None else write_table(frame, out)

    monkeypatch.setattr(galaxalign, "classify", classify)
    piped = run("classify", "catalog.csv", "--model", "m")
    assert pd.read_csv(io.StringIO(piped.stdout), dtype={"id_str": str})["id_str"].tolist() == [
        NINETEEN_DIGITS,
        "b",
    ]
    filed = run("classify", "catalog.csv", "--model", "m", "--out", tmp_path / "p.csv")
    assert [line.split() for line in filed.stdout.splitlines()[1:3]] == [
        ["merger", "1"],
        ["(could", "not", "be", "read)", "1"],
    ]


@pytest.mark.parametrize("verb", ["train", "classify", "evaluate", "embed", "split"])
def test_columns_are_renamed_new_name_first(verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {}

    def heard(**arguments: Any) -> None:
        given.update(arguments)
        raise InputError("heard")

    monkeypatch.setattr(galaxalign, verb, heard)
    catalog = ["--catalog", "c.csv", "--taxonomy", "efigi"] if verb == "train" else ["c.csv"]
    model = [] if verb in ("train", "split") else ["--model", "m"]
    common = [verb, *catalog, *model, "--out", "o.parquet"]
    assert run(*common, "--columns", "id_str=objid, ra=RA").exit_code == 1
    assert given["columns"] == {"id_str": "objid", "ra": "RA"}
    assert run(*common).exit_code == 1
    assert given["columns"] is None
    for wrong in ("objid", "id_str=", "=objid", "ra=RA,ra=RA2"):
        assert run(*common, "--columns", wrong).exit_code == 2


def found(*entries: Found) -> Results:
    """Return what a search for one thing answers."""
    return Results(entries, Query(parts=[Part(kind="text", value="x")]))


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Results:
    """Make every search find two galaxies, the second with an id that looks like markup."""
    results = found(Found(1, NINETEEN_DIGITS, 0.98765432, (0.98765432,)), Found(2, "[bold]b", 0.5, (0.5,)))
    monkeypatch.setattr(galaxalign, "search", lambda **arguments: results)
    return results


def test_search_as_json(answers: Results) -> None:
    printed = json.loads(run("search", "e.parquet", "--text", "x", "--format", "json").stdout)
    assert printed == [
        {"rank": 1, "id_str": NINETEEN_DIGITS, "score": 0.987654},
        {"rank": 2, "id_str": "[bold]b", "score": 0.5},
    ]


def test_search_as_csv(answers: Results) -> None:
    text = run("search", "e.parquet", "--text", "x", "--format", "csv").stdout
    assert list(csv.reader(io.StringIO(text))) == [
        ["rank", "id_str", "score"],
        ["1", NINETEEN_DIGITS, "0.987654"],
        ["2", "[bold]b", "0.5"],
    ]


def test_search_as_plain_columns_in_a_pipe(answers: Results) -> None:
    lines = run("search", "e.parquet", "--text", "x").stdout.splitlines()
    assert [line.split() for line in lines] == [
        ["rank", "id_str", "score"],
        ["1", NINETEEN_DIGITS, "0.9877"],
        ["2", "[bold]b", "0.5000"],
    ]
    assert "\x1b" not in "".join(lines)


def test_search_as_a_table_on_a_terminal_shows_ids_whole(
    answers: Results, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from galaxalign.cli.console import print_results

    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    print_results(answers, "table")
    shown = capsys.readouterr().out
    assert "│" in shown or "┃" in shown
    assert NINETEEN_DIGITS in shown
    assert "[bold]b" in shown


def test_search_into_a_table_file(answers: Results, tmp_path: Path) -> None:
    out = tmp_path / "found.csv"
    result = run("search", "e.parquet", "--text", "x", "--out", out)
    assert result.exit_code == 0
    table = pd.read_csv(out, dtype={"id_str": str})
    assert list(table.columns) == ["rank", "id_str", "score"]
    assert table["id_str"].tolist() == [NINETEEN_DIGITS, "[bold]b"]


def test_a_search_that_finds_nothing_prints_only_the_header(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(galaxalign, "search", lambda **arguments: found())
    assert run("search", "e.parquet", "--id", "a").stdout == "rank  id_str  score\n"
    assert run("search", "e.parquet", "--id", "a", "--format", "json").stdout == "[]\n"


def test_search_by_id_needs_no_model(embeddings: Path) -> None:
    result = run("search", embeddings, "--id", NINETEEN_DIGITS, "--format", "csv", "-k", "3")
    assert result.exit_code == 0, result.output
    rows = list(csv.reader(io.StringIO(result.stdout)))
    assert len(rows) == 4
    assert NINETEEN_DIGITS not in [row[1] for row in rows]


# Endings: 1 where the input is at fault


def test_an_error_that_spans_lines_becomes_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**arguments: object) -> None:
        raise InputError("the file is cut short:\n  no more bytes")

    monkeypatch.setattr(galaxalign, "search", fail)
    assert complaint(run("search", "e.parquet", "--id", "a")) == ("Error: the file is cut short: no more bytes\n")


def test_unknown_taxonomy_names_the_known_ones(tmp_path: Path, catalog: Path) -> None:
    said = complaint(run("symbols", "efigy", "--out", tmp_path / "sheet.png"))
    assert "efigy" in said
    assert "galaxy10_decals" in said
    trained = run("train", "--catalog", catalog, "--taxonomy", "efigy", "--out", tmp_path / "run")
    assert "galaxy10_decals" in complaint(trained)


def test_unknown_recipe_names_the_known_ones(tmp_path: Path, catalog: Path) -> None:
    result = run("train", "galaxalin", "--catalog", catalog, "--taxonomy", "efigi", "--out", tmp_path / "run")
    said = complaint(result)
    assert "galaxalin" in said
    assert "image-text" in said


@pytest.mark.slow
def test_unknown_encoder_names_the_known_ones(tmp_path: Path, catalog: Path) -> None:
    result = run(
        *("train", "--catalog", catalog, "--taxonomy", "efigi", "--encoder", "light"),
        *("--out", tmp_path / "run", "--quiet"),
    )
    said = complaint(result)
    assert "light" in said
    assert "lite" in said


@pytest.mark.parametrize("verb", ["classify", "evaluate", "embed"])
def test_unknown_model_says_what_a_model_is(verb: str, tmp_path: Path, catalog: Path) -> None:
    out = tmp_path / "out.parquet"
    said = complaint(run(verb, catalog, "--model", tmp_path / "no-such-model", "--out", out))
    assert "no-such-model" in said
    assert "galaxalign train" in said
    assert not out.exists()


def test_missing_catalogue(tmp_path: Path) -> None:
    said = complaint(run("split", tmp_path / "nowhere.csv", "--out", tmp_path / "split.parquet"))
    assert "nowhere.csv" in said


def test_split_needs_no_ids_for_one_table_but_for_two(tmp_path: Path) -> None:
    for name in ("north", "south"):
        frame = pd.DataFrame({"ra": np.arange(30.0), "dec": np.arange(30.0)})
        frame.to_csv(tmp_path / f"{name}.csv", index=False)
    one = run("split", tmp_path / "north.csv", "--out", tmp_path / "one.parquet")
    assert one.exit_code == 0, one.output
    assert one.stdout.splitlines()[1].split() == ["north", "21", "3", "6"]
    said = complaint(run("split", tmp_path / "north.csv", tmp_path / "south.csv", "--out", tmp_path / "two.parquet"))
    assert "id_str" in said


def test_unwritable_output_is_found_before_the_work(
    monkeypatch: pytest.MonkeyPatch, embeddings: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    for out in (tmp_path / "file" / "found.csv", tmp_path / "found.xyz"):
        said = complaint(run("search", embeddings, "--id", "c", "--out", out))
        assert str(out) in said


def test_empty_query(embeddings: Path) -> None:
    assert "--text" in complaint(run("search", embeddings))


# Endings: 2 where the usage is wrong


@pytest.mark.parametrize(
    "arguments",
    [
        ["fly"],
        ["search", "e.parquet", "--colour", "red"],
        ["search", "e.parquet", "--format", "xml"],
        ["search"],
        ["train", "--taxonomy", "efigi", "--out", "run"],
        ["classify"],
        ["simulate", "--n", "many", "--out", "folder"],
    ],
)
def test_wrong_usage(arguments: list[str]) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "Usage: " in result.stderr


# Endings: a signal, a closed pipe


def test_interrupted_training_says_how_to_continue(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(**arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(galaxalign, "train", stop)
    monkeypatch.setattr(galaxalign, "embed", stop)
    trained = run("train", "--catalog", "c", "--taxonomy", "efigi", "--out", "run")
    assert trained.exit_code == 130
    assert "rerun the same command to resume" in trained.stderr
    embedded = run("embed", "c", "--model", "m", "--out", "e.parquet")
    assert embedded.exit_code == 130
    assert "Interrupted." in embedded.stderr
    assert "continues" not in embedded.stderr


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_control_c_ends_the_process_with_130_and_no_traceback() -> None:
    # A shell that starts the tests in the background has them ignore the signal, and they what they start.
    code = """
import signal, time
import galaxalign
from galaxalign import cli

signal.signal(signal.SIGINT, signal.default_int_handler)

def train(**arguments):
    print("started", flush=True)
    time.sleep(60)

galaxalign.train = train
cli.app(["train", "--catalog", "c", "--taxonomy", "efigi", "--out", "run"], prog_name="galaxalign")
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in said
    assert "rerun the same command" in said


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="pipes of POSIX")
def test_a_closed_pipe_is_no_error() -> None:
    code = """
import galaxalign
from galaxalign import cli
from galaxalign.gallery.query import Part, Query
from galaxalign.gallery.results import Result, Results

query = Query(parts=[Part(kind="text", value="x")])
entries = tuple(Result(n, str(n), 0.5, (0.5,)) for n in range(1, 200_000))
galaxalign.search = lambda **arguments: Results(entries, query)
cli.app(["search", "e.parquet", "--id", "a"], prog_name="galaxalign")
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().split() == ["rank", "id_str", "score"]
        process.stdout.close()
        said = process.stderr.read()
        process.wait(timeout=30)
    assert (process.returncode, said) == (0, "")


def test_python_dash_m_is_the_same_program() -> None:
    done = python("-m", "galaxalign", "--version")
    assert done.stdout == f"galaxalign {galaxalign.__version__}\n"
