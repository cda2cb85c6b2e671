"""Reports for other programs: whatever is in the registry, as plain JSON."""

from datetime import date, datetime
from itertools import islice
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from sqlalchemy import Connection

from bot.api import access
from bot.api.access import Figured
from bot.api.problems import Problem, unknown
from bot.api.shapes import ReportList, ReportShape
from flows.reports import Ask, Report
from storage import reports
from storage.reports import REPORTS

MOST = 10_000
router = APIRouter(tags=["reports"])


@router.get("/reports")
async def list_reports(caller: Figured) -> ReportList:
    """Every report there is. Who may see it, each decides for itself."""
    return ReportList.model_validate({"reports": [{"name": name} for name in sorted(REPORTS)]})


@router.get("/reports/{name}")
async def get_report(
    request: Request,
    caller: Figured,
    name: str,
    unit: Annotated[str, Query(max_length=1000)] = "",
    group: Annotated[str, Query(max_length=64)] = "",
    from_: Annotated[date | None, Query(alias="from")] = None,
    until: date | None = None,
    round: Annotated[int, Query(ge=0, le=1000)] = 0,
    days: Annotated[int, Query(ge=0, le=3660)] = 0,
    limit: Annotated[int, Query(ge=1, le=MOST)] = 1000,
    offset: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
) -> ReportShape:
    """One report, over what the caller may see; a filter that it does not take is refused."""
    if name not in REPORTS:
        raise unknown("report")
    first, last = (day.toordinal() if day else 0 for day in (from_, until))
    ask = Ask(unit, group, first, last, round, days)
    app = access.service(request)

    def make(conn: Connection) -> tuple[dict[str, Any], bool]:
        made = reports.report(conn, name, caller.scope, ask, app.clock(), app.content)
        return _plain(name, made, offset, limit), made.names

    try:
        plain, names = await access.read(request, make)
    except reports.Wrong as wrong:
        why = app.content.copy_["en"]["report_wrong_" + wrong.key].format_map(wrong.slots)
        raise Problem(422, why) from wrong
    if names:
        count = len(plain["rows"])
        over = reports.over(name, caller.scope, ask)
        await access.note(request, caller, "api_report", f"report:{name}", count=count, over=over)
    return ReportShape.model_validate(plain)


def _plain(name: str, made: Report, offset: int, limit: int) -> dict[str, Any]:
    kinds = [column.kind for column in made.columns]
    rows = [
        [_cell(kind, value) for kind, value in zip(kinds, row, strict=True)]
        for row in islice(made.rows, offset, offset + limit + 1)
    ]
    return {
        "name": name,
        "columns": [{"id": column.id, "kind": column.kind} for column in made.columns],
        "rows": rows[:limit],
        "denominator": made.denominator,
        "as_of": made.as_of,
        "notes": list(made.notes),
        "next": offset + limit if len(rows) > limit else None,
    }


def _cell(kind: str, value: Any) -> Any:
    if kind == "day" and isinstance(value, int):
        return date.fromordinal(value).isoformat() if value else None
    return value.isoformat() if isinstance(value, datetime) else value
