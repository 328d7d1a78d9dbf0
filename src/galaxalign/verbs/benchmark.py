"""The verb benchmark: every cell of a configuration, once, and the report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from galaxalign import bench, options as opt, reports, verbs
from galaxalign.data import tables
from galaxalign.errors import InputError
from galaxalign.signature import verb

if TYPE_CHECKING:
    from galaxalign.bench import Cell, Pretraining


@verb
def benchmark(
    *,
    config: opt.Config,
    out: opt.BenchmarkOut,
    data: opt.DataFolder = None,
    shard: opt.Shard = None,
    jobs: opt.Jobs = 1,
    dry_run: opt.DryRun = False,
    report_only: opt.ReportOnly = False,
    keep_models: opt.KeepModels = False,
    device: opt.Device = None,
    quiet: opt.Quiet = False,
) -> Path:
    """Compare methods on splits that do not leak: every cell of a configuration, with a report.

    Rerun to resume; several processes on the same folder share the cells.

    Returns
    -------
    Path
        The report; the folder after a dry run or a shard.

    Raises
    ------
    InputError
        The configuration is invalid, or a cell failed: the others are finished first.
    """

    def pretrain(wanted: Pretraining, folder: Path) -> None:
        verbs.train(
            recipe=wanted.recipe,
            catalog=wanted.catalogs,
            taxonomy=wanted.taxonomies,
            encoder=wanted.encoder,
            size=wanted.size,
            split=wanted.split or None,
            weight=wanted.weights,
            view=wanted.views,
            seed=wanted.seed,
            out=folder,
            device=device,
            quiet=quiet or jobs > 1,
        )

    bench.forget_files()
    plan, folder = bench.load_benchmark(config, data=data), Path(out)
    cells = _shard(plan.cells(), shard)
    if jobs < 1:
        raise InputError(f"--jobs is {jobs}; give 1 or more")
    tables.check_output(folder, folder=True)
    runner = bench.Runner(plan, folder, pretrain, device=device, jobs=jobs, keep_models=keep_models, quiet=quiet)
    if dry_run:
        digests = runner.digests() if (folder / "cells").is_dir() else {}
        bench.print_estimate(plan, cells, folder, digests, jobs=jobs, device=device)
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    if not report_only:
        runner.run(cells)
    failed, reason = runner.failure(cells)
    if failed and failed == len(cells):
        raise InputError(reason)
    page = reports.write_benchmark_report(folder, plan, runner.digests()) if shard is None else folder
    if failed:
        raise InputError(f"{reason} (the other cells are done, see {folder})")
    return page


def _shard(cells: list[Cell], shard: str | None) -> list[Cell]:
    """Return every n-th of the cells, from the k-th on, for "k/n"."""
    if shard is None:
        return cells
    first, _, count = shard.partition("/")
    if not (first.isdigit() and count.isdigit() and 1 <= int(first) <= int(count)):
        raise InputError(f"--shard is {shard!r}; write 3/16 for the third of sixteen")
    return cells[int(first) - 1 :: int(count)]
