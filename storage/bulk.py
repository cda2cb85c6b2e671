"""Rows of campaigns, by the thousand: found, judged together, grouped into multicasts, ended.

A statement here works on thousands of rows: they are named by one parameter, whatever their
number, and what is the same for many of them is decided once.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct
from msgspec.json import decode
from msgspec.structs import replace
from sqlalchemy import Connection, TextClause, select, text, update

from content.schema import Content
from flows.calendar import local
from flows.gate import RANKS, Verdict, Waiting, judge
from flows.types import Purpose
from storage import quota
from storage.admission import RIDES_ON, put_off
from storage.models import (
    OPEN,
    from_micros,
    outbox,
    to_micros,
)
from storage.parcels import Going, Parcel, among, named, pack, parts, repeated
from storage.quota import Terms
from storage.wire import Outcome, Request, Row

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
# What is found comes in a few rows, with lists in them: for each row, the driver gives the
# interpreter away, and others are waiting for it.

_FIND = """
select due, chunk, {list}(id) as ids from (
    select due, chunk, id from outbox
    where status in ('queued', 'sending') and channel = :channel and lane = 'campaign'
        and status = 'queued' and due <= :now and (due, id) > (:after_due, :after_id)
        and occurrence_id in (select id from occurrences where status in ('running', 'cancelled'))
    order by due, id limit :limit
) as found group by due, chunk
"""
_LIST = {"sqlite": "json_group_array", "postgresql": "array_agg"}


def find(conn: Connection, channel: str, now: datetime, after: Cursor, limit: int) -> Found:
    """Rows that are due, the oldest first, of sendings that run or were cancelled: all others'
    are left as they are. For a reader: the search may be long, and must not keep the writer."""
    values = {
        "channel": channel,
        "now": to_micros(now),
        "after_due": after[0],
        "after_id": after[1],
        "limit": limit,
    }
    ids: list[int] = []
    chunks: dict[str, int] = {}
    last = after
    for due, chunk, some in conn.execute(_query(conn, _FIND), values):
        found = listed(some)
        last = max(last, (due, max(found)))
        if chunk:
            chunks[chunk] = due
        else:
            ids += found
    return Found(ids, chunks, last)


def _query(conn: Connection, query: str) -> TextClause:
    engine = conn.dialect.name
    return text(query.format(list=_LIST[engine], lock=_LOCK[engine], among=among(conn)))


def listed(some: Any) -> list[Any]:
    """A list that an engine has made: JSON on SQLite."""
    return decode(some) if isinstance(some, str) else list(some)


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
_LOCKED = f"""
with wanted as (
    select o.id, o.learner_id, o.address, o.message_id, o.attempts, o.doubtful,
        case when o.doubtful then o.due else 0 end as lost_at,
        o.purpose, o.chosen, o.deadline, o.counted_on, c.status,
        p.zone, p.reachable, p.welcomed, p.stopped, p.restricted, p.rests_until, p.unasked_on,
        exists (
            select 1 from outbox b
            where b.learner_id = o.learner_id and b.status in ('queued', 'held')
                and b.purpose <> 'reply' and b.status = 'queued' and b.due <= :now
                and case b.purpose {_RANK} end < case o.purpose {_RANK} end
        ) as outranked
    from outbox o
    join profiles p on p.learner_id = o.learner_id
    join occurrences c on c.id = o.occurrence_id
    where o.id {{among}} and o.status = 'queued' and c.status in ('running', 'cancelled')
    {{lock}}
)
select message_id, attempts, doubtful, lost_at, purpose, chosen, deadline, counted_on, status,
    zone, reachable, welcomed, stopped, restricted, rests_until, unasked_on, outranked,
    {{list}}(id) as ids, {{list}}(learner_id) as learners, {{list}}(address) as addresses
from wanted
group by message_id, attempts, doubtful, lost_at, purpose, chosen, deadline, counted_on, status,
    zone, reachable, welcomed, stopped, restricted, rests_until, unasked_on, outranked
"""
_LOCK = {"sqlite": "", "postgresql": "for no key update of o, p skip locked"}


def _locked(conn: Connection, ids: Iterable[int], now: datetime) -> Sequence[Any]:
    """Rows as they are now, with their people: those that are alike in everything as one. A row
    that somebody else is at, in a conversation, is left out: nobody waits here for anybody."""
    values = {"ids": named(conn, ids), "now": to_micros(now)}
    return conn.execute(_query(conn, _LOCKED), values).all()


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
    taken: Mapping[Purpose, int] = {}
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
    if sum(len(listed(row.ids)) for row in rows) < len(ids):
        return Claimed()
    going, others = _judge(rows, channel, now, terms.content)
    _put_off(conn, others, now)
    return Claimed(repeated(conn, channel, going, now, chunk))


Others = Sequence[tuple[Verdict, Going]]


def _judge(
    rows: Sequence[Any], channel: str, now: datetime, content: Content
) -> tuple[list[Going], list[tuple[Verdict, Going]]]:
    """What becomes of rows. The second of two for one person is left for the next time."""
    going: list[Going] = []
    others: list[tuple[Verdict, Going]] = []
    today: set[int] = set()
    for row in rows:
        verdict = _judged(row, channel, now, content)
        if row.doubtful and row.lost_at < to_micros(now - FORGOTTEN):
            verdict = Verdict("drop", "forgotten")
        whole = Going(
            row.message_id,
            row.purpose,
            local(now, row.zone).toordinal(),
            row.attempts,
            bool(row.doubtful),
            tuple(zip(listed(row.ids), listed(row.learners), listed(row.addresses), strict=True)),
        )
        if verdict.what != "go":
            others.append((verdict, whole))
            continue
        if not today.isdisjoint(each[1] for each in whole.rows):
            whole = replace(whole, rows=tuple(each for each in whole.rows if each[1] not in today))
        today.update(each[1] for each in whole.rows)
        going.append(whole)
    return going, others


def _judged(row: Any, channel: str, now: datetime, content: Content) -> Verdict:
    waiting = Waiting(
        row.purpose,
        from_micros(row.deadline),
        row.zone,
        bool(row.chosen),
        campaign=True,
        rides=channel in RIDES_ON,
        running=row.status == "running",
        reachable=bool(row.reachable),
        welcomed=bool(row.welcomed),
        stopped=bool(row.stopped),
        restricted=bool(row.restricted),
        rests_until=None if row.rests_until is None else from_micros(row.rests_until),
        unasked_on=row.unasked_on,
        outranked=bool(row.outranked),
        counted_on=row.counted_on,
    )
    return judge(waiting, now, content)


def _put_off(conn: Connection, others: Others, now: datetime) -> None:
    for verdict, whole in others:
        values = put_off(verdict, whole.doubtful, now)
        for part in parts(whole.ids):
            still = (outbox.c.id.in_(part), outbox.c.status == "queued")
            conn.execute(update(outbox).where(*still).values(values))


def _afford(
    conn: Connection, going: Sequence[Going], now: datetime, terms: Terms
) -> tuple[list[Going], dict[Purpose, int]]:
    """What the month has room for. What may have left already was counted then."""
    kept: list[Going] = []
    taken: Counter[Purpose] = Counter()
    for whole in going:
        may = len(whole.rows)
        if not whole.doubtful:
            may = quota.take(conn, may, whole.purpose, now, terms.after(taken))
            taken[whole.purpose] += may
        for part in parts(whole.ids[may:]):
            quota.put_off(conn, part, whole.purpose, now, terms.content)
        if may:
            kept.append(replace(whole, rows=whole.rows[:may]))
    return kept, taken
