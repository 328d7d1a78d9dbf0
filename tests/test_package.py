"""The package that users install: metadata, files in the wheel and the sdist, version."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest

import galaxalign

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return a folder with the sdist and the wheel, built without a network."""
    out = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(ROOT)]
    done = subprocess.run(build, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    yield out
    for path in out.iterdir():
        path.unlink()


def wheel_names(folder: Path) -> set[str]:
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as archive:
        return set(archive.namelist())


def metadata(folder: Path) -> Message:
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return Parser().parsestr(archive.read(name).decode())


@pytest.mark.slow
def test_sdist_and_wheel_pass_twine_check(distributions: Path) -> None:
    files = sorted(map(str, distributions.iterdir()))
    assert len(files) == 2
    done = subprocess.run([sys.executable, "-m", "twine", "check", "--strict", *files], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_wheel_holds_every_file_of_the_package(distributions: Path) -> None:
    package = ROOT / "src" / "galaxalign"
    files = {f"galaxalign/{path.relative_to(package)}" for path in package.rglob("*") if path.is_file()}
    wanted = {name for name in files if "__pycache__" not in name}
    assert wanted <= wheel_names(distributions)
    assert "galaxalign/py.typed" in wanted


@pytest.mark.slow
def test_wheel_holds_nothing_but_the_package(distributions: Path) -> None:
    tops = {name.partition("/")[0] for name in wheel_names(distributions)}
    assert tops == {"galaxalign", f"galaxalign-{galaxalign.__version__}.dist-info"}


@pytest.mark.slow
def test_metadata_of_the_wheel_is_complete(distributions: Path) -> None:
    fields = metadata(distributions)
    assert fields["Version"] == galaxalign.__version__
    assert fields["License-Expression"] == "BSD-3-Clause"
    assert "Development Status :: 4 - Beta" in fields.get_all("Classifier", [])
    for name in ("Summary", "Keywords", "Author", "Project-URL", "Requires-Python", "License-File"):
        assert fields[name], f"no {name}"


@pytest.mark.slow
def test_sdist_holds_tests_docs_and_papers(distributions: Path) -> None:
    with tarfile.open(next(distributions.glob("*.tar.gz"))) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"tests/conftest.py", "README.md", "LICENSE", "CITATION.cff", "CHANGELOG.md", "CONTRIBUTING.md"} <= names


def test_citation_names_the_same_version_and_license() -> None:
    lines = (ROOT / "CITATION.cff").read_text().splitlines()
    assert f"version: {galaxalign.__version__}" in lines
    assert f"license: {PROJECT['license']}" in lines


def test_test_extra_brings_every_other_extra() -> None:
    extras = PROJECT["optional-dependencies"]
    brought = {name_of(line) for line in extras["test"]}
    left_out = {"nvidia-ml-py"}  # needs a GPU
    for extra in set(extras) - {"docs"}:
        assert {name_of(line) for line in extras[extra]} <= brought | left_out, f"test lacks some of {extra}"


def name_of(requirement: str) -> str:
    return requirement.partition(">")[0].partition("[")[0].partition("=")[0].strip()
