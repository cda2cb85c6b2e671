"""Who did what to whose data: an append-only journal, each entry sealed with the one before."""

from datetime import datetime
from hashlib import sha256
from typing import Any

from msgspec.json import Encoder
from sqlalchemy import Connection, insert, select, text

from storage.models import audit, to_micros

LOCK = 7_205_002
"""Number of the advisory lock under which PostgreSQL appends entries one by one."""
FIRST = "0" * 64
"""What the first entry is sealed with."""

_encode = Encoder(order="sorted").encode


def note(
    conn: Connection,
    by: int | None,
    action: str,
    target: str,
    now: datetime,
    result: str = "done",
    **data: Any,
) -> int:
    """Append an entry; `by` is a person (None: the operator or the service itself), `target` names
    what it was done to (`person:7`, `report:ocsc`), `data` holds counts and settings, never
    names or texts."""
    hold(conn)
    last = conn.execute(select(audit.c.hash).order_by(audit.c.id.desc()).limit(1)).scalar()
    row = {"by_id": by, "action": action, "target": target, "result": result}
    row["data"] = _encode(data).decode()
    sealed = insert(audit).values(row | {"at": now, "hash": seal(last or FIRST, now, row)})
    made: int = conn.execute(sealed.returning(audit.c.id)).scalar_one()
    return made


def hold(conn: Connection) -> None:
    """Wait until nobody else appends, and keep it so until the end of the transaction. Whoever
    does several things that end in an entry takes this first, so that all wait in one order."""
    if conn.dialect.name == "postgresql":
        conn.execute(text("select pg_advisory_xact_lock(:lock)"), {"lock": LOCK})


def seal(before: str, at: datetime, row: dict[str, Any]) -> str:
    """The hash of an entry together with the entry before it."""
    return sha256(_encode([before, to_micros(at), row])).hexdigest()
