"""`galaxalign split`: tables without images, benchmarks, folds, and what is said on the way."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner

from galaxalign import cli
from galaxalign.data.splits.splits import read_split
from galaxalign.errors import InputError
from galaxalign.verbs.split import fold_paths, split


def write(path: Path, **columns: object) -> Path:
    pd.DataFrame(columns).to_csv(path, index=False)
    return path


def sky(path: Path, n: int = 60, **columns: object) -> Path:
    """Write n pairs of rows 30 arcsec apart, without ids or images."""
    return write(path, RA=np.repeat(np.arange(n), 2) * 0.1, Dec=np.tile([0, 30 / 3600], n), **columns)


def run(*arguments: object) -> object:
    return CliRunner().invoke(cli.app, ["split", *(str(argument) for argument in arguments)])


def test_an_arcminute_is_the_default_and_another_radius_is_kept(tmp_path: Path) -> None:
    table = sky(tmp_path / "sky.csv")
    assert read_split(split(catalogs=[table], out=tmp_path / "a.parquet")).table["group"].nunique() == 60
    close = read_split(split(catalogs=[table], out=tmp_path / "b.parquet", radius="20arcsec"))
    assert (close.table["group"].nunique(), close.radius) == (120, 20)
    with pytest.raises(InputError, match="radius 20 parsec is no angle"):
        split(catalogs=[table], out=tmp_path / "c.parquet", radius="20 parsec")


def test_command_of_the_documentation_leaves_a_benchmark_out(tmp_path: Path) -> None:
    table = sky(tmp_path / "sky.csv")
    other = write(tmp_path / "other.csv", ra=[0.1, 0.2], dec=[1 / 3600, 10 / 3600])
    result = run(table, "--exclude", other, "--radius", "2arcsec", "--out", tmp_path / "s.parquet")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[0].split()[-1] == "excluded"
    assert "1 of 120 rows stand in other and are in no part" in result.stderr
    parts = read_split(tmp_path / "s.parquet").table["part"]
    assert np.flatnonzero(parts == "excluded").tolist() == [2]
    # Each radius for itself: groups of an arcminute, and what is excluded within 15 arcsec.
    result = run(table, "--exclude", other, "--exclude-radius", "15arcsec", "--out", tmp_path / "s.parquet")
    made = read_split(tmp_path / "s.parquet").table
    assert np.flatnonzero(made["part"] == "excluded").tolist() == [2, 4]
    assert made["group"].nunique() == 60


def test_folds_are_files_that_are_splits(tmp_path: Path) -> None:
    table = sky(tmp_path / "sky.csv")
    result = run(table, "--folds", 5, "--out", tmp_path / "cv.parquet")
    assert result.exit_code == 0, result.output
    paths = fold_paths(tmp_path / "cv.parquet", 5)
    assert [path.name for path in paths] == [f"cv-{k}.parquet" for k in range(1, 6)]
    tests = np.concatenate([np.flatnonzero(read_split(path).table["part"] == "test") for path in paths])
    assert sorted(tests) == list(range(120))
    assert run(table, "--folds", 2, "--out", tmp_path / "cv.parquet").exit_code == 1


def test_doubts_about_positions_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    hours = write(tmp_path / "hours.csv", ra=rng.uniform(0, 24, 50), dec=rng.uniform(-30, 60, 50))
    split(catalogs=[hours], out=tmp_path / "a.parquet")
    assert "hours: right ascension lies between" in capsys.readouterr().err
    zeros = write(tmp_path / "zeros.csv", ra=[0] * 80 + list(range(20)), dec=[0] * 80 + list(range(20)))
    split(catalogs=[zeros], out=tmp_path / "b.parquet")
    said = capsys.readouterr().err
    assert "81 rows have the very same position (0, 0)" in said
    assert "81 of 100 rows hang together" in said
    missing = write(tmp_path / "missing.csv", ra=[1, 2, None, 4], dec=[1, 2, 3, None])
    split(catalogs=[missing], out=tmp_path / "c.parquet")
    assert "2 of 4 rows have no position" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("ra", "dec", "said"),
    [
        ([10, 361], [0, 0], "ra = 361 in row 2"),
        ([10, 20], [0, -90.01], "dec = -90.01 in row 2"),
        (["12:03:11", "1"], ["0", "0"], "looks like hours, minutes and seconds"),
        ([-999, 1], [-999, 1], "empty where it is not known"),
    ],
)
def test_impossible_coordinates_are_refused(tmp_path: Path, ra: list, dec: list, said: str) -> None:
    result = run(write(tmp_path / "t.csv", ra=ra, dec=dec), "--out", tmp_path / "s.parquet")
    assert result.exit_code == 1
    assert said in result.stderr
    assert not (tmp_path / "s.parquet").exists()


def test_by_appearance_keeps_pictures_of_one_galaxy_together(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    rows = []
    for galaxy in range(12):
        y, x = np.mgrid[:160, :160] / 160 - 0.5
        light = 190 * np.exp(-np.hypot(x, y) / 0.06)
        for _ in range(16):
            cx, cy = rng.normal(0, 0.12, 2)
            light += 80 * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * 0.012**2))
        picture = Image.fromarray(np.clip(light + rng.normal(10, 2, light.shape), 0, 255).astype(np.uint8)).convert(
            "RGB"
        )
        picture.save(tmp_path / f"wide-{galaxy}.png")
        picture.resize((80, 80), box=(24, 22, 140, 138)).save(tmp_path / f"near-{galaxy}.png")
        rows += [(f"wide-{galaxy}", f"wide-{galaxy}.png"), (f"near-{galaxy}", f"near-{galaxy}.png")]
    ids, files = zip(*rows, strict=True)
    table = write(tmp_path / "t.csv", id_str=ids, file_loc=files)
    made = read_split(split(catalogs=[table], out=tmp_path / "s.parquet", by_appearance=True)).table
    together = made.assign(galaxy=made["id_str"].str.split("-").str[1]).groupby("galaxy")["group"].nunique()
    assert (together == 1).sum() >= 11
    assert made["group"].nunique() <= 13


def test_table_without_positions_is_told_what_it_was_grouped_by(tmp_path, capsys):
    path = tmp_path / "misnamed.csv"
    pd.DataFrame({"id_str": list("abcdefghij"), "RAJ2000": range(10), "DEJ2000": range(10)}).to_csv(path, index=False)
    split(catalogs=[path], out=tmp_path / "split.parquet")
    assert "no columns ra and dec, so galaxies are told by ids alone" in capsys.readouterr().err


def test_missing_column_is_named_infinite_position_differs(tmp_path, capsys):
    half = write(tmp_path / "half.csv", id_str=list("abcdefghij"), ra=range(10))
    split(catalogs=[half], out=tmp_path / "split.parquet")
    said = capsys.readouterr().err
    assert "half has ra but no column dec, so galaxies are told by ids alone" in said
    assert "no position" not in said
    infinite = write(tmp_path / "infinite.csv", ra=[1, np.inf, 3], dec=[1, 2, 3])
    result = run(infinite, "--out", tmp_path / "split.parquet")
    assert "ra = inf in row 2" in result.stderr
    assert "no position" not in result.stderr


def test_empty_parts_are_said(tmp_path, capsys):
    table = write(tmp_path / "t.csv", id_str=list("abcdefghij"))
    for fractions, said in (((1, 0, 0), "no galaxy is in validation and test:"), ((0.8, 0, 0.2), "is in validation:")):
        split(catalogs=[table], out=tmp_path / "s.parquet", fractions=fractions)
        assert said in capsys.readouterr().err
    split(catalogs=[table], out=tmp_path / "s.parquet")
    assert "no galaxy" not in capsys.readouterr().err
