"""A small gallery of simulated galaxies with the model in the box, and an explorer of it."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvicorn
from fastapi import FastAPI
from playwright.sync_api import Browser, sync_playwright
from starlette.testclient import TestClient

from galaxalign.data.tables import read_table, write_table
from galaxalign.gallery.gallery import Gallery, open_gallery
from galaxalign.simulate import simulate
from galaxalign.verbs import embed
from galaxalign.web.api import create_app
from galaxalign.web.settings import Settings

PICTURES = 24
_ARGUMENTS = [
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-unsafe-swiftshader",
]


@pytest.fixture(scope="session")
def embeddings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the embeddings of a few simulated galaxies; one image is missing."""
    folder = tmp_path_factory.mktemp("survey")
    catalog = simulate(taxonomy="galaxy10_decals", n=PICTURES, out=folder, size=64, workers=1, quiet=True)
    table = read_table(catalog, text_columns=("id_str",))
    table["ra"], table["dec"] = [10.0 + row for row in range(len(table))], [-5.0] * len(table)
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


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Browser]:
    """Return a running Chromium."""
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def address(gallery: Gallery, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return where a running explorer is."""
    labels = tmp_path_factory.mktemp("labels") / "labels.csv"
    with running(create_app(gallery, Settings(title="simulated", labels=labels), chart="pca", start=False)) as where:
        yield where


@contextmanager
def running(app: FastAPI) -> Iterator[str]:
    """Serve an explorer on a free port."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the server did not start"
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(10)
