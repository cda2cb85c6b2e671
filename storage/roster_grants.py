"""Roles given and taken by hand; each time is noted. And who has which."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal, get_args

from msgspec import Struct
from sqlalchemy import ColumnElement, Connection, Select, and_, case, func, or_, select

from content.schema import Role
from flows.calendar import local
from flows.roster import Refusal, path_of
from storage.audit import note
from storage.models import grants, persons, units
from storage.roster import grant
from storage.roster_apply import end_grants
from storage.scope import OPERATOR, Scope, below, holders, present, scope_of, valid

GIVEN = tuple(role for role in get_args(Role) if role != "learner")
"""Whoever is on the roster is a learner."""
State = Literal["holds", "coming", "over", "all"]
"""Grants that hold today, that begin later, that have ended."""


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
    _end(conn, ids, wanted.role, now)
    note(conn, by, "revoke", f"person:{person}", now, role=wanted.role, unit=unit, many=len(ids))
    return len(ids)


def take_one(conn: Connection, scope: Scope, id: int, now: datetime) -> str:
    """Take one grant away from today on; HR's id of whoever had it."""
    row = find(conn, scope, id, now)
    if row is None or row.state == "over":
        raise Refusal("no_grant", who=row.hr_id if row else "")
    if not may_give(scope, row.role):
        raise Refusal("not_yours", role=row.role)
    _end(conn, [id], row.role, now)
    noted = {"role": row.role, "unit": row.unit_id, "grant": id}
    note(conn, scope.viewer, "revoke", f"person:{row.person_id}", now, **noted)
    return str(row.hr_id)


def _end(conn: Connection, ids: Sequence[int], role: str, now: datetime) -> None:
    """End grants; somebody must still be able to look after the system."""
    end_grants(conn, ids, local(now).toordinal())
    everywhere = holders("admin", now).where(grants.c.unit_id.is_(None))
    if role == "admin" and conn.execute(everywhere.limit(1)).first() is None:
        raise Refusal("last_admin")


def giver(conn: Connection, wanted: Wanted, now: datetime) -> int | None:
    """The person who asks. A system admin gives roles; HR may make managers."""
    if wanted.role not in GIVEN:
        raise Refusal("no_role", role=wanted.role, known=", ".join(GIVEN))
    scope = _scope(conn, wanted.by, now)
    if not may_give(scope, wanted.role):
        raise Refusal("no_right", who=wanted.by)
    return scope.viewer


def may_give(scope: Scope, role: str) -> bool:
    """Whether the viewer may give this role, and take it away."""
    return scope.whole("system") or (role == "manager" and scope.whole("roster"))


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


# --- who has which -------------------------------------------------------------------


class Listed(Struct, frozen=True):
    """Which grants to list. `who` is in the name, or begins the id at HR; `unit` is the path of a
    unit, whose parts count, too. `sort` is one of SORTS, with a "-" for downwards."""

    who: str = ""
    role: str = ""
    unit: str = ""
    state: State = "holds"
    sort: str = "hr_id"
    limit: int = 100
    offset: int = 0


SORTS: dict[str, Any] = {
    "hr_id": persons.c.hr_id,
    "name": persons.c.name,
    "role": grants.c.role,
    "unit": func.coalesce(units.c.path, ""),
    "since": grants.c.from_on,
    "until": func.coalesce(grants.c.until_on, 4_000_000),
}


def listing(conn: Connection, scope: Scope, wanted: Listed, now: datetime) -> Sequence[Any]:
    """Grants with their holders, of those whom the viewer may see."""
    today = local(now).toordinal()
    query = _seen(scope, today).where(*_conditions(wanted, today))
    column = SORTS.get(wanted.sort.removeprefix("-"), persons.c.hr_id)
    order = column.desc() if wanted.sort.startswith("-") else column
    query = query.order_by(order, grants.c.id).limit(wanted.limit).offset(wanted.offset)
    return conn.execute(query).all()


def find(conn: Connection, scope: Scope, id: int, now: datetime) -> Any:
    """One grant with its holder; None where there is none that the viewer may see."""
    query = _seen(scope, local(now).toordinal()).where(grants.c.id == id)
    return conn.execute(query).first()


def _seen(scope: Scope, today: int) -> Select[Any]:
    """Whoever looks after the system sees all, for they give roles; HR sees its own people."""
    if scope.whole("system"):
        mine: tuple[ColumnElement[bool], ...] = ()
    else:
        mine = (scope.covers("roster", persons.c.unit_id),)
    by = persons.alias("by")
    state = _state(today)
    return (
        select(
            grants.c.id,
            grants.c.person_id,
            grants.c.role,
            grants.c.unit_id,
            grants.c.from_on,
            grants.c.until_on,
            grants.c.source,
            persons.c.hr_id,
            persons.c.name,
            persons.c.left_on,
            units.c.path,
            by.c.hr_id.label("by"),
            state.label("state"),
        )
        .join(persons, persons.c.id == grants.c.person_id)
        .join(units, units.c.id == grants.c.unit_id, isouter=True)
        .join(by, by.c.id == grants.c.by_id, isouter=True)
        .where(*mine)
    )


def _state(today: int) -> Any:
    """As text: whoever has left holds nothing, whatever the grant says."""
    over = or_(grants.c.until_on <= today, and_(persons.c.left_on > 0, persons.c.left_on <= today))
    return case((over, "over"), (grants.c.from_on > today, "coming"), else_="holds")


def _conditions(wanted: Listed, today: int) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if wanted.state != "all":
        found.append(_state(today) == wanted.state)
    if wanted.role:
        found.append(grants.c.role == wanted.role)
    if wanted.unit:
        found.append(grants.c.unit_id.in_(select(units.c.id).where(below(wanted.unit))))
    if wanted.who:
        named = persons.c.name.icontains(wanted.who, autoescape=True)
        found.append(named | persons.c.hr_id.istartswith(wanted.who, autoescape=True))
    return found
