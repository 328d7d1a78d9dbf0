"""The explorer in Chromium on real galaxies, as an astronomer uses it; what it looks like is kept as screenshots.

The galaxies are of Galaxy Zoo 2, some of them of Stripe 82, whose positions are known: what volunteers said of them
tells whether the right ones come back.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import Page, expect

from galaxalign.gallery.gallery import open_gallery
from galaxalign.verbs.embed import embed
from galaxalign.web.api import create_app
from galaxalign.web.settings import Settings
from tests.web.browser import READY, opened, serving, zoom_and_pan

pytestmark = [pytest.mark.browser, pytest.mark.real, pytest.mark.usefixtures("calm")]

KINDS = {
    "edge_on": ("t02_edgeon_a04_yes", "t01_smooth_or_features_a02_features_or_disk"),
    "merger": ("t08_odd_feature_a24_merger", "t06_odd_a14_yes"),
    "round": ("t07_rounded_a16_completely_round", "t01_smooth_or_features_a01_smooth"),
    "spiral": ("t04_spiral_a08_spiral", "t02_edgeon_a05_no"),
}
EACH = {"gz2": 12, "gz2_stripe82": 4}


@pytest.fixture(scope="module")
def catalog(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return 64 galaxies of four kinds, of which volunteers were surest."""
    chosen: list[pd.DataFrame] = []
    for name, number in EACH.items():
        folder = shared / "data" / name
        every = pd.read_csv(folder / "catalog.csv", dtype={"id_str": str}).copy()  # many columns: in one piece
        every["file_loc"] = [str(folder / place) for place in every["file_loc"]]
        for kind, (answer, parent) in KINDS.items():
            share = every[f"{answer}_weighted_fraction"] * every[f"{parent}_weighted_fraction"]
            some = every.loc[share.sort_values(ascending=False).index[:number]].assign(kind=kind, share=share)
            chosen.append(some[["id_str", "file_loc", "ra", "dec", "kind", "share"]])
    table = pd.concat(chosen).drop_duplicates("id_str")
    path = tmp_path_factory.mktemp("real") / "galaxies.csv"
    table.to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def table(catalog: Path) -> pd.DataFrame:
    return pd.read_csv(catalog, dtype={"id_str": str}).set_index("id_str")


@pytest.fixture(scope="module")
def page(chromium: str, catalog: Path) -> Iterator[Page]:
    """Return the page of the real galaxies."""
    path = embed(catalog=catalog, out=catalog.parent / "embeddings.parquet", device="cpu", quiet=True)
    settings = Settings(title="Galaxy Zoo 2", labels=catalog.parent / "labels.csv", label_names=("odd", "plain"))
    app = create_app(open_gallery(path, device="cpu"), settings, chart="pca", start=False)
    with serving(app) as address, opened(chromium, address) as page:
        yield page


@pytest.fixture(scope="module")
def shots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the screenshots; they show galaxies of others, and stay out of the repository."""
    return tmp_path_factory.mktemp("screenshots")


def shoot(page: Page, path: Path) -> None:
    page.wait_for_function(
        "[...document.querySelectorAll('.tile img, .drawer img')].every((one) => one.complete "
        "|| one.offsetParent === null || one.getBoundingClientRect().top > innerHeight)"
    )
    page.screenshot(path=path)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{path.name} is wider than the screen"


def found(page: Page) -> list[str]:
    """Return the ids that are shown, best first."""
    return [name.split()[0] for name in page.locator(".tile .name b").all_inner_texts()]


def answered(page: Page, action) -> list[str]:
    """Do something that searches, and return what was found."""
    with page.expect_response(lambda response: response.url.endswith("/api/v1/search")) as answer:
        action()
    ids = [hit["id_str"] for hit in answer.value.json()["hits"]]
    expect(page.locator(".tile .name b").first).to_contain_text(ids[0])
    return ids


def anew(page: Page) -> None:
    """Take every part out of the query."""
    while page.locator(".chip").count():
        page.locator(".chip button[title='Leave out']").first.click()
        page.wait_for_timeout(50)
    expect(page.locator(".tile .rank")).to_have_count(0)


def hand_over(page: Page, event: str, path: Path) -> None:
    """Drop or paste a file, as the browser tells the page of it."""
    content = base64.b64encode(path.read_bytes()).decode()
    page.evaluate(
        """([event, content, name]) => {
            const bytes = Uint8Array.from(atob(content), (one) => one.charCodeAt(0));
            const data = new DataTransfer();
            data.items.add(new File([bytes], name, { type: "image/jpeg" }));
            const settings = { bubbles: true, cancelable: true };
            document.querySelector("#wall").dispatchEvent(event === "drop"
                ? new DragEvent("drop", { ...settings, dataTransfer: data })
                : new ClipboardEvent("paste", { ...settings, clipboardData: data }));
        }""",
        [event, content, path.name],
    )


def test_words_find_real_galaxies(page: Page, table: pd.DataFrame, shots: Path) -> None:
    page.fill("#words", "an edge-on disc galaxy, not a merger")
    ids = answered(page, lambda: page.press("#words", "Enter"))
    assert list(table.loc[ids[:10], "kind"]).count("edge_on") >= 8
    expect(page.locator(".chip.not")).to_have_count(1)
    page.select_option("#colour", "kind")
    page.wait_for_selector("#legend:has-text('merger')")
    page.wait_for_timeout(500)
    shoot(page, shots / "words.png")
    page.click("#theme")
    page.wait_for_timeout(500)
    shoot(page, shots / "words-dark.png")
    page.click("#theme")
    anew(page)


@pytest.mark.parametrize("way", ["drop", "paste"])
def test_a_picture_finds_itself_and_its_like(page: Page, table: pd.DataFrame, way: str) -> None:
    wanted = table[table["kind"] == "round"].index[3]
    ids = answered(page, lambda: hand_over(page, way, Path(table.loc[wanted, "file_loc"])))
    assert ids[0] == wanted
    assert list(table.loc[ids[:10], "kind"]).count("round") >= 8
    expect(page.locator(".chip .what")).to_have_text(Path(table.loc[wanted, "file_loc"]).name)
    anew(page)


def test_more_like_a_galaxy(page: Page, table: pd.DataFrame, shots: Path) -> None:
    wanted = table[(table["kind"] == "round") & table["ra"].notna()].index[0]
    page.locator(f".tile .face[aria-label='Galaxy {wanted}']").dblclick()
    expect(page.locator("#galaxy .caption")).not_to_be_empty()
    expect(page.locator("#galaxy .links a")).to_have_count(3)
    assert page.inner_text("#galaxy h2") == wanted
    page.wait_for_timeout(300)
    shoot(page, shots / "galaxy.png")
    ids = answered(page, lambda: page.click("#galaxy button:has-text('More like this')"))
    assert wanted not in ids
    assert list(table.loc[ids[:5], "kind"]).count("round") >= 4
    anew(page)


def test_stamps_find_edge_on_galaxies(page: Page, table: pd.DataFrame, shots: Path) -> None:
    page.click("#draw")
    page.click(".stamps button:has-text('edge-on')")
    pad = page.locator(".pad").bounding_box()
    assert pad is not None
    middle = (pad["x"] + pad["width"] / 2, pad["y"] + pad["height"] / 2)
    page.mouse.move(*middle)
    page.mouse.down()
    page.mouse.move(middle[0] + 30, middle[1] + 20, steps=5)
    page.mouse.up()
    shoot(page, shots / "sketch.png")
    ids = answered(page, lambda: page.click("text=Search with this"))
    assert list(table.loc[ids[:10], "kind"]).count("edge_on") >= 8
    anew(page)


def test_the_symbol_of_a_class_finds_mergers(page: Page, table: pd.DataFrame) -> None:
    page.click("#draw")
    ids = answered(page, lambda: page.click(".palette button[title*='merg' i]"))
    assert list(table.loc[ids[:10], "kind"]).count("merger") >= 6
    anew(page)


def test_marks_bring_more_of_what_was_marked_right(page: Page, table: pd.DataFrame, tmp_path: Path) -> None:
    page.fill("#words", "a galaxy")
    ids = answered(page, lambda: page.press("#words", "Enter"))
    kinds = table.loc[ids, "kind"]
    right, wrong = kinds.index[kinds == "merger"][:3], kinds.index[kinds != "merger"][:3]
    for identity, sign in [*((one, "g") for one in right), *((one, "b") for one in wrong)]:
        page.locator(f".tile .face[aria-label='Galaxy {identity}']").focus()
        page.keyboard.press(sign)
    expect(page.locator("#refine")).to_have_text("Refine: 3 ✓ 3 ✗")
    with page.expect_response(lambda response: response.url.endswith("/api/v1/refine")) as answer:
        page.click("#refine")
    refined = [hit["id_str"] for hit in answer.value.json()["hits"]]
    assert not {*refined} & {*right, *wrong}
    assert list(table.loc[refined[:10], "kind"]).count("merger") >= 7 > list(kinds[:10]).count("merger")
    expect(page.locator(".tile .name b").first).to_contain_text(refined[0])
    page.select_option("#export", "marks")
    page.fill("#marks-label", "merger")
    with page.expect_download() as download:
        page.click("#marks button.main")
    download.value.save_as(tmp_path / "marks.csv")
    written = pd.read_csv(tmp_path / "marks.csv", dtype={"id_str": str})
    assert dict(zip(written["id_str"], written["label"], strict=True)) == {
        **dict.fromkeys(right, "merger"),
        **dict.fromkeys(wrong, "not_merger"),
    }
    anew(page)


def test_columns_and_sky_limit_what_is_listed_and_found(page: Page, table: pd.DataFrame, shots: Path) -> None:
    page.fill("#where", "kind = 'spiral' AND share > 0.5")
    wanted = table[(table["kind"] == "spiral") & (table["share"] > 0.5)]
    expect(page.locator(".tile")).to_have_count(len(wanted))
    page.click("#sky-open")
    place = wanted[wanted["ra"].notna()].iloc[0]
    apart = np.hypot((wanted["ra"] - place["ra"]) * np.cos(np.radians(place["dec"])), wanted["dec"] - place["dec"])
    near = set(wanted.index[apart <= 0.05])
    for name, value in (("ra", place["ra"]), ("dec", place["dec"]), ("radius", 0.05)):
        page.fill(f"#sky-{name}", str(value))
    page.click("#sky button:has-text('Apply')")
    expect(page.locator(".tile")).to_have_count(len(near))
    assert set(found(page)) == near
    shoot(page, shots / "sky.png")
    panel = page.locator("#list-panel").bounding_box()
    assert panel is not None
    assert panel["y"] + panel["height"] > 780, "with few galaxies the panels are as high as ever"
    page.click("#sky-none")
    page.click("#sky-open")
    page.fill("#words", "a galaxy")
    assert set(answered(page, lambda: page.press("#words", "Enter"))) == set(wanted.index)
    page.fill("#where", "")
    page.press("#where", "Enter")
    anew(page)


def test_selection_is_same_on_map_wall_and_table_and_in_export(
    page: Page, table: pd.DataFrame, shots: Path, tmp_path: Path
) -> None:
    box = page.locator("#map").bounding_box()
    assert box is not None
    page.click("[data-mode=box]")
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 4)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 4, box["y"] + box["height"] - 4, steps=12)
    page.mouse.up()
    page.wait_for_function("galaxalignMap().selected > 1")
    page.click("[data-mode=pan]")
    number = page.evaluate("galaxalignMap().selected")
    zoom_and_pan(page)
    assert page.evaluate("galaxalignMap().selected") == number
    expect(page.locator(".tile.selected")).to_have_count(number)
    page.click("#tab-table")
    expect(page.locator("tbody tr.selected")).to_have_count(number)
    page.click("#clear")
    page.wait_for_function("galaxalignMap().selected === 0")
    page.click("[data-scope=all]")
    page.locator("tbody tr").nth(3).click()
    page.wait_for_function("galaxalignMap().selected === 1")
    shoot(page, shots / "table.png")
    with page.expect_download() as download:
        page.select_option("#export", "csv")
    download.value.save_as(tmp_path / "selection.csv")
    written = pd.read_csv(tmp_path / "selection.csv", dtype={"id_str": str})
    chosen = page.locator("tbody tr.selected td").nth(1).inner_text()
    assert list(written["id_str"]) == [chosen]
    assert written.loc[0, "kind"] == table.loc[chosen, "kind"]
    page.click("#tab-wall")
    page.keyboard.press("Escape")
    page.wait_for_function("galaxalignMap().selected === 0")


def test_keys_label_one_galaxy_after_the_other(page: Page, catalog: Path) -> None:
    first = found(page)[:3]
    page.locator(".tile .face").first.focus()
    for place, key in enumerate("121", start=1):
        page.keyboard.press(key)
        expect(page.locator(".tile .given")).to_have_count(place)
    written = pd.read_csv(catalog.parent / "labels.csv", dtype=str)
    assert list(zip(written["id_str"], written["label"], strict=True)) == list(
        zip(first, ("odd", "plain", "odd"), strict=True)
    )


def test_it_can_be_used_on_a_phone(page: Page, shots: Path) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.reload()
    page.wait_for_function(READY)
    shoot(page, shots / "phone-map.png")
    page.click(".views [data-view=wall]")
    page.fill("#words", "two galaxies merging")
    answered(page, lambda: page.press("#words", "Enter"))
    shoot(page, shots / "phone-wall.png")
    page.click("#theme")
    page.click("#sky-open")
    shoot(page, shots / "phone-sky-dark.png")
    page.click("#sky-open")
    page.click("#draw")
    page.click(".stamps button:has-text('ring')")
    shoot(page, shots / "phone-sketch-dark.png")
    page.keyboard.press("Escape")
    page.locator(".tile .over button[title^=Open]").first.click()
    expect(page.locator("#galaxy .caption")).not_to_be_empty()
    shoot(page, shots / "phone-galaxy-dark.png")
