"""The explorer in Chromium, used as a person uses it: mouse, keys and files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from galaxalign.gallery.gallery import Gallery
from tests.web.browser import READY, opened, zoom_and_pan

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("calm")]


@pytest.fixture(scope="module")
def page(chromium: str, address: str) -> Iterator[Page]:
    """Return the page as it opens."""
    with opened(chromium, address) as page:
        yield page


def selected(page: Page) -> int:
    return int(page.inner_text("[data-scope=selected] span"))


def test_the_map_has_all_galaxies_and_the_wall_their_pictures(page: Page, gallery: Gallery) -> None:
    assert page.evaluate("galaxalignMap().points") == len(gallery)
    expect(page.locator(".tile")).to_have_count(len(gallery))
    page.wait_for_function("[...document.querySelectorAll('.tile img')].every((one) => one.naturalWidth === 160)")
    expect(page.locator(".face.none")).to_have_count(1)  # whose image is missing


def test_box_selection_survives_zoom_and_pan(page: Page) -> None:
    box = page.locator("#map").bounding_box()
    assert box is not None
    page.click("[data-mode=box]")
    corner = (box["x"] + 4, box["y"] + 4)
    page.mouse.move(*corner)
    page.mouse.down()
    for step in range(1, 16):
        page.mouse.move(corner[0] + step * box["width"] / 16, corner[1] + step * box["height"] / 16)
        page.wait_for_timeout(30)
    page.mouse.up()
    page.wait_for_function("galaxalignMap().selected > 3")
    number = page.evaluate("galaxalignMap().selected")
    expect(page.locator("[data-scope=selected] span")).to_have_text(str(number))
    expect(page.locator(".tile.selected")).to_have_count(number)

    page.click("[data-mode=pan]")
    zoom_and_pan(page)
    assert page.evaluate("galaxalignMap().selected") == number
    assert selected(page) == number


def test_numbers_and_words_colour_map_and_what_has_none_is_said(page: Page) -> None:
    legend = page.locator("#legend")
    page.select_option("#colour", "redshift")
    expect(legend).to_contain_text("no value 3")
    page.select_option("#colour", "ra")
    expect(legend.locator(".ramp")).to_be_visible()
    expect(legend).not_to_contain_text("no value")
    page.select_option("#colour", "label")
    expect(legend.locator("i").nth(1)).to_be_visible()


def test_what_is_selected_is_exported(page: Page, tmp_path: Path) -> None:
    number = selected(page)
    with page.expect_download() as download:
        page.select_option("#export", "csv")
    path = tmp_path / "selection.csv"
    download.value.save_as(path)
    assert len(path.read_text().splitlines()) == number + 1
    page.keyboard.press("Escape")
    page.wait_for_function("galaxalignMap().selected === 0")
    page.click("[data-scope=all]")


def test_words_with_not_find_galaxies(page: Page) -> None:
    page.fill("#words", "a spiral galaxy, not an edge-on disc")
    page.keyboard.press("Enter")
    expect(page.locator(".tile .rank").first).to_be_visible()
    expect(page.locator(".chip")).to_have_count(2)
    expect(page.locator(".chip.not")).to_have_count(1)
    expect(page.locator(".tile .why").first).to_be_attached()


def test_the_page_asks_what_right_answers_are_called(page: Page) -> None:
    box = page.locator("#right select")
    with page.expect_response(lambda response: response.url.endswith("/api/v1/search")) as answer:
        box.select_option(index=1)
    assert answer.value.request.post_data_json["label"] == box.input_value() != ""
    # Too few have a label here; the page says so, and not how many are right.
    expect(page.locator("#list-note")).to_contain_text("How many are right cannot be told: only 23 galaxies")
    page.locator(".chip button[title='Counts more']").first.click()
    expect(box).to_have_value("")
    expect(page.locator("#list-note")).not_to_contain_text("cannot be told")  # the answer is there


def test_marks_are_saved_and_refine_the_query(page: Page, tmp_path: Path) -> None:
    page.locator(".tile .face").nth(2).focus()
    page.keyboard.press("g")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("b")
    expect(page.locator("#refine")).to_have_text("Refine: 1 ✓ 1 ✗")
    page.select_option("#export", "marks")
    expect(page.locator("#marks-label")).to_have_value("spiral_galaxy")
    with page.expect_download() as download:
        page.press("#marks-label", "Enter")
    path = tmp_path / "marks.csv"
    download.value.save_as(path)
    assert [line.split(",")[-3] for line in path.read_text().split()] == ["label", "spiral_galaxy", "not_spiral_galaxy"]
    expect(page.locator("#marks")).to_be_hidden()
    marked = [page.locator(".tile .name b").nth(place).inner_text().split()[0] for place in (2, 3)]
    page.click("#refine")
    expect(page.locator("#list-note")).to_contain_text("refined with 2 marks")
    found = [name.split()[0] for name in page.locator(".tile .name b").all_inner_texts()]
    assert found
    assert not set(marked) & set(found)
    # Another label changes the estimate, not what was found with these two marks.
    page.locator(".tile .face").first.focus()
    page.keyboard.press("g")
    with page.expect_response(lambda response: response.url.endswith("/api/v1/refine")) as answer:
        page.locator("#right select").select_option(index=1)
    sent = answer.value.request.post_data_json
    assert (len(sent["good"]), len(sent["bad"])) == (1, 1)
    expect(page.locator("#list-note")).to_contain_text("How many are right cannot be told")
    expect(page.locator("#refine")).to_have_text("Refine: 2 ✓ 1 ✗")


def test_click_in_table_selects_on_the_map_and_headings_sort(page: Page) -> None:
    page.click("[data-scope=all]")
    page.click("#tab-table")
    page.click("th:has-text('ra') button")
    page.click("th:has-text('ra') button")
    expect(page.locator("th[aria-sort=descending]")).to_have_count(1)
    expect(page.locator("tbody tr").first).to_contain_text("33")
    page.locator("tbody tr").first.click()
    page.wait_for_function("galaxalignMap().selected === 1")
    page.fill("#where", "ra < 13")
    expect(page.locator("tbody tr")).to_have_count(3)
    page.fill("#where", "nonsense <")
    expect(page.locator(".toast.wrong")).to_be_visible()
    page.fill("#where", "")
    page.keyboard.press("Enter")
    page.click("#tab-wall")
    page.click("#clear")


def test_a_part_of_the_sky_limits_the_list(page: Page, tmp_path: Path) -> None:
    while page.locator(".chip").count():
        page.locator(".chip button[title='Leave out']").first.click()
    expect(page.locator(".tile .rank")).to_have_count(0)
    page.click("#sky-open")
    page.fill("#sky-ra", "12")
    page.fill("#sky-dec", "-95")
    page.fill("#sky-radius", "1.05")
    page.click("#sky button:has-text('Apply')")
    expect(page.locator(".toast.wrong").last).to_contain_text("Dec must be a number of degrees from -90 to 90")
    page.fill("#sky-dec", "-5")
    page.press("#sky-dec", "Enter")
    expect(page.locator(".tile")).to_have_count(3)
    expect(page.locator("#list-note")).to_have_text("3 galaxies within 1.05° of RA 12°, Dec -5°.")
    page.click("#sky-none")
    (tmp_path / "moc.txt").write_text("0/0-11")
    with page.expect_response(lambda response: response.url.endswith("/api/v1/table")):
        page.set_input_files("#sky-file", tmp_path / "moc.txt")
    expect(page.locator("#list-note")).to_contain_text("in moc.txt")
    page.fill("#sky-moc", "nonsense")
    page.press("#sky-moc", "Enter")
    expect(page.locator(".toast.wrong").last).to_contain_text("MOC is neither text")
    page.click("#sky-none")
    expect(page.locator("#list-note")).to_have_text("")
    page.click("#sky-open")


def test_a_galaxys_page_says_what_it_is(page: Page) -> None:
    page.locator(".tile .face:not(.none)").first.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#galaxy .caption")).not_to_be_empty()
    expect(page.locator("#galaxy .strip button")).to_have_count(12)
    expect(page.locator("#galaxy .links a")).to_have_count(3)
    name = page.inner_text("#galaxy h2")
    page.locator("#galaxy h2").click()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#galaxy h2")).not_to_have_text(name)
    page.click("#galaxy button:has-text('More like this')")
    expect(page.locator(".chip .what").last).not_to_be_empty()


def test_a_drawing_finds_galaxies(page: Page) -> None:
    page.click("#draw")
    page.click(".stamps button:has-text('bulge')")
    page.click(".stamps button:has-text('arm')")
    page.click(".stamps button:has-text('arm')")
    expect(page.locator(".pad .shape")).to_have_count(3)
    pad = page.locator(".pad").bounding_box()
    assert pad is not None
    page.mouse.move(pad["x"] + 20, pad["y"] + 30)
    page.mouse.down()
    page.mouse.move(pad["x"] + 80, pad["y"] + 20, steps=6)
    page.mouse.up()
    expect(page.locator(".pad .shape")).to_have_count(4)
    with page.expect_response(lambda response: response.url.endswith("/api/v1/search")) as answer:
        page.click("text=Search with this")
    expect(page.locator(".chip:has-text('my drawing')")).to_be_visible()
    expect(page.locator(".tile .name b").first).to_contain_text(answer.value.json()["hits"][0]["id_str"])


def test_a_picture_is_searched_with(page: Page, embeddings: Path) -> None:
    picture = next((embeddings.parent / "images").rglob("*.*"))
    with page.expect_response(lambda response: response.url.endswith("/api/v1/search")) as answer:
        page.set_input_files("#file", picture)
    expect(page.locator(f".chip:has-text('{picture.name}')")).to_be_visible()
    # What comes after must not meet an answer that is still on its way to the wall.
    hits = answer.value.json()["hits"]
    expect(page.locator(".tile .name b").first).to_contain_text(hits[0]["id_str"])
    expect(page.locator("[data-scope=found] span")).to_have_text(str(len(hits)))


def test_keys_label_galaxies_and_take_it_back(page: Page, gallery: Gallery) -> None:
    page.click("[data-scope=all]")
    expect(page.locator(".tile .rank")).to_have_count(0)
    expect(page.locator(".tile")).to_have_count(len(gallery))
    page.locator(".tile .face").first.focus()
    expect(page.locator("[data-scope=selected] span")).to_have_text("0")
    page.keyboard.press("2")
    expect(page.locator(".tile .given")).to_have_count(1)
    expect(page.locator(".tile .face").nth(1)).to_be_focused()
    page.keyboard.press("3")  # the next one
    expect(page.locator(".tile .given")).to_have_count(2)
    page.keyboard.press("u")
    expect(page.locator(".tile .given")).to_have_count(1)


def test_it_fits_a_phone_and_the_dark(page: Page, address: str) -> None:
    page.click("#theme")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(address)
    page.wait_for_function(READY)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.click(".views [data-view=wall]")
    expect(page.locator(".tile").first).to_be_visible()
    assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "dark"
