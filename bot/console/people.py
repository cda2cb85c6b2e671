"""People and units: found, looked at one by one, changed, linked and parted."""

import asyncio
from datetime import date
from typing import Any, cast

from sqlalchemy import Connection
from starlette.responses import Response

from bot import handouts, linking
from bot.console import tables
from bot.console.forms import number
from bot.console.pages import Page, Visit
from bot.console.tables import Column
from bot.errors import BadRequest
from flows import reports as said
from flows.days import Unclear, read_day
from flows.roster import Refusal, say_refusal
from flows.text import long_date
from storage import audit, links, people, roster_one
from storage.links import UNDOABLE, Refused
from storage.people import Found, Wanted
from storage.scope import Denied, Power, paths

LONGEST = 100
"""Letters of what is looked for."""
DEEPEST = 1_000
"""Pages that are turned to: whoever wants more filters."""
SORTS = ("name", "hr_id")
LEVELS = 2
"""Levels of units that a list tells; the page of somebody tells all."""
PDF = "application/pdf"


# --- many ----------------------------------------------------------------------------------


async def listing(visit: Visit) -> Response:
    """People by name or id, filtered, sorted and turned by the address. That names were seen is
    written down."""
    known = await visit.read(lambda conn: paths(conn, visit.scope, "names"))
    wanted, fault = _wanted(visit, known)
    found: list[Any] = []
    if not fault:
        start, many = tables.offset(visit), tables.PAGE + 1
        now = visit.app.clock()
        found = list(
            await visit.read(
                lambda conn: people.search(conn, visit.scope, wanted, now, start, many)
            )
        )
        await _note_list(visit, wanted.unit, len(found[: tables.PAGE]))
    rows, turned = tables.turn(visit, found)
    columns = [
        Column(each, visit.words["person_" + each], sorts=each in SORTS)
        for each in ("name", "hr_id", "joined", "unit", "title", "group")
    ]
    return visit.show(
        "people", 422 if fault else 200, asked=tables.known(visit), units=known, fault=fault,
        groups=_groups(visit), heads=tables.heads(visit, columns, "name"), turned=turned,
        rows=[_cells(visit, row) for row in rows], roster=visit.scope.may("roster"),
    )  # fmt: skip


def _wanted(visit: Visit, known: list[str]) -> tuple[Wanted, str]:
    """What the address asks for, and what is wrong with it, if anything is."""
    sort, down = tables.order(visit, SORTS, "name")
    asked = {name: visit.asked(name).strip() for name in ("q", "unit", "group", "joined", "left")}
    if len(asked["q"]) > LONGEST:
        return Wanted(), visit.words["field_too_long"].format(most=LONGEST)
    fits = (
        asked["unit"] in ("", *known)
        and asked["group"] in ("", *(id for id, _ in _groups(visit)))
        and asked["joined"] in ("", "yes", "no")
        and asked["left"] in ("", "1")
        and tables.page(visit) <= DEEPEST
    )
    if not fits:
        return Wanted(), visit.words["people_bad_filter"]
    joined, order = cast(Any, asked["joined"]), cast(Any, sort or "name")
    left = bool(asked["left"])
    return Wanted(asked["q"], asked["unit"], asked["group"], joined, left, order, down), ""


def _groups(visit: Visit) -> list[tuple[str, str]]:
    groups = visit.app.content.framework.groups
    return [(each.id, each.name.of(visit.lang)) for each in groups]


async def _note_list(visit: Visit, unit: str, many: int) -> None:
    """What was looked for is not written down: it may be a name."""
    scope = visit.scope
    over = [unit] if unit else list(scope.paths("names"))
    await visit.write(
        lambda conn, now: audit.note(
            conn, scope.viewer, "people_seen", "people", now, count=many, over=over
        )
    )


def _cells(visit: Visit, row: Any) -> list[Any]:
    joined = "" if row.rests else visit.words["joined_yes" if row.joined else "joined_no"]
    group = said.name("group", row.group or "", visit.lang, visit.app.content)
    name = {"text": row.name, "path": f"/console/people/{row.id}"}
    unit = " / ".join(row.unit.split(" / ")[-LEVELS:])
    title, group = row.title or "–", "–" if row.rests else group
    return [name, row.hr_id, joined or "–", unit, title, group]


# --- one -----------------------------------------------------------------------------------


async def view(visit: Visit) -> Response:
    return await _shown(visit, await _find(visit))


async def _find(visit: Visit, power: Power = "names") -> Found:
    """Somebody the viewer may see; with `roster`, somebody they may change."""
    id, now = visit.id, visit.app.clock()
    found = await visit.read(lambda conn: people.find(conn, visit.scope, id, now))
    if found is None:
        raise BadRequest(404, "not_found")
    if power == "roster" and not visit.scope.may("roster", found.row.unit):
        raise Denied("roster")
    return found


async def _shown(visit: Visit, found: Found, status: int = 200, **more: Any) -> Response:
    """Somebody's page; that it was opened is written down."""
    scope, row = visit.scope, found.row
    may = scope.may("roster", row.unit)

    def look(conn: Connection, now: Any) -> list[Any]:
        audit.note(conn, scope.viewer, "person_seen", f"person:{row.id}", now)
        return list(links.listing(conn, scope, row.hr_id, now)) if may else []

    journal = await visit.write(look)
    units = await visit.read(lambda conn: paths(conn, scope, "names")) if may else []
    given: dict[str, Any] = {"faults": {}, "typed": {}, "code": None} | more
    return visit.show(
        "person", status, row=row, facts=_facts(visit, found), chats=_chats(visit, found),
        roles=_roles(visit, found), places=_places(visit, found), may=may, units=units,
        waiting=_waiting(visit, found), code_state=_code_state(visit, found),
        journal=_journal(visit, journal), stamp=found.stamp,
        gone=0 < row.left_on <= visit.app.today().toordinal(), **given,
    )  # fmt: skip


def _day(visit: Visit, day: int | None) -> str:
    return long_date(date.fromordinal(day), visit.lang) if day and day > 1 else "–"


def _facts(visit: Visit, found: Found) -> list[tuple[str, str]]:
    """What the roster says of somebody, and, unless their data rests, where they are."""
    row, words, content = found.row, visit.words, visit.app.content
    kind = next(
        (each.name.of(visit.lang) for each in content.roster.kinds if each.id == row.kind), ""
    )
    told = [
        (words["person_hr_id"], row.hr_id),
        (words["person_unit"], row.unit),
        (words["person_title"], row.title),
        (words["person_position"], f"{row.position_type} {row.level}".strip()),
        (words["person_kind"], kind),
        (words["person_above"], found.above),
        (words["person_started"], _day(visit, row.started_on)),
    ]
    if row.left_on:
        told.append((words["person_left"], _day(visit, row.left_on)))
    if row.learner_id is not None and not row.rests:
        told.append(
            (words["person_group"], said.name("group", row.group or "", visit.lang, content))
        )
        told.append((words["person_step"], said.name("step", row.step or "", visit.lang, content)))
    return [(name, text or "–") for name, text in told]


def _chats(visit: Visit, found: Found) -> list[dict[str, Any]]:
    labels = visit.app.content.copy_[visit.lang]
    return [
        {
            "channel": labels.get("channel_" + each.channel, each.channel),
            "since": said.moment(each.created_at, visit.lang),
            "reachable": each.reachable,
        }
        for each in found.chats
    ]


def _code_state(visit: Visit, found: Found) -> str:
    code, words = found.code, visit.words
    if code is None:
        return words["code_none"]
    if code.used_at is not None:
        return words["code_used"].format(at=said.moment(code.used_at, visit.lang))
    if code.void:
        return words["code_void"]
    until = said.moment(code.expires_at, visit.lang)
    here = "code_waits" if code.expires_at > visit.app.clock() else "code_over"
    return words[here].format(at=until)


def _roles(visit: Visit, found: Found) -> list[dict[str, str]]:
    return [
        {
            "role": visit.words["role_" + each.role],
            "unit": each.path or visit.words["whole"],
            "from": _day(visit, each.from_on),
            "until": _day(visit, each.until_on - 1 if each.until_on else 0),
            "source": visit.words[
                "person_source_" + ("hand" if each.source == "hand" else "roster")
            ],
        }
        for each in found.roles
    ]


def _places(visit: Visit, found: Found) -> list[dict[str, str]]:
    return [
        {"unit": each.path, "from": _day(visit, each.from_on), "until": _day(visit, each.until_on)}
        for each in found.places
    ]


def _waiting(visit: Visit, found: Found) -> list[str]:
    """What is to be so from a later day on."""
    told = []
    for day, values in found.waiting:
        key = "person_will_other"
        if values.get("left_on"):
            key = "person_will_leave"
        elif "unit" in values:
            key = "person_will_move"
        unit = values.get("unit", "")
        told.append(visit.words[key].format(day=_day(visit, day), unit=unit))
    return told


def _journal(visit: Visit, rows: list[Any]) -> list[dict[str, Any]]:
    """What was linked and parted."""
    labels = visit.app.content.copy_[visit.lang]
    return [
        {
            "id": row.id,
            "person": row.person_id,
            "hr_id": row.hr_id,
            "at": said.moment(row.at, visit.lang),
            "what": visit.words.get("link_" + row.what, row.what),
            "channel": labels.get("channel_" + row.channel, row.channel or "–"),
            "undoable": row.what in UNDOABLE,
        }
        for row in rows
    ]


# --- changing somebody ---------------------------------------------------------------------


async def change(visit: Visit) -> Response:
    """Transfer somebody, mark them as gone or as back, from a day on: as an import would."""
    found = await _find(visit, "roster")
    typed = {name: visit.said(name)[:200] for name in ("what", "day", "unit")}
    faults, day = _change_faults(visit, typed)
    if faults:
        return await _shown(visit, found, 422, faults=faults, typed=typed)
    wanted = roster_one.Wanted(
        found.row.id, cast(Any, typed["what"]), day, visit.said("stamp"), visit.said("unit")
    )
    scope = visit.scope
    try:
        await visit.write(lambda conn, now: roster_one.change(conn, scope, wanted, now))
    except Refusal as refusal:
        why = say_refusal(refusal.why, refusal.data, visit.lang, visit.app.content.roster)
        field = {"own_leave": "sure", "no_unit": "unit", "no_change": "what"}.get(
            refusal.why, "day"
        )
        return await _shown(visit, found, 422, faults={field: why}, typed=typed)
    except roster_one.Stale:
        now_ = await _find(visit, "roster")
        why = visit.words["changed_meanwhile"]
        return await _shown(visit, now_, 422, faults={"what": why}, typed=typed)
    told = visit.words["person_changed"].format(name=found.row.name, day=_day(visit, day))
    if not await visit.read(
        lambda conn: people.find(conn, scope, wanted.person, visit.app.clock())
    ):
        return visit.go("people", told)
    return visit.go(f"people/{wanted.person}", told)


def _change_faults(visit: Visit, typed: dict[str, str]) -> tuple[dict[str, str], int]:
    """What is wrong with the form by field, and the day that it names."""
    words, rules = visit.words, visit.app.content.roster
    faults, day = dict[str, str](), 0
    if typed["what"] not in ("move", "leave", "return"):
        faults["what"] = words["field_missing"]
    if typed["what"] == "move" and not typed["unit"]:
        faults["unit"] = words["field_missing"]
    try:
        day = read_day(typed["day"], 1900, rules) if typed["day"] else 0
    except Unclear:
        faults["day"] = words["field_not_date"]
    if not day and "day" not in faults:
        faults["day"] = words["field_missing"]
    if not visit.said("sure"):
        faults["sure"] = words["import_not_sure"]
    return faults, day


# --- codes and chats -----------------------------------------------------------------------


async def issue(visit: Visit) -> Response:
    """A new code for somebody: on the screen, once, or on a sheet. It lets whoever has it in, so
    the password comes first."""
    found = await _find(visit, "roster")
    if not visit.proved:
        return visit.ask_proof(f"people/{found.row.id}")
    try:
        row = await visit.app.codes.one(found.row.hr_id, visit.session.hr_id, visit.lang)
    except Refused as refused:
        why = refused.say(visit.lang, visit.app.content)
        return await _shown(visit, found, 422, faults={"code": why})
    if visit.said("how") == "sheet":
        copy = visit.app.content.copy_[visit.lang]
        data = await asyncio.to_thread(handouts.sheets, [row], copy, visit.lang)
        return visit.attach(data, "kaona-code.pdf", PDF)
    return await _shown(visit, await _find(visit), code=row["code"])


async def unlink(visit: Visit) -> Response:
    """Part somebody from their chats."""
    found = await _find(visit, "roster")
    if not visit.said("sure"):
        return await _shown(visit, found, 422, faults={"unlink": visit.words["import_not_sure"]})
    args = {"person": found.row.hr_id}
    return await _link(visit, found, "unlink", args, "unlink", visit.words["link_ended"])


async def unmerge(visit: Visit) -> Response:
    """Undo what a link in somebody's journal did."""
    found, link = await _find(visit, "roster"), number(visit.said("link"))
    if link is None:
        raise BadRequest(400, "bad_form")
    scope, hr_id = visit.scope, found.row.hr_id
    mine = await visit.write(lambda conn, now: links.listing(conn, scope, hr_id, now))
    if link not in {row.id for row in mine}:
        raise BadRequest(404, "not_found")
    args = {"link": link}
    return await _link(visit, found, "unmerge", args, "journal", visit.words["link_undone"])


async def _link(
    visit: Visit, found: Found, do: str, args: dict[str, Any], field: str, told: str
) -> Response:
    answer = await linking.ask(visit.app, do, {**args, "by": visit.session.hr_id}, visit.lang)
    if "refused" in answer:
        return await _shown(visit, found, 422, faults={field: answer["refused"]})
    return visit.go(f"people/{found.row.id}", told)


async def journal(visit: Visit) -> Response:
    """Every link that was made and ended, the newest first."""
    scope = visit.scope
    rows = await visit.write(lambda conn, now: links.listing(conn, scope, "", now))
    return visit.show("links", rows=_journal(visit, list(rows)), most=links.SHOWN)


# --- units ---------------------------------------------------------------------------------


async def units(visit: Visit) -> Response:
    """A unit, and those right below it: their heads, how many are in each, who has joined."""
    at, now, scope = number(visit.asked("at") or "0"), visit.app.clock(), visit.scope
    if at is None:
        raise BadRequest(404, "not_found")
    line, under = await visit.read(
        lambda conn: people.tree(conn, scope, at, now, visit.app.content)
    )
    if at and not line:
        raise BadRequest(404, "not_found")
    shown = [*line[-1:], *under]
    over = [line[-1].path] if line else list(scope.paths("names"))
    if any(unit.heads for unit in shown):  # names were shown
        many = sum(len(unit.heads) for unit in shown)
        await visit.write(
            lambda conn, when: audit.note(
                conn, scope.viewer, "heads_seen", "people", when, count=many, over=over
            )
        )
    return visit.show(
        "units", line=line, under=under, roster=scope.may("roster"), figures=scope.may("figures")
    )


NAMES: tuple[Power, ...] = ("names",)
ROSTER: tuple[Power, ...] = ("roster",)
PAGES = (
    Page("/people", listing, NAMES, place="people"),
    Page("/people/links", journal, ROSTER, place="people"),
    Page("/people/{id:str}", view, NAMES, place="people"),
    Page("/people/{id:str}/change", change, ROSTER, "POST", place="people"),
    Page("/people/{id:str}/code", issue, ROSTER, "POST", place="people"),
    Page("/people/{id:str}/unlink", unlink, ROSTER, "POST", place="people"),
    Page("/people/{id:str}/unmerge", unmerge, ROSTER, "POST", place="people"),
    Page("/units", units, NAMES, place="people"),
)
