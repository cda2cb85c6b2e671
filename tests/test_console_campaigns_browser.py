"""Campaigns in a real browser: what moves while an officer writes, and the rules of WCAG."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from playwright.sync_api import expect
from sqlalchemy import update

from content.schema import Content, Schedule, Segment, Wave
from flows.text import common_year
from storage import audience, campaigns, named
from storage.database import Database
from storage.models import profiles
from tests.agency import Agency
from tests.browsing import CHROMIUM, LANGUAGES, Console, judge, opened
from tests.test_campaign_commands import soon
from tests.test_campaigns import spec

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="needs Chromium at /usr/bin/chromium"),
]
SENT, DRAFT = 1, 2
PAGES = (
    "campaigns", "campaigns/new", f"campaigns/{SENT}", f"campaigns/{SENT}/outcome",
    f"campaigns/{DRAFT}", f"campaigns/{DRAFT}/edit", f"campaigns/{DRAFT}/names",
    "segments", "segments/new", "segments/1",
)  # fmt: skip


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory, content: Content) -> Iterator[Console]:
    def prepare(url: str, _: Agency) -> None:
        db = Database(url)
        with db.write() as conn:
            conn.execute(update(profiles).values(welcomed=True, reachable=True))
            now = datetime.now(UTC)
            day, clock = soon().split()
            at = datetime.fromisoformat(f"{common_year(int(day[:4]))}{day[4:]}T{clock}")
            due = {"schedule": Schedule(at=at), "waves": (Wave(share=0.5, minutes=30),)}
            id = campaigns.draft(conn, spec(**due), "HR-approver", now)
            hash_ = audience.check(conn, id, now, content).hash
            campaigns.approve(conn, id, "HR-hr", hash_, now, content)
            campaigns.draft(conn, spec(**due), "HR-hr", now)
            named.keep(conn, "general", Segment(groups=("academic",)), "HR-hr", now, content)
        db.close()

    with opened(tmp_path_factory.mktemp("campaigns"), content, prepare) as made:
        yield made


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_page_keeps_to_wcag_and_to_the_phone(
    console: Console, officer: dict[str, Any], lang: str
) -> None:
    assert judge(console, officer["cookies"], PAGES, lang) == []


def test_the_preview_and_the_count_follow_what_is_typed(
    console: Console, officer: dict[str, Any]
) -> None:
    page = console.page()
    page.context.add_cookies(officer["cookies"])
    page.goto(f"{console.base}/campaigns/{DRAFT}/edit")
    glance = page.locator("#glance")
    expect(glance.locator(".big")).to_contain_text("3")
    page.fill("#text_th", "พิมพ์สด {name}")
    expect(glance.locator(".bubble").first).to_contain_text("พิมพ์สด สมใจ")
    page.check("input[name=channels][value=telegram]")
    expect(glance.locator(".big")).to_contain_text("0")
    page.fill("#holdout", "x")
    expect(glance.locator("a[href='#holdout']")).to_be_visible()
    expect(glance.locator(".bubble")).to_have_count(0)
    expect(page.locator("#every")).to_be_hidden()
    page.check("input[name=when][value=again]")
    expect(page.locator("#every")).to_be_visible()
    page.context.close()


def test_progress_moves_by_itself_until_somebody_stops_it(
    console: Console, officer: dict[str, Any]
) -> None:
    """What one officer does shows on the page that another has open."""
    watching, acting = console.page(), console.page()
    for page in (watching, acting):
        page.context.add_cookies(officer["cookies"])
        page.goto(f"{console.base}/campaigns/{SENT}")
    expect(watching.locator("progress")).to_have_count(3)
    acting.click("form[action$=pause] button")
    expect(watching.locator("form[action$=resume] button")).to_be_visible(timeout=15_000)
    for page in (watching, acting):
        page.context.close()
