"""Events whose turn failed: kept whole, listed, replayed or let go by a person."""

from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any

from msgspec.json import Decoder
from msgspec.structs import replace
from sqlalchemy import Connection, insert, select, update

from storage.gathered import insert_new
from storage.models import inbox, parked
from storage.wire import Incoming

UNREADABLE = "unreadable"
"""Stands for the bot where not even that could be read."""

_decode = Decoder(Incoming).decode


def keep_raw(conn: Connection, channel: str, raw: str, reason: str, now: datetime) -> None:
    """Park something that the platform signed and that could not even be read; once, however
    often it is delivered."""
    key = {"channel": channel, "bot": UNREADABLE, "event_id": sha256(raw.encode()).hexdigest()}
    new = insert_new(conn, inbox).values(**key, at=now).returning(inbox.c.event_id)
    if conn.execute(new).first() is None:
        return
    conn.execute(
        insert(parked).values(
            at=now,
            channel=channel,
            bot="",
            event_id="",
            address="",
            event=raw[:20_000],
            error=f"unreadable: {reason}"[:500],
        )
    )


def listing(conn: Connection, limit: int = 100) -> Sequence[Any]:
    """What still waits for a person, oldest first."""
    return conn.execute(
        select(parked).where(parked.c.ended_at.is_(None)).order_by(parked.c.id).limit(limit)
    ).all()


def again(conn: Connection, parked_id: int) -> Incoming | None:
    """The event for another turn, under an id of its own: the first one counts as seen."""
    row = conn.execute(
        select(parked).where(parked.c.id == parked_id, parked.c.ended_at.is_(None))
    ).first()
    if row is None or not row.address:
        return None
    event = _decode(row.event)
    return replace(event, bot="replay", event_id=str(parked_id), reply_token="", timer=0)


def end(conn: Connection, parked_id: int, how: str, now: datetime) -> bool:
    ended = conn.execute(
        update(parked)
        .where(parked.c.id == parked_id, parked.c.ended_at.is_(None))
        .values(ended_at=now, ended_as=how)
    )
    return ended.rowcount == 1
