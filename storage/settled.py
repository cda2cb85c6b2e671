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
    """The newest fact that was visible, and a transaction id that was given out after that."""

    last: int
    later: int


def mark(conn: Connection) -> Mark:
    """For a transaction that has not written anything: on PostgreSQL it takes an id here."""
    last = newest(conn)
    if conn.dialect.name == "sqlite":
        return Mark(last, 0)
    # pg_snapshot_xmax would not do: it is only behind the last transaction that has ENDED
    if _number(conn, "pg_current_xact_id_if_assigned()") is not None:
        raise RuntimeError("a mark is taken in a transaction of its own")
    return Mark(last, _number(conn, "pg_current_xact_id()") or 0)


def newest(conn: Connection) -> int:
    """The id of the newest fact that is visible."""
    found: int = conn.execute(select(func.coalesce(func.max(facts.c.id), 0))).scalar_one()
    return found


def is_settled(conn: Connection, at: Mark) -> bool:
    """Whether every transaction that might still show a fact up to the mark has ended."""
    if conn.dialect.name == "sqlite":
        return True
    oldest = _number(conn, "pg_snapshot_xmin(pg_current_snapshot())")
    return oldest is not None and oldest >= at.later


def _number(conn: Connection, what: str) -> int | None:
    """A transaction id as a number."""
    found: int | None = conn.execute(text(f"select {what}::text::bigint")).scalar_one()
    return found


def settled(conn: Connection, patience: float = PATIENCE) -> int | None:
    """The id up to which the log is settled now; None if some transaction takes too long."""
    here, until = mark(conn), time.monotonic() + patience
    while not is_settled(conn, here):
        if time.monotonic() > until:
            return None
        time.sleep(0.02)
    return here.last
