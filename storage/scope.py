"""What a viewer may see and do: one object, asked by every query that shows anybody's data."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Literal

from msgspec import Struct
from sqlalchemy import ColumnElement, Connection, Select, and_, false, or_, select, text, true
from sqlalchemy.exc import DBAPIError

from content.schema import Role
from flows.calendar import local
from storage.models import grants, persons, units

Power = Literal[
    "names", "figures", "team", "lead", "send", "approve", "roster", "privacy", "content", "system"
]
"""What can be allowed: to see people by name, HR's figures, a team's published figures; to lead a
team (cheer it, and see who has finished what is mandatory, where the agency wants that); to send
campaigns, approve them, change the roster; to answer for personal data, for content, for the
machine."""

POWERS: dict[Power, frozenset[Role]] = {
    "names": frozenset({"hr", "privacy"}),
    "figures": frozenset({"hr", "approver", "ocsc"}),
    "team": frozenset({"manager", "hr", "approver"}),
    "lead": frozenset({"manager"}),
    "send": frozenset({"hr", "approver"}),
    "approve": frozenset({"hr", "approver"}),
    "roster": frozenset({"hr"}),
    "privacy": frozenset({"privacy"}),
    "content": frozenset({"editor", "hr"}),
    "system": frozenset({"admin"}),
}
"""Which roles have which power. What is not here is denied: a system admin sees nobody's data."""


class Right(Struct, frozen=True):
    """A role over a unit and all below it; an empty path is the whole agency."""

    role: Role
    path: str = ""


class Scope(Struct, frozen=True):
    """A viewer's rights on one day. Made anew for each request and each digest that is sent, so a
    change holds from the next one on; nothing here is cached."""

    viewer: int | None
    """The person; None is whoever has the machine's command line, who is noted as operator."""
    rights: tuple[Right, ...] = ()

    def paths(self, power: Power) -> tuple[str, ...]:
        """The tops of the subtrees over which the viewer has this power."""
        return tuple(right.path for right in self.rights if right.role in POWERS[power])

    def may(self, power: Power, path: str | None = None) -> bool:
        """Whether the viewer has a power anywhere, or over this unit."""
        tops = self.paths(power)
        return bool(tops) if path is None else any(inside(path, top) for top in tops)

    def whole(self, power: Power) -> bool:
        """Whether the viewer has a power over the whole agency."""
        return "" in self.paths(power)

    def covers(self, power: Power, unit_id: ColumnElement[int]) -> ColumnElement[bool]:
        """A condition on a column that names a unit: only those the viewer has this power over."""
        tops = self.paths(power)
        if not tops:
            return false()
        if "" in tops:
            return true()
        return unit_id.in_(select(units.c.id).where(or_(*map(below, tops))))

    def require(self, power: Power, path: str | None = None) -> None:
        if not self.may(power, path):
            raise Denied(power)


class Denied(Exception):
    """The viewer may not see or do this."""


OPERATOR = Scope(None, tuple(Right(role) for role in ("hr", "approver", "privacy", "admin")))
"""Whoever may read the database's file or its password anyway."""
NOBODY = Scope(None)


def inside(path: str, top: str) -> bool:
    """Whether a unit is this one or below it."""
    return not top or path == top or path.startswith(top + " / ")


def below(path: str) -> ColumnElement[bool]:
    """The unit itself, and all that are below it, as a condition on `units`."""
    return or_(units.c.path == path, units.c.path.startswith(path + " / ", autoescape=True))


def paths(conn: Connection, scope: Scope, power: Power) -> list[str]:
    """The units that a viewer has this power over, to choose from."""
    mine = scope.covers(power, units.c.id)
    return list(conn.execute(select(units.c.path).where(mine).order_by(units.c.path)).scalars())


def valid(today: int) -> ColumnElement[bool]:
    """Grants that hold on this day."""
    ends = or_(grants.c.until_on.is_(None), grants.c.until_on > today)
    return and_(grants.c.from_on <= today, ends)


def present(today: int) -> ColumnElement[bool]:
    """Persons who have not left."""
    return or_(persons.c.left_on == 0, persons.c.left_on > today)


def holders(role: Role, now: datetime) -> Select[int]:
    """The persons who have a role today, wherever."""
    today = local(now).toordinal()
    mine = select(grants.c.person_id).join(persons, persons.c.id == grants.c.person_id)
    return mine.where(grants.c.role == role, valid(today), present(today))


def scope_of(conn: Connection, person_id: int | None, now: datetime) -> Scope:
    """The rights of a person today. Whoever has left, or is nobody on the roster, has none."""
    if person_id is None:
        return NOBODY
    today = local(now).toordinal()
    found = select(persons.c.id).where(persons.c.id == person_id, present(today))
    if conn.execute(found).first() is None:
        return NOBODY
    rights = conn.execute(
        select(grants.c.role, units.c.path, grants.c.unit_id)
        .join(units, units.c.id == grants.c.unit_id, isouter=True)
        .where(grants.c.person_id == person_id, valid(today))
        .order_by(grants.c.id)
    )
    return Scope(person_id, tuple(Right(row.role, row.path or "") for row in rights))


# --- the second layer ----------------------------------------------------------------

SCOPED = "kaona_scoped"
"""The role of PostgreSQL that row-level security is for; the tables' owner passes it by."""


@contextmanager
def scoped_read(conn: Connection, scope: Scope, power: Power) -> Iterator[None]:
    """Read as somebody who sees only the units that the viewer has this power over, whatever the
    query says. On SQLite there is no such thing, and nothing happens."""
    if not _has_layer(conn):
        yield
        return
    seen = "*" if scope.whole(power) else _unit_ids(conn, scope, power)
    conn.execute(text("select set_config('kaona.units', :units, true)"), {"units": seen})
    conn.execute(text(f"set local role {SCOPED}"))
    try:
        yield
    except DBAPIError:
        raise  # the transaction is over, and the role with it
    except BaseException:
        _leave(conn)
        raise
    _leave(conn)


def _has_layer(conn: Connection) -> bool:
    """Whether the migration was permitted to make the role, and we may take it on."""
    if conn.dialect.name != "postgresql":
        return False
    role = "(select oid from pg_roles where rolname = :role)"
    asked = text(f"select pg_has_role(current_user, {role}, 'member')")
    return bool(conn.execute(asked, {"role": SCOPED}).scalar())


def _unit_ids(conn: Connection, scope: Scope, power: Power) -> str:
    ids = conn.execute(select(units.c.id).where(scope.covers(power, units.c.id))).scalars()
    return ",".join(map(str, ids))


def _leave(conn: Connection) -> None:
    conn.execute(text("reset role"))
    conn.execute(text("select set_config('kaona.units', '', true)"))
