"""Shared fixtures."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder with the real galaxies; without it skip on a user's machine and fail in CI."""
    default = Path(__file__).parents[1] / ".." / "shared"
    folder = Path(os.environ.get("GALAXALIGN_SHARED", default)).resolve()
    if not (folder / "data" / "efigi" / "catalog.csv").is_file():
        reason = f"no real galaxies at {folder}; set GALAXALIGN_SHARED to the folder that holds data/efigi"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return folder
