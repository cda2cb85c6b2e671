"""Progress: how many people are at which step, by unit and group."""

from datetime import datetime
from typing import Any

from msgspec import Struct
from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    Select,
    Text,
    case,
    func,
    literal,
    select,
    union_all,
)

from content.schema import Content
from flows.profile import FINISHED
from flows.reports import NOT_JOINED, Chart, Column, Report
from storage.models import persons, profiles
from storage.profiles import countable, withheld
from storage.reports import common
from storage.reports.common import View
from storage.scope import inside, present

COLUMNS = (
    Column("unit"),
    Column("group", "word", "group"),
    Column("step", "word", "step"),
    Column("people", "count", sums=True),
    Column("of_unit", "count"),
    Column("share", "share"),
)
CHART = Chart("bar", ("step",), ("people",))
GUESTS = 0
"""Stands for the unit of those who are of none."""


class Tally(Struct, frozen=True):
    """Everybody of a view by unit, group and step, at one moment. From the whole agency's tally
    every narrower view follows without a query."""

    at: datetime
    rows: list[tuple[int, str, str, int]]
    """Unit, group, step and how many, in the order of the report: whoever is on the roster and
    has not joined stands there with no group."""
    staff: dict[int, int]
    """People on the roster by unit."""
    paths: dict[int, str]


def funnel(conn: Connection, view: View) -> Report:
    """Everybody on the roster who may be counted, once: at a step of the round they are in, done
    with all of them, or not in the chat yet. Guests are of no unit: only whoever sees the whole
    agency sees them, and they are not of the denominator."""
    tally = view.tally or count(conn, view)
    mine = _units(tally, view)
    wanted = view.ask.group
    found = [row for row in tally.rows if row[0] in mine and wanted in ("", row[1])]
    if wanted:
        total = sum(many for unit, _, _, many in found if unit != GUESTS)
    else:
        total = sum(many for unit, many in tally.staff.items() if unit in mine)
    of: dict[int, int] = {}
    for unit, _, _, many in found:
        of[unit] = of.get(unit, 0) + many
    paths = tally.paths
    rows = [
        (paths[unit], group, step, many, of[unit], many / of[unit])
        for unit, group, step, many in found
    ]
    return Report("funnel", COLUMNS, rows, total, tally.at, view.ask, ("steps",), CHART)


def steps(tally: Tally, view: View) -> tuple[int, dict[str, int]]:
    """People on the roster of a view, and by the step that they are at; no guests."""
    mine = _units(tally, view) - {GUESTS}
    found: dict[str, int] = {}
    for unit, _, step, many in tally.rows:
        if unit in mine:
            found[step] = found.get(step, 0) + many
    return sum(many for unit, many in tally.staff.items() if unit in mine), found


def _units(tally: Tally, view: View) -> set[int]:
    """Units of a tally that a view is of."""
    tops, asked = view.scope.paths("figures"), view.ask.unit
    return {
        unit
        for unit, path in tally.paths.items()
        if any(inside(path, top) for top in tops) and inside(path, asked)
        if unit != GUESTS or view.whole()
    }


def count(conn: Connection, view: View) -> Tally:
    """Count everybody of a view, for its group or for all."""
    counts: dict[tuple[int, str, str], int] = {}
    staff: dict[int, int] = {}
    for kind, unit, group, step, many in conn.execute(_query(view)):
        if kind == "staff":
            staff[unit] = staff.get(unit, 0) + many
        else:
            counts[unit, group, step] = counts.get((unit, group, step), 0) + many
    if not view.ask.group:
        _not_joined(counts, staff)
    paths = common.paths(conn) | {GUESTS: ""}
    return Tally(view.now, _ordered(counts, paths, view.content), staff, paths)


def _query(view: View) -> Any:
    """One statement: learners by unit, group and step from the index alone; taken off, few as they
    are, those whose person has left and those who may not be counted; guests; and the roster by
    unit, less those again."""
    place = (profiles.c.unit_id, profiles.c.personnel_group, profiles.c.step)
    theirs = view.over(profiles.c.unit_id), view.grouped(), profiles.c.unit_id.is_not(None)
    learners = _part("learners", *place, func.count()).where(*theirs).group_by(*place)
    gone = _part("learners", *place, -func.count()).join_from(persons, profiles)
    gone = gone.where(*theirs, *common.left(view.today)).group_by(*place)
    held = _part("learners", *place, -func.count()).where(*theirs)
    held = held.where(profiles.c.learner_id.in_(withheld()))
    held = held.where(profiles.c.person_id.not_in(common.leavers(view.today)))
    parts = [learners, gone, held.group_by(*place)]
    if view.whole():
        guests = _part("learners", literal(GUESTS, Integer), *place[1:], func.count())
        nobody = profiles.c.unit_id.is_(None), profiles.c.person_id.is_(None)
        guests = guests.where(*nobody, countable(), view.grouped())
        parts.append(guests.group_by(*place[1:]))
    if not view.ask.group:
        here = func.sum(case((present(view.today), 1), else_=0))
        nothing = literal("", Text)
        staff = _part("staff", persons.c.unit_id, nothing, nothing, here)
        parts.append(staff.where(view.over(persons.c.unit_id)).group_by(persons.c.unit_id))
        less = _part("staff", persons.c.unit_id, nothing, nothing, -func.count())
        less = less.where(persons.c.id.in_(withheld(profiles.c.person_id)))
        less = less.where(present(view.today), view.over(persons.c.unit_id))
        parts.append(less.group_by(persons.c.unit_id))
    return union_all(*parts)


def _part(kind: str, *columns: ColumnElement[Any]) -> Select[Any]:
    names = ("unit", "personnel_group", "step", "many")
    named = (each.label(name) for each, name in zip(columns, names, strict=True))
    return select(literal(kind, Text).label("kind"), *named)


def _not_joined(counts: dict[tuple[int, str, str], int], staff: dict[int, int]) -> None:
    """Whoever is on the roster of a unit and is no learner there."""
    joined: dict[int, int] = {}
    for (unit, _, _), many in counts.items():
        joined[unit] = joined.get(unit, 0) + many
    for unit, many in staff.items():
        if missing := many - joined.get(unit, 0):
            counts[unit, "", NOT_JOINED] = missing


def _ordered(
    counts: dict[tuple[int, str, str], int], paths: dict[int, str], content: Content
) -> list[tuple[int, str, str, int]]:
    at_step = {id: n for n, id in enumerate(order(content))}
    at_group = {id: n for n, id in enumerate(("", *(each.id for each in content.framework.groups)))}

    def rank(row: tuple[int, str, str, int]) -> tuple[str, int, int, int]:
        unit, group, step, _ = row
        at = at_group.get(group, len(at_group)), at_step.get(step, len(at_step))
        return (paths.get(unit, ""), *at, unit)

    return sorted(((*key, many) for key, many in counts.items() if many), key=rank)


def order(content: Content) -> list[str]:
    """Where somebody may be, in its order."""
    return [NOT_JOINED, *(step.id for step in content.method.steps), FINISHED]
