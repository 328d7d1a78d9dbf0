"""Joules are those of the packages, over the end of their counters, and never made up."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch

from galaxalign.evaluation.cost import Meter, parameters

SPAN = 1_000_000_000  # uJ


def zone(folder: Path, name: str, label: str, energy: int) -> Path:
    """Make one powercap zone and return its counter."""
    (folder / name).mkdir()
    (folder / name / "name").write_text(f"{label}\n")
    (folder / name / "max_energy_range_uj").write_text(f"{SPAN}\n")
    (folder / name / "energy_uj").write_text(f"{energy}\n")
    return folder / name / "energy_uj"


def put(counter: Path, energy: int) -> None:
    """Change a counter at once, as the kernel does: never is there an empty file."""
    fresh = counter.with_suffix(".fresh")
    fresh.write_text(str(energy))
    fresh.replace(counter)


def test_energy_is_that_of_the_packages_alone(tmp_path: Path) -> None:
    counters = [
        zone(tmp_path, "intel-rapl:0", "package-0", 5_000_000),
        zone(tmp_path, "intel-rapl:1", "package-1", 0),
        zone(tmp_path, "intel-rapl:0:0", "core", 0),
        zone(tmp_path, "intel-rapl:2", "psys", 0),
        zone(tmp_path, "intel-rapl-mmio:0", "package-0", 0),
    ]
    with Meter(rapl=tmp_path) as meter:
        for counter, energy in zip(counters, (7_000_000, 1_500_000, 10**8, 10**8, 10**8), strict=True):
            counter.write_text(str(energy))
    assert meter.joules == pytest.approx(3.5)
    assert meter.energy_source == "processor package-0 (RAPL), processor package-1 (RAPL)"
    assert meter.summary() == {"seconds": meter.seconds, "joules": meter.joules, "energy_source": meter.energy_source}


def test_a_counter_that_starts_again_at_0_several_times(tmp_path: Path) -> None:
    counter = zone(tmp_path, "intel-rapl:0", "package-0", 900_000_000)
    with Meter(rapl=tmp_path) as meter:
        for energy in (100_000_000, 800_000_000, 300_000_000, 400_000_000):
            counter.write_text(str(energy))
            meter.sample()
    # 100 + 100, 700, 200 + 300, 100 J
    assert meter.joules == pytest.approx(1500)


def test_the_counters_are_read_while_the_block_runs(tmp_path: Path) -> None:
    counter = zone(tmp_path, "intel-rapl:0", "package-0", 900_000_000)
    with Meter(rapl=tmp_path, interval=0.01) as meter:
        put(counter, 100_000_000)
        time.sleep(0.5)
        put(counter, 950_000_000)
    assert meter.joules == pytest.approx(1050)  # read at the ends alone it would be 50


def test_nothing_to_read_gives_no_joules_and_says_so(tmp_path: Path) -> None:
    with Meter(rapl=tmp_path / "none") as meter:
        time.sleep(0.02)
    assert meter.joules is None
    assert meter.energy_source == "nothing counted; not counted: processor (no RAPL here)"
    assert 0.02 <= meter.seconds < 10


def test_a_counter_for_root_alone_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zone(tmp_path, "intel-rapl:0", "package-0", 0)
    secret, read_text = zone(tmp_path, "intel-rapl:1", "package-1", 0), Path.read_text

    def guarded(path: Path) -> str:
        if path == secret:
            raise PermissionError(13, "Permission denied")
        return read_text(path)

    monkeypatch.setattr(Path, "read_text", guarded)
    with Meter(rapl=tmp_path) as meter:
        pass
    assert meter.joules is None
    assert "may not be read by this user" in meter.energy_source


def test_a_counter_that_vanishes_is_not_counted(tmp_path: Path) -> None:
    counter = zone(tmp_path, "intel-rapl:0", "package-0", 0)
    with Meter(rapl=tmp_path) as meter:
        counter.unlink()
    assert meter.joules is None
    assert meter.energy_source.startswith("nothing counted; not counted: processor package-0 (RAPL): ")


def test_an_error_in_the_block_passes_and_the_time_is_kept(tmp_path: Path) -> None:
    meter = Meter(rapl=tmp_path)
    with pytest.raises(KeyError), meter:
        raise KeyError("x")
    assert meter.seconds > 0


def fake_nvml(monkeypatch: pytest.MonkeyPatch, readings: list[int]) -> list[str]:
    """Put a GPU and its NVML in place; return the ids that are asked for."""
    asked: list[str] = []
    module = ModuleType("pynvml")
    module.NVMLError = type("NVMLError", (Exception,), {})  # type: ignore[attr-defined]
    module.nvmlInit = lambda: None  # type: ignore[attr-defined]

    def by_uuid(uuid: str) -> str:
        asked.append(uuid)
        return uuid

    def energy(handle: str) -> int:
        if not readings:
            raise module.NVMLError("Not Supported")
        return readings.pop(0)

    module.nvmlDeviceGetHandleByUUID = by_uuid  # type: ignore[attr-defined]
    module.nvmlDeviceGetTotalEnergyConsumption = energy  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pynvml", module)
    found = SimpleNamespace(name="H100", uuid="1234-abcd")
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: found)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: None)
    return asked


def test_a_gpu_that_is_used_is_counted_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counter = zone(tmp_path, "intel-rapl:0", "package-0", 0)
    asked = fake_nvml(monkeypatch, [10_000, 60_000])
    with Meter("cuda:0", rapl=tmp_path) as meter:
        counter.write_text("2000000")
    assert asked == ["GPU-1234-abcd"]
    assert meter.joules == pytest.approx(2 + 50)
    assert meter.energy_source == "processor package-0 (RAPL), GPU H100 (NVML)"


def test_a_gpu_that_cannot_be_read_is_told_beside_what_can(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zone(tmp_path, "intel-rapl:0", "package-0", 0)
    fake_nvml(monkeypatch, [])
    with Meter(torch.device("cuda", 0), rapl=tmp_path) as meter:
        pass
    assert meter.joules == 0
    assert meter.energy_source == "processor package-0 (RAPL); not counted: GPU (NVML: Not Supported)"
    monkeypatch.setitem(sys.modules, "pynvml", None)
    with Meter("cuda", rapl=tmp_path) as meter:
        pass
    assert "nvidia-ml-py is not installed" in meter.energy_source


def test_shared_parameters_count_once_frozen_ones_apart() -> None:
    first = torch.nn.Linear(4, 3)
    tied = torch.nn.Linear(4, 3, bias=False)
    tied.weight = first.weight
    first.bias.requires_grad_(False)
    assert parameters(torch.nn.ModuleList([first, tied])) == (15, 12)
