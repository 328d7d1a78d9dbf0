"""Is the label-shuffle control well judged? Controls of other seeds than those that its rule was made with.

    python benchmarks/fresh_controls.py benchmarks/here.toml --data FOLDER --out OUT --seeds 1 2

OUT may be that of the benchmark: its prepared pictures are used, and its finished cells with true labels (the least
share that there is) are judged by the same rule, which should fail them. The same command continues after a stop.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pandas as pd
import torch

from galaxalign.bench import Cell, cell_digest, load_benchmark
from galaxalign.bench.cell import run_cell
from galaxalign.bench.results import cell_folder, finished
from galaxalign.bench.verdicts import chance_test
from galaxalign.data import read_split


def main() -> None:
    """Run the controls and print how each is judged."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--result", type=Path, default=Path("fresh_controls.json"))
    arguments = parser.parse_args()
    plan = load_benchmark(arguments.config, data=arguments.data)
    torch.set_num_threads(plan.threads or 1)
    first = [cell for cell in plan.cells() if cell.shuffled]
    controls = [cell.model_copy(update={"seed": seed}) for seed in arguments.seeds for cell in first]
    for cell in sorted(controls, key=lambda cell: (cell.seed, cell.dataset)):
        split = read_split(plan.dataset(cell.dataset).split)
        if finished(arguments.out, cell, cell_digest(cell, plan, split)) is None:
            run_cell(cell, plan, split, arguments.out, quiet=True)
    report = []
    for control in controls:
        for cell in (control, *with_labels(control, plan.cells(), arguments.out)):
            report.append({"cell": cell.name, "shuffled": cell.shuffled, **judged(cell, arguments.out)})
            print(json.dumps(report[-1]), flush=True)
    arguments.result.write_text(json.dumps(report, indent=2))


def with_labels(control: Cell, cells: list[Cell], out: Path) -> list[Cell]:
    """Return the finished cell of the same training and seed that learnt from the fewest true labels, if any."""
    same = {"dataset": control.dataset, "encoder": control.encoder, "training": control.training, "seed": control.seed}
    found = [
        cell
        for cell in cells
        if same.items() <= cell.model_dump().items() and not cell.shuffled and cell.protocol == "clean"
    ]
    return sorted((cell for cell in found if finished(out, cell) is not None), key=lambda cell: cell.share)[:1]


def judged(cell: Cell, out: Path) -> dict[str, float | bool]:
    """Return what the gate says of a cell's predictions."""
    about = finished(out, cell)
    assert about is not None
    table = pd.read_parquet(cell_folder(out, cell) / "predictions.parquet")
    scores = table[[f"probability_{name}" for name in about["classes"]]].to_numpy(float)
    found = chance_test(table["label"].to_numpy(int), scores)
    assert found is not None
    return {"area": found.observed, "p": found.p, "limit": found.limit, "passed": bool(found.passed)}


if __name__ == "__main__":
    main()
