"""Taking a roster over: one transaction that every reader sees whole or not at all."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from msgspec.json import encode
from sqlalchemy import (
    Connection,
    Select,
    and_,
    delete,
    func,
    insert,
    literal,
    or_,
    select,
    text,
    update,
)

from flows.calendar import local
from storage.audit import note
from storage.gathered import insert_new
from storage.many import MOST, insert_many, pour, update_many
from storage.models import (
    Moment,
    grants,
    imports,
    learners,
    persons,
    postings,
    profiles,
    roster_changes,
    sessions,
    timers,
    units,
)
from storage.roster_plan import NOT_YET, Plan, Values, changes_of, since, unit_paths, version
from storage.scope import present, valid

LOCK = 7_205_003
"""Number of the advisory lock under which PostgreSQL takes over one roster at a time."""
BATCH = 5000
"""New persons that are written in one step."""
FEW = 500
"""Later changes that are applied in one step."""
HEARD = frozenset({"name", "unit", "title", "zone", "position_type", "supervisor"})
"""What a conversation knows of a person."""

Change = tuple[int, Values, int]
"""A person, what is new of them, and since which day."""
Told = Callable[[int], None]


class Stale(Exception):
    """The roster has changed since the plan was made: make another."""


def apply(
    conn: Connection,
    plan: Plan,
    file_hash: str,
    by: int | None,
    now: datetime,
    told: Told = lambda _: None,
) -> dict[str, int]:
    """Do what a plan says; how much of what. A plan that has nothing to do only leaves a note;
    `told` hears how many persons have been written."""
    lock(conn)
    if version(conn) != plan.version:
        raise Stale
    counts = plan.counts
    noted: dict[str, Any] = {"hash": file_hash, **counts}
    if plan.nothing:
        note(conn, by, "roster_import", "roster", now, **noted)
        return counts
    row = {"at": now, "by_id": by, "file_hash": file_hash, "counts": encode(counts).decode()}
    made = conn.execute(insert(imports).values(row).returning(imports.c.id)).scalar_one()
    today = local(now).toordinal()
    _add_units(conn, plan.units)
    paths = unit_paths(conn)
    _add(conn, plan, paths, today, told)
    _change(conn, plan.changed, paths, plan.ids, now)
    _leave(conn, plan.left, plan.options.effective_on)
    _postpone(conn, plan, made)
    _end_heads(conn, plan)
    _give_heads(conn, plan, paths, today, now)
    noted |= derive_heads(conn, now)
    note(conn, by, "roster_import", f"import:{made}", now, **noted)
    return counts


def lock(conn: Connection) -> None:
    """One change of the roster at a time; SQLite has one writer anyway."""
    if conn.dialect.name == "postgresql":
        conn.execute(text("select pg_advisory_xact_lock(:lock)"), {"lock": LOCK})


def _parts(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    return (ids[at : at + MOST] for at in range(0, len(ids), MOST))


def _add_units(conn: Connection, paths: Iterable[str]) -> None:
    """From the top down; a unit's parent is there before it."""
    for path in paths:
        above, _, name = path.rpartition(" / ")
        parent = select(units.c.id).where(units.c.path == above).scalar_subquery()
        conn.execute(insert(units).values(parent_id=parent, name=name, path=path))


def _add(conn: Connection, plan: Plan, paths: dict[str, int], today: int, told: Told) -> None:
    """New persons, each after their supervisor, and where they are."""
    for at in range(0, len(plan.added), BATCH):
        part = plan.added[at : at + BATCH]
        ids = _reserve(conn, len(part))
        plan.ids.update(zip((entry.hr_id for entry in part), ids, strict=True))
        rows, places = [], []
        for id, entry in zip(ids, part, strict=True):
            day = since(entry, plan.options)
            rows.append(
                {
                    "id": id,
                    "hr_id": entry.hr_id,
                    "name": entry.name,
                    "unit_id": paths[entry.unit],
                    "supervisor_id": plan.ids[entry.supervisor] if entry.supervisor else None,
                    "position_type": entry.position_type or "",
                    "title": entry.title or "",
                    "level": entry.level or "",
                    "kind": entry.kind or "",
                    "zone": entry.zone or "",
                    "started_on": entry.started_on or 0,
                    "left_on": NOT_YET if day > today else entry.left_on,
                }
            )
            if day <= today and not 0 < entry.left_on <= day:
                until = entry.left_on or None
                places.append(
                    {"person_id": id, "from_on": day, "until_on": until,
                     "unit_id": paths[entry.unit]}
                )  # fmt: skip
        pour(conn, persons, rows)
        pour(conn, postings, places)
        told(at + len(part))


def _reserve(conn: Connection, many: int) -> list[int]:
    """Ids for new persons, so that they can name each other at once."""
    if conn.dialect.name == "postgresql":
        next_ = (
            "select nextval(pg_get_serial_sequence('persons', 'id')) from generate_series(1, :n)"
        )
        return list(conn.execute(text(next_), {"n": many}).scalars())
    last = conn.execute(select(func.max(persons.c.id))).scalar() or 0
    return list(range(last + 1, last + 1 + many))


# --- changes ---------------------------------------------------------------------------


def _change(
    conn: Connection,
    changes: Sequence[Change],
    paths: dict[str, int],
    ids: dict[str, int],
    now: datetime,
) -> None:
    """New values of persons who are known, and all that follows from them."""
    moved: defaultdict[int, list[int]] = defaultdict(list)
    back: defaultdict[int, list[int]] = defaultdict(list)
    gone: defaultdict[int, list[int]] = defaultdict(list)
    for id, values, day in changes:
        if "unit" in values:
            moved[day].append(id)
        elif values.get("left_on") == 0:
            back[day].append(id)
        if values.get("left_on"):
            gone[values["left_on"]].append(id)
    for some in moved.values():
        _remember_before(conn, some)
    _write(conn, changes, paths, ids)
    for day, some in (*moved.items(), *back.items()):
        _move(conn, some, day)
    for day, some in gone.items():
        _leave(conn, some, day)
    _wake(conn, [id for id, values, _ in changes if HEARD & values.keys()], now)


def _write(
    conn: Connection, changes: Sequence[Change], paths: dict[str, int], ids: dict[str, int]
) -> None:
    """Rows with the same columns go together."""
    alike: defaultdict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
    alone = []
    for id, values, _ in changes:
        row: dict[str, Any] = {"id": id}
        for name, value in sorted(values.items()):
            if name == "unit":
                row["unit_id"] = paths[value]
            elif name != "supervisor":
                row[name] = value
            elif value:
                row["supervisor_id"] = ids[value]
            else:
                alone.append(id)
        if len(row) > 1:
            alike[tuple(row)].append(row)
    for rows in alike.values():
        update_many(conn, persons, rows)
    for part in _parts(alone):
        conn.execute(update(persons).where(persons.c.id.in_(part)).values(supervisor_id=None))


def _remember_before(conn: Connection, ids: Sequence[int]) -> None:
    """Where somebody was of whom no posting is kept: before they move."""
    for part in _parts(ids):
        kept = select(postings.c.person_id).where(postings.c.person_id == persons.c.id)
        was = select(persons.c.id, literal(0), persons.c.unit_id).where(
            persons.c.id.in_(part), ~kept.exists(), persons.c.left_on != NOT_YET
        )
        conn.execute(insert(postings).from_select(["person_id", "from_on", "unit_id"], was))


def _move(conn: Connection, ids: Sequence[int], day: int) -> None:
    """They are in their new unit from that day on, in all that follows the roster."""
    for part in _parts(ids):
        _end_postings(conn, part, day)
        here = select(persons.c.id, literal(day), persons.c.unit_id).where(persons.c.id.in_(part))
        conn.execute(insert(postings).from_select(["person_id", "from_on", "unit_id"], here))
        theirs = select(persons.c.unit_id).where(persons.c.id == profiles.c.person_id)
        follows = update(profiles).where(profiles.c.person_id.in_(part))
        conn.execute(follows.values(unit_id=theirs.scalar_subquery()))


def _end_postings(conn: Connection, ids: Sequence[int], day: int) -> None:
    """What was to be from that day on is not any more."""
    theirs = postings.c.person_id.in_(ids)
    conn.execute(delete(postings).where(theirs, postings.c.from_on >= day))
    still = or_(postings.c.until_on.is_(None), postings.c.until_on > day)
    conn.execute(update(postings).where(theirs, still).values(until_on=day))


def _leave(conn: Connection, ids: Sequence[int], day: int) -> None:
    """They are here no more from that day on, and head nothing by the roster's word."""
    for part in _parts(ids):
        conn.execute(update(persons).where(persons.c.id.in_(part)).values(left_on=day))
        _end_postings(conn, part, day)
        mine = select(grants.c.id).where(
            grants.c.person_id.in_(part), grants.c.source.in_(("roster", "derived"))
        )
        end_grants(conn, list(conn.execute(mine).scalars()), day)


def _wake(conn: Connection, ids: Sequence[int], now: datetime) -> None:
    """Let the conversations of these persons look them up again, each in a turn of its own."""
    columns = ["learner_id", "kind", "key", "due", "data"]
    words = (literal("roster"), literal(""), literal(now, Moment), literal("{}"))
    for part in _parts(ids):
        whose = select(learners.c.id, *words).where(learners.c.person_id.in_(part))
        conn.execute(insert_new(conn, timers).from_select(columns, whose))


# --- later -------------------------------------------------------------------------------


def _postpone(conn: Connection, plan: Plan, import_id: int) -> None:
    """What holds from a later day on waits for it."""
    for part in _parts(plan.void):
        conn.execute(delete(roster_changes).where(roster_changes.c.id.in_(part)))
    rows = [
        {"person_id": plan.ids[hr_id], "effective_on": day, "data": data, "import_id": import_id}
        for hr_id, day, data in plan.later
    ]
    insert_many(conn, roster_changes, rows)


def is_due(conn: Connection, now: datetime) -> bool:
    """Whether the day of some later change has come."""
    return conn.execute(_due(now).limit(1)).first() is not None


def _due(now: datetime) -> Select[Any]:
    come = roster_changes.c.effective_on <= local(now).toordinal()
    return select(roster_changes).where(roster_changes.c.applied_at.is_(None), come)


def apply_due(conn: Connection, now: datetime) -> int:
    """Do what was to be done by today, some at a time; how many, 0 when nothing is left."""
    lock(conn)
    found = conn.execute(
        _due(now).order_by(roster_changes.c.effective_on, roster_changes.c.id).limit(FEW)
    ).all()
    if not found:
        return 0
    first = {row.person_id: row for row in reversed(found)}  # one of each person at a time
    rows = [(row.person_id, changes_of(row.data), row.effective_on) for row in first.values()]
    bosses = {values["supervisor"] for _, values, _ in rows if values.get("supervisor")}
    known = select(persons.c.hr_id, persons.c.id).where(persons.c.hr_id.in_(bosses))
    ids = {row.hr_id: row.id for row in conn.execute(known)}
    _change(conn, rows, unit_paths(conn), ids, now)
    done = [row.id for row in first.values()]
    conn.execute(update(roster_changes).where(roster_changes.c.id.in_(done)).values(applied_at=now))
    noted: dict[str, Any] = {"changed": len(done), **derive_heads(conn, now)}
    note(conn, None, "roster_due", "roster", now, **noted)
    return len(done)


# --- rights ------------------------------------------------------------------------------


def end_grants(conn: Connection, ids: Sequence[int], day: int) -> None:
    """They hold no more from that day on; what was to begin by then never was. Whoever had them
    signs in again."""
    for part in _parts(ids):
        mine = grants.c.id.in_(part)
        had = select(grants.c.person_id).where(mine)
        conn.execute(delete(sessions).where(sessions.c.person_id.in_(had)))
        conn.execute(delete(grants).where(mine, grants.c.from_on >= day))
        still = or_(grants.c.until_on.is_(None), grants.c.until_on > day)
        conn.execute(update(grants).where(mine, still).values(until_on=day))


def _end_heads(conn: Connection, plan: Plan) -> None:
    days: defaultdict[int, list[int]] = defaultdict(list)
    for id, day in plan.ended:
        days[day].append(id)
    for day, ids in days.items():
        end_grants(conn, ids, day)


def _give_heads(
    conn: Connection, plan: Plan, paths: dict[str, int], today: int, now: datetime
) -> None:
    rows = [
        {
            "person_id": plan.ids[hr_id],
            "role": "manager",
            "unit_id": paths[path],
            "from_on": first or today,
            "until_on": until or None,
            "source": "roster",
            "at": now,
        }
        for hr_id, path, first, until in plan.heads
    ]
    insert_many(conn, grants, rows)


def derive_heads(conn: Connection, now: datetime) -> dict[str, int]:
    """Whoever supervises everybody else in their unit heads it, where nobody was said to. How
    many were given and taken."""
    today = local(now).toordinal()
    wanted = {(row.supervisor_id, row.unit_id) for row in conn.execute(_sole_supervisors(today))}
    mine = select(grants).where(grants.c.source == "derived", valid(today))
    had = {(row.person_id, row.unit_id): row.id for row in conn.execute(mine)}
    over = [had[head] for head in had.keys() - wanted]
    end_grants(conn, over, today)
    said = {row.unit_id: row.day for row in conn.execute(_said_later(today))}
    for head in had.keys() & wanted:
        if head[1] in said:
            end_grants(conn, [had[head]], said[head[1]])
    new = sorted(wanted - had.keys())
    rows = [
        {"person_id": person, "role": "manager", "unit_id": unit, "from_on": today,
         "until_on": said.get(unit), "source": "derived", "at": now}
        for person, unit in new
    ]  # fmt: skip
    insert_many(conn, grants, rows)
    return {"derived": len(new), "derived_ended": len(over)}


def _said_later(today: int) -> Select[Any]:
    """Units that get a head of their own for good from a later day on, and that day."""
    later = (
        grants.c.role == "manager",
        grants.c.source != "derived",
        grants.c.from_on > today,
        grants.c.until_on.is_(None),
    )
    first = func.min(grants.c.from_on).label("day")
    return select(grants.c.unit_id, first).where(*later).group_by(grants.c.unit_id)


def _sole_supervisors(today: int) -> Select[Any]:
    here = present(today)
    whole = select(persons.c.unit_id, func.count().label("many")).where(here)
    size = whole.group_by(persons.c.unit_id).subquery()
    below = select(persons.c.unit_id, persons.c.supervisor_id, func.count().label("many"))
    led = below.where(here).group_by(persons.c.unit_id, persons.c.supervisor_id).subquery()
    said = select(grants.c.id).where(
        grants.c.unit_id == led.c.unit_id,
        grants.c.role == "manager",
        grants.c.source != "derived",
        grants.c.from_on <= today,
        grants.c.until_on.is_(None),
    )
    return (
        select(led.c.supervisor_id, led.c.unit_id)
        .join(size, and_(size.c.unit_id == led.c.unit_id, size.c.many == led.c.many + 1))
        .join(persons, and_(persons.c.id == led.c.supervisor_id, here))
        .where(persons.c.unit_id == led.c.unit_id, ~said.exists())
    )
