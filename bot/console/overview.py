"""The first page: where the agency stands, and what waits for somebody."""

from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, func, select
from starlette.responses import Response

from bot.console import setup
from bot.console.pages import MENU, Page, Visit
from flows import reports as said
from flows.calendar import day_off, ends, local
from flows.reports import NOT_JOINED
from flows.text import long_date
from storage import beginnings, campaigns, doubts, promises, quota, wishes
from storage.models import evidence, parked, profiles
from storage.profiles import countable
from storage.quota import Quota
from storage.reports import Ask, inside
from storage.reports.common import View
from storage.reports.funnel import Tally, order, steps
from storage.scope import Scope

SOON = timedelta(days=60)
"""The calendar's end is spoken of so long before."""
AHEAD = timedelta(days=45)
"""Days off are shown so far ahead."""


async def overview(visit: Visit) -> Response:
    """Progress for whoever may see figures; below it what needs somebody, with a way to it."""
    scope, more = visit.scope, dict[str, Any]()
    if not any(map(scope.may, MENU[""][0][2])) and scope.may("team"):
        return visit.go("team")
    if may := inside(scope).may("figures"):
        more = _progress(visit, await visit.standing.now())
    waiting = await visit.read(lambda conn: _waiting(conn, scope, visit))
    if scope.may("send") or scope.may("system"):
        more |= await visit.read(lambda conn: _service(conn, visit))
        more["broken"] = [name for name, good in (await visit.app.health()).items() if not good]
    when = said.moment(more.pop("at", visit.app.clock()), visit.lang)
    return visit.show("overview", waiting=waiting, when=when, figures=may, **more)


def _progress(visit: Visit, tally: Tally) -> dict[str, Any]:
    """Who is at which step, with the bars."""
    content = visit.app.content
    view = View(inside(visit.scope), Ask(), visit.app.clock(), content)
    staff, many = steps(tally, view)
    rows = [(step, many.pop(step, 0)) for step in order(content)] + sorted(many.items())
    most = max(each for _, each in rows) or 1
    shown = [
        {
            "name": said.name("step", step, visit.lang, content),
            "many": each,
            "share": 100 * each / staff,
            "wide": round(100 * each / most, 1),
        }
        for step, each in rows
        if staff
    ]
    joined = staff - dict(rows)[NOT_JOINED]
    return {"steps": shown, "staff": staff, "joined": joined, "at": tally.at}


def _service(conn: Connection, visit: Visit) -> dict[str, Any]:
    """How the service itself is: LINE's month, the next days off and campaigns, promises kept."""
    now, lang, content = visit.app.clock(), visit.lang, visit.app.content
    clean, kinds = promises.kept_for(conn)
    today = local(now).date()
    days = (today + timedelta(days=n) for n in range(AHEAD.days))
    off = [(day, found) for day in days if (found := day_off(day, content))]
    return {
        "quota": _quota(quota.read(conn, now)),
        "clean": clean,
        "violated": [(visit.words["violated_" + kind], many) for kind, many in kinds.items()],
        "days_off": [(long_date(day, lang), found.name.of(lang)) for day, found in off],
        "coming": [
            (row.name, said.moment(row.next_due, lang)) for row in campaigns.upcoming(conn, now)
        ],
    }


def _quota(month: Quota) -> dict[str, Any]:
    if month.most is None:
        return {"used": month.used, "most": None}
    left = max(0, month.most - month.used)
    wide = round(100 * min(month.used / month.most, 1), 1) if month.most else 100
    return {"used": month.used, "most": month.most, "left": left, "wide": wide}


def _waiting(conn: Connection, scope: Scope, visit: Visit) -> list[dict[str, Any]]:
    """What somebody should look at, the most urgent first; nothing that the viewer cannot act
    on."""
    now = visit.app.clock()
    found: list[dict[str, Any]] = []

    def add(key: str, many: int, path: str = "") -> None:
        if many:
            text = visit.words[f"waits_{key}"].format(n=f"{many:,}")
            found.append({"text": text, "path": path})

    if scope.may("privacy"):
        add("wishes", wishes.many(conn, scope), "/console/wishes")
    if scope.may("system"):
        add("parked", _count(conn, parked, parked.c.ended_at.is_(None)), "/console/stuck")
        add("doubts", doubts.many(conn), "/console/stuck")
        begun = beginnings.read(conn, now)
        add("setup", setup.missing(visit.app.settings, visit.app.probed, begun), "/console/setup")
    if scope.may("names"):
        add("evidence", _new_uses(conn, scope), "/console/uses")
    if scope.may("send"):
        for state, many in sorted(campaigns.waiting(conn, scope).items()):
            add(f"campaign_{state}", many, f"/console/campaigns?state={state}")
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
