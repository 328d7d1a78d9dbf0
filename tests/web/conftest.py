"""A small gallery of simulated galaxies with the model in the box, and an explorer of it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from playwright.sync_api import Page
from starlette.testclient import TestClient

from galaxalign.data.tables import read_table, write_table
from galaxalign.gallery.gallery import Gallery, open_gallery
from galaxalign.verbs.embed import embed
from galaxalign.verbs.simulate import simulate
from galaxalign.web.api import create_app
from galaxalign.web.settings import Settings
from tests.web.browser import serving, watch

PICTURES = 24


@pytest.fixture(scope="session")
def embeddings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the embeddings of a few simulated galaxies; one image is missing."""
    folder = tmp_path_factory.mktemp("survey")
    catalog = simulate(taxonomy="galaxy10_decals", n=PICTURES, out=folder, size=64, workers=1, quiet=True)
    table = read_table(catalog, text_columns=("id_str",))
    table["ra"], table["dec"] = [10.0 + row for row in range(len(table))], [-5.0] * len(table)
    table["redshift"] = [0.01 * row if row % 8 else None for row in range(len(table))]
    (folder / str(table["file_loc"].iloc[-1])).unlink()
    write_table(table, catalog)
    return embed(catalog=catalog, out=folder / "embeddings.parquet", device="cpu", quiet=True)


@pytest.fixture(scope="session")
def gallery(embeddings: Path) -> Gallery:
    """Return the gallery of the simulated galaxies."""
    return open_gallery(embeddings, device="cpu")


@pytest.fixture
def app(gallery: Gallery, tmp_path: Path) -> FastAPI:
    """Return an explorer with a map (PCA) and a file of labels."""
    settings = Settings(title="simulated", labels=tmp_path / "labels.csv", costly_per_minute=100_000)
    return create_app(gallery, settings, chart="pca", start=False)


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    """Return a client of the explorer, under a name that it answers to."""
    with TestClient(app, base_url="http://127.0.0.1:8765") as client:
        yield client


@pytest.fixture(scope="session")
def chromium() -> str:
    """Return Chromium's path; without it skip on a user's machine and fail in CI."""
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        reason = "no Chromium here (apt-get install chromium), so nothing can be done as a person would"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return path


@pytest.fixture
def calm(page: Page) -> Iterator[None]:
    """Fail where the page throws, or asks another host for anything."""
    wrong = watch(page)
    yield
    assert not wrong


@pytest.fixture(scope="session")
def address(gallery: Gallery, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return where a running explorer is."""
    labels = tmp_path_factory.mktemp("labels") / "labels.csv"
    app = create_app(gallery, Settings(title="simulated", labels=labels), chart="pca", start=False)
    with serving(app) as address:
        yield address
