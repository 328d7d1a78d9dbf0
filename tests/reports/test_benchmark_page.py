"""The report of a benchmark says what the cells hold, whose figures are whose, and what is not to be trusted."""

from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from galaxalign.bench.config import Benchmark, Cell
from galaxalign.bench.drawings import Drawings
from galaxalign.bench.published import read_published
from galaxalign.bench.results import cell_folder, write_result
from galaxalign.bench.tables import Column, Row, Table, to_latex, to_markdown
from galaxalign.bench.verdicts import chance_test
from galaxalign.errors import InputError
from galaxalign.evaluation.metrics import bootstrap_intervals, bootstrap_mean, classification_metrics, paired_difference
from galaxalign.evaluation.retrieval import retrieval_scores
from galaxalign.reports import write_benchmark_report

CLASSES = {
    "shapes": ["round", "edge_on", "spiral"],
    "galaxy_mnist": ["smooth_round", "smooth_cigar", "edge_on", "spiral"],
}
SKILL = {"zero-shot": 0.3, "frozen": 0.7, "supervised": 1.1, "galaxalign": 1.25}
GALAXIES = 90


def configuration(catalogs: Path, **changes: Any) -> Benchmark:
    """Return a benchmark of 2 data sets, 2 encoders, 4 trainings, 2 seeds, 3 shares, and leaks."""
    tables: dict[str, Any] = {
        "name": "fake",
        "title": "A benchmark of nothing real",
        "bootstrap": 60,
        "dataset": [
            {
                "name": "shapes",
                "title": "Shapes & forms_1",
                "catalog": str(catalogs / "shapes.csv"),
                "taxonomy": "efigi",
                "cuts": ["magnitude"],
            },
            {
                "name": "galaxy_mnist",
                "title": "GalaxyMNIST",
                "catalog": str(catalogs / "none.csv"),
                "taxonomy": "galaxy_mnist",
            },
        ],
        "encoder": [
            {"name": "clip-vit", "title": "ViT-B/16", "load": "a", "weights": "CLIP, 100 % open"},
            {"name": "small", "title": "Small", "load": "b", "weights": "ImageNet"},
        ],
        "row": [
            {
                "encoder": "clip-vit",
                "training": "galaxalign",
                "title": "GalaxAlign, ViT",
                "published": ["GalaxAlign (ViT-16)"],
            },
            {"encoder": "clip-vit", "training": "zero-shot", "title": "CLIP-GMC, zero-shot", "published": ["CLIP-GMC"]},
            {"encoder": "small", "training": "galaxalign", "title": "Captions, small", "published": ["CLIP-GMC"]},
        ],
        "run": [
            {"encoders": ["clip-vit", "small"], "trainings": list(SKILL), "seeds": [0, 1], "shares": [1, 10, 100]},
            {
                "datasets": ["shapes"],
                "encoders": ["clip-vit"],
                "trainings": ["supervised", "galaxalign"],
                "seeds": [0, 1],
                "protocols": ["random-split", "symbol-given"],
            },
        ],
    }
    return Benchmark.model_validate(tables | changes)


def answers(cell: Cell) -> tuple[pd.DataFrame, np.ndarray]:
    """Return predictions and vectors of a cell, from the name of the cell alone."""
    names = CLASSES[cell.dataset]
    fixed = np.random.default_rng(len(names))
    labels = fixed.integers(0, len(names), GALAXIES)
    hard = fixed.normal(0, 1, (GALAXIES, len(names)))
    rng = np.random.default_rng([ord(letter) for letter in cell.name])
    skill = SKILL[cell.training] * (0.6 + 0.2 * np.log10(cell.share)) + (cell.protocol != "clean")
    logits = 2 * (0 if cell.shuffled else skill) * np.eye(len(names))[labels] + hard + rng.normal(0, 0.5, hard.shape)
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    vectors = np.concatenate([logits, rng.normal(0, 1, (GALAXIES, 6))], axis=1)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    found = retrieval_scores(vectors, labels)
    table = pd.DataFrame(
        {"id_str": [f"g{k}" for k in range(GALAXIES)], "group": [f"sky{k // 2}" for k in range(GALAXIES)]}
    )
    table["label"] = labels
    for k, name in enumerate(names):
        table[f"probability_{name}"] = probabilities[:, k].astype(np.float32)
    table["average_precision"] = found.average_precision.astype(np.float32)
    table["average_precision_at_5"] = found.average_precision_at_5.astype(np.float32)
    return table, vectors


def write_cell(out: Path, cell: Cell, *, seconds: float = 100.0, commit: str = "abc", failing: str = "") -> None:
    """Write a finished cell."""
    table, vectors = answers(cell)
    names = CLASSES[cell.dataset]
    scores = table[[f"probability_{name}" for name in names]].to_numpy(np.float64)
    metrics = classification_metrics(table["label"].to_numpy(), scores, names)
    short = {name: metrics[name] for name in ("accuracy", "macro_f1", "balanced_accuracy")}
    gates = {name: {"passed": True, "detail": "none found"} for name in ("leaks", "sealed", "selection")}
    if failing:
        gates[failing] = {"passed": False, "detail": "7 galaxies of 50% of the <test> part"}
    if cell.protocol != "clean":
        gates["sealed"] = {"passed": False, "detail": f"leaked on purpose: {cell.protocol}"}
    about = cell.model_dump() | {
        "name": cell.name,
        "digest": "0" * 16,
        "classes": names,
        "n_train": int(cell.share * 20) if cell.training != "zero-shot" else 0,
        "n_validation": 50,
        "n_failed": 0,
        "classifier": "prompts" if cell.training == "zero-shot" else "linear",
        "test": metrics | {"n": len(table)},
        "by_classifier": {"prompts": short, "linear": short},
        "validation": {} if cell.training == "zero-shot" else {"accuracy": 0.8, "macro_f1": SKILL[cell.training] / 2},
        "gates": gates,
        "cost": {
            "seconds_training": seconds,
            "seconds_encoding": seconds / 10,
            "images_per_second": 1e4 / seconds,
            "parameters": 12_345_678,
            "parameters_trained": 0 if cell.training in ("zero-shot", "frozen") else 12_000_000,
            "joules": None,
            "energy_source": "no counter",
            "device": "cpu",
            "threads": 2,
        },
        "provenance": {"python": "3.11", "packages": {"torch": "2.9"}, "git_commit": commit},
    }
    write_result(cell_folder(out, cell), about, table, vectors)


def write_catalog(folder: Path) -> Path:
    """Write the pictures of the test galaxies of "shapes"; the catalogue of the other data set is lost."""
    rng = np.random.default_rng(0)
    (folder / "images").mkdir(parents=True)
    for k in range(GALAXIES):
        pixels = rng.integers(0, 255, (24, 24, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((48, 48)).save(folder / "images" / f"g{k}.png")
    rows = pd.DataFrame({"id_str": [f"g{k}" for k in range(GALAXIES)]})
    rows["file_loc"] = [f"images/g{k}.png" for k in range(GALAXIES)]
    rows["magnitude"] = rng.normal(18, 1, GALAXIES)
    rows[::-1].to_csv(folder / "shapes.csv", index=False)  # not in the order of the predictions
    return folder


@pytest.fixture(scope="module")
def catalogs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_catalog(tmp_path_factory.mktemp("catalogs"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, catalogs: Path) -> tuple[Path, Benchmark]:
    """A finished benchmark and its report."""
    out, benchmark = tmp_path_factory.mktemp("whole"), configuration(catalogs)
    for cell in benchmark.cells():
        write_cell(out, cell)
    (out / "conclusions.md").write_text("# What it says\n\nGalaxies are <b>round</b>.\n\n- one\n  and more\n- two\n")
    write_benchmark_report(out, benchmark)
    return out, benchmark


@pytest.fixture
def part(tmp_path: Path, catalogs: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Benchmark]:
    """A small benchmark without cells yet, whose report has no figures, which take seconds."""
    monkeypatch.setattr("galaxalign.bench.report.draw_figures", lambda study: Drawings())
    benchmark = configuration(
        catalogs,
        run=[
            {"datasets": ["shapes"], "encoders": ["small"], "trainings": ["supervised", "galaxalign"], "seeds": [0, 1]}
        ],
    )
    return tmp_path / "part", benchmark


def rows(out: Path, name: str) -> list[dict[str, str]]:
    with (out / "tables" / f"{name}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def row(out: Path, name: str, **wanted: str) -> dict[str, str]:
    """Return the one row with these values."""
    found = [r for r in rows(out, name) if all(r[key] == value for key, value in wanted.items())]
    assert len(found) == 1, (name, wanted, len(found))
    return found[0]


def cell_of(
    training: str, encoder: str = "clip-vit", seed: int = 0, share: float = 100, dataset: str = "shapes"
) -> Cell:
    return Cell(dataset=dataset, encoder=encoder, training=training, share=share, seed=seed)


def pooled(cells: list[Cell]) -> tuple[pd.DataFrame, np.ndarray]:
    table = pd.concat([answers(cell)[0] for cell in cells], ignore_index=True)
    names = [f"probability_{name}" for name in CLASSES[cells[0].dataset]]
    return table, table[names].to_numpy(np.float64)


def test_figures_are_the_means_of_the_seeds(whole: tuple[Path, Benchmark]) -> None:
    cells = [cell_of("supervised", seed=seed) for seed in (0, 1)]
    each = []
    for cell in cells:
        table, scores = pooled([cell])
        each.append(classification_metrics(table["label"].to_numpy(), scores, CLASSES["shapes"]))
    found = row(whole[0], "classification", method="ViT-B/16, supervised")
    assert found["shapes_seeds"] == "2"
    for metric in ("accuracy", "macro_f1"):
        values = np.array([one[metric] for one in each])
        assert float(found[f"shapes_{metric}"]) == pytest.approx(values.mean(), abs=1e-6)
        assert float(found[f"shapes_{metric}_sd"]) == pytest.approx(values.std(ddof=1), abs=1e-6)
    found = row(whole[0], "classes_shapes", method="ViT-B/16, supervised")
    assert float(found["f1_spiral"]) == pytest.approx(np.mean([e["per_class"]["spiral"]["f1"] for e in each]), abs=1e-6)
    found = row(whole[0], "calibration_shapes", method="ViT-B/16, supervised")
    assert float(found["ece"]) == pytest.approx(np.mean([e["ece"] for e in each]), abs=1e-6)


def test_an_interval_draws_a_galaxy_with_all_its_predictions(whole: tuple[Path, Benchmark]) -> None:
    """For accuracy and mAP the mean over the seeds is that of the pooled rows, whose intervals are known."""
    table, scores = pooled([cell_of("supervised", seed=seed) for seed in (0, 1)])
    groups = table["group"].to_numpy()
    low, high = bootstrap_intervals(table["label"].to_numpy(), scores, groups=groups, n=60)["accuracy"]
    found = row(whole[0], "classification", method="ViT-B/16, supervised")
    assert float(found["shapes_accuracy_low"]) == pytest.approx(low, abs=1e-6)
    assert float(found["shapes_accuracy_high"]) == pytest.approx(high, abs=1e-6)
    found = row(whole[0], "retrieval", method="ViT-B/16, supervised")
    for metric, column in (("map", "average_precision"), ("map_at_5", "average_precision_at_5")):
        values = table[column].to_numpy(np.float64)
        low, high = bootstrap_mean(values, groups=groups, n=60)
        assert float(found[f"shapes_{metric}"]) == pytest.approx(values.mean(), abs=1e-6)
        assert float(found[f"shapes_{metric}_low"]) == pytest.approx(low, abs=1e-6)
        assert float(found[f"shapes_{metric}_high"]) == pytest.approx(high, abs=1e-6)


def test_differences_are_paired(whole: tuple[Path, Benchmark]) -> None:
    one, ours = pooled([cell_of("galaxalign", seed=seed) for seed in (0, 1)])
    _, base = pooled([cell_of("supervised", seed=seed) for seed in (0, 1)])
    wanted = paired_difference(
        "accuracy", ours, base, y_true=one["label"].to_numpy(), groups=one["group"].to_numpy(), n=60
    )
    found = row(whole[0], "differences_shapes", method="GalaxAlign, ViT", share="100.000000")
    assert found["base"] == "ViT-B/16, supervised"
    assert found["seeds"] == "2"
    told = [float(found[key]) for key in ("accuracy", "accuracy_low", "accuracy_high")]
    assert told == pytest.approx(wanted, abs=1e-6)
    f1 = [
        float(row(whole[0], "classification", method=m)["shapes_macro_f1"]) for m in ("GalaxAlign, ViT", found["base"])
    ]
    assert float(found["macro_f1"]) == pytest.approx(f1[0] - f1[1], abs=2e-6)


def test_published_figures_stand_in_row_and_columns_belong_to(whole: tuple[Path, Benchmark]) -> None:
    found = row(whole[0], "classification", method="GalaxAlign, ViT")
    assert found["published"] == "GalaxAlign (ViT-16)"
    assert found["published_galaxy10_decals_accuracy"] == "0.973200"
    assert found["published_galaxy_mnist_macro_f1"] == "0.927600"
    assert found["published_galaxy_mnist_macro_f1_spread"] == "0.000400"
    assert found["galaxy_mnist_macro_f1"] not in ("", "0.927600")
    found = row(whole[0], "retrieval", method="GalaxAlign, ViT")
    assert found["published_galaxy_mnist_map"] == "0.886500"
    alone = row(whole[0], "classification", method="MSN")
    assert alone["shapes_accuracy"] == alone["galaxy_mnist_accuracy"] == ""
    assert alone["published_galaxy_mnist_accuracy"] == "0.827500"
    assert "this benchmark has no comparable row" in alone["notes"]


def test_every_published_figure_stands_under_its_own_name(whole: tuple[Path, Benchmark]) -> None:
    said = [
        (name, found["method"], found.get("published", ""), key.removeprefix("published_"), float(value))
        for name in ("classification", "retrieval", "ablations", "transfer", "elsewhere")
        for found in rows(whole[0], name)
        for key, value in found.items()
        if key.startswith("published_") and not key.endswith("_spread") and value
    ]
    for figure in read_published().itertuples():
        column = f"{figure.dataset}_{figure.metric}"
        assert any(figure.method in one[1:3] and one[3:] == (column, figure.value) for one in said), figure


def test_few_labels_stand_beside_those_of_the_same_share(whole: tuple[Path, Benchmark]) -> None:
    zero = row(whole[0], "transfer", method="CLIP-GMC, zero-shot")
    assert (zero["share"], zero["published_galaxy_mnist_macro_f1"]) == ("0.000000", "0.647400")
    one = row(whole[0], "transfer", method="Captions, small", share="1.000000")
    assert (one["published_galaxy10_decals_accuracy"], one["galaxy_mnist_seeds"]) == ("0.720300", "2")
    half = row(whole[0], "transfer", method="Captions, small", share="50.000000")
    assert (half["published_galaxy10_decals_accuracy"], half["galaxy_mnist_seeds"]) == ("0.839000", "")
    supervised = row(whole[0], "transfer", method="ConvNeXt-B supervised")
    assert supervised["published_galaxy10_decals_macro_f1"] == "0.825000"


def test_zero_shot_counts_once_whatever_the_shares(whole: tuple[Path, Benchmark]) -> None:
    found = row(whole[0], "shares_shapes", method="CLIP-GMC, zero-shot")
    assert (found["share"], found["n_train"], found["seeds"]) == ("0.000000", "0", "2")


def test_a_leak_is_compared_with_the_clean_protocol(whole: tuple[Path, Benchmark]) -> None:
    clean, leaky = (
        row(whole[0], "leaks", method="GalaxAlign, ViT", protocol=name) for name in ("clean", "random-split")
    )
    assert clean["gain_accuracy"] == ""
    gain = float(leaky["accuracy"]) - float(clean["accuracy"])
    assert float(leaky["gain_accuracy"]) == pytest.approx(gain, abs=2e-6)
    assert float(leaky["gain_accuracy_low"]) > 0
    assert "leaked on purpose" in leaky["notes"]
    assert clean["notes"] == ""


def test_cuts_are_made_by_the_columns_of_the_catalogue(whole: tuple[Path, Benchmark]) -> None:
    found = [r for r in rows(whole[0], "cut_shapes_magnitude") if r["method"] == "GalaxAlign, ViT"]
    assert sum(int(r["galaxies"]) for r in found) == GALAXIES
    mean = np.average([float(r["accuracy"]) for r in found], weights=[int(r["galaxies"]) for r in found])
    wanted = float(row(whole[0], "classification", method="GalaxAlign, ViT")["shapes_accuracy"])
    assert mean == pytest.approx(wanted, abs=1e-5)


def test_controls_at_chance_pass(whole: tuple[Path, Benchmark]) -> None:
    found = row(whole[0], "gates", method="GalaxAlign, ViT", dataset="GalaxyMNIST", protocol="clean")
    # what CLIP was trained on is listed nowhere
    assert [found[gate] for gate in ("leaks", "sealed", "selection", "shuffle")] == ["in part"] + ["passed"] * 3
    assert "the weights (CLIP, 100 % open) do not list their training galaxies" in found["notes"]
    assert float(found["p"]) > 0.001
    assert float(found["control"]) == pytest.approx(0.5, abs=0.1)
    assert float(found["control"]) < float(found["limit"]) <= 1


def test_skill_is_told_from_chance() -> None:
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 5, 200)
    right, flat = chance_test(truth, np.eye(5)[truth]), chance_test(truth, np.full((200, 5), 0.2))
    assert right is not None
    assert flat is not None
    assert (right.observed, right.passed) == (1, False)
    assert (flat.observed, flat.passed) == (0.5, True)
    assert chance_test(truth % 2, np.eye(2)[truth % 2]) is None


def test_model_random_labels_no_leak_though_tells_looks_apart() -> None:
    """Galaxies of a class look alike, so what random labels teach goes with classes, one way or the other."""
    rng = np.random.default_rng(2)
    looks = rng.normal(0, 1, (5, 3))
    p = []
    for _ in range(300):
        truth = rng.integers(0, 5, 200)
        pictures = looks[truth] + rng.normal(0, 0.3, (200, 3))
        found = chance_test(truth, pictures @ rng.normal(0, 1, (3, 5)))  # each class's look is chance
        assert found is not None
        p.append(found.p)
    assert np.mean(np.array(p) < 0.001) < 0.01
    assert 0.02 < np.mean(np.array(p) < 0.1) < 0.2


@pytest.mark.slow
def test_a_gate_that_is_not_passed_marks_its_row_in_every_table(part: tuple[Path, Benchmark]) -> None:
    out, benchmark = part
    for cell in benchmark.cells():
        write_cell(out, cell, failing="leaks" if (cell.training, cell.seed) == ("galaxalign", 1) else "")
    write_benchmark_report(out, benchmark)
    for name in ("classification", "retrieval", "differences_shapes", "classes_shapes", "gates", "cost"):
        found = row(out, name, method="Captions, small")
        assert "split leak audit: not passed (7 galaxies" in found["notes"], name
        assert "[seed 1]" in found["notes"]
    assert row(out, "gates", method="Captions, small")["leaks"] == "NOT PASSED"
    assert row(out, "classification", method="Small, supervised")["notes"] == ""
    assert re.search(r"Captions, small \\\[a\\\]", (out / "tables/classification.md").read_text())
    page = (out / "report.html").read_text()
    assert "1 method does not pass every gate" in page
    assert "50% of the &lt;test&gt; part" in page


@pytest.mark.slow
def test_a_control_above_chance_or_missing_marks_its_row(part: tuple[Path, Benchmark]) -> None:
    out, benchmark = part
    for cell in benchmark.cells():
        if cell.shuffled and cell.training == "supervised":
            continue
        write_cell(out, cell)
        if cell.shuffled:  # learnt the labels after all
            folder = cell_folder(out, cell)
            clean = cell_folder(out, cell_of("galaxalign", "small"))
            shutil.copy(clean / "predictions.parquet", folder)
            about = json.loads((folder / "cell.json").read_text())
            about["test"] = json.loads((clean / "cell.json").read_text())["test"]
            (folder / "cell.json").write_text(json.dumps(about))
    write_benchmark_report(out, benchmark)
    found = row(out, "gates", method="Captions, small")
    assert found["shuffle"] == "NOT PASSED"
    assert float(found["p"]) < 0.001
    found = row(out, "gates", method="Small, supervised")
    assert (found["shuffle"], found["p"]) == ("not run", "")
    assert "label-shuffle control at chance: not run" in row(out, "classification", method="Small, supervised")["notes"]


@pytest.mark.slow
def test_what_is_not_finished_is_said(part: tuple[Path, Benchmark]) -> None:
    out, benchmark = part
    cells = [cell for cell in benchmark.cells() if not (cell.training == "galaxalign" and cell.seed == 1)]
    for cell in cells:
        write_cell(out, cell)
    page = write_benchmark_report(out, benchmark).read_text()
    assert [r["cell"] for r in rows(out, "missing")] == ["shapes-small-galaxalign-p100-s1"]
    found = row(out, "classification", method="Captions, small")
    assert (found["shapes_seeds"], found["shapes_accuracy_sd"]) == ("1", "")
    assert "1 of 2 seeds finished" in found["notes"]
    assert row(out, "differences_shapes")["seeds"] == "1"
    assert f"{len(cells)} of {len(cells) + 1} cells are finished" in page


def test_without_a_cell_there_is_no_report(part: tuple[Path, Benchmark]) -> None:
    out, benchmark = part
    with pytest.raises(InputError, match="no cell of fake is finished"):
        write_benchmark_report(out, benchmark)


@pytest.mark.slow
def test_a_damaged_cell_is_left_out_and_the_others_are_reported(
    part: tuple[Path, Benchmark], capsys: pytest.CaptureFixture[str]
) -> None:
    out, benchmark = part
    for cell in benchmark.cells():
        write_cell(out, cell)
    one, two, *_ = benchmark.cells()
    about = json.loads((cell_folder(out, one) / "cell.json").read_text())
    about["test"]["accuracy"] -= 0.1
    (cell_folder(out, one) / "cell.json").write_text(json.dumps(about))
    (cell_folder(out, two) / "cell.json").write_text("{")
    write_benchmark_report(out, benchmark)
    told = capsys.readouterr().err
    assert f"{one.name} is left out of the report: predictions.parquet and cell.json" in told
    assert f"{two.name} is left out of the report" in told
    assert [r["cell"] for r in rows(out, "missing")] == [one.name, two.name]


@pytest.mark.slow
def test_unreadable_pictures_and_rare_classes_are_told_of(part: tuple[Path, Benchmark]) -> None:
    out, benchmark = part
    for cell in benchmark.cells():
        write_cell(out, cell)
        about = json.loads((cell_folder(out, cell) / "cell.json").read_text())
        about["n_failed"] = 3
        (cell_folder(out, cell) / "cell.json").write_text(json.dumps(about))
    write_benchmark_report(out, benchmark)
    notes = row(out, "classification", method="Small, supervised")["notes"]
    assert "3 test pictures could not be read and are left out" in notes
    assert "too few test galaxies" not in notes


@pytest.mark.slow
def test_two_runs_of_the_same_cells_give_the_same_tables(
    whole: tuple[Path, Benchmark], part: tuple[Path, Benchmark], tmp_path: Path
) -> None:
    _, benchmark = part
    for name, seconds in (("one", 3.0), ("two", 700.0)):
        for cell in benchmark.cells():
            write_cell(tmp_path / name, cell, seconds=seconds, commit=name)
        write_benchmark_report(tmp_path / name, benchmark)
    files = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one" / "tables").iterdir())
    assert files == sorted(path.relative_to(tmp_path / "two") for path in (tmp_path / "two" / "tables").iterdir())
    same = [*(file for file in files if file.stem != "cost"), Path("report.md")]
    for file in same:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes(), file
    assert row(tmp_path / "one", "cost", method="Small, supervised")["seconds_training"] == "3.000000"
    assert row(tmp_path / "two", "cost", method="Small, supervised")["seconds_training"] == "700.000000"
    assert "two" in (tmp_path / "two" / "report.html").read_text()


def test_the_page_asks_nobody_for_anything(whole: tuple[Path, Benchmark]) -> None:
    page = (whole[0] / "report.html").read_text()
    assert "<script" not in page
    assert re.findall(r'(?:src|href)="(?!data:image/png;base64,|#)', page) == []
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(re.findall(r'id="([^"]+)"', page))
    assert "Galaxies are &lt;b&gt;round&lt;/b&gt;." in page
    assert "<li>one and more</li><li>two</li>" in page
    assert "Shapes &amp; forms_1" in page


def test_figures_are_drawn_and_lost_pictures_are_said(whole: tuple[Path, Benchmark]) -> None:
    names = {path.name for path in (whole[0] / "figures").iterdir()}
    assert {
        "shares.png",
        "shares.pdf",
        "leaks.png",
        "cost.png",
        "tsne_shapes.png",
        "reliability_galaxy_mnist.pdf",
    } <= names
    assert {"grid_shapes.png", "retrieval_shapes_spiral.png", "confusion_shapes_1.png"} <= names
    assert "grid_galaxy_mnist.png" not in names
    assert "Pictures of GalaxyMNIST: there is no catalogue" in (whole[0] / "report.md").read_text()


def test_latex_has_a_cell_for_each_column_and_no_bare_signs(whole: tuple[Path, Benchmark]) -> None:
    for file in sorted((whole[0] / "tables").glob("*.tex")):
        text = file.read_text()
        columns = len(re.search(r"\\begin\{tabular\}\{([lc]+)\}", text)[1])
        body = text.split(r"\toprule")[1].split(r"\bottomrule")[0]
        for line in filter(None, body.splitlines()):
            if line.startswith(("\\midrule", "\\cmidrule")):
                continue
            bare = re.sub(r"\\shortstack\{.*?\}\}", "", line)
            spans = [int(n) for n in re.findall(r"\\multicolumn\{(\d+)\}", line)]
            assert len(re.findall(r"(?<!\\)&", bare)) + 1 + sum(n - 1 for n in spans) == columns, (file.name, line)
            assert line.endswith(r"\\")
        text = text.replace("\\\\", "")  # the ends of lines
        assert re.search(r"(?<!\\)[%#]", text) is None, file.name
        assert re.search(r"(?<!\\)_", text.replace("\\label{tab:" + file.stem, "")) is None, file.name
        assert len(re.findall(r"(?<!\\)\{", text)) == len(re.findall(r"(?<!\\)\}", text)), file.name
        assert len(re.findall(r"(?<!\\)\$", text)) % 2 == 0, file.name


def test_signs_are_escaped() -> None:
    columns = [Column("a", "A|B"), Column("b", "50 %", "number", "x_1 & y")]
    table = Table("t", "T", "100 % of {it}", columns, [Row({"a": "p|q \\ #1 ~ ^", "b": 1.5}, ("n_1 < 2",))])
    assert r"p|q \textbackslash{} \#1 \textasciitilde{} \textasciicircum{}$^{a}$ & 1.5 \\" in to_latex(table)
    assert r"\multicolumn{1}{c}{x\_1 \& y}" in to_latex(table)
    assert r"100 \% of \{it\}" in to_latex(table)
    assert r"$^{a}$ n\_1 $<$ 2." in to_latex(table)
    assert "| p\\|q \\ #1 ~ ^ \\[a\\] | 1.5 |" in to_markdown(table)


def test_published_figures_need_their_columns(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("source,method,dataset,metric,value,spread\n")
    with pytest.raises(InputError, match="lacks the column training_share_percent"):
        read_published(tmp_path / "p.csv")
    (tmp_path / "p.csv").write_text(
        "source,method,dataset,training_share_percent,metric,value,spread\na,b,c,100,accuracy,high,\n"
    )
    with pytest.raises(InputError, match="row 1: value"):
        read_published(tmp_path / "p.csv")
