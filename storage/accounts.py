"""Who may sign in to the console: accounts, the links that make them, and tries that failed."""

import secrets
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct
from sqlalchemy import ColumnElement, Connection, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from flows.calendar import local
from storage import audit
from storage.models import accounts, invites, persons, recoveries, sessions, sign_tries
from storage.roster import grant
from storage.scope import OPERATOR, Scope, present, scope_of
from storage.tokens import digest

INVITED = timedelta(hours=24)
"""How long an invitation is good for."""
FIRST = timedelta(hours=1)
"""How long the one is that the machine's own command makes."""
WINDOW = timedelta(hours=1)
"""Tries that failed are remembered so long."""
FEW, MANY, ALL = 10, 50, 1000
"""Failed tries in that time: for one account from one kind of browser, from one place, in all."""
FREE = 3
"""Failed tries without a pause; after each further one it is twice as long."""
PAUSE = 5.0
"""Seconds of the first."""


class Refused(Exception):
    """It cannot be done; `key` names the sentence that says why (`account_<key>`)."""

    def __init__(self, key: str) -> None:
        self.key = key
        super().__init__(key)


class Account(Struct, frozen=True):
    """Somebody who may sign in."""

    person_id: int
    login: str
    password: str
    totp: str
    totp_step: int
    issuer: str = ""
    subject: str = ""
    """Who they are at the agency's own sign-on; both empty: not bound to it."""


SSO = "sso "
"""How the login of an account without a password begins: with a space in it, nobody types it."""


# --- invitations -------------------------------------------------------------------------


def invite(
    conn: Connection, scope: Scope, hr_id: str, now: datetime, life: timedelta = INVITED
) -> str:
    """A link's token, by which somebody on the roster chooses a password; earlier ones end."""
    here = present(local(now).toordinal())
    person = conn.execute(select(persons.c.id).where(persons.c.hr_id == hr_id, here)).scalar()
    if person is None:
        raise Refused("nobody")
    if not scope_of(conn, person, now).rights:
        raise Refused("no_role")
    token = secrets.token_urlsafe(32)
    conn.execute(delete(invites).where(invites.c.person_id == person))
    made = {"hash": digest(token), "person_id": person, "created_at": now}
    conn.execute(insert(invites).values(made | {"expires_at": now + life}))
    audit.note(conn, scope.viewer, "invited", f"person:{person}", now)
    return token


def invite_admin(conn: Connection, hr_id: str, now: datetime) -> str:
    """Make somebody on the roster a system admin, if they are none, and invite them for an hour:
    for whoever has the machine's command line."""
    here = present(local(now).toordinal())
    person = conn.execute(select(persons.c.id).where(persons.c.hr_id == hr_id, here)).scalar()
    if person is None:
        raise Refused("nobody")
    if not scope_of(conn, person, now).whole("system"):
        grant(conn, person, "admin", now)
        audit.note(conn, None, "grant", f"person:{person}", now, role="admin")
    return invite(conn, OPERATOR, hr_id, now, FIRST)


def invited(conn: Connection, token: str, now: datetime) -> Any:
    """Whom a link is for: person_id, name, hr_id, and their login, if they have one."""
    return conn.execute(
        select(persons.c.id.label("person_id"), persons.c.name, persons.c.hr_id, accounts.c.login)
        .join(invites, invites.c.person_id == persons.c.id)
        .join(accounts, accounts.c.person_id == persons.c.id, isouter=True)
        .where(invites.c.hash == digest(token), invites.c.expires_at > now)
        .where(present(local(now).toordinal()))
    ).first()


def accept(
    conn: Connection, token: str, login: str, password: str, totp: str, step: int, now: datetime
) -> int:
    """Use a link once: the account is made or has another password, every session of it ends.
    The person."""
    found = invited(conn, token, now)
    if found is None:
        raise Refused("link_over")
    used = conn.execute(delete(invites).where(invites.c.hash == digest(token)))
    if used.rowcount != 1:
        raise Refused("link_over")
    person = int(found.person_id)
    kept = {"login": login, "password": password, "totp": totp, "totp_step": step}
    kept |= {"changed_at": now, "ended_at": None}
    changed = update(accounts).where(accounts.c.person_id == person).values(kept)
    try:
        with conn.begin_nested():
            if not conn.execute(changed).rowcount:
                conn.execute(
                    insert(accounts).values(kept | {"person_id": person, "created_at": now})
                )
    except IntegrityError:
        raise Refused("login_taken") from None
    conn.execute(delete(sessions).where(sessions.c.person_id == person))
    audit.note(conn, person, "password_set", f"person:{person}", now)
    return person


def end(conn: Connection, scope: Scope, hr_id: str, now: datetime) -> None:
    """Close an account and end its sessions. An invitation opens it again."""
    person = conn.execute(select(persons.c.id).where(persons.c.hr_id == hr_id)).scalar()
    closed = update(accounts).where(accounts.c.person_id == person, accounts.c.ended_at.is_(None))
    ended = {"ended_at": now, **_UNBOUND}
    if person is None or not conn.execute(closed.values(ended)).rowcount:
        raise Refused("nobody")
    conn.execute(delete(sessions).where(sessions.c.person_id == person))
    conn.execute(delete(invites).where(invites.c.person_id == person))
    audit.note(conn, scope.viewer, "account_ended", f"person:{person}", now)


# --- the agency's own sign-on --------------------------------------------------------------

_UNBOUND: dict[str, Any] = {"oidc_issuer": None, "oidc_subject": None, "oidc_email": ""}


def bind(conn: Connection, token: str, issuer: str, subject: str, now: datetime) -> int:
    """Use an invitation once: from now on its person is whoever this is at the sign-on. An account
    that is bound is not bound to another. The person."""
    found = invited(conn, token, now)
    if found is None:
        raise Refused("link_over")
    person = int(found.person_id)
    if (has := of(conn, person)) is not None and has.subject:
        raise Refused("oidc_bound")
    if conn.execute(delete(invites).where(invites.c.hash == digest(token))).rowcount != 1:
        raise Refused("link_over")
    _make_open(conn, person, now)
    _bind(conn, person, issuer, subject)
    conn.execute(delete(sessions).where(sessions.c.person_id == person))
    audit.note(conn, person, "oidc_bound", f"person:{person}", now, way="invitation")
    return person


def _make_open(conn: Connection, person: int, now: datetime) -> None:
    """An account that is open, made if need be. One that was closed has no password any more."""
    if of(conn, person) is not None:
        return
    blank = {"login": f"{SSO}{person}", "password": "", "totp": "", "changed_at": now}
    again = blank | {"ended_at": None}
    if not conn.execute(
        update(accounts).where(accounts.c.person_id == person).values(again)
    ).rowcount:
        conn.execute(insert(accounts).values(blank | {"person_id": person, "created_at": now}))


def _bind(conn: Connection, person: int, issuer: str, subject: str) -> None:
    who = {"oidc_issuer": issuer, "oidc_subject": subject, "oidc_email": ""}
    try:
        with conn.begin_nested():
            conn.execute(update(accounts).where(accounts.c.person_id == person).values(who))
    except IntegrityError:
        raise Refused("oidc_taken") from None


def expect(conn: Connection, scope: Scope, person: int, email: str, now: datetime) -> None:
    """Let the first who signs in at the sign-on with this address, verified there, be this
    person."""
    here = select(persons.c.id).where(persons.c.id == person, present(local(now).toordinal()))
    if conn.execute(here).first() is None:
        raise Refused("nobody")
    if not scope_of(conn, person, now).rights:
        raise Refused("no_role")
    if (has := of(conn, person)) is not None and has.subject:
        raise Refused("oidc_bound")
    waiting = select(accounts.c.person_id).where(
        accounts.c.oidc_email == email, accounts.c.person_id != person
    )
    if conn.execute(waiting).first() is not None:
        raise Refused("oidc_taken")
    _make_open(conn, person, now)
    mine = update(accounts).where(accounts.c.person_id == person)
    conn.execute(mine.values(oidc_email=email))
    audit.note(conn, scope.viewer, "oidc_expected", f"person:{person}", now)


def unbind(conn: Connection, scope: Scope, person: int, now: datetime) -> None:
    """Whoever this is at the sign-on is nobody here any more; their sessions end."""
    has = of(conn, person)
    if has is None:
        raise Refused("nobody")
    mine = update(accounts).where(accounts.c.person_id == person)
    conn.execute(mine.values(_UNBOUND))
    conn.execute(delete(sessions).where(sessions.c.person_id == person))
    audit.note(conn, scope.viewer, "oidc_unbound", f"person:{person}", now)


def known_as(
    conn: Connection, issuer: str, subject: str, email: str, now: datetime
) -> Account | None:
    """The open account of whoever this is at the sign-on. If it is nobody's, one may be waiting
    for this address; it is bound, once and for good."""
    open_ = accounts.c.ended_at.is_(None)
    bound = (accounts.c.oidc_issuer == issuer, accounts.c.oidc_subject == subject)
    row = conn.execute(select(accounts).where(open_, *bound)).first()
    if row is None and email:
        waits = (accounts.c.oidc_email == email, accounts.c.oidc_subject.is_(None))
        row = conn.execute(select(accounts).where(open_, *waits)).first()
        if row is not None:
            _bind(conn, row.person_id, issuer, subject)
            audit.note(
                conn, row.person_id, "oidc_bound", f"person:{row.person_id}", now, way="email"
            )
    return _account(row)


# --- signing in ----------------------------------------------------------------------------


def find(conn: Connection, login: str) -> Account | None:
    """The account with a login, unless it was closed."""
    row = conn.execute(
        select(accounts).where(accounts.c.login == login, accounts.c.ended_at.is_(None))
    ).first()
    return _account(row)


def of(conn: Connection, person_id: int) -> Account | None:
    row = conn.execute(
        select(accounts).where(accounts.c.person_id == person_id, accounts.c.ended_at.is_(None))
    ).first()
    return _account(row)


def _account(row: Any) -> Account | None:
    if row is None:
        return None
    who = (row.oidc_issuer or "", row.oidc_subject or "")
    return Account(row.person_id, row.login, row.password, row.totp, row.totp_step, *who)


def spend_code(conn: Connection, person_id: int, step: int) -> bool:
    """Use up a code of the second factor, and all before it; False when it was used already."""
    later = update(accounts).where(accounts.c.person_id == person_id, accounts.c.totp_step < step)
    return conn.execute(later.values(totp_step=step)).rowcount == 1


def spend_recovery(conn: Connection, person_id: int, code: str) -> bool:
    mine = recoveries.c.person_id == person_id, recoveries.c.hash == digest(code)
    return conn.execute(delete(recoveries).where(*mine)).rowcount == 1


def keep_recoveries(conn: Connection, person_id: int, codes: Iterable[str]) -> None:
    """Codes in place of all that there were before."""
    conn.execute(delete(recoveries).where(recoveries.c.person_id == person_id))
    rows = [{"hash": digest(code), "person_id": person_id} for code in codes]
    conn.execute(insert(recoveries), rows)


def renew_recoveries(conn: Connection, person_id: int, codes: Iterable[str], now: datetime) -> None:
    if of(conn, person_id) is None:
        raise Refused("nobody")
    keep_recoveries(conn, person_id, codes)
    audit.note(conn, person_id, "recoveries_renewed", f"person:{person_id}", now)


def rehash(conn: Connection, person_id: int, password: str) -> None:
    """Keep the same password under newer settings."""
    mine = update(accounts).where(accounts.c.person_id == person_id)
    conn.execute(mine.values(password=password))


# --- tries that failed ---------------------------------------------------------------------


def wait(conn: Connection, who: str, origin: str, now: datetime) -> float:
    """Seconds until the next try may be made; 0: now. Nobody is locked out by strangers: a browser
    that was signed in before is counted by itself (`who`)."""
    recent = sign_tries.c.at > now - WINDOW
    mine = select(sign_tries.c.at).where(sign_tries.c.who == who, recent)
    failed = sorted(conn.execute(mine).scalars())
    here = select(func.count()).select_from(sign_tries)
    there = conn.execute(here.where(sign_tries.c.origin == origin, recent)).scalar_one()
    everywhere = conn.execute(here.where(recent)).scalar_one()
    if there >= MANY or everywhere >= ALL:
        return 60.0
    if len(failed) >= FEW:
        over: timedelta = failed[-FEW] + WINDOW - now
        return over.total_seconds()
    if len(failed) < FREE:
        return 0.0
    pause = timedelta(seconds=PAUSE * 2 ** (len(failed) - FREE))
    left: timedelta = failed[-1] + pause - now
    return max(left.total_seconds(), 0.0)


def failed(conn: Connection, who: str, origin: str, now: datetime, person_id: int | None) -> None:
    """Remember a try that failed, and forget those that are long past."""
    conn.execute(delete(sign_tries).where(sign_tries.c.at < now - 24 * WINDOW))
    conn.execute(insert(sign_tries).values(at=now, who=who, origin=origin))
    if person_id is not None:
        audit.note(conn, None, "sign_in", f"person:{person_id}", now, "refused")


def succeeded(conn: Connection, who: str) -> None:
    conn.execute(delete(sign_tries).where(sign_tries.c.who == who))


# --- for whoever runs the system -------------------------------------------------------------


SORTS: dict[str, Any] = {
    "name": persons.c.name,
    "who": persons.c.hr_id,
    "login": func.coalesce(accounts.c.login, ""),
}


class Listed(Struct, frozen=True):
    """Which accounts to list; `who` is in the name or begins the id at HR or the login."""

    who: str = ""
    sort: str = "name"
    limit: int = 100
    offset: int = 0


def listing(
    conn: Connection, now: datetime, wanted: Listed | None = None, person: int | None = None
) -> Sequence[Any]:
    """Everybody with an account or an open invitation: who, login, when they were last here, and
    whether the account is closed. With a person only theirs."""
    wanted = wanted or Listed()
    seen = (
        select(sessions.c.person_id, func.max(sessions.c.seen_at).label("seen_at"))
        .group_by(sessions.c.person_id)
        .subquery()
    )
    open_ = select(invites.c.person_id).where(invites.c.expires_at > now)
    known = select(accounts.c.person_id)
    more = [] if person is None else [persons.c.id == person]
    if wanted.who:
        more.append(_called(wanted.who))
    column = SORTS.get(wanted.sort.removeprefix("-"), persons.c.name)
    order = column.desc() if wanted.sort.startswith("-") else column
    return conn.execute(
        select(
            persons.c.id,
            persons.c.hr_id,
            persons.c.name,
            accounts.c.login,
            accounts.c.ended_at,
            accounts.c.oidc_subject,
            accounts.c.oidc_email,
            seen.c.seen_at,
            persons.c.id.in_(open_).label("invited"),
        )
        .join(accounts, accounts.c.person_id == persons.c.id, isouter=True)
        .join(seen, seen.c.person_id == persons.c.id, isouter=True)
        .where(persons.c.id.in_(known) | persons.c.id.in_(open_), *more)
        .order_by(order, persons.c.id)
        .limit(wanted.limit)
        .offset(wanted.offset)
    ).all()


def _called(who: str) -> ColumnElement[bool]:
    """In the name, or how the id at HR or the login begins."""
    return (
        persons.c.name.icontains(who, autoescape=True)
        | persons.c.hr_id.istartswith(who, autoescape=True)
        | accounts.c.login.istartswith(who, autoescape=True)
    )
