"""Reports on the screen: filters in the address, a chart with its numbers, and files."""

import tempfile
from collections.abc import Sequence
from datetime import date, datetime
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import Connection
from starlette.background import BackgroundTask
from starlette.responses import FileResponse, Response

from bot.console import tables
from bot.console.pages import Page, Visit
from bot.console.tables import Column, Turned
from bot.errors import BadRequest
from bot.exports import Mark, Writer, csv, json, xlsx
from flows import reports as said
from flows.calendar import fiscal_bounds, fiscal_year, local
from flows.reports import Ask, Cell, Chart, Report, Row
from storage import reports
from storage.reports import REPORTS, Entry, Wrong
from storage.reports.funnel import Tally
from storage.scope import Denied, Power, paths

SORTED = 100_000
"""A table with more rows than this is shown in its own order."""
BARS = 40
"""Bars of a chart; the table has the rest."""
YEARS = 5
FORMATS: dict[str, Writer] = {"xlsx": xlsx.write, "csv": csv.write, "json": json.write}


class Shown(Struct, frozen=True):
    """One page of a report: what it is, its rows as texts, and its chart."""

    report: Report
    rows: list[list[str]]
    bars: list[dict[str, Any]]
    turned: Turned


async def index(visit: Visit) -> Response:
    mine = [name for name, entry in REPORTS.items() if visit.scope.may(entry.power)]
    listed = [
        {
            "name": name,
            "title": said.title(name, visit.lang, visit.app.content),
            "about": visit.words["about_" + name],
            "names": REPORTS[name].power == "names",
        }
        for name in mine
    ]
    return visit.show("reports", listed=listed)


async def view(visit: Visit) -> Response:
    """A report with its filters. That it was asked for is written down first."""
    name, entry = _entry(visit)
    ask, fault = _ask(visit)
    if fault:
        return await _shown(visit, name, entry, ask, None, fault, 422)
    scope = visit.scope
    try:
        made = await _made(visit, name, ask)
    except Wrong as wrong:
        fault = visit.app.content.copy_[visit.lang]["report_wrong_" + wrong.key]
        return await _shown(visit, name, entry, ask, None, fault.format_map(wrong.slots), 422)
    await visit.write(lambda conn, now: reports.asked(conn, name, scope, ask, now, "console"))
    return await _shown(visit, name, entry, ask, made, "", 200)


def _entry(visit: Visit) -> tuple[str, Entry]:
    name = visit.request.path_params["name"]
    entry = REPORTS.get(name)
    if entry is None:
        raise BadRequest(404, "not_found")
    if not visit.scope.may(entry.power):
        raise Denied(entry.power)
    return name, entry


def _ask(visit: Visit) -> tuple[Ask, str]:
    """What the address asks for, and what is wrong with it, if anything is."""
    try:
        first, last = _days(visit)
        round_, days = (int(visit.asked(key) or 0) for key in ("round", "days"))
    except (ValueError, OverflowError):
        return Ask(visit.asked("unit"), visit.asked("group")), visit.words["report_bad_filter"]
    return Ask(visit.asked("unit"), visit.asked("group"), first, last, round_, days), ""


def _days(visit: Visit) -> tuple[int, int]:
    if year := visit.asked("year"):
        first, last = fiscal_bounds(int(year))
        return first.toordinal(), last.toordinal()
    given = (visit.asked("from"), visit.asked("until"))
    first_, last_ = (date.fromisoformat(each).toordinal() if each else 0 for each in given)
    return first_, last_


async def _made(visit: Visit, name: str, ask: Ask) -> Shown:
    """Progress is made of a tally, and with it kept for whoever has the same rights."""
    if name != "funnel":
        return await visit.read(lambda conn: _read(conn, visit, name, ask, None))
    tally = await visit.standing.now()
    key = (visit.scope.rights, visit.lang, visit.request.url.query, id(visit.app.content))
    kept: Shown | None = visit.standing.page(tally, key)
    if kept is not None:
        return kept
    made = await visit.read(lambda conn: _read(conn, visit, name, ask, tally))
    visit.standing.keep(tally, key, made)
    return made


def _read(conn: Connection, visit: Visit, name: str, ask: Ask, tally: Tally | None) -> Shown:
    now, content = visit.app.clock(), visit.app.content
    made = reports.report(conn, name, visit.scope, ask, now, content, tally)
    start, bars = tables.offset(visit), list[dict[str, Any]]()
    if made.names:  # as they come: there may be very many
        wanted = islice(made.rows, start, None)
    else:
        every = list(made.rows)
        bars = _bars(made, every, visit) if made.chart else []
        wanted = islice(_sorted(made, every, visit), start, None)
    rows, turned = tables.turn(visit, wanted)
    texts = [_texts(made, row, visit) for row in rows]
    return Shown(replace(made, rows=()), texts, bars, turned)


def _texts(made: Report, row: Row, visit: Visit) -> list[str]:
    cells = zip(made.columns, row, strict=True)
    return [said.cell(column, value, visit.lang, visit.app.content) for column, value in cells]


def _sorted(made: Report, rows: list[Row], visit: Visit) -> list[Row]:
    """By the column that the address names; what is not known comes last."""
    ids = [column.id for column in made.columns]
    wanted, down = tables.order(visit, ids)
    if not wanted or len(rows) > SORTED:
        return rows
    at = ids.index(wanted)

    def key(row: Row) -> tuple[Any, ...]:
        value: Cell = row[at]
        return (str(type(value) is str), value)

    known = [row for row in rows if row[at] is not None]
    return sorted(known, key=key, reverse=down) + [row for row in rows if row[at] is None]


def _bars(made: Report, rows: Sequence[Row], visit: Visit) -> list[dict[str, Any]]:
    """The chart's sums, each with how wide its bar is, in percent of the widest."""
    chart = made.chart
    assert chart is not None
    sums = said.summed(made, rows, chart)
    most = max((max(values) for values in sums.values()), default=0) or 1
    columns = [made.columns[made.at(each)] for each in chart.by]
    return [
        {
            "label": said.label(columns, labels, visit.lang, visit.app.content),
            "values": [
                {"name": name, "many": f"{many:,}", "wide": round(100 * many / most, 1)}
                for name, many in zip(_names(made, chart, visit), values, strict=True)
            ],
        }
        for labels, values in said.in_order(sums, columns, visit.app.content)[:BARS]
    ]


def _names(made: Report, chart: Chart, visit: Visit) -> list[str]:
    columns = [made.columns[made.at(each)] for each in chart.values]
    return [said.header(column, visit.lang, visit.app.content) for column in columns]


async def _shown(
    visit: Visit, name: str, entry: Entry, ask: Ask, made: Shown | None, fault: str, status: int
) -> Response:
    lang, content = visit.lang, visit.app.content
    known = tables.known(visit)
    year = fiscal_year(local(visit.app.clock()).date())
    more: dict[str, Any] = {"heads": [], "head": []}
    if made is not None:
        report = made.report
        more["heads"] = _heads(report, visit)
        more["head"] = [
            content.copy_[lang]["report_as_of"].format(when=said.moment(report.as_of, lang)),
            said.denominator(report, lang, content),
            *said.filters(ask, lang, content),
        ]
        more["notes"] = said.notes(report, lang, content)
    return visit.show(
        "report",
        status,
        name=name,
        title=said.title(name, lang, content),
        takes=entry.takes,
        asked=known,
        units=await visit.read(lambda conn: _units(conn, visit, entry)),
        groups=[(each.id, each.name.of(lang)) for each in content.framework.groups],
        years=range(year, year - YEARS, -1),
        query=urlencode(known),
        made=made,
        fault=fault,
        formats=list(FORMATS),
        personal=entry.power == "names",
        **more,
    )


def _heads(report: Report, visit: Visit) -> list[dict[str, Any]]:
    columns = [
        Column(
            column.id,
            said.header(column, visit.lang, visit.app.content),
            number=column.kind in ("count", "share", "number"),
            sorts=not report.names,
        )
        for column in report.columns
    ]
    return tables.heads(visit, columns)


def _units(conn: Connection, visit: Visit, entry: Entry) -> list[str]:
    """Paths that the viewer may ask for."""
    return paths(conn, visit.scope, entry.power) if "unit" in entry.takes else []


# --- files -------------------------------------------------------------------------------


async def download(visit: Visit) -> Response:
    """The whole report as a file. One that names people takes proof of who asks."""
    name, entry = _entry(visit)
    format = visit.said("format")
    if format not in FORMATS:
        raise BadRequest(400, "bad_form")
    ask, fault = _ask(visit)
    if fault:
        raise BadRequest(422, "bad_form")
    if entry.power == "names" and not visit.proved:
        return visit.ask_proof(f"reports/{name}?{visit.request.url.query}")
    scope = visit.scope
    await visit.write(lambda conn, now: reports.asked(conn, name, scope, ask, now, format))
    with tempfile.NamedTemporaryFile(prefix="kaona-", suffix="." + format, delete=False) as file:
        path = Path(file.name)
    try:
        await visit.read(lambda conn: _write(conn, visit, name, ask, format, path))
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    called = f"kaona-{name}-{local(visit.app.clock()):%Y-%m-%d}.{format}"
    gone = BackgroundTask(path.unlink, missing_ok=True)
    return FileResponse(path, filename=called, background=gone)


def _write(conn: Connection, visit: Visit, name: str, ask: Ask, format: str, path: Path) -> None:
    now: datetime = visit.app.clock()
    made = reports.report(conn, name, visit.scope, ask, now, visit.app.content)
    who = f"{visit.session.name} ({visit.session.hr_id})"
    FORMATS[format](made, path, Mark(who, now), visit.lang, visit.app.content)


NEEDS: tuple[Power, ...] = ("figures", "names")
PAGES = (
    Page("/reports", index, NEEDS, place="reports"),
    Page("/reports/{name:str}", view, NEEDS, place="reports"),
    Page("/reports/{name:str}/file", download, NEEDS, "POST", place="reports"),
)
