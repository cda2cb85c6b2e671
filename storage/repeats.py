"""A request that is repeated with the same idempotency key has one effect, and one answer."""

from collections.abc import Callable
from datetime import datetime, timedelta

from msgspec import Struct
from sqlalchemy import Connection, delete, select, update

from storage.gathered import insert_new
from storage.models import repeats

KEPT = timedelta(hours=24)
LONGEST = 64
"""Letters of a key."""


class Answer(Struct, frozen=True):
    status: int
    text: str


class Different(Exception):
    """The key came with another request before."""


def once(
    conn: Connection,
    token: int,
    key: str,
    request: str,
    now: datetime,
    effect: Callable[[Connection, datetime], Answer],
) -> Answer:
    """Carry `effect` out if this key is new, in the same transaction as the note of it; else the
    answer that was given before. `request` is a hash of all that was asked. Whoever comes at the
    same time waits at the key until the first has ended."""
    at = (repeats.c.token_id == token, repeats.c.key == key)
    conn.execute(delete(repeats).where(*at, repeats.c.at <= now - KEPT))
    row = {"token_id": token, "key": key, "request": request, "status": 0, "answer": "", "at": now}
    new = insert_new(conn, repeats).values(row).returning(repeats.c.key)
    if conn.execute(new).first() is None:
        before = conn.execute(select(repeats).where(*at)).one()
        if before.request != request:
            raise Different(key)
        return Answer(before.status, before.answer)
    made = effect(conn, now)
    conn.execute(update(repeats).where(*at).values(status=made.status, answer=made.text))
    return made


def purge(conn: Connection, now: datetime) -> int:
    """Forget the answers that are over; how many."""
    return conn.execute(delete(repeats).where(repeats.c.at <= now - KEPT)).rowcount
