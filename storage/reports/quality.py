"""How good the data are: what is missing or does not fit, of how many, and what to do."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, func, select

from flows.reports import Column, Report, Row
from storage.models import (
    evidence,
    grants,
    measures,
    persons,
    profiles,
    units,
)
from storage.profiles import countable
from storage.reports import common
from storage.reports.common import View
from storage.scope import present, valid

COLUMNS = (
    Column("finding", "word"),
    Column("many", "count"),
    Column("of_many", "count"),
    Column("share", "share"),
    Column("todo", "word"),
)


def quality(conn: Connection, view: View) -> Report:
    """Each finding with how many there are, of how many that were looked at. Guests only count for
    whoever sees the whole agency."""
    parts = {name: find(view) for name, find in FINDINGS.items()}
    if not view.whole():
        del parts["guests"]
    found = conn.execute(
        select(*(query.scalar_subquery().label(name) for name, query in _columns(parts)))
    ).one()
    rows: list[Row] = []
    for name in parts:
        many, of = int(getattr(found, name) or 0), int(getattr(found, "of_" + name) or 0)
        rows.append((name, many, of, many / of if of else None, "todo_" + name))
    of = common.headcount(conn, view)
    return Report("quality", COLUMNS, rows, of, view.now, view.ask)


Pair = tuple[Select[Any], Select[Any]]
"""How many, of how many."""


def _columns(parts: dict[str, Pair]) -> list[tuple[str, Select[Any]]]:
    named = [(name, pair[0]) for name, pair in parts.items()]
    return named + [("of_" + name, pair[1]) for name, pair in parts.items()]


def _among(counted: Select[Any], fault: ColumnElement[bool]) -> Pair:
    return counted.where(fault), counted


def _staff(view: View) -> Select[Any]:
    return select(func.count()).select_from(persons).where(common.staff(view))


def _learners(view: View) -> Select[Any]:
    return select(func.count()).select_from(profiles).where(common.standing(view))


def _no_supervisor(view: View) -> Pair:
    return _among(_staff(view), persons.c.supervisor_id.is_(None))


def _no_type(view: View) -> Pair:
    return _among(_staff(view), persons.c.position_type == "")


def _not_joined(view: View) -> Pair:
    known = select(profiles.c.learner_id).where(profiles.c.person_id == persons.c.id)
    return _among(_staff(view), ~known.exists())


def _guests(view: View) -> Pair:
    everybody = select(func.count()).select_from(profiles).where(countable())
    return _among(everybody, profiles.c.person_id.is_(None))


def _same_name(view: View) -> Pair:
    alike = (
        select(func.count().label("n"))
        .select_from(persons)
        .where(common.staff(view))
        .group_by(persons.c.unit_id, persons.c.name)
        .having(func.count() > 1)
        .subquery()
    )
    return select(func.sum(alike.c.n)), _staff(view)


def _no_manager(view: View) -> Pair:
    """Units with people, and nobody who gets their digest."""
    here = select(persons.c.id).where(persons.c.unit_id == units.c.id, present(view.today))
    led = select(grants.c.id).where(
        grants.c.unit_id == units.c.id, grants.c.role == "manager", valid(view.today)
    )
    counted = select(func.count()).select_from(units).where(view.over(units.c.id), here.exists())
    return _among(counted, ~led.exists())


def _rights_of_leavers(view: View) -> Pair:
    holder = select(persons.c.unit_id).where(persons.c.id == grants.c.person_id)
    counted = select(func.count()).select_from(grants)
    counted = counted.where(valid(view.today), view.over(holder.scalar_subquery()))
    return _among(counted, grants.c.person_id.in_(common.leavers(view.today)))


def _rights_ended(view: View) -> Pair:
    holder = select(persons.c.unit_id).where(persons.c.id == grants.c.person_id)
    counted = select(func.count()).select_from(grants).where(view.over(holder.scalar_subquery()))
    ended = and_(grants.c.until_on.is_not(None), grants.c.until_on <= view.today)
    return _among(counted, ended)


def _unreachable(view: View) -> Pair:
    return _among(_learners(view), ~profiles.c.reachable)


def _no_group(view: View) -> Pair:
    return _among(_learners(view), profiles.c.personnel_group == "")


def _not_measured(view: View) -> Pair:
    done = select(measures.c.learner_id).where(
        measures.c.learner_id == profiles.c.learner_id,
        measures.c.round == profiles.c.round,
        measures.c.before.is_not(None),
    )
    past = profiles.c.step != view.content.method.steps[0].id
    return _among(_learners(view).where(past), ~done.exists())


def _moved(view: View) -> Pair:
    theirs = select(persons.c.unit_id).where(persons.c.id == profiles.c.person_id)
    return _among(_learners(view), profiles.c.unit_id != theirs.scalar_subquery())


def _unconfirmed(view: View) -> Pair:
    counted = (
        select(func.count())
        .select_from(evidence)
        .join(profiles, profiles.c.learner_id == evidence.c.learner_id)
        .where(common.standing(view))
    )
    return _among(counted, evidence.c.confirmed_at.is_(None))


FINDINGS: dict[str, Callable[[View], Pair]] = {
    "no_supervisor": _no_supervisor,
    "no_type": _no_type,
    "no_manager": _no_manager,
    "same_name": _same_name,
    "not_claimed": _not_joined,
    "guests": _guests,
    "moved": _moved,
    "no_group": _no_group,
    "not_measured": _not_measured,
    "unreachable": _unreachable,
    "unconfirmed": _unconfirmed,
    "rights_of_leavers": _rights_of_leavers,
    "rights_ended": _rights_ended,
}
"""What is looked for, in the order in which it is worth mending."""
