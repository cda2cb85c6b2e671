"""The audit journal: who did what to whose data, and whether the journal is whole."""

from datetime import date
from typing import Any

from sqlalchemy import Connection
from starlette.responses import Response

from bot.console import live, tables
from bot.console.forms import number
from bot.console.pages import Page, Visit
from bot.console.tables import Column
from flows import reports as said
from flows.calendar import local
from storage import audit
from storage.audit import Search
from storage.scope import Denied, Power

LONGEST = 200
DAYS = ("first", "last")


async def index(visit: Visit) -> Response:
    """The entries that the address asks for. That somebody looked is an entry, too."""
    scope = visit.scope
    if not audit.may_search(scope):
        raise Denied("privacy")
    wanted, faults = _wanted(visit)
    rows: list[Any] = []
    names: dict[str, str] = {}
    if not faults:
        about = await visit.read(lambda conn: audit.target_of(conn, wanted.about))
        rows, names = await visit.read(lambda conn: _read(conn, visit, wanted))
        seen = len(rows[: tables.PAGE])
        await visit.write(
            lambda conn, now: audit.note(conn, scope.viewer, "view_audit", about, now, entries=seen)
        )
    return await _shown(visit, wanted, rows, names, faults)


def _wanted(visit: Visit) -> tuple[Search, dict[str, str]]:
    days, faults = dict.fromkeys(DAYS, 0), {}
    for name in DAYS:
        try:
            typed = visit.asked(name)
            days[name] = date.fromisoformat(typed).toordinal() if typed else 0
        except ValueError:
            faults[name] = visit.words["field_not_date"]
    if days["first"] and days["last"] and days["last"] < days["first"]:
        faults["last"] = visit.words["audit_bad_days"]
    return Search(
        **{name: visit.asked(name).strip()[:LONGEST] for name in ("by", "action", "about")},
        first=days["first"],
        last=min(days["last"], date.max.toordinal() - 1),
        past=number(visit.asked("past")) or 0,
        oldest=visit.asked("sort") == "id",
        limit=tables.PAGE + 1,
    ), faults


def _read(conn: Connection, visit: Visit, wanted: Search) -> tuple[list[Any], dict[str, str]]:
    rows = list(audit.search(conn, visit.scope, wanted))
    return rows, audit.hr_ids(conn, visit.scope, rows)


async def _shown(
    visit: Visit, wanted: Search, rows: list[Any], names: dict[str, str], faults: dict[str, str]
) -> Response:
    asked, shown = tables.known(visit), rows[: tables.PAGE]
    onward = tables.changed(asked, past=shown[-1].id) if len(rows) > tables.PAGE else ""
    columns = [
        Column("id", visit.words["audit_id"], number=True),
        *(
            Column(id, visit.words["audit_" + id], sorts=False)
            for id in ("at", "by", "action", "about", "result", "data")
        ),
    ]
    kept = {key: value for key, value in asked.items() if key != "past"}
    job = visit.app.keeper.checking
    return visit.show(
        "audit",
        422 if faults else 200,
        heads=tables.heads(visit, columns, "-id"),
        rows=[_row(row, names, visit) for row in shown],
        asked=asked,
        faults=faults,
        onward=onward,
        back=tables.changed(kept) if wanted.past else "",
        job=job,
        checked=await visit.read(lambda conn: _checked(conn, visit)),
    )


def _row(row: Any, names: dict[str, str], visit: Visit) -> dict[str, Any]:
    """An entry in words; what has none keeps the name that it has in the journal."""
    by = row.hr_id or (str(row.by_id) if row.by_id else visit.words["audit_service"])
    return {
        "id": f"{row.id:,}",
        "at": f"{said.moment(row.at, visit.lang)}:{local(row.at):%S}",
        "by": by,
        "action": visit.words.get("did_" + row.action, row.action),
        "about": names.get(row.target, row.target) or "–",
        "result": visit.words.get("result_" + row.result, row.result),
        "data": "" if row.data == "{}" else row.data,
    }


def _checked(conn: Connection, visit: Visit) -> dict[str, Any]:
    """When somebody last had it verified, and how that ended."""
    row = audit.last_verified(conn)
    if row is None:
        return {"good": None, "text": visit.words["audit_never"]}
    good = row.result == "done"
    text = visit.words["audit_whole" if good else "audit_broken"]
    return {"good": good, "text": text.format(when=said.moment(row.at, visit.lang))}


async def verify(visit: Visit) -> Response:
    """Walk along the whole journal; the page tells how far it is."""
    if not audit.may_search(visit.scope):
        raise Denied("privacy")
    await visit.app.keeper.check(visit.session.person_id)
    return visit.go("audit", visit.words["audit_begun"])


async def news(visit: Visit) -> Response:
    """How far the walk is."""
    job = visit.app.keeper.checking

    async def look() -> dict[str, Any]:
        if job is None:
            return {"over": True}
        return {"done": job.done, "of": job.of, "over": job.over}

    return live.follow(visit, look)


NEEDS: tuple[Power, ...] = ("privacy", "system")
PAGES = (
    Page("/audit", index, NEEDS, place="audit"),
    Page("/audit/verify", verify, NEEDS, "POST", place="audit"),
    Page("/audit/news", news, NEEDS, place="audit"),
)
