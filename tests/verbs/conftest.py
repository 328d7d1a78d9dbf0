"""A survey and a model trained on it, shared by the tests of the verbs."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest

from galaxalign.morphology import load_taxonomy
from tests.pictures import write_survey

NAMES = load_taxonomy("galaxy_mnist").class_names
RECIPE = """
name = "tiny"
batch_size = 16
symbol_variants = 4
ema = 0.5
augmentation = { colour = 0.0 }
[[stage]]
name = "one"
pairs = { image-text = 1.0, symbol-text = 1.0 }
symbol_tower = "shared"
epochs = 1
lr_trunk = 3e-3
lr_head = 1e-2
[[stage]]
name = "two"
pairs = { image-text = 1.0, image-symbol = 1.0, symbol-text = 1.0 }
epochs = 3
lr_trunk = 3e-3
lr_head = 1e-2
"""


def write_survey_with_faults(folder: Path) -> Path:
    """Write 80 pictures of four brightnesses, one class each, and three that cannot be read."""
    path = write_survey(folder, NAMES, 80, step=70, row=lambda i: {"id_str": f"58884890152730{i:05d}"})
    (folder / "80.jpg").write_bytes(b"")
    (folder / "81.jpg").write_text("not a picture")
    faults = [("empty", "80.jpg", NAMES[0]), ("text", "81.jpg", NAMES[1]), ("missing", "82.jpg", NAMES[2])]
    table = pd.read_csv(path, dtype=str)
    pd.concat([table, pd.DataFrame(faults, columns=table.columns)]).to_csv(path, index=False)
    return path


@pytest.fixture
def survey(tmp_path: Path) -> Path:
    return write_survey_with_faults(tmp_path / "survey")


@pytest.fixture(scope="session")
def trained_once(start: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the recipe and the model trained on the survey, from which tests take copies."""
    from galaxalign.verbs import train

    folder = tmp_path_factory.mktemp("trained")
    recipe = folder / "tiny.toml"
    recipe.write_text(RECIPE)
    survey = write_survey_with_faults(folder / "survey")
    train(recipe=recipe, catalog=survey, taxonomy="galaxy_mnist", encoder=start, out=folder / "run")
    return folder


@pytest.fixture
def trained(trained_once: Path, survey: Path, tmp_path: Path) -> Path:
    """Return a model trained on the survey; its recipe stands beside it in tiny.toml."""
    shutil.copy(trained_once / "tiny.toml", tmp_path / "tiny.toml")
    return Path(shutil.copytree(trained_once / "run", tmp_path / "run"))
