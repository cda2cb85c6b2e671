"""The product's own look at whether it kept its promises, on each engine."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, insert, select

from content.schema import Content
from flows.calendar import local
from storage import promises, quota
from storage.database import Database
from storage.models import checks, learners, outbox, profiles, timers

NOW = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)
"""A Friday, ten o'clock in Bangkok."""
DAY = local(NOW).toordinal()
NIGHT = NOW + timedelta(hours=12)


def learner(conn: Connection, id: int, zone: str = "") -> None:
    row = {"id": id, "created_at": NOW, "channel": "line", "address": f"U{id}", "state": "{}"}
    conn.execute(insert(learners).values(row))
    seen = {"learner_id": id, "channel": "line", "address": f"U{id}", "lang": "th", "zone": zone}
    seen |= {"personnel_group": "", "step": "know", "bands": "|", "welcomed": True, "nudges": True}
    conn.execute(insert(profiles).values(seen | {"active_on": DAY}))


def sent(conn: Connection, id: int, at: datetime = NOW, **more: Any) -> None:
    key = str(conn.execute(select(outbox.c.id)).rowcount) + str(id) + str(at.timestamp())
    row = {"key": key[:30] + str(more.get("purpose", ""))[:5], "learner_id": id, "channel": "line",
           "address": f"U{id}", "lane": "personal", "payload": "{}", "created_at": at, "due": at,
           "deadline": at + timedelta(days=1), "status": "accepted", "ended_at": at,
           "purpose": "due", "counted_on": DAY}  # fmt: skip
    conn.execute(insert(outbox).values(row | more))


def looked(conn: Connection, content: Content) -> dict[str, int]:
    return dict(promises.look(conn, DAY, NOW + timedelta(days=1), content))


def test_a_good_day_has_nothing(db: Database, content: Content) -> None:
    with db.write() as conn:
        learner(conn, 1)
        learner(conn, 2, "Europe/London")
        sent(conn, 1)
        sent(conn, 2, NIGHT)  # afternoon there
        sent(conn, 1, NIGHT, purpose="reply", counted_on=0)
        sent(conn, 1, NIGHT + timedelta(hours=1), purpose="review", counted_on=0)  # rode along

        assert looked(conn, content) == {}


@pytest.mark.parametrize(("kind", "many"), [("hours", 1), ("day", 1), ("overdue", 2), ("quota", 5)])
def test_each_kind_is_found(db: Database, content: Content, kind: str, many: int) -> None:
    with db.write() as conn:
        learner(conn, 1)
        match kind:
            case "hours":
                sent(conn, 1, NIGHT)
            case "day":
                sent(conn, 1)
                sent(conn, 1, NOW + timedelta(hours=1), purpose="review")
            case "overdue":
                late = {"ended_at": None, "deadline": NOW, "counted_on": 0}
                sent(conn, 1, status="queued", **late)
                timer = {"learner_id": 1, "kind": "nudge", "key": "", "due": NOW, "data": "{}"}
                conn.execute(insert(timers).values(timer))
            case _:
                quota.store(conn, 100, 105, NOW)

        assert looked(conn, content) == {kind: many}


def test_days_without_violations_are_counted(db: Database) -> None:
    with db.write() as conn:
        assert promises.kept_for(conn) == (0, {})
        promises.keep(conn, DAY, promises.Counter())
        promises.keep(conn, DAY + 1, promises.Counter(hours=2, day=1))
        assert promises.kept_for(conn) == (0, {"hours": 2, "day": 1})
        promises.keep(conn, DAY + 2, promises.Counter())
        promises.keep(conn, DAY + 3, promises.Counter())

        assert promises.kept_for(conn) == (2, {"hours": 2, "day": 1})
        assert promises.latest(conn) == DAY + 3
        assert len(conn.execute(select(checks)).all()) == 6
