"""The console in a real browser: the way in, the pages on a phone, and the rules of WCAG."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyotp
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright

from bot.console import pages
from content.schema import Content
from tests.agency import POISON, full
from tests.running import Service, environment, eventually, kaona, ready
from tests.test_console import PASSWORD
from tests.test_webchat_browser import CHROMIUM

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="needs Chromium at /usr/bin/chromium"),
]
REPORTS = ("funnel", "skills", "activity", "campaigns", "evidence", "uses", "items", "behind")
PAGES = ("", "reports", *(f"reports/{name}" for name in REPORTS), "annual", "own", "prove")
LOOKS = [(lang, scheme) for lang in ("th-TH", "en-US") for scheme in ("light", "dark")]


class Console:
    """A real service with an agency, and an HR officer who has an account there."""

    def __init__(self, folder: Path, content: Content, browser: Browser) -> None:
        url = ready(folder)
        full(url, content)
        self.env = environment(url)
        self.folder, self.browser, self.codes = folder, browser, list[str]()
        self.service = Service(folder, self.env)

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.service.port}/console"

    def link(self, hr_id: str) -> str:
        """What the command prints, at the port of this service."""
        said = kaona("admin", "create", hr_id, folder=self.folder, **self.env)
        assert said.returncode == 0, said.stderr
        return self.base + said.stdout.splitlines()[0].partition("/console")[2]

    def page(self, lang: str = "th-TH", scheme: Any = "light") -> Page:
        context = self.browser.new_context(
            viewport={"width": 390, "height": 844}, locale=lang, color_scheme=scheme
        )
        page = context.new_page()
        page.on("pageerror", lambda error: pytest.fail(str(error)))
        page.on("console", _complain)
        return page

    def sign_in(self, page: Page) -> None:
        """With a code of those that were written down."""
        page.goto(f"{self.base}/sign-in")
        page.fill("#login", "boss")
        page.fill("#password", PASSWORD)
        page.fill("#code", self.codes.pop())
        page.click("main button")
        page.wait_for_url(f"{self.base}/")


def _complain(line: Any) -> None:
    if line.type == "error" and "status of 4" not in line.text:
        pytest.fail(line.text)


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory, content: Content) -> Iterator[Console]:
    with sync_playwright() as playwright:
        options = ["--no-sandbox", "--disable-dev-shm-usage"]
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=options)
        made = Console(tmp_path_factory.mktemp("console"), content, browser)
        made.service.start()
        eventually(made.service.answers, 60)
        _joins(made)
        yield made
        browser.close()
    made.service.end()


def _joins(console: Console) -> None:
    """The first admin, who is an officer of HR besides, comes in by the command's link."""
    page = console.page()
    page.goto(console.link("HR-hr"))
    found = re.search(r"[A-Z2-7]{4}( [A-Z2-7]{4})+", page.inner_text("fieldset"))
    assert found
    factor = pyotp.TOTP(found[0].replace(" ", ""))
    page.fill("#login", "boss")
    page.fill("#password", "aaaaaaaaaaaa")
    page.fill("#again", PASSWORD)
    page.fill("#code", factor.now())
    page.click("main button")
    expect(page.locator("#password-fault")).to_be_visible()
    expect(page.locator("#password")).to_be_focused()
    assert page.input_value("#login") == "boss"
    page.fill("#password", PASSWORD)
    page.fill("#again", PASSWORD)
    page.fill("#code", factor.now())
    page.click("main button")
    expect(page.locator(".codes li")).to_have_count(8)
    console.codes = page.locator(".codes li").all_inner_texts()
    page.context.close()


@pytest.fixture(scope="module")
def officer(console: Console) -> Iterator[dict[str, Any]]:
    """The cookies of somebody who is signed in."""
    page = console.page()
    console.sign_in(page)
    yield {"cookies": page.context.cookies()}
    page.context.close()


@pytest.mark.parametrize(("lang", "scheme"), LOOKS)
def test_every_page_keeps_to_wcag_and_to_the_phone(
    console: Console, officer: dict[str, Any], lang: str, scheme: str
) -> None:
    context = console.browser.new_context(
        viewport={"width": 390, "height": 844}, color_scheme=scheme, locale=lang,  # type: ignore[arg-type]
        bypass_csp=True,  # the judge is a script of its own
    )  # fmt: skip
    page, faults = context.new_page(), []
    for path in ("sign-in", "invitation/none"):
        page.goto(f"{console.base}/{path}")
        faults += _faults(page, path)
    context.add_cookies(officer["cookies"])
    page.goto(f"{console.base}/")
    if page.get_attribute("html", "lang") != lang[:2]:
        page.click("form[action$=language] button")
    for path in (*PAGES, "accounts", "reports/quality?sort=-many"):
        page.goto(f"{console.base}/{path}")
        assert page.get_attribute("html", "lang") == lang[:2]
        faults += _faults(page, path)
        wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
        assert not page.evaluate(wide), f"{path} is wider than a phone"
    context.close()

    assert faults == []


def _faults(page: Page, path: str) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [f"{path}: {each['id']} {each['nodes'][0]['target']}" for each in found]


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
