"""What the rows are, whether each passes the gates, which cells are missing, and what the cells cost."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from galaxalign.benchmark.compare import Method
from galaxalign.benchmark.own_tables import footnotes
from galaxalign.benchmark.paper_tables import of_method
from galaxalign.benchmark.study import Line, Study
from galaxalign.benchmark.tables import Column, Kind, Row, Table, Value
from galaxalign.benchmark.verdicts import GATES

__all__ = ["cost_table", "gate_table", "missing_table", "systems_table"]


def systems_table(study: Study) -> Table:
    """Return what each row started from and how it was trained."""
    columns = [Column(name, name.capitalize()) for name in ("method", "encoder", "weights", "training")]
    columns.append(Column("published", "Published as"))
    rows = []
    for line in study.lines:
        tower = study.benchmark.encoder(line.encoder)
        load, _, file = tower.load.partition("@")
        values: dict[str, Value] = {
            "method": line.title,
            "encoder": f"{load}@{Path(file).name}" if file else load,
            "weights": line.weights or None,
            "training": line.training,
            "published": ", ".join(line.published) or None,
        }
        rows.append(Row(values))
    caption = "What the rows of the tables start from, with which weights, and the recipe that trains them."
    return Table("systems", "Systems", caption, columns, rows)


def gate_table(study: Study) -> Table:
    """Return what the gates say of each row."""
    columns = [
        Column("method", "Method"),
        Column("dataset", "Data set"),
        Column("protocol", "Protocol"),
        Column("cells", "Cells", "count"),
        *(Column(gate, words[0].upper() + words[1:]) for gate, words in GATES.items()),
        Column("control", "Control: ROC area", "number"),
        Column("p", "p", "number"),
        Column("limit", "passes below", "number"),
    ]
    rows = []
    protocols = dict.fromkeys(key.protocol for key in study.planned)
    for dataset in study.datasets:
        for line in study.lines:
            for protocol in protocols:
                keys = [
                    key
                    for key in study.planned
                    if not key.shuffled and (key.dataset, key.protocol) == (dataset, protocol)
                ]
                mine = [key for key in keys if (key.encoder, key.training) == (line.encoder, line.training)]
                methods = [study.methods[key] for key in mine if key in study.methods]
                if methods:
                    rows.append(_gate_row(study, line, dataset, protocol, methods))
    caption = (
        "What must hold of every cell. In part: nothing was found, but not everything could be looked at, see the "
        "notes. Shuffle control: the same training on labels dealt anew at random. The area under the ROC curve of "
        "each class's own probability on the true labels of the test galaxies (mean over the classes) is held against "
        "those of the other classes' probabilities, and passes with p > 0.001. A leak too small to lift it to the last "
        "column is not seen: the control finds gross leaks only."
    )
    return Table("gates", "Gates", caption, columns, rows)


def _gate_row(study: Study, line: Line, dataset: str, protocol: str, methods: Sequence[Method]) -> Row:
    values: dict[str, Value] = {"method": line.title, "dataset": study.title(dataset), "protocol": protocol}
    values["cells"] = sum(len(method.cells) for method in methods)
    notes = []
    for number, gate in enumerate(GATES):
        verdicts = [study.verdicts(method)[number] for method in methods]
        told = {verdict.passed for verdict in verdicts}
        whole = all(verdict.whole for verdict in verdicts)
        passed = "passed" if whole else "in part"
        values[gate] = "NOT PASSED" if False in told else "not run" if None in told else passed
        notes += [verdict.note for verdict in verdicts if verdict.note]
        notes += [f"{GATES[gate]}: {verdict.words}" for verdict in verdicts if verdict.passed and not verdict.whole]
        if gate == "leaks" and study.unlisted(line.encoder):
            values[gate] = "in part" if values[gate] == "passed" else values[gate]
            notes.append(
                f"{GATES[gate]}: what the weights were trained on ({line.weights or 'not told'}) is not listed galaxy "
                "by galaxy, so test galaxies may be among it"
            )
        if verdicts[0].control is not None:
            control = verdicts[0].control
            values |= {"control": control.observed, "p": control.p, "limit": control.limit}
    return Row(values, tuple(dict.fromkeys(notes)))


def missing_table(study: Study) -> Table:
    """Return the cells that are not finished."""
    columns = [Column("cell", "Cell"), Column("kind", "Kind")]
    rows = [Row({"cell": cell.name, "kind": "control" if cell.shuffled else "result"}) for cell in study.missing]
    caption = (
        f"{len(rows)} of {len(study.benchmark.cells())} cells are not finished; the same command goes on with them."
    )
    return Table("missing", "Missing cells", caption, columns, rows)


_COST: dict[str, tuple[str, Kind]] = {
    "seconds_training": ("Training, s", "number"),
    "seconds_encoding": ("Encoding, s", "number"),
    "images_per_second": ("Images/s in training", "number"),
    "parameters": ("Parameters", "count"),
    "parameters_trained": ("of them trained", "count"),
    "joules": ("Joules", "number"),
}


def cost_table(study: Study) -> Table:
    """Return what the rows cost, which differs from run to run."""
    columns = [
        Column("method", "Method"),
        Column("dataset", "Data set"),
        Column("seeds", "Seeds", "count"),
        *(Column(key, title, kind) for key, (title, kind) in _COST.items()),
        Column("macro_f1", "Macro F1", "figure"),
        Column("device", "Device"),
        Column("threads", "Threads"),
        Column("energy", "Energy from"),
    ]
    rows = []
    for dataset in study.datasets:
        for line, method in study.top(dataset):
            values: dict[str, Value] = {"method": line.title, "dataset": study.title(dataset)}
            values |= of_method(method, ("macro_f1",))
            for key, (_, kind) in _COST.items():
                mean = method.cost(key)
                values[key] = round(mean) if mean is not None and kind == "count" else mean
            for key, name in (("device", "device"), ("threads", "threads"), ("energy", "energy_source")):
                said = dict.fromkeys(str(cell.about["cost"].get(name, "not known")) for cell in method.cells)
                values[key] = ", ".join(said)
            rows.append(Row(values, footnotes(study, method)))
    caption = (
        "With the most labels, mean over the seeds: seconds of training (with choosing epoch and classifier) and of "
        "encoding the test part. "
        "Alone among the tables this one differs when the same cells are run again."
    )
    return Table("cost", "Cost", caption, columns, rows)
