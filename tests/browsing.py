"""The console in a real browser: a service with an agency, an officer with every role, a judge."""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyotp
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright

from content.schema import Content, Role
from storage import roster
from storage.database import Database
from tests.agency import Agency, full
from tests.crawling import VARIANTS, Crawl
from tests.offices import PASSWORD
from tests.running import Service, environment, eventually, kaona, ready

CHROMIUM = Path("/usr/bin/chromium")
LANGUAGES = ("th-TH", "en-US")
COLOURS = {"runOnly": {"type": "tag", "values": ["cat.color"]}}
WIDE = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
ROLES: tuple[Role, ...] = ("approver", "privacy", "editor")
"""What the officer has besides hr and admin."""


class Console:
    """A real service with an agency, and an HR officer who has an account there."""

    def __init__(self, folder: Path, content: Content, browser: Browser) -> None:
        self.url = ready(folder)
        self.agency, _ = full(self.url, content)
        _give(self.url, self.agency.persons["hr"])
        self.env = environment(self.url)
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


def _give(url: str, person: int) -> None:
    db = Database(url)
    with db.write() as conn:
        for role in ROLES:
            roster.grant(conn, person, role, datetime.now(UTC))
    db.close()


def _complain(line: Any) -> None:
    if line.type == "error" and "status of 4" not in line.text:
        pytest.fail(line.text)


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory, content: Content) -> Iterator[Console]:
    with opened(tmp_path_factory.mktemp("console"), content) as made:
        yield made


@contextmanager
def opened(
    folder: Path, content: Content, prepare: Callable[[str, Agency], None] | None = None
) -> Iterator[Console]:
    """A service that the officer has joined; `prepare` writes into its database before it
    starts."""
    with sync_playwright() as playwright:
        options = ["--no-sandbox", "--disable-dev-shm-usage"]
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=options)
        made = Console(folder, content, browser)
        if prepare is not None:
            prepare(made.url, made.agency)
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


class Answer:
    """An answer as the crawler reads it."""

    def __init__(self, answer: Any) -> None:
        self.status_code, self.headers, self._answer = answer.status, answer.headers, answer

    @property
    def text(self) -> str:
        return str(self._answer.text())


def crawled(console: Console, page: Page, each: int = VARIANTS) -> Crawl:
    """Everything that the page's user can reach, without showing it."""
    door = console.base.removesuffix("/console")
    return Crawl(lambda path: Answer(page.request.get(door + path)), each=each)


def judge(
    console: Console, cookies: list[Any], paths: Iterable[str], lang: str, *, dark: bool = True
) -> list[str]:
    """What is wrong with pages on a phone, by the rules of WCAG, in both themes; nothing is wider
    than a phone. Of the rules only those on colours depend on the theme."""
    context = console.browser.new_context(
        viewport={"width": 390, "height": 844}, locale=lang,
        bypass_csp=True,  # the judge is a script of its own
    )  # fmt: skip
    page, faults = context.new_page(), list[str]()
    context.add_cookies(cookies)
    page.goto(f"{console.base}/")
    if page.get_attribute("html", "lang") != lang[:2]:
        page.click("form[action$=language] button")
    for path in paths:
        page.emulate_media(color_scheme="light")
        answer = page.goto(f"{console.base}/{path}", wait_until="load")
        assert answer is not None
        assert answer.status in (200, 404), f"{path}: {answer.status}"
        assert page.get_attribute("html", "lang") == lang[:2]
        faults += _faults(page, path, {})
        if dark:
            page.emulate_media(color_scheme="dark")
            faults += _faults(page, f"{path} (dark)", COLOURS)
        if page.evaluate(WIDE):
            faults.append(f"{path}: wider than a phone")
    context.close()
    return faults


def _faults(page: Page, path: str, options: dict[str, Any]) -> list[str]:
    told = {"resultTypes": ["violations"], **options}
    found = Axe().run(page, options=told).response["violations"]
    return [f"{path}: {each['id']} {each['nodes'][0]['target']}" for each in found]
