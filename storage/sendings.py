"""One sending of a campaign: its rows written in chunks, its waves watched, its end noted."""

import hashlib
import heapq
import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    and_,
    case,
    cast,
    func,
    insert,
    literal,
    literal_column,
    select,
    update,
)

from content.lint import PUSHED, slots_of
from content.schema import LANGS, Campaign, Content
from flows.campaigns import deadline, message
from flows.types import Purpose
from storage import messages, segments
from storage.models import OPEN as TO_SEND
from storage.models import Moment, campaign_log, campaigns, holdouts, occurrences, outbox, profiles

CHUNK = 2000
"""Rows that are written in one step: the writer is never held for long."""
OPEN = ("expanding", "waiting", "running", "paused", "held")
"""Sendings that are not over. `waiting`: its rows are written and its time has not come."""
TERMINAL = ("accepted", "failed", "uncertain", "expired", "cancelled")
"""How a row ends."""
MOST_FAILURES = 0.02
"""Of a wave: with more, nobody else is sent to before a person has looked."""
NEVER = datetime(9000, 1, 1, tzinfo=UTC)
"""Rows of later waves are due after this, each wave of each sending at a moment of its own, until
their wave is opened: so no sender can be too fast."""
PRIME = 2**31 - 1


def spec_of(campaign: Any) -> Campaign:
    return Campaign.model_validate_json(campaign.spec)


# --- what happened to it ---------------------------------------------------------------


def note(
    conn: Connection, campaign_id: int, what: str, now: datetime, detail: str = "", by: Any = None
) -> None:
    """Every step is kept, with who took it."""
    row = {"campaign_id": campaign_id, "at": now, "by_id": by, "what": what, "detail": detail}
    conn.execute(insert(campaign_log).values(row))


def noted(conn: Connection, campaign_id: int, what: str, detail: str = "") -> Any:
    """The newest entry of a kind, whose detail begins so."""
    begins = campaign_log.c.detail.startswith(detail, autoescape=True)
    entries = select(campaign_log).where(
        campaign_log.c.campaign_id == campaign_id, campaign_log.c.what == what, begins
    )
    return conn.execute(entries.order_by(campaign_log.c.id.desc()).limit(1)).first()


def begin(
    conn: Connection, campaign_id: int, spec: Campaign, due: datetime, status: str, now: datetime
) -> int:
    """A new sending, with what it says in each language."""
    row = {"campaign_id": campaign_id, "due": due, "status": status, "created_at": now}
    made: int = conn.execute(
        insert(occurrences).values(row).returning(occurrences.c.id)
    ).scalar_one()
    slots = slots_of(spec)
    said = {lang: messages.keep(conn, (message(spec, made, lang),), slots) for lang in LANGS}
    note(conn, campaign_id, "begun", now, f"{made} {json.dumps(said)}")
    return made


def said_by(conn: Connection, sending: Any) -> dict[str, int]:
    """The ids of what a sending says, by language."""
    entry = noted(conn, sending.campaign_id, "begun", f"{sending.id} ")
    found: dict[str, int] = json.loads(entry.detail.partition(" ")[2])
    return found


def turn(
    conn: Connection, sending: Any, status: str, now: datetime, reason: str = "", **more: Any
) -> None:
    """It goes from one status to another, and that is written down."""
    ended = now if status == "done" else None
    values = {"status": status, "reason": reason, "ended_at": ended, **more}
    conn.execute(update(occurrences).where(occurrences.c.id == sending.id).values(values))
    note(conn, sending.campaign_id, status, now, f"{sending.id} {reason}".strip())


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
        ("running", _open_wave),
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
    held = int(spec.holdout * PRIME)
    place = bucket(sending.id)
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


def bucket(sending_id: int) -> ColumnElement[int]:
    """Where a learner stands among all that a sending goes to, from 0 to `PRIME`: by chance,
    and always the same. Plain arithmetic, because both engines must agree: x to the fifth
    permutes the numbers below this prime."""
    slope, shift = _line(sending_id)
    here = cast(profiles.c.learner_id, BigInteger) % PRIME * slope
    x = (here + shift) % PRIME
    fourth = (x * x % PRIME) * (x * x % PRIME) % PRIME
    fifth: ColumnElement[int] = fourth * x % PRIME
    return fifth


def _line(sending_id: int) -> tuple[int, int]:
    """Two numbers of the sending's own, from 1 and from 0 to below the prime."""
    seed = hashlib.sha256(b"%d" % sending_id).digest()
    first, second = (int.from_bytes(seed[at : at + 8], "big") for at in (0, 8))
    return first % (PRIME - 1) + 1, second % PRIME


def drawn(sending_id: int, learner_id: int) -> int:
    """The same number as `bucket`, for one learner."""
    slope, shift = _line(sending_id)
    return pow((learner_id % PRIME * slope + shift) % PRIME, 5, PRIME)


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
        "due": _due(spec, sending),
        "deadline": literal(ends, Moment),
        "status": literal("queued"),
        "purpose": literal(spec.purpose),
        "occurrence_id": literal(sending.id),
        "message_id": case(english, else_=said["th"]),
    }


def _due(spec: Campaign, sending: Any) -> ColumnElement[Any]:
    """The first wave at the time itself; each later one when it is opened."""
    if not spec.waves:
        return literal(sending.due, Moment)
    place, share, cases = bucket(sending.id), spec.holdout, []
    for at, wave in enumerate(spec.waves):
        share += wave.share
        when = literal(mark(sending.id, at) if at else sending.due, Moment)
        cases.append((place < int(share * PRIME), when))
    rest = literal(mark(sending.id, len(spec.waves)), Moment)
    return case(*cases, else_=rest)


def mark(sending_id: int, wave: int) -> datetime:
    """When the rows of a later wave are due as long as it is closed."""
    return NEVER + timedelta(microseconds=sending_id * 100 + wave)


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


# --- waves -----------------------------------------------------------------------------


def watch(conn: Connection, now: datetime) -> None:
    """Open the next wave of what runs, once the one before has left, its time has passed, and
    it did not fail too often; then everything stops, and a person looks."""
    running = (
        select(occurrences, campaigns.c.spec)
        .join(campaigns)
        .where(occurrences.c.status == "running")
        .with_for_update(skip_locked=True, of=occurrences)
    )
    for sending in conn.execute(running).all():
        spec = spec_of(sending)
        wave = _closed(conn, sending, spec)
        if wave and noted(conn, sending.campaign_id, "wave", f"{sending.id}:{wave}") is None:
            _watch(conn, sending, spec, wave, now)


def _closed(conn: Connection, sending: Any, spec: Campaign) -> int:
    """The first wave that has not been opened, or not all of it; 0 when there is none."""
    for wave in range(1, len(spec.waves) + 1):
        if conn.execute(select(outbox.c.id).where(*_of_wave(sending.id, wave)).limit(1)).first():
            return wave
    return 0


def _of_wave(sending_id: int, wave: int) -> tuple[Any, ...]:
    return (
        TO_SEND,
        outbox.c.channel.in_(PUSHED),
        outbox.c.lane == "campaign",
        outbox.c.due == mark(sending_id, wave),
        outbox.c.status == "queued",
    )


def closed(conn: Connection, channel: str) -> list[tuple[Purpose, int]]:
    """How many rows of later waves are still to become due, by purpose."""
    rows = conn.execute(
        select(outbox.c.purpose, func.count())
        .where(
            TO_SEND,
            outbox.c.channel == channel,
            outbox.c.lane == "campaign",
            outbox.c.due > NEVER,
            outbox.c.status == "queued",
        )
        .group_by(outbox.c.purpose)
    )
    return [(row[0], row[1]) for row in rows]


def _watch(conn: Connection, sending: Any, spec: Campaign, wave: int, now: datetime) -> None:
    before = f"{sending.id}:{wave - 1}"
    gone = noted(conn, sending.campaign_id, "wave_gone", before)
    if gone is None:
        if not _under_way(conn, sending):
            note(conn, sending.campaign_id, "wave_gone", now, before)
        return
    if now < gone.at + timedelta(minutes=spec.waves[wave - 1].minutes):
        return
    share = failures(conn, sending.id)
    looked = noted(conn, sending.campaign_id, "looked_at", str(sending.id))
    if share > MOST_FAILURES and (looked is None or looked.at < gone.at):
        turn(conn, sending, "paused", now, "failures")
        return
    note(conn, sending.campaign_id, "wave", now, f"{sending.id}:{wave}")


def _under_way(conn: Connection, sending: Any) -> bool:
    """Something of the open waves has not left; what waits for a free reply is not counted."""
    rows = select(outbox.c.id).where(
        outbox.c.occurrence_id == sending.id,
        outbox.c.status.in_(("queued", "sending")),
        outbox.c.due < NEVER,
    )
    return conn.execute(rows.limit(1)).first() is not None


def failures(conn: Connection, sending_id: int) -> float:
    """The share of what was tried that failed, or may have."""
    counted = (
        select(outbox.c.status, func.count())
        .where(outbox.c.occurrence_id == sending_id)
        .group_by(outbox.c.status)
    )
    by = {row[0]: row[1] for row in conn.execute(counted)}
    bad = by.get("failed", 0) + by.get("uncertain", 0)
    tried = bad + by.get("accepted", 0)
    return bad / tried if tried else 0.0


def _open_wave(conn: Connection, sending: Any, now: datetime, content: Content, limit: int) -> int:
    """The next rows of a wave that was opened become due."""
    campaign = conn.execute(select(campaigns).where(campaigns.c.id == sending.campaign_id)).one()
    wave = _closed(conn, sending, spec_of(campaign))
    if not wave or noted(conn, sending.campaign_id, "wave", f"{sending.id}:{wave}") is None:
        return 0
    some = select(outbox.c.id).where(*_of_wave(sending.id, wave)).limit(limit)
    opened = update(outbox).where(outbox.c.id.in_(some)).values(due=now)
    return conn.execute(opened).rowcount


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
    """End the next rows of what was cancelled; then it is over."""
    some = (
        select(outbox.c.id)
        .where(outbox.c.occurrence_id == sending.id, outbox.c.status.in_(("queued", "held")))
        .limit(limit)
    )
    why = "campaign_" + sending.status
    ended = {"status": "cancelled", "reason": why, "ended_at": now}
    took = conn.execute(update(outbox).where(outbox.c.id.in_(some)).values(ended)).rowcount
    if not took:
        over = update(occurrences).where(occurrences.c.id == sending.id)
        conn.execute(over.values(ended_at=now))
    return took


def of(conn: Connection, campaign_id: int, *statuses: str) -> Sequence[Any]:
    """The sendings of a campaign that are in one of these statuses, locked."""
    wanted = (occurrences.c.campaign_id == campaign_id, occurrences.c.status.in_(statuses))
    return conn.execute(
        select(occurrences).where(*wanted).order_by(occurrences.c.id).with_for_update()
    ).all()
