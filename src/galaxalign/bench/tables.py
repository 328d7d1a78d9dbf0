"""A table of figures as CSV, Markdown, LaTeX, and as cells of a page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import groupby
from string import ascii_lowercase
from typing import Literal

import pandas as pd

from galaxalign.bench.compare import Figure

Kind = Literal["text", "count", "number", "figure", "mean", "difference", "published"]
Value = str | int | float | Figure | None

# Suffixes of the columns of a figure in CSV, and the attribute in each.
_PARTS: dict[str, dict[str, str]] = {
    "figure": {"": "mean", "_sd": "sd", "_low": "low", "_high": "high"},
    "mean": {"": "mean", "_sd": "sd"},
    "difference": {"": "mean", "_low": "low", "_high": "high"},
    "published": {"": "mean", "_spread": "sd"},
}


@dataclass(frozen=True)
class Column:
    """A column of a table."""

    key: str  # its name in the CSV file; a figure also has `<key>_sd`, `<key>_low`, `<key>_high`
    title: str
    kind: Kind = "text"
    block: str = ""  # the heading above it and its neighbours of the same block, such as a data set


@dataclass(frozen=True)
class Row:
    """A row: values by the key of the column, and footnotes."""

    values: Mapping[str, Value]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Printed:
    """A cell as printed: the figure, its interval, bold or not, letters of footnotes, and whether it is a number."""

    text: str
    detail: str = ""
    strong: bool = False
    marks: tuple[str, ...] = ()
    right: bool = True


@dataclass(frozen=True)
class Table:
    """A table; `name` is that of its files, and footnotes are marked in the first column."""

    name: str
    title: str
    caption: str
    columns: list[Column]
    rows: list[Row] = field(default_factory=list)

    @property
    def used(self) -> list[Column]:
        """The first column and all others with a value."""
        first, *others = self.columns
        return [first, *(c for c in others if any(row.values.get(c.key) is not None for row in self.rows))]

    @property
    def blocks(self) -> list[tuple[str, int]]:
        """The blocks of the used columns and how many columns each has; [] without blocks."""
        blocks = [(name, len(list(members))) for name, members in groupby(self.used, key=lambda column: column.block)]
        return blocks if any(name for name, _ in blocks) else []

    @property
    def footnotes(self) -> dict[str, str]:
        """The footnotes and their letters."""
        notes = dict.fromkeys(note for row in self.rows for note in row.notes)
        return {note: _letter(index) for index, note in enumerate(notes)}

    def printed(self) -> list[list[Printed]]:
        """Return the used cells as printed, row by row."""
        columns, letters = self.used, self.footnotes
        rows = []
        for row in self.rows:
            cells = [_printed(row.values.get(column.key), column.kind) for column in columns]
            cells[0] = replace(cells[0], marks=tuple(letters[note] for note in row.notes))
            rows.append(cells)
        return rows


def to_csv(table: Table) -> str:
    """Return all columns as CSV, numbers with six digits after the point, footnotes in full."""
    data: dict[str, list[str]] = {}
    for column in table.columns:
        values = [row.values.get(column.key) for row in table.rows]
        for suffix, attribute in _PARTS.get(column.kind, {"": ""}).items():
            data[column.key + suffix] = [_number(getattr(value, attribute, value)) for value in values]
    data["notes"] = ["; ".join(row.notes) for row in table.rows]
    return pd.DataFrame(data).to_csv(index=False, lineterminator="\n")


def to_markdown(table: Table) -> str:
    """Return the table in Markdown, with its title, caption and footnotes."""
    columns = table.used
    titles = [_markdown(f"{c.block}: {c.title}" if c.block else c.title) for c in columns]
    rows = [titles, ["---" if column.kind == "text" else "---:" for column in columns]]
    for cells in table.printed():
        rows.append([])
        for cell in cells:
            text = f"**{_markdown(cell.text)}**" if cell.strong else _markdown(cell.text)
            parts = [text, _markdown(cell.detail), *(f"\\[{mark}\\]" for mark in cell.marks)]
            rows[-1].append(" ".join(filter(None, parts)))
    lines = [f"| {' | '.join(cells)} |" for cells in rows]
    lines[1] = lines[1].replace(" ", "")
    notes = [f"- \\[{letter}\\] {_markdown(note)}" for note, letter in table.footnotes.items()]
    return "\n".join([f"## {table.title}", "", table.caption, "", *lines, *([""] if notes else []), *notes, ""])


def to_latex(table: Table) -> str:
    """Return the table in LaTeX; it needs the package booktabs."""
    columns, head = table.used, []
    if table.blocks:
        place, rules, names = 1, [], []
        for name, width in table.blocks:
            names.append(f"\\multicolumn{{{width}}}{{c}}{{{_latex(name)}}}")
            rules += [f"\\cmidrule(lr){{{place}-{place + width - 1}}}"] if name else []
            place += width
        head = [" & ".join(names) + r" \\", " ".join(rules)]
    notes = [f"$^{{{letter}}}$ {_latex(note)}." for note, letter in table.footnotes.items()]
    lines = [
        r"\begin{table*}",
        r"\centering\footnotesize",
        f"\\caption{{{_latex(table.title)}. {_latex(table.caption)}}}",
        f"\\label{{tab:{table.name}}}",
        f"\\begin{{tabular}}{{{''.join('l' if column.kind == 'text' else 'c' for column in columns)}}}",
        r"\toprule",
        *head,
        " & ".join(_latex(column.title) for column in columns) + r" \\",
        r"\midrule",
        *(" & ".join(map(_latex_cell, cells)) + r" \\" for cells in table.printed()),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    if notes:
        lines += [r"\par\smallskip", r"\begin{minipage}{\linewidth}\footnotesize", r"\\".join(notes), r"\end{minipage}"]
    return "\n".join([*lines, r"\end{table*}", ""])


def _latex_cell(cell: Printed) -> str:
    text = f"\\textbf{{{_latex(cell.text)}}}" if cell.strong else _latex(cell.text)
    if cell.detail:
        text = f"\\shortstack{{{text}\\\\{{\\scriptsize {_latex(cell.detail)}}}}}"
    return text + (f"$^{{{','.join(cell.marks)}}}$" if cell.marks else "")


_LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        **{letter: "\\" + letter for letter in "&%$#_{}"},
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "[": "{[}",  # after a line break LaTeX reads a bracket as an option
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
)


def _latex(text: str) -> str:
    return text.translate(_LATEX)


def _markdown(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _letter(index: int) -> str:
    """Return a, b, …, z, aa, ab, …"""
    more, last = divmod(index, len(ascii_lowercase))
    return (_letter(more - 1) if more else "") + ascii_lowercase[last]


def _printed(value: Value, kind: Kind) -> Printed:
    right = kind != "text"
    if value is None:
        return Printed("–" if right else "", right=right)
    if isinstance(value, str):
        return Printed(value, right=right)
    if isinstance(value, int | float):
        small = isinstance(value, float) and abs(value) < 1000
        # a narrow space between thousands, where no line breaks
        return Printed(f"{value:.3g}" if small else f"{round(value):,}".replace(",", "\u202f"))
    number = _signed if kind == "difference" else _short
    spread = f" ± {_short(value.sd, value.decimals)}" if value.sd is not None else ""
    if value.low is None or value.high is None:
        return Printed(number(value.mean, value.decimals) + spread)
    interval = f"[{number(value.low)}, {number(value.high)}]"
    strong = kind == "difference" and (value.low > 0 or value.high < 0)
    return Printed(number(value.mean, value.decimals) + spread, interval, strong)


def _short(value: float, digits: int = 3) -> str:
    """Return .847 for 0.847."""
    text = f"{value:.{digits}f}"
    return text[1:] if text.startswith("0.") else text


def _signed(value: float, digits: int = 3) -> str:
    text = _short(abs(value), digits)
    return text if text == ".000" else ("+" if value > 0 else "−") + text


def _number(value: Value) -> str:
    return "" if value is None else f"{value:.6f}" if isinstance(value, float) else str(value)
