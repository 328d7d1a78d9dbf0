"""docs/architecture.md lists every module, and imports flow one way through that list."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import galaxalign

PACKAGE = Path(galaxalign.__file__).parent
DOCUMENT = Path(__file__).parents[1] / "docs" / "architecture.md"


def listed() -> list[str]:
    """Return the modules in the order of the document, as "data/images.py"."""
    return re.findall(r"^      ([a-z0-9_/]+\.py)\s", DOCUMENT.read_text(), flags=re.MULTILINE)


def imports(file: Path) -> set[str]:
    """Return the modules of the package that a file imports, at its top or anywhere else."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        for name in names:
            path = PACKAGE.parent / (name.replace(".", "/") + ".py")
            if name.startswith("galaxalign.") and path.is_file():
                found.add(path.relative_to(PACKAGE).as_posix())
    return found


def test_every_module_is_listed_once() -> None:
    modules = {path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py")}
    assert sorted(listed()) == sorted(name for name in modules if not name.endswith("__init__.py"))


def test_a_module_imports_only_what_stands_above_it() -> None:
    order = listed()
    upward = [
        f"{name} imports {other}, which stands below it"
        for place, name in enumerate(order)
        for other in sorted(imports(PACKAGE / name) - set(order[:place]))
    ]
    assert upward == []
