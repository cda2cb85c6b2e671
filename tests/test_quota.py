"""What a month of LINE may cost: planned by purpose, counted as LINE counts."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, insert, select, update

from bot.channels.line import LineSender
from content.schema import Content
from flows.quota import plan
from flows.types import Purpose
from storage import quota
from storage.database import Database
from storage.gathered import create
from storage.models import outbox, profiles, quotas, timers
from storage.profiles import fill
from storage.quota import Terms
from tests.running import kaona, ready
from tests.simulators.line import Line
from tests.test_bulk import Campaign, campaigning
from tests.test_sender import NOW

pytestmark = pytest.mark.anyio


# --- planning ------------------------------------------------------------------------------


def test_without_a_limit_there_is_room_for_everything() -> None:
    assert set(plan(None, 10_000, [("due", 5)], 0.1).values()) == {None}


def test_each_purpose_leaves_what_the_more_important_ones_need() -> None:
    ahead: list[tuple[Purpose, int]] = [("mandatory", 100), ("due", 50), ("review", 30)]

    room = plan(1000, 500, ahead, 0.1)

    assert room == {
        "word": 500,
        "mandatory": 500,
        "due": 300,
        "review": 250,
        "encouragement": 220,
    }


def test_what_is_used_up_leaves_room_for_nothing() -> None:
    assert set(plan(100, 120, [], 0.1).values()) == {0}
    nearly = plan(100, 95, [], 0.1)
    assert (nearly["mandatory"], nearly["due"]) == (5, 0)


# --- months --------------------------------------------------------------------------------


def test_a_month_begins_in_bangkok() -> None:
    last = datetime(2026, 11, 30, 16, 59, tzinfo=UTC)

    assert quota.month_of(last) == "2026-11"
    assert quota.month_of(last + timedelta(minutes=1)) == "2026-12"
    assert quota.month_end(last) == last + timedelta(minutes=1)
    assert quota.month_of(datetime(2026, 12, 31, 18, tzinfo=UTC)) == "2027-01"
    assert quota.month_end(NOW) == datetime(2026, 11, 30, 17, tzinfo=UTC)


def terms(content: Content, *ahead: tuple[Purpose, int], safety: float = 0.0) -> Terms:
    return Terms(content, ahead, safety)


def test_what_is_taken_is_counted_and_can_be_given_back(db: Database, content: Content) -> None:
    with db.write() as conn:
        assert quota.take(conn, 70, "due", NOW, terms(content)) == 70  # nothing is known yet
        quota.store(conn, 100, 70, NOW)
        assert quota.take(conn, 70, "due", NOW, terms(content)) == 30
        quota.give_back(conn, 10, NOW)
        assert quota.read(conn, NOW).taken == 90
        next_month = NOW + timedelta(days=20)
        assert quota.read(conn, next_month).used == 0


def test_what_others_have_sent_counts_too(db: Database) -> None:
    with db.write() as conn:
        quota.count(conn, 40, NOW)
        assert quota.store(conn, 100, 90, NOW) == -50
        assert quota.read(conn, NOW).used == 90
        quota.count(conn, 1, NOW)
        assert quota.read(conn, NOW).used == 91


def test_a_correction_believes_the_platform(db: Database) -> None:
    with db.write() as conn:
        quota.count(conn, 90, NOW)
        quota.store(conn, 100, 60, NOW)
        assert quota.read(conn, NOW).used == 90
        quota.store(conn, 100, 60, NOW, correct=True)
        assert quota.read(conn, NOW).used == 60


def test_the_forecast_sees_what_is_queued_and_who_will_be_reminded(
    db: Database, content: Content
) -> None:
    monday = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
    with db.write() as conn:
        learner = create(conn, "line", "U1", NOW)
        other = create(conn, "telegram", "7", NOW)
        assert fill(conn, content) == 2
        for number, (channel, status, days) in enumerate(
            (
                ("line", "queued", 0),
                ("line", "queued", 30),
                ("line", "held", 0),
                ("telegram", "queued", 0),
            )
        ):
            row = {"key": str(number), "learner_id": learner, "channel": channel, "address": "U1"}
            row |= {"lane": "personal", "payload": "{}", "status": status, "purpose": "review"}
            due = NOW + timedelta(days=days)
            conn.execute(insert(outbox).values(**row, created_at=NOW, due=due, deadline=due))
        for who in (learner, other):
            nudge = {"learner_id": who, "kind": "nudge", "key": "nudge", "due": monday}
            conn.execute(insert(timers).values(**nudge, data="{}"))

    with db.read() as conn:
        found = dict(quota.forecast(conn, NOW, content))

    assert found == {"review": 1, "encouragement": 6}  # 23–27 and 30 November


# --- sending -------------------------------------------------------------------------------


@asynccontextmanager
async def platform(
    db: Database, content: Content, folder: Path
) -> AsyncIterator[tuple[Campaign, Line]]:
    """Campaigns over a real LINE sender, to a LINE that counts."""
    line = Line()
    with line.in_thread() as base:
        async with campaigning(db, content, folder) as office:
            sender = LineSender("token", clock=office.clock, base=base)
            await sender.start()
            channels: dict[str, Any] = office.sender._channels  # type: ignore[assignment]
            channels["line"] = sender
            office.sender._budget._channel = sender
            try:
                yield office, line
            finally:
                await sender.close()


@pytest.fixture
async def both(
    db: Database, content: Content, tmp_path: Path
) -> AsyncIterator[tuple[Campaign, Line]]:
    async with platform(db, content, tmp_path) as made:
        yield made


def used(office: Campaign) -> int:
    with office.db.read() as conn:
        return quota.read(conn, office.clock()).taken


async def test_our_count_is_the_platforms_count(both: tuple[Campaign, Line]) -> None:
    """Multicasts, pushes, replies, a reply that had to be pushed, failures, and repeats."""
    office, line = both
    line.quota = 5000
    line.unknown.add("U" + "9" * 32)
    token = line.says("U" + "1" * 32, "x")["replyToken"]
    soon = {"reply_token": token, "token_until": NOW + timedelta(seconds=50)}
    office.put("a reply", "U" + "1" * 32, **soon)
    office.put("a reply too late", "U" + "2" * 32, reply_token="old", token_until=NOW)
    office.put("a refused token", "U" + "3" * 32, **(soon | {"reply_token": "bad"}))
    office.put("a second part", "U" + "4" * 32)
    office.put("to nobody", "U" + "9" * 32)
    office.recipients(1)
    office.recipients(30, first=1)
    line.fail_next(1, "broken", "/multicast")
    line.fail_next(1, "broken", "/push")
    line.fail_next(1, 500, "/push")
    for _ in range(8):
        await office.sweep()
        office.clock.forward(seconds=5)

    with office.db.read() as conn:
        open_ = select(func.count()).where(outbox.c.status.in_(("queued", "sending")))
        assert conn.execute(open_).scalar_one() == 0
    assert used(office) == line.used > 30


async def test_what_has_no_room_rides_along_or_waits_for_next_month(
    both: tuple[Campaign, Line],
) -> None:
    office, line = both
    line.quota = 50
    await office.sender._budget.look()
    long: dict[str, Any] = {"deadline": NOW + timedelta(days=20)}
    office.recipients(30, purpose="due", **long)
    office.recipients(30, purpose="mandatory", first=30, **long)
    await office.sender._budget.look()  # it knows of both
    await office.sweep()

    # due leaves five for what must be said at any time, and thirty for what will be
    assert office.counts() == {("accepted", ""): 45, ("held", "quota"): 15}
    assert line.used == used(office) == 45


async def test_a_month_that_line_says_is_over_is_over(both: tuple[Campaign, Line]) -> None:
    """Somebody else sends on our channel: our count is put right, nothing is lost."""
    office, line = both
    line.quota, line.used = 100, 90
    office.recipients(20, purpose="review", deadline=NOW + timedelta(days=20))
    office.recipients(20, purpose="mandatory", first=20, deadline=NOW + timedelta(days=20))
    office.recipients(20, purpose="mandatory", first=40, deadline=NOW + timedelta(days=5))
    await office.sweep()

    assert office.counts() == {
        ("held", "quota"): 20,
        ("queued", "quota"): 20,
        ("failed", "quota"): 20,
    }
    assert line.used == 90
    await office.sender._budget.look()
    assert used(office) == 90
    with office.db.read() as conn:
        assert conn.execute(select(func.max(profiles.c.unasked_on))).scalar_one() == 0
        due = conn.execute(select(outbox.c.due).where(outbox.c.status == "queued")).scalars().all()
    assert set(due) == {datetime(2026, 12, 1, 1, 30, tzinfo=UTC)}

    office.clock.now = datetime(2026, 12, 1, 2, 0, tzinfo=UTC)
    line.used = 0
    await office.sweep()
    assert line.used == 20


async def test_a_personal_reminder_without_room_is_held_back(both: tuple[Campaign, Line]) -> None:
    office, line = both
    line.quota, line.used = 100, 95
    await office.sender._budget.look()
    with office.db.write() as conn:
        learner = create(conn, "line", "U" + "1" * 32, NOW)
        known = {"learner_id": learner, "channel": "line", "address": "U" + "1" * 32}
        conn.execute(insert(profiles).values(**known, lang="th", welcomed=True, nudges=True))
    key = office.put("x", "U" + "1" * 32, lane="personal", purpose="due", learner_id=learner)
    await office.sweep()

    row = office.row(key)
    assert (row.status, row.reason, row.counted_on) == ("held", "quota", 0)
    assert "x" in row.payload
    assert line.used == 95
    with office.db.write() as conn:
        conn.execute(update(quotas).values(most=None))
        conn.execute(update(outbox).values(status="queued", due=NOW))
    await office.sweep()
    assert line.used == 96


def test_the_command_shows_what_fits_and_what_does_not(tmp_path: Path) -> None:
    url = ready(tmp_path)
    db = Database(url)
    with db.write() as conn:
        learner = create(conn, "line", "U1", NOW)
        now = datetime.now(UTC)
        quota.store(conn, 30, 28, now)
        for number in range(5):
            row = {"key": str(number), "learner_id": learner, "channel": "line", "address": "U1"}
            row |= {"lane": "personal", "payload": "{}", "status": "queued", "purpose": "due"}
            conn.execute(insert(outbox).values(**row, created_at=now, due=now, deadline=now))
    db.close()

    done = kaona("quota", folder=tmp_path, KAONA_DATABASE_URL=url, LINE_QUOTA_SAFETY="0")

    assert done.returncode == 0, done.stderr
    assert "used: 28 by LINE's count" in done.stdout
    (line,) = [row.split() for row in done.stdout.splitlines() if row.strip().startswith("due")]
    assert line == ["due", "5", "2", "2", "3"]
