"""Progress: how many people are at which step, by unit and group."""

from typing import Any

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

from flows.profile import FINISHED
from flows.reports import NOT_JOINED, Chart, Column, Report, Row
from storage.models import persons, profiles
from storage.profiles import countable, withheld
from storage.reports import common
from storage.reports.common import View
from storage.scope import present

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


def funnel(conn: Connection, view: View) -> Report:
    """Everybody on the roster who may be counted, once: at a step of the round they are in, done
    with all of them, or not in the chat yet. Guests are of no unit: only whoever sees the whole
    agency sees them, and they are not of the denominator."""
    counts: dict[tuple[int, str, str], int] = {}
    staff: dict[int, int] = {}
    for kind, unit, group, step, many in conn.execute(_query(view)):
        if kind == "staff":
            staff[unit] = staff.get(unit, 0) + many
        else:
            counts[unit, group, step] = counts.get((unit, group, step), 0) + many
    total = sum(staff.values())
    if view.ask.group:
        total = sum(many for (unit, _, _), many in counts.items() if unit != GUESTS)
    else:
        _not_joined(counts, staff)
    rows = _rows(counts, common.paths(conn), view)
    return Report("funnel", COLUMNS, rows, total, view.now, view.ask, ("steps",), CHART)


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


def _rows(counts: dict[tuple[int, str, str], int], paths: dict[int, str], view: View) -> list[Row]:
    steps = [NOT_JOINED, *(step.id for step in view.content.method.steps), FINISHED]
    groups = ["", *(group.id for group in view.content.framework.groups)]
    at_step = {id: n for n, id in enumerate(steps)}
    at_group = {id: n for n, id in enumerate(groups)}
    of: dict[int, int] = {}
    for (unit, _, _), many in counts.items():
        of[unit] = of.get(unit, 0) + many
    found = sorted(
        (
            paths.get(unit, ""),
            at_group.get(group, len(groups)),
            at_step.get(step, len(steps)),
            unit,
            group,
            step,
            many,
        )
        for (unit, group, step), many in counts.items()
        if many
    )
    return [
        (path, group, step, many, of[unit], many / of[unit])
        for path, _, _, unit, group, step, many in found
    ]
