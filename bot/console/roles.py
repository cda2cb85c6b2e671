"""Who may do what: roles over units, given and taken away."""

from datetime import date
from typing import Any, get_args

from sqlalchemy import Connection, select
from starlette.responses import Response

from bot.console import tables
from bot.console.pages import Page, Visit
from bot.console.tables import Column
from bot.errors import BadRequest
from flows.roster import Refusal, say_refusal
from flows.text import long_date
from storage import audit, roster_grants
from storage.models import units
from storage.roster_grants import GIVEN, Listed, State, Wanted
from storage.scope import Power

STATES: tuple[State, ...] = get_args(State)
SUGGESTED = 500
"""Units that are offered while one is typed."""
FIELDS = ("hr_id", "role", "unit", "from", "until")
BESIDE = {
    "no_person": "hr_id",
    "no_unit": "unit",
    "needs_unit": "unit",
    "days": "until",
}
"""Which field a refusal stands beside; all others are about the role."""


async def index(visit: Visit) -> Response:
    """The roles that the address asks for. That names were looked at is written down."""
    now, scope, wanted = visit.app.clock(), visit.scope, _wanted(visit)
    rows = await visit.read(lambda conn: roster_grants.listing(conn, scope, wanted, now))
    found, turned = tables.turn(visit, rows)
    await visit.write(
        lambda conn, at: audit.note(conn, scope.viewer, "view_roles", "roles", at, rows=len(found))
    )
    columns = [
        Column(id, visit.words["grant_" + id])
        for id in ("hr_id", "name", "role", "unit", "since", "until")
    ]
    return visit.show(
        "roles",
        heads=tables.heads(visit, columns, "hr_id"),
        rows=[_row(each, visit) for each in found],
        turned=turned,
        asked=tables.known(visit),
        roles=_named(visit, GIVEN),
        states=[(each, visit.words["grant_is_" + each]) for each in STATES],
        state=wanted.state,
        may_give=_mine(visit),
    )


def _wanted(visit: Visit) -> Listed:
    sort, down = tables.order(visit, roster_grants.SORTS, "hr_id")
    return Listed(
        who=visit.asked("who").strip()[:100],
        role=visit.asked("role"),
        unit=visit.asked("unit").strip(),
        state=next((each for each in STATES if each == visit.asked("state")), "holds"),
        sort=("-" if down else "") + (sort or "hr_id"),
        limit=tables.PAGE + 1,
        offset=tables.offset(visit),
    )


def _row(row: Any, visit: Visit) -> dict[str, Any]:
    """A grant in words."""
    said = visit.words
    return {
        "id": row.id,
        "hr_id": row.hr_id,
        "name": row.name,
        "role": said["role_" + row.role],
        "unit": row.path or said["whole"],
        "since": _date(row.from_on, visit) if row.from_on > 1 else "–",
        "until": _date(row.until_on - 1, visit) if row.until_on else "–",
        "state": said["grant_is_" + row.state],
        "by": row.by or said["grant_by_" + ("roster" if row.source == "roster" else "hand")],
        "takes": row.state != "over" and roster_grants.may_give(visit.scope, row.role),
    }


def _date(day: int, visit: Visit) -> str:
    return long_date(date.fromordinal(max(day, 1)), visit.lang)


def _named(visit: Visit, roles: Any) -> list[tuple[str, str]]:
    return [(role, visit.words["role_" + role]) for role in roles]


def _mine(visit: Visit) -> list[tuple[str, str]]:
    """Roles that the viewer may give."""
    return _named(visit, [role for role in GIVEN if roster_grants.may_give(visit.scope, role)])


# --- giving ------------------------------------------------------------------------------


async def ask(visit: Visit) -> Response:
    typed = {"hr_id": visit.asked("hr_id"), "role": visit.asked("role")}
    return await _form(visit, typed, {})


async def _form(visit: Visit, typed: dict[str, str], faults: dict[str, str]) -> Response:
    if not _mine(visit):
        raise BadRequest(403, "denied")
    known = await visit.read(_units)
    status = 422 if faults else 200
    return visit.show(
        "role_give", status, typed=typed, faults=faults, units=known, roles=_mine(visit)
    )


def _units(conn: Connection) -> list[str]:
    paths = select(units.c.path).order_by(units.c.path).limit(SUGGESTED)
    return list(conn.execute(paths).scalars())


async def give(visit: Visit) -> Response:
    """Give a role. What does not do is said beside its field, and nothing is changed."""
    typed = {name: visit.said(name) for name in FIELDS}
    faults = {} if typed["hr_id"] else {"hr_id": visit.words["field_missing"]}
    days = dict.fromkeys(("from", "until"), 0)
    for name in days:
        try:
            days[name] = date.fromisoformat(typed[name]).toordinal() if typed[name] else 0
        except ValueError:
            faults[name] = visit.words["field_not_date"]
    if faults:
        return await _form(visit, typed, faults)
    by = visit.session.hr_id
    wanted = Wanted(typed["hr_id"], typed["role"], typed["unit"], days["from"], days["until"], by)
    try:
        await visit.write(lambda conn, now: roster_grants.give(conn, wanted, now))
    except Refusal as refusal:
        faults[BESIDE.get(refusal.why, "role")] = _say(visit, refusal)
        return await _form(visit, typed, faults)
    role = visit.words["role_" + wanted.role]
    return visit.go("roles", visit.words["grant_given"].format(who=wanted.who, role=role))


def _say(visit: Visit, refusal: Refusal) -> str:
    return say_refusal(refusal.why, refusal.data, visit.lang, visit.app.content.roster)


# --- taking away -------------------------------------------------------------------------


async def view(visit: Visit) -> Response:
    """One role, and what it means to take it away."""
    return await _one(visit)


async def _one(visit: Visit, fault: str = "") -> Response:
    scope, now, id = visit.scope, visit.app.clock(), visit.id
    row = await visit.read(lambda conn: roster_grants.find(conn, scope, id, now))
    if row is None:
        raise BadRequest(404, "not_found")
    own = row.person_id == visit.session.person_id
    status = 422 if fault else 200
    return visit.show("role", status, row=_row(row, visit), roster=row.source == "roster",
                      own=own, fault=fault)  # fmt: skip


async def take(visit: Visit) -> Response:
    """Take a role away from today on, and end the sessions of whoever had it."""
    scope, id = visit.scope, visit.id
    if not visit.said("sure"):
        return await _one(visit, visit.words["grant_not_sure"])
    try:
        who = await visit.write(lambda conn, now: roster_grants.take_one(conn, scope, id, now))
    except Refusal as refusal:
        return await _one(visit, _say(visit, refusal))
    return visit.go("roles", visit.words["grant_taken"].format(who=who))


NEEDS: tuple[Power, ...] = ("system", "roster")
PAGES = (
    Page("/roles", index, NEEDS, place="roles"),
    Page("/roles/give", ask, NEEDS, proof=True, place="roles"),
    Page("/roles/give", give, NEEDS, "POST", proof=True, place="roles"),
    Page("/roles/{id:int}", view, NEEDS, place="roles"),
    Page("/roles/{id:int}/take", take, NEEDS, "POST", proof=True, place="roles"),
)
