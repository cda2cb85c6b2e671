"""The sender: what leaves, in which order, and what becomes of every row."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from msgspec.json import encode
from prometheus_client import REGISTRY
from sqlalchemy import insert, select, update

from bot import sender as module
from bot.app import pack
from bot.channels.line import LineSender
from bot.channels.telegram import TelegramSender
from bot.channels.terminal import Local
from bot.dispatch import Dispatcher, Unavailable
from bot.sender import IN_FLIGHT, Channel, Sender
from content.schema import Content
from flows.types import Reply
from storage import outbox as store
from storage import privacy, roster
from storage.database import Database
from storage.models import addresses, outbox, photos
from storage.wire import Outcome, Request, Row
from tests.running import Clock

NOW = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)
SOMCHAI, SOMYING = "U" + "1" * 32, "U" + "2" * 32
pytestmark = pytest.mark.anyio


class Post:
    """A platform that ends each attempt as it was told to, and remembers all."""

    def __init__(self) -> None:
        self.sent: list[Row] = []
        self.outcomes: defaultdict[str, list[Outcome | Exception]] = defaultdict(list)
        """By text: how the next attempts end; accepted by default."""
        self.open = asyncio.Event()
        self.open.set()
        self.look: Callable[[Row], None] = lambda row: None
        self.most = self.now = 0
        self.photo = b"\xff\xd8\xff"

    @property
    def texts(self) -> list[str]:
        return [row.request.replies[0].text for row in self.sent]

    async def send(self, row: Row) -> Outcome:
        self.sent.append(row)
        self.look(row)
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await self.open.wait()
        finally:
            self.now -= 1
        named = self.outcomes[row.request.replies[0].text if row.request.replies else "photo"]
        outcome = named.pop(0) if named else Outcome("accepted", platform_id="p1")
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def fetch(self, row: Row) -> tuple[Outcome, bytes]:
        outcome = await self.send(row)
        return outcome, self.photo if outcome.status == "accepted" else b""

    def lost(self, row: Row, now: datetime) -> Outcome:
        return Outcome("uncertain", "lost", doubtful=True)


class Office:
    """A sender at work, with its database and its platforms."""

    def __init__(self, db: Database, content: Content, folder: Path, clock: Clock) -> None:
        self.db, self.clock = db, clock
        self.line, self.telegram = Post(), Post()
        channels: dict[str, Channel] = {"line": self.line, "telegram": self.telegram}
        channels["web"] = Local()
        self.dispatcher = Dispatcher(db, content, pack, clock, lambda rows: None)
        self.sender = Sender(db, channels, content, folder / "photos", clock)

    def put(self, text: str, to: str = SOMCHAI, channel: str = "line", **more: Any) -> str:
        """A row that a turn has queued; its key."""
        request = more.pop("request", Request((Reply(text),)))
        row = {
            "key": str(uuid4()),
            "channel": channel,
            "address": to,
            "lane": "reply",
            "payload": encode(request).decode(),
            "created_at": self.clock(),
            "due": self.clock(),
            "deadline": self.clock() + timedelta(hours=1),
            "status": "queued",
            **more,
        }
        with self.db.write() as conn:
            conn.execute(insert(outbox).values(row))
        return str(row["key"])

    def row(self, key: str) -> Any:
        with self.db.read() as conn:
            return conn.execute(select(outbox).where(outbox.c.key == key)).one()

    def statuses(self) -> list[str]:
        with self.db.read() as conn:
            return list(conn.execute(select(outbox.c.status).order_by(outbox.c.id)).scalars())

    async def sweep(self) -> None:
        """One tick, and all that follows from it."""
        await self.sender.sweep()
        await self.rest()

    async def rest(self) -> None:
        while self.sender.busy:
            await asyncio.sleep(0.001)

    async def until(self, check: Callable[[], object]) -> None:
        async with asyncio.timeout(5):
            while not check():
                await asyncio.sleep(0.001)


@asynccontextmanager
async def at_work(db: Database, content: Content, folder: Path) -> AsyncIterator[Office]:
    office = Office(db, content, folder, Clock(NOW))
    office.dispatcher.start()
    office.sender.start(office.dispatcher)
    await office.sender.sweep()  # takes the leases
    try:
        yield office
    finally:
        await office.sender.stop()
        await office.dispatcher.stop()


@pytest.fixture
async def office(db: Database, content: Content, tmp_path: Path) -> AsyncIterator[Office]:
    async with at_work(db, content, tmp_path) as made:
        yield made


RETRY = Outcome("retry", "refused", wait=4.0)


# --- order -------------------------------------------------------------------------------


async def test_requests_to_one_address_leave_in_order_and_one_at_a_time(office: Office) -> None:
    for number in range(5):
        office.put(f"a{number}")
        office.put(f"b{number}", SOMYING)
    office.line.open.clear()

    await office.sender.sweep()
    await office.until(lambda: office.line.now == 2)

    assert sorted(office.line.texts) == ["a0", "b0"]
    office.line.open.set()
    await office.rest()
    assert [text for text in office.line.texts if text[0] == "a"] == [f"a{n}" for n in range(5)]
    assert office.line.most == 2
    assert set(office.statuses()) == {"accepted"}


async def test_behind_a_request_that_must_wait_all_of_its_address_wait(office: Office) -> None:
    """Also what is queued meanwhile, and what one sweep finds beside it; others go on."""
    office.line.outcomes["a0"] = [RETRY, RETRY]
    for text in ("a0", "a1"):
        office.put(text)
    office.put("b0", SOMYING)
    await office.sweep()
    office.put("a2")
    office.put("b1", SOMYING)
    await office.sweep()

    assert office.line.texts == ["a0", "b0", "b1"]
    for _ in range(3):
        office.clock.forward(seconds=4.5)
        await office.sweep()
        await office.sweep()
    assert [text for text in office.line.texts if text[0] == "a"] == ["a0", "a0", "a0", "a1", "a2"]


async def test_nobody_waits_for_ever_behind_a_row_that_is_gone(office: Office) -> None:
    office.line.outcomes["a0"] = [RETRY]
    first = office.put("a0")
    await office.sweep()
    with office.db.write() as conn:  # it was cancelled by something else
        conn.execute(update(outbox).where(outbox.c.key == first).values(status="cancelled"))
    office.put("a1")
    office.clock.forward(seconds=4.0 + module.OVERTAKING)

    await office.sweep()

    assert office.line.texts == ["a0", "a1"]


# --- claiming ----------------------------------------------------------------------------


async def test_a_row_is_claimed_on_disk_before_the_platform_hears_of_it(office: Office) -> None:
    seen: list[Any] = []
    office.line.look = lambda row: seen.append(office.row(row.key))
    office.put("a")

    await office.sweep()

    assert [(row.status, row.attempts) for row in seen] == [("sending", 1)]
    assert seen[0].lease_until == NOW + store.LEASE


async def test_no_more_is_claimed_than_can_be_under_way(office: Office) -> None:
    """What is claimed counts as tried if we die; and a slow channel does not hold up others."""
    for number in range(IN_FLIGHT + 30):
        office.put("a", f"U{number}")
    office.line.open.clear()
    await office.sender.sweep()
    await office.until(lambda: office.line.now == IN_FLIGHT)
    other = office.put("t", "7", "telegram")
    await office.sender.sweep()
    await office.until(lambda: office.row(other).status == "accepted")

    assert office.statuses().count("sending") == IN_FLIGHT
    office.line.open.set()
    await office.rest()
    assert set(office.statuses()) == {"accepted"}
    assert len(office.line.sent) == IN_FLIGHT + 30


async def test_what_cannot_be_claimed_is_not_sent_until_it_can(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P28: the database comes back by itself, and a bug in a claim is not the end either."""
    monkeypatch.setattr(module, "PAUSE", 0.005)
    _fail(office, monkeypatch, [Unavailable(), RuntimeError("a bug"), Unavailable()])
    office.put("a")

    await office.sweep()

    assert office.line.texts == ["a"]
    assert office.statuses() == ["accepted"]
    assert office.sender.alive


async def test_an_outcome_that_cannot_be_noted_is_noted_later_and_not_sent_again(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAUSE", 0.005)
    key = office.put("a")
    office.line.look = lambda row: _fail(office, monkeypatch, [Unavailable(), Unavailable()])

    await office.sender.sweep()
    await office.until(lambda: office.line.sent)
    office.line.look = lambda row: None
    await office.sender.sweep()
    await office.rest()

    assert len(office.line.sent) == 1
    assert office.row(key).status == "accepted"


def _fail(office: Office, monkeypatch: pytest.MonkeyPatch, errors: list[Exception]) -> None:
    """The next writes fail so, then all is well."""
    real = office.dispatcher.run

    async def run(job: Any) -> Any:
        if errors:
            raise errors.pop(0)
        return await real(job)

    monkeypatch.setattr(office.dispatcher, "run", run)


async def test_a_row_whose_lease_is_nearly_over_is_not_sent_any_more(office: Office) -> None:
    """Another process may soon take it for abandoned, and send it itself."""
    for text in ("a0", "a1"):
        office.put(text)
    office.line.open.clear()
    await office.sender.sweep()
    await office.until(lambda: office.line.sent)
    office.clock.forward(seconds=50)
    office.line.open.set()
    await office.rest()

    assert (office.line.texts, office.statuses()) == (["a0"], ["accepted", "queued"])
    await office.sweep()
    assert office.line.texts == ["a0", "a1"]


# --- outcomes ----------------------------------------------------------------------------


async def test_what_was_accepted_is_kept_without_its_words_but_in_the_web_chat(
    office: Office,
) -> None:
    line, web = office.put("a"), office.put("w", "w1", "web")

    await office.sweep()

    row = office.row(line)
    assert (row.status, row.platform_id, row.payload) == ("accepted", "p1", "{}")
    assert row.ended_at == NOW
    assert "w" in office.row(web).payload


async def test_what_must_be_tried_again_waits_as_long_as_the_outcome_says(office: Office) -> None:
    again = Outcome("retry", "no_answer", wait=8.0, doubtful=True, drop_token=True)
    office.line.outcomes["a"] = [again]
    key = office.put("a", reply_token="r", token_until=NOW + timedelta(seconds=50))
    await office.sweep()

    row = office.row(key)
    assert (row.status, row.reason, row.doubtful, row.reply_token) == (
        "queued",
        "no_answer",
        True,
        "",
    )
    assert row.due == NOW + timedelta(seconds=8)
    office.clock.forward(seconds=7.9)
    await office.sweep()
    assert len(office.line.sent) == 1
    office.clock.forward(seconds=0.2)
    await office.sweep()
    second = office.line.sent[1]
    assert (second.attempts, second.doubtful, second.reply_token, second.key) == (2, True, "", key)
    assert office.row(key).attempts == 2


@pytest.mark.parametrize("status", ["failed", "uncertain"])
async def test_what_has_ended_is_never_sent_again(office: Office, status: Any) -> None:
    office.line.outcomes["a"] = [Outcome(status, "why")]
    key = office.put("a")
    await office.sweep()
    office.clock.forward(minutes=30)
    await office.sweep()

    assert len(office.line.sent) == 1
    assert (office.row(key).status, office.row(key).reason) == (status, "why")
    assert office.row(key).payload == "{}"


async def test_a_channel_that_raises_or_hangs_counts_as_lost(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CALL_LIMIT", 0.02)
    office.line.outcomes["a"] = [RuntimeError("a bug in the library")]
    raising, hanging = office.put("a"), office.put("t", "7", "telegram")
    office.telegram.open.clear()

    await office.sweep()

    assert [office.row(key).reason for key in (raising, hanging)] == ["lost", "lost"]
    assert office.statuses() == ["uncertain", "uncertain"]


async def test_a_frozen_channel_sends_nothing_until_its_time_is_over(office: Office) -> None:
    """P11: no request within the window, neither new ones nor what was claimed already."""
    office.telegram.outcomes["x"] = [Outcome("retry", "throttled", wait=30.0, freeze=30.0)]
    office.put("x", "7", "telegram")
    for number in range(80):
        office.put("t", f"{100 + number}", "telegram")
    office.telegram.open.clear()
    await office.sender.sweep()
    await office.until(lambda: office.telegram.now == IN_FLIGHT)
    office.telegram.open.set()
    office.put("a")
    await office.rest()
    before = len(office.telegram.sent)
    office.clock.forward(seconds=29)
    for _ in range(3):
        await office.sweep()

    assert before == len(office.telegram.sent) == IN_FLIGHT
    assert office.line.texts == ["a"]
    office.clock.forward(seconds=1.1)
    await office.sweep()
    await office.sweep()
    assert set(office.statuses()) == {"accepted"}


async def test_a_channel_whose_credentials_are_refused_halts_and_shows_it(office: Office) -> None:
    halted = Outcome("retry", "credentials_401", wait=60.0, halt=True)
    office.line.outcomes["a"] = [halted]
    office.put("a")
    office.put("b", SOMYING)
    await office.sweep()
    office.put("c", "U3")
    await office.sweep()

    assert office.line.texts in (["a"], ["a", "b"])
    assert REGISTRY.get_sample_value("kaona_channel_halted", {"channel": "line"}) == 1
    office.clock.forward(seconds=61)
    await office.sweep()
    await office.sweep()
    assert set(office.statuses()) == {"accepted"}
    assert REGISTRY.get_sample_value("kaona_channel_halted", {"channel": "line"}) == 0


async def test_whoever_cannot_be_reached_is_sent_nothing_more(office: Office) -> None:
    """P13: what waits is cancelled at once, and what is queued later when it is claimed."""
    with office.db.write() as conn:
        learner = roster.create(conn, "line", SOMCHAI, NOW)
    office.line.outcomes["a0"] = [Outcome("failed", "blocked", unreachable=True)]
    office.put("a0", learner_id=learner)
    waiting = office.put("a1", due=NOW + timedelta(minutes=5), learner_id=learner)
    await office.sweep()
    later = office.put("a2", learner_id=learner)
    await office.sweep()

    assert office.line.texts == ["a0"]
    with office.db.read() as conn:
        assert conn.execute(select(addresses.c.reachable)).scalars().all() == [False]
    for key in (waiting, later):
        row = office.row(key)
        assert (row.status, row.reason, row.payload) == ("cancelled", "unreachable", "{}")


async def test_what_is_under_way_keeps_its_words_when_a_message_is_unsent(office: Office) -> None:
    """It may have to go once more; what has ended is blanked."""
    with office.db.write() as conn:
        learner = roster.create(conn, "web", "w1", NOW)
    ended = office.put("w", "w1", "web", learner_id=learner, status="accepted")
    waiting = {"learner_id": learner, "status": "sending", "attempts": 1, "lease_until": NOW}
    under_way = office.put("a", **waiting)

    await office.dispatcher.run(lambda conn, now: privacy.forget(conn, learner, "m1", now))

    assert office.row(ended).payload == "{}"
    assert "a" in office.row(under_way).payload


async def test_what_nobody_could_send_in_time_expires(office: Office) -> None:
    late = office.put("a", due=NOW + timedelta(minutes=2), deadline=NOW + timedelta(minutes=1))
    office.clock.forward(minutes=1)

    await office.sender.tidy()

    assert (office.row(late).status, office.row(late).reason) == ("expired", "deadline")
    office.clock.forward(minutes=5)
    await office.sweep()
    assert office.line.sent == []


# --- what somebody who died has left -------------------------------------------------------

TABLE = [
    # channel, lane, doubtful before, alive token; what becomes of it
    ("line", "reply", False, True, ("queued", True)),
    ("line", "reply", False, False, ("queued", True)),
    ("line", "personal", False, False, ("queued", True)),
    ("telegram", "reply", False, False, ("queued", True)),
    ("telegram", "reply", True, False, ("uncertain", True)),
    ("telegram", "personal", False, False, ("uncertain", True)),
    ("telegram", "campaign", False, False, ("uncertain", True)),
    ("telegram", "fetch", False, False, ("queued", False)),
    ("web", "reply", False, False, ("queued", False)),
]


@pytest.mark.parametrize(("channel", "lane", "doubtful", "token", "expected"), TABLE)
async def test_an_attempt_that_nobody_saw_the_end_of_counts_by_the_table(
    db: Database,
    content: Content,
    tmp_path: Path,
    channel: str,
    lane: str,
    doubtful: bool,
    token: bool,
    expected: tuple[str, bool],
) -> None:
    office = Office(db, content, tmp_path, Clock(NOW))
    office.sender._channels = {
        "line": LineSender("t", clock=office.clock),
        "telegram": TelegramSender("1:a", clock=office.clock, draw=lambda picture: b""),
        "web": Local(),
    }
    more: dict[str, Any] = {"status": "sending", "attempts": 1, "lane": lane}
    more |= {"lease_until": NOW, "doubtful": doubtful}
    if token:
        more |= {"reply_token": "r", "token_until": NOW + timedelta(seconds=50)}
    key = office.put("x", "7", channel, **more)
    office.dispatcher.start()
    office.sender.start(office.dispatcher)
    await office.sender.sweep()
    await office.until(lambda: office.row(key).status != "sending")
    await office.sender.stop()
    await office.dispatcher.stop()

    row = office.row(key)
    assert (row.status, row.doubtful) == expected


async def test_an_attempt_of_another_process_is_left_alone_while_its_lease_lasts(
    office: Office,
) -> None:
    key = office.put("a", status="sending", attempts=1, lease_until=NOW + store.LEASE)
    await office.sweep()
    assert office.row(key).status == "sending"

    office.clock.forward(seconds=61)
    await office.sweep()

    assert (office.row(key).status, office.line.sent) == ("uncertain", [])


async def test_on_one_process_a_start_knows_that_all_attempts_are_over(office: Office) -> None:
    key = office.put("a", status="sending", attempts=1, lease_until=NOW + store.LEASE)
    await office.dispatcher.run(lambda conn, now: store.release(conn, ["line"], now))

    await office.sweep()

    assert office.row(key).status == "uncertain"


async def test_of_two_workers_only_one_sends_a_row(
    db: Database, content: Content, tmp_path: Path
) -> None:
    if db.sqlite:
        pytest.skip("SQLite has one process")
    async with at_work(db, content, tmp_path) as one, at_work(db, content, tmp_path) as other:
        for number in range(100):
            one.put(f"a{number}", f"U{number}")
        await asyncio.gather(one.sender.sweep(), other.sender.sweep())
        await asyncio.gather(one.rest(), other.rest())

    texts = one.line.texts + other.line.texts
    assert len(texts) == len(set(texts)) == 100


# --- photos --------------------------------------------------------------------------------


async def test_a_photo_is_fetched_to_disk_under_a_name_of_ours(
    office: Office, tmp_path: Path
) -> None:
    office.line.outcomes["photo"] = [RETRY]
    _photo(office, "k1")
    await office.sweep()
    office.clock.forward(seconds=5)
    await office.sweep()

    with office.db.read() as conn:
        file = conn.execute(select(photos.c.file)).scalar_one()
    assert (tmp_path / "photos" / file).read_bytes() == office.line.photo
    assert "/" not in file
    assert office.statuses() == ["accepted"]


async def test_a_photo_that_is_refused_leaves_no_file(office: Office, tmp_path: Path) -> None:
    office.line.outcomes["photo"] = [Outcome("failed", "refused_404")]
    _photo(office, "k1")

    await office.sweep()

    assert office.statuses() == ["failed"]
    assert not (tmp_path / "photos").exists()


def _photo(office: Office, key: str) -> None:
    with office.db.write() as conn:
        learner = roster.create(conn, "line", SOMCHAI, NOW)
        conn.execute(
            insert(photos).values(
                key=key, learner_id=learner, channel="line", ref="m1", created_at=NOW
            )
        )
    request = Request(fetch="m1", photo=key)
    office.put("", lane="fetch", request=request)


# --- the end -------------------------------------------------------------------------------


async def test_a_stop_lets_what_is_under_way_end_and_claims_no_more(
    db: Database, content: Content, tmp_path: Path
) -> None:
    """P31: nothing is left in nobody's hands; what waits goes out after the next start."""
    async with at_work(db, content, tmp_path) as office:
        for number in range(IN_FLIGHT + 20):
            office.put("a", f"U{number}")
        office.line.open.clear()
        await office.sender.sweep()
        await office.until(lambda: office.line.now == IN_FLIGHT)
        stopping = asyncio.create_task(office.sender.stop())
        await asyncio.sleep(0.01)
        office.line.open.set()
        await stopping

        assert office.statuses().count("accepted") == IN_FLIGHT
        assert office.statuses().count("queued") == 20

    async with at_work(db, content, tmp_path) as next_one:
        await next_one.sweep()
        assert set(next_one.statuses()) == {"accepted"}
        assert len(next_one.line.sent) == 20


async def test_a_stop_does_not_wait_for_ever_for_a_platform_that_hangs(
    db: Database, content: Content, tmp_path: Path
) -> None:
    async with at_work(db, content, tmp_path) as office:
        key = office.put("a")
        office.line.open.clear()
        await office.sender.sweep()
        await office.until(lambda: office.line.now == 1)
        await office.sender.stop(patience=0.02)

        assert office.row(key).status == "sending"
        office.line.open.set()
