"""Reports for other programs: whatever is in the registry, as plain JSON."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from itertools import islice
from typing import Annotated, Any, Protocol

from fastapi import APIRouter, Query, Request
from msgspec import Struct
from sqlalchemy import Connection

from bot.api import access
from bot.api.access import Figured
from bot.api.problems import Problem, unknown
from bot.api.shapes import ReportList, ReportShape
from content.schema import Content
from storage import directory
from storage.scope import Scope

# --- the registry: on merging, this part becomes
# from storage.reports import REPORTS, Ask, Wrong, report


class Ask(Struct, frozen=True):
    """What is wanted of a report. Days are ordinals, the last one included; 0: open."""

    unit: str = ""
    group: str = ""
    from_on: int = 0
    until_on: int = 0
    round: int = 0
    days: int = 0


class Wrong(Exception):
    """A report cannot be asked for like this."""


class Column(Struct, frozen=True):
    id: str
    kind: str = "text"


class Steps(Struct, frozen=True):
    """How many learners are at which step."""

    name: str
    columns: tuple[Column, ...]
    rows: Iterable[Sequence[Any]]
    denominator: int
    as_of: datetime
    notes: tuple[str, ...] = ()
    names: bool = False


REPORTS = {"steps": "figures"}
"""Reports by name."""


def report(
    conn: Connection, name: str, scope: Scope, ask: Ask, now: datetime, content: Content
) -> "Made":
    """A report over what the viewer may see. Raises `Denied`, or `Wrong`."""
    scope.require("figures", ask.unit or None)
    rows = [tuple(row) for row in directory.steps_of(conn, scope, ask.unit, ask.group)]
    columns = (Column("step", "word"), Column("people", "count"))
    return Steps(name, columns, rows, sum(row[1] for row in rows), now)


# --- what is served ----------------------------------------------------------------------


class Made(Protocol):
    """A report, as far as it is served."""

    @property
    def columns(self) -> Sequence[Any]:
        """Each with an `id` and a `kind`."""

    @property
    def rows(self) -> Iterable[Sequence[Any]]:
        """Cells in the order of the columns; they may come while they are read, once."""

    @property
    def denominator(self) -> int: ...

    @property
    def as_of(self) -> datetime: ...

    @property
    def notes(self) -> Sequence[str]: ...

    @property
    def names(self) -> bool:
        """It names people."""


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
        made = report(conn, name, caller.scope, ask, app.clock(), app.content)
        return _plain(name, made, offset, limit), made.names

    try:
        plain, names = await access.read(request, make)
    except Wrong as error:
        raise Problem(422, f"This report cannot be asked for like this: {error}.") from error
    if names:
        count = len(plain["rows"])
        await access.note(request, caller, "api_report", f"report:{name}", count=count)
    return ReportShape.model_validate(plain)


def _plain(name: str, made: Made, offset: int, limit: int) -> dict[str, Any]:
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
