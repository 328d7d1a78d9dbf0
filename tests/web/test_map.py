"""The map in Chromium: what a lasso holds, and galleries of more galaxies than are drawn at once."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from matplotlib.path import Path as Polygon
from playwright.sync_api import Page, expect

from galaxalign.gallery.gallery import Gallery
from galaxalign.web.api import create_app
from galaxalign.web.settings import Settings
from tests.web.browser import opened, serving, zoom_and_pan
from tests.web.conftest import PICTURES

pytestmark = pytest.mark.browser

_DRAWN = 8


@pytest.fixture(scope="module", params=[0, _DRAWN], ids=["all", "few"])
def page(request: pytest.FixtureRequest, chromium: str, gallery: Gallery) -> Iterator[Page]:
    """Return the page of a server that has all galaxies drawn, or eight at once."""
    app = create_app(gallery, Settings(map_points=request.param), chart="pca", start=False)
    with serving(app) as address, opened(chromium, address) as page:
        yield page


def places(page: Page) -> np.ndarray:
    """Return where on the page each galaxy is."""
    return np.array(page.evaluate(f"Array.from({{length: {PICTURES}}}, (_, row) => galaxalignMap().at(row))"))


def lasso(page: Page, corners: np.ndarray) -> None:
    """Draw a line through corners with the mouse."""
    page.click("[data-mode=lasso]")
    page.mouse.move(*corners[0])
    page.mouse.down()
    for one, other in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        for share in np.linspace(0, 1, 6)[1:]:
            page.mouse.move(*(one + share * (other - one)))
            page.wait_for_timeout(12)
    page.mouse.up()
    page.click("[data-mode=pan]")


def test_lasso_keeps_its_galaxies_through_zoom_and_pan(page: Page) -> None:
    at = places(page)
    box = page.locator("#map").bounding_box()
    assert box is not None
    arrow = np.array([(0.02, 0.03), (0.7, 0.03), (0.4, 0.5), (0.6, 0.97), (0.02, 0.97)])
    corners = (box["x"], box["y"]) + arrow * (box["width"], box["height"])
    inside = set(np.flatnonzero(Polygon(corners).contains_points(at)).tolist())
    assert 2 < len(inside) < PICTURES - 1
    lasso(page, corners)
    expect(page.locator("[data-scope=selected] span")).to_have_text(str(len(inside)))
    expect(page.locator(".tile.selected")).to_have_count(len(inside))
    rows = page.eval_on_selector_all(".tile.selected", "all => all.map((one) => Number(one.dataset.row))")
    assert set(rows) == inside

    zoom_and_pan(page)
    expect(page.locator("[data-scope=selected] span")).to_have_text(str(len(inside)))
    assert page.evaluate("galaxalignMap().selected") == len(inside)
    page.click("#zoom-all")
    page.keyboard.press("Escape")
    expect(page.locator("[data-scope=selected] span")).to_have_text("0")
    assert page.locator("#map").bounding_box() == box  # an empty list does not make the page collapse


def test_too_many_galaxies_sample_drawn_and_comes_when_it_near(page: Page) -> None:
    drawn = page.evaluate("galaxalignMap().points")
    if drawn == PICTURES:
        expect(page.locator("#map-part")).to_be_hidden()
        return
    page.wait_for_function(f"galaxalignMap().points === {_DRAWN}")  # once what was selected is let go
    expect(page.locator("#map-part")).to_have_text(f"{_DRAWN} of {PICTURES} drawn; zoom in for all")
    box = page.locator("#map").bounding_box()
    assert box is not None
    row = next(  # one has no place: its image is missing
        row
        for row, (x, _) in enumerate(places(page))
        if x < box["x"] + box["width"] and not page.evaluate(f"galaxalignMap().drawn({row})")
    )
    for _ in range(4):
        x, y = places(page)[row]
        page.mouse.move(x, y)
        page.mouse.wheel(0, -400)
        page.wait_for_timeout(300)
    page.wait_for_function(f"galaxalignMap().drawn({row})")
    expect(page.locator("#map-part")).to_be_hidden()
    page.click("#zoom-all")
    expect(page.locator("#map-part")).to_be_visible()


def test_what_is_chosen_in_the_table_is_drawn(page: Page) -> None:
    page.click("[data-scope=all]")
    page.click("#tab-table")
    lines = page.locator("tbody tr")
    expect(lines).to_have_count(PICTURES)
    rows = lines.evaluate_all("all => all.map((one) => Number(one.dataset.row))")
    missing = [row for row in rows if not page.evaluate(f"galaxalignMap().drawn({row})")]
    row = missing[0] if missing else rows[0]
    page.locator(f"tbody tr[data-row='{row}']").click()
    page.wait_for_function(f"galaxalignMap().drawn({row}) && galaxalignMap().selected === 1")
