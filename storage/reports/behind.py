"""Who has not moved for a while, and what may be in the way: for help, not for blame."""

from collections.abc import Iterator
from datetime import date
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, and_, func, or_, select

from content.schema import Content
from flows import steps
from flows.calendar import add_working_days, working_days
from flows.profile import FINISHED
from flows.reports import Column, Report, Row
from flows.types import State
from storage.gathered import decode_state
from storage.models import learners, persons, profiles, units
from storage.reports import common
from storage.reports.common import View

COLUMNS = (
    Column("unit"),
    Column("name"),
    Column("group", "word", "group"),
    Column("step", "word", "step"),
    Column("activity_at", "word"),
    Column("last_here", "day"),
    Column("working_days", "count"),
    Column("reason", "word"),
    Column("help", "word"),
)
MANY = 500
"""Rows that are held at a time."""


def behind(conn: Connection, view: View) -> Report:
    """People on the roster who have not joined, or have not finished and have done nothing for so
    many working days; by unit, those who wait longest first. Whoever asked that their data be
    restricted is left out."""
    total = common.headcount(conn, view, "names")
    rows = _read(conn, _query(view), view)
    return Report("behind", COLUMNS, rows, total, view.now, view.ask, ("help",), names=True)


def _days(view: View) -> int:
    return view.ask.days or view.content.reports.behind_days


def _query(view: View) -> Any:
    today = date.fromordinal(view.today)
    cutoff = add_working_days(today, -_days(view), view.content).toordinal()
    silent = and_(profiles.c.active_on <= cutoff, profiles.c.step != FINISHED)
    absent = profiles.c.learner_id.is_(None)
    who = and_(silent, view.grouped()) if view.ask.group else or_(absent, silent)
    last = func.coalesce(profiles.c.active_on, 0)
    return (
        select(persons.c.name, units.c.path, profiles, learners.c.state)
        .select_from(persons)
        .join(units, units.c.id == persons.c.unit_id)
        .join(profiles, profiles.c.person_id == persons.c.id, isouter=True)
        .join(learners, learners.c.id == profiles.c.learner_id, isouter=True)
        .where(common.staff(view, "names"), who)
        .order_by(units.c.path, last, persons.c.id)
    )


def _read(conn: Connection, query: Any, view: View) -> Iterator[Row]:
    for row in conn.execute(query.execution_options(yield_per=MANY)):
        if row.learner_id is None:
            yield (row.path, row.name, "", "not_joined", "", None, None, "not_joined",
                   "help_not_joined")  # fmt: skip
            continue
        state = decode_state(row.state)
        activity = _activity(state, view.content)
        why = reason(row, state, activity, view)
        waited = _waited(row.active_on, view.today, view.content) if row.active_on else None
        yield (row.path, row.name, row.personnel_group, row.step, activity,
               row.active_on or None, waited, why, "help_" + why)  # fmt: skip


def _activity(state: State, content: Content) -> str:
    here = steps.current(state, content)
    return "at_" + here[1] if here else ""


@lru_cache(maxsize=4096)
def _waited(since: int, today: int, content: Content) -> int:
    return working_days(date.fromordinal(since), date.fromordinal(today), content)


def reason(row: Any, state: State, activity: str, view: View) -> str:
    """What most likely stands in the way: what keeps our words from arriving comes before what
    the learner may find hard."""
    if not row.reachable:
        return "unreachable"
    if row.stopped:
        return "stopped"
    if not row.welcomed:
        return "notice"
    if row.rests_until and row.rests_until > view.now:
        return "resting"
    if activity == "at_quiz" and _failed_twice(state):
        return "quiz"
    if state.quiet:
        return "unanswered"
    if not row.nudges:
        return "reminders_off"
    if activity == "at_apply":
        return "opportunity"
    return "silent"


def _failed_twice(state: State) -> bool:
    quizzes = state.journey.quizzes.values()
    return any(quiz.attempts >= 2 and not quiz.passed for quiz in quizzes)
