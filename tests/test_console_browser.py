"""The console in a real browser: the way in, the pages on a phone, and the rules of WCAG."""

from typing import Any

import pytest
from playwright.sync_api import expect

from bot.console import pages
from tests.agency import POISON
from tests.browsing import CHROMIUM, LANGUAGES, Console, crawled, judge

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="needs Chromium at /usr/bin/chromium"),
]


@pytest.fixture(scope="module")
def everywhere(console: Console, officer: dict[str, Any]) -> list[str]:
    """A page of every kind that an officer with every role can reach."""
    page = console.page()
    page.context.add_cookies(officer["cookies"])
    answers = crawled(console, page, each=1).answers
    page.context.close()
    found = [
        path.removeprefix("/console").strip("/")
        for path, answer in answers.items()
        if answer.headers["content-type"].startswith("text/html")
    ]
    assert len(found) > 60
    return found


@pytest.mark.parametrize("lang", [LANGUAGES[0], pytest.param(LANGUAGES[1], marks=pytest.mark.soak)])
def test_every_page_keeps_to_wcag_and_to_the_phone(
    console: Console, officer: dict[str, Any], everywhere: list[str], lang: str
) -> None:
    """In both themes; colours are those of the theme, whatever the language."""
    dark = lang == LANGUAGES[0]
    faults = judge(console, [], ("sign-in", "invitation/none"), lang, dark=dark)
    faults += judge(console, officer["cookies"], everywhere, lang, dark=dark)

    assert faults == []


def test_what_learners_wrote_does_not_run_and_pages_are_light(
    console: Console, officer: dict[str, Any], everywhere: list[str]
) -> None:
    """Less than 300 kB with everything that belongs to a page, in a browser that has nothing of it
    in store."""
    page, loaded = console.page(), dict[str, int]()
    page.context.add_cookies(officer["cookies"])
    page.on("response", lambda answer: loaded.update({answer.url: len(answer.body())}))
    page.goto(f"{console.base}/", wait_until="networkidle")
    shared = sum(many for url, many in loaded.items() if "/static/" in url)
    for path in everywhere:
        loaded.clear()
        page.goto(f"{console.base}/{path}", wait_until="load")
        assert page.evaluate("window.poisoned") is None
        own = sum(many for url, many in loaded.items() if "/static/" not in url)
        assert shared + own < 300_000, path
    page.goto(f"{console.base}/reports/uses")
    assert POISON in page.inner_text("main"), "it is shown as it was written"
    page.context.close()


def test_a_report_is_filtered_sorted_and_taken_along_by_keyboard(
    console: Console, officer: dict[str, Any]
) -> None:
    page = console.page()
    page.context.add_cookies(officer["cookies"])
    page.goto(f"{console.base}/reports/funnel")
    page.focus("#group")
    page.select_option("#group", index=1)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**group=*")
    page.goto(f"{console.base}/reports/funnel")
    page.click("thead a >> nth=3")
    expect(page.locator("[aria-sort=ascending]")).to_have_count(1)
    with page.expect_download() as coming:
        page.click("button[value=xlsx]")
    assert coming.value.suggested_filename.endswith(".xlsx")
    page.context.close()


def test_words_are_those_of_the_language(console: Console) -> None:
    page = console.page("en-US")
    page.goto(f"{console.base}/sign-in")
    assert page.inner_text("h1") == pages.words("en")["sign_in"]
    page.click("header a.plain")
    assert page.inner_text("h1") == pages.words("th")["sign_in"]
    page.context.close()
