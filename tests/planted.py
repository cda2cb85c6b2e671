"""Somebody with a row in every table that can be about a person, every text in it marked, so that
whatever is left of them can be found; made from the schema, so that no new column is missed."""

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from msgspec import Struct
from msgspec.json import encode
from sqlalchemy import Boolean, Column, Connection, Float, Table, Text, insert, select

from content.schema import Content, DataTable
from flows.types import Person, State, Wrote
from storage import roster
from storage.models import (
    Moment,
    campaigns,
    facts,
    imports,
    learners,
    metadata,
    occurrences,
    publications,
)

NOW = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)
FIXED: dict[str, Any] = {"status": "accepted", "kind": "answered", "ended_as": "done"}
"""What must be a word that the system knows."""
_numbers = itertools.count(1)


class Agency(Struct, frozen=True):
    """What planted people refer to."""

    unit: int
    boss: int
    officer: int
    """The learner who is the boss."""
    occurrence: int
    upload: int


class Planted(Struct, frozen=True):
    mark: str
    hr_id: str
    person: int
    learner: int
    address: str
    fact: int


def agency(conn: Connection) -> Agency:
    """A unit with its head, who is an officer of HR and chats on the web."""
    number = next(_numbers)
    unit = roster.add_unit(conn, f"กอง {number}")
    boss = roster.add_person(conn, hr_id=f"boss{number}", name="หัวหน้า", unit_id=unit)
    roster.grant(conn, boss, "hr", NOW)
    officer = roster.link(conn, boss, "web", f"boss{number}", NOW)
    campaign = {"name": "c", "spec": "{}", "status": "done", "author_id": boss, "created_at": NOW}
    made = conn.execute(insert(campaigns).values(campaign).returning(campaigns.c.id)).scalar_one()
    sending = {"campaign_id": made, "due": NOW, "status": "done", "created_at": NOW}
    sent = insert(occurrences).values(sending).returning(occurrences.c.id)
    upload = {"at": NOW, "by_id": boss, "file_hash": "f", "counts": "{}"}
    took = insert(imports).values(upload).returning(imports.c.id)
    if conn.execute(select(publications.c.number)).first() is None:
        conn.execute(insert(publications).values(number=1, day=1, at=NOW))
    occurrence, taken = conn.execute(sent).scalar_one(), conn.execute(took).scalar_one()
    return Agency(unit, boss, officer, occurrence, taken)


def plant(conn: Connection, where: Agency, content: Content, at: datetime = NOW) -> Planted:
    """One person, marked in every column of every table that is about them."""
    number = next(_numbers)
    mark = f"MARK{number:06d}"
    unit, boss = where.unit, where.boss
    row = {"hr_id": f"{mark}-hr", "name": f"{mark} ใจดี", "unit_id": unit, "supervisor_id": boss}
    person = roster.add_person(conn, **row, position_type=mark, title=mark, level=mark, kind=mark)
    address = f"{mark}-address"
    me = Person(person, f"{mark} ใจดี", "กอง")
    state = State(number, person=me, name=Wrote(mark), welcomed=True, heard_at=at)
    new = {"person_id": person, "created_at": at, "channel": "web", "address": address}
    new["state"] = encode(state).decode()
    learner = conn.execute(insert(learners).values(new).returning(learners.c.id)).scalar_one()
    first = {"learner_id": learner, "at": at, "kind": "asked_hr"}
    first["data"] = encode(
        {"question": {"text": f"{mark} ถามว่าลาอย่างไร", "message": mark}}
    ).decode()
    fact = conn.execute(insert(facts).values(first).returning(facts.c.id)).scalar_one()
    made = Planted(mark, f"{mark}-hr", person, learner, address, fact)
    for each in content.register_.tables:
        if each.personal and each.name not in ("persons", "learners"):
            table = metadata.tables[each.name]
            conn.execute(insert(table).values(_row(table, each, made, where, at)))
    return made


def _row(
    table: Table, each: DataTable, who: Planted, where: Agency, at: datetime
) -> dict[str, Any]:
    """A row about somebody, every column filled."""
    own = {each.learner: who.learner, each.person: who.person, each.address: who.address}
    own |= {each.target: f"person:{who.person}"}
    known = {
        "units.id": where.unit,
        "persons.id": where.boss,
        "learners.id": who.learner,
        "facts.id": who.fact,
        "occurrences.id": where.occurrence,
        "imports.id": where.upload,
        "publications.number": 1,
    }
    made: dict[str, Any] = {}
    for column in table.columns:
        if column.name in own and own[column.name] is not None:
            made[column.name] = own[column.name]
        elif column.foreign_keys:
            made[column.name] = known[next(iter(column.foreign_keys)).target_fullname]
        elif column.name != "id":
            made[column.name] = _value(table, column, who, at)
    return made


def _value(table: Table, column: Column[Any], who: Planted, at: datetime) -> Any:
    if column.name == "address":
        return who.address
    if column.name in ("hash", "code_hash", "role", "source"):
        return {"role": "manager", "source": "hand"}.get(column.name, uuid4().hex)
    if column.name in FIXED and table.name in ("outbox", "facts", "evidence", "wishes"):
        return FIXED[column.name]
    if isinstance(column.type, Moment):
        return at + timedelta(minutes=len(column.name))
    if isinstance(column.type, Boolean):
        return True
    if isinstance(column.type, Float):
        return 0.5
    if isinstance(column.type, Text) and column.name in (
        "data",
        "payload",
        "event",
        "picture",
        "detail",
    ):
        return encode({"text": f"{who.mark} {table.name}.{column.name}"}).decode()
    if column.type.python_type is str:
        return f"{who.mark}{column.name}"[: getattr(column.type, "length", None) or 40]
    return next(_numbers)


def dump(conn: Connection) -> str:
    """Every row of every table."""
    return "\n".join(
        str(row) for table in metadata.sorted_tables for row in conn.execute(select(table)).all()
    )
