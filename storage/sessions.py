"""Browsers that are signed in to the console: kept on our side, so that each can be ended."""

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, delete, insert, or_, select, update

from content.schema import LANGS, Lang
from storage import audit
from storage.models import persons, sessions
from storage.scope import Scope, scope_of
from storage.tokens import digest

IDLE, LONGEST = timedelta(minutes=30), timedelta(hours=8)
"""A session ends after so long without a request, and after so long in any case."""
COARSE = timedelta(minutes=1)
"""Requests closer together are noted as one."""
PROVED = timedelta(minutes=5)
"""So long a password that was given is proof enough for what must not happen by mistake."""


class Session(Struct, frozen=True):
    """A browser that is signed in, and what its person may do at this moment."""

    id: int
    person_id: int
    hr_id: str
    name: str
    csrf: str
    lang: Lang
    scope: Scope
    proved_at: datetime
    stale: bool
    """The last request that was noted is long enough ago to note this one."""


def begin(conn: Connection, person_id: int, lang: Lang, agent: str, now: datetime) -> str:
    """Sign a browser in; what its cookie will hold."""
    conn.execute(delete(sessions).where(_over(now)))
    token = secrets.token_urlsafe(32)
    made = {"hash": digest(token), "person_id": person_id, "lang": lang, "agent": agent[:100]}
    made |= {"csrf": secrets.token_urlsafe(32)}
    times = dict.fromkeys(("created_at", "seen_at", "proved_at"), now)
    conn.execute(insert(sessions).values(made | times))
    audit.note(conn, person_id, "sign_in", f"person:{person_id}", now)
    return token


def _over(now: datetime) -> Any:
    return or_(sessions.c.seen_at <= now - IDLE, sessions.c.created_at <= now - LONGEST)


def find(conn: Connection, token: str, now: datetime) -> Session | None:
    """Whose browser this is, with their rights as they stand at this moment. None when it is over,
    or when nothing is left that they may do."""
    row = conn.execute(
        select(sessions, persons.c.hr_id, persons.c.name)
        .join(persons, persons.c.id == sessions.c.person_id)
        .where(sessions.c.hash == digest(token), ~_over(now))
    ).first()
    if row is None:
        return None
    scope = scope_of(conn, row.person_id, now)
    if not scope.rights:
        return None
    lang = next((each for each in LANGS if each == row.lang), LANGS[0])
    return Session(
        row.id,
        row.person_id,
        row.hr_id,
        row.name,
        row.csrf,
        lang,
        scope,
        row.proved_at,
        now - row.seen_at >= COARSE,
    )


def seen(conn: Connection, id: int, now: datetime) -> None:
    conn.execute(update(sessions).where(sessions.c.id == id).values(seen_at=now))


def speak(conn: Connection, id: int, lang: Lang) -> None:
    conn.execute(update(sessions).where(sessions.c.id == id).values(lang=lang))


def prove(conn: Connection, id: int, now: datetime) -> str:
    """The person has given their password again; the session goes on under another cookie."""
    token = secrets.token_urlsafe(32)
    again = {"hash": digest(token), "proved_at": now, "seen_at": now}
    conn.execute(update(sessions).where(sessions.c.id == id).values(again))
    return token


def end(conn: Connection, id: int, now: datetime) -> None:
    """Sign one browser out."""
    gone = delete(sessions).where(sessions.c.id == id).returning(sessions.c.person_id)
    person = conn.execute(gone).scalar()
    if person is not None:
        audit.note(conn, person, "sign_out", f"person:{person}", now)


def of(conn: Connection, person_id: int, now: datetime) -> Sequence[Any]:
    """Somebody's browsers, the latest first."""
    mine = select(sessions).where(sessions.c.person_id == person_id, ~_over(now))
    return conn.execute(mine.order_by(sessions.c.seen_at.desc())).all()


def end_own(conn: Connection, person_id: int, id: int, now: datetime) -> bool:
    """Sign out another browser of one's own."""
    mine = sessions.c.id == id, sessions.c.person_id == person_id
    ended = conn.execute(delete(sessions).where(*mine)).rowcount == 1
    if ended:
        audit.note(conn, person_id, "sign_out", f"person:{person_id}", now, session=id)
    return ended


def end_others(conn: Connection, scope: Scope, person_id: int, id: int, now: datetime) -> int:
    """Sign somebody's browser out, or with no id all of them; how many those were. For whoever
    looks after the system."""
    scope.require("system")
    mine = [sessions.c.person_id == person_id]
    if id:
        mine.append(sessions.c.id == id)
    many = conn.execute(delete(sessions).where(*mine)).rowcount
    if many:
        audit.note(
            conn, scope.viewer, "session_ended", f"person:{person_id}", now, session=id, many=many
        )
    return many
