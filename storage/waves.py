"""Waves of a sending: who goes first, and when the others follow; who is held out."""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    case,
    cast,
    func,
    literal,
    literal_column,
    select,
    update,
)

from content.lint import PUSHED
from content.schema import Campaign, Content
from flows.types import Purpose
from storage.journal import note, noted, spec_of, turn
from storage.models import OPEN, Moment, campaigns, occurrences, outbox, profiles

MOST_FAILURES = 0.02
"""Of a wave: with more, nobody else is sent to before a person has looked."""
NEVER = datetime(9000, 1, 1, tzinfo=UTC)
"""Rows of later waves are due after this, each wave of each sending at a moment of its own, until
their wave is opened: so no sender can be too fast."""
PRIME = 2**31 - 1

# --- who belongs to which --------------------------------------------------------------


def bucket(
    sending_id: int, learner: ColumnElement[int] = profiles.c.learner_id
) -> ColumnElement[int]:
    """Where a learner stands among all that a sending goes to, from 0 to `PRIME`: by chance,
    and always the same. Plain arithmetic, because both engines must agree: x to the fifth
    permutes the numbers below this prime."""
    slope, shift = _line(sending_id)
    here = cast(learner, BigInteger) % PRIME * slope
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


def due_of(spec: Campaign, sending: Any) -> ColumnElement[Any]:
    """When a row is due: the first wave at the time itself; each later one when it is opened."""
    if not spec.waves:
        return literal(sending.due, Moment)
    whens = [sending.due, *(mark(sending.id, at) for at in range(1, len(spec.waves) + 1))]
    return _by_wave(spec, bucket(sending.id), [literal(when, Moment) for when in whens])


def wave_of(spec: Campaign, sending_id: int, learner: ColumnElement[int]) -> ColumnElement[Any]:
    """The wave that somebody belongs to, from 0 on; of a campaign that has waves."""
    numbers: list[ColumnElement[Any]] = [
        literal_column(str(at)) for at in range(len(spec.waves) + 1)
    ]
    return _by_wave(spec, bucket(sending_id, learner), numbers)


def _by_wave(
    spec: Campaign, place: ColumnElement[int], values: Sequence[ColumnElement[Any]]
) -> ColumnElement[Any]:
    share, cases = spec.holdout, []
    for wave, value in zip(spec.waves, values, strict=False):
        share += wave.share
        cases.append((place < int(share * PRIME), value))
    return case(*cases, else_=values[-1])


def mark(sending_id: int, wave: int) -> datetime:
    """When the rows of a later wave are due as long as it is closed."""
    return NEVER + timedelta(microseconds=sending_id * 100 + wave)


# --- when they go ----------------------------------------------------------------------


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
        if wave and noted(conn, sending.campaign_id, "wave", _name(sending, wave)) is None:
            _watch(conn, sending, spec, wave, now)


def _name(sending: Any, wave: int) -> str:
    """What a wave is called in the journal; none begins like another."""
    return f"{sending.id}:{wave}."


def _closed(conn: Connection, sending: Any, spec: Campaign) -> int:
    """The first wave that has not been opened, or not all of it; 0 when there is none."""
    for wave in range(1, len(spec.waves) + 1):
        if conn.execute(select(outbox.c.id).where(*_of_wave(sending.id, wave)).limit(1)).first():
            return wave
    return 0


def _of_wave(sending_id: int, wave: int) -> tuple[Any, ...]:
    return (
        OPEN,
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
            OPEN,
            outbox.c.channel == channel,
            outbox.c.lane == "campaign",
            outbox.c.due > NEVER,
            outbox.c.status == "queued",
        )
        .group_by(outbox.c.purpose)
    )
    return [(row[0], row[1]) for row in rows]


def _watch(conn: Connection, sending: Any, spec: Campaign, wave: int, now: datetime) -> None:
    before = _name(sending, wave - 1)
    gone = noted(conn, sending.campaign_id, "wave_gone", before)
    if gone is None:
        if not _under_way(conn, sending):
            note(conn, sending.campaign_id, "wave_gone", now, before)
        return
    if now < gone.at + timedelta(minutes=spec.waves[wave - 1].minutes):
        return
    share = failures(conn, sending.id)
    looked = noted(conn, sending.campaign_id, "looked_at", f"{sending.id} failures")
    if share > MOST_FAILURES and (looked is None or looked.at < gone.at):
        turn(conn, sending, "paused", now, "failures")
        return
    note(conn, sending.campaign_id, "wave", now, _name(sending, wave))


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


def open_next(conn: Connection, sending: Any, now: datetime, content: Content, limit: int) -> int:
    """The next rows of a wave that was opened become due."""
    campaign = conn.execute(select(campaigns).where(campaigns.c.id == sending.campaign_id)).one()
    wave = _closed(conn, sending, spec_of(campaign))
    if not wave or noted(conn, sending.campaign_id, "wave", _name(sending, wave)) is None:
        return 0
    some = select(outbox.c.id).where(*_of_wave(sending.id, wave)).limit(limit)
    opened = update(outbox).where(outbox.c.id.in_(some)).values(due=now)
    return conn.execute(opened).rowcount
