"""What an agency sets for itself: whom to ask about data, days off, reminders, thresholds."""

from collections.abc import Callable
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection
from starlette.responses import Response

from bot.console.content import past
from bot.console.pages import Page, Visit
from bot.errors import BadRequest
from content.lint import Problem
from content.overlay import (
    SETTINGS,
    Body,
    Revised,
    digest,
    entry,
    faults,
    overlay,
    plain,
    problems,
    shape_of,
)
from content.schema import LANGS
from flows.disclosure import LEAST
from flows.text import clean, long_date
from storage import revisions
from storage.revisions import Draft, Missing, Stale, power_for
from storage.scope import Denied

TYPES = {"time": "time", "contact": "text"}
"""What a field of a form is, if it is no number."""
HISTORY = 10


async def page(visit: Visit) -> Response:
    return await _shown(visit)


async def _shown(
    visit: Visit,
    key: str = "",
    typed: dict[str, str] | None = None,
    wrong: dict[str, str] | None = None,
    *,
    stale: bool = False,
) -> Response:
    """Every setting with its form; one of them perhaps with what was typed, and what is wrong."""

    def look(conn: Connection) -> dict[str, Any]:
        return {each: revisions.history(conn, "setting", each, HISTORY) for each in SETTINGS}

    past_ = await visit.read(look)
    parts = [_part(visit, each, past_[each]) for each in SETTINGS]
    for part in parts:
        if part["key"] == key:
            part |= {"wrong": wrong or {}, "stale": stale}
            part["values"] |= typed or {}
    left = [visit.words["content_left_" + why] for row, why in visit.app.shelf.left
            if row.kind == "setting"]  # fmt: skip
    status = 422 if wrong or stale else 200
    return visit.show("agency", status, parts=parts, least=LEAST, left=left)


def _part(visit: Visit, key: str, found: Any) -> dict[str, Any]:
    body = entry(visit.app.content, "setting", key) or {}
    fields = [name for name in SETTINGS[key].model_fields if name != "days"]
    values = {name: _said(body.get(name, "")) for name in fields}
    return {
        "key": key,
        "may": visit.scope.whole(power_for("setting", key)),
        "seen": _version(body),
        "fields": [(name, TYPES.get(name, "number")) for name in fields],
        "values": values | dict.fromkeys(("date", *LANGS), ""),
        "days": _days(visit, body) if key == "days" else [],
        "wrong": {},
        "stale": False,
        "history": [past(visit, row) | {"value": _value(visit, row)} for row in found],
        "set": any(row.status == "published" for row in found),
    }


def _said(value: Any) -> str:
    text = str(value)
    return text[:5] if text.count(":") == 2 else text  # a time without its seconds


def _version(body: Body) -> str:
    return digest(body)[:16]


def _days(visit: Visit, body: Body) -> list[dict[str, str]]:
    return [
        {
            "date": day["date"],
            "day": long_date(date.fromisoformat(day["date"]), visit.lang),
            "name": day["name"][visit.lang],
        }
        for day in sorted(body.get("days", ()), key=lambda day: str(day["date"]))
    ]


def _value(visit: Visit, row: Any) -> str:
    """What a revision set, in a line."""
    body = revisions.as_revised(row).body
    if row.key == "days":
        return ", ".join(f"{day['day']} {day['name']}" for day in _days(visit, body)) or "–"
    if row.key == "dpo":
        return str(body["contact"])
    labels = visit.words
    return " · ".join(f"{labels['agency_field_' + n]} {_said(v)}" for n, v in body.items())


# --- changing ----------------------------------------------------------------------------


def _key(visit: Visit) -> str:
    key: str = visit.request.path_params["key"]
    if key not in SETTINGS:
        raise BadRequest(404, "not_found")
    power = power_for("setting", key)
    if not visit.scope.whole(power):
        raise Denied(power)
    return key


async def save(visit: Visit) -> Response:
    """Set what was typed, from now on."""
    key = _key(visit)
    names = [name for name in SETTINGS[key].model_fields if name != "days"]
    typed = {name: clean(visit.said(name)) for name in names}
    if key == "days":
        raise BadRequest(404, "not_found")
    return await _set(visit, key, {name: value for name, value in typed.items() if value}, typed)


async def add_day(visit: Visit) -> Response:
    if _key(visit) != "days":
        raise BadRequest(404, "not_found")
    typed = {name: clean(visit.said(name)) for name in ("date", *LANGS)}
    name = {lang: typed[lang] for lang in LANGS if typed[lang]}
    day = {"date": typed["date"], "name": name}
    body = entry(visit.app.content, "setting", "days") or {}
    return await _set(visit, "days", {"days": [*body.get("days", ()), day]}, typed)


async def remove_day(visit: Visit) -> Response:
    if _key(visit) != "days":
        raise BadRequest(404, "not_found")
    gone = visit.said("date")
    body = entry(visit.app.content, "setting", "days") or {}
    kept = [day for day in body.get("days", ()) if day["date"] != gone]
    return await _set(visit, "days", {"days": kept}, {})


def _field(problem: Problem) -> str:
    """The field of the form: of days off only the new one can be wrong."""
    loc = problem.loc[2:] if problem.loc[:1] == ("days",) else problem.loc
    return str(loc[-1]) if loc else "date"


async def _set(visit: Visit, key: str, body: Body, typed: dict[str, str]) -> Response:
    app = visit.app
    await visit.read(app.shelf.look)  # another process may have published a moment ago
    before = entry(app.content, "setting", key) or {}
    if visit.said("seen") != _version(before):
        return await _shown(visit, key, typed, stale=True)
    found = problems(Revised("setting", key, body), app.shelf.files)
    if key == "days":  # those before may have passed out of the calendar: no fault of this one
        last = len(body["days"]) - 1 if typed else None
        found = [each for each in found if len(each.loc) < 2 or each.loc[1] == last]
    if found:
        said = {_field(each): each.text(visit.lang, app.content) for each in reversed(found)}
        return await _shown(visit, key, typed, said)
    made = plain(shape_of("setting", key).model_validate(body))
    if made == before:
        names = [*SETTINGS[key].model_fields]
        wrong = {"date" if key == "days" else names[0]: visit.words["agency_same"]}
        return await _shown(visit, key, typed, wrong)
    base = digest(entry(app.shelf.files, "setting", key))
    draft = Draft("setting", key, key, made, base)
    against = await visit.read(_check(visit, draft))
    if against:
        return await _shown(visit, key, typed, {_first(key): "; ".join(against)})
    try:
        await visit.write(_publish(visit, draft))
    except Stale:
        return await _shown(visit, key, typed, stale=True)
    await visit.read(app.shelf.look)
    return visit.go("agency", visit.words["agency_saved"])


def _first(key: str) -> str:
    return "date" if key == "days" else next(iter(SETTINGS[key].model_fields))


def _check(visit: Visit, draft: Draft) -> Callable[[Connection], list[str]]:
    """What the lint has against everything with this in it."""

    def look(conn: Connection) -> list[str]:
        rows = [row for row in revisions.standing(conn)
                if (row.kind, row.key) != ("setting", draft.key)]  # fmt: skip
        mine = Revised("setting", draft.key, draft.body, draft.base)
        laid = overlay(visit.app.shelf.files, [*rows, mine])
        return [fault.what for fault in faults(laid.content)]

    return look


def _publish(visit: Visit, draft: Draft) -> Callable[[Connection, datetime], None]:
    """Keep it and publish it in one, as long as nothing else was published since it was checked."""
    scope, edition = visit.scope, visit.app.shelf.edition

    def job(conn: Connection, now: datetime) -> None:
        id = revisions.save(conn, scope, draft, "", now)
        seen = revisions.version_of(revisions.find(conn, id))
        revisions.publish(conn, scope, id, seen, edition, now)

    return job


async def reset(visit: Visit) -> Response:
    """Back to what the files, or the service's settings, say."""
    key, scope = _key(visit), visit.scope
    if not visit.said("sure"):
        return visit.go("agency", visit.words["content_unsure"])
    await visit.read(visit.app.shelf.look)
    edition = visit.app.shelf.edition
    try:
        await visit.write(
            lambda conn, now: revisions.withdraw(conn, scope, "setting", key, edition, now)
        )
    except (Missing, Stale):
        return visit.go("agency", visit.words["content_moved_on"])
    await visit.read(visit.app.shelf.look)
    return visit.go("agency", visit.words["agency_reset_done"])


PAGES = (
    Page("/agency", page, ("roster", "system"), place="agency"),
    Page("/agency/{key:str}", save, ("roster", "system"), "POST", place="agency"),
    Page("/agency/{key:str}/add", add_day, ("roster", "system"), "POST", place="agency"),
    Page("/agency/{key:str}/remove", remove_day, ("roster", "system"), "POST", place="agency"),
    Page("/agency/{key:str}/reset", reset, ("roster", "system"), "POST", place="agency"),
)
