"""stub"""

from pathlib import Path

from galaxalign.benchmark.config import Benchmark


def write_benchmark_report(out: Path, benchmark: Benchmark) -> Path:
    return Path(out) / "report.html"
