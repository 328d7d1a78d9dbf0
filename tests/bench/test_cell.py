"""The benchmark's harness on towers so small that a cell takes a second."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import galaxalign
from galaxalign.bench.cell import run_cell
from galaxalign.bench.config import Benchmark, Cell, load_benchmark
from galaxalign.bench.digest import cell_digest, forget_files
from galaxalign.bench.frozen_model import FrozenModel
from galaxalign.bench.results import cell_folder, finished, read_results
from galaxalign.bench.run import Runner
from galaxalign.bench.sealed import open_dataset
from galaxalign.data.catalogs import read_catalog
from galaxalign.data.splits import Split
from galaxalign.errors import InputError
from galaxalign.morphology import load_taxonomy
from galaxalign.verbs import benchmark

NAMES = load_taxonomy("galaxy_zoo_1").class_names
CONFIG = """
name = "tiny"
threads = 1
steps = 4
bootstrap = 20
control_share = 50

[[dataset]]
name = "blobs"
catalog = "{data}/catalog.csv"
taxonomy = "galaxy_zoo_1"
cuts = ["magnitude"]

[[encoder]]
name = "small"
load = "test_efficientnet"
size = 32
pretrained = false

[[training]]
name = "label"
recipe = "label.toml"

[[run]]
encoders = ["small"]
trainings = ["frozen", "label"]
seeds = [0, 1]
"""
RECIPE = """
name = "label"
batch_size = 16
ema = 0.5
augmentation = { colour = 0.0 }
[[stage]]
name = "one"
pairs = { image-label = 1.0 }
epochs = 4
lr_trunk = 3e-3
lr_head = 1e-2
"""


def survey(folder: Path, n: int = 96) -> None:
    """Write pictures, a brightness for each class, with positions far apart."""
    rng = np.random.default_rng(0)
    rows = []
    for i in range(n):
        pixels = rng.integers(0, 30, (40, 40, 3)) + 60 * (i % len(NAMES))
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / f"{i}.png")
        rows.append((f"g{i:03d}", f"{i}.png", NAMES[i % len(NAMES)], i * 0.1, 0.0, 15 + rng.random()))
    columns = ["id_str", "file_loc", "label", "ra", "dec", "magnitude"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "catalog.csv", index=False)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Return a configuration beside its survey."""
    survey(tmp_path)
    (tmp_path / "label.toml").write_text(RECIPE)
    path = tmp_path / "tiny.toml"
    path.write_text(CONFIG)
    return path


def plan_of(config: Path) -> Benchmark:
    return load_benchmark(config, data=config.parent)


def split_of(plan: Benchmark, out: Path) -> Split:
    return Runner(plan, out, pretrain=lambda *given: None).split("blobs")


def cell_of(**changes: object) -> Cell:
    asked = {"dataset": "blobs", "encoder": "small", "training": "label", "share": 100.0, "seed": 0}
    return Cell.model_validate(asked | changes)


def test_cells_are_combination_once_and_control_of_each_kind(config: Path) -> None:
    cells = plan_of(config).cells()
    assert [c.name for c in cells] == [
        "blobs-small-frozen-p100-s0",
        "blobs-small-label-p100-s0",
        "blobs-small-frozen-p50-s0-shuffled",
        "blobs-small-label-p50-s0-shuffled",
        "blobs-small-frozen-p100-s1",
        "blobs-small-label-p100-s1",
    ]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('trainings = ["frozen", "label"]', 'trainings = ["frozne"]', "unknown recipe 'frozne'"),
        ('encoders = ["small"]', 'encoders = ["smal"]', "there is no encoder 'smal'; did you mean 'small'"),
        ("seeds = [0, 1]", "sedes = [0, 1]", "did you mean 'seeds'"),
        ("seeds = [0, 1]", "shares = [0]", r"shares\.0 is 0"),
        ("seeds = [0, 1]", 'systems = ["resnet"]', "there is no system 'resnet'; did you mean 'resnet-"),
        ("size = 32", "size = 3", "size is 3"),
        ("seeds = [0, 1]", "seeds = []", "there is nothing to run"),
        ("seeds = [0, 1]", "shares = [10, 10.0000001]", "two cells are called blobs-small-frozen-p10-s0"),
        ('trainings = ["frozen", "label"]', 'trainings = ["./label.toml"]', "is no name of a training"),
        (
            "seeds = [0, 1]",
            'protocols = ["symbol-given"]',
            "symbol-given is for recipes with symbols",
        ),
        ('name = "tiny"', 'name = "tiny"\npublished = "none.csv"', "no table of published figures at .*none.csv"),
        ('name = "tiny"', "name = ", "not valid TOML"),
        ('taxonomy = "galaxy_zoo_1"', "", "dataset.0.taxonomy is missing"),
    ],
)
def test_a_fault_in_the_configuration_is_told(config: Path, old: str, new: str, told: str) -> None:
    config.write_text(CONFIG.replace(old, new, 1))
    with pytest.raises(InputError, match=told):
        plan_of(config)


def test_data_must_be_named_where_the_configuration_wants_it(config: Path) -> None:
    with pytest.raises(InputError, match="give one with --data"):
        load_benchmark(config)


def test_a_cell_is_developed_without_a_row_of_the_test_part(config: Path, tmp_path: Path) -> None:
    plan = plan_of(config)
    dataset, split = plan.dataset("blobs"), split_of(plan, tmp_path / "out")
    catalog = read_catalog(dataset.catalog)
    development, sealed = open_dataset(catalog, dataset, split, share=100, seed=0)
    test = {catalog.ids[row] for row in split.part(catalog, "test")}
    assert test
    assert not test & set(development.source.catalog.ids)
    assert len(development.source.catalog) + len(sealed) == len(catalog)
    assert set(sealed.identities.table.columns) == {"id_str", "ra", "dec"}


@pytest.mark.slow
def test_what_the_test_labels_say_changes_no_prediction(config: Path, tmp_path: Path) -> None:
    """The same galaxies with other labels on the test part: same model, same predictions, other figures."""
    plan = plan_of(config)
    split = split_of(plan, tmp_path / "out")
    truth = run_cell(cell_of(), plan, split, tmp_path / "out", quiet=True)
    catalog = read_catalog(plan.dataset("blobs").catalog)
    table = catalog.table.copy()
    rows = split.part(catalog, "test")
    table.loc[rows, "label"] = table.loc[rows, "label"].to_numpy()[::-1]
    table.to_csv(config.parent / "catalog.csv", index=False)
    other = read_catalog(plan.dataset("blobs").catalog)
    swapped = type(split)(split.table, {other.source: other.fingerprint}, split.fractions, split.seed, split.radius)
    lied = run_cell(cell_of(), plan, swapped, tmp_path / "lied", quiet=True)
    assert truth["fingerprints"]["model"] == lied["fingerprints"]["model"]
    tables = [
        pd.read_parquet(cell_folder(tmp_path / name, cell_of()) / "predictions.parquet") for name in ("out", "lied")
    ]
    wanted = [name for name in tables[0] if name.startswith(("probability_", "id_str"))]
    pd.testing.assert_frame_equal(tables[0][wanted], tables[1][wanted])
    assert list(tables[0]["label"]) != list(tables[1]["label"])
    assert truth["test"]["accuracy"] > lied["test"]["accuracy"]


def test_a_model_that_learns_from_the_test_pictures_is_caught(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_of(config)
    split = split_of(plan, tmp_path / "out")
    honest = FrozenModel.predict

    def cheating(self, pictures):
        found = honest(self, pictures)
        with torch.no_grad():
            next(self.encoder.visual.parameters()).add_(0.01)
        return found

    monkeypatch.setattr(FrozenModel, "predict", cheating)
    with pytest.raises(RuntimeError, match="the model changed"):
        run_cell(cell_of(), plan, split, tmp_path / "out", quiet=True)


@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["random-split", "augmented-first", "epoch-on-test"])
def test_what_leaks_says_so(config: Path, tmp_path: Path, protocol: str) -> None:
    plan = plan_of(config)
    about = run_cell(cell_of(protocol=protocol), plan, split_of(plan, tmp_path / "out"), tmp_path / "out", quiet=True)
    assert about["gates"]["sealed"] == {
        "passed": False,
        "detail": f"the protocol leaks test galaxies: {protocol}",
    }
    assert about["gates"]["selection"]["passed"] == (protocol != "epoch-on-test")
    assert about["n_train"] == {"random-split": 68, "epoch-on-test": 68}.get(protocol, about["n_train"])


@pytest.mark.slow
def test_the_control_learns_nothing(config: Path, tmp_path: Path) -> None:
    plan = plan_of(config)
    split = split_of(plan, tmp_path / "out")
    learnt = run_cell(cell_of(), plan, split, tmp_path / "out", quiet=True)
    control = run_cell(cell_of(shuffled=True), plan, split, tmp_path / "out", quiet=True)
    assert learnt["test"]["accuracy"] > 0.9
    assert control["test"]["accuracy"] < 0.6


@pytest.mark.slow
def test_finished_cell_is_kept_and_one_of_other_settings_is_not(config: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    benchmark(config=config, data=tmp_path, out=out, quiet=True)
    plan = plan_of(config)
    results = read_results(out, plan)
    assert len(results) == len(plan.cells()) == 6
    times = [(result.folder / "cell.json").stat().st_mtime_ns for result in results]
    benchmark(config=config, data=tmp_path, out=out, quiet=True)
    assert times == [(result.folder / "cell.json").stat().st_mtime_ns for result in results]
    (tmp_path / "label.toml").write_text(RECIPE.replace("epochs = 4", "epochs = 5"))
    benchmark(config=config, data=tmp_path, out=out, quiet=True)
    again = [(result.folder / "cell.json").stat().st_mtime_ns for result in results]
    assert [now != then for now, then in zip(again, times, strict=True)] == ["label" in r.cell.name for r in results]


def test_what_other_settings_left_unfinished_is_begun_anew(config: Path, tmp_path: Path) -> None:
    plan = plan_of(config)
    folder = cell_folder(tmp_path / "out", cell_of())
    folder.mkdir(parents=True)
    (folder / "checkpoint.safetensors").write_bytes(b"of other settings")
    (folder / "settings.txt").write_text("0123")
    about = run_cell(cell_of(), plan, split_of(plan, tmp_path / "out"), tmp_path / "out", quiet=True)
    assert about["test"]["accuracy"] > 0.9
    assert sorted(path.name for path in folder.iterdir()) == ["cell.json", "predictions.parquet", "vectors.npy"]


@pytest.mark.slow
def test_a_report_deletes_no_file_but_its_own(config: Path, tmp_path: Path) -> None:
    mine = tmp_path / "out" / "tables" / "mine.tex"
    mine.parent.mkdir(parents=True)
    mine.write_text("kept")
    for seeds in ("[0, 1]", "[0]"):
        config.write_text(CONFIG.replace("seeds = [0, 1]", f"seeds = {seeds}"))
        benchmark(config=config, data=tmp_path, out=tmp_path / "out", quiet=True)
        (tmp_path / "out" / ".report-files").open("a").write("\ntables/old.csv")
        (tmp_path / "out" / "tables" / "old.csv").write_text("of a row that is no more")
    benchmark(config=config, data=tmp_path, out=tmp_path / "out", report_only=True, quiet=True)
    assert mine.read_text() == "kept"
    assert not (tmp_path / "out" / "tables" / "old.csv").exists()


def test_another_taxonomy_file_runs_its_cells_again(config: Path, tmp_path: Path) -> None:
    scheme = tmp_path / "mine.toml"
    source = (Path(galaxalign.__file__).parent / "morphology" / "taxonomies" / "galaxy_zoo_1.toml").read_text()
    scheme.write_text(source)
    config.write_text(CONFIG.replace('"galaxy_zoo_1"', f'"{scheme}"'))
    plan = plan_of(config)
    split = split_of(plan, tmp_path / "out")
    before = cell_digest(cell_of(), plan, split)
    scheme.write_text(source + "\n# another word\n")
    forget_files()
    assert cell_digest(cell_of(), plan, split) != before


@pytest.mark.slow
def test_shards_are_the_whole(config: Path, tmp_path: Path) -> None:
    for shard in ("1/3", "2/3", "3/3"):
        benchmark(config=config, data=tmp_path, out=tmp_path / "out", shard=shard, quiet=True)
    assert len(read_results(tmp_path / "out", plan_of(config))) == 6
    with pytest.raises(InputError, match="write 3/16"):
        benchmark(config=config, data=tmp_path, out=tmp_path / "out", shard="0/3", quiet=True)


@pytest.mark.slow
def test_a_cell_that_fails_does_not_keep_the_others(config: Path, tmp_path: Path) -> None:
    lacking = '[[encoder]]\nname = "none"\nload = "resnet18@missing.safetensors"\n\n[[training]]'
    text = CONFIG.replace("[[training]]", lacking).replace('encoders = ["small"]', 'encoders = ["none", "small"]')
    config.write_text(text)
    with pytest.raises(
        InputError, match=r"6 of 12 cells failed, first .*missing\.safetensors.*the other cells are done"
    ):
        benchmark(config=config, data=tmp_path, out=tmp_path / "out", quiet=True)
    assert len(read_results(tmp_path / "out", plan_of(config))) == 6


@pytest.mark.slow
def test_a_fault_of_ours_does_not_keep_the_others_either(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(cell: Cell, *args: Any, **kwargs: Any) -> dict[str, Any]:
        if cell.training == "label":
            raise RuntimeError("out of memory")
        return run_cell(cell, *args, **kwargs)

    monkeypatch.setattr(sys.modules["galaxalign.bench.run"], "run_cell", broken)
    with pytest.raises(InputError, match=r"RuntimeError: out of memory; the traceback is in .*error\.txt \(the other"):
        benchmark(config=config, data=tmp_path, out=tmp_path / "out", quiet=True)
    assert {result.cell.training for result in read_results(tmp_path / "out", plan_of(config))} == {"frozen"}


@pytest.mark.slow
def test_more_pictures_without_a_leak(config: Path, tmp_path: Path) -> None:
    """The control of augmented-first: as many pictures, none of a test galaxy."""
    plan, found = plan_of(config), {}
    split = split_of(plan, tmp_path / "out")
    for protocol in ("augmented-first", "augmented-after"):
        found[protocol] = run_cell(cell_of(protocol=protocol), plan, split, tmp_path / "out", quiet=True)
    first, after = found["augmented-first"]["n_train"], found["augmented-after"]["n_train"]
    assert after == pytest.approx(first, rel=0.15)
    assert found["augmented-after"]["gates"]["sealed"]["passed"]


def test_a_dry_run_prints_cells_and_runs_none(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    benchmark(config=config, data=tmp_path, out=out, dry_run=True, quiet=True)
    told = capsys.readouterr().out
    assert "blobs-small-label-p100-s1" in told
    assert "6 cells, 0 done; about" in told
    assert not (out / "cells").exists()


@pytest.mark.slow
def test_killed_and_continued_is_the_same(config: Path, tmp_path: Path) -> None:
    """Killed in the middle of a cell, then continued: every table and prediction is that of a run in one go."""
    (tmp_path / "label.toml").write_text(RECIPE.replace("epochs = 4", "epochs = 30"))
    code = (
        "from galaxalign import benchmark\n"
        f"benchmark(config={str(config)!r}, data={str(tmp_path)!r}, out={str(tmp_path / 'killed')!r}, quiet=True)"
    )
    running = subprocess.Popen([sys.executable, "-c", code])
    trained = cell_folder(tmp_path / "killed", cell_of())
    try:
        while running.poll() is None and not (trained / "checkpoint.safetensors").is_file():
            time.sleep(0.02)
    finally:
        running.send_signal(signal.SIGKILL)
        running.wait()
    plan = plan_of(config)
    assert finished(tmp_path / "killed", cell_of()) is None
    assert (trained / "checkpoint.safetensors").is_file()
    for name in ("killed", "whole"):
        benchmark(config=config, data=tmp_path, out=tmp_path / name, quiet=True)
    for cell in plan.cells():
        folders = [cell_folder(tmp_path / name, cell) for name in ("killed", "whole")]
        first, second = (json.loads((folder / "cell.json").read_text()) for folder in folders)
        for key in ("test", "by_classifier", "validation", "gates", "fingerprints", "best_epoch"):
            assert first[key] == second[key], (cell.name, key)
        first, second = (pd.read_parquet(folder / "predictions.parquet") for folder in folders)
        pd.testing.assert_frame_equal(first, second)
    tables = sorted((tmp_path / "whole" / "tables").glob("*"))
    assert tables
    for path in tables:
        if not path.name.startswith("cost"):
            assert path.read_bytes() == (tmp_path / "killed" / "tables" / path.name).read_bytes(), path.name
