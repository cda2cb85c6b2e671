"""Importing a roster in a real browser: progress by itself, by keyboard, and the rules of WCAG."""

from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browsing import CHROMIUM, LANGUAGES, Console, judge
from tests.rosters import sheet

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="needs Chromium at /usr/bin/chromium"),
]
HEADERS = ("รหัสบุคลากร", "ชื่อ", "ที่ไหน", "หัวหน้าของเขา", "ตำแหน่ง")
WRONG = ("N1", "นายใหม่ มาแล้ว", "top / one", "ZZ", "นิติกร")


def brought(page: Any, console: Console, data: bytes) -> None:
    page.goto(f"{console.base}/import")
    file = {"name": "roster.csv", "mimeType": "text/csv", "buffer": data}
    page.set_input_files("#file", file)
    page.focus("form[enctype] button")
    page.keyboard.press("Enter")
    page.wait_for_url("**/import/*-*")


def test_an_import_shows_by_itself_how_far_it_is(console: Console, officer: dict[str, Any]) -> None:
    """Every page on the way is judged, and nobody reloads."""
    page = console.page()
    page.context.add_cookies(officer["cookies"])
    brought(page, console, sheet(WRONG, headers=HEADERS))
    page.get_by_label("ที่ไหน").select_option("unit")
    page.get_by_label("หัวหน้าของเขา").select_option("supervisor")
    page.check("input[value=some]")
    faults = judge(console, officer["cookies"], [path(page)], LANGUAGES[0])
    page.click("form[action$=try] button")
    expect(page.locator("form[action$=reasons]")).to_be_visible(timeout=30_000)
    faults += judge(console, officer["cookies"], [path(page)], LANGUAGES[0])
    brought_again(page)
    page.click("form[action$=try] button")
    expect(page.locator("form[action$=agree]")).to_be_visible(timeout=30_000)
    faults += judge(console, officer["cookies"], [path(page)], LANGUAGES[0])
    page.check("input[name=sure]")
    page.click("form[action$=agree] button")
    expect(page.locator("a.button[href$=people]")).to_be_visible(timeout=30_000)
    page.goto(f"{console.base}/people?q=N1")
    page.click("tbody a")
    faults += judge(console, officer["cookies"], [path(page)], LANGUAGES[1])
    page.context.close()

    assert faults == []


def brought_again(page: Any) -> None:
    right = sheet((*WRONG[:3], "HR-h1", WRONG[4]), headers=HEADERS)
    file = {"name": "mended.csv", "mimeType": "text/csv", "buffer": right}
    page.set_input_files("#file", file)
    page.click("form[enctype] button")
    expect(page.locator("h1")).to_have_text("mended.csv")
    expect(page.get_by_label("ที่ไหน")).to_have_value("unit")


def path(page: Any) -> str:
    return str(page.url.partition("/console/")[2])
