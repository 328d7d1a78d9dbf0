"""Keep finished runs in three Parquet files.

    python benchmarks/archive.py pack GROUP FOLDER    # replaces the runs of GROUP in benchmarks/results
    python benchmarks/archive.py unpack FOLDER        # writes the cells of `here` into FOLDER/cells

The groups are

- `here`: cells of `galaxalign benchmark benchmarks/here.toml` (FOLDER is its output),
- `transfer`: runs of benchmarks/transfer.py (NAME.json, NAME.npz),
- `cells`: the first comparison of methods, which benchmarks/compare.py shows (NAME.json, NAME.npz),
- `caption_ablation`: variants of benchmarks/caption_ablation.py (NAME.json).

`records.parquet` holds the JSON of each run without its history of epochs, `predictions.parquet` a row for each test
galaxy of each run, `galaxies.parquet` what all runs share: label, group and columns of the catalogue; GROUP.csv is a
table of the figures. Rounded are average precision (four digits, `average_precision_1e4` is an integer), the
probabilities of `here` (half precision) and the numbers of the JSON (six digits).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

RESULTS = Path(__file__).parent / "results"
GROUPS = ("here", "transfer", "cells", "caption_ablation")
AVERAGES = ["average_precision", "average_precision_at_5"]
ROUNDED = "average_precision_1e4"
PROBABILITY = "probability_"


def write(table: pa.Table, name: str, folder: Path) -> None:
    """Write one of the three files, small."""
    kinds = (pa.float16(), pa.int16())
    halves = [field.name for field in table.schema if field.type in kinds]
    pq.write_table(
        table,
        folder / f"{name}.parquet",
        compression="zstd",
        compression_level=19,
        use_dictionary=[field.name for field in table.schema if field.name not in halves],
        use_byte_stream_split=halves or False,
    )


def rounded(value: Any) -> Any:
    """Return JSON with numbers of six digits and without the history of the epochs."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, list):
        return [rounded(each) for each in value]
    if isinstance(value, dict):
        return {key: rounded(each) for key, each in value.items() if key != "history"}
    return value


def halved(probabilities: np.ndarray) -> np.ndarray:
    """Return probabilities (N, C) in half precision; the most probable class stays the same."""
    best, out = probabilities.argmax(1), probabilities.astype(np.float16)
    rows = np.flatnonzero(out.argmax(1) != best)
    out[rows, best[rows]] = np.nextafter(out[rows].max(1), np.float16(2))
    return out


def read_runs(group: str, folder: Path) -> dict[str, tuple[dict[str, Any], pd.DataFrame | None]]:
    """Return summary and predictions of each run in a folder."""
    runs: dict[str, tuple[dict[str, Any], pd.DataFrame | None]] = {}
    pattern = "cells/*/cell.json" if group == "here" else "*.json"
    for path in sorted(folder.glob(pattern)):
        summary = json.loads(path.read_text())
        if group == "here":
            runs[path.parent.name] = summary, pq.read_table(path.with_name("predictions.parquet")).to_pandas()
        elif path.with_suffix(".npz").is_file():
            runs[path.stem] = summary, of_arrays(path.with_suffix(".npz"))
        elif group == "caption_ablation":
            runs[path.stem] = summary, None
    return runs


def of_arrays(path: Path) -> pd.DataFrame:
    with np.load(path) as arrays:
        table = pd.DataFrame({"id_str": arrays["ids"], "label": arrays["labels"]})
        for i, column in enumerate(arrays["probabilities"].T):
            table[f"{PROBABILITY}{i}"] = column
        for name in AVERAGES:
            table[name] = arrays[name]
    return table


def survey_of(summary: dict[str, Any]) -> str:
    return str(summary.get("dataset") or summary["target"])


def pack(group: str, folder: Path, results: Path = RESULTS) -> None:
    """Put the runs of a folder into the three files, in place of those of the same group."""
    runs = read_runs(group, folder)
    if not runs:
        raise SystemExit(f"{folder} holds no finished runs of {group}")
    tables = read(results)
    galaxies = tables["galaxies"]
    records, rows = [], []
    for name, (summary, predictions) in runs.items():
        records.append({"run_group": group, "run": name, "json": json.dumps(rounded(summary), separators=(",", ":"))})
        if predictions is None:
            continue
        survey = survey_of(summary)
        galaxies = with_galaxies(galaxies, survey, predictions)
        columns = [column for column in predictions if column.startswith(PROBABILITY)]
        probabilities = predictions[columns].to_numpy(np.float32)
        row = {"run_group": group, "run": name, "survey": survey, "id_str": predictions["id_str"].astype(str)}
        row["predicted"] = probabilities.argmax(1).astype(np.int8)
        if group == "here":
            row |= {f"p{i}": column for i, column in enumerate(halved(probabilities).T)}
        precision, at_5 = (predictions[name].to_numpy(np.float32) for name in AVERAGES)
        row |= {ROUNDED: np.where(np.isnan(precision), -1, np.round(precision * 1e4)).astype(np.int16)}
        rows.append(pd.DataFrame(row | {AVERAGES[1]: at_5}))
    write(pa.Table.from_pandas(galaxies, preserve_index=False), "galaxies", results)
    for name, new in (("records", pd.DataFrame(records)), ("predictions", pd.concat(rows) if rows else None)):
        if new is not None:
            old = tables[name]
            kept = old[old["run_group"] != group] if len(old) else old
            whole = pd.concat([kept, new], ignore_index=True).sort_values(["run_group", "run"], kind="stable")
            write(pa.Table.from_pandas(whole, preserve_index=False), name, results)
    write_summary(group, pd.DataFrame(records), results)


def read(results: Path) -> dict[str, pd.DataFrame]:
    """Return the three files as tables; one that is missing is empty."""
    names = ("records", "predictions", "galaxies")
    paths = {name: results / f"{name}.parquet" for name in names}
    return {name: pq.read_table(p).to_pandas() if p.is_file() else pd.DataFrame() for name, p in paths.items()}


def with_galaxies(galaxies: pd.DataFrame, survey: str, predictions: pd.DataFrame) -> pd.DataFrame:
    """Return the table of galaxies with those of a run added."""
    own = [name for name in predictions if not name.startswith(PROBABILITY) and name not in AVERAGES]
    new = predictions[own].assign(survey=survey, id_str=predictions["id_str"].astype(str))
    if len(galaxies):
        keys = ["survey", "id_str"]
        both = galaxies[[*keys, "label"]].merge(new[[*keys, "label"]], on=keys)
        if (both["label_x"] != both["label_y"]).any():
            raise SystemExit(f"runs of {survey} disagree on the labels of its galaxies")
        known = set(map(tuple, galaxies[keys].to_numpy()))
        new = new[[key not in known for key in map(tuple, new[keys].to_numpy())]]
    return pd.concat([galaxies, new], ignore_index=True) if len(new) else galaxies


def unpack(folder: Path, results: Path = RESULTS) -> None:
    """Write the cells of the group `here` into FOLDER/cells, where `galaxalign benchmark` looks for them."""
    tables = read(results)
    galaxies = tables["galaxies"].set_index(["survey", "id_str"])
    records, predictions = (tables[name].query("run_group == 'here'") for name in ("records", "predictions"))
    rows = dict(list(predictions.groupby("run")))
    for name, text in zip(records["run"], records["json"], strict=True):
        cell = folder / "cells" / name
        cell.mkdir(parents=True, exist_ok=True)
        table = of_cell(rows[name], galaxies, json.loads(text)["classes"])
        pq.write_table(pa.Table.from_pandas(table, preserve_index=False), cell / "predictions.parquet")
        (cell / "cell.json").write_text(json.dumps(json.loads(text), indent=2))


def of_cell(rows: pd.DataFrame, galaxies: pd.DataFrame, classes: list[str]) -> pd.DataFrame:
    """Return predictions.parquet of a cell."""
    shared = galaxies.loc[list(zip(rows["survey"], rows["id_str"], strict=True))].dropna(axis=1, how="all")
    out = shared.reset_index().drop(columns="survey")
    for i, name in enumerate(classes):
        out[f"{PROBABILITY}{name}"] = rows[f"p{i}"].to_numpy(np.float32)
    return out.assign(**averages(rows))


def to_arrays(rows: pd.DataFrame, galaxies: pd.DataFrame) -> dict[str, np.ndarray]:
    """Return the arrays of a run."""
    keys = list(zip(rows["survey"], rows["id_str"], strict=True))
    return {
        "ids": rows["id_str"].to_numpy(str),
        "labels": galaxies.loc[keys, "label"].to_numpy(np.int64),
        "predictions": rows["predicted"].to_numpy(np.int64),
        **averages(rows),
    }


def averages(rows: pd.DataFrame) -> dict[str, np.ndarray]:
    """Return average precision and that of the first five; NaN for the only galaxy of a class."""
    rounded = rows[ROUNDED].to_numpy(np.float32)
    values = np.where(rounded < 0, np.nan, rounded / 1e4), rows[AVERAGES[1]].to_numpy()
    return {name: value.astype(np.float32) for name, value in zip(AVERAGES, values, strict=True)}


def runs(group: str, results: Path = RESULTS) -> dict[str, tuple[dict[str, Any], dict[str, np.ndarray]]]:
    """Return summary and arrays (ids, labels, predictions, average precisions) of each run of a group."""
    tables = read(results)
    galaxies = tables["galaxies"].set_index(["survey", "id_str"])
    own = {name: table[table["run_group"] == group] for name, table in tables.items() if name != "galaxies"}
    rows = dict(list(own["predictions"].groupby("run")))
    return {
        name: (json.loads(text), to_arrays(rows[name], galaxies) if name in rows else {})
        for name, text in zip(own["records"]["run"], own["records"]["json"], strict=True)
    }


def write_summary(group: str, records: pd.DataFrame, results: Path) -> None:
    """Write the figures of a group for people: a CSV with one row for each run."""
    rows = []
    for name, text in zip(records["run"], records["json"], strict=True):
        summary = json.loads(text)
        figures = flat({"test": summary["test"]}, "")
        settings = {key: value for key, value in summary.items() if isinstance(value, (str, int, float))}
        rows.append({"run": name} | settings | figures)
    table = pd.DataFrame(rows).drop(columns=["name", "digest", "git_commit", "format", "python"], errors="ignore")
    table.to_csv(results / f"{group}.csv", index=False, float_format="%.4g", lineterminator="\n")


def flat(value: dict[str, Any], prefix: str) -> dict[str, float]:
    """Return the numbers of nested JSON; dots join the levels, and an interval is two numbers."""
    out: dict[str, float] = {}
    for key, each in value.items():
        name = f"{prefix}{key}"
        if isinstance(each, dict) and key not in ("per_class", "per_question"):
            out |= flat(each, f"{name}.")
        elif isinstance(each, list) and name.endswith("_ci"):
            out |= {f"{name}_low": each[0], f"{name}_high": each[1]}
        elif isinstance(each, (int, float)):
            out[name] = each
    return {name.removeprefix("test."): number for name, number in out.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    commands = parser.add_subparsers(dest="what", required=True)
    packing = commands.add_parser("pack", help="put the runs of a folder into benchmarks/results")
    packing.add_argument("group", choices=GROUPS)
    packing.add_argument("folder", type=Path)
    commands.add_parser("unpack", help="write the cells of `here`").add_argument("folder", type=Path)
    args = parser.parse_args()
    if args.what == "pack":
        pack(args.group, args.folder)
    else:
        unpack(args.folder)


if __name__ == "__main__":
    main()
