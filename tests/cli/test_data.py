"""`galaxalign data …`: what it prints, asks and refuses."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.main import get_command
from typer.testing import CliRunner, Result

import galaxalign
from galaxalign.cli import app


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["data", *map(str, arguments)])


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for row in range(5):
        Image.fromarray(rng.integers(0, 255, (20, 20, 3), dtype=np.uint8)).save(folder / f"{row}.png")
    (folder / "9.png").write_bytes(b"")
    return folder


@pytest.mark.parametrize("arguments", [["data", "--help"], ["data", "prepare", "--help"], ["data", "fetch", "--help"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys; from galaxalign.cli import app; from contextlib import suppress\n"
        f"with suppress(SystemExit): app({arguments!r})\n"
        "print([name for name in ('numpy', 'torch', 'pandas', 'h5py') if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr.strip() == "[]"


@pytest.mark.parametrize("verb", ["fetch", "convert", "prepare"])
def test_command_and_function_have_same_arguments_and_defaults(verb: str) -> None:
    function = inspect.signature(getattr(galaxalign, verb)).parameters
    command = {each.name: each for each in get_command(app).commands["data"].commands[verb].params}  # type: ignore[attr-defined]
    assert set(command) - {"help"} == set(function)
    for name, parameter in function.items():
        if parameter.default is not inspect.Parameter.empty:
            assert command[name].default == parameter.default, name


def test_list_names_every_data_set_and_says_all_about_one() -> None:
    result = run("list")
    assert result.exit_code == 0
    for survey in galaxalign.data_sets():
        assert survey.name in result.stdout
    one = run("list", "galaxy10_decals").stdout
    for part in ("17,736", "Galaxy10_DECals.h5", "sha256:19aefc47", "cite", "licence", "2.5 GB"):
        assert part in one


def test_prepare_continues_and_says_what_could_not_be_read(pictures: Path, tmp_path: Path) -> None:
    result = run("prepare", pictures, "--out", tmp_path / "store", "--size", 8)
    assert result.exit_code == 0, result.output
    assert "in place of the catalogue" in result.stdout
    assert "1 of 6 images could not be read" in result.stderr
    assert run("prepare", pictures, "--out", tmp_path / "store", "--size", 8).exit_code == 0
    other = run("prepare", pictures, "--out", tmp_path / "store", "--size", 9)
    assert other.exit_code == 1
    assert "holds pictures with [crop 1.0, 8 px" in other.stderr
    assert "not [crop 1.0, 9 px" in other.stderr


def test_gigabytes_are_asked_for_on_a_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[dict[str, object]] = []

    def fetch(**arguments: object) -> list[Path]:
        calls.append(arguments)
        return [tmp_path / "file"]

    monkeypatch.setattr(galaxalign, "fetch", fetch)
    monkeypatch.setattr("galaxalign.cli.show.asks_first", lambda: True)
    refused = CliRunner().invoke(app, ["data", "fetch", "galaxy10_decals"], input="n\n")
    assert refused.exit_code == 1
    assert "about 2.5 GB. Download it?" in refused.output
    assert calls == []
    assert CliRunner().invoke(app, ["data", "fetch", "galaxy10_decals"], input="y\n").exit_code == 0
    assert CliRunner().invoke(app, ["data", "fetch", "efigi"]).exit_code == 0
    assert [call["yes"] for call in calls] == [True, False]


def test_an_unknown_data_set_ends_with_1_and_the_known_names() -> None:
    result = run("convert", "efigy", "--from", ".", "--out", "x")
    assert result.exit_code == 1
    assert "the closest is 'efigi'" in result.stderr


def test_documentation_lists_data_set_with_number_of_galaxies() -> None:
    text = (Path(__file__).parents[2] / "docs" / "howto" / "get-data.md").read_text()
    for survey in galaxalign.data_sets():
        assert f"| `{survey.name}` | {survey.galaxies:,} |" in text


def test_prepare_fails_where_nothing_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "broken").mkdir()
    for name in ("a.png", "b.png"):
        (tmp_path / "broken" / name).write_bytes(b"text")
    result = run("prepare", tmp_path / "broken", "--out", tmp_path / "store")
    assert result.exit_code == 1
    assert "none of the 2 images" in result.stderr
    assert "a.png" in result.stderr


def test_convert_suggests_a_store_only_where_there_are_pictures(tmp_path: Path) -> None:
    header = "OBJID,RA,DEC,P_EL,P_CW,P_ACW,P_EDGE,P_DK,P_MG"
    row = "587727178986356823,00:00:00.41,-10:22:25.7,0.61,0.034,0.0,0.153,0.153,0.051"
    (tmp_path / "GalaxyZoo1_DR_table2.csv").write_text(f"{header}\n{row}\n")
    result = run("convert", "galaxy_zoo_1", "--from", tmp_path, "--out", tmp_path / "bare")
    assert result.exit_code == 0, result.output
    assert "It has no pictures." in result.stdout
    assert "data prepare" not in result.stdout
    Image.fromarray(np.zeros((20, 20, 3), np.uint8)).save(tmp_path / "587727178986356823.png")
    result = run("convert", "galaxy_zoo_1", "--from", tmp_path, "--out", tmp_path / "pictured")
    assert "galaxalign data prepare" in result.stdout
