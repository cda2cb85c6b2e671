"""Two learners who are one person become one, and two again. The journal holds what it takes.

Why this cannot deadlock: a turn locks its learners first, all at once and in one order, and then
waits only for the audit trail. What is here takes the audit trail first and then the two learners
without waiting: if somebody talks to one of them at this very moment, it is not done now, and the
next second tries again.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct
from msgspec.json import decode
from sqlalchemy import Column, Connection, Table, and_, delete, insert, or_, select, update

from content.schema import Content
from flows.claim import join, part
from flows.types import Fired, Found, Json
from storage import audit, notices, profiles, turns
from storage.endings import unsent
from storage.gathered import decode_state, encode, insert_new
from storage.looks import MERGE, note_link, person
from storage.models import (
    KEEPS_HISTORY,
    UNASKED,
    Moment,
    addresses,
    certificates,
    claim_tries,
    downloads,
    evidence,
    facts,
    from_micros,
    holdouts,
    learners,
    measures,
    milestones,
    outbox,
    photos,
    pictures,
    timers,
    to_micros,
    wishes,
)
from storage.models import (
    profiles as profiles_table,
)
from storage.requests import Pack
from storage.wire import Incoming, Row

_MOVED: tuple[tuple[Table, str], ...] = (
    (facts, "id"),
    (evidence, "fact_id"),
    (outbox, "id"),
    (pictures, "token"),
    (photos, "key"),
    (wishes, "id"),
    (claim_tries, "id"),
)
"""What goes from one learner to the other row by row, and the column that names a row."""
_ONCE: tuple[tuple[Table, tuple[str, ...]], ...] = (
    (milestones, ("round", "step")),
    (measures, ("round", "area")),
    (holdouts, ("occurrence_id",)),
)
"""What a learner has once: where both have it, the one who stays keeps theirs, and the other's
waits in the journal."""
_ENDED = (timers, profiles_table)
"""What ends with a learner, and is kept in the journal."""
SOME = 500
"""Rows that one statement names."""

Data = dict[str, Json]


class Done(Struct):
    """What came of it: rows to be sent, or nothing yet because somebody is busy."""

    rows: Sequence[Row] = ()
    waits: bool = False


def hold(conn: Connection, ids: Iterable[int]) -> dict[int, Any]:
    """Lock learners, oldest first, without waiting: those who are busy are not among the found."""
    wanted = select(learners).where(learners.c.id.in_(list(ids))).order_by(learners.c.id)
    rows = conn.execute(wanted.with_for_update(key_share=True, skip_locked=True))
    return {row.id: row for row in rows}


def is_merge(due: Incoming) -> bool:
    """Whether a timer is one of these, and no turn of its learner's."""
    return isinstance(due.event, Fired) and due.event.kind == MERGE


# --- one out of two ------------------------------------------------------------------------


def merge(conn: Connection, due: Incoming, now: datetime, content: Content, pack: Pack) -> Done:
    """Give the chat that has claimed a person's code to the learner who is that person.

    1. Take the audit trail, then both learners; whoever is busy is left for the next time.
    2. Move what the chat's own learner did; what cannot be moved waits in the journal.
    3. A chat on the same channel as an older one takes its place, and the older one is told.
    4. Say so in the new chat, as a turn of the learner who stays.
    """
    audit.hold(conn)
    assert isinstance(due.event, Fired)
    person_id = due.event.data["person"]
    main = conn.execute(select(learners.c.id).where(learners.c.person_id == person_id)).scalar()
    held = hold(conn, [due.learner, *([main] if main else [])])
    if len(held) < (2 if main else 1):
        return Done(waits=True)
    gone = delete(timers).where(timers.c.id == due.timer).returning(timers.c.id)
    if conn.execute(gone).first() is None:
        return Done()
    other = held[due.learner]
    to = (other.channel, other.address)
    if main is None:  # whoever was that person is not any more
        return _linked(conn, other, person_id, now, content, pack)
    stays = held[main]
    data = _moved(conn, other, stays.id, now) | _joined(conn, stays, other, content)
    what, rows = "merged", []
    if old := _others(conn, stays.id, to):
        what = "relinked"
        data |= _replaced(conn, stays.id, old, to[1], now)
        rows += notices.linked(conn, stays, old, "linked_away", to[0], now, content, pack)
    beside = [at for at in _addresses(conn, stays.id) if at != to]
    rows += notices.linked(conn, stays, beside, "linked_beside", to[0], now, content, pack)
    link = note_link(conn, person_id, stays.id, what, to[0], now, **data)
    if what == "relinked":
        notices.tell_hr(conn, person_id, link, to[0], now, content)
    said = Found("linked", {"person": person(conn, person_id), "how": what})
    return Done([*rows, *_say(conn, to, said, f"linked:{link}", now, content, pack)])


def _linked(
    conn: Connection, mine: Any, person_id: int, now: datetime, content: Content, pack: Pack
) -> Done:
    conn.execute(update(learners).where(learners.c.id == mine.id).values(person_id=person_id))
    link = note_link(conn, person_id, mine.id, "linked", mine.channel, now)
    said = Found("claim", {"person": person(conn, person_id)})
    to = (mine.channel, mine.address)
    return Done(_say(conn, to, said, f"linked:{link}", now, content, pack))


def _say(
    conn: Connection,
    to: tuple[str, str],
    said: Found,
    key: str,
    now: datetime,
    content: Content,
    pack: Pack,
) -> Sequence[Row]:
    heard = Incoming(to[0], "kaona", key, to[1], said, now)
    return turns.take(conn, [heard], now, content, pack).queued


def _addresses(conn: Connection, learner_id: int) -> list[tuple[str, str]]:
    mine = select(addresses.c.channel, addresses.c.address)
    mine = mine.where(addresses.c.learner_id == learner_id)
    mine = mine.order_by(addresses.c.created_at, addresses.c.channel, addresses.c.address)
    return [(row.channel, row.address) for row in conn.execute(mine)]


def _others(conn: Connection, learner_id: int, to: tuple[str, str]) -> list[tuple[str, str]]:
    """The other chats of a learner on the same channel."""
    return [at for at in _addresses(conn, learner_id) if at[0] == to[0] and at != to]


def _moved(conn: Connection, other: Any, to: int, now: datetime) -> Data:
    """Everything of a learner's in another's hands, and the learner gone; what it takes to undo."""
    _drop_unasked(conn, other.id, now)
    moved: Data = {table.name: _move(conn, table, key, other.id, to) for table, key in _MOVED}
    moved["certificates"] = _move_certificates(conn, other.id, to)
    moved["addresses"] = [list(at) for at in _addresses(conn, other.id)]
    kept: Data = {}
    for table, keys in _ONCE:
        moved[table.name], kept[table.name] = _move_once(conn, table, keys, other.id, to)
    conn.execute(update(addresses).where(addresses.c.learner_id == other.id).values(learner_id=to))
    conn.execute(delete(downloads).where(downloads.c.learner_id == other.id))
    for table in _ENDED:
        kept[table.name] = _plain_rows(conn, table, other.id)
        conn.execute(delete(table).where(table.c.learner_id == other.id))
    conn.execute(delete(learners).where(learners.c.id == other.id))
    was = {"id": other.id, "created_at": to_micros(other.created_at)}
    was |= {"channel": other.channel, "address": other.address}
    return {"was": was, "state": other.state, "moved": moved, "kept": kept}


def _drop_unasked(conn: Connection, learner_id: int, now: datetime) -> None:
    """What nobody asked for is said to the learner who stays, once."""
    mine = update(outbox).where(outbox.c.learner_id == learner_id, UNASKED)
    conn.execute(mine.values(unsent("cancelled", "linked", now)))


def _move(conn: Connection, table: Table, key: str, of: int, to: int) -> list[Json]:
    ids = list(conn.execute(select(table.c[key]).where(table.c.learner_id == of)).scalars())
    conn.execute(update(table).where(table.c.learner_id == of).values(learner_id=to))
    return ids


def _move_once(
    conn: Connection, table: Table, keys: tuple[str, ...], of: int, to: int
) -> tuple[list[Json], list[Json]]:
    """The keys of rows that were moved, and the rows that could not be."""
    theirs = table.alias()
    same = and_(theirs.c.learner_id == to, *(theirs.c[key] == table.c[key] for key in keys))
    clash = select(theirs.c.learner_id).where(same).exists()
    kept = _plain_rows(conn, table, of, clash)
    conn.execute(delete(table).where(table.c.learner_id == of, clash))
    mine = select(*(table.c[key] for key in keys)).where(table.c.learner_id == of)
    moved = [list(row) for row in conn.execute(mine)]
    conn.execute(update(table).where(table.c.learner_id == of).values(learner_id=to))
    return moved, kept


def _move_certificates(conn: Connection, of: int, to: int) -> list[Json]:
    """Each stays good. Where both have one of the same round, the one that came along gets a
    number below zero: only the learner's own is shown and issued again."""
    mine = select(certificates.c.code, certificates.c.round).order_by(certificates.c.round)
    found = conn.execute(mine.where(certificates.c.learner_id == of)).all()
    theirs = select(certificates.c.round).where(certificates.c.learner_id == to)
    taken = set(conn.execute(theirs).scalars())
    for row in found:
        number = row.round if row.round not in taken else min(0, *taken) - 1
        taken.add(number)
        one = update(certificates).where(certificates.c.code == row.code)
        conn.execute(one.values(learner_id=to, round=number))
    return [[row.code, row.round] for row in found]


def _joined(conn: Connection, stays: Any, other: Any, content: Content) -> Data:
    """Let the learner who stays go on with whatever has got further."""
    before = decode_state(stays.state)
    after = join(before, decode_state(other.state), content)
    if after is before:
        return {}
    _set_state(conn, stays.id, encode(after).decode())
    return {"before": stays.state}


def _set_state(conn: Connection, learner_id: int, state: str, **more: Any) -> None:
    conn.execute(update(learners).where(learners.c.id == learner_id).values(state=state, **more))


def _replaced(
    conn: Connection, learner_id: int, old: list[tuple[str, str]], new: str, now: datetime
) -> Data:
    """The old chats show nothing of the person any more: what waits for them goes to the new one,
    answers on their way are dropped, and the history that a page shows moves along."""
    turned: list[Json] = []
    for channel, address in old:
        at = and_(
            outbox.c.learner_id == learner_id,
            outbox.c.channel == channel,
            outbox.c.address == address,
            outbox.c.lane != "fetch",
        )
        waits = outbox.c.status.in_(("queued", "held"))
        drop = update(outbox).where(at, waits, outbox.c.lane == "reply")
        if channel not in KEEPS_HISTORY:
            conn.execute(drop.values(unsent("cancelled", "relinked", now)))
        shown = or_(waits, outbox.c.channel.in_(KEEPS_HISTORY))
        ids = list(conn.execute(select(outbox.c.id).where(at, shown)).scalars())
        conn.execute(update(outbox).where(at, shown).values(address=new))
        mine = and_(addresses.c.channel == channel, addresses.c.address == address)
        row = _plain(addresses, conn.execute(select(addresses).where(mine)).one())
        conn.execute(delete(addresses).where(mine))
        turned.append({"address": row, "outbox": ids})
    return {"replaced": turned}


# --- two out of one ------------------------------------------------------------------------


def unmerge(
    conn: Connection, link: Any, by: int | None, now: datetime, content: Content, pack: Pack
) -> Done:
    """Undo a merge: what came along goes back to a learner of its own, as it was, and a chat that
    had to leave comes back, unless somebody began anew there. What was done since stays."""
    audit.hold(conn)
    data = decode(link.data)
    held = hold(conn, [link.learner_id])
    if not held:
        return Done(waits=True)
    stays, moved, was = held[link.learner_id], data["moved"], data["was"]
    back = _revive(conn, was, data["state"])
    for table, key in _MOVED:
        _return(conn, table, [table.c[key]], [[id] for id in moved[table.name]], stays.id, back)
    for code, number in moved["certificates"]:
        mine = and_(certificates.c.code == code, certificates.c.learner_id == stays.id)
        conn.execute(update(certificates).where(mine).values(learner_id=back, round=number))
    for table, keys in _ONCE:
        _return(conn, table, [table.c[key] for key in keys], moved[table.name], stays.id, back)
    at = [addresses.c.channel, addresses.c.address]
    _return(conn, addresses, at, moved["addresses"], stays.id, back)
    _restore(conn, data["kept"], back, now)
    _come_back(conn, data.get("replaced", []), stays.id)
    _settle(conn, stays, data, content)
    note_link(conn, link.person_id, stays.id, "unmerged", link.channel, now, by, link=link.id)
    told = (tuple(pair) for pair in moved["addresses"])
    lang = decode_state(data["state"]).lang
    return Done(notices.say(conn, lang, told, "claim_unlinked", now, content, pack))


def _revive(conn: Connection, was: Data, state: str) -> int:
    """The learner who was taken away, under the same number if nobody else has got it since."""
    row = {**was, "created_at": from_micros(was["created_at"]), "state": state}
    taken = conn.execute(select(learners.c.id).where(learners.c.id == was["id"])).first()
    if taken:
        del row["id"]
    made: int = conn.execute(insert(learners).values(row).returning(learners.c.id)).scalar_one()
    return made


def _return(
    conn: Connection,
    table: Table,
    columns: list[Column[Any]],
    keys: Sequence[Sequence[Json]],
    of: int,
    to: int,
) -> None:
    """Give rows back that are still where they were brought to."""
    for start in range(0, len(keys), SOME):
        named = or_(
            *(
                and_(*(column == part for column, part in zip(columns, key, strict=True)))
                for key in keys[start : start + SOME]
            )
        )
        if len(columns) == 1:
            named = columns[0].in_([key[0] for key in keys[start : start + SOME]])
        mine = update(table).where(table.c.learner_id == of, named)
        conn.execute(mine.values(learner_id=to))


def _restore(conn: Connection, kept: Data, learner_id: int, now: datetime) -> None:
    """What had to wait in the journal. Timers that are long due fire at once."""
    tables = [table for table, _ in _ONCE] + list(_ENDED)
    for table in tables:
        for plain in kept[table.name]:
            row = _row(table, plain) | {"learner_id": learner_id}
            if table is timers:
                del row["id"]
                row["due"] = max(row["due"], now)
            conn.execute(insert_new(conn, table).values(row))


def _come_back(conn: Connection, turned: list[Data], learner_id: int) -> None:
    """Old chats that nobody has begun anew in belong to the learner again."""
    for each in turned:
        row = _row(addresses, each["address"])
        made = insert_new(conn, addresses).values(row | {"learner_id": learner_id})
        if conn.execute(made.returning(addresses.c.address)).first() is None:
            continue
        for start in range(0, len(each["outbox"]), SOME):
            ids = each["outbox"][start : start + SOME]
            mine = update(outbox).where(outbox.c.id.in_(ids), outbox.c.learner_id == learner_id)
            conn.execute(mine.values(address=row["address"]))


def _settle(conn: Connection, stays: Any, data: Data, content: Content) -> None:
    """The learner who stayed: on their own path again, and reached where they still are."""
    state = decode_state(stays.state)
    if data.get("before"):
        state = part(state, decode_state(data["before"]))
    at = _addresses(conn, stays.id)
    to = (stays.channel, stays.address)
    if at and to not in at:
        to = at[-1]
    _set_state(conn, stays.id, encode(state).decode(), channel=to[0], address=to[1])
    profiles.store(conn, [profiles.as_row(stays.id, *to, state, content)])
    profiles.place(conn, [stays.id])


# --- rows as JSON --------------------------------------------------------------------------


def _plain_rows(conn: Connection, table: Table, learner_id: int, *where: Any) -> list[Json]:
    mine = select(table).where(table.c.learner_id == learner_id, *where)
    return [_plain(table, row) for row in conn.execute(mine).all()]


def _plain(table: Table, row: Any) -> Data:
    """A row as JSON can hold it: moments as they are stored."""
    return {
        column.name: to_micros(value) if isinstance(value, datetime) else value
        for column, value in zip(table.c, row, strict=True)
    }


def _row(table: Table, plain: Data) -> dict[str, Any]:
    return {
        name: from_micros(value) if value is not None and _is_moment(table, name) else value
        for name, value in plain.items()
    }


def _is_moment(table: Table, name: str) -> bool:
    return isinstance(table.c[name].type, Moment)
