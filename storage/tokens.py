"""Keys to the API: each stands for a person and may do what that person may today. Only a hash is
kept, so a key is shown once, when it is made."""

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from msgspec import Struct
from sqlalchemy import ColumnElement, Connection, and_, func, insert, select, update

from flows.calendar import local
from storage import audit
from storage.models import EPOCH, persons, tokens
from storage.scope import Scope, present, scope_of

PREFIX = "kaona_"
"""How every key begins, so that whoever scans for leaked ones finds ours."""
LIFE, LONGEST = 90, 366
"""Days that a key is good for, and at most."""
COARSE = timedelta(minutes=1)
"""Uses closer together are noted as one."""


class Caller(Struct, frozen=True):
    """Whoever holds a key: its number, its person, and what they may do at this moment."""

    token: int
    hr_id: str
    name: str
    scope: Scope
    stale: bool
    """The last use that was noted is long enough ago to note this one."""


class Unknown(Exception):
    """There is no such person, or no such key."""


def create(
    conn: Connection, hr_id: str, name: str, days: int, now: datetime, by: int | None = None
) -> dict[str, Any]:
    """A new key for somebody on the roster; the only time that its secret is known."""
    here = present(local(now).toordinal())
    person = conn.execute(select(persons.c.id).where(persons.c.hr_id == hr_id, here)).scalar()
    if person is None:
        raise Unknown(f"nobody on the roster has the id {hr_id}")
    if not 1 <= days <= LONGEST:
        raise Unknown(f"--days: from 1 to {LONGEST}")
    secret, ends = PREFIX + secrets.token_urlsafe(32), now + timedelta(days=days)
    row = {"hash": digest(secret), "person_id": person, "name": name[:100]}
    made = insert(tokens).values(row | {"created_at": now, "expires_at": ends})
    id = conn.execute(made.returning(tokens.c.id)).scalar_one()
    audit.note(conn, by, "token_created", f"person:{person}", now, token=id, days=days)
    return {"id": id, "secret": secret, "expires_at": ends}


def digest(secret: str) -> str:
    """What is kept of a key. It is 256 bits of chance, so a plain hash cannot be guessed."""
    return sha256(secret.encode()).hexdigest()


def listing(conn: Connection) -> Sequence[Any]:
    """All keys, the newest first."""
    return conn.execute(
        select(tokens, persons.c.hr_id)
        .join(persons, persons.c.id == tokens.c.person_id)
        .order_by(tokens.c.id.desc())
    ).all()


SORTS: dict[str, Any] = {
    "id": tokens.c.id,
    "hr_id": persons.c.hr_id,
    "name": tokens.c.name,
    "created": tokens.c.created_at,
    "expires": tokens.c.expires_at,
    "used": func.coalesce(tokens.c.used_at, EPOCH),
}


def _mine(scope: Scope) -> list[ColumnElement[bool]]:
    """One's own; of whoever looks after the system, all."""
    if scope.whole("system"):
        return []
    return [tokens.c.person_id == scope.viewer]


def seen(
    conn: Connection, scope: Scope, state: str, sort: str, limit: int, offset: int, now: datetime
) -> Sequence[Any]:
    """Keys that the viewer may see: that are good, over, revoked, or all."""
    column = SORTS.get(sort.removeprefix("-"), tokens.c.id)
    order = column.desc() if sort.startswith("-") else column
    is_ = {
        "good": (tokens.c.revoked_at.is_(None), tokens.c.expires_at > now),
        "over": (tokens.c.revoked_at.is_(None), tokens.c.expires_at <= now),
        "revoked": (tokens.c.revoked_at.is_not(None),),
    }
    return conn.execute(
        select(tokens, persons.c.hr_id)
        .join(persons, persons.c.id == tokens.c.person_id)
        .where(*is_.get(state, ()), *_mine(scope))
        .order_by(order, tokens.c.id)
        .limit(limit)
        .offset(offset)
    ).all()


def revoke_seen(conn: Connection, scope: Scope, id: int, now: datetime) -> None:
    """Revoke one's own key; whoever looks after the system, any."""
    if conn.execute(select(tokens.c.id).where(tokens.c.id == id, *_mine(scope))).first() is None:
        raise Unknown(f"there is no key {id}")
    revoke(conn, id, now, scope.viewer)


def revoke(conn: Connection, id: int, now: datetime, by: int | None = None) -> None:
    """From now on the key opens nothing."""
    living = and_(tokens.c.id == id, tokens.c.revoked_at.is_(None))
    ended = update(tokens).where(living).values(revoked_at=now).returning(tokens.c.person_id)
    person = conn.execute(ended).scalar()
    if person is None:
        raise Unknown(f"no key {id} is in use: see `kaona token list`")
    audit.note(conn, by, "token_revoked", f"person:{person}", now, token=id)


def caller(conn: Connection, secret: str, now: datetime) -> Caller | None:
    """Who calls, with their rights as they stand at this moment; None for a key that is unknown,
    revoked or over."""
    row = conn.execute(
        select(tokens, persons.c.hr_id, persons.c.name.label("who"))
        .join(persons, persons.c.id == tokens.c.person_id)
        .where(
            tokens.c.hash == digest(secret),
            tokens.c.revoked_at.is_(None),
            tokens.c.expires_at > now,
        )
    ).first()
    if row is None:
        return None
    stale = row.used_at is None or now - row.used_at >= COARSE
    return Caller(row.id, row.hr_id, row.who, scope_of(conn, row.person_id, now), stale)


def used(conn: Connection, id: int, now: datetime) -> None:
    conn.execute(update(tokens).where(tokens.c.id == id).values(used_at=now))
