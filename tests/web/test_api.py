"""The REST API answers, refuses in one sentence, and gives away nothing that is not in the catalogue."""

from __future__ import annotations

import base64
import io
import json
import struct
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from astropy.io.votable import parse_single_table
from fastapi import FastAPI
from PIL import Image
from starlette.testclient import TestClient

from galaxalign.gallery.gallery import Gallery
from galaxalign.web.api import create_app
from galaxalign.web.settings import Settings

RING = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="-1 -1 2 2"><circle r=".8" fill="none" stroke="white"/></svg>'


def first_id(client: TestClient) -> str:
    return str(client.post("/api/v1/table", json={"limit": 1}).json()["cells"][0][0])


def png(width: int = 32, height: int = 32) -> bytes:
    out = io.BytesIO()
    y, x = np.mgrid[:height, :width]
    light = 220 * np.exp(-((x - width / 2) ** 2 + (y - height / 2) ** 2) / 40)
    Image.fromarray(np.repeat(light[:, :, None], 3, axis=2).astype(np.uint8)).save(out, "PNG")
    return out.getvalue()


def data_url(content: bytes, kind: str = "image/png") -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def search(client: TestClient, *parts: dict, **more: object) -> dict:
    answer = client.post("/api/v1/search", json={"parts": list(parts), "k": 5, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_health_says_what_is_served(client: TestClient, gallery: Gallery) -> None:
    health = client.get("/api/v1/health").json()
    assert (health["galaxies"], health["fingerprint"]) == (len(gallery), gallery.fingerprint)


def test_words_find_the_same_galaxies_as_the_gallery_itself(client: TestClient, gallery: Gallery) -> None:
    from galaxalign.gallery.query import Query

    parts = [{"kind": "text", "value": "a spiral galaxy"}, {"kind": "text", "value": "edge-on", "weight": -1}]
    hits = search(client, *parts)["hits"]
    assert [hit["id_str"] for hit in hits] == gallery.search(Query.model_validate({"parts": parts, "k": 5})).ids
    assert all(len(hit["why"]) == 2 for hit in hits)


@pytest.mark.parametrize(
    "part",
    [
        {"kind": "sketch", "value": RING},
        {"kind": "sketch", "value": data_url(RING.encode(), "image/svg+xml")},
        {"kind": "image", "value": data_url(png())},
        {"kind": "symbol", "value": "edge_on"},
    ],
)
def test_drawings_pictures_and_symbols_find_galaxies(client: TestClient, part: dict) -> None:
    assert len(search(client, part)["hits"]) == 5


def test_marks_refine_a_search_and_are_left_out(client: TestClient) -> None:
    query = {"parts": [{"kind": "text", "value": "a galaxy"}], "k": 5}
    first, second, *_ = [hit["id_str"] for hit in search(client, *query["parts"])["hits"]]
    answer = client.post("/api/v1/refine", json={"query": query, "good": [first], "bad": [second]})
    assert answer.status_code == 200
    assert not {first, second} & {hit["id_str"] for hit in answer.json()["hits"]}


def test_rows_lead_back_to_ids(client: TestClient) -> None:
    hit = search(client, {"kind": "text", "value": "a galaxy"})["hits"][0]
    assert client.post("/api/v1/ids", json={"rows": [hit["row"]]}).json() == [hit["id_str"]]


def test_galaxy_has_classes_votes_caption_neighbours_and_links(client: TestClient) -> None:
    galaxy = client.get(f"/api/v1/galaxies/{first_id(client)}").json()
    assert sum(one["probability"] for one in galaxy["reading"]["classes"]) == pytest.approx(1, abs=1e-4)
    assert galaxy["reading"]["caption"]
    assert galaxy["reading"]["votes"]
    assert len(galaxy["neighbours"]) == 12
    assert "ra=10.000000" in galaxy["links"]["Legacy Surveys"]
    assert "image_path" not in galaxy["columns"]


def test_a_galaxy_without_image_is_told_without_naming_its_path(client: TestClient) -> None:
    rows = client.post("/api/v1/table", json={"where": "status <> 'ok'"}).json()["cells"]
    galaxy = client.get(f"/api/v1/galaxies/{rows[0][0]}").json()
    assert galaxy["reading"] is None
    assert galaxy["reading_problem"]
    answer = client.get(f"/api/v1/cutout/{rows[0][0]}")
    assert answer.status_code == 404
    assert "/" not in answer.json()["detail"]


def test_a_cutout_is_a_jpeg_of_the_asked_size(client: TestClient) -> None:
    answer = client.get(f"/api/v1/cutout/{first_id(client)}?size=48")
    assert Image.open(io.BytesIO(answer.content)).size == (48, 48)


def test_classify_reads_an_uploaded_picture(client: TestClient) -> None:
    answer = client.post("/api/v1/classify", files={"file": ("x.png", png(), "image/png")})
    assert answer.status_code == 200
    assert answer.json()["classes"][0]["probability"] > 0


def test_the_map_has_a_place_for_each_galaxy_with_an_embedding(client: TestClient, gallery: Gallery) -> None:
    places = np.frombuffer(client.get("/api/v1/map").content, "<f4").reshape(2, -1)
    assert places.shape[1] == len(gallery)
    assert int(np.isnan(places[0]).sum()) == 1
    assert float(np.nanmax(np.abs(places))) <= 0.96


def test_a_column_comes_as_codes_and_names(client: TestClient, gallery: Gallery) -> None:
    content = client.get("/api/v1/map/columns/label").content
    (length,) = struct.unpack("<I", content[:4])
    header = json.loads(content[4 : 4 + length])
    codes = np.frombuffer(content[4 + length :], "<u2")
    labels = gallery.table(["label"]).column("label").to_pylist()
    assert [header["names"][code] for code in codes] == labels
    assert client.get("/api/v1/map/columns/image_path").status_code == 404


def test_the_table_sorts_filters_and_keeps_to_a_selection(client: TestClient) -> None:
    page = client.post("/api/v1/table", json={"order": "-ra", "limit": 3, "columns": ["ra"]}).json()
    assert [cells[1] for cells in page["cells"]] == sorted((cells[1] for cells in page["cells"]), reverse=True)
    some = client.post("/api/v1/table", json={"rows": [5, 2, 9], "where": "ra < 18", "order": "ra"}).json()
    assert (some["rows"], some["total"]) == ([2, 5], 2)
    kept = client.post("/api/v1/table", json={"rows": [5, 2, 9]}).json()
    assert kept["rows"] == [5, 2, 9]


@pytest.mark.parametrize("form", ["csv", "parquet", "fits", "votable"])
def test_a_selection_is_exported_in_each_format(client: TestClient, form: str) -> None:
    content = client.post(f"/api/v1/export?format={form}", json={"rows": [3, 1]}).content
    wanted = client.post("/api/v1/ids", json={"rows": [3, 1]}).json()
    if form == "csv":
        found = [line.split(",")[0] for line in content.decode().splitlines()[1:]]
    elif form == "parquet":
        found = pq.read_table(pa.BufferReader(content)).column("id_str").to_pylist()
    elif form == "fits":
        found = [str(value).strip() for value in fits.open(io.BytesIO(content))[1].data["id_str"]]
    else:
        found = [str(value) for value in parse_single_table(io.BytesIO(content)).array["id_str"]]
    assert found == wanted


def test_labels_are_in_the_file_when_the_answer_comes(app: FastAPI, client: TestClient, gallery: Gallery) -> None:
    name = first_id(client)
    path = app.state.explorer.settings.labels
    client.post("/api/v1/labels", json={"ids": [name], "label": "spiral"})
    assert path.read_text().splitlines()[-1].startswith(f"{name},spiral,")
    again = TestClient(
        create_app(gallery, Settings(labels=path), chart="pca", start=False), base_url="http://localhost"
    )
    assert again.get("/api/v1/labels").json()["labels"] == {name: "spiral"}
    assert client.post("/api/v1/labels", json={"ids": [name], "label": ""}).json()["labels"] == {}
    assert client.post("/api/v1/labels", json={"ids": ["nobody"], "label": "x"}).status_code == 404


# --- what is refused -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/cutout/../../../etc/passwd",
        "/api/v1/cutout/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "/api/v1/cutout//etc/passwd",
        "/api/v1/galaxies/%2fetc%2fpasswd",
        "/..%2f..%2fapi.py",
        "/%2e%2e/settings.py",
        "/js/..%2f..%2f..%2fapi.py",
    ],
)
def test_nothing_is_served_by_its_path(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code in (400, 404)
    assert "root:" not in answer.text
    assert "import" not in answer.text


POISON = {
    "script": '<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
    "handler": '<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"><path d="M0 0"/></svg>',
    "file": '<svg xmlns="http://www.w3.org/2000/svg" xmlns:x="http://www.w3.org/1999/xlink">'
    '<image x:href="file:///etc/passwd"/></svg>',
    "address": '<svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0" fill="url(http://example.org/a)"/></svg>',
    "entities": '<!DOCTYPE svg [<!ENTITY a "aaaa">]><svg xmlns="http://www.w3.org/2000/svg"><title>&a;</title></svg>',
    "tall": '<svg xmlns="http://www.w3.org/2000/svg" width="1" height="100000"><path d="M0 0"/></svg>',
    "page": "<html><body>hello</body></html>",
    "path": "/etc/passwd",
    "remote": "http://example.org/drawing.svg",
}


@pytest.mark.parametrize("name", POISON)
def test_drawings_that_are_more_than_drawings_are_refused(client: TestClient, name: str) -> None:
    answer = client.post("/api/v1/search", json={"parts": [{"kind": "sketch", "value": POISON[name]}]})
    assert answer.status_code == 400
    assert "\n" not in answer.json()["detail"]
    assert "root:" not in answer.text


def bomb() -> bytes:
    """Return a PNG that claims 60,000 x 60,000 pixels."""
    good = png()
    header = struct.pack(">II", 60_000, 60_000) + good[24:29]
    import zlib

    return good[:16] + header + struct.pack(">I", zlib.crc32(b"IHDR" + header)) + good[33:]


@pytest.mark.parametrize(
    ("content", "told"),
    [(bomb(), "pixels"), (b"", "empty"), (b"hello", "no picture"), (png()[:60], "damaged"), (RING.encode(), "SVG")],
)
def test_uploads_that_are_no_pictures_are_refused(client: TestClient, content: bytes, told: str) -> None:
    answer = client.post("/api/v1/classify", files={"file": ("x.png", content, "image/png")})
    assert answer.status_code == 400
    assert told in answer.json()["detail"]


@pytest.mark.parametrize("kind", ["image", "sketch"])
def test_a_picture_cannot_be_named_by_its_path(client: TestClient, kind: str, tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(png())
    answer = client.post("/api/v1/search", json={"parts": [{"kind": kind, "value": str(tmp_path / "x.png")}]})
    assert answer.status_code == 400


def test_a_symbol_and_a_moc_cannot_be_files(client: TestClient, tmp_path: Path) -> None:
    (tmp_path / "x.svg").write_text(RING)
    symbol = client.post("/api/v1/search", json={"parts": [{"kind": "symbol", "value": str(tmp_path / "x.svg")}]})
    assert symbol.status_code == 400
    sky = {"parts": [{"kind": "text", "value": "a"}], "moc": "/etc/passwd"}
    assert client.post("/api/v1/search", json=sky).status_code == 400


def test_large_requests_are_refused_whether_they_say_so_or_not(gallery: Gallery) -> None:
    app = create_app(gallery, Settings(upload_bytes=1000), chart="pca", start=False)
    client = TestClient(app, base_url="http://localhost")
    assert client.post("/api/v1/search", content=b"x" * 2000).status_code == 413

    def pieces():
        yield from [b"x" * 600] * 3

    assert client.post("/api/v1/search", content=pieces()).status_code == 413


def test_too_many_searches_are_refused(gallery: Gallery) -> None:
    app = create_app(gallery, Settings(costly_per_minute=3), chart="pca", start=False)
    client = TestClient(app, base_url="http://localhost")
    query = {"parts": [{"kind": "id", "value": "nobody"}]}
    found = [client.post("/api/v1/search", json=query).status_code for _ in range(5)]
    assert found == [400, 400, 400, 429, 429]
    assert client.get("/api/v1/health").status_code == 200


def test_another_name_of_the_server_is_refused(client: TestClient) -> None:
    assert client.get("/api/v1/health", headers={"host": "evil.example:8765"}).status_code == 400


@pytest.mark.parametrize(
    "headers",
    [{"origin": "http://evil.example"}, {"origin": "null"}, {"sec-fetch-site": "cross-site", "sec-fetch-mode": "cors"}],
)
def test_other_web_sites_are_refused(client: TestClient, headers: dict) -> None:
    answer = client.post("/api/v1/labels", json={"ids": [first_id(client)], "label": "x"}, headers=headers)
    assert answer.status_code == 403
    assert client.get("/api/v1/labels").json()["labelled"] == 0


def test_a_token_is_wanted_where_it_is_set(gallery: Gallery) -> None:
    app = create_app(gallery, Settings(host="0.0.0.0", token="secret"), chart="pca", start=False)
    client = TestClient(app, base_url="http://galaxies.example")
    assert client.get("/api/v1/health").status_code == 401
    assert client.get("/api/v1/health", headers={"authorization": "Bearer wrong"}).status_code == 401
    assert client.get("/api/v1/health", headers={"authorization": "Bearer secret"}).status_code == 200
    moved = client.get("/?token=secret", follow_redirects=False)
    assert (moved.status_code, moved.headers["location"]) == (303, "/")
    assert "HttpOnly" in moved.headers["set-cookie"]
    assert client.get("/api/v1/health").status_code == 200  # by the cookie
    again = client.get("/?token=other%0d%0aset-cookie:x", follow_redirects=False)
    assert "other" not in again.headers["set-cookie"]


def test_the_page_lets_nothing_in_from_elsewhere(client: TestClient) -> None:
    answer = client.get("/")
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert "https://" not in answer.text
    assert client.get("/parts/scatter.js").status_code == 200
    assert client.get("/api/v1/docs").status_code == 200


@pytest.mark.parametrize("origin", ["http://[::1", "http://[", "null", "", "http://127.0.0.1:8765@evil.org"])
def test_an_origin_that_is_none_is_another_site(client: TestClient, origin: str) -> None:
    answer = client.get("/api/v1/health", headers={"origin": origin})
    assert (answer.status_code, "another web site" in answer.json()["detail"]) == (403, True)


@pytest.mark.parametrize("where", ["image_path LIKE '/%'", "`Image_Path` IS NOT NULL", "length(image_path) > 3"])
def test_a_condition_cannot_ask_where_the_files_lie(client: TestClient, where: str) -> None:
    part = {"kind": "id", "value": first_id(client)}
    refine = {"query": {"parts": [part], "where": where}, "good": [], "bad": []}
    for path, body in (
        ("search", {"parts": [part], "where": where}),
        ("refine", refine),
        ("table", {"where": where}),
        ("table", {"order": "image_path"}),
    ):
        answer = client.post(f"/api/v1/{path}", json=body)
        assert answer.status_code == 400, answer.text
        assert "there is no column 'image_path'" in answer.json()["detail"]


def test_a_long_condition_is_refused(client: TestClient) -> None:
    body = {"parts": [{"kind": "id", "value": first_id(client)}], "where": "ra > 1 AND " * 1000 + "ra > 1"}
    answer = client.post("/api/v1/search", json=body)
    assert answer.status_code == 400
    assert "more than 4000 characters" in answer.json()["detail"]


def test_a_label_after_a_line_that_was_cut_is_kept(tmp_path: Path) -> None:
    """A machine that lost power leaves half a line; the next label must not be glued to it."""
    from galaxalign.web.labels import LabelFile

    path = tmp_path / "labels.csv"
    LabelFile(path).give(["g1"], "spiral")
    with path.open("a") as file:
        file.write("g2")
    LabelFile(path).give(["g3"], "merger")
    assert LabelFile(path).labels == {"g1": "spiral", "g3": "merger"}


def test_an_empty_file_becomes_one_of_labels(tmp_path: Path) -> None:
    from galaxalign.web.labels import LabelFile

    path = tmp_path / "labels.csv"
    path.touch()
    LabelFile(path).give(["g1"], "spiral")
    assert LabelFile(path).labels == {"g1": "spiral"}


def test_a_column_asked_for_twice_is_given_once(client: TestClient) -> None:
    page = client.post("/api/v1/table", json={"columns": ["ra", "ra", "id_str"], "limit": 1}).json()
    assert page["columns"] == ["id_str", "ra"]
    assert len(page["cells"][0]) == 2


def test_a_request_that_is_no_json_is_said_to_be_none(client: TestClient) -> None:
    answer = client.post("/api/v1/search", content='{"parts": [', headers={"content-type": "application/json"})
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("the request is no JSON (")
