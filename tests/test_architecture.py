"""The house: which package may import which, and how large a room may be."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

import galaxalign

SRC = Path(galaxalign.__file__).parents[1]
PACKAGE = SRC / "galaxalign"
ARCHITECTURE = Path(__file__).parents[1] / "docs" / "architecture.md"

# A package imports only those before it.
PACKAGES = (
    "morphology",
    "data.tables",
    "data.images",
    "data.catalogs",
    "data.splits",
    "data.surveys",
    "data",
    "models",
    "inference",
    "evaluation",
    "training",
    "answers",
    "gallery",
    "bench",
    "reports",
    "web",
    "verbs",
    "cli",
)
LINES_OF_A_FUNCTION, LINES_OF_A_FILE, PARAMETERS = 60, 350, 8

MODULES = sorted(path for path in PACKAGE.rglob("*.py") if "__pycache__" not in path.parts)
Function = ast.FunctionDef | ast.AsyncFunctionDef


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(SRC).with_suffix("").parts).removesuffix(".__init__")


def package_of(module: str) -> str:
    """Return the package of a module, "" for the modules at the top."""
    inner = module.removeprefix("galaxalign").lstrip(".")
    found = [package for package in PACKAGES if inner == package or inner.startswith(f"{package}.")]
    return max(found, key=len, default="")


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line and module of every import of our own."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (module := node.module or "").startswith("galaxalign"):
            inner = [f"{module}.{alias.name}" for alias in node.names if f"{module}.{alias.name}" in NAMES]
            yield from ((node.lineno, name) for name in inner or [module])
        elif isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names if alias.name.startswith("galaxalign"))


NAMES = {module_name(path) for path in MODULES}


def functions(path: Path) -> Iterator[Function]:
    yield from (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, Function))


def length(function: Function) -> int:
    """Return the lines of the body, without the docstring."""
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


def parameters(function: Function) -> int:
    names = [each.arg for each in (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)]
    return len([name for name in names if name not in ("self", "cls")])


def is_public_verb(path: Path, function: Function) -> bool:
    """Tell whether a function is a verb or the command of one, whose options are written once in `options`."""
    return path.parent.name in ("verbs", "cli") and not function.name.startswith("_")


def test_packages_import_only_packages_above_them() -> None:
    wrong = []
    for path in MODULES:
        own = package_of(module_name(path))
        for line, module in imports(path):
            other = package_of(module)
            if own and other and other != own and PACKAGES.index(other) > PACKAGES.index(own):
                wrong.append(f"{path.relative_to(SRC)}:{line} imports {module}")
    assert not wrong, "\n".join(wrong)


def test_packages_import_exports_only() -> None:
    wrong = []
    for path in MODULES:
        own = package_of(module_name(path))
        for line, module in imports(path):
            other = package_of(module)
            if own and other and other != own and module != f"galaxalign.{other}":
                wrong.append(f"{path.relative_to(SRC)}:{line} imports {module}, an inner module of {other}")
    assert not wrong, "\n".join(wrong)


def test_no_package_has_the_name_of_a_verb() -> None:
    verbs = {path.stem for path in (PACKAGE / "verbs").glob("*.py")} | {"benchmark", "train", "transfer"}
    inner = {path.stem for path in PACKAGE.iterdir() if path.suffix in ("", ".py")}
    assert not (verbs - {"data", "__init__"}) & inner


def test_modules_of_a_package_have_no_circles() -> None:
    graph = {module_name(path): {module for _, module in imports(path)} for path in MODULES}
    done: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, f"a circle: {' -> '.join((*trail, module))}"
        if module in done or module not in graph:
            return
        for other in graph[module]:
            visit(other, (*trail, module))
        done.add(module)

    for module in graph:
        visit(module, ())


@pytest.mark.slow
def test_every_export_exists() -> None:
    names = [module_name(path) for path in MODULES if path.name == "__init__.py"]
    script = f"""
import importlib
for name in {names!r}:
    package = importlib.import_module(name)
    for export in getattr(package, "__all__", ()):
        getattr(package, export)
"""
    environment = {**os.environ, "PYTHONPATH": str(SRC)}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr


def test_functions_fit_on_a_screen() -> None:
    long = [
        f"{path.relative_to(SRC)}:{function.lineno} {function.name} {length(function)}"
        for path in MODULES
        for function in functions(path)
        if length(function) > LINES_OF_A_FUNCTION
    ]
    assert not long, "\n".join(long)


def test_signatures_have_few_parameters() -> None:
    wide = [
        f"{path.relative_to(SRC)}:{function.lineno} {function.name} {parameters(function)}"
        for path in MODULES
        for function in functions(path)
        if parameters(function) > PARAMETERS and not is_public_verb(path, function)
    ]
    assert not wide, "\n".join(wide)


def test_files_hold_one_idea() -> None:
    large = [f"{path.relative_to(SRC)} {count}" for path in MODULES if (count := lines(path)) > LINES_OF_A_FILE]
    assert not large, "\n".join(large)


def test_names_of_tests_are_short() -> None:
    tests = sorted(Path(__file__).parent.rglob("test_*.py"))
    names = [f"{path.name} {function.name}" for path in tests for function in functions(path)]
    assert not [name for name in names if name.partition(" ")[2].startswith("test_") and len(name.split()[1]) >= 60]


def lines(path: Path) -> int:
    return path.read_text().count("\n")


def test_architecture_page_names_every_package_in_order() -> None:
    text = ARCHITECTURE.read_text()
    places = [text.find(f"`{package}`") for package in PACKAGES if (PACKAGE / package.replace(".", "/")).is_dir()]
    assert -1 not in places
    assert all(before < after for before, after in pairwise(places))


@pytest.mark.parametrize("module", ["numpy", "pandas", "torch", "transformers", "pyarrow"])
def test_help_imports_nothing_heavy(module: str) -> None:
    script = f"import sys\nfrom galaxalign.cli import app\nassert {module!r} not in sys.modules"
    environment = {**os.environ, "PYTHONPATH": str(SRC)}
    assert subprocess.run([sys.executable, "-c", script], env=environment).returncode == 0
