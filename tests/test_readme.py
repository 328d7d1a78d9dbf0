"""What the README and the help tell people to type can be typed."""

from __future__ import annotations

import ast
import inspect
import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

import galaxalign
from galaxalign import cli
from galaxalign.errors import InputError
from galaxalign.morphology.taxonomy import taxonomy_names
from galaxalign.training.recipe import recipe_names

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    """Return the code blocks of a language."""
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def commands() -> list[str]:
    """Return each `galaxalign …` of the README that stands in a block or names all it needs."""
    lines = [part.strip() for block in blocks("bash") for line in block.splitlines() for part in line.split("&&")]
    return [line for line in lines if line.startswith("galaxalign ")]


def test_the_two_lines_are_there() -> None:
    assert "pip install . && galaxalign demo\n" in blocks("bash")
    assert "pip install '.[test]' && pytest\n" in blocks("bash")


@pytest.mark.parametrize("command", commands())
def test_command_has_the_right_flags(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _, verb, *arguments = shlex.split(command)

    def understood(**given: object) -> None:
        raise InputError(f"understood {verb}")

    monkeypatch.setattr(galaxalign, verb, understood)
    # --out of a search is checked before the search; that needs no file to be there
    result = CliRunner().invoke(cli.app, [verb, *arguments])
    assert (result.exit_code, result.stderr) == (1, f"Error: understood {verb}\n"), result.output


def test_python_calls_have_the_right_arguments() -> None:
    calls = [
        node
        for block in blocks("python")
        for node in ast.walk(ast.parse(block))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and ast.unparse(node.func).startswith("galaxalign.")
    ]
    assert calls
    for call in calls:
        assert isinstance(call.func, ast.Attribute)
        function = getattr(galaxalign, call.func.attr)
        given = {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords if keyword.arg}
        inspect.signature(function).bind(*call.args, **given)


def test_names_every_taxonomy_and_links_to_files_that_exist() -> None:
    for name in taxonomy_names():
        assert f"`{name}`" in README
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", README):
        assert (ROOT / target).exists(), target


def test_help_of_train_names_every_recipe() -> None:
    shown = CliRunner().invoke(cli.app, ["train", "--help"], env={"COLUMNS": "200"}).stdout
    for name in recipe_names():
        assert name in shown
