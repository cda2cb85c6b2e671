"""X2 and X3: the process dies, or its database fails, at every single boundary of a work cycle.

Before and after every statement, every commit and every outgoing request the bomb goes off once.
Then a second process gets what was not acknowledged again, or everything, and somebody outside
compares the database and what both platforms delivered with a cycle in which nothing happened.
"""

import base64
import json
import re
import shutil
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from msgspec.json import encode
from msgspec.structs import replace
from sqlalchemy import Connection, create_engine, select, text, update
from sqlalchemy.pool import NullPool

from flows.types import Floor, Person, State
from storage import roster
from storage.database import Database
from storage.migrate import migrate
from storage.models import (
    addresses,
    claim_tries,
    facts,
    inbox,
    learners,
    metadata,
    outbox,
    parked,
    photos,
    timers,
)
from tests import people
from tests.cycle import DIED, Clock
from tests.databases import Server
from tests.running import ROOT, environment
from tests.simulators.line import Line
from tests.simulators.server import Json
from tests.simulators.telegram import Telegram

START = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)
"""Friday, ten o'clock in Bangkok: a working hour."""
NEW, LEARNS, APPLIES, CLAIMS, LEFT = ("U" + digit * 32 for digit in "12345")
NEWCOMER, MANAGER = 501, 777
NEVER = 0

# --- who there is before the cycle begins ---------------------------------------------------


def populate(conn: Connection) -> None:
    """A manager on Telegram; on LINE a subordinate who is about to save a use, a learner before
    a quiz, and one who is asked for a code."""
    unit = roster.add_unit(conn, "กองบริหารทรัพยากรบุคคล")
    head = roster.add_person(conn, hr_id="1", name="สมศรี มั่นคง", unit_id=unit)
    staff = roster.add_person(conn, hr_id="2", name="สมชาย ใจดี", unit_id=unit, supervisor_id=head)
    applying = replace(people.passed(START), floor=Floor("apply", "sure", _use()))
    for person, channel, address, state in (
        (head, "telegram", str(MANAGER), people.manager(START)),
        (staff, "line", APPLIES, applying),
    ):
        learner = roster.link(conn, person, channel, address, START)
        named = replace(state.person or Person(0, "", ""), id=person)
        _put(conn, learner, replace(state, seed=learner, stamp=3, person=named))
    quiz = Floor("quiz", "intro", {"area": "spreadsheet"})
    for address, floor in ((LEARNS, quiz), (CLAIMS, Floor("claim", "code"))):
        learner = roster.create(conn, "line", address, START)
        _put(conn, learner, replace(people.guest_with_plan(START), seed=learner, floor=floor))


def _use() -> Json:
    words = {key: {"text": key, "message": f"m-{key}"} for key in ("where", "whom", "changed")}
    proof = {"text": "ภาพถ่าย", "message": "m-proof", "ref": "photo1"}
    return {**words, "proof": proof, "share": "yes_share", "confirm": "yes_confirm"}


def _put(conn: Connection, learner: int, state: State) -> None:
    stored = encode(state).decode()
    conn.execute(update(learners).where(learners.c.id == learner).values(state=stored))


# --- what happens in the cycle --------------------------------------------------------------


def script(line: Line, telegram: Telegram) -> list[Json]:
    """Deliveries that arrive together, step by step: welcome, evidence with a photo and a
    manager's confirmation, quiz answers, free text, a wrong code, duplicates, an unreadable one."""
    line.contents["photo1"] = b"\xff\xd8\xffphoto"
    hello, start = line.webhook(line.follows(NEW))[0], telegram.says(NEWCOMER, "/start")
    agree, hum = telegram.says(NEWCOMER, "1"), telegram.says(NEWCOMER, "ฮัมเพลง")
    confirm = telegram.presses(MANAGER, "*:confirm:@use")
    save, left = line.webhook(line.presses(APPLIES, "3:save"))[0], line.unfollows(LEFT)
    both = line.webhook(
        line.says(LEARNS, "1"),
        {**line.says(LEARNS, "x"), "message": {"type": "text"}},
        line.presses(NEW, "1:agree"),
    )[0]
    code = line.webhook(line.says(CLAIMS, "WRON-GCOD-E234-X"), left)[0]
    quiz = line.webhook(line.says(LEARNS, "2"))[0]
    return [
        _step([hello, save], [start], ticks=True),
        _step([both, both, code], [agree, confirm], ticks=True),
        _step([quiz, hello, code], [hum, confirm, start]),
    ]


def _step(line: list[bytes], telegram: list[Json], *, ticks: bool = False) -> Json:
    bodies = [base64.b64encode(body).decode() for body in line]
    return {"line": bodies, "telegram": telegram, "ticks": ticks}


# --- a database to begin with, again and again ------------------------------------------------


class Sqlite:
    """A file that is copied for every cycle."""

    def __init__(self, folder: Path) -> None:
        self._template, self._file = folder / "template.db", folder / "var" / "kaona.db"
        self.url = f"sqlite:///{self._file}"
        self.engine = create_engine(self.url, poolclass=NullPool)
        _make(f"sqlite:///{self._template}")

    def renew(self) -> None:
        shutil.copyfile(self._template, self._file)

    def check(self) -> list[str]:
        """What the engine itself finds wrong with the file."""
        conn = sqlite3.connect(self._file)
        try:
            whole = [row[0] for row in conn.execute("PRAGMA integrity_check") if row[0] != "ok"]
            return whole + [str(row) for row in conn.execute("PRAGMA foreign_key_check")]
        finally:
            conn.close()


class Postgres:
    """One database that is emptied and filled for every cycle."""

    def __init__(self, server: Server) -> None:
        self.url = server.create()
        _make(self.url)
        self.engine = create_engine(self.url)
        with self.engine.connect() as conn:
            tables = {table: conn.execute(select(table)).mappings().all() for table in TABLES}
        self._rows = {table: [dict(row) for row in rows] for table, rows in tables.items()}

    def renew(self) -> None:
        with self.engine.begin() as conn:
            conn.execute(text("set local session_replication_role = replica"))
            for table in TABLES:
                conn.execute(table.delete())
            for table, rows in self._rows.items():
                if rows:
                    conn.execute(table.insert(), rows)

    def check(self) -> list[str]:
        return []


TABLES = metadata.sorted_tables


def _make(url: str) -> None:
    db = Database(url)
    migrate(db)
    with db.write() as conn:
        populate(conn)
    db.close()


# --- the world around the process that dies ---------------------------------------------------


class World:
    """Both platforms, which outlive every process; a database; and whoever forks processes."""

    def __init__(self, base: Sqlite | Postgres, folder: Path) -> None:
        self.base = base
        self._folder = folder
        self._clock = Clock(folder / "clock")
        self.line, self.telegram = Line(), Telegram()
        self._stack = ExitStack()
        self._steps: list[Json] = []
        self._env: dict[str, str] = {}

    def __enter__(self) -> "World":
        bases = [self._stack.enter_context(each.in_thread()) for each in (self.line, self.telegram)]
        self._env = environment(self.base.url, *bases)
        self._forker = self._stack.enter_context(
            subprocess.Popen(
                [sys.executable, "-m", "tests.cycle"],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        )
        self.renew()
        self._tell()
        assert self._read() == "ready"
        return self

    def __exit__(self, *why: Any) -> None:
        assert self._forker.stdin is not None
        self._forker.stdin.close()
        self._stack.close()

    def _read(self) -> str:
        assert self._forker.stdout is not None
        return self._forker.stdout.readline().strip()

    def renew(self) -> None:
        """Nothing has happened yet."""
        shutil.rmtree(self._folder / "var", ignore_errors=True)
        (self._folder / "var").mkdir()
        self.base.renew()
        self._clock.set(START.timestamp())
        for each in (self.line, self.telegram):
            each.__init__(clock=self._clock.seconds)  # type: ignore[misc]
        self._steps = script(self.line, self.telegram)

    def run(self, *, bomb: int = NEVER, how: str = "die") -> Json:
        """One process: all deliveries, until nothing is left to send, or until the bomb."""
        return self._carry_out(bomb=bomb, how=how)

    def run_again(self, acknowledged: list[int], after: float) -> Json:
        """The next process, so many seconds later: what was acknowledged does not come again."""
        return self._carry_out(acknowledged=acknowledged, after=after)

    def _carry_out(self, **order: Any) -> Json:
        self._tell(**order)
        told: Json = json.loads(self._read())
        assert "error" not in told, told["error"]
        return told

    def _tell(
        self,
        bomb: int = NEVER,
        how: str = "die",
        after: float = 0.0,
        acknowledged: Sequence[int] = (),
    ) -> None:
        order = {
            "env": self._env,
            "clock": str(self._folder / "clock"),
            "start": self._clock.seconds() + after,
            "steps": self._steps,
            "bomb": bomb,
            "how": how,
            "acknowledged": acknowledged,
        }
        assert self._forker.stdin is not None
        self._forker.stdin.write(json.dumps(order) + "\n")
        self._forker.stdin.flush()

    def seen(self) -> "Seen":
        return Seen(self)


@pytest.fixture(params=["sqlite", "postgresql"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    (tmp_path / "var").mkdir()
    base: Sqlite | Postgres
    if request.param == "sqlite":
        base = Sqlite(tmp_path)
    else:
        base = Postgres(request.getfixturevalue("postgres"))
    with World(base, tmp_path) as made:
        yield made
    base.engine.dispose()


# --- what somebody outside can see ------------------------------------------------------------

VOLATILE = (
    (re.compile(r"\d{4}-\d\d-\d\dT[0-9:.]+Z"), "TIME"),
    (re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "UUID"),
    (re.compile(r'"(seed|use|seconds)":\d+'), r'"\1":0'),
    (re.compile(r"(confirm|decline):\d+"), r"\1:0"),
)


def settled(value: str) -> str:
    """Without what differs from run to run: times and numbers that the database gives."""
    for pattern, instead in VOLATILE:
        value = pattern.sub(instead, value)
    return value


class Seen:
    """The database and both platforms, at rest."""

    def __init__(self, world: World) -> None:
        with world.base.engine.connect() as conn:
            self._look(conn)
        self.faults = world.base.check()
        self.line = _texts(world.line.delivered)
        self.telegram = _texts(world.telegram.delivered)
        self.released = set(world.telegram.answered)

    def _look(self, conn: Connection) -> None:
        whose = dict(conn.execute(select(addresses.c.learner_id, addresses.c.address)).all())
        self.keys = Counter(conn.execute(select(inbox.c.channel, inbox.c.bot, inbox.c.event_id)))
        self.rows = conn.execute(select(outbox)).all()
        states = conn.execute(select(learners.c.id, learners.c.person_id, learners.c.state))
        told = conn.execute(select(facts.c.learner_id, facts.c.kind, facts.c.data))
        waits = conn.execute(select(timers.c.learner_id, timers.c.kind, timers.c.data))
        kept = conn.execute(select(parked.c.channel, parked.c.event, parked.c.error))
        self.stored = {
            "states": sorted((whose[i], str(who), settled(state)) for i, who, state in states),
            "facts": sorted((whose[i], kind, settled(data)) for i, kind, data in told),
            "timers": sorted((whose[i], kind, settled(data)) for i, kind, data in waits),
            "parked": sorted(map(tuple, kept)),
            "outbox": sorted((row.channel, row.address, row.lane) for row in self.rows),
            "tries": len(conn.execute(select(claim_tries)).all()),
            "photos": [bool(file) for (file,) in conn.execute(select(photos.c.file))],
            "inbox": sorted(tuple(key) for key in self.keys if key[1] != "timer"),
        }

    def status(self, *which: str) -> list[Any]:
        return [row for row in self.rows if row.status in which]


def _texts(delivered: dict[str, list[Json]]) -> dict[str, Counter[str]]:
    """By address: each message that was delivered, and how often."""
    return {
        address: Counter(settled(json.dumps(message, sort_keys=True)) for message in messages)
        for address, messages in delivered.items()
    }


# --- the comparison -----------------------------------------------------------------------------


class Tally:
    """What all runs together came to."""

    def __init__(self) -> None:
        self.doubled = self.uncertain = self.missing = 0
        self.violations: list[str] = []

    def judge(self, n: int, where: str, expected: Seen, found: Seen, in_hand: list[Any]) -> None:
        """Hold one run against the run in which nothing happened; `in_hand` are the rows whose
        request was under way at the crash: only their fate may be unknown."""
        wrong = [f"database: {fault}" for fault in found.faults]
        for what, rows in expected.stored.items():
            if found.stored[what] != rows:
                wrong.append(f"{what} differ: {_difference(rows, found.stored[what])}")
        wrong += [
            f"{key} {times} times in the inbox" for key, times in found.keys.items() if times > 1
        ]
        wrong += [f"left {row.status}" for row in found.status("queued", "sending")]
        wrong += [
            f"{row.status}: {row.reason}" for row in found.status("failed", "expired", "cancelled")
        ]
        if found.released != expected.released:
            wrong.append("a pressed button was not released")
        unknown = {row.key for row in in_hand}
        wrong += [
            f"uncertain: {r.address}" for r in found.status("uncertain") if r.key not in unknown
        ]
        wrong += self._messages(expected, found, in_hand)
        self.uncertain += len(found.status("uncertain"))
        self.violations += [f"{n} ({where}): {fault}" for fault in wrong]

    def _messages(self, expected: Seen, found: Seen, in_hand: list[Any]) -> Iterator[str]:
        """LINE doubles nothing; Telegram at most what was under way; what is missing is
        uncertain."""
        for channel in ("line", "telegram"):
            wanted, got = getattr(expected, channel), getattr(found, channel)
            for address in wanted.keys() | got.keys():
                doubled = got.get(address, Counter()) - wanted.get(address, Counter())
                missing = wanted.get(address, Counter()) - got.get(address, Counter())
                risked = [
                    r
                    for r in in_hand
                    if (r.channel, r.address, r.lane) == (channel, address, "reply")
                ]
                lost = [
                    r
                    for r in found.status("uncertain")
                    if (r.channel, r.address) == (channel, address)
                ]
                self.doubled += doubled.total()
                self.missing += missing.total()
                if doubled.total() > (len(risked) if channel == "telegram" else 0):
                    yield f"{channel} {address} got twice: {list(doubled)}"
                if missing.total() > sum(_size(row) for row in lost):
                    yield f"{channel} {address} did not get: {list(missing)}"


def _size(row: Any) -> int:
    """Messages of a request whose row still tells; its payload is blanked when it has ended."""
    return 5 if row.channel == "line" else 1


def _difference(wanted: Any, found: Any) -> str:
    if not isinstance(wanted, list):
        return f"{wanted} / {found}"
    lacks, more = (
        Counter(map(str, a)) - Counter(map(str, b)) for a, b in ((wanted, found), (found, wanted))
    )
    return f"lacks {list(lacks)}, has besides {list(more)}"


def _in_hand(world: World) -> list[Any]:
    with world.base.engine.connect() as conn:
        return list(conn.execute(select(outbox).where(outbox.c.status == "sending")))


def _undisturbed(world: World) -> Seen:
    """The cycle as it should be, twice: it must be the same both times."""
    seen = []
    for _ in range(2):
        world.renew()
        assert world.run()["code"] == 0
        seen.append(world.seen())
    tally = Tally()
    tally.judge(0, "undisturbed", *seen, [])
    assert tally.violations == []
    assert not seen[0].status("uncertain")
    return seen[0]


def test_a_crash_at_some_boundaries_loses_and_doubles_nothing(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """A fifth of them, others on each engine; the long run takes all."""
    _crashing(world, capsys, 1 + isinstance(world.base, Postgres), 5)


@pytest.mark.soak
def test_a_crash_at_any_boundary_loses_and_doubles_nothing(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    _crashing(world, capsys, 1, 1)


def _crashing(world: World, capsys: pytest.CaptureFixture[str], first: int, every: int) -> None:
    began, expected, tally = time.monotonic(), _undisturbed(world), Tally()
    n = first - every
    while True:
        n += every
        world.renew()
        told = world.run(bomb=n)
        if told["code"] != DIED:
            break
        in_hand = _in_hand(world)
        # the next process starts at once, or after every lease is over; what was acknowledged
        # never comes again, or comes all the same
        again = [] if n % 4 < 2 else told["acknowledged"]
        assert world.run_again(again, after=1.0 if n % 2 else 61.0)["code"] == 0
        tally.judge(n, "crash", expected, world.seen(), in_hand)
    _report(capsys, "crashes", world, n - 1, tally, began)
    assert n > 100
    assert tally.violations == []


def test_a_database_that_fails_at_some_boundaries_heals_without_a_restart(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """A tenth of them, another one on each engine; the long run takes all."""
    _failing(world, capsys, 1 + 5 * isinstance(world.base, Postgres), 10)


@pytest.mark.soak
def test_a_database_that_fails_at_any_boundary_heals_without_a_restart(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    _failing(world, capsys, 1, 1)


def _failing(world: World, capsys: pytest.CaptureFixture[str], first: int, every: int) -> None:
    began, expected, tally = time.monotonic(), _undisturbed(world), Tally()
    n = first - every
    while True:
        n += every
        world.renew()
        told = world.run(bomb=n, how="fail")
        if not told["where"]:
            break
        seen = world.seen()
        # a commit that was carried out and reported as failed leaves a fate unknown, no other
        unknown = seen.rows if told["where"] == "after commit" else []
        tally.judge(n, told["where"], expected, seen, unknown)
    _report(capsys, "failures", world, n - 1, tally, began)
    assert n > 100
    assert tally.violations == []


def _report(
    capsys: pytest.CaptureFixture[str], what: str, world: World, k: int, tally: Tally, began: float
) -> None:
    with capsys.disabled():
        print(
            f"\n{what} on {type(world.base).__name__}: K {k} violations {len(tally.violations)} "
            f"doubled on Telegram {tally.doubled} uncertain {tally.uncertain} "
            f"never delivered {tally.missing} in {time.monotonic() - began:.0f} s"
        )
        print(*tally.violations[:20], sep="\n")
