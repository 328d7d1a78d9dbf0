"""The report of a benchmark as one HTML page that needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from galaxalign import __version__
from galaxalign.bench import Benchmark, report_files
from galaxalign.data.tables import write_text
from galaxalign.reports.html import Picture, render_page

_GROUPS = {
    "shares": ("Few labels", ""),
    "leaks": ("What a leak is worth", ""),
    "maps": ("Maps of the embeddings", "Neighbours look alike to the encoder."),
    "retrieval": (
        "Retrieval",
        "The query of each class is its galaxy of median average precision. Answers are ordered from the best: a tick "
        "in a green frame marks those of its class, a cross in a red frame the others.",
    ),
    "reliability": ("Reliability", ""),
    "confusion": ("Confusion", ""),
}


def write_benchmark_report(out: str | Path, benchmark: Benchmark, digests: Mapping[str, str] | None = None) -> Path:
    """Write the report of the finished cells of a benchmark.

    Parameters
    ----------
    out : path
        The folder of the benchmark, with its cells. It gets report.html, report.md, tables/ (CSV, Markdown, LaTeX) and
        figures/ (PNG, charts as PDF too). The page begins with conclusions.md of this folder, if there is one.
    benchmark : Benchmark
    digests : mapping, optional
        The present settings of each cell by its name: cells with other settings count as missing.

    Returns
    -------
    Path
        OUT/report.html.

    Raises
    ------
    InputError
        No cell is finished, or a file cannot be written.
    """
    report = report_files(out, benchmark, digests)

    def figures(group: str) -> list[tuple[object, Picture]]:
        return [(drawing, Picture.read(drawing.file)) for drawing in report.drawings.of(group)]

    groups = [
        {"name": name, "title": title, "words": text, "figures": figures(name)}
        for name, (title, text) in _GROUPS.items()
        if report.drawings.of(name)
    ]
    page = render_page(
        "benchmark.html",
        title=benchmark.title or benchmark.name,
        report=report,
        description=benchmark.description,
        conclusions=_conclusions(Path(out) / "conclusions.md"),
        groups=groups,
        cost_figures=figures("cost"),
        version=__version__,
    )
    return write_text(page, Path(out) / "report.html")


def _conclusions(file: Path) -> list[tuple[str, list[str]]]:
    """Return the author's conclusions as ("p", [paragraph]) and ("ul", points); [] without the file."""
    blocks: list[tuple[str, list[str]]] = []
    for block in file.read_text(encoding="utf-8").split("\n\n") if file.is_file() else ():
        paragraph: list[str] = []
        points: list[str] = []
        for line in filter(None, map(str.strip, block.splitlines())):
            if line.startswith(("- ", "* ")):
                points.append(line[2:])
            elif points:  # the next line of a point
                points[-1] += f" {line}"
            else:
                paragraph.append(line.lstrip("# "))
        blocks += [("p", [" ".join(paragraph)])] if paragraph else []
        blocks += [("ul", points)] if points else []
    return blocks
