"""Chromium with the explorer open in it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from fastapi import FastAPI
from playwright.sync_api import Page, expect, sync_playwright

ARGUMENTS = [
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-unsafe-swiftshader",
]
READY = "window.galaxalignMap && galaxalignMap() && document.querySelector('#map-note').textContent === ''"
WAIT = 60_000  # ms: without a graphics card a busy machine draws slowly


@contextmanager
def serving(app: FastAPI) -> Iterator[str]:
    """Serve an explorer; gives its address."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the server did not start"
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(10)


@contextmanager
def opened(chromium: str, address: str, *, ready: bool = True, **settings: Any) -> Iterator[Page]:
    """Open the page at 1280 x 800, or with other settings of the browser, and wait for its map."""
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        page = browser.new_page(**{"viewport": {"width": 1280, "height": 800}, "accept_downloads": True, **settings})
        page.set_default_timeout(WAIT)
        expect.set_options(timeout=WAIT)
        page.goto(address)
        if ready:
            page.wait_for_function(READY)
        yield page
        browser.close()


def zoom_and_pan(page: Page) -> None:
    """Turn the wheel over the map, and drag it aside."""
    box = page.locator("#map").bounding_box()
    assert box is not None
    before = page.evaluate("galaxalignMap().distance")
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.wheel(0, -300)
    page.wait_for_function(f"galaxalignMap().distance < {before}")
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 3, box["y"] + box["height"] / 3, steps=5)
    page.mouse.up()
    page.wait_for_timeout(400)


def watch(page: Page) -> list[str]:
    """Return a list that fills with what goes wrong: what the page throws, and what it asks of other hosts."""
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda request: wrong.append(request.url) if _outside(request.url) else None)
    return wrong


def _outside(url: str) -> bool:
    return not url.startswith(("http://127.0.0.1:", "data:", "blob:"))
