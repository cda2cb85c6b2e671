"""The yearly report to OCSC: its state, its files, and freezing it."""

import asyncio
from typing import Any

from sqlalchemy import Connection
from starlette.responses import Response

from bot.console.forms import number
from bot.console.pages import Page, Visit
from bot.errors import BadRequest
from bot.ocsc import FORMATS, render
from bot.office import Office
from flows import reports as said
from flows.calendar import fiscal_year, local
from storage import ocsc
from storage.scope import Power

YEARS = 5
TYPES = {
    "pdf": "application/pdf",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "json": "application/json",
}


async def index(visit: Visit) -> Response:
    """The last years, each with the report that was frozen for it."""
    present = fiscal_year(local(visit.app.clock()).date())
    years = range(present, present - YEARS, -1)
    frozen = await visit.read(lambda conn: [_frozen(conn, year, visit) for year in years])
    return visit.show(
        "annual", years=frozen, formats=FORMATS, may_freeze=visit.scope.whole("roster"),
        whole=visit.scope.whole("figures"), fault="",
    )  # fmt: skip


def _frozen(conn: Connection, year: int, visit: Visit) -> dict[str, Any]:
    found = ocsc.versions(conn, year)
    last = found[-1] if found else None
    return {
        "year": year,
        "version": len(found),
        "seal": last.hash if last else "",
        "at": said.moment(last.at, visit.lang) if last else "",
    }


async def download(visit: Visit) -> Response:
    """One file: of the frozen report if there is one, else of a draft."""
    year, format = _asked(visit)
    audience = "internal" if visit.said("internal") else "ocsc"
    made = await Office(visit.app, visit.lang).ask(
        "report",
        {"year": year, "audience": audience, "freeze": False, "again": False,
         "by": visit.session.hr_id},
    )  # fmt: skip
    if "refused" in made:
        raise BadRequest(422, "refused")
    data = await asyncio.to_thread(render, made, format)
    name = f"ocsc-{year}" + ("-internal" if audience == "internal" else "")
    called = {"Content-Disposition": f'attachment; filename="{name}.{format}"'}
    return Response(data, media_type=TYPES[format], headers=called)


def _asked(visit: Visit) -> tuple[int, str]:
    year, format = number(visit.said("year")), visit.said("format") or "pdf"
    if year is None or format not in FORMATS:
        raise BadRequest(400, "bad_form")
    return year, format


async def freeze(visit: Visit) -> Response:
    """Keep the report of a year for good; one that is there is replaced only on purpose."""
    year, _ = _asked(visit)
    made = await Office(visit.app, visit.lang).ask(
        "report",
        {"year": year, "audience": "ocsc", "freeze": True, "again": bool(visit.said("again")),
         "by": visit.session.hr_id},
    )  # fmt: skip
    if "refused" in made:
        return visit.go("annual", visit.words["annual_refused"].format(why=made["refused"][0]))
    told = visit.words["annual_done"].format(year=year, version=made["frozen"])
    return visit.go("annual", told)


NEEDS: tuple[Power, ...] = ("figures",)
PAGES = (
    Page("/annual", index, NEEDS, place="annual"),
    Page("/annual/file", download, NEEDS, "POST", place="annual"),
    Page("/annual/freeze", freeze, ("roster",), "POST", proof=True, place="annual"),
)
