"""A table of figures as CSV, Markdown, LaTeX, and as cells for a page."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import groupby
from string import ascii_lowercase
from typing import Any, Literal

from galaxalign.benchmark.compare import Difference, Figure
from galaxalign.benchmark.published import PublishedFigure

__all__ = ["Column", "Mean", "Row", "Shown", "Table", "to_csv", "to_latex", "to_markdown"]

Kind = Literal["text", "count", "number", "figure", "mean", "difference", "published"]
_PARTS: dict[Kind, tuple[str, ...]] = {
    "figure": ("", "_sd", "_low", "_high"),
    "mean": ("", "_sd"),
    "difference": ("", "_low", "_high"),
    "published": ("", "_spread"),
}


@dataclass(frozen=True)
class Mean:
    """A mean over the seeds without an interval.

    Attributes
    ----------
    mean : float
    sd : float, optional
    """

    mean: float
    sd: float | None


Value = str | int | float | Figure | Mean | Difference | PublishedFigure | None


@dataclass(frozen=True)
class Column:
    """A column.

    Attributes
    ----------
    key : str
        Its name in the CSV file, where a figure also has `<key>_sd`, `<key>_low`, `<key>_high`.
    title : str
    kind : str
    block : str
        What stands above it and its neighbours of the same block: a data set, and whose figures these are.
    """

    key: str
    title: str
    kind: Kind = "text"
    block: str = ""


@dataclass(frozen=True)
class Row:
    """A row.

    Attributes
    ----------
    values : mapping
        By the key of the column; what is missing is empty.
    notes : tuple of str
        Footnotes.
    """

    values: Mapping[str, Value]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Shown:
    """A cell as it is printed.

    Attributes
    ----------
    text, detail : str
        The figure, and its interval.
    strong : bool
    marks : tuple of str
        Letters of the footnotes.
    right : bool
        It is a number.
    """

    text: str
    detail: str = ""
    strong: bool = False
    marks: tuple[str, ...] = ()
    right: bool = True


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes
    ----------
    name : str
        That of its files.
    title, caption : str
    columns : list of Column
        The first is what the row is called; footnotes are marked there.
    rows : list of Row
    """

    name: str
    title: str
    caption: str
    columns: list[Column]
    rows: list[Row] = field(default_factory=list)

    @property
    def used(self) -> list[Column]:
        """The columns in which there is anything, and the first."""
        return [
            c for c in self.columns if c is self.columns[0] or any(r.values.get(c.key) is not None for r in self.rows)
        ]

    @property
    def blocks(self) -> list[tuple[str, int]]:
        """The blocks of the used columns and how many columns each has; [] where no column is in a block."""
        found = [(name, len(list(members))) for name, members in groupby(self.used, key=lambda column: column.block)]
        return found if any(name for name, _ in found) else []

    @property
    def footnotes(self) -> dict[str, str]:
        """The footnotes and their letters."""
        notes = dict.fromkeys(note for row in self.rows for note in row.notes)
        return {note: _letter(index) for index, note in enumerate(notes)}

    def shown(self) -> list[list[Shown]]:
        """Return the used cells as they are printed, row by row."""
        letters = self.footnotes
        found = []
        for row in self.rows:
            cells = [_shown(row.values.get(column.key), column.kind) for column in self.used]
            marks = tuple(letters[note] for note in row.notes)
            cells[0] = Shown(cells[0].text, cells[0].detail, cells[0].strong, marks, cells[0].right)
            found.append(cells)
        return found


def to_csv(table: Table) -> str:
    """Return all columns as CSV, numbers with six digits after the point, footnotes in full."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    names = [column.key + part for column in table.columns for part in _PARTS.get(column.kind, ("",))]
    writer.writerow([*names, "notes"])
    for row in table.rows:
        cells: list[str] = []
        for column in table.columns:
            cells += _numbers(row.values.get(column.key), len(_PARTS.get(column.kind, ("",))))
        writer.writerow([*cells, "; ".join(row.notes)])
    return out.getvalue()


def to_markdown(table: Table) -> str:
    """Return the table in Markdown, with its title, caption and footnotes."""
    titles = [f"{c.block}: {c.title}" if c.block else c.title for c in table.used]
    lines = [f"## {table.title}", "", table.caption, ""]
    lines.append("| " + " | ".join(_markdown(title) for title in titles) + " |")
    lines.append("|" + "|".join("---" if column.kind == "text" else "---:" for column in table.used) + "|")
    for cells in table.shown():
        words = []
        for cell in cells:
            text = f"**{_markdown(cell.text)}**" if cell.strong else _markdown(cell.text)
            words.append(" ".join(filter(None, [text, _markdown(cell.detail), *(f"\\[{m}\\]" for m in cell.marks)])))
        lines.append("| " + " | ".join(words) + " |")
    notes = [f"- \\[{letter}\\] {_markdown(note)}" for note, letter in table.footnotes.items()]
    return "\n".join([*lines, *([""] if notes else []), *notes, ""])


def to_latex(table: Table) -> str:
    """Return the table in LaTeX; it needs the package booktabs."""
    columns = table.used
    head = []
    if table.blocks:
        place, rules, names = 1, [], []
        for name, width in table.blocks:
            names.append(f"\\multicolumn{{{width}}}{{c}}{{{_latex(name)}}}")
            rules += [f"\\cmidrule(lr){{{place}-{place + width - 1}}}"] if name else []
            place += width
        head = [" & ".join(names) + r" \\", " ".join(rules)]
    head.append(" & ".join(_latex(column.title) for column in columns) + r" \\")
    lines = [
        r"\begin{table*}",
        r"\centering\footnotesize",
        f"\\caption{{{_latex(table.title)}. {_latex(table.caption)}}}",
        f"\\label{{tab:{table.name}}}",
        f"\\begin{{tabular}}{{{''.join('l' if column.kind == 'text' else 'c' for column in columns)}}}",
        r"\toprule",
        *head,
        r"\midrule",
        *(" & ".join(_latex_cell(cell) for cell in cells) + r" \\" for cells in table.shown()),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    notes = [f"$^{{{letter}}}$ {_latex(note)}." for note, letter in table.footnotes.items()]
    if notes:
        lines += [r"\par\smallskip", r"\begin{minipage}{\linewidth}\footnotesize", r"\\".join(notes), r"\end{minipage}"]
    return "\n".join([*lines, r"\end{table*}", ""])


def _latex_cell(cell: Shown) -> str:
    text = f"\\textbf{{{_latex(cell.text)}}}" if cell.strong else _latex(cell.text)
    if cell.detail:
        text = f"\\shortstack{{{text}\\\\{{\\scriptsize {_latex(cell.detail)}}}}}"
    return text + (f"$^{{{','.join(cell.marks)}}}$" if cell.marks else "")


_LATEX = {
    "\\": r"\textbackslash{}",
    **{letter: "\\" + letter for letter in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "[": "{[}",  # after a line break a bracket would be read as an option of it
    "−": "$-$",
    "±": r"$\pm$",
    "×": r"$\times$",
    "→": r"$\to$",
    "″": "$''$",
    "–": "--",
    "…": r"\ldots{}",
    "\u202f": r"\,",
    "<": "$<$",
    ">": "$>$",
}


def _latex(text: str) -> str:
    return "".join(_LATEX.get(letter, letter) for letter in text)


def _markdown(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _letter(index: int) -> str:
    """Return a, b, …, z, aa, ab, …"""
    more, last = divmod(index, len(ascii_lowercase))
    return (_letter(more - 1) if more else "") + ascii_lowercase[last]


def _shown(value: Value, kind: Kind) -> Shown:
    if value is None:
        return Shown("" if kind == "text" else "–", right=kind != "text")
    if isinstance(value, str):
        return Shown(value, right=kind != "text")
    if isinstance(value, Figure):
        return Shown(_with_spread(value.mean, value.sd), f"[{_short(value.low)}, {_short(value.high)}]")
    if isinstance(value, Mean):
        return Shown(_with_spread(value.mean, value.sd))
    if isinstance(value, Difference):
        interval = f"[{_signed(value.low)}, {_signed(value.high)}]"
        return Shown(_signed(value.mean), interval, strong=value.excludes_zero)
    if isinstance(value, PublishedFigure):
        digits = value.decimals
        spread = f" ± {_short(value.spread, digits)}" if value.spread is not None else ""
        return Shown(_short(value.value, digits) + spread)
    if isinstance(value, int):
        return Shown(_thousands(value))
    return Shown(f"{value:.3g}" if abs(value) < 1000 else _thousands(round(value)))


def _thousands(value: int) -> str:
    return f"{value:,}".replace(",", "\u202f")  # narrow, and no line is broken there


def _with_spread(mean: float, sd: float | None) -> str:
    return _short(mean) + (f" ± {_short(sd)}" if sd is not None else "")


def _short(value: float, digits: int = 3) -> str:
    """Return .847 for 0.847."""
    text = f"{value:.{digits}f}"
    return text[1:] if text.startswith("0.") else text


def _signed(value: float) -> str:
    text = _short(abs(value))
    return text if text == ".000" else ("+" if value > 0 else "−") + text


def _numbers(value: Value, width: int) -> list[str]:
    parts: list[Any]
    if isinstance(value, Figure):
        parts = [value.mean, value.sd, value.low, value.high]
    elif isinstance(value, Mean):
        parts = [value.mean, value.sd]
    elif isinstance(value, Difference):
        parts = [value.mean, value.low, value.high]
    elif isinstance(value, PublishedFigure):
        parts = [value.value, value.spread]
    else:
        parts = [value]
    parts += [None] * (width - len(parts))
    return ["" if p is None else f"{p:.6f}" if isinstance(p, float) else str(p) for p in parts]
