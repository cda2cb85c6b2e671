"""What must still be sent: claiming rows, noting how attempts ended, finding what was left."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct
from msgspec.json import Decoder
from sqlalchemy import Connection, and_, bindparam, case, func, or_, select, update

from content.schema import Content
from flows.gate import Verdict
from flows.types import Reply
from storage import admission, rides, teams
from storage.endings import unsent
from storage.models import (
    HISTORY,
    KEEPS_HISTORY,
    OPEN,
    UNASKED,
    Moment,
    addresses,
    outbox,
    photos,
    profiles,
)
from storage.wire import Outcome, Request, Row

_decode_request = Decoder(Request).decode
LEASE = timedelta(seconds=60)
"""How long an attempt may take before it counts as lost."""
SWEEP = 200

_CLAIM = (
    update(outbox)
    .where(outbox.c.key.in_(bindparam("keys", expanding=True)), outbox.c.status == "queued")
    .values(
        status="sending",
        attempts=outbox.c.attempts + 1,
        lease_until=bindparam("lease"),
    )
    .returning(outbox.c.key)
)
_FINISH = (
    update(outbox)
    .where(
        outbox.c.key == bindparam("row"),
        outbox.c.status == "sending",
        # who slept through the end of a lease must not end what another process is sending now
        outbox.c.attempts == bindparam("attempt"),
    )
    .values(
        status=bindparam("new_status"),
        reason=bindparam("why"),
        due=case(
            (bindparam("waits") == 1, bindparam("next_due", type_=Moment)), else_=outbox.c.due
        ),
        doubtful=case((bindparam("doubts") == 1, True), else_=outbox.c.doubtful),
        reply_token=case((bindparam("drops") == 1, ""), else_=outbox.c.reply_token),
        ended_at=bindparam("ended"),
        platform_id=bindparam("platform"),
        lease_until=None,
        payload=case((bindparam("blank") == 1, "{}"), else_=outbox.c.payload),
    )
)


def claim(conn: Connection, rows: Sequence[Row], now: datetime, content: Content) -> set[str]:
    """Take rows for an attempt, after checking once more that they may go.

    Committed before the platform hears of them: a crash afterwards leaves them `sending`,
    and whoever finds them knows that the outcome is unknown.
    """
    rows = _permitted(conn, rows, now)
    keys = [row.key for row in rows]
    _cancel_unreachable(conn, keys, now)
    if unasked := [row.key for row in rows if row.unasked]:
        going = admission.admit(conn, unasked, now, content)
        keys = [row.key for row in rows if not row.unasked or row.key in going]
    return set(conn.execute(_CLAIM, {"keys": keys, "lease": now + LEASE}).scalars())


def _permitted(conn: Connection, rows: Sequence[Row], now: datetime) -> list[Row]:
    """Without those that show what their reader has no right to any more: these are cancelled."""
    kept = []
    for row in rows:
        guards = {reply.guard for reply in row.request.replies if reply.guard}
        if guards:
            whose = select(outbox.c.learner_id).where(outbox.c.key == row.key)
            reader = conn.execute(whose).scalar() or 0
            if not all(teams.permitted(conn, reader, guard, now) for guard in guards):
                lost = update(outbox).where(outbox.c.key == row.key, outbox.c.status == "queued")
                over = Verdict("drop", "no_longer_permitted")
                conn.execute(lost.values(admission.put_off(over, row.doubtful, now)))
                continue
        kept.append(row)
    return kept


def _cancel_unreachable(conn: Connection, keys: Sequence[str], now: datetime) -> None:
    gone = (
        select(outbox.c.key)
        .join(
            addresses,
            and_(addresses.c.channel == outbox.c.channel, addresses.c.address == outbox.c.address),
        )
        .where(outbox.c.key.in_(keys), addresses.c.reachable.is_(False))
    )
    blocked = list(conn.execute(gone).scalars())
    if blocked:
        conn.execute(
            update(outbox)
            .where(outbox.c.key.in_(blocked))
            .values(unsent("cancelled", "unreachable", now))
        )


class Ended(Struct, frozen=True):
    """A claimed row and how its attempt ended."""

    row: Row
    outcome: Outcome
    file: str = ""
    """Where a fetched photo was kept."""


def finish(conn: Connection, ended: Sequence[Ended], now: datetime) -> None:
    """Note outcomes, a statement for all of them."""
    conn.execute(_FINISH, [_finished(one, now) for one in ended])
    rides.settle(conn, now)
    for one in ended:
        if one.outcome.unreachable:
            reach(conn, one.row.channel, one.row.address, False, now)
        if one.file:
            key = one.row.request.photo
            conn.execute(update(photos).where(photos.c.key == key).values(file=one.file))


def _finished(one: Ended, now: datetime) -> dict[str, Any]:
    outcome = one.outcome
    waits = outcome.status == "retry"
    # the web chat shows its history from here; on the platforms the message is with them now
    keeps = waits or one.row.channel in KEEPS_HISTORY
    return {
        "row": one.row.key,
        "attempt": one.row.attempts,
        "new_status": "queued" if waits else outcome.status,
        "why": outcome.reason,
        "waits": int(waits),
        "next_due": now + timedelta(seconds=outcome.wait),
        "doubts": int(outcome.doubtful),
        "drops": int(outcome.drop_token),
        "ended": None if waits else now,
        "platform": outcome.platform_id,
        "blank": int(not keeps),
    }


def reach(conn: Connection, channel: str, address: str, reachable: bool, now: datetime) -> None:
    """Somebody blocked us, or is back: nothing waits for those who cannot be reached."""
    at = (addresses.c.channel == channel, addresses.c.address == address)
    conn.execute(update(addresses).where(*at).values(reachable=reachable))
    whose = select(addresses.c.learner_id).where(*at).scalar_subquery()  # has an index
    conn.execute(
        update(profiles)
        .where(
            profiles.c.learner_id == whose,
            profiles.c.channel == channel,
            profiles.c.address == address,
        )
        .values(reachable=reachable)
    )
    if reachable:
        return
    conn.execute(
        update(outbox)
        .where(
            outbox.c.learner_id == whose,
            outbox.c.channel == channel,
            outbox.c.address == address,
            outbox.c.status.in_(("queued", "held")),
        )
        .values(unsent("cancelled", "unreachable", now))
    )


LANES = ("reply", "fetch", "personal")
"""Rows that leave one by one. Those of campaigns have a pipeline of their own (storage/bulk.py),
and there may be a million of them: nothing here may read through them."""


def due(conn: Connection, channel: str, now: datetime, limit: int = SWEEP) -> list[Row]:
    """Rows that wait to be sent and are due, oldest first; so many of each lane."""
    found: list[Any] = []
    for lane in LANES:
        rows = (
            select(outbox)
            .where(*_open(channel, lane), outbox.c.status == "queued", outbox.c.due <= now)
            .order_by(outbox.c.due, outbox.c.id)
            .limit(limit)
        )
        found += conn.execute(rows).all()
    return [as_row(row) for row in sorted(found, key=lambda row: (row.due, row.id))]


def abandoned(conn: Connection, channel: str, now: datetime) -> list[Row]:
    """Rows whose attempt was never ended: the process that made it is gone."""
    found: list[Any] = []
    for lane in LANES:
        lost = (outbox.c.status == "sending", outbox.c.lease_until <= now)
        rows = select(outbox).where(*_open(channel, lane), *lost).order_by(outbox.c.id)
        found += conn.execute(rows.limit(SWEEP)).all()
    return [as_row(row) for row in sorted(found, key=lambda row: row.id)]


def _open(channel: str, lane: str) -> tuple[Any, ...]:
    return (OPEN, outbox.c.channel == channel, outbox.c.lane == lane)


def release(conn: Connection, channels: Iterable[str], now: datetime) -> int:
    """At start, on the one process of SQLite: nobody else can be sending what is `sending`."""
    lost = conn.execute(
        update(outbox)
        .where(OPEN, outbox.c.channel.in_(list(channels)), outbox.c.status == "sending")
        .values(lease_until=now)
    )
    return lost.rowcount


def overdue(conn: Connection, now: datetime, limit: int = SWEEP) -> list[int]:
    """Rows that nobody could send in time: ids. Reading is enough, so the writer need not wait
    for a search through all that waits."""
    waits = outbox.c.status.in_(("queued", "held"))
    late = select(outbox.c.id).where(waits, outbox.c.deadline <= now).limit(limit)
    return list(conn.execute(late).scalars())


def expire(conn: Connection, ids: Sequence[int], now: datetime) -> int:
    """End them, unless somebody was faster after all."""
    waits = outbox.c.status.in_(("queued", "held"))
    late = conn.execute(
        update(outbox).where(outbox.c.id.in_(ids), waits).values(unsent("expired", "deadline", now))
    )
    rides.settle(conn, now)
    return late.rowcount


class Backlog(Struct, frozen=True):
    """What waits: when the oldest row that is due was due, by lane; and how many ride along."""

    oldest: dict[str, datetime]
    held: int


def backlog(conn: Connection, channels: Iterable[str], now: datetime) -> Backlog:
    oldest: dict[str, datetime] = {}
    for channel in channels:
        for lane in (*LANES, "campaign"):
            first = (
                select(outbox.c.due)
                .where(*_open(channel, lane), outbox.c.status == "queued", outbox.c.due <= now)
                .order_by(outbox.c.due)
                .limit(1)
            )
            if (due := conn.execute(first).scalar()) is not None:
                oldest[lane] = min(due, oldest.get(lane, due))
    held = select(func.count()).where(UNASKED, outbox.c.status == "held")
    return Backlog(oldest, conn.execute(held).scalar_one())


def as_row(row: Any) -> Row:
    return Row(
        row.id,
        row.key,
        row.channel,
        row.address,
        row.lane,
        _decode_request(row.payload),
        row.attempts + (row.status == "queued"),
        row.doubtful,
        row.reply_token,
        row.token_until,
    )


class Delivered(Struct, frozen=True):
    """Messages of one request, as the web chat shows them."""

    id: int
    at: datetime
    replies: tuple[Reply, ...]
    pictures: tuple[str, ...]


def conversation(
    conn: Connection, channel: str, address: str, after: int, limit: int = 50
) -> list[Delivered]:
    """The newest messages of an address after a cursor, oldest first."""
    rows = conn.execute(
        select(outbox.c.id, outbox.c.created_at, outbox.c.payload)
        .where(
            HISTORY,
            outbox.c.channel == channel,
            outbox.c.address == address,
            outbox.c.id > after,
            outbox.c.lane != "fetch",
            outbox.c.status.in_(("queued", "sending", "accepted")),
            # what nobody asked for is not there before the gate has let it through
            or_(outbox.c.lane == "reply", outbox.c.status != "queued"),
        )
        .order_by(outbox.c.id.desc())
        .limit(limit)
    ).all()
    requests = [(row, _decode_request(row.payload)) for row in reversed(rows)]
    return [
        Delivered(row.id, row.created_at, request.replies, request.pictures)
        for row, request in requests
        if request.replies
    ]
