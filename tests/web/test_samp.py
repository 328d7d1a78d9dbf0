"""A table goes to another program by SAMP, and a row that it highlights comes back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from astropy.io.votable import parse_single_table
from pyvo.samp import SAMPHubServer, SAMPIntegratedClient
from starlette.testclient import TestClient


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
