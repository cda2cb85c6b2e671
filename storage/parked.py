"""Events whose turn failed: kept whole, listed, replayed or let go by a person."""

from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any

from msgspec import DecodeError
from msgspec.json import Decoder
from msgspec.structs import replace
from sqlalchemy import Connection, func, insert, select, update

from storage import audit
from storage.gathered import insert_new
from storage.models import inbox, parked
from storage.wire import Incoming

UNREADABLE = "unreadable"
"""Stands for the bot where not even that could be read."""

REPLAY = "replay"
"""Stands for the bot of an event that was given another turn."""
ORDERS = {"at": parked.c.id, "channel": parked.c.channel, "error": parked.c.error}
"""What the list can be sorted by."""

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


def listing(
    conn: Connection, limit: int = 100, offset: int = 0, order: str = "at", *, down: bool = False
) -> Sequence[Any]:
    """What still waits for a person, by one of ORDERS; never what was said. `readable`: it can be
    given another turn."""
    by = ORDERS[order]
    wanted = (
        select(
            parked.c.id,
            parked.c.at,
            parked.c.channel,
            parked.c.error,
            (parked.c.address != "").label("readable"),
        )
        .where(parked.c.ended_at.is_(None))
        .order_by(by.desc() if down else by.asc(), parked.c.id)
    )
    return conn.execute(wanted.offset(offset).limit(limit)).all()


def failed_again(conn: Connection, ids: Sequence[int]) -> int:
    """Of events that were given another turn, how many wait once more."""
    back = (parked.c.bot == REPLAY, parked.c.event_id.in_([str(id) for id in ids]))
    counted = select(func.count()).where(*back, parked.c.ended_at.is_(None))
    return int(conn.execute(counted).scalar_one())


def again(conn: Connection, parked_id: int) -> Incoming | None:
    """The event for another turn, under an id of its own: the first one counts as seen. None for
    what cannot be read: another version may have written it."""
    row = conn.execute(
        select(parked).where(parked.c.id == parked_id, parked.c.ended_at.is_(None))
    ).first()
    if row is None or not row.address:
        return None
    try:
        event = _decode(row.event)
    except DecodeError:
        return None
    return replace(event, bot=REPLAY, event_id=str(parked_id), reply_token="", timer=0)


def end(conn: Connection, parked_id: int, how: str, now: datetime, by: int | None = None) -> bool:
    """It was `replayed` or `discarded`, once; noted with who did it (None: the operator)."""
    ended = conn.execute(
        update(parked)
        .where(parked.c.id == parked_id, parked.c.ended_at.is_(None))
        .values(ended_at=now, ended_as=how)
    )
    if ended.rowcount:
        audit.note(conn, by, f"parked_{how}", f"parked:{parked_id}", now)
    return ended.rowcount == 1
