"""Very many learners at once, and a campaign to them, written straight into the tables."""

import re
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

from msgspec.structs import replace
from sqlalchemy import Connection, insert, text

from benchmarks.fill import HEX, NUMBERS
from content.schema import Campaign, Content
from flows.types import Choice, Purpose, Reply, State
from storage import messages, profiles, roster
from storage.database import Database
from storage.gathered import encode
from storage.many import insert_many
from storage.models import addresses, campaigns, learners, occurrences, persons, to_micros, units

Learner = tuple[str, str, State]
"""Channel, address, state."""
CHUNK = 5000
BANGKOK_FRIDAY = datetime.fromisoformat("2026-11-20T09:00:00+07:00")
"""A working day, at nine."""


def settle(db: Database, many: Iterable[Learner], content: Content, now: datetime) -> None:
    """Learners with their addresses and profiles; ids in this order, from 1."""
    rows: list[Learner] = list(many)
    with db.write() as conn:
        for at in range(0, len(rows), CHUNK):
            part = list(enumerate(rows[at : at + CHUNK], at + 1))
            insert_many(conn, learners, [_learner(n, who, now) for n, who in part])
            insert_many(conn, addresses, [_address(n, who, now) for n, who in part])
            profiles.store(conn, [profiles.as_row(n, *who, content) for n, who in part])
        if not db.sqlite:
            conn.execute(text("select setval('learners_id_seq', :n)"), {"n": len(rows)})


def _learner(number: int, who: Learner, now: datetime) -> dict[str, Any]:
    channel, address, state = who
    made = {"id": number, "created_at": now, "channel": channel, "address": address}
    return {**made, "state": encode(replace(state, seed=number)).decode()}


def _address(number: int, who: Learner, now: datetime) -> dict[str, Any]:
    return {"channel": who[0], "address": who[1], "learner_id": number, "created_at": now}


def address(channel: str, number: int) -> str:
    return f"U{number:032x}" if channel == "line" else str(10_000_000 + number)


def people(channel: str, many: int, state: State, first: int = 1) -> Iterator[Learner]:
    for number in range(first, first + many):
        yield channel, address(channel, number), state


def populate(db: Database, many: int, channel: str, state: State, content: Content) -> None:
    """Like `settle`, for a million: the same state for all, by statements of the database's."""
    now, first = to_micros(BANGKOK_FRIDAY), profiles.as_row(0, channel, "", state, content)
    numbers = NUMBERS[db.sqlite]
    where = HEX[db.sqlite] if channel == "line" else "cast(10000000 + i as text)"
    kept = {k: v for k, v in first.items() if k not in ("learner_id", "channel", "address")}
    into = ", ".join(kept)
    marks = ", ".join(f":{name}" for name in kept)
    inserts = (
        "insert into learners (id, created_at, channel, address, state)"
        f" select i, :now, :channel, {where}, :state from ({numbers}) as n",
        "insert into addresses (channel, address, learner_id, created_at)"
        f" select :channel, {where}, i, :now from ({numbers}) as n",
        f"insert into profiles (learner_id, channel, address, {into})"
        f" select i, :channel, {where}, {marks} from ({numbers}) as n",
    )
    given = {"now": now, "channel": channel, "state": encode(state).decode(), **kept}
    for start in range(1, many + 1, 100_000):
        span = {"first": start, "last": min(start + 99_999, many)}
        with db.write() as conn:
            for insert_all in inserts:
                conn.execute(text(insert_all), {**given, **span})
    with db.write() as conn:
        conn.execute(text("analyze"))


def officers(conn: Connection) -> tuple[str, str]:
    """Two people of HR, by their ids there: one who writes campaigns, one who approves them."""
    unit = conn.execute(
        insert(units).values(name="HR", path="HR").returning(units.c.id)
    ).scalar_one()
    for hr_id in ("hr1", "hr2"):
        made = roster.add_person(conn, hr_id=hr_id, name=hr_id, unit_id=unit)
        roster.grant(conn, made, "hr", BANGKOK_FRIDAY)
    return "hr1", "hr2"


def written(said: str, purpose: str, hours: int, **more: Any) -> Campaign:
    """A campaign as HR writes it."""
    both = {"th": said, "en": said}
    message = {"text": both, "label": {"th": "ไปต่อ", "en": "Go on"}, "action": "go"}
    given = {"id": "made", "name": both, "purpose": purpose, "message": message}
    return Campaign.model_validate({**given, "deadline_hours": hours, **more})


def campaign(
    conn: Connection,
    said: str,
    now: datetime,
    *,
    purpose: Purpose = "mandatory",
    hours: int = 24,
) -> int:
    """A sending to everybody that runs, with all its rows; its id."""
    by = conn.execute(persons.select().limit(1)).first() or _officer(conn)
    spec = written(said, purpose, hours).model_dump_json(by_alias=True)
    head = {"name": said, "spec": spec, "status": "approved", "created_at": now}
    made = insert(campaigns).values(author_id=by.id, **head).returning(campaigns.c.id)
    parent = conn.execute(made).scalar_one()
    row = {"campaign_id": parent, "due": now, "status": "running", "created_at": now}
    sending: int = conn.execute(
        insert(occurrences).values(row).returning(occurrences.c.id)
    ).scalar_one()
    button = Choice(f"c{sending}.go", "ไปต่อ", "*")
    reply = Reply(said, (button,), notify=True, purpose=purpose)
    message = messages.keep(conn, (reply,), re.findall(r"{(\w+)}", said))
    conn.execute(
        text(
            "insert into outbox (key, learner_id, channel, address, lane, payload, created_at,"
            " due, deadline, status, purpose, occurrence_id, message_id)"
            " select :sending || ':' || learner_id, learner_id, channel, address, 'campaign',"
            " '{}', :now, :now, :deadline, 'queued', :purpose, cast(:sending as bigint), :message"
            " from profiles order by learner_id"
        ),
        {
            "sending": str(sending),
            "now": to_micros(now),
            "deadline": to_micros(now + timedelta(hours=hours)),
            "purpose": purpose,
            "message": message,
        },
    )
    return sending


def _officer(conn: Connection) -> Any:
    officers(conn)
    return conn.execute(persons.select().limit(1)).one()


def approved(
    conn: Connection,
    said: str,
    due: datetime,
    purpose: str = "mandatory",
    hours: int = 24,
    **more: Any,
) -> int:
    """A campaign that goes out at `due`, and then once a month; the ticker does the rest."""
    by = conn.execute(persons.select().limit(1)).first() or _officer(conn)
    monthly = {"every": "month", "day_of_month": 1, "time": "09:00"}
    spec = written(said, purpose, hours, **{"schedule": monthly, **more})
    row = {
        "name": said,
        "spec": spec.model_dump_json(by_alias=True),
        "status": "approved",
        "author_id": by.id,
        "created_at": due,
        "next_due": due,
    }
    made: int = conn.execute(insert(campaigns).values(row).returning(campaigns.c.id)).scalar_one()
    return made
