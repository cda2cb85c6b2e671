"""Whether the promises about unasked messages were kept on a day: counted from what has left, by
other means than those that keep them, so that a mistake there shows here."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, Connection, func, insert, select, type_coerce

from content.schema import Content
from flows.calendar import midnight, permitted
from flows.gate import RANKS
from storage import quota
from storage.models import checks, from_micros, outbox, profiles, timers

ALL = ""
"""Stands for the kinds of violation together: every day that was looked at has this row."""
SLACK = timedelta(minutes=10)
"""A message that was let go just before the hours end arrives a little later."""
LATE = timedelta(hours=2)
"""What is overdue for so long has been forgotten."""
MINUTE = 60_000_000
"""Microseconds."""


def look(conn: Connection, day: int, now: datetime, content: Content) -> Counter[str]:
    """Violations of a day (an ordinal, on the agency's clock) by kind: `hours` outside those in
    which one may write unasked, `day` more than one on a day, `overdue` rows and timers that
    nobody has taken up, `quota` messages over LINE's month."""
    first, last = midnight(day), midnight(day + 1)
    left = (
        outbox.c.status == "accepted",
        outbox.c.ended_at >= first,
        outbox.c.ended_at < last,
        outbox.c.counted_on > 0,  # what rode on a reply takes nobody's day
    )
    found = Counter(
        hours=_outside(conn, left, content),
        day=_twice(conn, left),
        overdue=_overdue(conn, now),
        quota=_over(conn, now),
    )
    return +found


def _outside(conn: Connection, left: Iterable[Any], content: Content) -> int:
    """Messages that arrived when they should not, by the minute and the clock they arrived on."""
    at = type_coerce(outbox.c.ended_at, BigInteger)
    minute = at - at % MINUTE
    counted = (
        select(minute, profiles.c.zone, outbox.c.chosen, func.count())
        .join(profiles, profiles.c.learner_id == outbox.c.learner_id)
        .where(*left)
        .group_by(minute, profiles.c.zone, outbox.c.chosen)
    )
    wrong = 0
    for micros, zone, chosen, many in conn.execute(counted):
        when = from_micros(micros)
        if not any(permitted(each, zone, content, chosen=chosen) for each in (when, when - SLACK)):
            wrong += many
    return wrong


def _twice(conn: Connection, left: Iterable[Any]) -> int:
    """People who got more than one of what is sent once a day at most."""
    days = (
        select(outbox.c.learner_id)
        .where(*left, outbox.c.purpose.in_(RANKS))
        .group_by(outbox.c.learner_id, outbox.c.counted_on)
        .having(func.count() > 1)
    )
    found: int = conn.execute(select(func.count()).select_from(days.subquery())).scalar_one()
    return found


def _overdue(conn: Connection, now: datetime) -> int:
    """Rows that are too late and have not ended; timers that were not fired."""
    open_ = outbox.c.status.in_(("queued", "sending"))
    rows = select(func.count()).select_from(outbox).where(open_, outbox.c.deadline < now - LATE)
    asleep = select(func.count()).select_from(timers).where(timers.c.due < now - LATE)
    return int(conn.execute(rows).scalar_one()) + int(conn.execute(asleep).scalar_one())


def _over(conn: Connection, now: datetime) -> int:
    month = quota.read(conn, now)
    return 0 if month.most is None else max(0, month.told - month.most)


def keep(conn: Connection, day: int, found: Counter[str]) -> None:
    """Note what was seen of a day."""
    rows = [{"day": day, "kind": kind, "many": many} for kind, many in found.items()]
    conn.execute(insert(checks), [{"day": day, "kind": ALL, "many": found.total()}, *rows])


def latest(conn: Connection) -> int | None:
    """The last day that was looked at."""
    found: int | None = conn.execute(select(func.max(checks.c.day))).scalar()
    return found


def kept_for(conn: Connection) -> tuple[int, dict[str, int]]:
    """How many days in a row, up to the last that was looked at, nothing was violated; and what
    was on the last day on which something was."""
    days = select(func.count()).select_from(checks).where(checks.c.kind == ALL)
    bad: int | None = conn.execute(select(func.max(checks.c.day)).where(checks.c.many > 0)).scalar()
    clean: int = conn.execute(days.where(checks.c.day > (bad or 0))).scalar_one()
    kinds = select(checks.c.kind, checks.c.many).where(checks.c.day == bad, checks.c.kind != ALL)
    return clean, {row.kind: row.many for row in conn.execute(kinds)}
