"""An index in an object store, as users say where it is: by an address and the environment."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from galaxalign.errors import InputError
from galaxalign.gallery.gallery import open_gallery
from galaxalign.gallery.query import Part, Query
from galaxalign.verbs.index import index


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Return the address of an empty bucket of a server on this machine."""
    server = pytest.importorskip("moto.server").ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    address = f"http://127.0.0.1:{server.get_host_and_port()[1]}"
    said = {
        "AWS_ENDPOINT_URL": address,
        "AWS_ENDPOINT": address,
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "me",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"),
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
    }
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    import boto3

    boto3.client("s3", endpoint_url=address).create_bucket(Bucket="sky")
    yield "s3://sky"
    server.stop()


def test_an_index_in_a_bucket_answers_as_the_file_does(bucket: str, file: Path) -> None:
    place = index(embeddings=file, out=f"{bucket}/galaxies.index", exact_below=0, quiet=True)
    assert place == f"{bucket}/galaxies.index"
    query = Query(parts=[Part(kind="id", value="g3")], where="redshift > 0.1", k=10)
    here, there = open_gallery(file).search(query), open_gallery(str(place), exact_below=0).search(query)
    assert there.ids == here.ids
    assert [one.score for one in there] == pytest.approx([one.score for one in here], abs=1e-5)


def test_what_is_not_there_gets_one_sentence(bucket: str) -> None:
    with pytest.raises(InputError, match="there is no index at s3://sky/none"):
        open_gallery(f"{bucket}/none")
    with pytest.raises(InputError, match=r"s3://nobody/x cannot be reached .*check the address"):
        open_gallery("s3://nobody/x")
