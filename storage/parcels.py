"""Rows of campaigns as requests: what leaves by multicast, what leaves alone, how each ended."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct
from msgspec.json import encode
from sqlalchemy import Connection, select, text

from content.schema import Content
from flows.types import Purpose
from storage import messages, quota
from storage.many import update_many
from storage.models import KEEPS_HISTORY, outbox, persons, profiles, to_micros, units
from storage.outbox import LEASE
from storage.requests import new_key
from storage.wire import Outcome, Request, Row

MULTICAST = ("line",)
"""Channels where one request may go to many."""
TOGETHER = 500
"""People in one request."""


class Parcel(Struct, frozen=True):
    """Rows that leave by one request."""

    row: Row
    """What is sent. Of a multicast: its retry key, and nobody's address."""
    ids: tuple[int, ...]
    to: tuple[str, ...]
    purpose: Purpose
    claimed: datetime


Group = tuple[int, Purpose, int, int]
"""Message, purpose, the day (an ordinal in the people's zone) that it takes of them, and how
often the rows have been attempted."""
Going = Mapping[Group, list[Any]]
"""Locked rows that may go now."""

# --- any number of ids as one parameter ----------------------------------------------


def among(conn: Connection) -> str:
    if conn.dialect.name == "sqlite":
        return "in (select value from json_each(:ids))"
    return "= any(cast(:ids as bigint[]))"


def named(conn: Connection, ids: Iterable[int]) -> Any:
    return encode(list(ids)).decode() if conn.dialect.name == "sqlite" else list(ids)


def parts(rows: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (rows[at : at + TOGETHER] for at in range(0, len(rows), TOGETHER))


# --- packing -------------------------------------------------------------------------


def pack(
    conn: Connection, channel: str, going: Going, now: datetime, content: Content
) -> list[Parcel]:
    """Rows that say the same to many leave together, under a key that is stored with each of
    them. A row that is alone, or says something of its own, or may have left alone before,
    leaves alone."""
    words = messages.load(conn, {message for message, *_ in going})
    parcels: list[Parcel] = []
    for group, rows in going.items():
        request, slots = words[group[0]]
        many = channel in MULTICAST and not slots
        alone = [row for row in rows if not many or row.doubtful]
        for part in parts([row for row in rows if many and not row.doubtful]):
            if len(part) == 1:
                alone += part
                continue
            chunk = new_key(now)
            _mark(conn, part, group, chunk, now)
            parcels.append(_multicast(channel, part, request, chunk, group[1], now))
        if alone:
            parcels += _singles(conn, channel, group, alone, (request, slots), now, content)
    return parcels


def repeated(
    conn: Connection, channel: str, going: Going, now: datetime, chunk: str
) -> list[Parcel]:
    """The same multicast once more: one request, or LINE would take the second for a repeat."""
    if not going:
        return []
    for group, rows in going.items():
        _mark(conn, rows, group, chunk, now)
    (message, purpose, *_), *_ = going
    request, _ = messages.load(conn, [message])[message]
    whole = [row for rows in going.values() for row in rows]
    return [_multicast(channel, whole, request, chunk, purpose, now)]


def _multicast(
    channel: str,
    rows: Sequence[Any],
    request: Request,
    chunk: str,
    purpose: Purpose,
    now: datetime,
) -> Parcel:
    attempts, doubtful = rows[0].attempts + 1, bool(rows[0].doubtful)
    row = Row(0, chunk, channel, "", "campaign", request, attempts, doubtful, chunk=chunk)
    ids, to = tuple(row.id for row in rows), tuple(row.address for row in rows)
    return Parcel(row, ids, to, purpose, now)


def _singles(
    conn: Connection,
    channel: str,
    group: Group,
    rows: Sequence[Any],
    words: messages.Words,
    now: datetime,
    content: Content,
) -> list[Parcel]:
    _mark(conn, rows, group, "", now)
    values = _values(conn, rows, words[1], content)
    parcels = []
    for one in rows:
        request = messages.fill(words, values.get(one.learner_id, {}))
        row = Row(
            one.id,
            one.key,
            channel,
            one.address,
            "campaign",
            request,
            one.attempts + 1,
            bool(one.doubtful),
        )
        parcels.append(Parcel(row, (one.id,), (one.address,), group[1], now))
    if channel in KEEPS_HISTORY:  # its page reads the words from the rows
        said = [
            {"id": parcel.row.id, "payload": encode(parcel.row.request).decode()}
            for parcel in parcels
        ]
        update_many(conn, outbox, said)
    return parcels


_MARK = """
update outbox set status = 'sending', attempts = attempts + 1, lease_until = :lease,
    counted_on = :day, chunk = :chunk
where id {among} and status = 'queued'
"""
_COUNT = "update profiles set unasked_on = :day where learner_id {among}"


def _mark(conn: Connection, rows: Sequence[Any], group: Group, chunk: str, now: datetime) -> None:
    """With the sender, and this day of their people's taken."""
    lease, day = to_micros(now + LEASE), group[2]
    ids = named(conn, [row.id for row in rows])
    values = {"ids": ids, "lease": lease, "day": day, "chunk": chunk}
    conn.execute(text(_MARK.format(among=among(conn))), values)
    people = {"ids": named(conn, [row.learner_id for row in rows]), "day": day}
    conn.execute(text(_COUNT.format(among=among(conn))), people)


def _values(
    conn: Connection, rows: Sequence[Any], slots: Sequence[str], content: Content
) -> dict[int, dict[str, str]]:
    """What is filled in for each person: their name, their unit, the step they are at."""
    if not slots:
        return {}
    steps = {step.id: step.name for step in content.method.steps}
    found: dict[int, dict[str, str]] = {}
    for part in parts(rows):
        who = [row.learner_id for row in part]
        columns = (profiles.c.learner_id, profiles.c.lang, profiles.c.step)
        people = (
            select(*columns, persons.c.name, units.c.name.label("unit"))
            .join(persons, persons.c.id == profiles.c.person_id, isouter=True)
            .join(units, units.c.id == persons.c.unit_id, isouter=True)
            .where(profiles.c.learner_id.in_(who))
        )
        for row in conn.execute(people):
            step = steps[row.step].of(row.lang) if row.step in steps else ""
            found[row.learner_id] = {"name": row.name or "", "unit": row.unit or "", "step": step}
    return found


# --- ending --------------------------------------------------------------------------

_FINISH = """
update outbox set status = :status, reason = :reason, doubtful = :doubtful, lease_until = null,
    due = case when :waits then :due else due end, ended_at = :ended,
    chunk = case when :keeps then chunk else '' end
where id {among} and status = 'sending' and attempts = :attempts
"""


def finish(
    conn: Connection,
    ended: Sequence[tuple[Parcel, Outcome]],
    now: datetime,
    content: Content,
) -> None:
    """Note how multicasts ended, in one statement for all that ended alike. One that was
    certainly sent to nobody is taken apart; one that may have arrived stays together."""
    alike: dict[tuple[Any, ...], list[int]] = defaultdict(list)
    for parcel, outcome in ended:
        doubtful = outcome.doubtful or parcel.row.doubtful
        if outcome.status in ("failed", "retry") and not doubtful:
            quota.give_back(conn, len(parcel.ids), parcel.claimed)
        if (outcome.status, outcome.reason) == ("failed", "quota"):
            quota.put_off(conn, parcel.ids, parcel.purpose, now, content)
            continue
        key = (outcome.status, outcome.reason, doubtful, outcome.wait, parcel.row.attempts)
        alike[key] += parcel.ids
    for (status, reason, doubtful, wait, attempts), ids in alike.items():
        waits = status == "retry"
        values = {
            "ids": named(conn, ids),
            "status": "queued" if waits else status,
            "reason": reason,
            "doubtful": doubtful,
            "waits": waits,
            "due": to_micros(now + timedelta(seconds=wait)),
            "ended": None if waits else to_micros(now),
            "keeps": doubtful or not waits,
            "attempts": attempts,
        }
        conn.execute(text(_FINISH.format(among=among(conn))), values)
