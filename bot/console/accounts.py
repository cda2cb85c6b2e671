"""Who may sign in, for whoever runs the system; and one's own account."""

from datetime import datetime

from sqlalchemy import Connection
from starlette.responses import Response

from bot.console import passwords
from bot.console.pages import Page, Visit
from bot.errors import BadRequest
from flows import reports as said
from storage import accounts, sessions
from storage.accounts import Refused


async def listing(visit: Visit) -> Response:
    return await _listed(visit)


async def _listed(visit: Visit, link: str = "", fault: str = "", typed: str = "") -> Response:
    now = visit.app.clock()

    def look(conn: Connection) -> list[dict[str, object]]:
        return [
            {
                "hr_id": row.hr_id,
                "name": row.name,
                "login": row.login or "",
                "open": bool(row.login) and row.ended_at is None,
                "invited": row.invited,
                "seen": said.moment(row.seen_at, visit.lang) if row.seen_at else "",
            }
            for row in accounts.listing(conn, now)
        ]

    rows = await visit.read(look)
    status = 422 if fault else 200
    return visit.show("accounts", status, rows=rows, link=link, fault=fault, typed=typed)


async def invite(visit: Visit) -> Response:
    """A link for somebody who has a role; it is shown once."""
    scope, hr_id = visit.scope, visit.said("hr_id")
    try:
        token = await visit.write(lambda conn, now: accounts.invite(conn, scope, hr_id, now))
    except Refused as refused:
        fault = visit.words["account_" + refused.key].format(who=hr_id)
        return await _listed(visit, fault=fault, typed=hr_id)
    return await _listed(visit, link=f"{visit.base}/console/invitation/{token}")


async def end(visit: Visit) -> Response:
    """Close an account; nobody closes their own."""
    scope, hr_id = visit.scope, visit.said("hr_id")
    if hr_id == visit.session.hr_id:
        return await _listed(visit, fault=visit.words["account_own"])
    try:
        await visit.write(lambda conn, now: accounts.end(conn, scope, hr_id, now))
    except Refused:
        return await _listed(visit, fault=visit.words["account_nobody"].format(who=hr_id))
    return visit.go("accounts", visit.words["account_ended"].format(who=hr_id))


# --- one's own ---------------------------------------------------------------------------


async def own(visit: Visit) -> Response:
    """One's roles, and the browsers that are signed in."""
    person, now, here = visit.session.person_id, visit.app.clock(), visit.session.id

    def look(conn: Connection) -> list[dict[str, object]]:
        return [
            {
                "id": row.id,
                "agent": row.agent,
                "seen": said.moment(row.seen_at, visit.lang),
                "here": row.id == here,
            }
            for row in sessions.of(conn, person, now)
        ]

    rows = await visit.read(look)
    account = await visit.read(lambda conn: accounts.of(conn, person))
    roles = [
        {"role": visit.words["role_" + right.role], "unit": right.path or visit.words["whole"]}
        for right in visit.scope.rights
    ]
    return visit.show("own", rows=rows, roles=roles, login=account.login if account else "")


async def end_session(visit: Visit) -> Response:
    person, id = visit.session.person_id, visit.said("id")
    if not id.isdecimal():
        raise BadRequest(400, "bad_form")
    await visit.write(lambda conn, now: sessions.end_own(conn, person, int(id), now))
    return visit.go("own", visit.words["own_ended"])


async def new_recoveries(visit: Visit) -> Response:
    """Other codes in place of the old ones; shown once."""
    person, codes = visit.session.person_id, passwords.new_recoveries()

    def keep(conn: Connection, now: datetime) -> None:
        accounts.renew_recoveries(conn, person, codes, now)

    try:
        await visit.write(keep)
    except Refused:
        raise BadRequest(404, "not_found") from None
    return visit.show("recoveries", codes=codes)


PAGES = (
    Page("/accounts", listing, ("system",), place="accounts"),
    Page("/accounts/invite", invite, ("system",), "POST", proof=True, place="accounts"),
    Page("/accounts/end", end, ("system",), "POST", proof=True, place="accounts"),
    Page("/own", own, (), place="own"),
    Page("/own/end", end_session, (), "POST", place="own"),
    Page("/own/recoveries", new_recoveries, (), "POST", proof=True, place="own"),
)
