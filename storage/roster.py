"""The agency's people: units, persons, one-time codes, and linking a chat to a person."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from msgspec import convert
from msgspec.json import decode, encode
from msgspec.structs import replace
from sqlalchemy import Connection, insert, select, update

from content.schema import Role
from flows.types import Person, State
from storage.gathered import create, insert_new
from storage.looks import code_hash, grouped, new_code, person
from storage.models import addresses, claim_codes, grants, learners, persons, units

CODE_LIFE = timedelta(hours=24)


def add_unit(conn: Connection, name: str, parent: int | None = None) -> int:
    """A unit below another; its path names all units above it."""
    above = ""
    if parent is not None:
        above = conn.execute(select(units.c.path).where(units.c.id == parent)).scalar_one() + " / "
    made: int = conn.execute(
        insert(units).values(name=name, parent_id=parent, path=above + name).returning(units.c.id)
    ).scalar_one()
    return made


def add_person(conn: Connection, **columns: Any) -> int:
    made: int = conn.execute(insert(persons).values(**columns).returning(persons.c.id)).scalar_one()
    return made


def issue_code(conn: Connection, person_id: int, now: datetime) -> str:
    """A one-time code for a person, shown grouped; only its hash is kept."""
    code = new_code()
    conn.execute(
        insert(claim_codes).values(
            code_hash=code_hash(code), person_id=person_id, expires_at=now + CODE_LIFE
        )
    )
    return grouped(code)


def link(conn: Connection, person_id: int, channel: str, address: str, now: datetime) -> int:
    """Give an address to the learner who is this person, making the learner if need be."""
    learner_id = conn.execute(
        select(learners.c.id).where(learners.c.person_id == person_id)
    ).scalar()
    if learner_id is None:
        learner_id = create(conn, channel, address, now)
        row = conn.execute(select(learners.c.state).where(learners.c.id == learner_id)).one()
        known = convert(person(conn, person_id), Person)
        state = replace(decode(row.state, type=State), person=known)
        conn.execute(
            update(learners)
            .where(learners.c.id == learner_id)
            .values(person_id=person_id, state=encode(state).decode())
        )
    new = {"channel": channel, "address": address, "learner_id": learner_id, "created_at": now}
    conn.execute(insert_new(conn, addresses).values(new))
    linked: int = learner_id
    return linked


def grant(
    conn: Connection,
    person_id: int,
    role: Role,
    now: datetime,
    unit_id: int | None = None,
    **more: Any,
) -> int:
    """Give a person a role over a unit and all below it, or over the whole agency."""
    row = {"person_id": person_id, "role": role, "unit_id": unit_id, "at": now, **more}
    made: int = conn.execute(insert(grants).values(row).returning(grants.c.id)).scalar_one()
    return made


def people(conn: Connection) -> Sequence[Any]:
    """Everybody on the roster, with unit path and, for those who chat, their state."""
    return conn.execute(
        select(persons, units.c.path, learners.c.state)
        .join(units, units.c.id == persons.c.unit_id)
        .join(learners, learners.c.person_id == persons.c.id, isouter=True)
        .order_by(persons.c.id)
    ).all()


def find(conn: Connection, wanted: str) -> Any:
    """A person by HR's id or by name; None when there is none, or more than one."""
    rows = conn.execute(
        select(persons).where((persons.c.hr_id == wanted) | persons.c.name.contains(wanted))
    ).all()
    return rows[0] if len(rows) == 1 else None


MADE_UP = "DEMO-"
"""Every made-up person's id at HR begins so: only they can be played by anybody."""


def persona_address(person_id: int) -> str:
    return f"persona:{person_id}"
