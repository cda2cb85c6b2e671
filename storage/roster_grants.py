"""Roles given and taken by hand; each time is noted."""

from datetime import datetime
from typing import Any, get_args

from msgspec import Struct
from sqlalchemy import Connection, and_, select

from content.schema import Role
from flows.calendar import local
from flows.roster import Refusal, path_of
from storage.audit import note
from storage.models import grants, persons, units
from storage.roster import grant
from storage.roster_apply import end_grants
from storage.scope import OPERATOR, Scope, present, scope_of, valid

GIVEN = tuple(role for role in get_args(Role) if role != "learner")
"""Whoever is on the roster is a learner."""


class Wanted(Struct, frozen=True):
    """A role by HR's id of its holder; without a unit, over the whole agency. Days are ordinals, 0
    where none is said, `until` the last of them. `by` asks, by HR's id; else the operator."""

    who: str
    role: str
    unit: str = ""
    from_on: int = 0
    until: int = 0
    by: str = ""


def keeper(conn: Connection, by: str, now: datetime) -> int | None:
    """The person who asks, who may change the roster; None is the operator."""
    scope = _scope(conn, by, now)
    if not scope.whole("roster"):
        raise Refusal("no_right", who=by)
    return scope.viewer


def give(conn: Connection, wanted: Wanted, now: datetime) -> int:
    """Give a role; the id of the grant."""
    by = giver(conn, wanted, now)
    today = local(now).toordinal()
    from_on = wanted.from_on or today
    if wanted.role == "manager" and not wanted.unit:
        raise Refusal("needs_unit")
    if wanted.until and wanted.until < from_on:
        raise Refusal("days")
    person, unit = _person(conn, wanted.who, today), _unit(conn, wanted.unit)
    until = wanted.until + 1 if wanted.until else None
    role: Any = wanted.role
    more = {"from_on": from_on, "until_on": until, "by_id": by}
    given = grant(conn, person, role, now, unit, **more)
    noted: dict[str, Any] = {
        "role": wanted.role,
        "unit": unit,
        "from_on": from_on,
        "until_on": until,
    }
    note(conn, by, "grant", f"person:{person}", now, **noted)
    return given


def take(conn: Connection, wanted: Wanted, now: datetime) -> int:
    """Take a role away from today on; how many grants that ends. What the roster gave comes back
    with the next import that says so."""
    by = giver(conn, wanted, now)
    today = local(now).toordinal()
    person, unit = _person(conn, wanted.who, 0), _unit(conn, wanted.unit)
    mine = select(grants.c.id).where(
        grants.c.person_id == person,
        grants.c.role == wanted.role,
        grants.c.unit_id.is_(None) if unit is None else grants.c.unit_id == unit,
        and_(valid(today)) | (grants.c.from_on > today),
    )
    ids = list(conn.execute(mine).scalars())
    if not ids:
        raise Refusal("no_grant", who=wanted.who)
    end_grants(conn, ids, today)
    note(conn, by, "revoke", f"person:{person}", now, role=wanted.role, unit=unit, many=len(ids))
    return len(ids)


def giver(conn: Connection, wanted: Wanted, now: datetime) -> int | None:
    """The person who asks. A system admin gives roles; HR may make managers."""
    if wanted.role not in GIVEN:
        raise Refusal("no_role", role=wanted.role, known=", ".join(GIVEN))
    scope = _scope(conn, wanted.by, now)
    if not scope.whole("system") and not (wanted.role == "manager" and scope.whole("roster")):
        raise Refusal("no_right", who=wanted.by)
    return scope.viewer


def _scope(conn: Connection, by: str, now: datetime) -> Scope:
    if not by:
        return OPERATOR
    id = conn.execute(select(persons.c.id).where(persons.c.hr_id == by)).scalar()
    return scope_of(conn, id, now)


def _person(conn: Connection, who: str, today: int) -> int:
    """Somebody on the roster; with a day, who is here on it."""
    found = select(persons.c.id).where(persons.c.hr_id == who)
    id: int | None = conn.execute(found.where(present(today)) if today else found).scalar()
    if id is None:
        raise Refusal("no_person", who=who)
    return id


def _unit(conn: Connection, path: str) -> int | None:
    if not path:
        return None
    id: int | None = conn.execute(select(units.c.id).where(units.c.path == path_of(path))).scalar()
    if id is None:
        raise Refusal("no_unit", unit=path)
    return id
