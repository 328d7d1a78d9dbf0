"""The benchmark that a newcomer runs first, as its file says."""

from __future__ import annotations

from pathlib import Path

from galaxalign.bench.config import load_benchmark
from galaxalign.bench.results import read_results
from galaxalign.verbs import benchmark, simulate

SMOKE = Path(__file__).parents[2] / "benchmarks" / "smoke.toml"


def test_the_smoke_benchmark_runs_to_its_report(tmp_path: Path) -> None:
    simulate(taxonomy="galaxy10_decals", n=120, size=64, out=tmp_path / "survey", quiet=True)
    page = benchmark(config=SMOKE, data=tmp_path / "survey", out=tmp_path / "out", quiet=True)
    plan = load_benchmark(SMOKE, data=tmp_path / "survey")
    results = read_results(tmp_path / "out", plan)
    assert len(results) == len(plan.cells()) == 8
    text = page.read_text()
    for title in ("Classification", "Retrieval", "What a leak is worth", "Gates"):
        assert title in text
    learnt = [r.about["test"]["accuracy"] for r in results if r.cell.training == "supervised" and not r.cell.shuffled]
    assert min(learnt) > 0.2  # ten classes
    assert (tmp_path / "out" / "tables" / "classification.tex").is_file()
