"""The files of a benchmark's report: tables as CSV, Markdown and LaTeX, figures, and report.md."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from galaxalign.bench.config import Benchmark
from galaxalign.bench.drawings import Drawings, draw_figures
from galaxalign.bench.gate_tables import cost_table, gate_table, missing_table, systems_table
from galaxalign.bench.own_tables import own_tables
from galaxalign.bench.paper_tables import paper_tables
from galaxalign.bench.study import Study, read_study
from galaxalign.bench.tables import Table, to_csv, to_latex, to_markdown
from galaxalign.data.tables import write_text
from galaxalign.errors import InputError

_WRITERS = {".csv": to_csv, ".md": to_markdown, ".tex": to_latex}
_WRITTEN = ".report-files"


@dataclass(frozen=True, eq=False)
class Report:
    """The content of a report: tables that depend on settings and seeds alone, the table of costs, and figures."""

    study: Study
    tables: list[Table]
    cost: Table
    drawings: Drawings

    @property
    def state(self) -> str:
        """A sentence with the number of finished cells."""
        planned = len(self.study.benchmark.cells())
        done = planned - len(self.study.missing)
        if done == planned:
            return f"All {planned} cells are finished."
        return (
            f"{done} of {planned} cells are finished. The report lists missing cells; footnotes mark incomplete rows."
        )

    @property
    def failing(self) -> int:
        """The number of rows under the clean protocol that do not pass every gate."""
        return sum(
            any(not verdict.passed for verdict in self.study.verdicts(method))
            for key, method in self.study.methods.items()
            if key.protocol == "clean" and not key.shuffled
        )

    @property
    def provenance(self) -> dict[str, str]:
        """The versions and commits of the cells, all that occur."""
        versions: dict[str, dict[str, None]] = {}
        for result in self.study.results:
            made = result.about["provenance"]
            for name, value in {"Python": made["python"], "commit": made["git_commit"], **made["packages"]}.items():
                versions.setdefault(name, {})[str(value)] = None
        return {name: ", ".join(values) for name, values in versions.items()}


def report_files(out: str | Path, benchmark: Benchmark, digests: Mapping[str, str] | None = None) -> Report:
    """Write tables/, figures/ and report.md of the finished cells of a benchmark.

    Parameters
    ----------
    out : path
        The folder of the benchmark, with its cells.
    benchmark : Benchmark
    digests : mapping, optional
        The present settings of each cell by its name: cells with other settings count as missing.

    Raises
    ------
    InputError
        No cell is finished, or a file cannot be written.

    Notes
    -----
    Only tables/cost.* differs between two runs of the same cells (seconds, joules).
    """
    study = read_study(out, benchmark, digests)
    if not study.results:
        raise InputError(f"no cell of {benchmark.name} is finished in {out}; run galaxalign benchmark first")
    first, *others = paper_tables(study)
    tables = [first, systems_table(study), *others, *own_tables(study), gate_table(study)]
    tables += [table for table in (missing_table(study),) if table.rows]
    cost = cost_table(study)
    _clear(study.out)
    written = []
    for table in (*tables, cost):
        for suffix, text_of in _WRITERS.items():
            written.append(f"tables/{table.name}{suffix}")
            write_text(text_of(table), study.out / written[-1])
    report = Report(study, tables, cost, draw_figures(study))
    for drawing in report.drawings.drawn:
        written += [f"figures/{drawing.file.stem}{suffix}" for suffix in (".png", ".pdf")]
    write_text("\n".join(written), study.out / _WRITTEN)
    write_text(_markdown(report), study.out / "report.md")
    return report


def _clear(out: Path) -> None:
    """Delete the tables and figures of an earlier report, and no other file."""
    for folder in ("tables", "figures"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    written = out / _WRITTEN
    for name in written.read_text().splitlines() if written.is_file() else ():
        (out / name).unlink(missing_ok=True)


def _markdown(report: Report) -> str:
    """Return the report without costs and versions, which differ from run to run."""
    benchmark, drawings, out = report.study.benchmark, report.drawings, report.study.out
    lines = [f"# {benchmark.title or benchmark.name}", "", benchmark.description, "", report.state, ""]
    lines += [to_markdown(table) for table in report.tables]
    lines += ["## Figures", ""]
    lines += [f"- [{f.title}]({f.file.relative_to(out).as_posix()}): {f.caption}" for f in drawings.drawn]
    if drawings.left_out:
        lines += ["", "Left out:", "", *(f"- {reason}" for reason in drawings.left_out)]
    lines += ["", "Costs are in [tables/cost.md](tables/cost.md); versions are at the end of report.html.", ""]
    return "\n".join(lines)
