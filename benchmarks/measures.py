"""What is measured, a function each: rows for the table and the CSV file, with their goals."""

import asyncio
import os
import random
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta

from msgspec import Struct
from sqlalchemy import text

from benchmarks import load, processes, traffic
from benchmarks.fill import fill
from bot.app import pack
from content.load import load as load_content
from flows.types import Said
from storage import turns
from storage.database import Database
from storage.migrate import migrate
from storage.wire import Incoming

CONNECTIONS = 64
LEARNERS = 1000


class Row(Struct, frozen=True):
    """One figure: what, how much, of what unit, and what it should be."""

    what: str
    value: float
    unit: str
    goal: str = ""
    met: bool | None = None


def _closed(process: processes.Process, requests: list[bytes]) -> load.Run:
    run = asyncio.run(load.closed_loop(process.port, requests, CONNECTIONS))
    assert run.faults == 0, f"{run.faults} of {len(requests)} answers were not 200"
    return run


# --- (a) (b) (c) ---------------------------------------------------------------------


def throughput(quick: bool) -> list[Row]:
    """A no-op that checks the signature, and the whole durable turn, in turns on one server."""
    rows: list[Row] = []
    for name, place in (("SQLite", processes.sqlite), ("PostgreSQL", processes.postgresql)):
        with place() as url, processes.service(url) as server:
            noops, turned = _interleaved(server, quick)
        ratio = turned / noops
        rows.append(Row(f"(a) no-op that checks the HMAC, {name} run", noops, "requests/s"))
        letter = "b" if name == "SQLite" else "c"
        rows.append(Row(f"({letter}) durable turn, {name}", turned, "turns/s"))
        wanted = ("≥ 0.35", ratio >= 0.35) if name == "SQLite" else ("", None)
        rows.append(Row(f"({letter})/(a) {name}", ratio, "ratio", *wanted))
    return rows


def _interleaved(server: processes.Process, quick: bool) -> tuple[float, float]:
    rounds, many = (3, 3000) if quick else (7, 10_000)
    noop, line = traffic.Crowd(LEARNERS, traffic.noop), traffic.Crowd(LEARNERS, traffic.line)
    _closed(server, line.say(3 * LEARNERS))
    _closed(server, noop.say(LEARNERS))
    noops, turned = [], []
    for _ in range(rounds):
        noops.append(_closed(server, noop.say(many)).rate)
        turned.append(_closed(server, line.say(many)).rate)
    return statistics.median(noops), statistics.median(turned)


# --- (d) -----------------------------------------------------------------------------


def growth(quick: bool) -> list[Row]:
    """The cost of a turn among a thousand learners and among a million, in turns."""
    many = 100_000 if quick else 1_000_000
    rows: list[Row] = []
    for name, place in (("SQLite", processes.sqlite), ("PostgreSQL", processes.postgresql)):
        with ExitStack() as stack:
            small = stack.enter_context(_filled(place, LEARNERS))
            large = stack.enter_context(_filled(place, many))
            few, lots = _compared(small, large, many, 3 if quick else 9)
        rows.append(Row(f"(d) a turn among {LEARNERS:,} learners, {name}", few * 1e6, "µs"))
        rows.append(Row(f"(d) a turn among {many:,} learners, {name}", lots * 1e6, "µs"))
        ratio = lots / few
        rows.append(Row(f"(d) ratio, {name}", ratio, "ratio", "≤ 1.3", ratio <= 1.3))
    return rows


@contextmanager
def _filled(place: Callable[[], object], many: int) -> Iterator[Database]:
    with place() as url:  # type: ignore[attr-defined]
        db = Database(url)
        migrate(db)
        fill(db, many)
        db.checkpoint()
        os.sync()  # or the disk is still busy with the filling while turns are measured
        try:
            yield db
        finally:
            db.close()


def _compared(small: Database, large: Database, many: int, rounds: int) -> tuple[float, float]:
    """Median seconds a turn, the two databases taking turns."""
    content, dice = load_content(), random.Random(1)
    costs: dict[int, list[float]] = {LEARNERS: [], many: []}
    for round_ in range(rounds + 1):
        for db, learners in ((small, LEARNERS), (large, many)):
            began = time.perf_counter()
            for _ in range(20):
                batch = [_incoming(dice.randrange(learners) + 1) for _ in range(64)]
                with db.write() as conn:
                    turns.take(conn, batch, datetime.now(UTC), content, pack)
            if round_:  # the first warms the caches
                costs[learners].append((time.perf_counter() - began) / (20 * 64))
    return statistics.median(costs[LEARNERS]), statistics.median(costs[many])


_events = iter(range(1, 10**9))


def _incoming(learner: int) -> Incoming:
    now, event = datetime.now(UTC), next(_events)
    said = Said("1", f"m{event}", now)
    until = now + timedelta(seconds=50)
    return Incoming("line", "b", f"{event:026}", f"U{learner:032x}", said, now, "t" * 32, until)


@contextmanager
def _sending() -> Iterator[tuple[processes.Process, processes.Process]]:
    """The service on SQLite, sending to a platform that answers at once."""
    with (
        processes.simulator() as platform,
        processes.sqlite() as url,
        processes.service(url, platform) as server,
    ):
        yield server, platform


# --- (e) (f) -------------------------------------------------------------------------


def latency(quick: bool) -> list[Row]:
    """Time until the acknowledgement at fifty updates a second, with sending on."""
    seconds = 10 if quick else 60
    with _sending() as (server, _):
        crowd = traffic.Crowd(LEARNERS, traffic.line)
        _closed(server, crowd.say(LEARNERS))
        requests = crowd.say(50 * seconds)
        run = asyncio.run(load.open_loop(server.port, requests, 50.0, CONNECTIONS))
    assert run.faults == 0
    p99 = run.quantile(0.99) * 1000
    return [
        Row("(e) acknowledgement at 50/s, p50", run.quantile(0.5) * 1000, "ms"),
        Row("(e) acknowledgement at 50/s, p99", p99, "ms", "≤ 300", p99 <= 300),
        Row("(e) acknowledgement at 50/s, max", run.quantile(1.0) * 1000, "ms"),
    ]


def memory(quick: bool) -> list[Row]:
    """Memory of the serving process, with sending on."""
    many = 10_000 if quick else 100_000
    with _sending() as (server, platform):
        time.sleep(3)
        start = server.megabytes
        crowd = traffic.Crowd(LEARNERS, traffic.line)
        for _ in range(many // 10_000):
            _closed(server, crowd.say(10_000))
        _settled(platform)
        after = server.megabytes
    return [
        Row("(f) memory after start", start, "MiB"),
        Row(f"(f) memory after {many:,} turns", after, "MiB"),
    ]


# --- (g) -----------------------------------------------------------------------------


def whole(quick: bool) -> list[Row]:
    """The whole turn, its reply through the SDK included, until the platform has it."""
    rows = []
    for name, make, goal in (("LINE", traffic.line, 1000), ("Telegram", traffic.telegram, 800)):
        with _sending() as (server, platform):
            rate, messages = _whole(server, platform, make, 2000 if quick else 8000)
        what = f"(g) whole turn with its reply, {name}"
        rows.append(Row(what, rate, "turns/s", f"≥ {goal}", rate >= goal))
        rows.append(Row(f"(g) requests to {name} meanwhile", messages, "requests/s"))
    return rows


def _whole(
    server: processes.Process, platform: processes.Process, make: traffic.Make, many: int
) -> tuple[float, float]:
    crowd = traffic.Crowd(LEARNERS, make)
    _closed(server, crowd.say(2 * LEARNERS))
    _settled(platform)
    rates, sends = [], []
    for _ in range(3):
        before, began = platform.count()["requests"], time.time()
        _closed(server, crowd.say(many))
        seen = _settled(platform)
        rates.append(many / (seen["last"] - began))
        sends.append((seen["requests"] - before) / (seen["last"] - began))
    return statistics.median(rates), statistics.median(sends)


def _settled(platform: processes.Process) -> dict[str, float]:
    """What the platform has seen, once nothing more comes."""
    seen = platform.count()
    while True:
        time.sleep(0.5)
        now = platform.count()
        if now["requests"] == seen["requests"]:
            return now
        seen = now


def fsync_microseconds() -> float:
    """How long this disk takes to promise: without it the other figures say little."""
    with processes.sqlite() as url:
        db = Database(url)
        with db.writer.begin() as conn:
            conn.execute(text("create table t (x integer)"))
        began = time.perf_counter()
        for n in range(200):
            with db.writer.begin() as conn:
                conn.execute(text("insert into t values (:n)"), {"n": n})
        taken = (time.perf_counter() - began) / 200
        db.close()
    return taken * 1e6
