"""Sendings, the occurrences of campaigns: their rows written in chunks, their end noted."""

import hashlib
import heapq
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    case,
    func,
    insert,
    literal,
    literal_column,
    select,
    update,
)

from content.lint import slots_of
from content.schema import Campaign, Content
from flows.campaigns import deadline
from storage import segments, waves
from storage.endings import unsent
from storage.journal import said_by, spec_of, turn
from storage.models import Moment, campaigns, holdouts, occurrences, outbox, profiles

CHUNK = 2000
"""Rows that are written in one step: the writer is never held for long."""
OPEN = ("expanding", "waiting", "running", "paused", "held")
"""Sendings that are not over. `waiting`: its rows are written and its time has not come."""
TERMINAL = ("accepted", "failed", "uncertain", "expired", "cancelled")
"""How a row ends."""


def digest(spec: str, learners: Iterator[int]) -> tuple[str, int]:
    """What an approval is bound to, SHA-256 over the text of a campaign and its recipients in
    their order; and how many they are."""
    made, many = hashlib.sha256(spec.encode()), 0
    for learner in learners:
        made.update(b"%d," % learner)
        many += 1
    return made.hexdigest(), many


def written(conn: Connection, sending_id: int) -> Iterator[int]:
    """Everybody whom a sending was written for, those held out included, in their order."""
    rows = select(outbox.c.learner_id).where(
        outbox.c.occurrence_id == sending_id, outbox.c.learner_id.is_not(None)
    )
    held = select(holdouts.c.learner_id).where(holdouts.c.occurrence_id == sending_id)
    yield from heapq.merge(
        streamed(conn, rows.order_by(outbox.c.id)),
        streamed(conn, held.order_by(holdouts.c.learner_id)),
    )


def streamed(conn: Connection, wanted: Any) -> Iterator[int]:
    """Ids one after the other, however many there are."""
    with conn.execute(wanted, execution_options={"yield_per": CHUNK}) as found:
        yield from found.scalars()


# --- writing its rows ------------------------------------------------------------------


def start(conn: Connection, now: datetime, late: timedelta) -> int:
    """What has waited for its time begins to run; what comes too late waits for a person."""
    waiting = select(occurrences).where(occurrences.c.status == "waiting", occurrences.c.due <= now)
    begun = conn.execute(waiting.with_for_update(skip_locked=True)).all()
    for sending in begun:
        if now - sending.due > late:
            turn(conn, sending, "held", now, "late")
        else:
            turn(conn, sending, "running", now)
    return len(begun)


def expand(conn: Connection, now: datetime, content: Content, limit: int = CHUNK) -> int:
    """One step of what is to be done for sendings, oldest first: write rows, open the rows of a
    wave, end the rows of what was cancelled. How many rows it took, 0 when nothing is left."""
    for status, step in (
        ("expanding", _write),
        ("running", waves.open_next),
        ("cancelled", _clear),
        ("skipped", _clear),
    ):
        todo = select(occurrences).where(
            occurrences.c.status == status, occurrences.c.ended_at.is_(None)
        )
        locked = todo.order_by(occurrences.c.id).with_for_update(skip_locked=True)
        for sending in conn.execute(locked).all():
            if took := step(conn, sending, now, content, limit):
                return took
    return 0


def expand_one(conn: Connection, sending_id: int, now: datetime, content: Content) -> int:
    """The next chunk of rows of one sending; 0 when they are all there."""
    wanted = select(occurrences).where(occurrences.c.id == sending_id)
    sending = conn.execute(wanted).one()
    return _write(conn, sending, now, content, CHUNK) if sending.status == "expanding" else 0


def size(conn: Connection, sending_id: int) -> int:
    """How many rows a sending has."""
    rows: int = conn.execute(
        select(occurrences.c.size).where(occurrences.c.id == sending_id)
    ).scalar_one()
    return rows


def _write(conn: Connection, sending: Any, now: datetime, content: Content, limit: int) -> int:
    """The next chunk of rows; cursor and rows go in one transaction, so each is written once."""
    campaign = conn.execute(select(campaigns).where(campaigns.c.id == sending.campaign_id)).one()
    spec = spec_of(campaign)
    who = and_(recipients(spec, sending.created_at, sending.due), _after(sending.cursor))
    chunk = select(profiles.c.learner_id).where(who).order_by(profiles.c.learner_id).limit(limit)
    found = chunk.subquery()
    last, many = conn.execute(select(func.max(found.c.learner_id), func.count())).one()
    if not many:
        _written(conn, campaign, sending, now)
        return 1
    who = and_(who, profiles.c.learner_id <= last)
    held = int(spec.holdout * waves.PRIME)
    place = waves.bucket(sending.id)
    if held:
        names = ["occurrence_id", "learner_id"]
        out = select(literal(sending.id), profiles.c.learner_id).where(who, place < held)
        conn.execute(insert(holdouts).from_select(names, out))
        who = and_(who, place >= held)
    rows = _rows(spec, sending, said_by(conn, sending), now, content)
    chosen = select(*rows.values()).where(who).order_by(profiles.c.learner_id)
    sent = insert_from(conn, rows, chosen)
    values = {"cursor": last, "size": occurrences.c.size + sent}
    conn.execute(update(occurrences).where(occurrences.c.id == sending.id).values(values))
    return int(many)


def insert_from(conn: Connection, columns: dict[str, Any], chosen: Any) -> int:
    """Write outbox rows from a SELECT of these columns; how many."""
    made = insert(outbox).from_select(list(columns), chosen)
    return conn.execute(made, execution_options={"preserve_rowcount": True}).rowcount


def recipients(spec: Campaign, now: datetime, due: datetime) -> ColumnElement[bool]:
    """Whom a campaign is for, as of `now`: a condition on `profiles`."""
    mandatory = spec.purpose == "mandatory"
    return segments.sendable(spec.segment, now, due, slots_of(spec), mandatory=mandatory)


def _after(cursor: int) -> ColumnElement[bool]:
    return profiles.c.learner_id > cursor


def _rows(
    spec: Campaign, sending: Any, said: dict[str, int], now: datetime, content: Content
) -> dict[str, Any]:
    """The columns of an outbox row, read off the profile of whom it is for."""
    ends = deadline(spec, max(sending.due, sending.created_at), content)
    english = (profiles.c.lang == "en", said["en"])
    return {
        "key": literal_column(f"'{sending.id}:' || profiles.learner_id"),
        "learner_id": profiles.c.learner_id,
        "channel": profiles.c.channel,
        "address": profiles.c.address,
        "lane": literal("campaign"),
        "payload": literal("{}"),
        "created_at": literal(now, Moment),
        "due": waves.due_of(spec, sending),
        "deadline": literal(ends, Moment),
        "status": literal("queued"),
        "purpose": literal(spec.purpose),
        "occurrence_id": literal(sending.id),
        "message_id": case(english, else_=said["th"]),
    }


def _written(conn: Connection, campaign: Any, sending: Any, now: datetime) -> None:
    """All rows are there. They run, wait for their time, or for a person: if they are not the
    people who were approved."""
    spec = spec_of(campaign)
    once = spec.schedule is None or spec.schedule.every is None
    if campaign.reason == "paused":
        turn(conn, sending, "paused", now, "by_hand", cursor=0)
    elif once and digest(campaign.spec, written(conn, sending.id))[0] != campaign.checked_hash:
        turn(conn, sending, "paused", now, "recipients_changed", cursor=0)
    else:
        turn(conn, sending, "waiting" if sending.due > now else "running", now, cursor=0)


# --- its end ---------------------------------------------------------------------------


def settle(conn: Connection, now: datetime) -> None:
    """End what runs and has nothing under way any more."""
    running = select(occurrences).where(occurrences.c.status == "running")
    for sending in conn.execute(running.with_for_update(skip_locked=True)).all():
        first = _first_open(conn, sending)
        if first is None:
            turn(conn, sending, "done", now)
        elif first - 1 > sending.cursor:
            values = {"cursor": first - 1}
            conn.execute(update(occurrences).where(occurrences.c.id == sending.id).values(values))


def _first_open(conn: Connection, sending: Any) -> int | None:
    """The first row that is not terminal; once all are written, those up to `cursor` are."""
    rows = select(outbox.c.id).where(
        outbox.c.occurrence_id == sending.id,
        outbox.c.id > sending.cursor,
        outbox.c.status.not_in(TERMINAL),
    )
    found: int | None = conn.execute(rows.order_by(outbox.c.id).limit(1)).scalar()
    return found


def _clear(conn: Connection, sending: Any, now: datetime, content: Content, limit: int) -> int:
    """End the next rows of what was cancelled; then it is over. What the sender has in hand ends
    there, and if it comes back to the queue, at its next claim."""
    chunk = (
        select(outbox.c.id)
        .where(outbox.c.occurrence_id == sending.id, outbox.c.id > sending.cursor)
        .order_by(outbox.c.id)
        .limit(limit)
    ).subquery()
    last, many = conn.execute(select(func.max(chunk.c.id), func.count())).one()
    of_it = update(occurrences).where(occurrences.c.id == sending.id)
    if not many:
        conn.execute(of_it.values(ended_at=now))
        return 0
    ended = update(outbox).where(
        outbox.c.occurrence_id == sending.id,
        outbox.c.id > sending.cursor,
        outbox.c.id <= last,
        outbox.c.status.in_(("queued", "held")),
    )
    why = "campaign_" + sending.status
    conn.execute(ended.values(unsent("cancelled", why, now)))
    conn.execute(of_it.values(cursor=last))
    return int(many)


def of(conn: Connection, campaign_id: int, *statuses: str) -> Sequence[Any]:
    """The sendings of a campaign that are in one of these statuses, locked."""
    wanted = (occurrences.c.campaign_id == campaign_id, occurrences.c.status.in_(statuses))
    return conn.execute(
        select(occurrences).where(*wanted).order_by(occurrences.c.id).with_for_update()
    ).all()
