"""Catalogues and their images in a bucket, read from a real server of the S3 protocol."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from astropy.io import fits
from PIL import Image

from galaxalign.data.catalogs import load_pictures, prepare_store, read_catalog, scan_catalog
from galaxalign.data.images import OK, prepare
from galaxalign.data.images.preprocessing import Preprocessing
from galaxalign.errors import InputError

CHAIN = Preprocessing(size=16, stretch="linear:minimum=0,maximum=255")
NAMES = ["a.png", "b.fits", "c.fits[SCI]", "d.npy", "e.h5::images[1]", "gone.png"]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a small survey with an image of each kind."""
    folder = tmp_path_factory.mktemp("survey")
    rng = np.random.default_rng(0)
    bands = rng.uniform(0, 255, (3, 20, 20)).astype(np.float32)
    Image.fromarray(rng.integers(0, 255, (20, 20, 3), np.uint8)).save(folder / "a.png")
    fits.writeto(folder / "b.fits", bands)
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(bands, name="SCI")]).writeto(folder / "c.fits")
    np.save(folder / "d.npy", bands)
    with h5py.File(folder / "e.h5", "w") as file:
        file["images"] = rng.integers(0, 255, (2, 20, 20, 3), np.uint8)
    table = pd.DataFrame({"id_str": [name[0] for name in NAMES], "file_loc": NAMES, "label": "x"})
    table.to_csv(folder / "catalog.csv", index=False)
    table.to_csv(folder / "galaxies.csv.gz", index=False)
    table.to_parquet(folder / "galaxies.parquet")
    (folder / "broken.parquet").write_bytes(b"PAR1 and no more")
    return folder


@pytest.fixture(scope="module")
def address(files: Path) -> Iterator[str]:
    """Serve the files of the survey as s3://sky/survey; return the address of the server."""
    server = pytest.importorskip("moto.server")
    s3fs = pytest.importorskip("s3fs")
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    _, port = running.get_host_and_port()
    system = s3fs.S3FileSystem(key="me", secret="secret", endpoint_url=f"http://127.0.0.1:{port}")
    system.call_s3("create_bucket", Bucket="sky")
    for path in files.iterdir():
        system.put_file(str(path), f"sky/survey/{path.name}")
    yield f"http://127.0.0.1:{port}"
    running.stop()


@pytest.fixture
def bucket(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Say in the environment, as users do, where the server is and who asks."""
    import s3fs

    monkeypatch.setenv("AWS_ENDPOINT_URL", address)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "me")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    s3fs.S3FileSystem.clear_instance_cache()
    yield "s3://sky/survey"
    s3fs.S3FileSystem.clear_instance_cache()


def test_a_catalogue_and_its_images_are_read_as_from_a_disk(bucket: str, files: Path, tmp_path: Path) -> None:
    for name in ("catalog.csv", "galaxies.csv.gz", "galaxies.parquet"):
        local, remote = read_catalog(files / name), read_catalog(f"{bucket}/{name}")
        pd.testing.assert_frame_equal(remote.table, local.table)
        assert remote.fingerprint == local.fingerprint
        assert remote.source == ("survey" if name == "catalog.csv" else "galaxies")
        assert remote.paths() == [f"{bucket}/{image}" for image in NAMES]
    pixels, statuses = load_pictures(remote, CHAIN)
    assert statuses[:-1] == [OK] * 5
    assert statuses[-1] == f"there is no image at {bucket}/gone.png; check file_loc in the catalogue"
    for row, name in enumerate(NAMES[:-1]):
        np.testing.assert_array_equal(pixels[row : row + 1][0], prepare(files / name, CHAIN))
    prepare_store(remote, tmp_path / "store", CHAIN, quiet=True)
    stored, said = load_pictures(read_catalog(tmp_path / "store"), CHAIN)
    np.testing.assert_array_equal(stored[:], pixels[:])
    assert said == statuses


def test_a_catalogue_in_pieces_finds_its_images_in_the_bucket(bucket: str, files: Path) -> None:
    for name in ("galaxies.csv.gz", "galaxies.parquet"):
        scan = scan_catalog(f"{bucket}/{name}")
        assert (len(scan), scan.source, scan.fingerprint) == (6, "galaxies", read_catalog(files / name).fingerprint)
        pieces = list(scan.pieces(4))
        assert [path for piece in pieces for path in piece.paths()] == [f"{bucket}/{image}" for image in NAMES]


def test_what_is_not_or_not_readable_is_said_with_its_address(bucket: str) -> None:
    for name in ("gone.csv", ""):
        with pytest.raises(InputError, match=f"there is no catalogue at {bucket}/{name}; a remote one must be a table"):
            read_catalog(f"{bucket}/{name}")
    with pytest.raises(InputError, match=f"^{bucket}/broken.parquet ") as caught:
        scan_catalog(f"{bucket}/broken.parquet")
    assert "galaxalign-" not in str(caught.value)
    with pytest.raises(InputError, match="there is no image at s3://nowhere/a.png"):
        prepare("s3://nowhere/a.png", CHAIN)
    with pytest.raises(InputError, match="is a pattern of remote files"):
        read_catalog(f"{bucket}/*.png")


def test_missing_credentials_are_said_at_once(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with pytest.raises(InputError, match=f"{bucket}/a.png needs credentials; .*FSSPEC_S3_ANON=true"):
        prepare(f"{bucket}/a.png", CHAIN)
