"""What a run costs: seconds, joules where the machine counts them, and parameters."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    import torch

_RAPL = Path("/sys/class/powercap")
# A processor's counter holds 65 to 262 kJ before it starts again at 0: minutes under full load.
_INTERVAL = 20.0


class Meter:
    """Measures wall-clock seconds and, where the machine counts it, energy of what is done in a ``with`` block.

    Energy is that of whole devices, with whatever else runs on them: the processor packages by RAPL
    (``intel-rapl`` in Linux's powercap; AMD's processors are under that name too) and, where one is used, the
    GPU by NVML. Memory outside the package, discs, fans and the power supply are not counted.

    Parameters
    ----------
    device : torch.device or str
        Where the work is done. A CUDA device is counted too (needs nvidia-ml-py:
        ``pip install 'galaxalign[energy]'``), and waited for before the clock is read.
    rapl : Path
        The powercap folder.
    interval : float
        Seconds between readings while the block runs. The counters of a processor start again at 0 after some
        minutes, which cannot be told from none or twice if nobody looks in between.

    Attributes
    ----------
    seconds : float
        Wall-clock time of the block.
    joules : float or None
        Energy of all that could be read; None where nothing could.
    energy_source : str
        What was counted, and what could not be.

    Examples
    --------
    >>> with Meter() as meter:
    ...     total = sum(range(1000))
    >>> meter.seconds > 0
    True
    """

    def __init__(self, device: torch.device | str = "cpu", *, rapl: Path = _RAPL, interval: float = _INTERVAL) -> None:
        self.seconds = 0.0
        self.joules: float | None = None
        self.energy_source = "not measured"
        self._device, self._rapl, self._interval = str(device), rapl, interval
        self._counters: list[_Counter] = []
        self._missing: list[str] = []
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._started = 0.0

    def __enter__(self) -> Self:
        self._counters, self._missing = [], []
        for counters, missing in (_packages(self._rapl), _gpu(self._device)):
            self._counters += counters
            self._missing += [missing] if missing else []
        self._stop.clear()
        _wait_for(self._device)
        if self._counters:
            self._thread = threading.Thread(target=self._watch, name="energy meter", daemon=True)
            self._thread.start()
        self._started = time.perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _wait_for(self._device)
        self.seconds = time.perf_counter() - self._started
        self.sample()
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        whole = [counter for counter in self._counters if counter.lost is None]
        self.joules = sum(counter.joules for counter in whole) if whole else None
        lost = [f"{counter.name}: {counter.lost}" for counter in self._counters if counter.lost is not None]
        counted = ", ".join(counter.name for counter in whole) or "nothing counted"
        self.energy_source = "; not counted: ".join([counted, *filter(None, ["; ".join([*self._missing, *lost])])])

    def sample(self) -> None:
        """Read the counters now; done every ``interval`` seconds while the block runs."""
        with self._lock:
            for counter in self._counters:
                counter.add()

    def summary(self) -> dict[str, Any]:
        """Return ``seconds``, ``joules`` and ``energy_source``, ready for ``json.dump``."""
        return {"seconds": self.seconds, "joules": self.joules, "energy_source": self.energy_source}

    def _watch(self) -> None:
        while not self._stop.wait(self._interval):
            self.sample()


def parameters(module: torch.nn.Module) -> tuple[int, int]:
    """Return how many parameters a module has, and how many of them are trained; shared ones count once.

    Parameters
    ----------
    module : torch.nn.Module

    Returns
    -------
    total, trainable : int
    """
    sizes = [(parameter.numel(), parameter.requires_grad) for parameter in module.parameters()]
    return sum(size for size, _ in sizes), sum(size for size, trained in sizes if trained)


class _Counter:
    """A counter of energy that starts again at 0 after ``span`` of its units."""

    def __init__(
        self,
        name: str,
        read: Callable[[], int],
        *,
        unit: float,
        span: int | None = None,
        errors: tuple[type[Exception], ...] = (OSError, ValueError),
    ) -> None:
        self.name, self.joules = name, 0.0
        self.lost: str | None = None  # why it could not be read any more
        self._read, self._unit, self._span, self._errors = read, unit, span, errors
        self._last = read()

    def add(self) -> None:
        """Add what was used since the last reading."""
        if self.lost is not None:
            return
        try:
            now = self._read()
        except self._errors as error:  # told in energy_source
            self.lost = str(error)
            return
        used = now - self._last
        if used < 0 and self._span is None:
            self.lost = "its counter went back"
            return
        self.joules += self._unit * (used if used >= 0 else used + (self._span or 0))
        self._last = now


def _packages(folder: Path) -> tuple[list[_Counter], str]:
    """Return a counter for each processor package, and why there is none."""
    # Cores and memory controllers (intel-rapl:0:0) are parts of their package, psys is more than all packages, and
    # intel-rapl-mmio:0 is package 0 by another way: each would count twice.
    zones = [
        zone
        for zone in sorted(folder.glob("intel-rapl:*"))
        if zone.name.count(":") == 1 and (zone / "name").read_text().strip().startswith("package")
    ]
    if not zones:
        return [], "processor (no RAPL here)"
    counters = []
    for zone in zones:
        name = f"processor {(zone / 'name').read_text().strip()} (RAPL)"
        energy, span = zone / "energy_uj", _whole_number(zone / "max_energy_range_uj")
        try:
            counters.append(_Counter(name, partial(_whole_number, energy), unit=1e-6, span=span))
        except PermissionError:
            # All or none: the energy of one package of two would pass for that of both.
            return [], "processor (RAPL may not be read by this user)"
    return counters, ""


def _whole_number(file: Path) -> int:
    return int(file.read_text())


def _gpu(device: str) -> tuple[list[_Counter], str]:
    """Return the counter of a CUDA device, and why there is none where one is used."""
    if not device.startswith("cuda"):
        return [], ""
    try:
        import pynvml
    except ImportError:
        return [], "GPU (nvidia-ml-py is not installed)"
    import torch

    properties = torch.cuda.get_device_properties(torch.device(device))
    try:
        pynvml.nvmlInit()
        # By UUID, because CUDA_VISIBLE_DEVICES renumbers devices for torch and not for NVML.
        handle = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{properties.uuid}")
        counter = _Counter(
            f"GPU {properties.name} (NVML)",
            lambda: pynvml.nvmlDeviceGetTotalEnergyConsumption(handle),
            unit=1e-3,
            errors=(pynvml.NVMLError,),
        )
    except pynvml.NVMLError as error:
        return [], f"GPU (NVML: {error})"
    return [counter], ""


def _wait_for(device: str) -> None:
    if device.startswith("cuda"):
        import torch

        torch.cuda.synchronize(torch.device(device))
