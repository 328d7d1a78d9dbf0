"""The report of a benchmark: tables as CSV, Markdown and LaTeX, figures, and one HTML page that needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from galaxalign import __version__
from galaxalign.benchmark.config import Benchmark
from galaxalign.benchmark.drawings import Drawings, draw_figures
from galaxalign.benchmark.gate_tables import cost_table, gate_table, missing_table, systems_table
from galaxalign.benchmark.own_tables import own_tables
from galaxalign.benchmark.paper_tables import paper_tables
from galaxalign.benchmark.study import Study, read_study
from galaxalign.benchmark.tables import Table, to_csv, to_latex, to_markdown
from galaxalign.data.files import write_text
from galaxalign.errors import InputError
from galaxalign.report import Picture

__all__ = ["write_benchmark_report"]

_CONCLUSIONS = "conclusions.md"
_WRITTEN = ".report-files"


def write_benchmark_report(out: str | Path, benchmark: Benchmark, digests: Mapping[str, str] | None = None) -> Path:
    """Write the report of a benchmark as far as it is finished.

    Parameters
    ----------
    out : path
        The folder of the benchmark, with its cells. It gets report.html, report.md, tables/ (CSV, Markdown, LaTeX) and
        figures/ (PNG, charts as PDF too). Where it holds conclusions.md, the page begins with that.
    benchmark : Benchmark
        Its configuration.
    digests : mapping, optional
        What identifies the settings of each cell now, by its name: cells of other settings count as missing.

    Returns
    -------
    Path
        OUT/report.html.

    Raises
    ------
    InputError
        No cell is finished, a cell is damaged, or a file cannot be written.

    Notes
    -----
    What differs between two runs of the same cells (seconds, joules, versions, commit) stands in tables/cost.* and on
    the page, and nowhere else.
    """
    study = read_study(out, benchmark, digests)
    if not study.results:
        raise InputError(f"no cell of {benchmark.name} is finished in {out}; run galaxalign benchmark first")
    first, *others = paper_tables(study)
    tables = [first, systems_table(study), *others, *own_tables(study), gate_table(study)]
    tables += [table for table in (missing_table(study),) if table.rows]
    cost = cost_table(study)
    _clear(study.out)
    for table in (*tables, cost):
        for suffix, written in ((".csv", to_csv), (".md", to_markdown), (".tex", to_latex)):
            write_text(written(table), study.out / "tables" / f"{table.name}{suffix}")
    drawings = draw_figures(study)
    _remember(study.out, [*tables, cost], drawings)
    write_text(_markdown(study, tables, drawings), study.out / "report.md")
    return write_text(_page(study, tables, cost, drawings), study.out / "report.html")


def _clear(out: Path) -> None:
    """Delete the tables and figures of an earlier report, and no other file: one of a row that is no more misleads."""
    for folder in ("tables", "figures"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    written = out / _WRITTEN
    for name in written.read_text().splitlines() if written.is_file() else ():
        (out / name).unlink(missing_ok=True)


def _remember(out: Path, tables: list[Table], drawings: Drawings) -> None:
    """Write down which files are the report's own."""
    names = [f"tables/{table.name}{suffix}" for table in tables for suffix in (".csv", ".md", ".tex")]
    names += [f"figures/{f.file.stem}{suffix}" for f in drawings.drawn for suffix in (".png", ".pdf")]
    write_text("\n".join(names), out / _WRITTEN)


_GROUPS = {
    "shares": ("Few labels", ""),
    "leaks": ("What a leak is worth", ""),
    "maps": ("Maps of the embeddings", "Neighbours look alike to the encoder."),
    "retrieval": (
        "Retrieval",
        "The query of each class is its galaxy of median average precision; a tick in a green frame marks neighbours "
        "of its class, a cross in a red frame the others, best first.",
    ),
    "reliability": ("Reliability", ""),
    "confusion": ("Confusion", ""),
}


def _markdown(study: Study, tables: list[Table], drawings: Drawings) -> str:
    """Return the report without what differs from run to run, which is on the page and in tables/cost.*."""
    benchmark = study.benchmark
    lines = [f"# {benchmark.title or benchmark.name}", "", benchmark.description, "", _state(study), ""]
    lines += [to_markdown(table) for table in tables]
    lines += ["## Figures", ""]
    lines += [f"- [{f.title}]({f.file.relative_to(study.out).as_posix()}): {f.caption}" for f in drawings.drawn]
    if drawings.left_out:
        lines += ["", "Left out:", "", *(f"- {reason}" for reason in drawings.left_out)]
    lines += [
        "",
        "What the rows cost is in [tables/cost.md](tables/cost.md); versions are at the end of report.html.",
        "",
    ]
    return "\n".join(lines)


def _state(study: Study) -> str:
    planned = len(study.benchmark.cells())
    done = planned - len(study.missing)
    if done == planned:
        return f"All {planned} cells are finished."
    return (
        f"{done} of {planned} cells are finished; the rest is listed under Missing cells, and rows with fewer seeds "
        "than planned say so."
    )


def _page(study: Study, tables: list[Table], cost: Table, drawings: Drawings) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("galaxalign", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    groups = [
        {
            "name": name,
            "title": title,
            "words": words,
            "figures": [(f, Picture.read(f.file)) for f in drawings.of(name)],
        }
        for name, (title, words) in _GROUPS.items()
        if drawings.of(name)
    ]
    return environment.get_template("benchmark.html").render(
        title=study.benchmark.title or study.benchmark.name,
        description=study.benchmark.description,
        state=_state(study),
        partial=bool(study.missing),
        failing=_failing(study),
        conclusions=_conclusions(study.out / _CONCLUSIONS),
        tables=tables,
        cost=cost,
        cost_figures=[(f, Picture.read(f.file)) for f in drawings.of("cost")],
        groups=groups,
        left_out=drawings.left_out,
        provenance=_provenance(study),
        version=__version__,
    )


def _failing(study: Study) -> int:
    """Return how many rows do not pass every gate under the clean protocol."""
    return sum(
        any(not verdict.passed for verdict in study.verdicts(method))
        for key, method in study.methods.items()
        if key.protocol == "clean" and not key.shuffled
    )


def _conclusions(file: Path) -> list[tuple[str, list[str]]]:
    """Return the author's conclusions as ("p", [paragraph]) and ("ul", points); [] where there are none."""
    if not file.is_file():
        return []
    found: list[tuple[str, list[str]]] = []
    for block in file.read_text(encoding="utf-8").split("\n\n"):
        paragraph: list[str] = []
        points: list[str] = []
        for line in filter(None, map(str.strip, block.splitlines())):
            if line.startswith(("- ", "* ")):
                points.append(line[2:])
            elif points:  # a point that goes on
                points[-1] += f" {line}"
            else:
                paragraph.append(line.lstrip("# "))
        found += [("p", [" ".join(paragraph)])] if paragraph else []
        found += [("ul", points)] if points else []
    return found


def _provenance(study: Study) -> list[tuple[str, str]]:
    """Return what the cells were made with, all that occur."""
    told: dict[str, dict[str, None]] = {}
    for result in study.results:
        made: dict[str, Any] = result.about["provenance"]
        for name, value in (("Python", made["python"]), ("commit", made["git_commit"]), *made["packages"].items()):
            told.setdefault(name, {})[str(value)] = None
    return [(name, ", ".join(values)) for name, values in told.items()]
