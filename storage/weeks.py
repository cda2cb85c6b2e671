"""Activity by week: what is over is counted once and kept, in a table that names nobody."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Integer, Select, delete, func, literal, select, text, union_all

from flows.calendar import local, midnight
from storage.many import insert_many
from storage.models import facts, profiles, weeks
from storage.outcomes import LEARNING
from storage.profiles import countable

ANY = "any"
"""Whatever they did: everybody once."""
MARK = {"unit_id": 0, "kind": "", "learners": 0, "times": 0}
"""Says that a week has been counted, even if nothing happened in it."""
SETTLED = timedelta(hours=1)
"""So long after its end nothing that is under way can belong to a week any more."""
LOCK = 7_205_004
"""Number of the advisory lock under which PostgreSQL keeps a week."""
Rows = Sequence[Any]


def monday(day: int) -> int:
    """The first day of a day's week."""
    return day - (day - 1) % 7


def uncounted(conn: Connection, now: datetime) -> int | None:
    """The Monday of the oldest week that is over and not yet kept."""
    last = conn.execute(select(func.max(weeks.c.monday))).scalar()
    first = last + 7 if last is not None else begin(conn)
    if first is None or midnight(first + 7) + SETTLED > now:
        return None
    return first


def begin(conn: Connection) -> int | None:
    """The Monday of the first week in which anything happened."""
    firsts = [
        conn.execute(select(func.min(facts.c.at)).where(facts.c.kind == kind)).scalar()
        for kind in LEARNING
    ]
    known = [at for at in firsts if at is not None]
    return monday(local(min(known)).toordinal()) if known else None


def count(conn: Connection, first: int, *where: Any) -> Rows:
    """Of one week, by unit and kind: how many people, and how often. Only reads."""
    return conn.execute(_week(first, *where)).all()


def _week(first: int, *where: Any) -> Any:
    """The rows of one week: (monday, unit_id, kind, learners, times)."""
    by_kind = _of(first, facts.c.kind, *where).group_by(profiles.c.unit_id, facts.c.kind)
    whatever = _of(first, literal(ANY), *where).group_by(profiles.c.unit_id)
    return union_all(by_kind, whatever)


def _of(first: int, kind: Any, *where: Any) -> Select[Any]:
    found = select(
        literal(first, Integer).label("monday"),
        func.coalesce(profiles.c.unit_id, 0).label("unit_id"),
        kind.label("kind"),
        func.count(facts.c.learner_id.distinct()).label("learners"),
        func.count().label("times"),
    )
    return found.join_from(facts, profiles, profiles.c.learner_id == facts.c.learner_id).where(
        facts.c.kind.in_(LEARNING),
        facts.c.at >= midnight(first),
        facts.c.at < midnight(first + 7),
        countable(),
        *where,
    )


def keep(conn: Connection, first: int, rows: Rows) -> None:
    """Keep the figures of a week; once more changes nothing."""
    if conn.dialect.name == "postgresql":
        conn.execute(text("select pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
    conn.execute(delete(weeks).where(weeks.c.monday == first))
    names = ("monday", "unit_id", "kind", "learners", "times")
    made = [dict(zip(names, row, strict=True)) for row in rows]
    insert_many(conn, weeks, [{"monday": first, **MARK}, *made])
