"""Signing in, proving who one is, and accepting an invitation at the agency's own sign-on."""

from datetime import datetime
from typing import Any

import structlog
from msgspec import DecodeError
from msgspec.json import decode, encode
from sqlalchemy import Connection
from starlette.responses import RedirectResponse, Response

from bot.console import entrance
from bot.console.pages import Page, Visit, is_secure, safe_next
from bot.errors import BadRequest
from bot.oidc import Claims, Flow, Provider, Silent, Untrue
from bot.vault import Sealed
from storage import accounts, audit, sessions
from storage.accounts import Refused
from storage.scope import scope_of

log = structlog.get_logger()
COOKIE, PATH = "kaona-oidc", "/console/oidc"
LIFE = 600
"""Seconds that somebody may take at the sign-on."""
LONGEST = 1000
"""Signs of an address to go on to: a cookie has room for no more."""


def _provider(visit: Visit) -> Provider:
    if visit.app.sign_on is None:
        raise BadRequest(404, "not_found")
    return visit.app.sign_on


async def enter(visit: Visit) -> Response:
    """Off to the sign-on. A link and no form: browsers follow no form to another site here."""
    return await _begin(visit, "enter", safe_next(visit.asked("next")))


async def prove(visit: Visit) -> Response:
    """Sign in there anew, for what wants proof."""
    return await _begin(visit, "prove", safe_next(visit.asked("next")), visit.session.id)


async def accept(visit: Visit) -> Response:
    """Use an invitation by signing in there, with no password of ours."""
    token, now = visit.request.path_params["token"], visit.app.clock()
    if await visit.read(lambda conn: accounts.invited(conn, token, now)) is None:
        return visit.show("problem", 404, problem="link_over")
    return await _begin(visit, "bind", token)


async def _begin(visit: Visit, purpose: str, onward: str, session: int = 0) -> Response:
    provider = _provider(visit)
    onward = onward if len(onward) <= LONGEST else "/console"
    flow = provider.begin(purpose, onward, visit.app.clock(), session)
    try:
        address = await provider.address(flow, _back(visit))
    except Silent as silent:
        return _silent(visit, silent)
    answer = RedirectResponse(address, 303)
    options: dict[str, Any] = {"httponly": True, "samesite": "lax", "max_age": LIFE}
    options |= {"secure": is_secure(visit.request), "path": PATH}
    answer.set_cookie(COOKIE, visit.app.vault.seal(encode(flow).decode()), **options)
    return answer


def _back(visit: Visit) -> str:
    return f"{visit.base}{PATH}/back"


def _silent(visit: Visit, silent: Silent) -> Response:
    log.error("the sign-on does not answer", why=str(silent))
    return visit.show("problem", 503, problem="oidc_silent")


async def back(visit: Visit) -> Response:
    """Somebody comes back. What they began is in their own browser, and good once."""
    provider, flow = _provider(visit), _flow(visit)
    given = dict(visit.request.query_params)
    try:
        if flow is None:
            raise Untrue("nothing was begun in this browser")
        claims = await provider.finish(flow, given, _back(visit), visit.app.clock())
        answer = await _GO_ON[flow.purpose](visit, flow, claims)
    except Silent as silent:
        answer = _silent(visit, silent)
    except Untrue as untrue:
        log.warning("a sign-on was refused", why=str(untrue))
        await _note_refused(visit, str(untrue))
        answer = visit.show("problem", 401, problem="oidc_untrue")
    except Refused as refused:
        answer = visit.show("problem", 403, problem=refused.key)
    answer.delete_cookie(COOKIE, path=PATH, httponly=True, samesite="lax")
    return answer


def _flow(visit: Visit) -> Flow | None:
    """What was begun in this browser a moment ago."""
    try:
        sealed = visit.app.vault.open(visit.request.cookies.get(COOKIE, ""))
        flow = decode(sealed, type=Flow)
    except (Sealed, DecodeError):
        return None
    age = visit.app.clock().timestamp() - flow.began
    return flow if age <= LIFE and flow.purpose in _GO_ON else None


async def _note_refused(visit: Visit, why: str) -> None:
    await visit.write(
        lambda conn, now: audit.note(conn, None, "sign_in", "oidc", now, "refused", why=why)
    )


# --- what it was for ---------------------------------------------------------------------


async def _enter(visit: Visit, flow: Flow, claims: Claims) -> Response:
    """Into the console; nobody has an account only because the sign-on knows them."""

    def find(conn: Connection, now: datetime) -> int | None:
        known = accounts.known_as(conn, claims.issuer, claims.subject, claims.email, now)
        if known is None or not scope_of(conn, known.person_id, now).rights:
            return None
        return known.person_id

    person = await visit.write(find)
    if person is None:
        await _note_refused(visit, "unbound")
        raise Refused("oidc_unbound")
    return await entrance.enter(visit, person, "", safe_next(flow.onward))


async def _prove(visit: Visit, flow: Flow, claims: Claims) -> Response:
    """The same session, and the same person: then it is proof."""
    session = visit.present
    if session is None or session.id != flow.session:
        raise Untrue("another session")
    account = await visit.read(lambda conn: accounts.of(conn, session.person_id))
    who = (claims.issuer, claims.subject)
    if account is None or (account.issuer, account.subject) != who:
        raise Untrue("somebody else")
    token = await visit.write(lambda conn, now: sessions.prove(conn, session.id, now))
    return visit.remember(RedirectResponse(safe_next(flow.onward), 303), token)


async def _bind(visit: Visit, flow: Flow, claims: Claims) -> Response:
    def bind(conn: Connection, now: datetime) -> int:
        return accounts.bind(conn, flow.onward, claims.issuer, claims.subject, now)

    person = await visit.write(bind)
    return await entrance.enter(visit, person, "", "/console")


_GO_ON = {"enter": _enter, "prove": _prove, "bind": _bind}

PAGES = (
    Page("/oidc/start", enter, None),
    Page("/oidc/back", back, None),
    Page("/oidc/prove", prove, ()),
    Page("/invitation/{token:str}/oidc", accept, None),
)
