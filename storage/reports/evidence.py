"""Uses at work: how many, by unit; and, for those who may see names, what was written."""

from collections.abc import Iterator
from typing import Any

from msgspec.json import decode
from sqlalchemy import Connection, case, func, select

from flows.reports import Chart, Column, Report, Row
from storage.models import evidence as table
from storage.models import facts, persons, profiles, units
from storage.reports import common
from storage.reports.common import View

COLUMNS = (
    Column("unit"),
    Column("staff", "count", sums=True),
    Column("people", "count", sums=True),
    Column("uses", "count", sums=True),
    Column("confirmed", "count", sums=True),
    Column("shared", "count", sums=True),
    Column("chosen", "count", sums=True),
    Column("share", "share"),
)
CHART = Chart("bar", ("unit",), ("uses", "confirmed"))
TEXTS = (
    Column("date", "moment"),
    Column("unit"),
    Column("name"),
    Column("where"),
    Column("whom"),
    Column("changed"),
    Column("confirmed_on", "moment"),
    Column("sharing", "word"),
    Column("status", "word"),
    Column("narrative"),
)
MANY = 500
"""Rows that are held at a time."""


def evidence(conn: Connection, view: View) -> Report:
    """Units with their uses at work; a share is of the people on the unit's roster."""
    staff = {row.unit_id: row.many for row in conn.execute(_staff(view))}
    found = {row.unit_id: row for row in conn.execute(_counts(view))}
    known = common.paths(conn)
    rows: list[Row] = [
        _row(known[unit], staff.get(unit, 0), found.get(unit))
        for unit in sorted(staff.keys() | found.keys(), key=lambda each: known[each])
    ]
    total = sum(staff.values())
    return Report("evidence", COLUMNS, rows, total, view.now, view.ask, ("uses",), CHART)


def _staff(view: View) -> Any:
    here = persons.c.unit_id
    return select(here, func.count().label("many")).where(common.staff(view)).group_by(here)


def _counts(view: View) -> Any:
    def many(when: Any) -> Any:
        return func.sum(case((when, 1), else_=0))

    return (
        select(
            profiles.c.unit_id,
            func.count(table.c.learner_id.distinct()).label("people"),
            func.count().label("uses"),
            many(table.c.confirmed_at.is_not(None)).label("confirmed"),
            many(table.c.shared).label("shared"),
            many(table.c.status == "chosen").label("chosen"),
        )
        .join(profiles, profiles.c.learner_id == table.c.learner_id)
        .where(common.standing(view), common.moments(view, table.c.at))
        .group_by(profiles.c.unit_id)
    )


def _row(path: str, staff: int, found: Any) -> Row:
    if found is None:
        return path, staff, 0, 0, 0, 0, 0, 0.0 if staff else None
    counts = found.uses, int(found.confirmed), int(found.shared), int(found.chosen)
    return path, staff, found.people, *counts, found.people / staff if staff else None


def uses(conn: Connection, view: View) -> Report:
    """Every use at work as it was written, the newest first."""
    here = common.standing(view, "names"), common.moments(view, table.c.at)
    counted = (
        select(func.count())
        .select_from(table)
        .join(profiles, profiles.c.learner_id == table.c.learner_id)
    )
    total: int = conn.execute(counted.where(*here)).scalar_one()
    query = (
        select(table, facts.c.data, persons.c.name, units.c.path)
        .join(profiles, profiles.c.learner_id == table.c.learner_id)
        .join(facts, facts.c.id == table.c.fact_id)
        .join(persons, persons.c.id == profiles.c.person_id)
        .join(units, units.c.id == profiles.c.unit_id)
        .where(*here)
        .order_by(table.c.at.desc(), table.c.fact_id)
    )
    rows = _texts(conn, query)
    return Report("uses", TEXTS, rows, total, view.now, view.ask, ("texts",), names=True)


def _texts(conn: Connection, query: Any) -> Iterator[Row]:
    for row in conn.execute(query.execution_options(yield_per=MANY)):
        said = decode(row.data)
        texts = (said.get(key, {}).get("text", "") for key in ("where", "whom", "changed"))
        sharing = "may_share" if row.shared else "not_shared"
        yield (row.at, row.path, row.name, *texts, row.confirmed_at, sharing, row.status,
               row.narrative)  # fmt: skip
