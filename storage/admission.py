"""The gate applied: what wants to go out unasked, its person and its campaign, judged and noted."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from msgspec.structs import replace
from sqlalchemy import Connection, case, func, select, update

from content.schema import Content
from flows.calendar import local
from flows.gate import RANKS, RIDES_FOR, Verdict, Waiting, judge
from storage import profiles as kept
from storage.models import UNASKED, occurrences, outbox, persons, profiles

RIDES_ON = ("line",)
"""Channels where a reply is free and a push is not."""
_RANK = case(RANKS, value=outbox.c.purpose)

_COLUMNS = (
    outbox.c.id,
    outbox.c.key,
    outbox.c.learner_id,
    outbox.c.channel,
    outbox.c.lane,
    outbox.c.purpose,
    outbox.c.chosen,
    outbox.c.deadline,
    outbox.c.counted_on,
    outbox.c.doubtful,
    profiles.c.zone,
    profiles.c.reachable,
    profiles.c.welcomed,
    profiles.c.stopped,
    profiles.c.restricted,
    profiles.c.nudges,
    profiles.c.rests_until,
    profiles.c.unasked_on,
    persons.c.left_on,
    occurrences.c.status.label("running"),
)


def admit(conn: Connection, keys: Sequence[str], now: datetime, content: Content) -> set[str]:
    """Of rows that nobody asked for, the keys that may go now; the others wait, are held back
    or have ended."""
    whose = select(outbox.c.learner_id).where(outbox.c.key.in_(keys))
    kept.fill(conn, content, only=whose)
    rows = conn.execute(
        select(*_COLUMNS)
        .select_from(outbox)
        .join(profiles, profiles.c.learner_id == outbox.c.learner_id, isouter=True)
        .join(persons, persons.c.id == profiles.c.person_id, isouter=True)
        .join(occurrences, occurrences.c.id == outbox.c.occurrence_id, isouter=True)
        .where(outbox.c.key.in_(keys), outbox.c.status == "queued")
        .order_by(_RANK, outbox.c.id)
    ).all()
    return _judged(conn, rows, now, content)


def _judged(conn: Connection, rows: Sequence[Any], now: datetime, content: Content) -> set[str]:
    best = _best(conn, {row.learner_id for row in rows}, now)
    today: dict[int, int] = {}
    going: set[str] = set()
    counted: defaultdict[int, list[Any]] = defaultdict(list)
    for row in rows:
        waiting = _waiting(row, best, today.get(row.learner_id, row.unasked_on or 0), now)
        verdict = judge(waiting, now, content)
        if verdict.what != "go":
            still = (outbox.c.id == row.id, outbox.c.status == "queued")
            conn.execute(update(outbox).where(*still).values(put_off(verdict, row.doubtful, now)))
            continue
        going.add(row.key)
        if row.purpose in RANKS or row.chosen:  # what they asked for themselves counts, too
            day = local(now, waiting.zone).toordinal()
            today[row.learner_id] = day
            counted[day].append(row)
    for day, taking in counted.items():
        _count(conn, taking, day)
    return going


def _best(conn: Connection, learners: set[int], now: datetime) -> dict[int, int]:
    """The rank of the most important thing that is due to each learner."""
    ranked = (
        select(outbox.c.learner_id, func.min(_RANK))
        .where(
            outbox.c.learner_id.in_(learners),
            UNASKED,
            outbox.c.status == "queued",
            outbox.c.due <= now,
        )
        .group_by(outbox.c.learner_id)
    )
    return {learner: rank for learner, rank in conn.execute(ranked) if rank is not None}


def _waiting(row: Any, best: dict[int, int], unasked_on: int, now: datetime) -> Waiting:
    rank = RANKS.get(row.purpose)
    made = Waiting(
        row.purpose,
        row.deadline,
        chosen=row.chosen,
        campaign=row.lane == "campaign",
        rides=row.channel in RIDES_ON,
        departed=0 < (row.left_on or 0) <= local(now).toordinal(),
        running=row.running in (None, "running"),
        unasked_on=unasked_on,
        outranked=rank is not None and best.get(row.learner_id, rank) < rank,
        counted_on=row.counted_on,
    )
    if row.zone is None:  # nobody's: not even a profile
        return made
    names = ("zone", "reachable", "welcomed", "stopped", "restricted", "nudges", "rests_until")
    return replace(made, **{name: getattr(row, name) for name in names})


def _count(conn: Connection, rows: Sequence[Any], day: int) -> None:
    """These rows take their learners' place in the day (its ordinal)."""
    mine = outbox.c.id.in_([row.id for row in rows])
    conn.execute(update(outbox).where(mine).values(counted_on=day))
    theirs = profiles.c.learner_id.in_([row.learner_id for row in rows])
    conn.execute(update(profiles).where(theirs).values(unasked_on=day))


def put_off(verdict: Verdict, doubtful: bool, now: datetime) -> dict[str, Any]:
    """What becomes of a row that may not go now, as columns: it waits, is held back, or has
    ended. What may have arrived cannot wait that long: by then nobody would know any more whether
    it is said twice."""
    if doubtful:
        return {"status": "uncertain", "reason": verdict.why, "ended_at": now}
    match verdict.what:
        case "wait":
            return {"due": verdict.until, "reason": verdict.why}
        case "hold":
            return {"status": "held", "deadline": now + RIDES_FOR, "reason": verdict.why}
        case _:
            late = verdict.why.startswith("deadline")
            status = "expired" if late else "cancelled"
            return {"status": status, "reason": verdict.why, "ended_at": now, "payload": "{}"}
