"""Campaigns on their way out: how fast, how exactly at the limit, and who has to wait for them."""

import asyncio
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from msgspec.structs import replace
from sqlalchemy import create_engine, text

from benchmarks import load, processes, traffic
from benchmarks.measures import Row
from content.load import load as load_content
from storage.database import Database
from storage.migrate import migrate
from tests import crowd
from tests.people import planned

RATE = 30
"""Telegram messages a second."""
SPOKEN = 5.0
"""Turns a second while a campaign goes out."""
TALKERS = 200
PATIENCE = 600.0


def line(quick: bool) -> list[Row]:
    """100,000 recipients by multicast, to a platform that answers at once."""
    many = 20_000 if quick else 100_000
    with processes.sqlite() as url:
        _fill(url, "line", many, "[#a] สวัสดี")
        with processes.simulator() as platform, _service(url, platform):
            _drained(url, many)
            seen = platform.count()
    rate = seen["recipients"] / (seen["last"] - seen["first"])
    doubled = seen["recipients"] - many
    return [
        Row(f"(i) LINE recipients by multicast, {many:,}", rate, "/s", "≥ 50,000", rate >= 50_000),
        Row("(i) recipients too many or too few", abs(doubled), "", "0", doubled == 0),
    ]


def telegram(quick: bool) -> list[Row]:
    """The share of Telegram's limit that is used, alone and with windows that must be kept."""
    seconds = 20 if quick else 60
    rows = []
    for name, more in (("", ()), (", 5 in 1,000 throttled", ("--throttled", "0.005"))):
        with (
            processes.sqlite() as url,
            processes.telegram("--rate", str(RATE), "--retry-after", "5", *more) as platform,
        ):
            _fill(url, "telegram", RATE * seconds, "[#a] สวัสดี")
            with _service(url, platform):
                _drained(url, RATE * seconds)
            seen = platform.get_json("/simulator/counts")
        took = seen["last"] - seen["first"]
        share = (seen["delivered"] - 1) / (took - seen["closed"]) / RATE
        at_most = min(share, 9.99)
        what = f"(j) share of {RATE}/s that Telegram takes{name}"
        rows.append(Row(what, at_most, "", "≥ 0.95", at_most >= 0.95))
        inside = seen["inside"]
        what = f"(j) requests inside a retry_after window{name}"
        rows.append(Row(what, inside, "", "0", inside == 0))
        rows.append(Row(f"(j) requests that were throttled{name}", seen["throttled"], ""))
    return rows


def replies(quick: bool) -> list[Row]:
    """How long an answer takes, from the commit to the platform's yes, while campaigns drain:
    by LINE one at a time, because each says something of its own, and at Telegram's limit."""
    seconds = 15 if quick else 60
    rows = []
    for channel, make in (("line", traffic.line), ("telegram", traffic.telegram)):
        with processes.sqlite() as url, processes.simulator() as platform:
            _fill(url, channel, 50_000, "[#a] ขั้น {step}")
            with _service(url, platform) as server:
                time.sleep(2)
                talk = traffic.Crowd(TALKERS, make).say(int(SPOKEN * seconds))
                run = asyncio.run(load.open_loop(server.port, talk, SPOKEN, 64))
                assert run.faults == 0
                time.sleep(2)
            took, sent = _latencies(url, channel)
        p95, p99 = _quantile(took, 0.95), _quantile(took, 0.99)
        what = f"(k) reply while {sent:,} campaign rows leave, {channel}"
        rows.append(Row(f"{what}, p95", p95, "s", "≤ 2", p95 <= 2))
        rows.append(Row(f"{what}, p99", p99, "s", "≤ 5", p99 <= 5))
    return rows


def _fill(url: str, channel: str, many: int, said: str) -> None:
    """Learners in the middle of their path, and a campaign to all of them that is due."""
    db, content = Database(url), load_content()
    migrate(db)
    state = replace(planned(crowd.BANGKOK_FRIDAY), person=None)
    crowd.populate(db, many, channel, state, content)
    with db.write() as conn:
        crowd.campaign(conn, said, crowd.BANGKOK_FRIDAY)
    db.checkpoint()
    db.close()


@contextmanager
def _service(url: str, platform: processes.Process) -> Iterator[processes.Process]:
    """On a clock on which it is nine o'clock in an office of Bangkok."""
    ahead = crowd.BANGKOK_FRIDAY - datetime.now(UTC)
    with processes.service(url, platform, ahead=str(ahead.total_seconds())) as server:
        yield server


def _drained(url: str, many: int) -> None:
    """Wait until every row has ended."""
    engine, until = create_engine(url), time.monotonic() + PATIENCE
    ended = text("select count(*) from outbox where lane = 'campaign' and ended_at is not null")
    while time.monotonic() < until:
        with engine.connect() as conn:
            if conn.execute(ended).scalar_one() >= many:
                engine.dispose()
                return
        time.sleep(0.5)
    raise RuntimeError("the campaign does not end")


def _latencies(url: str, channel: str) -> tuple[list[float], int]:
    """Seconds from queueing to the end of each reply; how much of the campaign left meanwhile."""
    engine = create_engine(url)
    with engine.connect() as conn:
        replies = conn.execute(
            text(
                "select coalesce(ended_at, 9e18) - created_at from outbox"
                " where lane = 'reply' and channel = :channel"
            ),
            {"channel": channel},
        )
        took = [float(waited) / 1e6 for waited in replies.scalars()]
        left = "select count(*) from outbox where lane = 'campaign' and status = 'accepted'"
        sent = conn.execute(text(left)).scalar_one()
    engine.dispose()
    return took, int(sent)


def _quantile(values: list[float], share: float) -> float:
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, math.ceil(share * len(ranked)) - 1)] if ranked else math.inf
