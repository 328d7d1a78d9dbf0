"""A table goes to another program by SAMP, and a row that it highlights comes back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from astropy.io.votable import parse_single_table
from fastapi import FastAPI
from playwright.sync_api import expect
from pyvo.samp import SAMPHubServer, SAMPIntegratedClient
from starlette.testclient import TestClient

from tests.web.browser import opened, serving


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SAMPHubServer]:
    """Run a hub that only this test knows of."""
    monkeypatch.setenv("SAMP_HUB", f"std-lockurl:{(tmp_path / 'samp').as_uri()}")
    server = SAMPHubServer(web_profile=False, mode="single", addr="127.0.0.1", lockfile=str(tmp_path / "samp"))
    server.start()
    yield server
    server.stop()


def until(condition, seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.05)


def test_without_a_hub_the_user_is_told_to_start_topcat(
    client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAMP_HUB", f"std-lockurl:{(tmp_path / 'nothing').as_uri()}")
    answer = client.post("/api/v1/connect/samp")
    assert answer.status_code == 400
    assert "TOPCAT" in answer.json()["detail"]


def test_a_table_is_sent_and_a_highlighted_row_received(client: TestClient, hub: SAMPHubServer) -> None:
    received: list[dict] = []
    topcat = SAMPIntegratedClient(name="TOPCAT", addr="127.0.0.1")
    topcat.connect()
    topcat.bind_receive_notification(
        "table.load.votable", lambda key, sender, mtype, params, extra: received.append(params)
    )
    try:
        assert client.post("/api/v1/connect/samp").json()["clients"] == ["TOPCAT"]
        assert client.post("/api/v1/send/samp", json={"rows": [4, 7, 2]}).status_code == 200
        until(lambda: bool(received))
        ids = client.post("/api/v1/ids", json={"rows": [4, 7, 2]}).json()
        sent = parse_single_table(unquote(urlsplit(received[0]["url"]).path))
        assert [str(value) for value in sent.array["id_str"]] == ids

        highlight = {"table-id": received[0]["table-id"], "url": received[0]["url"], "row": "1"}
        topcat.notify_all({"samp.mtype": "table.highlight.row", "samp.params": highlight})
        until(lambda: client.get("/api/v1/samp").json()["serial"] == 1)
        state = client.get("/api/v1/samp").json()
        assert (state["highlighted"], state["row"]) == (ids[1], 7)
    finally:
        topcat.disconnect()


def test_a_galaxy_in_focus_is_pointed_at_and_does_not_come_back(client: TestClient, hub: SAMPHubServer) -> None:
    rows: list[dict] = []
    places: list[dict] = []
    topcat = SAMPIntegratedClient(name="TOPCAT", addr="127.0.0.1")
    topcat.connect()
    topcat.bind_receive_notification("table.load.votable", lambda *told: None)

    def echo(_key: str, _sender: str, mtype: str, params: dict, _extra: object) -> None:
        # As a program does that tells of every row it shows, those too that it was told of.
        rows.append(params)
        if len(rows) < 20:
            topcat.notify_all({"samp.mtype": mtype, "samp.params": params})

    topcat.bind_receive_notification("table.highlight.row", echo)
    topcat.bind_receive_notification(
        "coord.pointAt.sky", lambda key, sender, mtype, params, extra: places.append(params)
    )
    try:
        client.post("/api/v1/connect/samp")
        client.post("/api/v1/send/samp", json={"rows": [4, 7, 2]})
        ids = client.post("/api/v1/ids", json={"rows": [4, 7, 2, 9]}).json()

        def point(identity: str) -> dict:
            answer = client.post("/api/v1/highlight/samp", json={"id_str": identity})
            assert answer.status_code == 200, answer.text
            return answer.json()

        assert point(ids[1])["serial"] == 0
        until(lambda: len(rows) == 1 and len(places) == 1)
        assert rows[0]["row"] == "1"
        assert (float(places[0]["ra"]), float(places[0]["dec"])) == (17.0, -5.0)
        point(ids[1])  # said already
        point(ids[3])  # in no table that was sent
        until(lambda: len(places) == 2)

        back = {"table-id": rows[0]["table-id"], "url": rows[0]["url"], "row": "2"}
        topcat.notify_all({"samp.mtype": "table.highlight.row", "samp.params": back})
        until(lambda: client.get("/api/v1/samp").json()["serial"] == 1)
        point(ids[2])  # what they told us
        time.sleep(0.3)
        assert (len(rows), len(places)) == (1, 2)
        assert client.get("/api/v1/samp").json()["serial"] == 1
    finally:
        topcat.disconnect()


def test_without_a_hub_nothing_can_be_pointed_at(client: TestClient) -> None:
    identity = client.post("/api/v1/ids", json={"rows": [0]}).json()[0]
    answer = client.post("/api/v1/highlight/samp", json={"id_str": identity})
    assert answer.status_code == 400
    assert "connect first" in answer.json()["detail"]


@pytest.mark.slow
@pytest.mark.browser
def test_page_sends_what_found_and_shows_what_topcat_highlights(
    chromium: str, app: FastAPI, hub: SAMPHubServer
) -> None:
    tables: list[dict] = []
    rows: list[str] = []
    topcat = SAMPIntegratedClient(name="TOPCAT", addr="127.0.0.1")
    topcat.connect()
    topcat.bind_receive_notification(
        "table.load.votable", lambda key, sender, mtype, params, extra: tables.append(params)
    )
    topcat.bind_receive_notification(
        "table.highlight.row", lambda key, sender, mtype, params, extra: rows.append(params["row"])
    )
    try:
        with serving(app) as address, opened(chromium, address) as page:
            page.fill("#words", "a spiral galaxy")
            page.press("#words", "Enter")
            expect(page.locator(".tile .rank").first).to_be_visible()
            page.select_option("#export", "samp")
            expect(page.locator("#samp")).to_have_attribute("aria-pressed", "true")
            until(lambda: bool(tables))
            sent = [str(one) for one in parse_single_table(unquote(urlsplit(tables[0]["url"]).path)).array["id_str"]]
            assert sent[0] in page.locator(".tile .name b").first.inner_text()
            assert len(sent) == page.locator(".tile").count()

            told = {"table-id": tables[0]["table-id"], "url": tables[0]["url"], "row": "2"}
            topcat.notify_all({"samp.mtype": "table.highlight.row", "samp.params": told})
            expect(page.locator("#toasts")).to_contain_text(f"{sent[2]} was highlighted elsewhere")
            assert page.evaluate("document.querySelectorAll('.tile')[2].querySelector('.face').tabIndex") == 0

            page.locator(".tile .face").nth(5).click()
            until(lambda: bool(rows))
            assert rows == ["5"]
            page.click("#samp")
            expect(page.locator("#samp")).to_have_attribute("aria-pressed", "false")
    finally:
        topcat.disconnect()
