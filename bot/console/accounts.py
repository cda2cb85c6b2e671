"""Who may sign in, for whoever runs the system; and one's own account."""

import re
from datetime import datetime
from typing import Any

from sqlalchemy import Connection
from starlette.responses import Response

from bot.console import passwords, tables
from bot.console.forms import number
from bot.console.pages import Page, Visit
from bot.console.tables import Column
from bot.errors import BadRequest
from flows import reports as said
from storage import accounts, sessions
from storage.accounts import SSO, Listed, Refused


async def listing(visit: Visit) -> Response:
    return await _listed(visit)


async def _listed(visit: Visit, link: str = "", fault: str = "", typed: str = "") -> Response:
    now, sort = visit.app.clock(), tables.order(visit, accounts.SORTS, "name")
    wanted = Listed(
        who=visit.asked("who").strip()[:100],
        sort=("-" if sort[1] else "") + (sort[0] or "name"),
        limit=tables.PAGE + 1,
        offset=tables.offset(visit),
    )
    rows = await visit.read(lambda conn: accounts.listing(conn, now, wanted))
    found, turned = tables.turn(visit, rows)
    columns = [Column(id, visit.words["account_" + id]) for id in accounts.SORTS]
    return visit.show(
        "accounts",
        422 if fault else 200,
        heads=tables.heads(visit, columns, "name"),
        rows=[_row(row, visit) for row in found],
        turned=turned,
        who=wanted.who,
        link=link,
        fault=fault,
        typed=typed or visit.asked("hr_id"),
    )


def _row(row: Any, visit: Visit) -> dict[str, Any]:
    login = row.login or ""
    return {
        "id": row.id,
        "hr_id": row.hr_id,
        "name": row.name,
        "login": "" if login.startswith(SSO) else login,
        "open": bool(login) and row.ended_at is None,
        "invited": row.invited,
        "bound": bool(row.oidc_subject),
        "email": row.oidc_email or "",
        "seen": said.moment(row.seen_at, visit.lang) if row.seen_at else "",
    }


async def invite(visit: Visit) -> Response:
    """A link for somebody who has a role; it is shown once."""
    scope, hr_id = visit.scope, visit.said("hr_id")
    try:
        token = await visit.write(lambda conn, now: accounts.invite(conn, scope, hr_id, now))
    except Refused as refused:
        fault = visit.words["account_" + refused.key].format(who=hr_id)
        return await _listed(visit, fault=fault, typed=hr_id)
    return await _listed(visit, link=f"{visit.base}/console/invitation/{token}")


async def view(visit: Visit) -> Response:
    """One account: its browsers that are signed in, and who it is at the agency's sign-on."""
    return await _one(visit)


async def _one(visit: Visit, fault: str = "", typed: str = "") -> Response:
    now, id = visit.app.clock(), visit.id
    rows = await visit.read(lambda conn: accounts.listing(conn, now, None, id))
    if not rows:
        raise BadRequest(404, "not_found")
    browsers = await visit.read(lambda conn: sessions.of(conn, id, now))
    shown = [
        {
            "id": row.id,
            "agent": row.agent,
            "begun": said.moment(row.created_at, visit.lang),
            "seen": said.moment(row.seen_at, visit.lang),
        }
        for row in browsers
    ]
    status = 422 if fault else 200
    return visit.show("account", status, row=_row(rows[0], visit), browsers=shown, fault=fault,
                      typed=typed)  # fmt: skip


async def end_browser(visit: Visit) -> Response:
    """Sign out one browser of somebody, or all of them."""
    scope, person, session = visit.scope, visit.id, number(visit.said("session") or "0")
    if session is None:
        raise BadRequest(400, "bad_form")
    many = await visit.write(
        lambda conn, now: sessions.end_others(conn, scope, person, session, now)
    )
    return visit.go(f"accounts/{person}", visit.words["account_signed_out"].format(n=many))


async def expect(visit: Visit) -> Response:
    """Let the first sign-in with a verified e-mail address be this person."""
    scope, person, email = visit.scope, visit.id, visit.said("email").casefold()
    if not re.fullmatch(r"[^@\s]{1,64}@[^@\s]{1,190}", email):
        return await _one(visit, visit.words["account_bad_email"], email)
    try:
        await visit.write(lambda conn, now: accounts.expect(conn, scope, person, email, now))
    except Refused as refused:
        key = "problem_" if refused.key.startswith("oidc") else "account_"
        return await _one(visit, visit.words[key + refused.key].format(who=""), email)
    return visit.go(f"accounts/{person}", visit.words["account_expected"].format(email=email))


async def unbind(visit: Visit) -> Response:
    scope, person = visit.scope, visit.id
    if not visit.said("sure"):
        raise BadRequest(422, "not_sure")
    try:
        await visit.write(lambda conn, now: accounts.unbind(conn, scope, person, now))
    except Refused:
        raise BadRequest(404, "not_found") from None
    return visit.go(f"accounts/{person}", visit.words["account_unbound"])


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
    login = account.login if account and account.password else ""
    return visit.show("own", rows=rows, roles=roles, login=login)


async def end_session(visit: Visit) -> Response:
    person, id = visit.session.person_id, number(visit.said("id"))
    if id is None:
        raise BadRequest(400, "bad_form")
    await visit.write(lambda conn, now: sessions.end_own(conn, person, id, now))
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
    Page("/accounts/{id:int}", view, ("system",), place="accounts"),
    Page("/accounts/{id:int}/end", end_browser, ("system",), "POST", proof=True, place="accounts"),
    Page("/accounts/{id:int}/expect", expect, ("system",), "POST", proof=True, place="accounts"),
    Page("/accounts/{id:int}/unbind", unbind, ("system",), "POST", proof=True, place="accounts"),
    Page("/own", own, (), place="own"),
    Page("/own/end", end_session, (), "POST", place="own"),
    Page("/own/recoveries", new_recoveries, (), "POST", proof=True, place="own"),
)
