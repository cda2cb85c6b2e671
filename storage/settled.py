"""Up to which fact the log is settled: nothing with a lower id can still appear.

On PostgreSQL ids are given out before they are committed, so a transaction that commits late shows
facts with ids below some that have been seen already. Whoever follows the log by id would pass
them by. Every transaction that was given an id up to the newest visible one had its transaction id
before that (each locks or writes something before its first fact), so once all transactions that
were begun by now have ended, everything up to that id is there, or never will be. On SQLite there
is one writer, and ids are in the order of commits.
"""

import time

from msgspec import Struct
from sqlalchemy import Connection, func, select, text

from storage.models import facts

PATIENCE = 2.0
"""Seconds to wait for transactions that are under way."""


class Mark(Struct, frozen=True):
    """The newest fact that was visible, and the first transaction id that was still free then."""

    last: int
    free: int


def mark(conn: Connection) -> Mark:
    last = conn.execute(select(func.coalesce(func.max(facts.c.id), 0))).scalar_one()
    # asked afterwards: whoever was given an id up to `last` had begun by then
    free = _number(conn, "xmax") if conn.dialect.name == "postgresql" else 0
    return Mark(last, free)


def is_settled(conn: Connection, at: Mark) -> bool:
    """Whether every transaction that might still show a fact up to the mark has ended."""
    return conn.dialect.name == "sqlite" or _number(conn, "xmin") >= at.free


def _number(conn: Connection, edge: str) -> int:
    """The oldest transaction that is under way (xmin), or the first that has not begun (xmax)."""
    found = text(f"select pg_snapshot_{edge}(pg_current_snapshot())::text::bigint")
    return int(conn.execute(found).scalar_one())


def settled(conn: Connection, patience: float = PATIENCE) -> int | None:
    """The id up to which the log is settled now; None if some transaction takes too long."""
    here, until = mark(conn), time.monotonic() + patience
    while not is_settled(conn, here):
        if time.monotonic() > until:
            return None
        time.sleep(0.02)
    return here.last
