"""Content that an agency words in its own way: drafts, what was published, what came of it."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, Row, and_, delete, func, insert, or_, select, text, update

from content.overlay import ITEMS, Body, Kind, Revised, canonical, digest
from storage.audit import note as note_audit
from storage.models import learners, persons, profiles, revisions
from storage.scope import Power, Scope

LOCK = 7_205_009
"""Number of the advisory lock under which PostgreSQL publishes: editions come one by one."""
NOTE = 300
"""Letters of what an author says of a change."""
POWERS: dict[str, Power] = {
    "dpo": "system",
    **dict.fromkeys(("rhythm", "thresholds", "days"), "roster"),
}
"""Who may change a setting; all else is for whoever answers for content."""


class Stale(Exception):
    """Somebody else has changed it meanwhile."""


class Missing(LookupError):
    """There is no such revision (any more)."""


class Draft(Struct, frozen=True):
    """What is to be kept: the entry `key`, made from `origin` (the same, but where it stands in for
    it), which read in the files as `base` says."""

    kind: Kind
    key: str
    origin: str
    body: Body
    base: str
    note: str = ""


def power_for(kind: str, key: str) -> Power:
    return POWERS[key] if kind == "setting" else "content"


def require(scope: Scope, kind: str, key: str) -> None:
    """Content is the whole agency's: a right over some units changes none of it."""
    power = power_for(kind, key)
    scope.require(power, "")


# --- what stands -------------------------------------------------------------------------


def newest(conn: Connection) -> int:
    """The newest edition; 0 if nothing was ever published."""
    return conn.execute(select(func.max(revisions.c.edition))).scalar() or 0


def standing(conn: Connection) -> tuple[Revised, ...]:
    """What is laid over the files, in the order in which it was published: what is published, and
    items of the agency's own that were withdrawn, for whoever stands on them."""
    own = and_(revisions.c.status == "withdrawn", revisions.c.base == "")
    later = revisions.alias()
    superseded = (
        select(later.c.id)
        .where(later.c.kind == revisions.c.kind, later.c.key == revisions.c.key)
        .where(
            later.c.status.in_(("published", "withdrawn")), later.c.edition > revisions.c.edition
        )
    )
    wanted = (
        select(revisions)
        .where(or_(revisions.c.status == "published", and_(own, ~superseded.exists())))
        .order_by(revisions.c.edition, revisions.c.id)
    )
    return tuple(as_revised(row) for row in conn.execute(wanted))


def as_revised(row: Any) -> Revised:
    body = json.loads(row.body)
    return Revised(row.kind, row.key, body, row.base, row.status == "withdrawn", row.id)


def version_of(row: Any) -> str:
    """What a form says it was made from."""
    return digest([row.key, json.loads(row.body), row.note])[:16]


# --- drafts ------------------------------------------------------------------------------


def find(conn: Connection, id: int) -> Row[Any]:
    """A revision with the names of those who had to do with it."""
    row = conn.execute(_named().where(revisions.c.id == id)).first()
    if row is None:
        raise Missing(id)
    return row


def _named() -> Any:
    who = {name: persons.alias() for name in ("author", "publisher", "withdrawer")}
    return (
        select(
            revisions,
            who["author"].c.name.label("author"),
            who["publisher"].c.name.label("publisher"),
            who["withdrawer"].c.name.label("withdrawer"),
        )
        .join(who["author"], who["author"].c.id == revisions.c.author_id, isouter=True)
        .join(who["publisher"], who["publisher"].c.id == revisions.c.published_by, isouter=True)
        .join(who["withdrawer"], who["withdrawer"].c.id == revisions.c.withdrawn_by, isouter=True)
    )


def draft_of(conn: Connection, kind: str, origin: str) -> Row[Any] | None:
    """The open draft of an entry: there is one at most."""
    mine = (revisions.c.kind == kind, revisions.c.origin == origin, revisions.c.status == "draft")
    return conn.execute(_named().where(*mine)).first()


def drafts(conn: Connection, after: int = 0, most: int = 101) -> Sequence[Row[Any]]:
    """Open drafts, the newest first, from the one before the number `after` on."""
    wanted = _named().where(revisions.c.status == "draft")
    if after:
        wanted = wanted.where(revisions.c.id < after)
    return conn.execute(wanted.order_by(revisions.c.id.desc()).limit(most)).all()


def open_drafts(conn: Connection, kind: str) -> Sequence[Any]:
    """Key and body of every open draft of a kind."""
    mine = (revisions.c.kind == kind, revisions.c.status == "draft")
    return conn.execute(select(revisions.c.key, revisions.c.body).where(*mine)).all()


def keys_with(conn: Connection, kind: str, status: str) -> set[str]:
    """Entries of a kind that have a revision in this state."""
    column = revisions.c.origin if status == "draft" else revisions.c.key
    wanted = select(column).where(revisions.c.kind == kind, revisions.c.status == status)
    return set(conn.execute(wanted).scalars())


def history(conn: Connection, kind: str, key: str, most: int = 200) -> Sequence[Row[Any]]:
    """All revisions of an entry and of those that stand in for it, the newest first."""
    mine = (revisions.c.kind == kind, or_(revisions.c.key == key, revisions.c.origin == key))
    return conn.execute(_named().where(*mine).order_by(revisions.c.id.desc()).limit(most)).all()


def save(conn: Connection, scope: Scope, draft: Draft, seen: str, now: datetime) -> int:
    """Keep a draft, in place of the open one that was read as `seen` (empty: there was none); its
    id. Raises Stale if it is another by now."""
    require(scope, draft.kind, draft.key)
    hold(conn)
    there = draft_of(conn, draft.kind, draft.origin)
    if (version_of(there) if there else "") != seen:
        raise Stale
    values = {
        "key": draft.key, "body": canonical(draft.body), "base": draft.base, "at": now,
        "author_id": scope.viewer, "note": draft.note[:NOTE],
    }  # fmt: skip
    if there is not None and there.key == draft.key:
        conn.execute(update(revisions).where(revisions.c.id == there.id).values(values))
        return int(there.id)
    mine = (revisions.c.kind == draft.kind, revisions.c.key == draft.key)
    number = conn.execute(select(func.max(revisions.c.number)).where(*mine)).scalar() or 0
    values |= {"number": number + 1}
    if there is not None:
        conn.execute(update(revisions).where(revisions.c.id == there.id).values(values))
        return int(there.id)
    values |= {"kind": draft.kind, "origin": draft.origin, "status": "draft"}
    made: int = conn.execute(
        insert(revisions).values(values).returning(revisions.c.id)
    ).scalar_one()
    return made


def drop(conn: Connection, scope: Scope, id: int, seen: str, now: datetime) -> None:
    """Throw a draft away."""
    row = _open(conn, scope, id, seen)
    conn.execute(delete(revisions).where(revisions.c.id == id))
    note_audit(conn, scope.viewer, "content_dropped", f"{row.kind}:{row.key}", now)


def _open(conn: Connection, scope: Scope, id: int, seen: str) -> Row[Any]:
    """A draft that is still the one that was seen, held until the end of the transaction."""
    row = conn.execute(select(revisions).where(revisions.c.id == id)).first()
    if row is None:
        raise Missing(id)
    require(scope, row.kind, row.key)
    hold(conn)
    row = conn.execute(select(revisions).where(revisions.c.id == id)).first()
    if row is None or row.status != "draft" or version_of(row) != seen:
        raise Stale
    return row


# --- publishing --------------------------------------------------------------------------


def hold(conn: Connection) -> None:
    """Nobody else changes content until the end of the transaction: so editions are committed in
    their order, and whoever has seen one has seen those before."""
    if conn.dialect.name == "postgresql":
        conn.execute(text("select pg_advisory_xact_lock(:lock)"), {"lock": LOCK})


def publish(conn: Connection, scope: Scope, id: int, seen: str, edition: int, now: datetime) -> int:
    """Let learners meet a draft that was checked against `edition`; the new edition. Raises Stale
    if the draft or the edition is another by now."""
    row = _open(conn, scope, id, seen)
    if newest(conn) != edition:
        raise Stale
    others = (revisions.c.kind == row.kind, revisions.c.key == row.key)
    replaced = update(revisions).where(*others, revisions.c.status == "published")
    conn.execute(replaced.values(status="replaced"))
    values = {"status": "published", "published_by": scope.viewer, "published_at": now}
    conn.execute(
        update(revisions).where(revisions.c.id == id).values(**values, edition=edition + 1)
    )
    made = {"number": row.number, "edition": edition + 1}
    note_audit(conn, scope.viewer, "content_published", f"{row.kind}:{row.key}", now, **made)
    return edition + 1


def withdraw(
    conn: Connection, scope: Scope, kind: str, key: str, edition: int, now: datetime
) -> int:
    """Back to how the files have it; an item of the agency's own is retired. The new edition.
    Raises Stale if the edition is another by now, Missing if nothing is published."""
    require(scope, kind, key)
    hold(conn)
    if newest(conn) != edition:
        raise Stale
    mine = (revisions.c.kind == kind, revisions.c.key == key, revisions.c.status == "published")
    values = {"status": "withdrawn", "withdrawn_by": scope.viewer, "withdrawn_at": now}
    done = conn.execute(update(revisions).where(*mine).values(**values, edition=edition + 1))
    if not done.rowcount:
        raise Missing(key)
    note_audit(conn, scope.viewer, "content_withdrawn", f"{kind}:{key}", now, edition=edition + 1)
    return edition + 1


# --- who is there ------------------------------------------------------------------------


def people_at(conn: Connection, kind: str, key: str) -> int | None:
    """How many learners are at a step, or in the middle of an item; None for what nobody stands
    on. The second reads every state: ask it where somebody decides, not in lists."""
    if kind == "step":
        wanted = select(func.count()).select_from(profiles).where(profiles.c.step == key)
    elif kind in ITEMS:
        said = f'"{kind}":"{key}"'  # as the state of whoever stands on it says
        wanted = select(func.count()).where(learners.c.state.contains(said, autoescape=True))
    else:
        return None
    found: int = conn.execute(wanted).scalar_one()
    return found
