"""Publish the output of `galaxalign benchmark benchmarks/here.toml`: its page in docs, and its cells.

    python benchmarks/publish_benchmark.py OUT

Writes docs/benchmark/here.md (the report with the conclusions before it), its charts into docs/benchmark/figures, and
each finished cell (figures and predictions, without vectors) into benchmarks/results by benchmarks/archive.py, from
which the tables can be made again:

    python benchmarks/archive.py unpack here   # into the folder here
    galaxalign benchmark benchmarks/here.toml --data FOLDER --out here --report-only

Plates, which show galaxies of the surveys, stay in OUT.
"""

from __future__ import annotations

import argparse
import re
import shutil
from pathlib import Path

from archive import pack

HERE = Path(__file__).parent
DOCS = HERE.parent / "docs" / "benchmark"
PLATES = ("grid_", "retrieval_")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("out", type=Path)
    out = parser.parse_args().out
    pack("here", out)
    figures = DOCS / "figures"
    shutil.rmtree(figures, ignore_errors=True)
    figures.mkdir(parents=True)
    lines = []
    for line in (out / "report.md").read_text().splitlines():
        found = re.fullmatch(r"- \[(.*)\]\(figures/(.*\.png)\): (.*)", line)
        if found is None:
            lines.append(re.sub(r"\]\(tables/[^)]*\)", "]", line))
        elif not found[2].startswith(PLATES):
            shutil.copy(out / "figures" / found[2], figures / found[2])
            lines += [f"![{found[1]}](figures/{found[2]})", "", f"*{found[1]}. {found[3]}*", ""]
    title, *rest = lines
    conclusions = (HERE / "here_conclusions.md").read_text()
    (DOCS / "here.md").write_text("\n".join([title, "", conclusions, *rest]))


if __name__ == "__main__":
    main()
