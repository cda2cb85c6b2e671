"""One-time codes for many people at once."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import ColumnElement, Connection, Select, func, or_, select, tuple_, update

from flows.calendar import local
from storage import audit
from storage.links import Refused
from storage.looks import code_hash, grouped, new_code
from storage.many import insert_many
from storage.models import claim_codes, learners, persons, units
from storage.roster import CODE_LIFE
from storage.scope import Scope, below, present

PAGE = 500
"""People in one transaction."""


class Handout(Struct, frozen=True):
    """A new code, and whom it is for."""

    hr_id: str
    name: str
    unit: str
    path: str
    code: str
    until: datetime


class Whom(Struct, frozen=True):
    """Who gets codes: all of a unit and below it, or one person; `again` adds those who are
    linked already. Empty strings mean everybody."""

    unit: str = ""
    person: str = ""
    again: bool = False


class Place(Struct, frozen=True):
    """How far a listing has come: people stand by unit, then by number."""

    path: str = ""
    id: int = 0


def meant(conn: Connection, whom: Whom) -> Whom:
    """The same with the unit's whole path: a name that only one unit has is enough."""
    if not whom.unit:
        return whom
    named = or_(units.c.path == whom.unit, units.c.name == whom.unit)
    found = list(conn.execute(select(units.c.path).where(named).limit(3)).scalars())
    if whom.unit not in found and len(found) != 1:
        raise Refused("units" if found else "no_unit", unit=whom.unit)
    return replace(whom, unit=whom.unit if whom.unit in found else found[0])


def count(conn: Connection, scope: Scope, whom: Whom, now: datetime) -> int:
    """How many would get codes."""
    wanted = _wanted(scope, whom, now, Place()).order_by(None).subquery()
    many: int = conn.execute(select(func.count()).select_from(wanted)).scalar_one()
    return many


def issue(
    conn: Connection, scope: Scope, whom: Whom, after: Place, now: datetime
) -> tuple[list[Handout], Place | None]:
    """Codes for the next people of those wanted, and where to go on; None when that was all.
    Codes that they had and did not use are void from now on."""
    audit.hold(conn)  # before any code is touched, as everybody who claims does
    found = conn.execute(_wanted(scope, whom, now, after).limit(PAGE)).all()
    if not found:
        return [], None
    ids = [row.id for row in found]
    voided = _void(conn, ids)
    made = [(row, new_code()) for row in found]
    until = now + CODE_LIFE
    issued = [
        {
            "code_hash": code_hash(code),
            "person_id": row.id,
            "expires_at": until,
            "by_id": scope.viewer,
        }
        for row, code in made
    ]
    insert_many(conn, claim_codes, issued)
    target = f"unit:{whom.unit}" if whom.unit else "agency"
    target = f"person:{ids[0]}" if whom.person else target
    audit.note(conn, scope.viewer, "codes_issued", target, now, codes=len(ids), voided=voided)
    handouts = [
        Handout(row.hr_id, row.name, row.unit, row.path, grouped(code), until) for row, code in made
    ]
    last = found[-1]
    return handouts, Place(last.path, last.id) if len(found) == PAGE else None


def _wanted(scope: Scope, whom: Whom, now: datetime, after: Place) -> Select[Any]:
    here = select(persons.c.id, persons.c.hr_id, persons.c.name, units.c.name.label("unit"))
    here = here.add_columns(units.c.path).join(units, units.c.id == persons.c.unit_id)
    return here.where(
        present(local(now).toordinal()),
        scope.covers("roster", persons.c.unit_id),
        *_conditions(whom),
        tuple_(units.c.path, persons.c.id) > (after.path, after.id),
    ).order_by(units.c.path, persons.c.id)


def _conditions(whom: Whom) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if whom.unit:
        found.append(below(whom.unit))
    if whom.person:
        found.append(persons.c.hr_id == whom.person)
    if not whom.again:
        linked = select(learners.c.id).where(learners.c.person_id == persons.c.id)
        found.append(~linked.exists())
    return found


def _void(conn: Connection, ids: Sequence[int]) -> int:
    """End the codes that these people have and did not use; how many."""
    old = update(claim_codes).where(
        claim_codes.c.person_id.in_(ids),
        claim_codes.c.used_at.is_(None),
        claim_codes.c.void.is_(False),
    )
    return conn.execute(old.values(void=True)).rowcount
