"""Sheets of one-time codes for many: counted first, made in the background, taken once."""

from functools import partial
from typing import Any, cast
from urllib.parse import urlencode

from starlette.responses import Response

from bot.code_desk import Making
from bot.console import live
from bot.console.pages import Page, Visit
from bot.errors import BadRequest
from flows import reports as said
from storage import audit
from storage.links import Refused
from storage.scope import Power, paths

FORMS = ("pdf", "csv")
TYPES = {"pdf": "application/pdf", "csv": "text/csv; charset=utf-8"}


async def index(visit: Visit) -> Response:
    """Whom codes are for, and how many that are."""
    asked = {name: visit.asked(name) for name in ("unit", "again", "form")}
    return await _asked(visit, asked, count=bool(visit.asked("count")))


async def _asked(
    visit: Visit, asked: dict[str, str], *, count: bool, fault: str = "", unsure: str = ""
) -> Response:
    known = await visit.read(lambda conn: paths(conn, visit.scope, "names"))
    many: int | None = None
    if not _fits(asked, known):
        fault, asked = visit.words["codes_bad"], {"unit": "", "again": "", "form": ""}
    elif count:
        many, why = await _count(visit, asked)
        fault = fault or why
    return visit.show(
        "codes", 422 if fault or unsure else 200, asked=asked, units=known, many=many, fault=fault,
        unsure=unsure, query=urlencode({**asked, "count": "1"}), waiting=_waiting(visit),
    )  # fmt: skip


def _fits(asked: dict[str, str], known: list[str]) -> bool:
    return (
        asked["unit"] in ("", *known)
        and asked["again"] in ("", "1")
        and asked["form"] in ("", *FORMS)
    )


async def _count(visit: Visit, asked: dict[str, str]) -> tuple[int | None, str]:
    try:
        many = await visit.app.codes.count(
            asked["unit"], visit.session.hr_id, visit.lang, again=bool(asked["again"])
        )
    except Refused as refused:
        return None, refused.say(visit.lang, visit.app.content)
    return many, ""


def _waiting(visit: Visit) -> list[dict[str, str]]:
    """Sheets of one's own that are under way or were not taken yet."""
    mine = visit.app.codes.tray.of(visit.session.person_id)
    return [
        {
            "id": each.id,
            "unit": each.unit or visit.words["codes_all"],
            "at": said.moment(each.at, visit.lang),
            "state": visit.words["codes_state_" + each.state],
        }
        for each in sorted(mine, key=lambda each: each.at, reverse=True)
        if each.state in ("running", "ready")
    ]


async def make(visit: Visit) -> Response:
    """Begin to make a sheet."""
    asked = {name: visit.said(name) for name in ("unit", "again", "form")}
    known = await visit.read(lambda conn: paths(conn, visit.scope, "names"))
    if not _fits(asked, known):
        return await _asked(visit, asked, count=False)
    if not visit.proved:
        return visit.ask_proof("codes?" + urlencode({**asked, "count": "1"}))
    if not visit.said("sure"):
        return await _asked(visit, asked, count=True, unsure=visit.words["import_not_sure"])
    who, form = visit.session, cast(Any, asked["form"] or "pdf")
    try:
        made = await visit.app.codes.begin(
            who.person_id, who.hr_id, asked["unit"], form, visit.lang, again=bool(asked["again"])
        )
    except Refused as refused:
        why = refused.say(visit.lang, visit.app.content)
        return await _asked(visit, asked, count=True, fault=why)
    return visit.go(f"codes/{made.id}")


def _own(visit: Visit) -> Making:
    id = visit.request.path_params["id"]
    found = visit.app.codes.tray.find(id, visit.session.person_id)
    if found is None:
        raise BadRequest(404, "not_found")
    return found


async def view(visit: Visit) -> Response:
    made = _own(visit)
    state = "failed" if made.broken_off else made.state
    return visit.show("code_sheet", made=made, state=state, news=_news(visit, made))


async def news(visit: Visit) -> Response:
    """How far a sheet is."""
    made, tray = _own(visit), visit.app.codes.tray
    return live.watch(visit, lambda: tray.find(made.id, made.owner), partial(_news, visit))


def _news(visit: Visit, made: Making) -> dict[str, Any]:
    stage = "codes_drawing" if made.done >= made.of else "codes_issuing"
    told = visit.words[stage].format(done=f"{made.done:,}", of=f"{made.of:,}")
    found: dict[str, Any] = {"stage": told, "done": made.done, "of": made.of}
    if made.state != "running" or made.broken_off:
        found["over"] = True
    return found


async def take(visit: Visit) -> Response:
    """The sheet, once."""
    made = _own(visit)
    if made.state != "ready":
        raise BadRequest(404, "not_found")
    try:
        data = visit.app.codes.take(made)
    except OSError:
        raise BadRequest(404, "not_found") from None
    who = visit.session.person_id
    await visit.write(
        lambda conn, now: audit.note(conn, who, "codes_taken", "codes", now, codes=made.done)
    )
    return visit.attach(data, f"kaona-codes.{made.form}", TYPES[made.form])


NEEDS: tuple[Power, ...] = ("roster",)
PAGES = (
    Page("/codes", index, NEEDS, place="people"),
    Page("/codes", make, NEEDS, "POST", place="people"),
    Page("/codes/{id:str}", view, NEEDS, place="people"),
    Page("/codes/{id:str}/news", news, NEEDS, place="people"),
    Page("/codes/{id:str}/file", take, NEEDS, "POST", place="people"),
)
