"""The first page: where the agency stands, and what waits for somebody."""

from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, func, select
from starlette.responses import Response

from bot.console import setup
from bot.console.pages import Page, Visit
from flows import reports as said
from flows.calendar import ends, local
from flows.profile import FINISHED
from storage import beginnings
from storage.models import evidence, parked, profiles, wishes
from storage.profiles import countable
from storage.reports import Ask, inside
from storage.reports.common import View, headcount, standing
from storage.scope import Scope

SOON = timedelta(days=60)
"""The calendar's end is spoken of so long before."""


async def overview(visit: Visit) -> Response:
    """Progress for whoever may see figures; below it what needs somebody, with a way to it."""
    now, scope = visit.app.clock(), visit.scope
    view = View(inside(scope), Ask(), now, visit.app.content)

    def look(conn: Connection) -> dict[str, Any]:
        found: dict[str, Any] = {"steps": [], "staff": 0}
        if view.scope.may("figures"):
            found["staff"] = headcount(conn, view)
            found["steps"] = _steps(conn, view)
        return found

    found = await visit.read(look)
    waiting = await visit.read(lambda conn: _waiting(conn, scope, visit))
    joined = sum(many for _, many in found["steps"])
    shown = _named(found["steps"], found["staff"], joined, visit)
    when = said.moment(now, visit.lang)
    return visit.show(
        "overview", steps=shown, staff=found["staff"], joined=joined, waiting=waiting, when=when,
        figures=view.scope.may("figures"),
    )  # fmt: skip


def _steps(conn: Connection, view: View) -> list[tuple[str, int]]:
    """People by the step that they are at."""
    counted = select(profiles.c.step, func.count()).where(standing(view))
    rows = conn.execute(counted.group_by(profiles.c.step))
    found: dict[str, int] = {row[0]: row[1] for row in rows}
    order = [*(step.id for step in view.content.method.steps), FINISHED]
    return [(step, found.pop(step, 0)) for step in order] + sorted(found.items())


def _named(
    steps: list[tuple[str, int]], staff: int, joined: int, visit: Visit
) -> list[dict[str, Any]]:
    rows = [("not_joined", staff - joined), *steps] if staff else []
    most = max((many for _, many in rows), default=0) or 1
    return [
        {
            "name": said.name("step", id, visit.lang, visit.app.content),
            "many": many,
            "share": 100 * many / staff,
            "wide": round(100 * many / most, 1),
        }
        for id, many in rows
    ]


def _waiting(conn: Connection, scope: Scope, visit: Visit) -> list[dict[str, Any]]:
    """What somebody should look at, the most urgent first; nothing that the viewer cannot act
    on."""
    now = visit.app.clock()
    found: list[dict[str, Any]] = []

    def add(key: str, many: int, path: str = "") -> None:
        if many:
            text = visit.words[f"waits_{key}"].format(n=f"{many:,}")
            found.append({"text": text, "path": path})

    if scope.whole("privacy"):
        add("wishes", _count(conn, wishes, wishes.c.ended_at.is_(None)))
    if scope.may("system"):
        add("parked", _count(conn, parked, parked.c.ended_at.is_(None)))
        begun = beginnings.read(conn, now)
        add("setup", setup.missing(visit.app.settings, visit.app.probed, begun), "/console/setup")
    if scope.may("names"):
        add("evidence", _new_uses(conn, scope), "/console/reports/evidence")
    last = ends(visit.app.content)
    if scope.may("send") and last - local(now).date() < SOON:
        add("calendar", (last - local(now).date()).days)
    return found


def _count(conn: Connection, table: Table, open_: ColumnElement[bool]) -> int:
    found: int = conn.execute(select(func.count()).select_from(table).where(open_)).scalar_one()
    return found


def _new_uses(conn: Connection, scope: Scope) -> int:
    """Uses at work that nobody has looked at for the report, in the viewer's units."""
    counted = (
        select(func.count())
        .select_from(evidence)
        .join(profiles, profiles.c.learner_id == evidence.c.learner_id)
        .where(evidence.c.status == "new", evidence.c.shared, countable())
        .where(scope.covers("names", profiles.c.unit_id))
    )
    found: int = conn.execute(counted).scalar_one()
    return found


PAGES = (Page("/", overview, (), place="overview"),)
