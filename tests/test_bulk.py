"""Campaigns on their way: claimed set-wise, sent to many at once, ended, found again."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, insert, select, update

from bot import bulk as module
from bot.channels.line import LineSender
from bot.channels.telegram import TelegramSender
from bot.channels.terminal import Local
from content.schema import Content
from flows.calendar import local
from flows.types import Choice, Purpose, Reply
from storage import messages
from storage.database import Database
from storage.gathered import create
from storage.models import campaigns, occurrences, outbox, persons, profiles, units
from storage.outbox import LEASE
from storage.wire import Outcome, Row
from tests.running import Clock
from tests.test_sender import NOW, Office, Post

pytestmark = pytest.mark.anyio
TODAY = local(NOW).toordinal()


class Many(Post):
    """A platform that takes multicasts, too; how they end is told one after the other."""

    def __init__(self) -> None:
        super().__init__()
        self.casts: list[tuple[Row, tuple[str, ...]]] = []
        self.endings: list[Outcome | Exception] = []
        self.during: Callable[[], None] = lambda: None

    async def multicast(self, row: Row, to: tuple[str, ...]) -> Outcome:
        self.casts.append((row, to))
        self.during()
        await self.open.wait()
        ending = self.endings.pop(0) if self.endings else Outcome("accepted")
        if isinstance(ending, Exception):
            raise ending
        return ending

    def lost(self, row: Row, now: datetime) -> Outcome:
        return Outcome("retry", "lost", doubtful=True)

    @property
    def reached(self) -> list[str]:
        return [address for _, to in self.casts for address in to]


class Campaign(Office):
    """An office with learners and one sending to all of them."""

    def __init__(self, db: Database, content: Content, folder: Path) -> None:
        super().__init__(db, content, folder, Clock(NOW))
        self.many = Many()
        self.sender._channels["line"] = self.many  # type: ignore[index]
        self.sender.bulk._channels = self.sender._channels
        self.message = self.occurrence = 1

    def prepare(self) -> None:
        with self.db.write() as conn:
            unit = conn.execute(
                insert(units).values(name="กองคลัง", path="กองคลัง").returning(units.c.id)
            ).scalar_one()
            self.person = conn.execute(
                insert(persons)
                .values(hr_id="1", name="สมชาย", unit_id=unit)
                .returning(persons.c.id)
            ).scalar_one()
            campaign = conn.execute(
                insert(campaigns)
                .values(
                    name="c", spec="{}", status="approved", author_id=self.person, created_at=NOW
                )
                .returning(campaigns.c.id)
            ).scalar_one()
            self.campaign = campaign
            reply = Reply("ข่าวดี", (Choice("c1.go", "เริ่มเลย"),), "*", notify=True)
            self.message = messages.keep(conn, (reply,))
        self.occurrence = self.begin()

    def begin(self, status: str = "running", late: int = 0) -> int:
        due = NOW - timedelta(minutes=late)
        row = {"campaign_id": self.campaign, "due": due, "status": status, "created_at": NOW}
        with self.db.write() as conn:
            made = insert(occurrences).values(row).returning(occurrences.c.id)
            return int(conn.execute(made).scalar_one())

    def recipients(
        self, n: int, channel: str = "line", purpose: Purpose = "due", **more: Any
    ) -> None:
        """Learners, and a row for each."""
        occurrence = more.pop("occurrence", self.occurrence)
        first = more.pop("first", 0)
        with self.db.write() as conn:
            for number in range(first, first + n):
                address = f"U{number:032d}" if channel == "line" else str(10_000 + number)
                learner = create(conn, channel, address, NOW)
                known = {"learner_id": learner, "channel": channel, "address": address}
                if not conn.execute(
                    select(profiles.c.learner_id).where(profiles.c.learner_id == learner)
                ).first():
                    conn.execute(insert(profiles).values(**known, lang="th", welcomed=True))
                row = {
                    **known,
                    "key": f"{occurrence}:{learner}",
                    "lane": "campaign",
                    "payload": "{}",
                    "created_at": NOW,
                    "due": NOW,
                    "deadline": NOW + timedelta(days=5),
                    "status": "queued",
                    "purpose": purpose,
                    "occurrence_id": occurrence,
                    "message_id": self.message,
                    **more,
                }
                conn.execute(insert(outbox).values(row))

    def counts(self) -> dict[tuple[str, str], int]:
        """Rows by status and reason."""
        query = select(outbox.c.status, outbox.c.reason, func.count())
        with self.db.read() as conn:
            rows = conn.execute(query.group_by(outbox.c.status, outbox.c.reason)).all()
        return {(status, reason): n for status, reason, n in rows}

    def change(self, table: Any, *where: Any, **values: Any) -> None:
        with self.db.write() as conn:
            conn.execute(update(table).where(*where).values(values))


@asynccontextmanager
async def campaigning(
    db: Database, content: Content, folder: Path, *, anew: bool = True
) -> AsyncIterator[Campaign]:
    office = Campaign(db, content, folder)
    if anew:
        office.prepare()
    office.dispatcher.start()
    office.sender.start(office.dispatcher)
    await office.sender.sweep()
    try:
        yield office
    finally:
        await office.sender.stop(patience=1.0)
        await office.dispatcher.stop()


@pytest.fixture
async def office(db: Database, content: Content, tmp_path: Path) -> AsyncIterator[Campaign]:
    async with campaigning(db, content, tmp_path) as made:
        yield made


# --- to many at once -----------------------------------------------------------------------


async def test_the_same_to_many_leaves_by_five_hundred_each_person_once(office: Campaign) -> None:
    office.recipients(1201)

    await office.sweep()

    assert [len(to) for _, to in office.many.casts] == [500, 500, 201]
    assert len(set(office.many.reached)) == 1201
    assert office.many.sent == []
    assert office.counts() == {("accepted", ""): 1201}
    with office.db.read() as conn:
        assert conn.execute(select(profiles.c.unasked_on).distinct()).scalars().all() == [TODAY]


async def test_its_key_is_on_disk_in_every_row_before_it_leaves(office: Campaign) -> None:
    seen: list[Any] = []

    def look() -> None:
        with office.db.read() as conn:
            columns = (outbox.c.status, outbox.c.chunk, outbox.c.lease_until, outbox.c.attempts)
            seen.extend(conn.execute(select(*columns).distinct()).all())

    office.many.during = look
    office.recipients(40)

    await office.sweep()

    (row, _), *_ = office.many.casts
    assert seen == [("sending", row.key, NOW + LEASE, 1)]
    assert UUID(row.key)


async def test_one_alone_and_words_of_ones_own_are_pushed(office: Campaign) -> None:
    office.recipients(1)
    with office.db.write() as conn:
        reply = Reply("คุณ{name} จาก{unit} อยู่ขั้น{step}")
        filled = messages.keep(conn, (reply,), ("name", "unit", "step"))
    office.recipients(2, first=1, message_id=filled)
    step = office.sender._content.method.steps[0]
    office.change(profiles, step=step.id)
    office.change(profiles, profiles.c.learner_id == 2, person_id=office.person)

    await office.sweep()

    assert office.many.casts == []
    texts = sorted(office.many.texts)
    assert texts[0] == "ข่าวดี"
    assert f"คุณสมชาย จากกองคลัง อยู่ขั้น{step.name.th}" in texts
    assert all(row.retry_key != row.key for row in office.many.sent)
    assert office.counts() == {("accepted", ""): 3}


async def test_campaigns_of_the_web_chat_can_be_read_there(office: Campaign) -> None:
    office.recipients(3, "web")

    await office.sweep()

    with office.db.read() as conn:
        said = conn.execute(select(outbox.c.payload)).scalars().all()
    assert all("ข่าวดี" in payload for payload in said)
    assert office.counts() == {("accepted", ""): 3}


# --- who may be sent to --------------------------------------------------------------------


async def test_everybody_is_judged_when_they_are_claimed(office: Campaign) -> None:
    """P13: whatever happened since the rows were written."""
    office.recipients(8)
    changes: list[dict[str, Any]] = [
        {"stopped": True},
        {"welcomed": False},
        {"reachable": False},
        {"rests_until": NOW + timedelta(days=2)},
        {"unasked_on": TODAY},
    ]
    for learner, values in enumerate(changes, 1):
        office.change(profiles, profiles.c.learner_id == learner, **values)
    office.change(outbox, outbox.c.learner_id == 6, deadline=NOW)

    await office.sweep()

    assert office.counts() == {
        ("cancelled", "stopped"): 1,
        ("cancelled", "not_welcomed"): 1,
        ("cancelled", "unreachable"): 1,
        ("cancelled", "resting"): 1,
        ("held", "one_a_day"): 1,
        ("expired", "deadline"): 1,
        ("accepted", ""): 2,
    }
    assert len(office.many.reached) == 2


async def test_outside_hours_all_of_it_waits(office: Campaign) -> None:
    office.clock.forward(hours=14)
    office.recipients(30)

    await office.sweep()

    assert office.counts() == {("queued", "hours"): 30}
    assert office.many.casts == []
    office.clock.forward(hours=58)
    await office.sweep()
    assert len(office.many.reached) == 30


async def test_a_person_hears_of_one_campaign_a_day_the_more_important_one(
    office: Campaign,
) -> None:
    other = office.begin(late=5)
    office.recipients(5, purpose="encouragement")
    office.recipients(5, purpose="due", occurrence=other)

    await office.sweep()

    assert len(office.many.reached) == len(set(office.many.reached)) == 5
    assert office.counts() == {("accepted", ""): 5, ("held", "outranked"): 5}
    with office.db.read() as conn:
        sent = select(outbox.c.purpose).where(outbox.c.status == "accepted").distinct()
        assert conn.execute(sent).scalars().all() == ["due"]


async def test_paused_rows_are_left_and_cancelled_ones_end(office: Campaign) -> None:
    paused, cancelled = office.begin("paused", 1), office.begin("cancelled", 2)
    office.recipients(10, occurrence=paused)
    office.recipients(10, occurrence=cancelled, first=10)

    await office.sweep()

    assert office.counts() == {("queued", ""): 10, ("cancelled", "campaign_cancelled"): 10}
    office.change(occurrences, status="running")
    await office.sweep()
    assert len(office.many.reached) == 10


async def test_a_campaign_that_is_paused_under_way_stops_within_a_few_requests(
    office: Campaign,
) -> None:
    office.recipients(600)
    office.many.open.clear()
    module.AT_ONCE["line"], before = 20, module.AT_ONCE["line"]
    try:
        await office.sender.sweep()
        await office.until(lambda: len(office.many.casts) == module.IN_FLIGHT)
        office.change(occurrences, status="paused")
        office.many.open.set()
        await office.rest()
    finally:
        module.AT_ONCE["line"] = before

    # one more claim may have been under way
    assert len(office.many.casts) <= module.IN_FLIGHT + 1
    assert office.counts()[("queued", "")] >= 600 - 20 * (module.IN_FLIGHT + 1)


# --- how it ends ---------------------------------------------------------------------------


async def test_what_may_have_arrived_is_repeated_as_it_was(office: Campaign) -> None:
    """P9: the same people, the same key, until LINE says what became of it."""
    lost = Outcome("retry", "no_answer", wait=2.0, doubtful=True)
    office.many.endings = [lost, lost, Outcome("accepted", "repeat")]
    office.recipients(40)
    await office.sweep()
    office.recipients(40, first=40)
    for _ in range(3):
        office.clock.forward(seconds=3)
        await office.sweep()

    (first, to), *_ = office.many.casts
    repeats = [(row, whom) for row, whom in office.many.casts if row.key == first.key]
    assert [set(whom) for _, whom in repeats] == [set(to)] * 3
    assert [row.attempts for row, _ in repeats] == [1, 2, 3]
    assert len(office.many.casts) == 4
    assert office.counts() == {("accepted", "repeat"): 40, ("accepted", ""): 40}


async def test_what_was_sent_to_nobody_is_asked_about_again(office: Campaign) -> None:
    """A person may have stopped meanwhile; a new request has a new key."""
    office.many.endings = [Outcome("retry", "throttled", wait=2.0)]
    office.recipients(40)
    await office.sweep()
    assert office.counts() == {("queued", "throttled"): 40}
    office.change(profiles, profiles.c.learner_id == 7, stopped=True)
    office.clock.forward(seconds=3)
    await office.sweep()

    assert [len(to) for _, to in office.many.casts] == [40, 39]
    assert office.many.casts[0][0].key != office.many.casts[1][0].key
    assert office.counts() == {("accepted", ""): 39, ("cancelled", "stopped"): 1}


async def test_who_may_not_be_sent_to_any_more_is_left_out_of_a_repeat(office: Campaign) -> None:
    office.many.endings = [Outcome("retry", "no_answer", wait=2.0, doubtful=True)]
    office.recipients(40)
    await office.sweep()
    office.change(profiles, profiles.c.learner_id == 7, stopped=True)
    office.clock.forward(seconds=3)
    await office.sweep()

    assert [len(to) for _, to in office.many.casts] == [40, 39]
    assert office.counts() == {("accepted", ""): 39, ("uncertain", "stopped"): 1}


async def test_a_key_that_line_may_have_forgotten_is_not_used_again(office: Campaign) -> None:
    office.many.endings = [Outcome("retry", "no_answer", wait=2.0, doubtful=True)]
    office.recipients(40)
    await office.sweep()
    office.clock.forward(days=3)
    await office.sweep()

    assert len(office.many.casts) == 1
    assert office.counts() == {("uncertain", "forgotten"): 40}


async def test_a_refusal_is_the_end_for_all_of_it(office: Campaign) -> None:
    office.many.endings = [Outcome("failed", "refused_400")]
    office.recipients(40)
    await office.sweep()

    assert office.counts() == {("failed", "refused_400"): 40}


async def test_a_channel_that_raises_counts_as_lost(office: Campaign) -> None:
    office.many.endings = [RuntimeError("a bug in the library")]
    office.recipients(40)
    await office.sweep()
    assert office.counts() == {("queued", "lost"): 40}

    office.clock.forward(seconds=1)
    await office.sweep()
    assert len({row.key for row, _ in office.many.casts}) == 1
    assert office.counts() == {("accepted", ""): 40}


async def test_a_frozen_channel_claims_nothing(office: Campaign) -> None:
    office.many.endings = [Outcome("retry", "throttled", wait=9.0, freeze=9.0)]
    office.recipients(40)
    await office.sweep()
    office.recipients(40, first=40)
    office.clock.forward(seconds=8)
    await office.sweep()
    assert len(office.many.casts) == 1

    office.clock.forward(seconds=2)
    await office.sweep()
    assert office.counts() == {("accepted", ""): 80}


# --- what somebody who died has left -------------------------------------------------------


async def test_a_multicast_of_somebody_who_died_is_repeated_whole(
    db: Database, content: Content, tmp_path: Path
) -> None:
    async with campaigning(db, content, tmp_path) as office:
        office.recipients(60)
        office.many.open.clear()
        await office.sender.sweep()
        await office.until(lambda: office.many.casts)
        await office.sender.stop(patience=0.02)
        (first, to), *_ = office.many.casts

    async with campaigning(db, content, tmp_path, anew=False) as office:
        office.clock.forward(seconds=20)
        await office.sweep()
        assert first.key not in {row.key for row, _ in office.many.casts}
        office.clock.forward(seconds=70)
        await office.sweep()
        await office.sweep()

        again = {row.key: whom for row, whom in office.many.casts}
        assert set(again[first.key]) == set(to)
        assert office.counts() == {("accepted", ""): 60}


@pytest.mark.parametrize(
    ("channel", "expected"),
    [("line", ("queued", True)), ("telegram", ("uncertain", True)), ("web", ("queued", False))],
)
async def test_a_row_of_somebody_who_died_counts_by_the_table(
    office: Campaign, channel: str, expected: tuple[str, bool]
) -> None:
    senders: dict[str, Any] = {
        "line": LineSender("t", clock=office.clock),
        "telegram": TelegramSender("1:a", clock=office.clock, draw=lambda picture: b""),
        "web": Local(),
    }
    office.sender.bulk._channels = senders
    office.recipients(1, channel, status="sending", attempts=1, lease_until=NOW + LEASE)
    office.clock.forward(seconds=61)

    await office.sender.bulk._recover(channel, office.clock())

    with office.db.read() as conn:
        row = conn.execute(select(outbox.c.status, outbox.c.doubtful)).one()
    assert tuple(row) == expected


# --- beside conversations ------------------------------------------------------------------


async def test_an_answer_does_not_wait_for_a_campaign(office: Campaign) -> None:
    """P12: neither for its rows nor for its requests."""
    office.recipients(3000)
    office.many.open.clear()
    await office.sender.sweep()
    await office.until(lambda: office.many.casts)
    key = office.put("a", "U-somebody", "telegram")
    await office.sender.sweep()
    await office.until(lambda: office.row(key).status == "accepted")
    office.many.open.set()
    await office.rest()

    assert len(set(office.many.reached)) == 3000


async def test_on_telegram_no_more_is_claimed_than_is_soon_sent(office: Campaign) -> None:
    """What is claimed when we die counts as tried."""
    office.recipients(100, "telegram")
    office.telegram.open.clear()
    await office.sender.sweep()
    await office.until(lambda: len(office.telegram.sent) == module.LEAST)
    await asyncio.sleep(0.05)

    assert office.statuses().count("sending") == module.LEAST
    office.telegram.open.set()
    await office.rest()
    assert len(office.telegram.sent) == 100
    assert office.counts() == {("accepted", ""): 100}
