"""The report is one file that asks nobody for anything, and what it says stands in the files of the run."""

from __future__ import annotations

import base64
import json
import re
import shlex
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner

import galaxalign
from galaxalign import cli
from galaxalign.data.catalogs import read_catalog
from galaxalign.data.splits import make_split
from galaxalign.data.tables import write_table
from galaxalign.errors import InputError
from galaxalign.evaluation.metrics import evaluate_predictions
from galaxalign.morphology.taxonomy import load_taxonomy
from galaxalign.reports.html import Picture
from galaxalign.reports.run_report import RunFiles, next_steps, write_report

TAXONOMY = load_taxonomy("galaxy_mnist")
NAMES = TAXONOMY.class_names
PER_CLASS = 20


class Page(HTMLParser):
    """What a reader of the page meets: its ids, links, figures, tables and words."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.images: list[dict[str, str]] = []
        self.rows: list[list[str]] = []
        self.tags: list[str] = []
        self.words = ""
        self._cell: list[str] | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.tags.append(tag)
        if "id" in found:
            self.ids.append(found["id"])
        if "href" in found:
            self.links.append(found["href"])
        if tag == "img":
            self.images.append(found)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self._cell = self.rows[-1]

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self._cell = None

    def handle_data(self, data: str) -> None:
        self.words += data
        if self._cell is not None:
            self._cell[-1] += data


def decoded(uri: str) -> Image.Image:
    head, _, code = uri.partition(",")
    assert head == "data:image/png;base64"
    image = Image.open(BytesIO(base64.b64decode(code, validate=True)))
    image.load()
    return image


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFiles:
    """Return the folder of a run whose classifier is a die that likes the truth."""
    files = RunFiles(tmp_path_factory.mktemp("run"))
    rng = np.random.default_rng(3)
    (files.survey / "images").mkdir(parents=True)
    rows = []
    for number in range(PER_CLASS * len(NAMES)):
        name = f"g{number}"
        pixels = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(files.survey / "images" / f"{name}.png")
        rows.append((name, f"images/{name}.png", NAMES[number % len(NAMES)]))
    write_table(pd.DataFrame(rows, columns=["id_str", "file_loc", "label"]), files.catalog)
    catalog = read_catalog(files.catalog)
    split = make_split(catalog, fractions=(0.5, 0.2, 0.3))
    split.write(files.split)
    chosen = catalog.select(split.part(catalog, "test")).table.copy()
    chosen["file_loc"] = "survey/" + chosen["file_loc"]
    write_table(chosen, files.held_out)
    held_out = read_catalog(files.held_out)
    truth = TAXONOMY.encode(held_out.table["label"])
    logits = rng.normal(size=(len(truth), len(NAMES))) + 2 * np.eye(len(NAMES))[truth]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    predictions = pd.DataFrame({"id_str": held_out.ids})
    for column, name in enumerate(NAMES):
        predictions[f"probability_{name}"] = probabilities[:, column]
    write_table(predictions.assign(status="ok"), files.predictions)
    metrics = evaluate_predictions(
        truth,
        probabilities,
        NAMES,
        vectors=logits / np.linalg.norm(logits, axis=1, keepdims=True),
        n_bootstrap=50,
    )
    metrics |= {"taxonomy": TAXONOMY.name, "classifier": "both", "fingerprint": "0123456789abcdef"}
    files.metrics.write_text(json.dumps(metrics))
    places = pd.DataFrame({"id_str": held_out.ids, "x": logits[:, 0], "y": logits[:, 1]})
    write_table(places, files.components)
    files.figures.mkdir()
    for figure in ("map.png", "components.png"):
        Image.new("RGB", (60, 40)).save(files.figures / figure)
    epochs = pd.DataFrame({"stage": ["warm-up", "tri-modal", "tri-modal"], "epoch": [1, 2, 3]})
    for name in ("loss_image-text", "accuracy", "macro_f1", "map"):
        epochs[name] = rng.random(3)
    files.model.mkdir()
    write_table(epochs, files.model / "metrics.csv")
    model: dict[str, Any] = {
        "best_epoch": 2,
        "recipe": {"stages": [{"name": "warm-up", "epochs": 1}, {"name": "tri-modal", "epochs": 2}]},
        "data": {"encoder": "lite"},
        "classifier": {
            "validation": {
                "prompts": {"accuracy": 0.625, "macro_f1": 0.5, "log_loss": 0.912, "settings": {}},
                "symbols": {"skipped": "no symbol embeddings"},
            }
        },
    }
    (files.model / "galaxalign.json").write_text(json.dumps(model))
    wanted, found = NAMES[1], held_out.ids[:5]
    labels = held_out.texts("label")[:5]
    answers = [
        {"rank": k + 1, "id_str": identity, "score": 0.5, "label": label}
        for k, (identity, label) in enumerate(zip(found, labels, strict=True))
    ]
    queries = (("picture", "survey/images/g1.png"), ("words", "a <smooth> galaxy"), ("symbol", wanted))
    searches = [{"kind": kind, "query": query, "class": wanted, "answers": answers} for kind, query in queries]
    files.searches.write_text(json.dumps(searches))
    state = {
        "settings": {"taxonomy": TAXONOMY.name, "seed": 0},
        "seconds": {"simulate": 30.2, "train": 95.1},
        "stopped": [],
    }
    files.state.write_text(json.dumps(state))
    return files


@pytest.fixture(scope="module")
def page(run: RunFiles) -> Page:
    return Page(write_report(run.folder).read_text(encoding="utf-8"))


def test_every_section_is_there_and_can_be_reached(page: Page) -> None:
    sections = ["survey", "symbols", "training", "metrics", "search", "map", "next"]
    assert [name for name in page.ids if name in sections] == sections
    assert page.links == [f"#{name}" for name in sections]


def test_the_page_asks_nobody_for_anything(run: RunFiles, page: Page) -> None:
    text = run.report.read_text(encoding="utf-8")
    assert not {"script", "link", "iframe", "object", "video"} & set(page.tags)
    assert all(image["src"].startswith("data:image/png;base64,") for image in page.images)
    assert "//" not in re.sub(r"base64,[A-Za-z0-9+/=]+", "", text)
    assert "@import" not in text
    assert "url(" not in text


def test_every_figure_can_be_decoded_and_is_described(run: RunFiles, page: Page) -> None:
    names = ["contact", "symbols", "curves", "confusion", "reliability"]
    names += ["search_1_picture", "search_2_words", "search_3_symbol", "map", "grid"]
    assert len(page.images) == len(names)
    for image, name in zip(page.images, names, strict=True):
        shown = decoded(image["src"])
        assert shown.size == (int(image["width"]), int(image["height"]))
        assert len(image["alt"]) > 20
        with Image.open(run.figures / f"{name}.png") as kept:
            np.testing.assert_allclose(kept.width / kept.height, shown.width / shown.height, rtol=0.01)


def test_the_numbers_are_those_of_the_metrics(run: RunFiles, page: Page) -> None:
    metrics = json.loads(run.metrics.read_text())
    text = run.report.read_text(encoding="utf-8")
    keys = ("accuracy", "macro_f1", "balanced_accuracy", "map", "map_at_5", "ece", "brier")
    assert re.findall(r'data-metric="(\w+)"', text) == list(keys)
    for key in keys:
        row = re.search(rf'data-metric="{key}">(.*?)</tr>', text, flags=re.DOTALL)
        low, high = metrics[f"{key}_ci"]
        assert row is not None
        assert re.findall(r'<td class="n">(.*?)</td>', row[1]) == [
            f"{metrics[key]:.3f}",
            f"{low:.3f} to {high:.3f}",
        ]
    for galaxy_class in TAXONOMY.classes:
        found = metrics["per_class"][galaxy_class.name]
        numbers = [f"{found[name]:.3f}" for name in ("precision", "recall", "f1")]
        assert [galaxy_class.title, *numbers, str(found["support"])] in page.rows


def test_it_says_how_many_galaxies_and_how_long(page: Page) -> None:
    words = " ".join(page.words.split())
    assert f"{PER_CLASS * 4} simulated galaxies" in words
    assert "40 galaxies to train on, 16 to choose" in words
    assert "24 held out" in words
    assert "2 min 05 s" in words
    assert "Epoch 2 of 3" in words


def test_the_searches_are_counted(run: RunFiles, page: Page) -> None:
    queries = json.loads(run.searches.read_text())
    right = sum(answer["label"] == queries[0]["class"] for answer in queries[0]["answers"])
    words = " ".join(page.words.split())
    for kind in ("picture", "words", "symbol"):
        expected = f"By {kind}: {right} of the first 5 answers are of the class; chance gives 1.2. The gallery has 6."
        assert expected in words


def test_classifiers_that_could_not_be_made_are_said_to_be_so(page: Page) -> None:
    assert ["comparison with the words for each class", "0.912", "0.625", "0.500"] in page.rows
    assert ["comparison with the symbols of each class", "not possible here"] in page.rows


def test_what_to_try_next_can_be_typed(run: RunFiles, page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    def understood(**given: object) -> None:
        raise InputError("understood")

    monkeypatch.chdir(run.folder)
    commands = next_steps(run.folder)
    assert len(commands) >= 4
    for _, command in commands:
        assert command in page.words
        program, verb, *arguments = shlex.split(command)
        assert program == "galaxalign"
        monkeypatch.setattr(galaxalign, verb, understood)
        result = CliRunner().invoke(cli.app, [verb, *arguments])
        assert (result.exit_code, result.stderr) == (1, "Error: understood\n"), result.output


def test_a_metric_that_does_not_exist_is_left_out(run: RunFiles, page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "mAP@5" in page.words
    # the figures are there already and take seconds
    monkeypatch.setattr("galaxalign.reports.run_report._draw", lambda *given: None)
    kept = run.metrics.read_text()
    metrics = json.loads(kept) | {"map": None, "map_at_5": None}
    del metrics["map_ci"], metrics["map_at_5_ci"]
    try:
        run.metrics.write_text(json.dumps(metrics))
        without = Page(write_report(run.folder).read_text(encoding="utf-8"))
    finally:
        run.metrics.write_text(kept)
    assert "Macro F1" in without.words
    assert "mAP@5" not in without.words


def test_a_missing_or_damaged_file_is_one_sentence(run: RunFiles) -> None:
    kept = run.searches.read_text()
    try:
        run.searches.write_text(kept[:-5])
        with pytest.raises(InputError, match=r"searches\.json is damaged .* run galaxalign demo again"):
            write_report(run.folder)
        run.searches.unlink()
        with pytest.raises(InputError, match=r"there is no .*searches\.json; run galaxalign demo again"):
            write_report(run.folder)
    finally:
        run.searches.write_text(kept)


def test_wide_figure_is_made_narrower_and_a_narrow_one_is_kept(tmp_path: Path) -> None:
    Image.new("RGB", (3000, 1500), (10, 20, 30)).save(tmp_path / "wide.png")
    Image.new("RGB", (300, 150), (10, 20, 30)).save(tmp_path / "narrow.png")
    wide, narrow = Picture.read(tmp_path / "wide.png"), Picture.read(tmp_path / "narrow.png")
    assert (wide.width, wide.height) == (1400, 700)
    assert (narrow.width, narrow.height) == (300, 150)
    assert decoded(narrow.uri).getpixel((5, 5)) == (10, 20, 30)
