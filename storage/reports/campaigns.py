"""Campaigns: how each ended for those it was meant for, and what it changed."""

from typing import Any

from sqlalchemy import Connection, Select, func, select

from flows.reports import Chart, Column, Report, Row
from storage import outcomes
from storage.models import campaigns as table
from storage.models import occurrences
from storage.reports import common
from storage.reports.common import View

COLUMNS = (
    Column("number", "count"),
    Column("campaign"),
    Column("last_sent", "moment"),
    Column("recipients", "count", sums=True),
    Column("arrived", "count", sums=True),
    Column("not_arrived", "count", sums=True),
    Column("uncertain", "count", sums=True),
    Column("waiting", "count", sums=True),
    Column("pressed", "count", sums=True),
    Column("started", "share"),
    Column("finished", "share"),
    Column("held_out", "count", sums=True),
    Column("difference", "share"),
    Column("difference_low", "share"),
    Column("difference_high", "share"),
    Column("verdict", "word"),
)
CHART = Chart("bar", ("campaign",), ("arrived", "pressed"))
FAILED = ("failed", "expired", "cancelled")


def campaigns(conn: Connection, view: View) -> Report:
    """Campaigns that were sent: all of them for whoever sees the whole agency, one's own for
    everybody else. A difference is of the shares who finished a step within 14 days."""
    found = conn.execute(_query(view)).all()
    seen = [(row, outcomes.outcome(conn, row.id)) for row in found]
    rows = [_row(row, outcome) for row, outcome in seen]
    total = sum(outcome.size for _, outcome in seen)
    return Report("campaigns", COLUMNS, rows, total, view.now, view.ask, ("effect",), CHART)


def _query(view: View) -> Select[Any]:
    last = func.max(occurrences.c.due).label("last")
    mine = [] if view.whole() else [table.c.author_id == (view.scope.viewer or 0)]
    return (
        select(table.c.id, table.c.name, last)
        .join(occurrences, occurrences.c.campaign_id == table.c.id)
        .where(*mine, common.moments(view, occurrences.c.due))
        .group_by(table.c.id, table.c.name)
        .order_by(last.desc(), table.c.id)
    )


def _row(row: Any, seen: outcomes.Outcome) -> Row:
    started, finished = seen.started, seen.finished
    change = finished.difference
    told: Row = (None, None, None, "no_holdout")
    if change is not None:
        verdict = "like_chance" if change.is_chance else "better" if change.value > 0 else "worse"
        told = (change.value, change.low, change.high, verdict)
    ended = {*FAILED, "accepted", "uncertain"}
    return (
        row.id,
        row.name,
        row.last,
        seen.size,
        seen.rows.get("accepted", 0),
        sum(seen.rows.get(status, 0) for status in FAILED),
        seen.rows.get("uncertain", 0),
        sum(many for status, many in seen.rows.items() if status not in ended),
        seen.answered,
        started.sent / started.of_sent if started.of_sent else None,
        finished.sent / finished.of_sent if finished.of_sent else None,
        seen.held_out,
        *told,
    )
