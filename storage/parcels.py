"""Rows of campaigns as requests: what leaves by multicast, what leaves alone, how each ended."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct
from msgspec.json import encode
from msgspec.structs import replace
from sqlalchemy import Connection, bindparam, select, text

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


class Going(Struct, frozen=True):
    """Locked rows that are alike and may go now. `day` is the day (an ordinal in their people's
    zone) that they take; `attempts` those that there have been."""

    message: int
    purpose: Purpose
    day: int
    attempts: int
    doubtful: bool
    rows: tuple[tuple[int, int, str], ...]
    """Id, learner and address of each."""

    @property
    def ids(self) -> list[int]:
        return [each[0] for each in self.rows]


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
    conn: Connection, channel: str, going: Sequence[Going], now: datetime, content: Content
) -> list[Parcel]:
    """Rows that say the same to many leave together, under a key that is stored with each of
    them. A row that is alone, or says something of its own, or may have left alone before,
    leaves alone."""
    words = messages.load(conn, {whole.message for whole in going})
    parcels: list[Parcel] = []
    for whole in going:
        request, slots = words[whole.message]
        together = channel in MULTICAST and not slots and not whole.doubtful
        for rows in parts(whole.rows):
            part = replace(whole, rows=rows)
            if together and len(rows) > 1:
                chunk = new_key(now)
                _mark(conn, part, chunk, now)
                parcels.append(_multicast(channel, [part], request, chunk, now))
            else:
                parcels += _singles(conn, channel, part, (request, slots), now, content)
    return parcels


def repeated(
    conn: Connection, channel: str, going: Sequence[Going], now: datetime, chunk: str
) -> list[Parcel]:
    """The same multicast once more: one request, or LINE would take the second for a repeat."""
    if not going:
        return []
    for whole in going:
        _mark(conn, whole, chunk, now)
    message = going[0].message
    request, _ = messages.load(conn, [message])[message]
    return [_multicast(channel, going, request, chunk, now)]


def _multicast(
    channel: str, going: Sequence[Going], request: Request, chunk: str, now: datetime
) -> Parcel:
    first = going[0]
    row = Row(
        0,
        chunk,
        channel,
        "",
        "campaign",
        request,
        first.attempts + 1,
        first.doubtful,
        chunk=chunk,
    )
    ids, _, to = zip(*(each for whole in going for each in whole.rows), strict=True)
    return Parcel(row, ids, to, first.purpose, now)


def _singles(
    conn: Connection,
    channel: str,
    whole: Going,
    words: messages.Words,
    now: datetime,
    content: Content,
) -> list[Parcel]:
    _mark(conn, whole, "", now)
    values = _values(conn, whole, words[1], content)
    keys = {row.id: row.key for row in conn.execute(_KEYS, {"ids": whole.ids})}
    parcels = []
    for row_id, learner, address in whole.rows:
        request = messages.fill(words, values.get(learner, {}))
        row = Row(
            row_id,
            keys[row_id],
            channel,
            address,
            "campaign",
            request,
            whole.attempts + 1,
            whole.doubtful,
        )
        parcels.append(Parcel(row, (row_id,), (address,), whole.purpose, now))
    if channel in KEEPS_HISTORY:  # its page reads the words from the rows
        said = [
            {"id": parcel.row.id, "payload": encode(parcel.row.request).decode()}
            for parcel in parcels
        ]
        update_many(conn, outbox, said)
    return parcels


_KEYS = select(outbox.c.id, outbox.c.key).where(outbox.c.id.in_(bindparam("ids", expanding=True)))
_MARK = """
update outbox set status = 'sending', attempts = attempts + 1, lease_until = :lease,
    counted_on = :day, chunk = :chunk
where id {among} and status = 'queued'
"""
_COUNT = "update profiles set unasked_on = :day where learner_id {among}"


def _mark(conn: Connection, whole: Going, chunk: str, now: datetime) -> None:
    """With the sender, and this day of their people's taken."""
    lease, day = to_micros(now + LEASE), whole.day
    values = {"ids": named(conn, whole.ids), "lease": lease, "day": day, "chunk": chunk}
    conn.execute(text(_MARK.format(among=among(conn))), values)
    people = {"ids": named(conn, [each[1] for each in whole.rows]), "day": day}
    conn.execute(text(_COUNT.format(among=among(conn))), people)


def _values(
    conn: Connection, whole: Going, slots: Sequence[str], content: Content
) -> dict[int, dict[str, str]]:
    """What is filled in for each person: their name, their unit, the step they are at."""
    if not slots:
        return {}
    steps = {step.id: step.name for step in content.method.steps}
    found: dict[int, dict[str, str]] = {}
    columns = (profiles.c.learner_id, profiles.c.lang, profiles.c.step)
    people = (
        select(*columns, persons.c.name, units.c.name.label("unit"))
        .join(persons, persons.c.id == profiles.c.person_id, isouter=True)
        .join(units, units.c.id == persons.c.unit_id, isouter=True)
        .where(profiles.c.learner_id.in_([each[1] for each in whole.rows]))
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
