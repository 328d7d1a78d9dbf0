"""Runs the cells of a benchmark, each once, in one or many processes."""

from __future__ import annotations

import os
import time
import traceback
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import torch
from filelock import FileLock, Timeout

from galaxalign.bench.cell import run_cell
from galaxalign.bench.config import Benchmark, Cell, Pretraining
from galaxalign.bench.digest import cell_digest, forget_files
from galaxalign.bench.results import cell_folder, finished
from galaxalign.data.catalogs import arcsec, read_catalog
from galaxalign.data.splits import LeakGuard, Split, make_split, read_split
from galaxalign.data.tables import write_text
from galaxalign.errors import InputError
from galaxalign.progress import note

_ERROR = "error.txt"


@dataclass(frozen=True, eq=False)
class Runner:
    """Runs the unfinished cells of a benchmark; several processes on one folder share them."""

    plan: Benchmark
    folder: Path
    pretrain: Callable[[Pretraining, Path], object]  # makes the model of a pretraining in a folder, or resumes
    device: str | None = None
    jobs: int = 1  # processes at the same time; with GPUs each has one of them
    keep_models: bool = False  # the model folder of each cell
    quiet: bool = False
    _splits: dict[str, Split] = field(default_factory=dict)

    def split(self, name: str) -> Split:
        """Return the split of a data set: a saved one, or one made once and kept with the results."""
        if name not in self._splits:
            dataset = self.plan.dataset(name)
            path = Path(dataset.split)
            if not dataset.split:
                path = self.folder / "splits" / f"{name}.parquet"
                with FileLock(self._locks() / f"split-{name}"):
                    if not path.is_file():
                        path.parent.mkdir(parents=True, exist_ok=True)
                        catalog = read_catalog(dataset.catalog, columns=dataset.columns, quiet=True)
                        make_split(catalog, guard=LeakGuard(radius=arcsec(dataset.radius))).write(path)
            self._splits[name] = read_split(path)
        return self._splits[name]

    def _locks(self) -> Path:
        folder = self.folder / "locks"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def digests(self) -> dict[str, str]:
        """Return the digest of each cell's settings, for data sets that can be read."""
        digests: dict[str, str] = {}
        unknown: Counter[str] = Counter()
        for cell in self.plan.cells():
            try:
                digests[cell.name] = cell_digest(cell, self.plan, self.split(cell.dataset))
            except InputError as error:
                unknown[str(error)] += finished(self.folder, cell) is not None
        for reason, count in unknown.items():
            if count:
                note(f"{count} cells are reported without checking whether their settings changed: {reason}")
        return digests

    def run(self, cells: list[Cell]) -> None:
        """Run the unfinished cells; one that failed earlier runs again."""
        for cell in cells:
            (cell_folder(self.folder, cell) / _ERROR).unlink(missing_ok=True)
        if self.jobs == 1:
            self._work(cells)
            return
        from joblib import Parallel, delayed

        gpus = _gpus(self.jobs) if self.device is None else [""] * self.jobs
        Parallel(n_jobs=self.jobs, backend="loky")(delayed(self._work_on)(gpu, cells) for gpu in gpus)

    def _work_on(self, gpu: str, cells: list[Cell]) -> None:
        """Work in a process that sees one GPU; CUDA reads the variable when it starts."""
        forget_files()
        if gpu:
            os.environ["CUDA_VISIBLE_DEVICES"] = gpu
        self._work(cells)

    def _work(self, cells: list[Cell]) -> None:
        """Run the cells that no other process runs, one after the other."""
        torch.set_num_threads(self.plan.threads or max(1, (os.cpu_count() or 1) // self.jobs))
        for place, cell in enumerate(cells, 1):
            with ExitStack() as held:
                try:
                    held.enter_context(FileLock(self._locks() / cell.name, blocking=False))
                except Timeout:
                    continue
                try:
                    summary = self._summary(cell)
                except Exception as error:  # the other cells run all the same; `failure` reports it at the end
                    known = isinstance(error, InputError)
                    reason = str(error) if known else f"{type(error).__name__}: {error}"
                    file = cell_folder(self.folder, cell) / _ERROR
                    file.parent.mkdir(parents=True, exist_ok=True)
                    write_text(f"{reason}\n" if known else f"{reason}\n\n{traceback.format_exc()}\n", file)
                    summary = reason
            if summary:
                note(f"[{place}/{len(cells)}] {cell.name}: {summary}")

    def _summary(self, cell: Cell) -> str:
        """Run a cell and return its main figures; "" for a finished cell."""
        split = self.split(cell.dataset)
        if finished(self.folder, cell, cell_digest(cell, self.plan, split)) is not None:
            return ""
        if name := self.plan.encoder(cell.encoder).pretraining:
            with FileLock(self._locks() / f"pretrained-{name}"):
                self.pretrain(self.plan.pretraining(name), self.folder / "pretrained" / name)
        started, quiet = time.monotonic(), self.quiet or self.jobs > 1
        about = run_cell(
            cell, self.plan, split, self.folder, device=self.device, keep_model=self.keep_models, quiet=quiet
        )
        figures = " ".join(f"{key} {about['test'][key]:.3f}" for key in ("accuracy", "macro_f1", "map"))
        return f"{figures}, {time.monotonic() - started:.0f} s"

    def failure(self, cells: list[Cell]) -> tuple[int, str]:
        """Return how many of the cells failed, and a sentence with the first reason."""
        failed = [cell for cell in cells if (cell_folder(self.folder, cell) / _ERROR).is_file()]
        if not failed:
            return 0, ""
        file = cell_folder(self.folder, failed[0]) / _ERROR
        reason, *more = file.read_text().strip().splitlines()
        sentence = f"{len(failed)} of {len(cells)} cells failed, first {failed[0].name}: {reason}"
        return len(failed), sentence + (f"; the traceback is in {file}" if more else "")


def _gpus(jobs: int) -> list[str]:
    """Return the GPU of each process, as in CUDA_VISIBLE_DEVICES; "" without GPUs."""
    names = [str(index) for index in range(torch.cuda.device_count())]
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if names and visible:
        names = visible.split(",")
    return [names[job % len(names)] if names else "" for job in range(jobs)]
