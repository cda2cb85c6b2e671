"""Signing in and out: a password and a second factor, invitations, and proof given again."""

import asyncio
from datetime import datetime
from hashlib import sha256
from hmac import compare_digest, new

from msgspec import Struct
from sqlalchemy import Connection
from starlette.responses import RedirectResponse, Response

from bot.console import passwords
from bot.console.pages import Page, Visit, is_secure, safe_next
from bot.errors import BadRequest
from bot.render import qr
from bot.vault import Sealed
from content.schema import LANGS
from storage import accounts, roster, sessions
from storage.accounts import Account, Refused

KNOWN = "kaona-known"
"""The cookie of a browser in which somebody was signed in before: it counts its own tries, so that
a stranger's tries do not keep its owner out."""
YEAR = 365 * 24 * 3600
LONGEST_LOGIN = 64


class Try(Struct, frozen=True):
    """What was typed to sign in, and under which names its failures are counted."""

    login: str
    password: str
    code: str
    who: str
    origin: str


# --- signing in ----------------------------------------------------------------------------


async def ask(visit: Visit) -> Response:
    return visit.show("sign_in", next=safe_next(visit.asked("next")), login="", fault="")


async def sign_in(visit: Visit) -> Response:
    """Let somebody in who knows the password and has the second factor. Whether a name exists
    makes no difference that could be seen, in words or in time."""
    tried, onward = _tried(visit), safe_next(visit.said("next"))
    now = visit.app.clock()
    seconds = await visit.read(lambda conn: accounts.wait(conn, tried.who, tried.origin, now))
    if seconds > 0:
        minutes = max(round(seconds / 60), 1)
        return _again(visit, tried.login, onward, "wait", 429, minutes=minutes)
    account = await visit.read(lambda conn: accounts.find(conn, tried.login))
    if account is None or not await _proved(visit, account, tried.password, tried.code):
        if account is None:
            await asyncio.to_thread(passwords.matches, "", tried.password)
        await visit.write(
            lambda conn, at: accounts.failed(
                conn, tried.who, tried.origin, at, account.person_id if account else None
            )
        )
        return _again(visit, tried.login, onward, "wrong", 401)
    await visit.write(lambda conn, at: accounts.succeeded(conn, tried.who))
    return await enter(visit, account.person_id, account.login, onward)


def _tried(visit: Visit) -> Try:
    login = visit.said("login").lower()[:LONGEST_LOGIN]
    mark = visit.request.cookies.get(KNOWN, "")
    known = compare_digest(mark.encode(), _mark(visit, login).encode())
    place = visit.request.client.host if visit.request.client else ""
    who = f"{login}\n{'known' if known else 'stranger'}"
    password = visit.form.one("password")[: passwords.LONGEST + 1]
    return Try(login, password, visit.said("code")[:32], _hash(who), _hash(place))


def _hash(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def _mark(visit: Visit, login: str) -> str:
    key = visit.app.vault.key("known browsers")
    return new(key, login.encode(), "sha256").hexdigest()


def _again(
    visit: Visit, login: str, onward: str, fault: str, status: int, minutes: int = 0
) -> Response:
    said = visit.words[f"sign_in_{fault}"].format(minutes=minutes)
    return visit.show("sign_in", status, next=onward, login=login, fault=said)


async def _proved(visit: Visit, account: Account, password: str, code: str) -> bool:
    """The password, and a code of the second factor that was not used before."""
    if not await asyncio.to_thread(passwords.matches, account.password, password):
        return False
    if passwords.is_old(account.password):
        fresh = await asyncio.to_thread(passwords.hashed, password)
        await visit.write(lambda conn, now: accounts.rehash(conn, account.person_id, fresh))
    return await _has_factor(visit, account, code)


async def _has_factor(visit: Visit, account: Account, code: str) -> bool:
    try:
        secret = visit.app.vault.open(account.totp)
    except Sealed:  # KAONA_SECRET_KEY is another now: a new invitation makes a new factor
        return False
    step = passwords.step_of(secret, code, visit.app.clock().timestamp())

    def spend(conn: Connection, now: datetime) -> bool:
        if step:
            return accounts.spend_code(conn, account.person_id, step)
        return accounts.spend_recovery(conn, account.person_id, code.upper())

    return await visit.write(spend)


async def enter(visit: Visit, person_id: int, login: str, onward: str) -> Response:
    """Sign this browser in; by a login it is known from now on."""
    agent = visit.request.headers.get("user-agent", "")
    lang = visit.lang
    token = await visit.write(lambda conn, now: sessions.begin(conn, person_id, lang, agent, now))
    answer = visit.remember(RedirectResponse(onward, 303), token)
    if login:
        options = {"httponly": True, "samesite": "lax", "secure": is_secure(visit.request)}
        answer.set_cookie(KNOWN, _mark(visit, login), YEAR, path="/console", **options)  # type: ignore[arg-type]
    return answer


async def sign_out(visit: Visit) -> Response:
    id = visit.session.id
    await visit.write(lambda conn, now: sessions.end(conn, id, now))
    return visit.forget(RedirectResponse("/console/sign-in", 303))


async def speak(visit: Visit) -> Response:
    """Another language from now on."""
    wanted, id = visit.said("lang"), visit.session.id
    lang = next((each for each in LANGS if each == wanted), None)
    if lang is None:
        raise BadRequest(400, "bad_form")
    await visit.write(lambda conn, now: sessions.speak(conn, id, lang))
    return RedirectResponse(safe_next(visit.said("next")), 303)


# --- an invitation -------------------------------------------------------------------------


async def open_invitation(visit: Visit) -> Response:
    """Where somebody chooses a name, a password and a second factor."""
    token = visit.request.path_params["token"]
    now = visit.app.clock()
    found = await visit.read(lambda conn: accounts.invited(conn, token, now))
    if found is None:
        return visit.show("problem", 404, problem="link_over")
    secret = passwords.new_secret()
    return _invitation(visit, found.name, found.login or found.hr_id.lower(), secret)


def _invitation(
    visit: Visit, name: str, login: str, secret: str, faults: dict[str, str] | None = None
) -> Response:
    """The form; the secret of the second factor goes along, sealed."""
    status = 422 if faults else 200
    drawn = qr.svg(passwords.address(secret, login))
    sealed = visit.app.vault.seal(secret)
    grouped = " ".join(secret[n : n + 4] for n in range(0, len(secret), 4))
    return visit.show(
        "invitation", status, name=name, login=login, qr=drawn, secret=grouped, sealed=sealed,
        shortest=passwords.SHORTEST, faults=faults or {},
    )  # fmt: skip


async def accept(visit: Visit) -> Response:
    token, now = visit.request.path_params["token"], visit.app.clock()
    found = await visit.read(lambda conn: accounts.invited(conn, token, now))
    if found is None:
        return visit.show("problem", 404, problem="link_over")
    login, password = visit.said("login").lower(), visit.form.one("password")
    try:
        secret = visit.app.vault.open(visit.said("sealed"))
    except Sealed:
        raise BadRequest(403, "old_form") from None
    step = passwords.step_of(secret, visit.said("code"), now.timestamp())
    faults = await asyncio.to_thread(_faults, visit, found.name, login, password, step)
    if faults:
        return _invitation(visit, found.name, login, secret, faults)
    kept = await asyncio.to_thread(passwords.hashed, password)
    sealed, codes = visit.app.vault.seal(secret), passwords.new_recoveries()

    def make(conn: Connection, at: datetime) -> int:
        person = accounts.accept(conn, token, login, kept, sealed, step, at)
        accounts.keep_recoveries(conn, person, codes)
        return person

    try:
        person = await visit.write(make)
    except Refused as refused:
        if refused.key == "login_taken":
            taken = visit.words["account_login_taken"]
            return _invitation(visit, found.name, login, secret, {"login": taken})
        return visit.show("problem", 404, problem=refused.key)
    entered = await enter(visit, person, login, "/console")
    shown = visit.show("recoveries", codes=codes)
    for name, value in entered.raw_headers:
        if name == b"set-cookie":
            shown.raw_headers.append((name, value))
    return shown


def _faults(visit: Visit, name: str, login: str, password: str, step: int) -> dict[str, str]:
    """What is wrong with the fields, by their names."""
    said, found = visit.words, {}
    if not 3 <= len(login) <= LONGEST_LOGIN or any(each.isspace() for each in login):
        found["login"] = said["account_bad_login"]
    weak = passwords.fault(password, login, name, said["name"], said["console"])
    if weak:
        found["password"] = said[f"password_{weak}"].format(
            shortest=passwords.SHORTEST, longest=passwords.LONGEST
        )
    elif password != visit.form.one("again"):
        found["again"] = said["password_differs"]
    if not step:
        found["code"] = said["account_bad_code"]
    return found


# --- proof, given again --------------------------------------------------------------------


async def ask_again(visit: Visit) -> Response:
    person = visit.session.person_id
    account = await visit.read(lambda conn: accounts.of(conn, person))
    return _ask_again(visit, account, safe_next(visit.asked("next")))


def _ask_again(visit: Visit, account: Account | None, onward: str, fault: str = "") -> Response:
    """By the password, by the agency's own sign-on, or by either."""
    ways = {
        "by_password": account is None or bool(account.password),
        "by_sign_on": bool(account and account.subject),
    }
    return visit.show("prove", 401 if fault else 200, next=onward, fault=fault, **ways)


async def prove(visit: Visit) -> Response:
    """The password and a new code, for what must not happen by mistake or by a stranger at an
    open desk. The session goes on under another cookie."""
    onward, person = safe_next(visit.said("next")), visit.session.person_id
    account = await visit.read(lambda conn: accounts.of(conn, person))
    password, code = visit.form.one("password"), visit.said("code")[:32]
    if visit.app.demo and account is None:  # made-up people have no password
        pass
    elif account is None or not await _proved_slowly(visit, account, password, code):
        return _ask_again(visit, account, onward, visit.words["sign_in_wrong"])
    id = visit.session.id
    token = await visit.write(lambda conn, now: sessions.prove(conn, id, now))
    return visit.remember(RedirectResponse(onward, 303), token)


async def _proved_slowly(visit: Visit, account: Account, password: str, code: str) -> bool:
    """As in signing in, tries are counted."""
    who, origin = _hash(f"{account.login}\nsession"), _hash("session")
    now = visit.app.clock()
    if await visit.read(lambda conn: accounts.wait(conn, who, origin, now)) > 0:
        return False
    if await _proved(visit, account, password[: passwords.LONGEST + 1], code):
        return True
    await visit.write(lambda conn, at: accounts.failed(conn, who, origin, at, account.person_id))
    return False


# --- the demo ------------------------------------------------------------------------------


async def play(visit: Visit) -> Response:
    """In the demo, become one of its officers; nobody real can be played."""
    if not visit.app.demo:
        raise BadRequest(404, "not_found")
    wanted = visit.said("who")
    person = await visit.read(lambda conn: roster.find(conn, wanted))
    if person is None or not person.hr_id.startswith(roster.MADE_UP):
        raise BadRequest(404, "not_found")
    return await enter(visit, person.id, "", "/console")


PAGES = (
    Page("/sign-in", ask, None),
    Page("/sign-in", sign_in, None, "POST"),
    Page("/sign-out", sign_out, (), "POST"),
    Page("/language", speak, (), "POST"),
    Page("/invitation/{token:str}", open_invitation, None),
    Page("/invitation/{token:str}", accept, None, "POST"),
    Page("/prove", ask_again, ()),
    Page("/prove", prove, (), "POST"),
    Page("/demo", play, None, "POST"),
)
