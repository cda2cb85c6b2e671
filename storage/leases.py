"""Who may send on a channel: one process at a time, by a lease that must be renewed.

Only PostgreSQL has several processes; on SQLite the one that writes holds everything.
"""

from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, or_, select
from sqlalchemy.dialects import postgresql

from storage.models import leases


def acquire(conn: Connection, name: str, holder: str, now: datetime, ttl: timedelta) -> bool:
    """Take a lease that is free or over, or renew it; whether `holder` has it now."""
    if conn.dialect.name == "sqlite":
        return True
    until = now + ttl
    mine = or_(leases.c.holder == holder, leases.c.until <= now)
    taken = (
        postgresql.insert(leases)
        .values(name=name, holder=holder, until=until)
        .on_conflict_do_update(
            index_elements=["name"], set_={"holder": holder, "until": until}, where=mine
        )
        .returning(leases.c.name)
    )
    return conn.execute(taken).first() is not None


def holds(conn: Connection, name: str, holder: str, now: datetime) -> bool:
    """Whether `holder` still has it. Locked, so that nobody takes it over before this
    transaction ends: who slept through the end of a lease claims nothing."""
    if conn.dialect.name == "sqlite":
        return True
    mine = (leases.c.name == name, leases.c.holder == holder, leases.c.until > now)
    found = select(leases.c.name).where(*mine).with_for_update(read=True)
    return conn.execute(found).first() is not None


def release(conn: Connection, name: str, holder: str) -> None:
    """Whoever waits for it need not wait until it is over."""
    conn.execute(delete(leases).where(leases.c.name == name, leases.c.holder == holder))
