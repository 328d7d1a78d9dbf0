"""serve and explore: what they print, whom they let in, how they end."""

from __future__ import annotations

import socket
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from playwright.sync_api import expect
from starlette.responses import HTMLResponse
from starlette.testclient import TestClient

import galaxalign
from galaxalign.errors import InputError
from galaxalign.gallery.gallery import open_gallery
from galaxalign.web.api import create_app
from galaxalign.web.settings import is_loopback
from tests.web.browser import opened, serving
from tests.web.conftest import PICTURES


def test_explore_serves_beside_the_notebook_and_ends(embeddings: Path) -> None:
    explorer = galaxalign.explore(embeddings, map="pca", height=500)
    try:
        assert f'src="{explorer.address}"' in explorer._repr_html_()
        page = httpx.get(explorer.address)
        assert "frame-ancestors 'self' http://localhost:*" in page.headers["content-security-policy"]
        assert httpx.get(f"{explorer.address}api/v1/health").json()["galaxies"] > 0
    finally:
        explorer.close()
    with pytest.raises(httpx.TransportError):
        httpx.get(explorer.address)


@pytest.mark.slow
@pytest.mark.browser
def test_a_notebook_of_another_port_shows_the_explorer(chromium: str, embeddings: Path) -> None:
    explorer = galaxalign.explore(embeddings, map="pca", height=700)
    notebook = FastAPI()
    notebook.get("/")(lambda: HTMLResponse(explorer._repr_html_()))
    try:
        with serving(notebook) as address, opened(chromium, address, ready=False) as page:
            frame = page.frame_locator("iframe")
            expect(frame.locator(".tile")).to_have_count(PICTURES)
            frame.locator("#words").fill("a spiral galaxy")
            frame.locator("#words").press("Enter")
            expect(frame.locator(".tile .rank").first).to_be_visible()
    finally:
        explorer.close()


def test_a_port_that_is_taken_is_told_at_once(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(InputError, match="choose another --port"):
            galaxalign.serve(embeddings=tmp_path / "missing.parquet", port=other.getsockname()[1])


def test_a_token_of_odd_characters_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--token cannot be"):
        galaxalign.serve(embeddings=tmp_path / "missing.parquet", port=0, token="a b\r\nc")


@pytest.mark.parametrize(
    ("host", "told"), [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False)]
)
def test_what_counts_as_this_machine(host: str, told: bool) -> None:
    assert is_loopback(host) is told


def test_an_index_is_served_as_its_embeddings_are(embeddings: Path, tmp_path: Path) -> None:
    galaxalign.index(embeddings=embeddings, out=tmp_path / "index", quiet=True)
    app = create_app(open_gallery(tmp_path / "index", device="cpu"), chart="pca", start=False)
    client = TestClient(app, base_url="http://localhost")
    page = client.post("/api/v1/table", json={"where": "ra < 13", "order": "-ra", "columns": ["ra"]}).json()
    assert [cells[1] for cells in page["cells"]] == [12, 11, 10]
    query = {"parts": [{"kind": "id", "value": page["cells"][0][0]}], "k": 3}
    assert len(client.post("/api/v1/search", json=query).json()["hits"]) == 3
    assert len(client.get("/api/v1/map").content) == 8 * client.get("/api/v1/health").json()["galaxies"]
