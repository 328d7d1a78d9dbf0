"""The scripts and results of benchmarks/: they import, they are few and small, and tables come from them."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
RESULTS = BENCHMARKS / "results"


@pytest.mark.parametrize("script", sorted(BENCHMARKS.glob("*.py")), ids=lambda path: path.stem)
def test_imports_of_a_script_exist(script: Path) -> None:
    for node in ast.walk(ast.parse(script.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("galaxalign"):
            module = importlib.import_module(str(node.module))
            for alias in node.names:
                if not hasattr(module, alias.name):
                    importlib.import_module(f"{node.module}.{alias.name}")


def test_results_are_few_small_files() -> None:
    files = [path for path in RESULTS.iterdir() if path.is_file()]
    assert len(files) < 40
    assert sum(path.stat().st_size for path in files) < 2_000_000
    assert len((BENCHMARKS / "LOG.md").read_text().splitlines()) <= 150


def test_every_script_is_on_the_page() -> None:
    page = (BENCHMARKS / "README.md").read_text()
    assert not [path.name for path in BENCHMARKS.glob("*.py") if path.name not in page]


def test_archived_predictions_give_the_archived_accuracy() -> None:
    predictions = pq.read_table(RESULTS / "predictions.parquet").to_pandas()
    galaxies = pq.read_table(RESULTS / "galaxies.parquet").to_pandas()
    table = predictions.merge(galaxies[["survey", "id_str", "label"]], on=["survey", "id_str"])
    # Half precision turns a tie of one or two galaxies in a run.
    right = (table["predicted"] == table["label"]).groupby([table["run_group"], table["run"]]).mean()
    for group in ("here", "transfer", "cells"):
        figures = pd.read_csv(RESULTS / f"{group}.csv").set_index("run")["accuracy"]
        pd.testing.assert_series_equal(right[group], figures, atol=2.5e-3, rtol=0, check_names=False, check_like=True)
