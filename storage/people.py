"""People and units as the console shows them: found by name or id, one by one, and as a tree.

How a search keeps quick with a million people: `ix_persons_name` holds, in the order of names, all
that a search asks of a person (name, whether they left, unit). A part of a name is looked for by
walking along it without touching the table: 0.3 s at worst on SQLite, and at once where a page is
full early. A prefix of an id at HR is a range of its unique index. Only the rows of one page are
then joined with anything. Within a unit of few people the index of that unit is quicker than the
walk, within one of many it is not: a bounded count decides.
"""

from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any, Literal, cast

from msgspec import Struct
from msgspec.json import decode, encode
from sqlalchemy import ColumnElement, Connection, Select, and_, func, or_, select, true

from content.schema import Content
from flows.calendar import local
from flows.reports import Ask
from storage.models import (
    addresses,
    claim_codes,
    grants,
    learners,
    persons,
    postings,
    profiles,
    roster_changes,
    units,
)
from storage.reports.common import GONE, View, staff, standing
from storage.scope import Scope, below, present, valid

FEW = 20_000
"""People whom it is quicker to sort than to walk along all names for."""
LAST = "\U0010ffff"
"""No text that begins alike comes after this sign."""
Joined = Literal["", "yes", "no"]


class Wanted(Struct, frozen=True):
    """Who is looked for: `text` is a part of a name, or how an id at HR begins; `unit` a path.
    `left`: those who have left instead of those who are here."""

    text: str = ""
    unit: str = ""
    group: str = ""
    joined: Joined = ""
    left: bool = False
    sort: Literal["name", "hr_id"] = "name"
    down: bool = False


_SHOWN = (
    persons.c.id,
    persons.c.hr_id,
    persons.c.name,
    persons.c.title,
    units.c.path.label("unit"),
    profiles.c.personnel_group.label("group"),
    learners.c.id.is_not(None).label("joined"),
    func.coalesce(profiles.c.restricted, False).label("rests"),
)


def search(
    conn: Connection, scope: Scope, wanted: Wanted, now: datetime, offset: int, limit: int
) -> Sequence[Any]:
    """Some of the people the viewer may see by name: id, hr_id, name, unit (a path), title, group,
    joined; `rests` where nothing of the last two is to be told."""
    today = local(now).toordinal()
    place = _place(conn, scope, wanted)
    order = [persons.c[wanted.sort], persons.c.id]
    page = (
        select(persons.c.id)
        .where(
            scope.covers("names", place),
            _here(wanted, today),
            _named(conn, wanted.text),
            *_filters(wanted, place),
        )
        .order_by(*(column.desc() if wanted.down else column for column in order))
        .limit(limit)
        .offset(offset)
        .subquery()
    )
    found: Select[Any] = (
        select(*_SHOWN)
        .join(page, page.c.id == persons.c.id)
        .join(units, units.c.id == persons.c.unit_id)
        .join(learners, learners.c.person_id == persons.c.id, isouter=True)
        .join(profiles, profiles.c.learner_id == learners.c.id, isouter=True)
        .order_by(*(column.desc() if wanted.down else column for column in order))
    )
    return conn.execute(found).all()


def _place(conn: Connection, scope: Scope, wanted: Wanted) -> ColumnElement[int]:
    """The unit of a person: as it stands where its index shall be used, and so that it is not
    used where too many are in it."""
    if not wanted.unit and scope.whole("names"):
        return persons.c.unit_id
    mine = and_(scope.covers("names", persons.c.unit_id), *_within(wanted, persons.c.unit_id))
    some = select(persons.c.id).where(mine).limit(FEW + 1).subquery()
    many = conn.execute(select(func.count()).select_from(some)).scalar_one()
    return persons.c.unit_id if many <= FEW else cast(ColumnElement[int], persons.c.unit_id + 0)


def _within(wanted: Wanted, place: ColumnElement[int]) -> list[ColumnElement[bool]]:
    if not wanted.unit:
        return []
    return [place.in_(select(units.c.id).where(below(wanted.unit)))]


def _here(wanted: Wanted, today: int) -> ColumnElement[bool]:
    if wanted.left:
        return and_(cast(ColumnElement[bool], GONE), persons.c.left_on <= today)
    return present(today)


def _named(conn: Connection, text: str) -> ColumnElement[bool]:
    """An id that begins so, if there is one; else names that hold it."""
    if not text:
        return true()
    ids = or_(*(_begins(each) for each in {text, text.upper()}))
    if conn.execute(select(persons.c.id).where(ids).limit(1)).first():
        return ids
    if conn.dialect.name == "sqlite":  # its LIKE minds no case, and is quicker by itself
        return persons.c.name.contains(text, autoescape=True)
    return persons.c.name.icontains(text, autoescape=True)


def _begins(text: str) -> ColumnElement[bool]:
    """A range that an index can serve; where its order is not that of the signs, the second half
    of it keeps what does not begin so out."""
    within = persons.c.hr_id.between(text, text + LAST)
    return and_(within, func.substr(persons.c.hr_id, 1, len(text)) == text)


def _filters(wanted: Wanted, place: ColumnElement[int]) -> list[ColumnElement[bool]]:
    found = _within(wanted, place)
    mine = select(learners.c.id).where(learners.c.person_id == persons.c.id)
    if wanted.joined:
        found.append(mine.exists() if wanted.joined == "yes" else ~mine.exists())
    if wanted.group:
        placed = select(profiles.c.learner_id).where(
            profiles.c.person_id == persons.c.id,
            profiles.c.personnel_group == wanted.group,
            profiles.c.restricted.is_(False),
        )
        found.append(placed.exists())
    return found


# --- somebody ------------------------------------------------------------------------------


class Found(Struct, frozen=True):
    """All that is shown of somebody; days are ordinals."""

    row: Any
    """The person, with `unit` (a path) and, of a learner, `learner_id`, `group`, `step`,
    `rests`."""
    above: str
    """The supervisor's name, if the viewer may see it."""
    chats: Sequence[Any]
    """Channel, since when, reachable: never an address."""
    code: Any
    """The last one-time code: `expires_at`, `used_at`, `void`; None if there was none."""
    roles: Sequence[Any]
    places: Sequence[Any]
    waiting: Sequence[tuple[int, dict[str, Any]]]
    """What is to be so from a later day on: the day, and the new values."""

    @property
    def stamp(self) -> str:
        """Another one once anything is changed that a form here changes."""
        row = self.row
        state = (row.unit_id, row.left_on, row.name, row.title, [day for day, _ in self.waiting])
        return sha256(encode(state)).hexdigest()[:16]


def find(conn: Connection, scope: Scope, id: int, now: datetime) -> Found | None:
    """Somebody whom the viewer may see by name, here or gone; None for everybody else."""
    row = conn.execute(_person(scope, id)).first()
    if row is None:
        return None
    boss = select(persons.c.name).where(
        persons.c.id == row.supervisor_id, scope.covers("names", persons.c.unit_id)
    )
    shown = row.learner_id is not None and not row.rests
    return Found(
        row,
        conn.execute(boss).scalar() or "",
        _chats(conn, row.learner_id) if shown else (),
        _code(conn, id),
        _roles(conn, id, local(now).toordinal()),
        _places(conn, id),
        waiting(conn, scope, id),
    )


def _person(scope: Scope, id: int) -> Select[Any]:
    return (
        select(
            persons,
            units.c.path.label("unit"),
            learners.c.id.label("learner_id"),
            profiles.c.personnel_group.label("group"),
            profiles.c.step,
            func.coalesce(profiles.c.restricted, False).label("rests"),
        )
        .join(units, units.c.id == persons.c.unit_id)
        .join(learners, learners.c.person_id == persons.c.id, isouter=True)
        .join(profiles, profiles.c.learner_id == learners.c.id, isouter=True)
        .where(persons.c.id == id, scope.covers("names", persons.c.unit_id))
    )


def _chats(conn: Connection, learner_id: int) -> Sequence[Any]:
    mine = select(addresses.c.channel, addresses.c.created_at, addresses.c.reachable)
    mine = mine.where(addresses.c.learner_id == learner_id)
    return conn.execute(mine.order_by(addresses.c.created_at)).all()


def _code(conn: Connection, id: int) -> Any:
    mine = select(claim_codes.c.expires_at, claim_codes.c.used_at, claim_codes.c.void)
    mine = mine.where(claim_codes.c.person_id == id)
    return conn.execute(mine.order_by(claim_codes.c.void, claim_codes.c.expires_at.desc())).first()


def _roles(conn: Connection, id: int, today: int) -> Sequence[Any]:
    """What somebody may do today, or from a later day on."""
    return conn.execute(
        select(grants.c.role, grants.c.from_on, grants.c.until_on, grants.c.source, units.c.path)
        .join(units, units.c.id == grants.c.unit_id, isouter=True)
        .where(grants.c.person_id == id, or_(valid(today), grants.c.from_on > today))
        .order_by(grants.c.id)
    ).all()


def _places(conn: Connection, id: int) -> Sequence[Any]:
    return conn.execute(
        select(postings.c.from_on, postings.c.until_on, units.c.path)
        .join(units, units.c.id == postings.c.unit_id)
        .where(postings.c.person_id == id)
        .order_by(postings.c.from_on.desc())
    ).all()


def waiting(conn: Connection, scope: Scope, id: int) -> list[tuple[int, dict[str, Any]]]:
    """What the roster says will be so of somebody from a later day on."""
    rows = conn.execute(
        select(roster_changes.c.effective_on, roster_changes.c.data)
        .join(persons, persons.c.id == roster_changes.c.person_id)
        .where(roster_changes.c.person_id == id, roster_changes.c.applied_at.is_(None))
        .where(scope.covers("names", persons.c.unit_id))
        .order_by(roster_changes.c.effective_on, roster_changes.c.id)
    )
    return [(row.effective_on, decode(row.data)) for row in rows]


# --- units -----------------------------------------------------------------------------------


class Unit(Struct):
    """A unit with all that is below it: how many people, how many of them have joined."""

    id: int
    parent: int | None
    name: str
    path: str
    people: int = 0
    joined: int = 0
    below: int = 0
    """Units right below it."""
    heads: tuple[str, ...] = ()


def tree(
    conn: Connection, scope: Scope, at: int, now: datetime, content: Content
) -> tuple[list[Unit], list[Unit]]:
    """A unit with all above it, from the top down, and the units right below it. Without a unit
    (0) the tops that the viewer may see; two empty lists if there is no such unit for them."""
    found = _sums(conn, scope, now, content)
    if at and at not in found:
        return [], []
    line = list[Unit]()
    here = found.get(at)
    while here is not None:
        line.insert(0, here)
        here = found.get(here.parent or 0)
    under = [
        unit for unit in found.values() if (unit.parent == at if at else unit.parent not in found)
    ]
    _name_heads(conn, {unit.id: unit for unit in (*line[-1:], *under)}, now)
    return line, sorted(under, key=lambda unit: unit.path)


def _sums(conn: Connection, scope: Scope, now: datetime, content: Content) -> dict[int, Unit]:
    """Every unit in scope, by its id: there are thousands of them at most."""
    mine = scope.covers("names", units.c.id)
    rows = conn.execute(
        select(units.c.id, units.c.parent_id, units.c.name, units.c.path).where(mine)
    )
    found = {row.id: Unit(row.id, row.parent_id, row.name, row.path) for row in rows}
    view = View(scope, Ask(), now, content)
    here = select(persons.c.unit_id, func.count()).where(staff(view, "names"))
    joined = select(profiles.c.unit_id, func.count()).where(standing(view, "names"))
    for query, field in ((here.group_by(persons.c.unit_id), "people"),
                         (joined.group_by(profiles.c.unit_id), "joined")):  # fmt: skip
        for id, many in conn.execute(query).all():
            unit = found.get(id)
            while unit is not None:
                setattr(unit, field, getattr(unit, field) + many)
                unit = found.get(unit.parent or 0)
    for unit in found.values():
        if unit.parent in found:
            found[unit.parent].below += 1
    return found


def _name_heads(conn: Connection, shown: dict[int, Unit], now: datetime) -> None:
    today = local(now).toordinal()
    rows = conn.execute(
        select(grants.c.unit_id, persons.c.name)
        .join(persons, persons.c.id == grants.c.person_id)
        .where(grants.c.unit_id.in_(list(shown)), grants.c.role == "manager", valid(today))
        .where(present(today))
        .distinct()
        .order_by(persons.c.name)
    )
    for row in rows:
        shown[row.unit_id].heads += (row.name,)
