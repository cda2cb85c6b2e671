"""A campaign's and a roster's whole way in a real browser, as three people: an officer of HR, one
who approves, and a civil servant whose phone is LINE's simulator."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyotp
import pytest
from msgspec.structs import replace
from playwright.sync_api import Browser, Page, expect, sync_playwright
from sqlalchemy import select

from bot.console import pages
from content.schema import Content
from storage import accounts, roster
from storage.database import Database
from storage.models import campaigns, outbox, persons, snapshots
from storage.scope import OPERATOR
from tests.browsing import CHROMIUM
from tests.crowd import BANGKOK_FRIDAY, address, people, settle
from tests.offices import PASSWORD
from tests.people import planned
from tests.rosters import PEOPLE, sheet
from tests.running import Service, environment, eventually, ready, rows
from tests.simulators.line import Line

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="needs Chromium at /usr/bin/chromium"),
]
WORDS = pages.words("th")
CROWD = 400
"""People who get the campaign."""
TWICE = ("B1", "Twice", PEOPLE[1][2], "", "")
WRONG = sheet(*PEOPLE[:4], ("B9", "", PEOPLE[1][2], "B1", ""), TWICE)
MENDED = sheet(*PEOPLE, ("B9", "Kla Han", PEOPLE[1][2], "B1", ""))


class Tour:
    """A service on the clock of a working day, LINE beside it, and a browser for each officer."""

    def __init__(self, folder: Path, content: Content, browser: Browser, line: str) -> None:
        self.url, self.folder, self.browser = ready(folder), folder, browser
        self.ahead = BANGKOK_FRIDAY - datetime.now(UTC)
        links = self._fill(content)
        env = environment(self.url, line)
        ahead = str(self.ahead.total_seconds())
        self.service = Service(folder, env, program=("tests.shifted", ahead))
        self.service.start()
        eventually(self.service.answers, 60)
        self.base = f"http://127.0.0.1:{self.service.port}/console"
        self.officer = self._join(links["O1"], "officer")
        self.approver = self._join(links["O2"], "approver")

    def _fill(self, content: Content) -> dict[str, str]:
        """Two officers with an invitation each, and those who will get the campaign."""
        db, links = Database(self.url), {}
        state = replace(planned(BANGKOK_FRIDAY), person=None)
        settle(db, people("line", CROWD, state), content, BANGKOK_FRIDAY)
        with db.write() as conn:
            unit = roster.add_unit(conn, PEOPLE[0][2])
            for who, role in (("O1", "hr"), ("O2", "hr")):
                made = roster.add_person(conn, hr_id=who, name=f"Officer {who}", unit_id=unit)
                roster.grant(conn, made, role, BANGKOK_FRIDAY)  # type: ignore[arg-type]
                links[who] = accounts.invite(conn, OPERATOR, who, BANGKOK_FRIDAY)
        db.close()
        return links

    @property
    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def _join(self, token: str, login: str) -> Page:
        size: Any = {"width": 1440, "height": 900}
        page = self.browser.new_context(viewport=size, locale="th-TH").new_page()
        page.on("pageerror", lambda error: pytest.fail(str(error)))
        page.goto(f"{self.base}/invitation/{token}")
        found = re.search(r"[A-Z2-7]{4}( [A-Z2-7]{4})+", page.inner_text("fieldset"))
        assert found
        typed = {"login": login, "password": PASSWORD, "again": PASSWORD}
        typed["code"] = pyotp.TOTP(found[0].replace(" ", "")).at(self.now)
        for name, value in typed.items():
            page.fill(f"#{name}", value)
        page.click("main button")
        expect(page.locator(".codes li")).to_have_count(8)
        return page

    def rows(self, query: Any) -> list[Any]:
        return rows(self.url, query)

    def upload(self, data: bytes) -> None:
        file = {"name": "roster.csv", "mimeType": "text/csv", "buffer": data}
        self.officer.set_input_files("input[type=file]", file)  # type: ignore[arg-type]
        self.officer.click("form[action$=import] button")


@pytest.fixture(scope="module")
def line() -> Line:
    return Line(quota=100_000)


@pytest.fixture(scope="module")
def tour(tmp_path_factory: pytest.TempPathFactory, content: Content, line: Line) -> Iterator[Tour]:
    with sync_playwright() as playwright, line.in_thread() as base:
        options = ["--no-sandbox", "--disable-dev-shm-usage"]
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=options)
        made = Tour(tmp_path_factory.mktemp("tour"), content, browser, base)
        yield made
        browser.close()
        made.service.end()


def test_a_roster_with_errors_is_mended_and_taken_over(tour: Tour) -> None:
    page = tour.officer
    page.goto(f"{tour.base}/import")
    tour.upload(WRONG)
    page.click("form[action$=try] button")
    expect(page.locator("caption", has_text=WORDS["import_refused"])).to_be_visible(timeout=30_000)
    assert {row.hr_id for row in tour.rows(select(persons))} == {"O1", "O2"}, "nothing yet"

    tour.upload(MENDED)
    page.check("input[name=part][value=some]")
    page.click("form[action$=try] button")
    expect(page.locator("input[name=sure]")).to_be_visible(timeout=30_000)
    page.check("input[name=sure]")
    page.click("form[action$=agree] button")
    expect(page.locator("h2", has_text=WORDS["import_done"])).to_be_visible(timeout=30_000)

    wanted = {each[0] for each in PEOPLE} | {"B9", "O1", "O2"}
    assert {row.hr_id for row in tour.rows(select(persons))} == wanted


def test_a_campaign_is_mended_approved_by_another_and_seen_leaving(tour: Tour, line: Line) -> None:
    page = tour.officer
    _draft(tour, page)
    page.fill("#text_th", "")
    page.click("button[name=do][value=check]")
    expect(page.locator("main")).to_contain_text(WORDS["campaign_run_faults"])
    page.click(f"main a:has-text('{WORDS['campaign_edit']}')")
    assert page.input_value("#name_th") == "Tour", "what was typed is still there"
    page.fill("#text_th", WORDS["menu_campaigns"])
    page.check("input[name=when][value=once]")
    due = (tour.now + timedelta(seconds=75)).astimezone(BANGKOK_FRIDAY.tzinfo)
    page.fill("#at_date", f"{due:%Y-%m-%d}")
    page.fill("#at_time", f"{due:%H:%M}")
    page.click("button[name=do][value=check]")
    page.wait_for_url(re.compile(r"/campaigns/\d+(\?|$)"))
    expect(page.locator(".big", has_text=f"{CROWD:,}")).to_be_visible()
    assert WORDS["campaign_own"] in page.inner_text("main")
    (row,) = tour.rows(select(campaigns))
    assert row.status == "checked"

    other = tour.approver
    other.goto(f"{tour.base}/campaigns/{row.id}")
    page.reload()
    other.check("input[name=sure]")
    other.click("form[action$=approve] button")
    expect(other.locator("main")).to_contain_text(WORDS["campaign_state_approved"], timeout=30_000)
    page.goto(f"{tour.base}/campaigns/{row.id}")  # and now nobody touches it
    expect(page.locator("[data-is=accepted]")).to_have_text(str(CROWD), timeout=120_000)
    expect(page.locator("main")).to_contain_text(WORDS["campaign_state_done"], timeout=60_000)
    sent = [one for one in tour.rows(select(outbox)) if one.occurrence_id]
    assert {one.status for one in sent} == {"accepted"}
    assert len({one.address for one in sent}) == CROWD
    assert all(len(line.delivered[address("line", n)]) == 1 for n in (1, CROWD))


def test_a_civil_servant_answers_and_the_outcome_tells(tour: Tour, line: Line) -> None:
    """The button of the campaign is pressed on a phone; nobody has to be told to look."""
    (message,) = line.delivered[address("line", 7)]
    pressed = re.search(r'"data": ?"([^"]+)"', json.dumps(message, ensure_ascii=False))
    assert pressed
    body, headers = line.webhook(line.presses(address("line", 7), pressed[1]))
    where = f"http://127.0.0.1:{tour.service.port}/webhook/line"
    assert tour.officer.request.post(where, data=body, headers=headers).status == 200
    (row,) = tour.rows(select(campaigns))
    tour.officer.goto(f"{tour.base}/campaigns/{row.id}/outcome")
    expect(tour.officer.locator("main")).to_contain_text(f"{CROWD:,}")


def _draft(tour: Tour, page: Page) -> None:
    """A campaign to everybody, to leave as soon as somebody says yes."""
    page.goto(f"{tour.base}/campaigns/new")
    page.click("button[name=template][value='']")
    for lang in ("th", "en"):
        page.fill(f"#name_{lang}", "Tour")
        page.fill(f"#title_{lang}", "Kaona")
        page.fill(f"#text_{lang}", "The programme begins.")
        page.fill(f"#label_{lang}", WORDS["search"] if lang == "th" else "Begin")
    page.fill("#deadline", "3")


def test_the_report_is_taken_along_and_frozen(tour: Tour) -> None:
    page = tour.officer
    page.goto(f"{tour.base}/annual")
    card = page.locator("section.card").nth(1)  # the year that is over
    with page.expect_download() as coming:
        card.locator("button[value=xlsx]").click()
    assert Path(coming.value.path()).read_bytes()[:2] == b"PK"
    card.locator("form[action$=freeze] button").click()
    if page.url.partition("?")[0].endswith("/prove"):
        page.fill("#password", PASSWORD)
        page.click("main button")
        card.locator("form[action$=freeze] button").click()
    expect(page.locator("main")).to_contain_text("1", timeout=30_000)
    eventually(lambda: tour.rows(select(snapshots)), 10)
