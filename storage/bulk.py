"""Rows of campaigns, by the thousand: found, judged together, grouped into multicasts, ended.

A statement here works on thousands of rows: they are named by one parameter, whatever their
number, and what is the same for many of them is decided once.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct
from sqlalchemy import BigInteger, Connection, select, text, tuple_, type_coerce, update

from content.schema import Content
from flows.calendar import local
from flows.gate import RANKS, RIDES_FOR, Verdict, Waiting, judge
from flows.types import Purpose
from storage import quota
from storage.admission import RIDES_ON
from storage.models import (
    OPEN,
    from_micros,
    occurrences,
    outbox,
    to_micros,
)
from storage.parcels import Group, Parcel, among, named, pack, parts, repeated
from storage.quota import Terms
from storage.wire import Outcome, Request, Row

SEEN = ("running", "cancelled")
"""Sendings whose rows are claimed, if only to be ended; all others' are left as they are."""
FORGOTTEN = timedelta(hours=11)
"""LINE forgets a retry key after 24 h. Attempts go on for half of that at the most; whoever
finds a doubtful row so long after it was due again may be too late."""

Cursor = tuple[int, int]
"""Where a search has come to: a row's `due` in microseconds, and its id."""
START: Cursor = (-1, -1)


class Claimed(Struct, frozen=True):
    parcels: Sequence[Parcel] = ()
    taken: Mapping[Purpose, int] = {}
    """What was counted against the month."""


class Found(Struct, frozen=True):
    """What waits, as somebody without a lock saw it."""

    ids: Sequence[int]
    chunks: Mapping[str, int]
    """Multicasts that may have arrived, and the moment (microseconds) they are due again."""
    last: Cursor


# --- finding -------------------------------------------------------------------------

_DUE = type_coerce(outbox.c.due, BigInteger)


def find(conn: Connection, channel: str, now: datetime, after: Cursor, limit: int) -> Found:
    """Rows that are due, the oldest first. For a reader: the search may be long, and must not
    keep the writer."""
    seen = select(occurrences.c.id).where(occurrences.c.status.in_(SEEN))
    rows = conn.execute(
        select(_DUE, outbox.c.id, outbox.c.chunk)
        .where(
            OPEN,
            outbox.c.channel == channel,
            outbox.c.lane == "campaign",
            outbox.c.status == "queued",
            outbox.c.due <= now,
            tuple_(_DUE, outbox.c.id) > after,
            outbox.c.occurrence_id.in_(seen),
        )
        .order_by(outbox.c.due, outbox.c.id)
        .limit(limit)
    ).all()
    ids = [row_id for _, row_id, chunk in rows if not chunk]
    chunks = {chunk: due for due, _, chunk in rows if chunk}
    return Found(ids, chunks, tuple(rows[-1][:2]) if rows else after)


def abandoned(conn: Connection, channel: str, now: datetime, limit: int) -> list[Any]:
    """Rows whose attempt was never ended: the process that made it is gone. For a reader."""
    rows = conn.execute(
        select(outbox.c.id, outbox.c.lease_until)
        .where(
            OPEN,
            outbox.c.channel == channel,
            outbox.c.lane == "campaign",
            outbox.c.status == "sending",
            outbox.c.lease_until <= now,
        )
        .limit(limit)
    )
    return list(rows)


def probe(channel: str) -> Row:
    """Any row of a campaign, to ask its channel what a lost attempt counts as."""
    return Row(0, "", channel, "", "campaign", Request(), attempts=1, doubtful=False)


def recover(conn: Connection, rows: Sequence[Any], outcome: Outcome, now: datetime) -> None:
    """Attempts that nobody saw the end of count as `outcome`. Those that may be repeated are
    due since their lease was over, each with the chunk it left in."""
    for lease in {row.lease_until for row in rows}:
        ids = [row.id for row in rows if row.lease_until == lease]
        still = (outbox.c.id.in_(ids), outbox.c.status == "sending", outbox.c.lease_until == lease)
        values: dict[str, Any] = {"lease_until": None, "reason": outcome.reason}
        if outcome.status == "retry":
            values |= {"status": "queued", "doubtful": outcome.doubtful, "due": lease}
        else:
            values |= {"status": outcome.status, "doubtful": outcome.doubtful, "ended_at": now}
        conn.execute(update(outbox).where(*still).values(values))


# --- claiming ------------------------------------------------------------------------

_RANK = " ".join(f"when '{purpose}' then {rank}" for purpose, rank in RANKS.items())
_LOCKED = """
select o.id, o.key, o.learner_id, o.address, o.message_id, o.attempts, o.doubtful, o.due,
    o.purpose, o.chosen, o.deadline, o.counted_on, c.status,
    p.zone, p.reachable, p.welcomed, p.stopped, p.rests_until, p.unasked_on,
    exists (
        select 1 from outbox b
        where b.learner_id = o.learner_id and b.status in ('queued', 'held')
            and b.purpose <> 'reply' and b.status = 'queued' and b.due <= :now
            and case b.purpose {rank} end < case o.purpose {rank} end
    )
from outbox o
join profiles p on p.learner_id = o.learner_id
join occurrences c on c.id = o.occurrence_id
where o.id {among} and o.status = 'queued' and c.status in ('running', 'cancelled')
order by o.due, o.id
"""
_LOCK = {"sqlite": "", "postgresql": "for no key update of o, p skip locked"}


def _locked(conn: Connection, ids: Iterable[int], now: datetime) -> Sequence[Any]:
    """Rows as they are now, with their people. A row that somebody else is at, in a
    conversation, is left out: nobody waits here for anybody."""
    engine = conn.dialect.name
    query = text(_LOCKED.format(rank=_RANK, among=among(conn)) + _LOCK[engine])
    return conn.execute(query, {"ids": named(conn, ids), "now": to_micros(now)}).all()


def claim(
    conn: Connection, channel: str, ids: Sequence[int], now: datetime, terms: Terms
) -> Claimed:
    """Take rows for an attempt, after asking the gate for each and the month for all of them.

    Committed before the platform hears of them. Rows that say the same to many leave together,
    under a retry key that is stored with each of them; a row that is alone, or says something
    of its own, or may have left alone before, leaves alone.
    """
    going, others = _judge(_locked(conn, ids, now), channel, now, terms.content)
    _put_off(conn, others, now)
    taken: dict[Purpose, int] = {}
    if channel == quota.LINE:
        going, taken = _afford(conn, going, now, terms)
    return Claimed(pack(conn, channel, going, now, terms.content), taken)


def again(
    conn: Connection, channel: str, chunk: str, due: int, now: datetime, terms: Terms
) -> Claimed:
    """Take a multicast that may have arrived: as it was, under the key it had. Whoever may not
    be sent to any more is left out; what became of them is not known. When somebody is busy with
    one of its rows, all of it waits."""
    whole = select(outbox.c.id).where(
        OPEN,
        outbox.c.channel == channel,
        outbox.c.lane == "campaign",
        outbox.c.status == "queued",
        outbox.c.due == from_micros(due),
        outbox.c.chunk == chunk,
    )
    ids = conn.execute(whole).scalars().all()
    rows = _locked(conn, ids, now)
    if len(rows) < len(ids):
        return Claimed()
    going, others = _judge(rows, channel, now, terms.content)
    _put_off(conn, others, now)
    return Claimed(repeated(conn, channel, going, now, chunk))


Going = dict[Group, list[Any]]
Others = defaultdict[Verdict, list[Any]]


def _judge(
    rows: Sequence[Any], channel: str, now: datetime, content: Content
) -> tuple[Going, Others]:
    """Rows by what becomes of them. Most are alike, and are judged once."""
    known: dict[Any, tuple[Verdict, int]] = {}
    going: Going = defaultdict(list)
    others: Others = defaultdict(list)
    today: dict[int, int] = {}
    too_late = to_micros(now - FORGOTTEN)
    for row in rows:
        facts, learner = row[8:], row.learner_id
        if learner in today:  # two for one person
            facts = (*facts[:10], today[learner], *facts[11:])
        if facts not in known:
            known[facts] = _judged(facts, channel, now, content)
        verdict, day = known[facts]
        if row.doubtful and row.due < too_late:
            verdict = Verdict("drop", "forgotten")
        if verdict.what == "go":
            going[(row.message_id, facts[0], day, row.attempts)].append(row)
            today[learner] = day
        else:
            others[verdict].append(row)
    return going, others


def _judged(
    facts: tuple[Any, ...], channel: str, now: datetime, content: Content
) -> tuple[Verdict, int]:
    purpose, chosen, deadline, counted_on, status, zone, *person, rests, unasked, outranked = facts
    reachable, welcomed, stopped = map(bool, person)
    waiting = Waiting(
        purpose,
        from_micros(deadline),
        zone,
        bool(chosen),
        campaign=True,
        rides=channel in RIDES_ON,
        running=status == "running",
        reachable=reachable,
        welcomed=welcomed,
        stopped=stopped,
        rests_until=None if rests is None else from_micros(rests),
        unasked_on=unasked,
        outranked=bool(outranked),
        counted_on=counted_on,
    )
    return judge(waiting, now, content), local(now, zone).toordinal()


def _put_off(conn: Connection, others: Mapping[Verdict, list[Any]], now: datetime) -> None:
    """What may not go now waits, is held back, or has ended. What may have arrived cannot wait
    that long: nobody would know any more whether it is said twice."""
    for verdict, rows in others.items():
        doubtful = [row.id for row in rows if row.doubtful]
        plain = [row.id for row in rows if not row.doubtful]
        over: dict[str, Any] = {"reason": verdict.why, "ended_at": now}
        if verdict.what == "wait":
            values: dict[str, Any] = {"due": verdict.until, "reason": verdict.why}
        elif verdict.what == "hold":
            values = {"status": "held", "deadline": now + RIDES_FOR, "reason": verdict.why}
        else:
            late = verdict.why.startswith("deadline")
            values = {**over, "status": "expired" if late else "cancelled"}
        for ids, set_ in ((plain, values), (doubtful, {**over, "status": "uncertain"})):
            for part in parts(ids):
                still = (outbox.c.id.in_(part), outbox.c.status == "queued")
                conn.execute(update(outbox).where(*still).values(set_))


def _afford(
    conn: Connection, going: Going, now: datetime, terms: Terms
) -> tuple[Going, dict[Purpose, int]]:
    """What the month has room for. What may have left already was counted then."""
    kept: Going = defaultdict(list)
    taken: dict[Purpose, int] = defaultdict(int)
    for group, rows in going.items():
        purpose = group[1]
        new = [row for row in rows if not row.doubtful]
        kept[group] = [row for row in rows if row.doubtful]
        may = quota.take(conn, len(new), purpose, now, terms)
        kept[group] += new[:may]
        taken[purpose] += may
        for part in parts([row.id for row in new[may:]]):
            quota.put_off(conn, part, purpose, now, terms.content)
    return {group: rows for group, rows in kept.items() if rows}, dict(taken)
