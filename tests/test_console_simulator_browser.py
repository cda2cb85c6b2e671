"""The simulator in a real browser: a conversation held by keyboard, on a phone, in both themes."""

from typing import Any

import pytest

from tests.browsing import CHROMIUM, LANGUAGES, Console, judge

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="needs Chromium at /usr/bin/chromium"),
]


@pytest.mark.parametrize("channel", ["line", "telegram"])
def test_a_conversation_keeps_to_wcag_and_to_the_phone(
    console: Console, officer: dict[str, Any], channel: str
) -> None:
    page = console.page()
    page.context.add_cookies(officer["cookies"])
    page.goto(f"{console.base}/simulator")
    page.select_option("#channel", channel)
    page.select_option("#place", "plan")
    page.focus("main form.card button")
    page.keyboard.press("Enter")
    page.wait_for_url("**/simulator/*")
    page.fill("#text", "x" * 3000)
    page.press("#text", "Tab")
    page.keyboard.press("Enter")
    page.wait_for_load_state()
    page.click("button[value=day]")
    page.wait_for_load_state()
    path = page.url.partition("/console/")[2].partition("#")[0]
    page.context.close()

    assert [judge(console, officer["cookies"], (path,), lang) for lang in LANGUAGES] == [[], []]
