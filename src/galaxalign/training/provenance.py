"""What a result was made with."""

from __future__ import annotations

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

_PACKAGES = (
    "galaxalign",
    "torch",
    "open_clip_torch",
    "timm",
    "transformers",
    "numpy",
    "pillow",
    "scikit-learn",
)


def provenance() -> dict[str, Any]:
    """Return versions of the packages that matter, of Python, and the git commit of a checkout."""
    versions = {}
    for name in _PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "not installed as a package"
    return {"python": platform.python_version(), "packages": versions, "git_commit": _commit()}


def _commit() -> str | None:
    """Return the commit of the source tree this runs from; None for an installed package."""
    root = Path(__file__).parents[3]
    if not (root / ".git").exists():
        return None
    done = subprocess.run(
        ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40"],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or None
