"""`galaxalign audit`: a table, a page that needs nothing else, and an exit status that a script can trust."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner

from galaxalign import cli
from galaxalign.data.splits.audit import COLUMNS
from galaxalign.errors import InputError
from galaxalign.verbs.audit import audit
from galaxalign.verbs.split import split


def run(*arguments: object) -> object:
    return CliRunner().invoke(cli.app, ["audit", *(str(argument) for argument in arguments)])


@pytest.fixture
def survey(tmp_path: Path) -> Path:
    """Write 30 pictures; the first two are one file, at one place, under two labels; the last is broken."""
    rng = np.random.default_rng(0)
    rows = []
    for row in range(30):
        pixels = rng.integers(0, 200, (8, 8, 3)).astype(np.uint8)
        Image.fromarray(pixels).resize((64, 64), Image.Resampling.BICUBIC).save(tmp_path / f"{row}.png")
        rows.append((f"g<{row}>", f"{row}.png", "spiral" if row else "elliptical", 10.0 + row, 5.0))
    (tmp_path / "1.png").write_bytes((tmp_path / "0.png").read_bytes())
    (tmp_path / "29.png").write_bytes(b"nothing")
    table = pd.DataFrame(rows, columns=["id_str", "file_loc", "label", "ra", "dec"])
    table.loc[1, ["ra", "dec"]] = [10.0, 5.0 + 0.5 / 3600]
    path = tmp_path / "survey.csv"
    table.to_csv(path, index=False)
    return path


def split_apart(survey: Path, path: Path) -> Path:
    """Save a split that has the first two rows in different parts."""
    for seed in range(20):
        split(catalogs=[survey], out=path, radius=0, seed=seed)
        if pd.read_parquet(path)["part"][:2].nunique() == 2:
            return path
    raise AssertionError("no seed parts the two")


def test_a_leak_ends_with_status_one_and_one_sentence(survey: Path, tmp_path: Path) -> None:
    leaking = split_apart(survey, tmp_path / "leaking.parquet")
    result = run(survey, "--split", leaking, "--out", tmp_path / "audit")
    assert result.exit_code == 1
    assert re.fullmatch(
        r"Error: The split leaks: 1 pairs of rows \(2 galaxies\) that are one object or closer than 60 arcsec stand in "
        r"different parts, first g<0> \(\w+\) and g<1> \(\w+\), 0\.5 arcsec apart; make it anew with galaxalign "
        r"split --radius 60arcsec\.\n",
        result.stderr,
    )
    split(catalogs=[survey], out=tmp_path / "grouped.parquet")
    result = run(survey, "--split", tmp_path / "grouped.parquet")
    assert result.exit_code == 0, result.output
    assert "No leak of" in result.stdout
    assert "Broken pictures, first g<29>: " in result.stdout


def test_every_finding_is_a_row_of_the_table(survey: Path, tmp_path: Path) -> None:
    leaking = split_apart(survey, tmp_path / "leaking.parquet")
    found = audit(catalog=survey, split=leaking, out=tmp_path / "audit")
    table = pd.read_csv(tmp_path / "audit" / "findings.csv", keep_default_na=False)
    assert tuple(table.columns) == COLUMNS
    counts = table["kind"].value_counts().to_dict()
    assert counts == {
        "leak": 1,
        "label_conflict": 1,
        "same_position": 1,
        "same_file": 1,
        "broken": 1,
        "rare_class": 1,
        "class": 2,
        "band": 3,
    }
    assert len(found.findings) == len(table)
    assert found.leaks == 1
    audit(catalog=survey, out=tmp_path / "findings.parquet")
    assert len(pd.read_parquet(tmp_path / "findings.parquet")) == len(table) - 1
    assert not (tmp_path / "audit.html").exists()


def test_the_page_holds_both_pictures_and_needs_nothing_else(survey: Path, tmp_path: Path) -> None:
    audit(catalog=survey, out=tmp_path / "audit")
    html = (tmp_path / "audit" / "audit.html").read_text()
    card = html[html.index('id="same_file"') :].split("</div></div>")[0]
    assert card.count('src="data:image/jpeg;base64,') == 2
    assert "g&lt;0&gt;" in card
    assert "g<0>" not in html
    assert not re.search(r'(src|href)="(?!data:|#)', html)
    assert "<script" not in html
    assert "no picture" in html[html.index('id="broken"') :], "a broken picture has none to show"


def test_coordinates_alone_can_be_audited(tmp_path: Path) -> None:
    pd.DataFrame({"RA": [1, 1, 2], "DEC": [0, 0.2 / 3600, 0]}).to_csv(tmp_path / "sky.csv", index=False)
    result = run(tmp_path / "sky.csv")
    assert result.exit_code == 0, result.output
    assert "1 within 1 arcsec" in result.stdout
    assert "Same position" in result.stdout


def test_what_could_not_be_looked_for_is_not_called_clean(tmp_path: Path) -> None:
    table = tmp_path / "ids.csv"
    pd.DataFrame({"id_str": [f"g{row}" for row in range(20)], "night": [row // 2 for row in range(20)]}).to_csv(table)
    split(catalogs=[table], out=tmp_path / "s.parquet")
    assert "neither positions nor pictures" in audit(catalog=table, split=tmp_path / "s.parquet").verdict
    by_night = audit(catalog=table, split=tmp_path / "s.parquet", group="night")
    assert by_night.leaks > 0


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"ra": [1, 2, None]}, "there is ra but no column dec."),
        ({"ra": [1, 2, None]}, "not compared by position (ra but no column dec)."),
        ({"ra": [1, 2, None], "dec": [1, None, 2]}, "2 of 3 rows have no position"),
        ({"ra": [1, np.inf, None], "dec": [1, 2, 2]}, "1 of 3 rows have no position"),
        ({"x": [1, 2, 3]}, "not compared by position (no columns ra and dec)."),
    ],
)
def test_rows_without_positions_are_counted_without_a_split(columns: dict, said: str, tmp_path: Path) -> None:
    pd.DataFrame({"id_str": ["a", "b", "c"], **columns}).to_csv(tmp_path / "t.csv", index=False)
    result = run(tmp_path / "t.csv")
    assert result.exit_code == 0
    assert said in result.stdout


def test_another_catalogue_is_compared_by_id_place_and_picture(survey: Path, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere" / "other.csv"
    other.parent.mkdir()
    table = pd.read_csv(survey).iloc[[2, 3, 4]]
    for name in table["file_loc"]:
        (other.parent / name).write_bytes((survey.parent / name).read_bytes())
    table["id_str"] = ["g<2>", "x", "y"]
    table["ra"] = [100, 13, 200]
    table.to_csv(other, index=False)
    found = audit(catalog=survey, against=other).findings
    across = found[found["other_source"] == "other"]
    assert across.groupby("kind")["id_str"].apply(list).to_dict() == {
        "same_id": ["g<2>"],
        "same_position": ["g<3>"],
        "same_file": ["g<2>", "g<3>", "g<4>"],
    }


def test_wrong_input_is_one_sentence(survey: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.csv"
    pd.read_csv(survey).iloc[:10].to_csv(other, index=False)
    split(catalogs=[other], out=tmp_path / "other.parquet")
    for arguments, said in (
        ((tmp_path / "none.csv",), "there is no catalogue at"),
        ((survey, "--split", tmp_path / "none.parquet"), "there is no split at"),
        ((survey, "--split", tmp_path / "other.parquet"), "does not know the catalogue survey"),
        ((survey, "--radius", "wide"), "is no angle"),
        ((survey, "--group", "night"), "has the column night"),
        ((survey, "--against", survey), "two catalogues are called survey"),
    ):
        result = run(*arguments)
        assert result.exit_code == 1
        assert result.stderr.count("\n") == 1
        assert said in result.stderr
    with pytest.raises(InputError, match="cannot be written"):
        audit(catalog=survey, out=survey / "below-a-file")


@pytest.mark.slow
@pytest.mark.real
def test_chance_split_leaks_and_grouped_split_does_not(shared: Path, tmp_path: Path) -> None:
    table = shared / "data" / "galaxy10_decals_coordinates.csv"
    for radius, leaks in ((0, True), (60, False)):
        path = tmp_path / f"{radius}.parquet"
        split(catalogs=[table], out=path, fractions=(0.8, 0, 0.2), radius=radius)
        found = audit(catalog=table, split=path)
        assert dict(found.distances)["1"] == 59
        assert dict(found.distances)["60"] == 220
        assert (found.leaks > 0) == leaks
