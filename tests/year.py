"""A year of many learners on a virtual clock: real storage, flows, gate and claims between two
platforms in memory; with outages on both sides, a clock that jumps, and people who do as they
like. What comes of it is held against the promises by `tests/checker.py`."""

import dataclasses
import heapq
import itertools
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from msgspec import Struct, field
from msgspec.structs import replace
from sqlalchemy import Connection, event, func, select

from bot.app import pack
from bot.outcomes import Answered, Heard, Lost, Refused, judge
from content.schema import Content, Schedule
from flows.reasons import wanted
from flows.schedule import next_times
from flows.types import AnyEvent, Left, Pressed, Said, Started
from storage import bulk, campaigns, outbox, parcels, quota, timers, turns
from storage.database import Database
from storage.gathered import decode_state
from storage.models import OPEN, facts, inbox, learners, occurrences, profiles
from storage.models import campaigns as planned
from storage.models import outbox as rows_table
from storage.models import timers as timers_table
from storage.outbox import Ended
from storage.parcels import Parcel
from storage.quota import Terms
from storage.wire import Incoming, Outcome, Row
from tests.checker import (
    Delivery,
    Report,
    check_moments,
    check_rows,
    check_wishes,
    database,
    days_off,
    match,
)
from tests.crowd import Learner, address, approved, settle
from tests.people import GIVEN

BANGKOK = ZoneInfo("Asia/Bangkok")
START = datetime(2026, 10, 1, 0, 0, tzinfo=BANGKOK).astimezone(UTC)
"""The first day of the fiscal year 2570."""
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
ZONES = ("",) * 16 + ("Europe/Berlin", "America/New_York", "Asia/Tokyo", "Australia/Canberra")
STAGES = ("claimed", "placed", "measured", "planned", "learned", "passed", "applied", "reviewed")
TOKEN_LIFE = timedelta(seconds=50)
CAMPAIGNS: list[tuple[str, str, int, dict[str, Any]]] = [
    ("law", "mandatory", 24 * 14, {"every": "month", "day_of_month": 1, "time": "10:00"}),
    ("dates", "due", 72, {"every": "week", "days": ["tue"], "time": "09:30"}),
    ("again", "review", 24, {"every": "week", "days": ["thu"], "time": "14:00"}),
    ("cheer", "encouragement", 8, {"every": "week", "days": ["mon", "fri"], "time": "10:00"}),
]
"""Name, purpose, hours until the deadline, when."""
MONTHLY = "You have reached your monthly limit."
STEP = 5 * MINUTE
SAFETY = 0.1
SETTLING = 14 * DAY
"""What was written in the last days of the year may still be under way."""


class Trouble(Struct, frozen=True):
    """Something is wrong from one moment to another: `line` or `telegram` cannot be reached, our
    own `service` is down, or its `clock` is ahead by so much."""

    what: str
    first: datetime
    last: datetime
    ahead: timedelta = timedelta()


def troubles(dice: random.Random, days: int) -> list[Trouble]:
    """Outages of ten minutes, nine hours and three days on each side, at any hour; and a clock
    that is an hour or a day wrong for a while."""
    found = []

    def add(what: str, many: float, long: timedelta, ahead: timedelta = timedelta()) -> None:
        for _ in range(max(1, round(many * days / 365))):
            first = START + DAY * dice.uniform(3, days - 5)
            found.append(Trouble(what, first, first + long, ahead))

    for what in ("line", "telegram", "service"):
        add(what, 10, 10 * MINUTE)
        add(what, 5, 9 * HOUR)
        add(what, 2, 3 * DAY)
    for ahead in (HOUR, -HOUR, DAY, -DAY):
        add("clock", 4, 7 * HOUR, ahead)
    return sorted(found, key=lambda trouble: trouble.first)


# --- the platforms ---------------------------------------------------------------------------


class Platform:
    """LINE or Telegram: delivers, bills and counts. Of a hundred requests, one is throttled and
    the answer to one is lost."""

    def __init__(self, name: str, dice: random.Random, quota: int | None = None) -> None:
        self.name, self.quota = name, quota
        self.down = False
        self.true = START
        """The right time, whatever the service's clock says."""
        self.moments: list[float] = []
        """When each of the deliveries truly was."""
        self.blocked: set[str] = set()
        self.billed: Counter[str] = Counter()
        self.refused = 0
        """Requests that the month had no room for."""
        self.deliveries: list[Delivery] = []
        self.seen = 0
        self._dice = dice
        self._keys: set[str] = set()
        self._used: set[str] = set()

    def send(self, row: Row, now: datetime, true: datetime) -> Outcome:
        """What becomes of a single request, judged as the real channels do."""
        if self.name == "telegram":
            if row.doubtful and row.lane != "reply":
                return Outcome("uncertain", "interrupted", doubtful=True)
            return judge("telegram", self._telegram(row, now), row, now)
        by_reply = bool(row.reply_token and row.token_until and now < row.token_until)
        if row.reply_token and row.doubtful and not by_reply:
            return Outcome("uncertain", "interrupted", doubtful=True)
        if by_reply:
            return judge("line_reply", self._reply(row, now), row, now)
        outcome = judge("line_push", self.push([row], row.retry_key, now, true), row, now)
        return replace(outcome, pushed=True)

    def lost(self, row: Row, now: datetime) -> Outcome:
        if self.name == "line":
            return Outcome("retry", "lost", doubtful=True)
        return judge("telegram", Lost("lost"), row, now)

    def ship(self, parcel: Parcel, now: datetime, true: datetime) -> Outcome:
        if not parcel.row.chunk:
            return self.send(parcel.row, now, true)
        rows = [replace(parcel.row, address=to) for to in parcel.to]
        heard = self.push(rows, parcel.row.chunk, now, true)
        return judge("line_multicast", heard, parcel.row, now)

    def lost_campaign(self) -> Outcome:
        if self.name == "line":
            return Outcome("retry", "lost", doubtful=True)
        return Outcome("uncertain", "interrupted", doubtful=True)

    def _reply(self, row: Row, now: datetime) -> Heard:
        if mood := self._mood():
            return mood
        if row.reply_token in self._used:
            return Answered(400, "Invalid reply token")
        self._used.add(row.reply_token)
        return self._deliver([row], now, row.reply_token)

    def push(self, rows: Sequence[Row], key: str, now: datetime, true: datetime) -> Heard:
        """To one, or by multicast to many."""
        if mood := self._mood():
            return mood
        if key in self._keys:
            return Answered(409)
        reached = [row for row in rows if row.address not in self.blocked]
        month = f"{true.astimezone(BANGKOK):%Y-%m}"
        if self.quota is not None and self.billed[month] + len(reached) > self.quota:
            self.refused += 1
            return Answered(429, MONTHLY)
        self._keys.add(key)
        self.billed[month] += len(reached)
        return self._deliver(rows, now)

    def _telegram(self, row: Row, now: datetime) -> Heard:
        if mood := self._mood():
            return mood
        if row.address in self.blocked:
            return Answered(403, "Forbidden: bot was blocked by the user")
        return self._deliver([row], now, "answer" * (row.lane == "reply"))

    def _mood(self) -> Heard | None:
        if self.down:
            return Refused("down")
        return Answered(429, "wait", 5.0) if self._dice.random() < 0.01 else None

    def _deliver(self, rows: Iterable[Row], now: datetime, token: str = "") -> Heard:
        for row in rows:  # also to those who block us: when we know of it, we must not ask
            one = Delivery(self.name, row.address, now.timestamp(), key=row.key, token=token)
            self.deliveries.append(one)
            self.moments.append(self.true.timestamp())
        return Lost("cut off") if self._dice.random() < 0.01 else Answered(200)


def _hurry(db: Database) -> None:
    """The disk need not keep up: here the machine never loses its power."""

    def connected(raw: Any, _: object) -> None:
        raw.execute(f"{'PRAGMA synchronous =' if db.sqlite else 'SET synchronous_commit TO'} OFF")
        raw.commit()

    event.listen(db.writer, "connect", connected)
    db.writer.dispose()


# --- the service -----------------------------------------------------------------------------


_NEXT = select(
    select(func.min(timers_table.c.due)).scalar_subquery(),
    select(func.min(rows_table.c.due))
    .where(OPEN, rows_table.c.status == "queued")
    .scalar_subquery(),
    select(func.min(rows_table.c.lease_until)).where(OPEN).scalar_subquery(),
    select(func.min(planned.c.next_due)).where(planned.c.status == "approved").scalar_subquery(),
)


class Service:
    """What the dispatcher, the sender and the scheduler do, one thing after the other."""

    def __init__(
        self, db: Database, content: Content, platforms: dict[str, Platform], year: "Year"
    ) -> None:
        self.db, self.content, self.platforms, self._year = db, content, platforms, year
        self.fired: Counter[str] = Counter()
        self.terms = Terms(content, (), SAFETY)
        self.dies = False
        """It ends after the next request, before that is noted."""

    def take(self, batch: Sequence[Incoming], now: datetime) -> None:
        for at in range(0, len(batch), 64):
            with self.db.write() as conn:
                part = batch[at : at + 64]
                work = turns.take(conn, part, now, self.content, pack)
            assert work.parked == [], work.parked
            self.send(work.queued, now)

    def send(self, rows: Sequence[Row], now: datetime) -> None:
        for at in range(0, len(rows), 64):
            part = rows[at : at + 64]
            with self.db.write() as conn:
                may = self._claimed(conn, part, now)
            ended = [self._attempt(row, now) for row in part if row.key in may]
            if self.dies:
                self.dies = False
            elif ended:
                with self.db.write() as conn:
                    quota.finish(conn, ended, now, self.content)

    def _claimed(self, conn: Connection, rows: Sequence[Row], now: datetime) -> set[str]:
        may = outbox.claim(conn, rows, now, self.content)
        line = [row.key for row in rows if row.key in may and row.channel == quota.LINE]
        short, _ = quota.charge(conn, line, now, self.terms)
        return may - short

    def _attempt(self, row: Row, now: datetime) -> Ended:
        outcome = self.platforms[row.channel].send(row, now, self._year.true)
        return Ended(row, outcome)

    def send_campaigns(self, platform: Platform, now: datetime) -> None:
        """Rows by the thousand; a multicast that may have arrived is repeated as it was."""
        name, after = platform.name, bulk.START
        lost = self._read(lambda conn: bulk.abandoned(conn, name, now, 2000))
        if lost:
            with self.db.write() as conn:
                bulk.recover(conn, lost, platform.lost_campaign(), now)
        while True:
            found = self._read(lambda conn, at=after: bulk.find(conn, name, now, at, 2000))
            after = found.last
            if not found.ids and not found.chunks:
                return
            with self.db.write() as conn:
                claimed = [bulk.claim(conn, name, found.ids, now, self.terms)]
                claimed += [
                    bulk.again(conn, name, chunk, due, now, self.terms)
                    for chunk, due in found.chunks.items()
                ]
            self._ship(platform, [p for each in claimed for p in each.parcels], now)

    def _ship(self, platform: Platform, shipped: Sequence[Parcel], now: datetime) -> None:
        ended = [(p, platform.ship(p, now, self._year.true)) for p in shipped]
        if self.dies:
            self.dies = False
            return
        many = [(p, outcome) for p, outcome in ended if p.row.chunk]
        alone = [Ended(p.row, outcome) for p, outcome in ended if not p.row.chunk]
        with self.db.write() as conn:
            parcels.finish(conn, many, now, self.content)
            if alone:
                quota.finish(conn, alone, now, self.content)

    def tick(self, now: datetime) -> None:
        """As the scheduler does every second, for as long as it finds something to do."""
        while batch := self._read(lambda conn: timers.due(conn, now)):
            self.fired.update(incoming.event_id for incoming in batch)
            self.take(batch, now)
        self._expand(now)
        for name, platform in self.platforms.items():
            lost = self._read(lambda conn, name=name: outbox.abandoned(conn, name, now))
            ended = [Ended(row, platform.lost(row, now)) for row in lost]
            if ended:
                with self.db.write() as conn:
                    quota.finish(conn, ended, now, self.content)
            self.send(self._read(lambda conn, name=name: outbox.due(conn, name, now)), now)
            self.send_campaigns(platform, now)
        late = self._read(lambda conn: outbox.overdue(conn, now))
        if late:
            with self.db.write() as conn:
                outbox.expire(conn, late, now)

    def _expand(self, now: datetime) -> None:
        more = 1
        while more:
            with self.db.write() as conn:
                more = campaigns.fire(conn, now, self.content)
                more += campaigns.expand(conn, now, self.content)

    def start(self, now: datetime) -> None:
        """After an outage: what was under way is lost."""
        with self.db.write() as conn:
            outbox.release(conn, list(self.platforms), now)

    def has_work(self, now: datetime) -> bool:
        due = self.next_due()
        return due is not None and due <= now

    def next_due(self) -> datetime | None:
        """When something is to be done."""
        found = self._read(lambda conn: conn.execute(_NEXT).first())
        return min((when for when in found if when is not None), default=None)

    def _read(self, look: Callable[[Connection], Any]) -> Any:
        with self.db.read() as conn:
            return look(conn)


# --- the people ------------------------------------------------------------------------------


class Person(Struct):
    """Somebody with habits. `answers`: how often they answer what comes unasked; `pace`: days
    between what they do by themselves."""

    number: int
    channel: str
    address: str
    zone: str
    answers: float
    pace: float
    wishes: dict[str, bool] = field(default_factory=dict)
    """As the database has them: stop, block, nudges."""


DOES = ("learn", "rest", "times", "menu", "stop", "withdraw", "block")
WEIGHTS = (76, 5, 5, 5, 3, 3, 3)
SAYS = {
    "learn": "1",
    "menu": "เมนู",
    "rest": "พักไปก่อนสองสัปดาห์",
    "times": "เตือนทุกวันจันทร์กับพุธ บ่ายสอง",
    "stop": "หยุด",
    "come back": "กลับมา",
    "withdraw": "หยุดเตือน",
}
UNDONE = {"stop": "come back", "withdraw": "allow", "block": "unblock"}
"""What somebody does some weeks later."""


class Year:
    """The whole run. `go` lets the time pass, `check` holds it against the promises."""

    def __init__(
        self,
        db: Database,
        content: Content,
        *,
        people: int,
        days: int = 365,
        seed: int = 1,
        quota: float = 4.0,
    ) -> None:
        """`quota`: LINE messages a month for each learner there."""
        self.dice = random.Random(seed)
        self.db, self.content, self.days = db, content, days
        self._url = db.writer.url.render_as_string(hide_password=False)
        self.end = START + DAY * days
        self.true = START
        line = Platform("line", random.Random(seed + 1), round(quota * people / 2))
        telegram = Platform("telegram", random.Random(seed + 2))
        self.service = Service(db, content, {"line": line, "telegram": telegram}, self)
        self.troubles = troubles(self.dice, days)
        self.people = [self._person(number) for number in range(1, people + 1)]
        self.log: list[dict[str, Any]] = []
        self.faults: list[str] = []
        self.events = 0
        self._agenda: list[tuple[datetime, int, Person | None, str]] = []
        self._serial = itertools.count()
        self._at_address = {(each.channel, each.address): each for each in self.people}
        self._missed: list[tuple[Person, str]] = []
        """What people did while the service was down: it is delivered when it is back."""
        _hurry(db)
        settle(db, self._learners(), content, START)

    def _person(self, number: int) -> Person:
        channel = "line" if number % 2 else "telegram"
        dice = self.dice
        zone, answers = dice.choice(ZONES), dice.betavariate(1, 3)
        return Person(number, channel, address(channel, number), zone, answers, dice.uniform(5, 60))

    def _learners(self) -> Iterator[Learner]:
        for person in self.people:
            state = GIVEN[self.dice.choice(STAGES)](START)
            state = replace(state, person=None, zone=person.zone, consents={"nudges": True})
            state = replace(state, nudge_at=None)
            yield person.channel, person.address, state

    # --- time passes ---------------------------------------------------------------------

    def go(self) -> None:
        self._approve()
        for person in self.people:
            self._plan(person, "learn", self.dice.uniform(0, 3))
            self._plan(person, "anything", self.dice.uniform(3, 30))
        for day in range(self.days + 1):
            self._at(START + DAY * day, None, "morning")
        for trouble in self.troubles:
            self._at(trouble.first, None, "trouble")
            self._at(trouble.last, None, "trouble")
        while self.true < self.end:
            self.true = min(self._next(), self.end)
            self._turn_of_events()

    def _approve(self) -> None:
        """Campaigns of every purpose, which come round again and again."""
        with self.db.write() as conn:
            for name, purpose, hours, schedule in CAMPAIGNS:
                due = next_times(Schedule.model_validate(schedule), START, self.content, 1)[0]
                approved(conn, f"[#{name}]", due, purpose, hours, schedule=schedule)

    def _next(self) -> datetime:
        """When something happens next; the service looks every few minutes at most."""
        soonest = self._agenda[0][0]
        if not self._troubled("service"):
            due = self.service.next_due()
            if due is not None:
                soonest = min(soonest, max(due - self._ahead(), self.true + STEP))
        return max(soonest, self.true)

    def _turn_of_events(self) -> None:
        for name, platform in self.service.platforms.items():
            platform.down, platform.true = self._troubled(name), self.true
        down = self._troubled("service")
        while self._agenda and self._agenda[0][0] <= self.true:
            _, _, person, what = heapq.heappop(self._agenda)
            if person is not None:
                self._does(person, what, down)
            elif what == "trouble":
                self._crash(down)
            elif not down:
                self._morning()
        if not down and self.service.has_work(self.now):
            self.service.tick(self.now)
        self._react()

    def _morning(self) -> None:
        """LINE's count is asked for, the month is planned, and somebody of HR looks at what came
        too late: it is sent all the same, or left out."""
        line = self.service.platforms["line"]
        month = f"{self.true.astimezone(BANGKOK):%Y-%m}"
        with self.db.write() as conn:
            quota.store(conn, line.quota, line.billed[month], self.now)
            ahead = quota.forecast(conn, self.now, self.content)
            self.service.terms = Terms(self.content, ahead, SAFETY)
            held = select(occurrences.c.campaign_id).where(occurrences.c.status == "held")
            for number in sorted(set(conn.execute(held).scalars())):
                decide = campaigns.release if self.dice.random() < 0.5 else campaigns.skip
                decide(conn, number, self.now)
        self.service.tick(self.now)

    def _crash(self, down: bool) -> None:
        """Whenever trouble begins or is over the service is started anew, and what it was doing
        is lost; when it has been down it hears what it has missed."""
        self.service.dies = True
        if down:
            return
        self.service.start(self.now)
        missed, self._missed = self._missed, []
        for person, what in missed:
            self._act(person, what)

    def _troubled(self, what: str) -> bool:
        return any(t.what == what and t.first <= self.true < t.last for t in self.troubles)

    def _ahead(self) -> timedelta:
        on = (t.ahead for t in self.troubles if t.what == "clock" and t.first <= self.true < t.last)
        return sum(on, timedelta())

    @property
    def now(self) -> datetime:
        """On the service's clock."""
        return self.true + self._ahead()

    # --- people act ----------------------------------------------------------------------

    def _at(self, when: datetime, person: Person | None, what: str) -> None:
        heapq.heappush(self._agenda, (when, next(self._serial), person, what))

    def _plan(self, person: Person, what: str, days: float) -> None:
        """At an hour at which this person is awake."""
        when = (self.true + DAY * days).astimezone(ZoneInfo(person.zone or "Asia/Bangkok"))
        awake = when.replace(hour=self.dice.randrange(7, 22), minute=self.dice.randrange(60))
        self._at(max(awake.astimezone(UTC), self.true + MINUTE), person, what)

    def _does(self, person: Person, what: str, down: bool) -> None:
        if what == "anything":
            what = self.dice.choices(DOES, WEIGHTS)[0]
            follows, days = UNDONE.get(what, "anything"), self.dice.expovariate(1 / person.pace)
            self._plan(person, follows, max(days, 1))
        elif what in UNDONE.values():
            self._plan(person, "anything", self.dice.expovariate(1 / person.pace))
        if what == "block":
            self.service.platforms[person.channel].blocked.add(person.address)
        if what == "unblock":
            self.service.platforms[person.channel].blocked.discard(person.address)
        if down:
            self._missed.append((person, what))
        else:
            self._act(person, what)

    def _act(self, person: Person, what: str) -> None:
        """An event, heard; and what it says is so afterwards."""
        self.events += 1
        now, token = self.now, ""
        if person.channel == "line" and what != "block":
            token = f"token{self.events}"
        until = now + TOKEN_LIFE if token else None
        heard, number = self._event(what, now), f"e{self.events}"
        incoming = Incoming(person.channel, "bot", number, person.address, heard, now, token, until)
        self.service.take([incoming], now)
        self._note(person)
        done = {"stop": "stop", "come back": "stop", "block": "block", "withdraw": "nudges"}
        if what in done and person.wishes[done[what]] != (what != "come back"):
            self.faults.append(f"{what} of {person.address} at {now} had no effect")

    def _event(self, what: str, now: datetime) -> AnyEvent:
        match what:
            case "block":
                return Left()
            case "unblock":
                return Started()
            case "allow":
                return Pressed("*", "nudges_on")
            case "press":
                return Pressed("*", "c1.go")
            case _:
                return Said(SAYS[what], "", now)

    def _note(self, person: Person) -> None:
        """Write down what the database now says of this person's wishes."""
        kept = select(profiles).where(profiles.c.learner_id == person.number)
        with self.db.read() as conn:
            row = conn.execute(kept).one()
        wishes = {"stop": row.stopped, "block": not row.reachable, "nudges": not row.nudges}
        words = {"stop": ("resume", "stop"), "block": ("follow", "unfollow")}
        words["nudges"] = ("consent", "withdraw")
        for wish, off in wishes.items():
            if person.wishes.get(wish, False) != off:
                said = {"at": self.true.timestamp(), "what": words[wish][off]}
                to = {"channel": person.channel, "address": person.address}
                self.log.append(said | to)
        person.wishes = wishes

    def _react(self) -> None:
        """Some answer what has come unasked."""
        for platform in self.service.platforms.values():
            fresh = platform.deliveries[platform.seen :]
            platform.seen = len(platform.deliveries)
            for one in fresh:
                person = self._at_address[one.channel, one.address]
                if not one.token and self.dice.random() < person.answers:
                    self._at(self.true + HOUR * self.dice.expovariate(1), person, "learn")

    # --- and in the end ------------------------------------------------------------------

    def _in_true_order(self) -> Iterator[Delivery]:
        """Deliveries at the right time: a clock that jumps back puts a wish before what had been
        sent already."""
        for platform in self.service.platforms.values():
            for one, at in zip(platform.deliveries, platform.moments, strict=True):
                yield dataclasses.replace(one, at=at)

    def check(self) -> Report:
        report = Report()
        sent = [one for platform in self.service.platforms.values() for one in platform.deliveries]
        rows, kept = database(self._url)
        match(sent, rows)
        ended = (self.end - SETTLING - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(
            microseconds=1
        )
        check_rows(report, sent, [row for row in rows if row["created_at"] < ended])
        check_moments(report, sent, kept)
        check_wishes(report, self._in_true_order(), self.log)
        report.hold("a wish without effect", self.faults)
        self._check_quota(report)
        self._check_mandatory(report, rows)
        self._check_sendings(report)
        self._check_timers(report)
        self._count(report, rows)
        report.count("events of people", self.events)
        report.count("wishes noted", len(self.log))
        return report

    def _count(self, report: Report, rows: list[dict[str, Any]]) -> None:
        """What shows that the run was no idle one."""
        arrived = Counter(row["purpose"] for row in rows if row["status"] == "accepted")
        for purpose, many in arrived.items():
            report.count(f"accepted, {purpose}", many)
        report.count("of them rode on a reply", sum(row["reason"] == "rode" for row in rows))
        kinds = ("nudged", "nudge_skipped", "nudges_paused")
        query = select(facts.c.kind, func.count()).where(facts.c.kind.in_(kinds))
        with self.db.read() as conn:
            for kind, many in conn.execute(query.group_by(facts.c.kind)):
                report.count(kind.replace("_", " "), many)

    def _check_quota(self, report: Report) -> None:
        line = self.service.platforms["line"]
        report.count("LINE messages billed", line.billed.total())
        over = (f"{m}: {n}" for m, n in line.billed.items() if n > (line.quota or n))
        report.hold("LINE: over the quota", over)
        report.count("requests that LINE refused for the month", line.refused)

    def _check_mandatory(self, report: Report, rows: list[dict[str, Any]]) -> None:
        """What must be said arrives, unless the person has left or stopped."""
        left = ("unreachable", "stopped", "not_welcomed", "blocked", "campaign_cancelled")
        dropped = (
            f"{row['key']}: {row['status']} {row['reason']}"
            for row in rows
            if row["purpose"] == "mandatory"
            and row["status"] in ("failed", "expired", "cancelled")
            and row["reason"] not in left
        )
        report.hold("mandatory, and dropped", dropped)

    def _check_sendings(self, report: Report) -> None:
        """Each time came round once, and ended: sent, or left out for a reason."""
        days = [START.astimezone(BANGKOK).date() + DAY * n for n in range(self.days - 1)]
        settled = self.end - SETTLING
        wanted = {(name, when) for name, when in _times(days) if START < when < settled}
        found = select(
            planned.c.name, occurrences.c.due, occurrences.c.status, occurrences.c.reason
        )
        with self.db.read() as conn:
            rows = conn.execute(found.join_from(occurrences, planned)).all()
        seen = Counter((name.strip("[#]"), due) for name, due, _, _ in rows)
        report.count("sendings", len(rows))
        for _, _, status, reason in rows:
            report.count(f"of them {status} {reason}".rstrip(), 1)
        report.hold("sendings that did not begin", map(str, wanted - seen.keys()))
        report.hold("sendings twice", (str(one) for one, n in seen.items() if n > 1))
        open_ = (str(r) for r in rows if r.due < settled and r.status not in ("done", "skipped"))
        report.hold("sendings that did not end", open_)

    def _check_timers(self, report: Report) -> None:
        """Each timer fired once, none is overdue, and whoever wants nudges has a next one."""
        with self.db.read() as conn:
            heard = conn.execute(select(inbox.c.event_id).where(inbox.c.bot == "timer")).scalars()
            once = set(heard)
            overdue = select(timers_table).where(timers_table.c.due <= self.now - HOUR)
            late = conn.execute(overdue).all() if not self._troubled("service") else []
            waits = set(conn.execute(select(timers_table.c.learner_id)).scalars())
            here = select(learners.c.id, learners.c.state).join(profiles)
            states = conn.execute(here.where(profiles.c.reachable)).all()
        report.count("timers that fired", len(once))
        report.hold("timers that did not fire", self.service.fired.keys() - once)
        report.hold("timers overdue", (str(row.id) for row in late))
        idle = (n for n, state in states if wanted(decode_state(state)) and n not in waits)
        report.hold("wants nudges, and has no timer", map(str, idle))


def _times(days: Sequence[date]) -> Iterator[tuple[str, datetime]]:
    """When each campaign comes round: on a working day, or on the next one."""
    names = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
    for name, _, _, schedule in CAMPAIGNS:
        clock = time.fromisoformat(schedule["time"])
        weekdays, number = schedule.get("days", ()), schedule.get("day_of_month")
        for day in days:
            if names[day.weekday()] in weekdays or day.day == number:
                shown = day
                while shown.weekday() >= 5 or shown in days_off():
                    shown += DAY
                yield name, datetime.combine(shown, clock, BANGKOK).astimezone(UTC)
