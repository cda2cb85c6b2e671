"""What got stuck, requests and uses in a real browser: rules of WCAG where there is something to
show, and what a browser alone does with the forms."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import insert, select

from bot.console import pages
from content.schema import Content
from storage import roster, wishes
from storage.database import Database
from storage.models import learners, outbox, parked, persons
from tests.agency import Agency
from tests.browsing import CHROMIUM, LANGUAGES, Console, judge
from tests.browsing import opened as joined

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="needs Chromium at /usr/bin/chromium"),
]


def work(url: str, _: Agency) -> None:
    """An admin's work, an overdue request and one of each that got stuck."""
    db, now = Database(url), datetime.now(UTC)
    with db.write() as conn:
        boss = conn.execute(select(persons.c.id).where(persons.c.hr_id == "HR-hr")).scalar_one()
        roster.grant(conn, boss, "admin", now)
        (id,) = conn.execute(select(learners.c.id).order_by(learners.c.id).limit(1)).scalars()
        long_ago = now - timedelta(days=40)
        wishes.make(conn, id, "correct", {"text": "ชื่อสะกดผิด", "message": "m"}, long_ago)
        event = {"at": now, "channel": "line", "bot": "", "event": "{}", "address": "U"}
        for each in ("e1", "e2"):
            row = event | {"event_id": each, "error": "KeyError at /x/y.py:1"}
            conn.execute(insert(parked).values(row))
        sent = {"key": "k", "channel": "line", "address": "U", "lane": "reply", "due": now}
        sent |= {"payload": "{}", "created_at": now, "deadline": now, "status": "uncertain"}
        conn.execute(insert(outbox).values(sent | {"ended_at": now}))
    db.close()


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory, content: Content) -> Iterator[Console]:
    with joined(tmp_path_factory.mktemp("busy"), content, work) as made:
        yield made


@pytest.fixture(scope="module")
def cookies(busy: Console) -> list[Any]:
    page = busy.page()
    busy.sign_in(page)
    found: list[Any] = page.context.cookies()
    page.context.close()
    return found


def opened(busy: Console, cookies: list[Any], path: str) -> Page:
    page = busy.page()
    page.context.add_cookies(cookies)
    page.goto(f"{busy.base}/{path}")
    return page


@pytest.mark.parametrize("lang", LANGUAGES)
def test_pages_with_something_on_them_keep_to_wcag(
    busy: Console, cookies: list[Any], lang: str
) -> None:
    page = opened(busy, cookies, "uses")
    use = page.locator("td a").first.get_attribute("href")
    page.context.close()
    assert use
    paths = ("stuck", "wishes", "wishes/1", use.removeprefix("/console/"))
    assert judge(busy, cookies, paths, lang) == []


def test_one_box_ticks_all_and_trying_again_needs_no_confirmation(
    busy: Console, cookies: list[Any]
) -> None:
    page = opened(busy, cookies, "stuck")
    page.check("[data-ticks]")
    expect(page.locator("input[name=id]:checked")).to_have_count(2)
    page.click("button[value=discard]")
    expect(page.locator("input[name=id]")).to_have_count(2)  # the browser asks for the box first
    page.uncheck("[data-ticks]")
    page.click("button[value=replay]")
    words = pages.words("en" if page.get_attribute("html", "lang") == "en" else "th")
    expect(page.locator("[role=alert]")).to_have_text(words["stuck_none_ticked"])
    page.context.close()


def test_the_field_with_a_fault_has_the_focus(busy: Console, cookies: list[Any]) -> None:
    page = opened(busy, cookies, "uses")
    page.locator("td a").first.click()
    page.fill("#narrative", "โทร 081-234-5678")
    page.click("button[value=choose]")
    expect(page.locator("#narrative-fault")).to_be_visible()
    expect(page.locator("#narrative")).to_be_focused()
    assert page.input_value("#narrative") == "โทร 081-234-5678"
    page.context.close()
