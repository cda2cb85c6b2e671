"""Activity over time: people and what they did, week by week."""

from typing import Any

from sqlalchemy import Connection, and_, func, select

from flows.reports import Chart, Column, Report, Row
from storage import weeks
from storage.models import profiles
from storage.models import weeks as kept
from storage.outcomes import LEARNING
from storage.reports import common
from storage.reports.common import View

COLUMNS = (
    Column("week", "day"),
    Column("activity", "word"),
    Column("people", "count"),
    Column("times", "count", sums=True),
    Column("share", "share"),
)
CHART = Chart("line", ("week",), ("times",))
SHOWN = 53
"""Weeks, if no others are asked for."""


def activity(conn: Connection, view: View) -> Report:
    """Weeks that are over come from the table that names nobody; the running one, and any that was
    not yet rolled up, are counted now. A share is of the people on the roster today."""
    first, last = _span(view)
    of = common.headcount(conn, view)
    found: dict[tuple[int, str], tuple[int, int]] = {}
    for row in conn.execute(_kept(view, first, last)):
        found[row.monday, row.kind] = int(row.learners), int(row.times)
    for start in _running(conn, view, first, last):
        for row in weeks.count(conn, start, _mine(view)):
            people, times = found.get((start, row.kind), (0, 0))
            found[start, row.kind] = people + row.learners, times + row.times
    order = {kind: n for n, kind in enumerate((weeks.ANY, *LEARNING))}
    rows: list[Row] = [
        # what they did in all is the sum of the rows below it
        (start, kind, people, None if kind == weeks.ANY else times, people / of if of else None)
        for (start, kind), (people, times) in sorted(
            found.items(), key=lambda item: (item[0][0], order.get(item[0][1], 99))
        )
    ]
    return Report("activity", COLUMNS, rows, of, view.now, view.ask, ("weeks",), CHART)


def _span(view: View) -> tuple[int, int]:
    """The first and last Monday that are shown."""
    last = weeks.monday(min(view.ask.until_on or view.today, view.today))
    first = weeks.monday(view.ask.from_on) if view.ask.from_on else last - 7 * (SHOWN - 1)
    return first, last


def _kept(view: View, first: int, last: int) -> Any:
    mine = view.over(kept.c.unit_id)
    units = mine if view.whole() else and_(mine, kept.c.unit_id > 0)
    people, times = func.sum(kept.c.learners), func.sum(kept.c.times)
    return (
        select(kept.c.monday, kept.c.kind, people.label("learners"), times.label("times"))
        .where(kept.c.monday.between(first, last), kept.c.kind != "", units)
        .group_by(kept.c.monday, kept.c.kind)
    )


def _running(conn: Connection, view: View, first: int, last: int) -> range:
    """Mondays of weeks that are not kept."""
    done = conn.execute(select(func.max(kept.c.monday))).scalar()
    begin = done + 7 if done is not None else weeks.begin(conn)
    return range(max(first, begin), last + 1, 7) if begin is not None else range(0)


def _mine(view: View) -> Any:
    """A condition on `profiles`: of the view's units; guests if nobody is left out."""
    return view.over(profiles.c.unit_id) if not view.whole() else True
