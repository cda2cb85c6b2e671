"""Everything that is held about one person, as the register says: to show, and to hand over."""

from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime
from typing import Any

from msgspec import Struct
from msgspec.json import decode
from sqlalchemy import ColumnElement, Connection, Select, Table, false, func, or_, select

from content.schema import DataTable, Register
from flows.calendar import local
from storage import audit, messages
from storage.models import (
    addresses,
    grants,
    learners,
    metadata,
    outbox,
    persons,
    postings,
    timers,
    units,
)
from storage.models import audit as audit_table
from storage.privacy import TOLD
from storage.scope import Scope, inside

Rows = list[dict[str, Any]]
DAYS = ("_on",)
"""How columns end that hold days as ordinals."""
JSON = ("data", "state", "payload", "picture", "event", "detail")
"""Columns of JSON."""
OWN = ("copy_", "wish_", "renamed", "erased", "purged", "anchored")
"""How actions begin that are no officer's look at somebody."""


class Subject(Struct, frozen=True):
    """Whom it is about: as learners, as a person of the roster, at which addresses."""

    learners: tuple[int, ...] = ()
    person: int | None = None
    addresses: tuple[str, ...] = ()

    @property
    def targets(self) -> tuple[str, ...]:
        """How the audit log names them."""
        own = tuple(f"learner:{id}" for id in self.learners)
        return own if self.person is None else (f"person:{self.person}", *own)


class NoSuchPerson(Exception):
    """Nobody on the roster has this id at HR."""


def of_learner(conn: Connection, learner_id: int) -> Subject:
    row = conn.execute(select(learners.c.person_id).where(learners.c.id == learner_id)).first()
    return _subject(conn, (learner_id,), row.person_id if row else None)


def of_person(conn: Connection, scope: Scope, hr_id: str) -> Subject:
    """A person of the roster whom the viewer answers for."""
    scope.require("privacy")
    mine = scope.covers("privacy", persons.c.unit_id)
    found = conn.execute(select(persons.c.id).where(persons.c.hr_id == hr_id, mine)).scalar()
    if found is None:
        raise NoSuchPerson(hr_id)
    ids = conn.execute(select(learners.c.id).where(learners.c.person_id == found)).scalars()
    return _subject(conn, tuple(ids), found)


def described(conn: Connection, scope: Scope, hr_id: str) -> dict[str, str]:
    """Who it is whom the viewer answers for, as the roster says."""
    whom = of_person(conn, scope, hr_id)
    row = conn.execute(
        select(persons.c.hr_id, persons.c.name, persons.c.title, units.c.path)
        .join(units, units.c.id == persons.c.unit_id)
        .where(persons.c.id == whom.person)
    ).one()
    return dict(row._mapping)


def _subject(conn: Connection, ids: tuple[int, ...], person: int | None) -> Subject:
    ours = select(addresses.c.address).where(addresses.c.learner_id.in_(ids))
    return Subject(ids, person, tuple(conn.execute(ours).scalars()))


# --- rows ----------------------------------------------------------------------------


def counts(conn: Connection, whom: Subject, register: Register) -> dict[str, int]:
    """How many rows there are of each category that any are of."""
    found: Counter[str] = Counter()
    for each in register.tables:
        table = metadata.tables[each.name]
        if not each.personal or each.category is None:
            continue
        mine = _about(each, table, whom)
        if each.parts:
            rows = select(table.c.kind, func.count()).where(mine).group_by(table.c.kind)
            for kind, many in conn.execute(rows):
                found[each.category_of(kind) or each.category] += many
        else:
            many = conn.execute(select(func.count()).select_from(table).where(mine)).scalar_one()
            found[each.category] += many
    return {name: many for name, many in found.items() if many}


def _about(each: DataTable, table: Table, whom: Subject) -> ColumnElement[bool]:
    """Which rows of a table are about somebody."""
    found: list[ColumnElement[bool]] = [false()]
    if each.learner:
        found.append(table.c[each.learner].in_(whom.learners))
    if each.person and whom.person is not None:
        found.append(table.c[each.person] == whom.person)
    if each.address:
        found.append(table.c[each.address].in_(whom.addresses))
    if each.target:
        found.append(table.c[each.target].in_(whom.targets))
    return or_(*found)


def tables(conn: Connection, whom: Subject, register: Register) -> dict[str, Rows]:
    """Every personal column of every row about somebody, ready for JSON, by table. What waits to be
    told to them of somebody else is that person's, and left out."""
    found: dict[str, Rows] = {}
    for each in register.tables:
        table = metadata.tables[each.name]
        if not each.personal:
            continue
        keys = [table.c[name] for name in each.personal]
        more = [table.c.message_id] if table is outbox else []
        rows = select(*keys, *more).where(_about(each, table, whom))
        plain = [_plain(row) for row in conn.execute(rows.order_by(*table.primary_key)).mappings()]
        if table is timers:
            plain = [row | {"data": None} if row["kind"] in TOLD else row for row in plain]
        if plain:
            found[each.name] = _worded(conn, plain) if table is outbox else plain
    _name_ids(conn, found)
    return found


def acts(conn: Connection, whom: Subject, register: Register) -> Rows:
    """What somebody did as an officer: how often they are named so, by table and column."""
    if whom.person is None:
        return []
    found: Rows = []
    for each in register.tables:
        table = metadata.tables[each.name]
        for name in each.acts:
            rows = select(func.count()).select_from(table).where(table.c[name] == whom.person)
            if many := conn.execute(rows).scalar_one():
                found.append({"table": each.name, "column": name, "rows": many})
    return found


def _plain(row: Any) -> dict[str, Any]:
    return {name: _value(name, value) for name, value in row.items()}


def _value(name: str, value: Any) -> Any:
    """As JSON and as people read it: moments and days as ISO dates, JSON unpacked."""
    if isinstance(value, datetime):
        return local(value).isoformat()
    if isinstance(value, int) and name.endswith(DAYS):
        return date.fromordinal(value).isoformat() if value > 0 else None
    if isinstance(value, str) and name in JSON and value[:1] in ("{", "["):
        try:
            return decode(value)
        except ValueError:
            return value
    return value


def _worded(conn: Connection, rows: Rows) -> Rows:
    """Rows of campaigns say what many say: put the words in."""
    said = messages.load(conn, {row["message_id"] for row in rows if row["message_id"]})
    for row in rows:
        number = row.pop("message_id")
        if number in said:
            row["payload"] = {
                "replies": [{"text": reply.text} for reply in said[number][0].replies]
            }
    return rows


def _name_ids(conn: Connection, found: dict[str, Rows]) -> None:
    """Units and supervisors by name instead of by number."""
    rows = [row for each in found.values() for row in each]
    for key, table, column in (
        ("unit_id", units, units.c.path),
        ("supervisor_id", persons, persons.c.name),
    ):
        wanted = {row[key] for row in rows if row.get(key)}
        named = select(table.c.id, column).where(table.c.id.in_(wanted))
        names = {row[0]: row[1] for row in conn.execute(named)} if wanted else {}
        for row in rows:
            if row.get(key):
                row[key] = names.get(row[key], row[key])


def export(
    conn: Connection, scope: Scope, hr_id: str, register: Register, now: datetime
) -> dict[str, Any]:
    """What the privacy officer hands over to a person, noted in the audit log."""
    whom = of_person(conn, scope, hr_id)
    made = {"tables": tables(conn, whom, register), "acts": acts(conn, whom, register)}
    audit.note(conn, scope.viewer, "export_person", f"person:{whom.person}", now)
    return made


# --- who looked ----------------------------------------------------------------------


LISTS = ("report:behind", "report:uses", "people", "evidence")
"""Targets of entries about lists of names, which say of which units (`over`)."""
FEW, MANY = 200, 5000
"""Entries that are shown, and entries about lists that are looked through for them."""


def lookers(conn: Connection, whom: Subject) -> Rows:
    """Who opened somebody's data: day (an ordinal), role and unit of the officer, whether it was a
    list of names of their unit, each day once, the latest first. Names are not told."""
    seen: dict[tuple[int, str, str, bool], None] = {}
    for row in _entries(conn, whom, FEW):
        if row.action.startswith(OWN) or (row.by_id is not None and row.by_id == whom.person):
            continue
        day = local(row.at).toordinal()
        for role, unit in _capacity(conn, row.by_id, day):
            seen[day, role, unit, row.target not in whom.targets] = None
    return [
        {"day": day, "role": role, "unit": unit, "list": listed} for day, role, unit, listed in seen
    ]


def _entries(conn: Connection, whom: Subject, limit: int) -> list[Any]:
    """What the journal says of somebody, the latest first: of them alone, and of lists of names of
    a unit that they were of on that day."""
    a = audit_table.c
    entries = select(a.id, a.at, a.by_id, a.action, a.target, a.result, a.data, persons.c.hr_id)
    entries = entries.join(persons, persons.c.id == a.by_id, isouter=True).order_by(a.id.desc())
    found = list(conn.execute(entries.where(a.target.in_(whom.targets)).limit(limit)))
    been = _been(conn, whom)
    if been:
        own = (f"unit:{id}" for id in conn.execute(_units_above(been)).scalars())
        lists = entries.where(a.target.in_([*LISTS, *own])).limit(MANY)
        found += [row for row in conn.execute(lists) if _listed(row, been)]
    return sorted(found, key=lambda row: -row.id)[:limit]


Been = list[tuple[int, int | None, str]]
"""From which day until which, and the path of the unit."""


def _been(conn: Connection, whom: Subject) -> Been:
    """Where somebody was when."""
    if whom.person is None:
        return []
    where = select(postings.c.from_on, postings.c.until_on, units.c.path)
    where = where.join(units, units.c.id == postings.c.unit_id)
    rows = conn.execute(where.where(postings.c.person_id == whom.person)).all()
    if rows:
        return [(row.from_on, row.until_on, row.path) for row in rows]
    here = select(units.c.path).join(persons, persons.c.unit_id == units.c.id)
    path = conn.execute(here.where(persons.c.id == whom.person)).scalar()
    return [(0, None, path)] if path is not None else []


def _units_above(been: Been) -> Select[Any]:
    """The units somebody was of, and all above them."""
    parts = [path.split(" / ") for _, _, path in been]
    paths = {" / ".join(each[:n]) for each in parts for n in range(1, len(each) + 1)}
    return select(units.c.id).where(units.c.path.in_(paths))


def _listed(row: Any, been: Been) -> bool:
    """Whether a list was of a unit that somebody was of on its day."""
    over, day = decode(row.data).get("over", ()), local(row.at).toordinal()
    return any(
        inside(path, top)
        for from_on, until_on, path in been
        if from_on <= day and (until_on is None or day < until_on)
        for top in over
    )


def _capacity(conn: Connection, by: int | None, day: int) -> Iterator[tuple[str, str]]:
    """In which role, and of which unit, a person acted on a day."""
    if by is None:
        yield "operator", ""
        return
    unit = conn.execute(
        select(units.c.name)
        .join(persons, persons.c.unit_id == units.c.id)
        .where(persons.c.id == by)
    ).scalar()
    held = select(grants.c.role).where(
        grants.c.person_id == by,
        grants.c.from_on <= day,
        or_(grants.c.until_on.is_(None), grants.c.until_on > day),
    )
    roles = list(conn.execute(held.order_by(grants.c.id).limit(1)).scalars())
    yield (roles or ["learner"])[0], unit or ""


def who_looked(conn: Connection, scope: Scope, hr_id: str, now: datetime) -> Rows:
    """The audit log about a person, and about lists of names of their unit, for the privacy
    officer, who may see who it was."""
    whom = of_person(conn, scope, hr_id)
    rows = _entries(conn, whom, 1000)
    audit.note(conn, scope.viewer, "view_lookers", f"person:{whom.person}", now)
    return [
        {
            "at": row.at.isoformat(),
            "action": row.action,
            "result": row.result,
            "by": row.hr_id or "",
        }
        for row in rows
    ]
