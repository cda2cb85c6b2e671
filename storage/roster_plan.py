"""What a roster file would change, found by reading only: the plan of an import."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any

from msgspec import Struct
from msgspec.json import decode, encode
from sqlalchemy import Connection, and_, func, or_, select

from flows.calendar import local
from flows.chains import in_order, prefixes
from flows.roster import Entry
from flows.types import Json
from storage.models import grants, imports, persons, roster_changes, units
from storage.scope import present

NOT_YET = 1
"""`left_on` of somebody who is to come: long gone, until their first day."""
CHUNK = 2000
FIELDS = ("name", "kind", "position_type", "level", "title", "zone", "started_on")
"""Columns that are kept as the file has them."""
FEW = 500
"""People up to whom a partial file is compared without reading everybody."""
SHARE = 0.1
"""More leavers than this need a confirmation."""

Values = dict[str, Json]
"""New values of a person: columns of `persons`, but `unit` is a path, and `supervisor` HR's id."""
Head = tuple[str, str, int, int]
"""A person by HR's id, a unit, the first day and the day after the last; 0 is now, and open."""


class Options(Struct, frozen=True):
    """How a file is to be taken. `effective_on` is the day from which it holds; a partial one says
    nothing of those who are not in it."""

    effective_on: int
    partial: bool = False
    heads: bool = False
    """The file says who heads or stands in for a unit."""


class Plan(Struct):
    """What would be done. Everybody in `added` comes after their supervisor."""

    options: Options
    version: str
    ids: dict[str, int] = {}
    """Persons that are known, by HR's id."""
    units: list[str] = []
    added: list[Entry] = []
    changed: list[tuple[int, Values, int]] = []
    """Person, what is new, and since when."""
    later: list[tuple[str, int, str]] = []
    """HR's id, day and new values of what holds from a later day on."""
    void: list[int] = []
    """Later changes, by their ids, that are not to be any more."""
    left: list[int] = []
    """Whom the file does not have any more."""
    heads: list[Head] = []
    ended: list[tuple[int, int]] = []
    """Grants that the roster gave before and no longer does, and from which day on."""
    before: int = 0
    """How many were here."""
    moved: int = 0
    returned: int = 0
    retired: int = 0
    """Whom the file gives a last day that has come."""
    unchanged: int = 0
    waiting: int = 0
    """Later changes that stay as they were."""

    @property
    def counts(self) -> dict[str, int]:
        return {
            "rows": len(self.added) + self.unchanged + len(self.changed) + self.waiting
            + sum(hr_id in self.ids for hr_id, _, _ in self.later),
            "added": len(self.added),
            "changed": len(self.changed) - self.returned - self.retired,
            "moved": self.moved,
            "returned": self.returned,
            "left": len(self.left) + self.retired,
            "later": len(self.later),
            "units": len(self.units),
            "heads": len(self.heads),
            "unchanged": self.unchanged + self.waiting,
            "before": self.before,
        }  # fmt: skip

    @property
    def nothing(self) -> bool:
        """Whether all is so already."""
        lists = (self.units, self.added, self.changed, self.later, self.void, self.left)
        return not any((*lists, self.heads, self.ended))

    @property
    def many_leave(self) -> bool:
        return len(self.left) + self.retired > SHARE * self.before

    @property
    def fingerprint(self) -> str:
        """The same for two plans that do the same, whatever has happened in between."""
        parts: tuple[Any, ...] = (self.changed, self.later, self.void, self.left, self.heads)
        whole = (self.options, self.units, self.added, *map(sorted, parts), sorted(self.ended))
        return sha256(encode(whole, order="sorted")).hexdigest()


def version(conn: Connection) -> str:
    """What the roster was when a plan was made: another one, and it must be made anew."""
    last = conn.execute(select(func.max(imports.c.id))).scalar()
    moved = conn.execute(select(func.max(roster_changes.c.applied_at))).scalar()
    return f"{last} {moved}"


def unit_paths(conn: Connection) -> dict[str, int]:
    """The agency's units by their paths."""
    return {row.path: row.id for row in conn.execute(select(units.c.path, units.c.id))}


def outsiders(
    conn: Connection, inside: Iterable[str], now: datetime
) -> tuple[dict[str, str], dict[str, str]]:
    """Those here whom a partial file leaves as they are: names and supervisors by HR's id."""
    inside = set(inside)
    boss = persons.alias()
    rows = conn.execute(
        select(persons.c.hr_id, persons.c.name, boss.c.hr_id.label("above"))
        .join(boss, boss.c.id == persons.c.supervisor_id, isouter=True)
        .where(present(local(now).toordinal()))
        .execution_options(yield_per=CHUNK)
    )
    names: dict[str, str] = {}
    above: dict[str, str] = {}
    for row in rows:
        if row.hr_id not in inside:
            names[row.hr_id], above[row.hr_id] = row.name, row.above or ""
    return names, above


def plan(conn: Connection, entries: Sequence[Entry], options: Options, now: datetime) -> Plan:
    """What taking these rows over would change."""
    today = local(now).toordinal()
    made = Plan(options, version(conn))
    wanted = {entry.hr_id: entry for entry in entries}
    for row in _known(conn, entries, options):
        made.ids[row.hr_id] = row.id
        here = row.left_on == 0 or row.left_on > today
        entry = wanted.pop(row.hr_id, None)
        if entry is not None:
            _compare(made, row, entry, today)
        elif not options.partial and here and not 0 < row.left_on <= options.effective_on:
            made.left.append(row.id)
    made.before = _headcount(conn, today)
    made.added = in_order([entry for entry in entries if entry.hr_id in wanted])
    made.later += [
        (entry.hr_id, entry.effective_on, as_json({"left_on": entry.left_on}))
        for entry in made.added
        if since(entry, options) > today
    ]
    known = unit_paths(conn)
    paths = dict.fromkeys(path for entry in entries for path in prefixes(entry.unit))
    made.units = [path for path in paths if path not in known]
    _later(conn, made, {entry.hr_id for entry in entries})
    if options.heads:
        _heads(conn, made, entries, today)
    return made


def since(entry: Entry, options: Options) -> int:
    """The day from which a row holds."""
    return entry.effective_on or options.effective_on


def _known(conn: Connection, entries: Sequence[Entry], options: Options) -> Iterator[Any]:
    """Everybody; of a partial file with few people only those whom it names."""
    boss = persons.alias()
    found = (
        select(persons, units.c.path.label("unit"), boss.c.hr_id.label("supervisor"))
        .join(units, units.c.id == persons.c.unit_id)
        .join(boss, boss.c.id == persons.c.supervisor_id, isouter=True)
        .execution_options(yield_per=CHUNK)
    )
    if options.partial and len(entries) <= FEW:
        named = {id for entry in entries for id in (entry.hr_id, entry.supervisor) if id}
        found = found.where(persons.c.hr_id.in_(named))
    return iter(conn.execute(found))


def _headcount(conn: Connection, today: int) -> int:
    many: int = conn.execute(
        select(func.count()).select_from(persons).where(present(today))
    ).scalar_one()
    return many


def _compare(made: Plan, row: Any, entry: Entry, today: int) -> None:
    """What is new of somebody who is known, now or later."""
    values: Values = {
        field: getattr(entry, field)
        for field in FIELDS
        if getattr(entry, field) not in (None, getattr(row, field))
    }
    if entry.unit != row.unit:
        values["unit"] = entry.unit
    if entry.supervisor is not None and entry.supervisor != (row.supervisor or ""):
        values["supervisor"] = entry.supervisor
    if entry.left_on != row.left_on:
        values["left_on"] = entry.left_on
    if not values:
        made.unchanged += 1
        return
    day = since(entry, made.options)
    if day > today:
        made.later.append((row.hr_id, day, as_json(values)))
        return
    made.moved += "unit" in values
    gone = row.left_on != 0 and row.left_on <= today
    made.returned += gone and (entry.left_on == 0 or entry.left_on > today)
    made.retired += 0 < entry.left_on <= today and not gone
    made.changed.append((row.id, values, day))


def as_json(values: Values) -> str:
    return encode(values, order="sorted").decode()


def _later(conn: Connection, made: Plan, inside: set[str]) -> None:
    """Later changes that wait already: the same again stay, others of these people go."""
    waiting = conn.execute(
        select(roster_changes, persons.c.hr_id)
        .join(persons, persons.c.id == roster_changes.c.person_id)
        .where(roster_changes.c.applied_at.is_(None))
    ).all()
    new = {(hr_id, day, data) for hr_id, day, data in made.later}
    kept = set()
    for row in waiting:
        same = (row.hr_id, row.effective_on, row.data)
        if same in new:
            kept.add(same)
        elif row.hr_id in inside or not made.options.partial:
            made.void.append(row.id)
    made.waiting = len(kept)
    made.later = [change for change in made.later if change not in kept]


# --- heads and those who stand in --------------------------------------------------------


def _heads(conn: Connection, made: Plan, entries: Sequence[Entry], today: int) -> None:
    """Who is to have a manager's rights by the file, beside what it gave before."""
    wanted = dict.fromkeys(head for entry in entries for head in _of(entry, made.options, today))
    days = {entry.hr_id: since(entry, made.options) for entry in entries}
    over = []
    for row in conn.execute(_given(today)):
        found = _match(row, wanted, today)
        if found is not None:
            del wanted[found]
        elif row.hr_id in days or not made.options.partial:
            over.append(row)
    made.heads = list(wanted)
    for row in over:
        day = max(
            days.get(row.hr_id, made.options.effective_on), _succeeded(row, made.heads), today
        )
        if row.until_on is None or row.until_on > day:
            made.ended.append((row.id, day))


def _succeeded(row: Any, heads: Sequence[Head]) -> int:
    """The day on which the unit of a grant gets another head, 0 for today or never: until then the
    one it has stays."""
    return min((first for _, path, first, _ in heads if path == row.path), default=0)


def _of(entry: Entry, options: Options, today: int) -> Iterator[Head]:
    if entry.head_of:
        day = since(entry, options)
        yield entry.hr_id, entry.head_of, day if day > today else 0, 0
    if entry.acting_unit and not (entry.acting_until and entry.acting_until < today):
        until = entry.acting_until + 1 if entry.acting_until else 0
        yield entry.hr_id, entry.acting_unit, entry.acting_from, until


def _given(today: int) -> Any:
    """What the roster gave and what is not over."""
    holds = or_(grants.c.until_on.is_(None), grants.c.until_on > today)
    return (
        select(grants, persons.c.hr_id, units.c.path)
        .join(persons, persons.c.id == grants.c.person_id)
        .join(units, units.c.id == grants.c.unit_id)
        .where(and_(grants.c.source == "roster", holds))
    )


def _match(row: Any, wanted: Mapping[Head, None], today: int) -> Head | None:
    """The wanted one that a grant is: the same first day; or, of those that hold already, one that
    the file leaves open or lets go on from a later day."""
    until = row.until_on or 0
    same = (row.hr_id, row.path, row.from_on, until)
    if same in wanted or row.from_on > today:
        return same if same in wanted else None
    alike = (head for head in wanted if (head[0], head[1], head[3]) == (row.hr_id, row.path, until))
    return next((head for head in alike if not head[2] or not until), None)


def changes_of(data: str) -> Values:
    values: Values = decode(data)
    return values
