"""The systems of the rows, the gates that they pass, missing cells, and costs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from galaxalign.bench.compare import Method
from galaxalign.bench.config import Line
from galaxalign.bench.paper_tables import of_method
from galaxalign.bench.study import Study
from galaxalign.bench.tables import Column, Kind, Row, Table, Value
from galaxalign.bench.verdicts import GATES

_COST: dict[str, tuple[str, Kind]] = {
    "seconds_training": ("Training, s", "number"),
    "seconds_encoding": ("Encoding, s", "number"),
    "images_per_second": ("Images/s in training", "number"),
    "parameters": ("Parameters", "count"),
    "parameters_trained": ("of them trained", "count"),
    "joules": ("Joules", "number"),
}


def systems_table(study: Study) -> Table:
    """Return the encoder, weights and training of each row."""
    columns = [Column(name, name.capitalize()) for name in ("method", "encoder", "weights", "training")]
    columns.append(Column("published", "Published as"))
    rows = []
    for line in study.lines:
        tower = study.benchmark.encoder(line.encoder)
        load, _, file = tower.load.partition("@")
        values: dict[str, Value] = {
            "method": line.title,
            "encoder": f"{load}@{Path(file).name}" if file else load,
            "weights": tower.weights or None,
            "training": line.training,
            "published": ", ".join(line.published) or None,
        }
        rows.append(Row(values))
    caption = "The encoder and weights that each row starts from, and the recipe that trains it."
    return Table("systems", "Systems", caption, columns, rows)


def gate_table(study: Study) -> Table:
    """Return the verdicts of the gates on each row."""
    columns = [
        Column("method", "Method"),
        Column("dataset", "Data set"),
        Column("protocol", "Protocol"),
        Column("cells", "Cells", "count"),
        *(Column(gate, title[0].upper() + title[1:]) for gate, title in GATES.items()),
        Column("control", "Control: ROC area", "number"),
        Column("p", "p", "number"),
        Column("limit", "passes below", "number"),
    ]
    rows = []
    for dataset in study.datasets:
        for line in study.lines:
            for protocol in study.protocols:
                wanted = (dataset, line.encoder, line.training, protocol, False)
                methods = [
                    study.methods[key]
                    for key in study.planned
                    if key in study.methods
                    and (key.dataset, key.encoder, key.training, key.protocol, key.shuffled) == wanted
                ]
                if methods:
                    rows.append(_gate_row(study, line, methods))
    caption = (
        "The gates of every cell. In part: nothing was found, but not everything could be checked; see the notes. "
        "Shuffle control: the same training on shuffled labels. The area under the ROC curve of each class's own "
        "probability on the true labels of the test galaxies (mean over the classes) is compared with those of the "
        "other classes' probabilities, and passes with p > 0.001. A leak too small to reach the last column is not "
        "detected: the control finds gross leaks only."
    )
    return Table("gates", "Gates", caption, columns, rows)


def _gate_row(study: Study, line: Line, methods: Sequence[Method]) -> Row:
    key = methods[0].key
    values: dict[str, Value] = {"method": line.title, "dataset": study.title(key.dataset), "protocol": key.protocol}
    values["cells"] = sum(len(method.cells) for method in methods)
    notes = []
    for gate, verdicts in zip(GATES, zip(*map(study.verdicts, methods), strict=True), strict=True):
        outcomes = {verdict.passed for verdict in verdicts}
        passed = "passed" if all(verdict.complete for verdict in verdicts) else "in part"
        values[gate] = "NOT PASSED" if False in outcomes else "not run" if None in outcomes else passed
        notes += [verdict.note for verdict in verdicts if verdict.note]
        notes += [f"{GATES[gate]}: {verdict.reason}" for verdict in verdicts if verdict.passed and not verdict.complete]
        if gate == "leaks" and study.unlisted(line.encoder):
            values[gate] = "in part" if values[gate] == "passed" else values[gate]
            weights = study.benchmark.encoder(line.encoder).weights or "unknown weights"
            notes.append(
                f"{GATES[gate]}: the weights ({weights}) do not list their training galaxies, so test galaxies may be "
                "among them"
            )
        if (control := verdicts[0].control) is not None:
            values |= {"control": control.observed, "p": control.p, "limit": control.limit}
    return Row(values, tuple(dict.fromkeys(notes)))


def missing_table(study: Study) -> Table:
    """Return the unfinished cells."""
    columns = [Column("cell", "Cell"), Column("kind", "Kind")]
    rows = [Row({"cell": cell.name, "kind": "control" if cell.shuffled else "result"}) for cell in study.missing]
    caption = f"{len(rows)} of {len(study.benchmark.cells())} cells are not finished; rerun the same command to resume."
    return Table("missing", "Missing cells", caption, columns, rows)


def cost_table(study: Study) -> Table:
    """Return the cost of the rows, which differs from run to run."""
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
                known = dict.fromkeys(str(cell.about["cost"].get(name, "not known")) for cell in method.cells)
                values[key] = ", ".join(known)
            rows.append(Row(values, study.notes(method.key)))
    caption = (
        "With the most labels, mean over the seeds: seconds of training (with the choice of epoch and classifier) and "
        "of encoding the test part. Only this table changes when the same cells run again."
    )
    return Table("cost", "Cost", caption, columns, rows)
