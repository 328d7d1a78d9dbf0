"""Parts of the sky as filters, and marked galaxies as files."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import astropy.units as u
import pyarrow.parquet as pq
import pytest
from mocpy import MOC
from starlette.testclient import TestClient

from galaxalign.data.catalogs import read_catalog
from galaxalign.gallery.gallery import Gallery, open_gallery
from galaxalign.web.api import create_app
from galaxalign.web.settings import Settings

# The simulated galaxies stand at declination -5 and right ascensions 10, 11, 12 ... degrees.
CONE = {"ra": 12.0, "dec": -5.0, "radius": 1.05}


def ids(client: TestClient, **request: object) -> list[str]:
    answer = client.post("/api/v1/table", json=request)
    assert answer.status_code == 200, answer.text
    return [cells[0] for cells in answer.json()["cells"]]


@pytest.fixture
def three(client: TestClient) -> list[str]:
    """Return the ids of the galaxies in the circle."""
    return ids(client, where="ra >= 11 AND ra <= 13")


def moc_file(path: Path) -> bytes:
    MOC.from_cone(lon=12 * u.deg, lat=-5 * u.deg, radius=1.05 * u.deg, max_depth=10).save(path, format="fits")
    return path.read_bytes()


def test_a_circle_limits_list_and_search(client: TestClient, three: list[str]) -> None:
    assert ids(client, cone=CONE) == three
    assert ids(client, cone=CONE, where="ra > 11.5", order="-ra") == three[:0:-1]
    row = client.post("/api/v1/table", json={"cone": CONE, "limit": 1, "offset": 2}).json()
    assert (row["total"], row["cells"][0][0]) == (3, three[2])
    assert ids(client, cone=CONE, rows=row["rows"]) == three[2:]
    found = client.post("/api/v1/search", json={"parts": [{"kind": "text", "value": "a spiral"}], "cone": CONE})
    assert {hit["id_str"] for hit in found.json()["hits"]} == set(three)


def test_a_moc_file_becomes_text_for_a_query(client: TestClient, three: list[str], tmp_path: Path) -> None:
    read = client.post("/api/v1/moc", files={"file": ("survey.fits", moc_file(tmp_path / "survey.fits"))}).json()
    assert read["share"] == pytest.approx(3.46 / 41253, rel=0.1)
    assert ids(client, moc=read["moc"]) == three
    found = client.post("/api/v1/search", json={"parts": [{"kind": "text", "value": "a disc"}], "moc": read["moc"]})
    assert {hit["id_str"] for hit in found.json()["hits"]} == set(three)


@pytest.mark.parametrize("content", [b"", b"SIMPLE  = no", b"a letter", b'{"6": ["x"]}', b"6/", b"\xff\xd8\xff"])
def test_a_file_that_is_no_moc_is_refused_in_one_sentence(client: TestClient, content: bytes) -> None:
    answer = client.post("/api/v1/moc", files={"file": ("survey.fits", content)})
    assert answer.status_code == 400
    assert "/tmp" not in answer.json()["detail"]
    assert "MOC" in answer.json()["detail"]


def test_a_list_cannot_name_a_file_of_the_server(client: TestClient, tmp_path: Path) -> None:
    moc_file(tmp_path / "survey.fits")
    answer = client.post("/api/v1/table", json={"moc": str(tmp_path / "survey.fits")})
    assert answer.status_code == 400
    assert "cannot be named" in answer.json()["detail"]


def test_without_positions_the_reason_is_told(embeddings: Path, tmp_path: Path) -> None:
    pq.write_table(pq.read_table(embeddings).drop_columns(["ra", "dec"]), tmp_path / "e.parquet")
    app = create_app(open_gallery(tmp_path / "e.parquet", device="cpu"), chart="pca", start=False)
    client = TestClient(app, base_url="http://127.0.0.1")
    assert not client.get("/api/v1/about").json()["can"]["sky"]
    for path, body in (("table", {}), ("search", {"parts": [{"kind": "text", "value": "a spiral"}]})):
        answer = client.post(f"/api/v1/{path}", json={"cone": CONE, **body})
        assert answer.status_code == 400
        assert "no positions" in answer.json()["detail"]


def test_marks_become_a_catalogue_that_can_be_trained_on(client: TestClient, three: list[str], tmp_path: Path) -> None:
    marks = {"good": three[:2], "bad": three[2:], "label": " ring "}
    answer = client.post("/api/v1/export/marks", json=marks)
    assert answer.status_code == 200
    (tmp_path / "marks.csv").write_bytes(answer.content)
    catalog = read_catalog(tmp_path / "marks.csv")
    assert list(catalog.table["id_str"]) == three
    assert list(catalog.table["label"]) == ["ring", "ring", "not_ring"]
    assert all(Path(path).is_file() for path in catalog.paths())


def test_marks_become_a_manifest_without_paths(client: TestClient, three: list[str]) -> None:
    answer = client.post("/api/v1/export/marks", json={"good": three, "bad": [], "label": "ring", "manifest": True})
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["subject_id"] for row in rows] == three
    assert rows[0]["#label"] == "ring"
    assert "/" not in rows[0]["filename"]


def test_a_server_for_others_does_not_tell_where_images_lie(gallery: Gallery) -> None:
    app = create_app(gallery, Settings(names=("galaxies.example",)), chart="pca", start=False)
    client = TestClient(app, base_url="http://galaxies.example")
    some = ids(client, limit=2)
    answer = client.post("/api/v1/export/marks", json={"good": some, "bad": [], "label": "ring"})
    assert [Path(row["file_loc"]).name for row in csv.DictReader(io.StringIO(answer.text))] == [
        row["file_loc"] for row in csv.DictReader(io.StringIO(answer.text))
    ]


@pytest.mark.parametrize(
    ("marks", "status", "told"),
    [
        ({"good": [], "bad": [], "label": "ring"}, 400, "nothing is marked"),
        ({"good": ["nobody"], "bad": [], "label": "ring"}, 404, "nobody"),
        ({"good": ["?"], "bad": [], "label": " "}, 400, "empty"),
    ],
)
def test_marks_that_say_nothing_are_refused(client: TestClient, marks: dict, status: int, told: str) -> None:
    marks["good"] = ids(client, limit=1) if marks["good"] == ["?"] else marks["good"]
    answer = client.post("/api/v1/export/marks", json=marks)
    assert answer.status_code == status
    assert told in answer.json()["detail"]
