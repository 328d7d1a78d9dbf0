"""The explorer under a finger: Chromium as a phone."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from tests.web.browser import opened
from tests.web.conftest import PICTURES

pytestmark = pytest.mark.browser

_WIDTH = 390


@pytest.fixture(scope="module")
def phone(chromium: str, address: str) -> Iterator[Page]:
    """Return the page as a phone shows it."""
    settings = {"viewport": {"width": _WIDTH, "height": 844}, "has_touch": True, "is_mobile": True}
    with opened(chromium, address, **settings) as page:
        yield page


def fits(page: Page) -> bool:
    """Tell whether nothing sticks out to the side."""
    return bool(page.evaluate("document.documentElement.scrollWidth") <= _WIDTH)


def test_a_tap_selects_and_opens(phone: Page) -> None:
    phone.tap(".views [data-view=wall]")
    phone.locator(".tile .face").nth(1).tap()
    expect(phone.locator(".tile.selected")).to_have_count(1)
    expect(phone.locator("[data-scope=selected] span")).to_have_text("1")
    phone.locator(".tile").nth(1).get_by_role("button", name="Open galaxy").tap()
    expect(phone.locator("#galaxy .caption")).not_to_be_empty()
    assert fits(phone)
    dialog = phone.locator("#galaxy").bounding_box()
    assert dialog is not None
    assert dialog["x"] >= 0
    assert dialog["x"] + dialog["width"] <= _WIDTH
    phone.keyboard.press("Escape")
    expect(phone.locator("#galaxy")).to_be_hidden()


def test_words_search_and_every_view_fits(phone: Page) -> None:
    phone.fill("#words", "a spiral galaxy")
    phone.locator("#query button[type=submit]").tap()
    phone.tap(".views [data-view=wall]")
    expect(phone.locator(".tile .rank").first).to_be_visible()
    for view in ("map", "wall", "table"):
        phone.tap(f".views [data-view={view}]")
        assert fits(phone), view


def test_a_tap_on_the_map_selects_the_galaxy_there(phone: Page) -> None:
    phone.tap(".views [data-view=map]")
    phone.evaluate("document.querySelector('#zoom-all').click()")
    phone.wait_for_timeout(500)
    frame = phone.locator("#map canvas").first.bounding_box()
    assert frame is not None
    at = np.array(phone.evaluate(f"Array.from({{length: {PICTURES}}}, (_, row) => galaxalignMap().at(row))"))
    apart = np.hypot(*(at[:, None] - at).transpose(2, 0, 1)) + 1e9 * np.eye(len(at))
    inside = (at > (frame["x"], frame["y"])).all(1) & (
        at < (frame["x"] + frame["width"], frame["y"] + frame["height"])
    ).all(1)
    row = int(np.where(inside, apart.min(1), 0).argmax())
    phone.touchscreen.tap(*at[row])
    expect(phone.locator("[data-scope=selected] span")).to_have_text("1")
    phone.tap(".views [data-view=wall]")
    expect(phone.locator(".tile.selected")).to_have_attribute("data-row", str(row))
