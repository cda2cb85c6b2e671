"""The console in a real browser: the way in, the pages on a phone, and the rules of WCAG."""

from typing import Any

import pytest
from playwright.sync_api import expect

from bot.console import pages
from bot.console.programme import PARTS
from tests.agency import POISON
from tests.browsing import CHROMIUM, LANGUAGES, Console, judge

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="needs Chromium at /usr/bin/chromium"),
]
REPORTS = ("funnel", "skills", "activity", "campaigns", "evidence", "uses", "items", "behind")
PEOPLE = ("people", "people/links", "units", "units?at=1", "codes?count=1", "import")
PAGES = ("", *PEOPLE, "reports", *(f"reports/{name}" for name in REPORTS), "annual", "own", "prove")

CONTENT = (
    *("content", "content?kind=step", "content?kind=copy&q=menu", "content/sheet", "agency"),
    *("content/question/computer-01", "content/question/computer-01/edit"),
    *("content/question/computer-01/history", "content/copy/quiz_right/edit"),
)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_page_keeps_to_wcag_and_to_the_phone(
    console: Console, officer: dict[str, Any], lang: str
) -> None:
    faults = judge(console, [], ("sign-in", "invitation/none"), lang)
    programme = ("programme", "programme/2570", *(f"programme/2570/{part}" for part in PARTS))
    care = ("uses", "uses?status=", "wishes", "wishes/person?who=HR-a1", "stuck")
    care += ("roles", "roles/give", "tokens", "tokens/new", "hooks", "hooks/new", "audit")
    more = (
        *PAGES,
        *programme,
        *care,
        *CONTENT,
        "settings",
        "setup",
        "accounts",
        "reports/quality?sort=-many",
    )
    faults += judge(console, officer["cookies"], more, lang)

    assert faults == []


def test_what_learners_wrote_does_not_run(console: Console, officer: dict[str, Any]) -> None:
    page = console.page()
    page.context.add_cookies(officer["cookies"])
    for path in PAGES:
        page.goto(f"{console.base}/{path}")
        assert page.evaluate("window.poisoned") is None
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


def test_light_pages(console: Console, officer: dict[str, Any]) -> None:
    """Less than 300 kB with everything that belongs to a page."""
    page, loaded = console.page(), []
    page.context.add_cookies(officer["cookies"])
    page.on("response", lambda answer: loaded.append(len(answer.body())))
    page.goto(f"{console.base}/", wait_until="networkidle")
    page.context.close()

    assert sum(loaded) < 300_000


def test_words_are_those_of_the_language(console: Console) -> None:
    page = console.page("en-US")
    page.goto(f"{console.base}/sign-in")
    assert page.inner_text("h1") == pages.words("en")["sign_in"]
    page.click("header a.plain")
    assert page.inner_text("h1") == pages.words("th")["sign_in"]
    page.context.close()
