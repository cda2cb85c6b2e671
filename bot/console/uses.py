"""Uses at work: read by HR, put in words that name nobody, chosen for the report or left out."""

from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection
from starlette.responses import Response

from bot.console import tables
from bot.console.pages import Page, Visit
from bot.console.tables import Column
from bot.errors import BadRequest
from flows import reports as said
from flows.calendar import fiscal_year, local, midnight
from flows.programme import Trouble
from flows.text import long_date, split
from storage import chosen
from storage.campaigns import Refused
from storage.chosen import LONGEST, ORDERS, STATUSES, Sought
from storage.scope import Power, paths

SHOWN = 140
"""Letters of what has changed at work, in the list."""


async def index(visit: Visit) -> Response:
    """The list with its filters. That it was read is written down first."""
    sought, faults = _sought(visit)
    if faults:
        return await _listed(visit, sought, [], faults)
    scope = visit.scope
    rows = await visit.read(lambda conn: chosen.page(conn, scope, sought))
    many = min(len(rows), tables.PAGE)
    await visit.write(lambda conn, now: chosen.viewed(conn, scope, many, now))
    return await _listed(visit, sought, rows, faults)


def _sought(visit: Visit) -> tuple[Sought, dict[str, str]]:
    """What the address asks for, and what is wrong with it, by field."""
    faults: dict[str, str] = {}

    def day(name: str, more: int) -> datetime | None:
        if not (text := visit.asked(name)):
            return None
        try:
            wanted = date.fromisoformat(text) + timedelta(days=more)
            return midnight(wanted.toordinal())
        except (ValueError, OverflowError):
            faults[name] = visit.words["field_not_date"]
            return None

    since, before = day("from", 0), day("until", 1)
    status = visit.asked("status") if "status" in visit.request.query_params else "new"
    if status and status not in STATUSES:
        faults["status"] = visit.words["uses_bad_status"]
    if since and before and since >= before:
        faults["until"] = visit.words["uses_bad_days"]
    order, down = tables.order(visit, ORDERS, "-at")
    sought = Sought(
        status, visit.asked("unit"), since, before, order or "at", down if order else True,
        tables.offset(visit), tables.PAGE + 1,
    )  # fmt: skip
    return sought, faults


async def _listed(
    visit: Visit, sought: Sought, rows: list[dict[str, Any]], faults: dict[str, str]
) -> Response:
    words, now, scope = visit.words, visit.app.clock(), visit.scope
    year = fiscal_year(local(now).date())
    found, turned = tables.turn(visit, rows)
    columns = [
        Column("at", words["uses_at"]),
        Column("changed", words["uses_changed"], sorts=False),
        Column("status", words["uses_status"], sorts=False),
        Column("confirmed", words["uses_confirmed"], sorts=False),
        Column("who", words["uses_who"]),
        Column("unit", words["uses_unit"]),
    ]
    return visit.show(
        "uses",
        422 if faults else 200,
        asked=tables.known(visit),
        state=sought.status,
        statuses=[(each, words["use_" + each]) for each in STATUSES],
        units=[(path, path) for path in await visit.read(lambda c: paths(c, scope, "names"))],
        heads=tables.heads(visit, columns, "-at"),
        rows=[_cells(row, visit) for row in found],
        turned=turned,
        faults=faults,
        year=year,
        taken=await visit.read(lambda conn: chosen.taken(conn, scope, year, now)),
        most=visit.app.content.layout.narratives,
    )


def _cells(row: dict[str, Any], visit: Visit) -> list[Any]:
    words = visit.words
    first, *rest = split(row["changed"], SHOWN) or [""]
    text = (first + ("…" if rest else "")) or words["uses_taken_back"]
    return [
        long_date(local(row["at"]).date(), visit.lang),
        {"text": text, "path": f"/console/uses/{row['id']}"},
        words["use_" + row["status"]],
        words["uses_yes"] if row["confirmed"] else words["uses_no"],
        row["hr_id"],
        row["unit"],
    ]


# --- one of them -------------------------------------------------------------------------


async def view(visit: Visit) -> Response:
    """What was written beside the words for the report. That it was read is written down."""
    id, scope, content = visit.number("id"), visit.scope, visit.app.content

    def look(conn: Connection, now: datetime) -> dict[str, Any]:
        use = chosen.one(conn, scope, id, content)
        chosen.opened(conn, scope, id, now)
        return use

    try:
        use = await visit.write(look)
    except Refused:
        raise BadRequest(404, "not_found") from None
    return _shown(visit, use, use["narrative"], use["found"])


async def _find(visit: Visit, id: int) -> dict[str, Any]:
    scope, content = visit.scope, visit.app.content
    try:
        return await visit.read(lambda conn: chosen.one(conn, scope, id, content))
    except Refused:
        raise BadRequest(404, "not_found") from None


def _shown(
    visit: Visit, use: dict[str, Any], text: str, found: list[Any], fault: str = "",
    alert: str = "",
) -> Response:  # fmt: skip
    """The page of a use; `found` is what in the text gives somebody away."""
    lang, content = visit.lang, visit.app.content
    marked = [Trouble((), "tells_" + kind).show(lang, content) for kind in found]
    return visit.show(
        "use",
        422 if fault or alert else 200,
        use=use,
        when=said.moment(use["at"], lang),
        text=text,
        fault=fault or " ".join(marked),
        clean=not found and not fault,
        doubtful="perhaps" in found or bool(visit.said("sure")),
        sure=bool(visit.said("sure")),
        alert=alert,
        longest=LONGEST,
        may_undo=use["status"] != "new" and not (use["status"] == "chosen" and use["frozen"]),
    )


async def decide(visit: Visit) -> Response:
    """Check the words, choose the use with them, set it aside, or undo what was decided."""
    id, do, seen = visit.number("id"), visit.said("do"), visit.said("seen")
    use, by, content = await _find(visit, id), visit.session.hr_id, visit.app.content
    text, sure, scope = visit.said("narrative"), bool(visit.said("sure")), visit.scope

    def work(conn: Connection, now: datetime) -> None:
        match do:
            case "choose":
                chosen.choose(conn, id, text, by, now, content, sure=sure, seen=seen or "-")
            case "set_aside":
                chosen.set_aside(conn, id, by, now, seen or "-")
            case "undo":
                chosen.undo(conn, id, by, now, seen or "-")
            case _:
                raise BadRequest(400, "bad_form")

    try:
        if do == "check":
            shown = text[: 2 * LONGEST]
            found = await visit.read(lambda conn: chosen.told(conn, scope, id, shown, content))
            return _shown(visit, use, text, found)
        await visit.write(work)
    except Refused as refused:
        return await _refused(visit, use, text, refused)
    return visit.go("uses", visit.words["uses_done_" + do].format(id=id))


async def _refused(visit: Visit, use: dict[str, Any], text: str, refused: Refused) -> Response:
    """Why it cannot be done, beside the field that it is about; what was typed stays."""
    lang, content = visit.lang, visit.app.content
    wrong = [each for each in refused.problems if each.loc == ("narrative",)]
    other = [each for each in refused.problems if each.loc != ("narrative",)]
    shown = [each.show(lang, content) for each in wrong if isinstance(each, Trouble)]
    alert = " ".join(each.show(lang, content) for each in other if isinstance(each, Trouble))
    found = [each.key.removeprefix("tells_") for each in wrong if each.key.startswith("tells_")]
    kept = text if visit.said("do") == "choose" else use["narrative"]
    return _shown(visit, use, kept, found, " ".join(shown), alert)


NEEDS: tuple[Power, ...] = ("names",)
PAGES = (
    Page("/uses", index, NEEDS, place="uses"),
    Page("/uses/{id:str}", view, NEEDS, place="uses"),
    Page("/uses/{id:str}", decide, NEEDS, "POST", place="uses"),
)
