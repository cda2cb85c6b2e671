"""The content room in a real browser: an officer words a question anew, to the end."""

from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browsing import CHROMIUM, LANGUAGES, Console, judge

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="needs Chromium at /usr/bin/chromium"),
]
QUESTION = "content/question/computer-01"


def test_a_question_is_worded_anew_published_and_withdrawn(
    console: Console, officer: dict[str, Any]
) -> None:
    page = console.page()
    page.context.add_cookies(officer["cookies"])
    page.goto(f"{console.base}/{QUESTION}/edit")
    page.fill("[name='stem.th']", "")
    page.fill("[name='stem.en']", "How should they change it?")
    page.click("form.card > .acts button")
    expect(page.locator("[name='stem.th']")).to_be_focused()
    assert page.input_value("[name='stem.en']") == "How should they change it?"
    page.fill("[name='stem.th']", "ควรปรับวิธีสำรองข้อมูลอย่างไร")
    page.click("form.card > .acts button")
    page.wait_for_url("**/content/draft/*")
    expect(page.locator("ins").first).to_be_visible()
    path = page.url.partition("/console/")[2]
    faults = [
        fault for lang in LANGUAGES for fault in judge(console, officer["cookies"], [path], lang)
    ]
    assert faults == []
    page.reload()
    page.check("[name=sure]")
    page.click("form[action$=publish] button")
    page.wait_for_url("**/computer-01")
    expect(page.locator(".said")).to_be_visible()
    page.goto(f"{console.base}/{QUESTION}/history")
    page.check("[name=sure]")
    page.click("form[action$=withdraw] button")
    expect(page.locator(".said")).to_be_visible()
    expect(page.locator("form[action$=withdraw]")).to_have_count(0)
    page.context.close()
