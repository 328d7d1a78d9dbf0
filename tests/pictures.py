"""Surveys for tests: small pictures whose brightness is their class."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image


def write_survey(
    folder: Path,
    names: Sequence[str],
    n: int,
    *,
    step: int = 60,
    seed: int = 0,
    row: Callable[[int], dict[str, Any]] = lambda i: {"id_str": f"g{i:03d}"},
) -> Path:
    """Write n pictures of 40 px, a brightness for each class in turn, and their catalogue.

    Parameters
    ----------
    folder : path
        Made if it is missing; the catalogue is `catalog.csv` in it.
    names : sequence of str
        Classes.
    step : int
        Difference in brightness between one class and the next.
    seed : int
        Of the noise.
    row : callable
        Gives the columns of a galaxy, `id_str` among them; `file_loc` and `label` are added.
    """
    rng = np.random.default_rng(seed)
    folder.mkdir(exist_ok=True)
    rows = []
    for i in range(n):
        pixels = rng.integers(0, 30, (40, 40, 3)) + step * (i % len(names))
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / f"{i}.png")
        rows.append({**row(i), "file_loc": f"{i}.png", "label": names[i % len(names)]})
    path = folder / "catalog.csv"
    pd.DataFrame(rows).to_csv(path, index=False)
    return path
