"""`galaxalign benchmark`: every cell of a configuration, once, by one or many processes, and the report."""

from __future__ import annotations

import os
import time
import traceback
from contextlib import ExitStack
from pathlib import Path

from filelock import FileLock, Timeout

from galaxalign.benchmark.cell import cell_digest, forget, run_cell
from galaxalign.benchmark.config import Benchmark, Cell, load_benchmark
from galaxalign.benchmark.report import write_benchmark_report
from galaxalign.benchmark.results import cell_folder, finished
from galaxalign.data.catalog import check_output, read_catalog
from galaxalign.data.files import write_text
from galaxalign.data.sky import arcsec
from galaxalign.data.splits import Split, make_split, read_split
from galaxalign.errors import InputError
from galaxalign.progress import note
from galaxalign.training.run import train

__all__ = ["benchmark"]

_ERROR = "error.txt"


def benchmark(
    *,
    config: str | Path,
    out: str | Path,
    data: str | Path | None = None,
    shard: str | None = None,
    jobs: int = 1,
    dry_run: bool = False,
    report_only: bool = False,
    keep_models: bool = False,
    device: str | None = None,
    quiet: bool = False,
) -> Path:
    """Run the cells of a benchmark that are not finished, and write its report.

    The same command goes on where it was stopped, and several processes on the same folder share the cells.

    Parameters
    ----------
    config : path
        TOML, see `galaxalign.benchmark.config`.
    out : path
        Folder of the cells and the report.
    data : path, optional
        What "{data}" in the configuration stands for.
    shard : str, optional
        "3/16": only every 16th cell, from the third on, as for the tasks of a Slurm array; no report.
    jobs : int
        Processes that run cells at the same time. With GPUs each process has one of them.
    dry_run : bool
        Print the cells and an estimate, and run nothing.
    report_only : bool
        Write the report of what is finished, and run nothing.
    keep_models : bool
        Keep each cell's model folder.
    device : str, optional
    quiet : bool

    Returns
    -------
    Path
        The report; the folder after a dry run or a shard.

    Raises
    ------
    InputError
        The configuration is at fault, or a cell failed: the others are finished first, and its reason is told.
    """
    forget()
    plan, folder = load_benchmark(config, data=data), Path(out)
    cells = _shard(plan.cells(), shard)
    if jobs < 1:
        raise InputError(f"--jobs is {jobs}; give 1 or more")
    check_output(folder, folder=True)
    if dry_run:
        from galaxalign.benchmark.estimate import print_estimate

        known = _digests(plan, folder) if (folder / "cells").is_dir() else {}
        print_estimate(plan, cells, folder, known, jobs=jobs, device=device)
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    if not report_only:
        for cell in cells:  # a failure of an earlier run is tried again
            (cell_folder(folder, cell) / _ERROR).unlink(missing_ok=True)
        _run_all(plan, cells, folder, jobs, device, keep_models, quiet)
    failed = [cell for cell in cells if (cell_folder(folder, cell) / _ERROR).is_file()]
    told = ""
    if failed:
        file = cell_folder(folder, failed[0]) / _ERROR
        reason, *more = file.read_text().strip().splitlines()
        told = f"{len(failed)} of {len(cells)} cells failed, first {failed[0].name}: {reason}"
        told += f"; the traceback is in {file}" if more else ""
        if len(failed) == len(cells):
            raise InputError(told)
    if shard is None:
        page = write_benchmark_report(folder, plan, _digests(plan, folder))
    if failed:
        raise InputError(f"{told} (the rest is done, see {folder})")
    return folder if shard is not None else page


def _digests(plan: Benchmark, folder: Path) -> dict[str, str]:
    """Return what identifies the settings of each cell, where its data set can be read."""
    found: dict[str, str] = {}
    splits: dict[str, Split] = {}
    reasons: dict[str, int] = {}
    for cell in plan.cells():
        try:
            if cell.dataset not in splits:
                splits[cell.dataset] = _split(plan, cell.dataset, folder)
            found[cell.name] = cell_digest(cell, plan, splits[cell.dataset])
        except InputError as error:
            reasons[str(error)] = reasons.get(str(error), 0) + (finished(folder, cell) is not None)
    for reason, count in reasons.items():
        if count:
            note(f"{count} cells are reported as they are, without knowing whether their settings changed: {reason}")
    return found


def _shard(cells: list[Cell], shard: str | None) -> list[Cell]:
    """Return every n-th of the cells, from the k-th on, for "k/n"."""
    if shard is None:
        return cells
    first, _, count = shard.partition("/")
    if not (first.isdigit() and count.isdigit() and 1 <= int(first) <= int(count)):
        raise InputError(f"--shard is {shard!r}; write 3/16 for the third of sixteen")
    return cells[int(first) - 1 :: int(count)]


def _run_all(
    plan: Benchmark, cells: list[Cell], folder: Path, jobs: int, device: str | None, keep: bool, quiet: bool
) -> None:
    if jobs == 1:
        _work(plan, cells, folder, device, jobs, keep, quiet)
        return
    from joblib import Parallel, delayed

    tasks = (
        delayed(_on_gpu)(gpu, plan, cells, folder, device, jobs, keep)
        for gpu in (_gpus(jobs) if device is None else [""] * jobs)
    )
    Parallel(n_jobs=jobs, backend="loky")(tasks)


def _gpus(jobs: int) -> list[str]:
    """Return the GPU of each process, as CUDA_VISIBLE_DEVICES names it; "" where there are none."""
    import torch

    there = [str(index) for index in range(torch.cuda.device_count())]
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if there and named:
        there = named.split(",")
    return [there[job % len(there)] if there else "" for job in range(jobs)]


def _on_gpu(
    gpu: str, plan: Benchmark, cells: list[Cell], folder: Path, device: str | None, jobs: int, keep: bool
) -> None:
    """Work in a process that sees one GPU, which CUDA asks for when it starts."""
    forget()
    if gpu:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    _work(plan, cells, folder, device, jobs, keep, quiet=True)


def _work(
    plan: Benchmark,
    cells: list[Cell],
    folder: Path,
    device: str | None,
    jobs: int,
    keep: bool,
    quiet: bool,
) -> None:
    """Run the cells that nobody else runs, one after the other."""
    import torch

    threads = plan.threads or max(1, (os.cpu_count() or 1) // jobs)
    torch.set_num_threads(threads)
    splits: dict[str, Split] = {}
    locks = folder / "locks"
    locks.mkdir(parents=True, exist_ok=True)
    for place, cell in enumerate(cells, 1):
        with ExitStack() as held:
            try:
                held.enter_context(FileLock(locks / cell.name, blocking=False))
            except Timeout:
                continue
            try:
                if cell.dataset not in splits:
                    splits[cell.dataset] = _split(plan, cell.dataset, folder)
                split = splits[cell.dataset]
                if finished(folder, cell, cell_digest(cell, plan, split)) is not None:
                    continue
                _pretrain(plan, cell, folder, device, quiet)
                started = time.monotonic()
                about = run_cell(cell, plan, split, folder, device=device, keep_model=keep, quiet=quiet)
            except Exception as error:
                # one cell that cannot be run does not keep the others waiting; all are told of at the end
                reason = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
                told = reason if isinstance(error, InputError) else f"{reason}\n\n{traceback.format_exc()}"
                cell_folder(folder, cell).mkdir(parents=True, exist_ok=True)
                write_text(f"{told}\n", cell_folder(folder, cell) / _ERROR)
                note(f"[{place}/{len(cells)}] {cell.name}: {reason}", quiet=False)
                continue
        told = " ".join(f"{key} {about['test'][key]:.3f}" for key in ("accuracy", "macro_f1", "map"))
        note(f"[{place}/{len(cells)}] {cell.name}: {told}, {time.monotonic() - started:.0f} s", quiet=False)


def _split(plan: Benchmark, name: str, folder: Path) -> Split:
    """Return the split of a data set: a saved one, or one that is made once and kept with the results."""
    dataset = plan.dataset(name)
    if dataset.split:
        return read_split(dataset.split)
    path = folder / "splits" / f"{name}.parquet"
    with FileLock(folder / "locks" / f"split-{name}"):
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            catalog = read_catalog(dataset.catalog, columns=dataset.columns, quiet=True)
            make_split(catalog, radius=arcsec(dataset.radius)).write(path)
    return read_split(path)


def _pretrain(plan: Benchmark, cell: Cell, folder: Path, device: str | None, quiet: bool) -> None:
    """Make the model that the cell starts from, where it starts from one of ours."""
    kind, _, name = plan.encoder(cell.encoder).load.partition(":")
    if kind != "pretrained":
        return
    wanted = plan.pretraining(name)
    with FileLock(folder / "locks" / f"pretrained-{name}"):
        train(
            recipe=wanted.recipe,
            catalog=wanted.catalogs,
            taxonomy=wanted.taxonomies,
            encoder=wanted.encoder,
            size=wanted.size,
            split=wanted.split or None,
            weight=wanted.weights,
            view=wanted.views,
            seed=wanted.seed,
            out=folder / "pretrained" / name,
            device=device,
            quiet=quiet,
        )
