"""Downloads continue where they broke off, and nothing that is not what was published gets its name."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from galaxalign.data.surveys import fetch as fetch_module
from galaxalign.data.surveys.fetch import CHECKSUMS, RemoteFile, download
from galaxalign.errors import InputError
from tests.data.range_server import Site, serving

BODY = os.urandom(300_000)
MD5 = f"md5:{hashlib.md5(BODY).hexdigest()}"


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setattr(fetch_module, "_PAUSE", 0.0)
    monkeypatch.setattr(fetch_module, "_CHUNK", 10_000)
    with serving(Site({"a.bin": BODY})) as found:
        yield found


def remote(site: Site, checksum: str = MD5, name: str = "a.bin") -> RemoteFile:
    return RemoteFile(name, f"{site.url}/{name}", len(BODY), checksum)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_connection_that_breaks_off_is_continued(site: Site, tmp_path: Path) -> None:
    site.breaks = [100_000, 50_000, 1]
    seen: list[int] = []
    assert download(remote(site), tmp_path, progress=seen.append)
    assert (tmp_path / "a.bin").read_bytes() == BODY
    assert site.asked == [None, "bytes=100000-", "bytes=150000-", "bytes=150001-"]
    assert names(tmp_path) == ["a.bin", CHECKSUMS]
    assert sum(seen) == len(BODY)


def test_a_new_call_continues_what_an_older_one_left(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.breaks = [120_000] + [0] * 6
    with pytest.raises(InputError, match="120,000 bytes have come: run again to continue"):
        download(remote(site), tmp_path)
    site.asked.clear()
    download(remote(site), tmp_path)
    assert site.asked == ["bytes=120000-"]
    assert (tmp_path / "a.bin").read_bytes() == BODY


def test_a_server_without_ranges_starts_over(site: Site, tmp_path: Path) -> None:
    site.ranges, site.breaks = False, [100_000]
    download(remote(site), tmp_path)
    assert (tmp_path / "a.bin").read_bytes() == BODY


def test_file_changes_in_between_is_not_put_together_of_two(site: Site, tmp_path: Path) -> None:
    site.breaks = [100_000] + [0] * 6
    with pytest.raises(InputError):
        download(remote(site, ""), tmp_path)
    other = os.urandom(300_000)
    site.files["a.bin"], site.etag = other, '"2"'
    download(remote(site, ""), tmp_path)
    assert (tmp_path / "a.bin").read_bytes() == other


def test_without_a_validator_another_size_starts_over(site: Site, tmp_path: Path) -> None:
    site.etag, site.breaks = None, [100_000] + [0] * 6
    with pytest.raises(InputError):
        download(remote(site, ""), tmp_path)
    other = os.urandom(200_000)
    site.files["a.bin"] = other
    download(remote(site, ""), tmp_path)
    assert (tmp_path / "a.bin").read_bytes() == other


def test_bytes_of_unknown_origin_are_not_continued(site: Site, tmp_path: Path) -> None:
    (tmp_path / "a.bin.part").write_bytes(b"something else")
    download(remote(site), tmp_path)
    assert site.asked == [None]
    assert (tmp_path / "a.bin").read_bytes() == BODY


def test_a_wrong_checksum_names_both_and_leaves_nothing(site: Site, tmp_path: Path) -> None:
    wrong = "md5:" + "0" * 32
    with pytest.raises(InputError, match=f"has the md5 {MD5[4:]}, but 0+ is published; it was deleted"):
        download(remote(site, wrong), tmp_path)
    assert names(tmp_path) == []


def test_unpublished_checksum_is_recorded_and_enforced(site: Site, tmp_path: Path) -> None:
    assert not download(remote(site, ""), tmp_path)
    recorded = json.loads((tmp_path / CHECKSUMS).read_text())["a.bin"]
    assert recorded["sha256"] == hashlib.sha256(BODY).hexdigest()
    assert recorded["published"] is None
    (tmp_path / "a.bin").write_bytes(BODY[:-1])
    with pytest.raises(InputError, match="delete it to fetch it again"):
        download(remote(site, ""), tmp_path)


def test_a_file_that_is_there_is_checked_and_not_fetched(site: Site, tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(BODY)
    download(remote(site), tmp_path)
    assert site.asked == []
    (tmp_path / "a.bin").write_bytes(b"cut")
    with pytest.raises(InputError, match=r"a\.bin has the md5"):
        download(remote(site), tmp_path)


def test_a_busy_server_is_asked_again(site: Site, tmp_path: Path) -> None:
    site.statuses = [503, 429, 500]
    download(remote(site), tmp_path)
    assert len(site.asked) == 4


def test_a_missing_file_is_said_at_once(site: Site, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"answers 404 .*--mirror"):
        download(remote(site, name="b.bin"), tmp_path)
    assert len(site.asked) == 1


def test_a_server_that_cannot_be_reached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch_module, "_PAUSE", 0.0)
    with pytest.raises(InputError, match=r"cannot be fetched .*refused"):
        download(RemoteFile("a.bin", "http://127.0.0.1:9/a.bin", 1), tmp_path)


def test_a_server_that_does_not_say_the_length(site: Site, tmp_path: Path) -> None:
    site.length = False
    download(remote(site), tmp_path)
    assert (tmp_path / "a.bin").read_bytes() == BODY
