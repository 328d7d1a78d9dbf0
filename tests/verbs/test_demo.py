"""The demo goes the whole way, tells the truth about it, and continues where it was stopped."""

from __future__ import annotations

import base64
import importlib
import json
import re
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from galaxalign.data.splits.splits import read_split
from galaxalign.errors import InputError
from galaxalign.gallery.embeddings import Embeddings
from galaxalign.reports.run_report import RunFiles
from galaxalign.training.recipe import load_recipe

module = importlib.import_module("galaxalign.verbs.demo")  # galaxalign.verbs.demo itself is the verb

TINY = """
name = "tiny"
batch_size = 32
symbols_per_class = 1
symbol_variants = 2
[[stage]]
name = "first"
pairs = { image-text = 1.0, symbol-text = 1.0 }
symbol_tower = "shared"
epochs = 1
[[stage]]
name = "second"
pairs = { image-text = 1.0, image-symbol = 1.0, symbol-text = 1.0 }
epochs = 1
"""
STEPS = ["simulate", "split", "train", "evaluate", "search", "project"]


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "tiny.toml"
    path.write_text(TINY)
    return path


@pytest.fixture(scope="module", autouse=True)
def small_encoder(start: str) -> Iterator[None]:
    """Let the demo train a tower that takes seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_ENCODER", start)
        yield


@pytest.fixture(scope="module")
def run(recipe: Path, small_encoder: None, tmp_path_factory: pytest.TempPathFactory) -> RunFiles:
    """Return the folder of a demo of 100 galaxies and one epoch for each stage."""
    folder = tmp_path_factory.mktemp("place") / "demo"
    assert module.demo(out=folder, n=100, seed=1, quiet=True, _recipe=recipe) == folder / "report.html"
    return RunFiles(folder)


@pytest.mark.slow
def test_the_report_says_what_the_files_say(run: RunFiles) -> None:
    text = run.report.read_text(encoding="utf-8")
    metrics = json.loads(run.metrics.read_text())
    parts = read_split(run.split).table["part"].value_counts()
    assert metrics["n"] == parts["test"] == len(pd.read_csv(run.held_out))
    for key in ("accuracy", "macro_f1", "balanced_accuracy", "map", "map_at_5", "ece", "brier"):
        low, high = metrics[f"{key}_ci"]
        row = re.search(rf'data-metric="{key}">(.*?)</tr>', text, flags=re.DOTALL)
        assert row is not None
        assert f">{metrics[key]:.3f}<" in row[1]
        assert f">{low:.3f} to {high:.3f}<" in row[1]
    for section in ("survey", "symbols", "training", "metrics", "search", "map", "next"):
        assert f'<section id="{section}">' in text
    assert f"{parts['train']} galaxies to train on" in text
    assert "first: 1 epoch. Stage 2, second: 1 epoch." in text


@pytest.mark.slow
def test_every_figure_of_the_report_is_a_picture_of_something(run: RunFiles) -> None:
    codes = re.findall(r'src="data:image/png;base64,([^"]+)"', run.report.read_text(encoding="utf-8"))
    assert len(codes) == 7 + 6  # six queries: two classes by picture, words and symbol
    for code in codes:
        with Image.open(BytesIO(base64.b64decode(code))) as image:
            pixels = np.asarray(image.convert("L"))
        assert min(pixels.shape) > 150
        assert pixels.std() > 5


@pytest.mark.slow
def test_predictions_and_confusion_agree(run: RunFiles) -> None:
    predictions = pd.read_parquet(run.predictions).set_index("id_str")["label"]
    truth = pd.read_csv(run.held_out, dtype=str).set_index("id_str")["label"]
    metrics = json.loads(run.metrics.read_text())
    assert (predictions[truth.index] == truth).mean() == pytest.approx(metrics["accuracy"])
    assert np.trace(metrics["confusion"]) == (predictions[truth.index] == truth).sum()


@pytest.mark.slow
def test_searches_among_held_out_galaxies_and_never_for_one(run: RunFiles) -> None:
    table = read_split(run.split).table.set_index("id_str")["part"]
    gallery = Embeddings.read(run.embeddings)
    assert set(table[gallery.ids]) == {"test"}
    truth = pd.read_csv(run.catalog, dtype=str).set_index("id_str")["label"]
    searches = json.loads(run.searches.read_text())
    assert [query["kind"] for query in searches] == ["picture", "words", "symbol"] * 2
    assert len({query["class"] for query in searches}) == 2
    for query in searches:
        assert [answer["rank"] for answer in query["answers"]] == list(range(1, 11))
        scores = [answer["score"] for answer in query["answers"]]
        assert scores == sorted(scores, reverse=True)
        for answer in query["answers"]:
            assert table[answer["id_str"]] == "test"
            assert answer["label"] == truth[answer["id_str"]]
        if query["kind"] == "picture":
            asked = Path(query["query"]).stem
            assert table[asked] == "validation"
            assert truth[asked] == query["class"]


@pytest.mark.slow
def test_a_finished_demo_is_not_repeated(
    run: RunFiles, recipe: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def never(**given: object) -> None:
        raise AssertionError("this step was finished")

    for verb in ("simulate", "split", "train", "evaluate", "classify", "embed", "search", "project"):
        monkeypatch.setattr(module, verb, never)
    before = run.state.read_text()
    run.report.unlink()
    assert module.demo(out=run.folder, n=100, seed=1, _recipe=recipe).is_file()
    assert run.state.read_text() == before
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("done before") == len(STEPS)
    assert f"[{len(STEPS) + 1}/{len(STEPS) + 1}]" in said.err
    assert f"galaxalign search {run.embeddings}" in said.err


@pytest.mark.slow
def test_folder_of_something_else_or_of_another_demo_is_refused(run: RunFiles, recipe: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(InputError, match="holds files that are not of a demo; name a new or empty folder"):
        module.demo(out=tmp_path, quiet=True)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    with pytest.raises(InputError, match="is a file, not a folder"):
        module.demo(out=tmp_path / "thesis.tex", quiet=True)
    with pytest.raises(InputError, match=r"holds a demo with other settings \(n, seed\); name another"):
        module.demo(out=run.folder, n=120, seed=2, quiet=True, _recipe=recipe)
    with pytest.raises(InputError, match="99 galaxies are too few for the demo; simulate at least 100"):
        module.demo(out=tmp_path / "new", n=99, quiet=True)
    assert not (tmp_path / "new").exists()


def test_a_damaged_state_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "demo.json").write_text('{"settings": ')
    with pytest.raises(InputError, match=r"demo\.json is damaged .*; delete .* and start again"):
        module.demo(out=tmp_path, quiet=True)


@pytest.mark.parametrize("stop", range(len(STEPS)))
def test_a_demo_continues_with_the_step_that_was_interrupted(
    stop: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    acted: list[str] = []

    def steps(run: RunFiles, *given: object) -> list[object]:
        def act(name: str) -> Callable[[], None]:
            def leave() -> None:
                acted.append(name)
                if name == STEPS[stop] and acted.count(name) == 1:
                    raise KeyboardInterrupt
                (run.folder / name).touch()

            return leave

        return [module._Step(name, name, (run.folder / name,), act(name)) for name in STEPS]

    monkeypatch.setattr(module, "_steps", steps)
    monkeypatch.setattr(module.reports, "write_report", lambda folder: Path(folder) / "report.html")
    with pytest.raises(KeyboardInterrupt):
        module.demo(out=tmp_path / "demo", quiet=True)
    module.demo(out=tmp_path / "demo", quiet=True)
    assert acted == STEPS[: stop + 1] + STEPS[stop:]
    # the seconds of the step do not hold what it took before; the report has to know
    assert json.loads(RunFiles(tmp_path / "demo").state.read_text())["stopped"] == [STEPS[stop]]


def test_a_step_whose_file_was_deleted_is_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    acted: list[int] = []

    def steps(run: RunFiles, *given: object) -> list[object]:
        def act() -> None:
            acted.append(1)
            run.catalog.parent.mkdir(exist_ok=True)
            run.catalog.touch()

        return [module._Step("simulate", "simulate", (run.catalog,), act)]

    monkeypatch.setattr(module, "_steps", steps)
    monkeypatch.setattr(module.reports, "write_report", lambda folder: Path(folder) / "report.html")
    for _ in range(2):
        module.demo(out=tmp_path / "demo", quiet=True)
    assert len(acted) == 1
    RunFiles(tmp_path / "demo").catalog.unlink()
    module.demo(out=tmp_path / "demo", quiet=True)
    assert len(acted) == 2


def test_the_recipe_of_the_demo_has_both_stages_of_the_paper() -> None:
    first, second = load_recipe("demo").stages
    assert (first.symbol_tower, second.symbol_tower) == ("shared", "own")
    assert {"image-text", "symbol-text"} <= set(first.pairs)
    assert "image-symbol" not in first.pairs
    assert {"image-text", "image-symbol", "symbol-text"} <= set(second.pairs)
