"""What was held back and rides on a learner's next free reply instead of costing a push."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from msgspec.json import Decoder
from msgspec.structs import replace
from sqlalchemy import Connection, and_, bindparam, func, not_, or_, select, text, update

from flows.calendar import local
from flows.types import Choice, Reply
from storage import messages
from storage.endings import unsent
from storage.models import UNASKED_ROWS, learners, occurrences, outbox, persons
from storage.wire import Request

MOST_BUTTONS = 13
"""What LINE shows under one message."""
_decode = Decoder(Request).decode

Waiting = dict[int, list[Any]]
"""By learner: rows that nobody asked for and that have not left."""


_WAITING = (
    select(
        outbox.c.id,
        outbox.c.learner_id,
        outbox.c.channel,
        outbox.c.lane,
        outbox.c.status,
        outbox.c.purpose,
        outbox.c.payload,
        outbox.c.message_id,
    )
    .join(occurrences, occurrences.c.id == outbox.c.occurrence_id, isouter=True)
    .join(learners, learners.c.id == outbox.c.learner_id)
    .join(persons, persons.c.id == learners.c.person_id, isouter=True)
    .where(
        not_(func.coalesce(persons.c.left_on, 0).between(1, bindparam("today"))),
        outbox.c.learner_id.in_(bindparam("learners", expanding=True)),
        UNASKED_ROWS,
        outbox.c.doubtful.is_(False),  # the others may have arrived
        outbox.c.deadline > bindparam("now"),
        or_(
            outbox.c.occurrence_id.is_(None),
            and_(occurrences.c.status == "running", outbox.c.due <= bindparam("now")),
        ),
    )
    .order_by(outbox.c.id)
)


def waiting(conn: Connection, whose: Iterable[int], now: datetime) -> Waiting:
    """What waits for learners who have just said something; of campaigns only what is due of
    those that run."""
    ids = sorted(set(whose))
    found: Waiting = defaultdict(list)
    if ids:
        for row in conn.execute(
            _WAITING, {"learners": ids, "now": now, "today": local(now).toordinal()}
        ):
            found[row.learner_id].append(row)
    return found


def cancel_reminders(conn: Connection, rows: Iterable[Any], now: datetime) -> None:
    """Whoever is here needs no reminder to come."""
    ids = [row.id for row in rows if row.lane == "personal" and row.purpose == "encouragement"]
    if ids:
        mine = update(outbox).where(outbox.c.id.in_(ids))
        conn.execute(mine.values(unsent("cancelled", "came_back", now)))


def rider(conn: Connection, rows: Iterable[Any], channel: str) -> tuple[int, Reply] | None:
    """The row that rides next, and its message: what was held back first, then what is due. A
    message with placeholders does not ride: it would have to be filled in here."""
    for row in sorted(rows, key=lambda row: (row.status != "held", row.id)):
        if row.purpose in ("word", "digest") or (
            row.lane == "personal" and row.purpose == "encouragement"
        ):
            continue
        if row.channel != channel:
            continue
        if row.message_id is None:
            request = _decode(row.payload)
        else:
            request, slots = messages.load(conn, [row.message_id])[row.message_id]
            if slots:
                continue
        if len(request.replies) == 1 and not request.pictures:
            return row.id, request.replies[0]
    return None


def board(replies: tuple[Reply, ...], rides: Reply) -> tuple[Reply, ...]:
    """The replies with one more before the open question; its buttons go under the question,
    where they can be pressed."""
    *before, question = replies
    room = MOST_BUTTONS - len(question.choices)
    buttons = tuple(_standing(choice) for choice in rides.choices)[: max(room, 0)]
    question = replace(question, choices=(*question.choices, *buttons))
    return (*before, replace(rides, choices=(), stamp=""), question)


def _standing(choice: Choice) -> Choice:
    return replace(choice, stamp="*")


def take(conn: Connection, row_id: int) -> bool:
    """False when the sender was faster."""
    open_ = outbox.c.status.in_(("queued", "held"))
    taken = update(outbox).where(outbox.c.id == row_id, open_).values(status="riding")
    return conn.execute(taken).rowcount == 1


def mark(conn: Connection, row_id: int, carrier: str) -> None:
    """Note which row carries it."""
    conn.execute(update(outbox).where(outbox.c.id == row_id).values(chunk=carrier))


_CARRIER = outbox.alias("carrier")


_ENDED = (
    select(outbox.c.id, _CARRIER.c.status)
    .join(_CARRIER, _CARRIER.c.key == outbox.c.chunk)
    .where(text("outbox.status = 'riding'"), _CARRIER.c.status.not_in(("queued", "sending")))
)


def settle(conn: Connection, now: datetime) -> None:
    """A row that rides ends as its carrier does; where that did not go, it waits for another."""
    for row_id, status in conn.execute(_ENDED).all():
        ended = status in ("accepted", "uncertain")
        values = {"status": status, "reason": "rode", "ended_at": now, "payload": "{}"}
        held = {"status": "held", "chunk": ""}
        conn.execute(update(outbox).where(outbox.c.id == row_id).values(values if ended else held))
