"""Who did what to whose data: an append-only journal, each entry sealed with the one before."""

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any

from msgspec import Struct
from msgspec.json import Encoder, decode
from sqlalchemy import ColumnElement, Connection, delete, insert, select, text

from flows.calendar import midnight
from storage.models import audit, persons, to_micros
from storage.scope import Denied, Scope

LOCK = 7_205_002
"""Number of the advisory lock under which PostgreSQL appends entries one by one."""
FIRST = "0" * 64
"""What the first entry is sealed with."""

PURGED = "audit_purged"
"""The action that tells where the log begins, once its oldest entries are gone."""

_encode = Encoder(order="sorted").encode


def note(
    conn: Connection,
    by: int | None,
    action: str,
    target: str,
    now: datetime,
    result: str = "done",
    **data: Any,
) -> int:
    """Append an entry; `by` is a person (None: the operator or the service itself), `target` names
    what it was done to (`person:7`, `report:ocsc`), `data` holds counts and settings, never
    names or texts."""
    hold(conn)
    last = conn.execute(select(audit.c.hash).order_by(audit.c.id.desc()).limit(1)).scalar()
    row = {"by_id": by, "action": action, "target": target, "result": result}
    row["data"] = _encode(data).decode()
    sealed = insert(audit).values(row | {"at": now, "hash": seal(last or FIRST, now, row)})
    made: int = conn.execute(sealed.returning(audit.c.id)).scalar_one()
    return made


def hold(conn: Connection) -> None:
    """Wait until nobody else appends, and keep it so until the end of the transaction. Whoever
    does several things that end in an entry takes this first, so that all wait in one order."""
    if conn.dialect.name == "postgresql":
        conn.execute(text("select pg_advisory_xact_lock(:lock)"), {"lock": LOCK})


def seal(before: str, at: datetime, row: dict[str, Any]) -> str:
    """The hash of an entry together with the entry before it."""
    return sha256(_encode([before, to_micros(at), row])).hexdigest()


# --- is it whole? --------------------------------------------------------------------


class Anchor(Struct, frozen=True):
    """What the last entry was at a moment, kept outside the database and signed."""

    id: int
    hash: str


class Broken(Struct, frozen=True):
    """The first entry that does not fit, or that should be there: its id, and why."""

    id: int
    why: str


def verify(
    conn: Connection, anchors: Iterable[Anchor] = (), told: Callable[[int], None] = lambda _: None
) -> Broken | None:
    """Walk the log from its beginning and seal each entry anew; None when all fit. The chain tells
    of entries that were changed, moved, or taken out; anchors tell of those missing at the end,
    and of a log that was written anew as a whole. `told` hears now and then at which entry it
    is."""
    start, before = _beginning(conn)
    wanted = {anchor.id: anchor.hash for anchor in anchors if anchor.id > start}
    query = select(audit).order_by(audit.c.id).execution_options(yield_per=5000)
    with conn.execute(query) as rows:
        for row in rows:
            if row.id <= start:
                return Broken(row.id, "before the beginning")
            kept = {name: getattr(row, name) for name in _SEALED}
            if seal(before, row.at, kept) != row.hash:
                return Broken(row.id, "its seal does not fit")
            if wanted.pop(row.id, row.hash) != row.hash:
                return Broken(row.id, "not what was anchored")
            before = row.hash
            if row.id % 1000 == 0:
                told(row.id)
    return Broken(min(wanted), "anchored, and missing") if wanted else None


_SEALED = ("by_id", "action", "target", "result", "data")
"""What a seal covers, beside the moment and the entry before."""


def _beginning(conn: Connection) -> tuple[int, str]:
    """After which entry the log begins, and what that entry was sealed as."""
    purged = select(audit.c.data).where(audit.c.action == PURGED).order_by(audit.c.id.desc())
    data = conn.execute(purged.limit(1)).scalar()
    if data is None:
        return 0, FIRST
    try:
        told = decode(data)
        return int(told["before"]), str(told["hash"])
    except (ValueError, KeyError, TypeError):
        return 0, FIRST


def last(conn: Connection) -> Anchor | None:
    """The newest entry."""
    row = conn.execute(
        select(audit.c.id, audit.c.hash).order_by(audit.c.id.desc()).limit(1)
    ).first()
    return Anchor(row.id, row.hash) if row else None


def forget(conn: Connection, until: int, now: datetime) -> None:
    """Delete the entries up to this one, whose seal the next of them needs: it is noted in the log
    itself, so that nobody can take away more than that unseen."""
    hash = conn.execute(select(audit.c.hash).where(audit.c.id == until)).scalar_one()
    note(conn, None, PURGED, "", now, before=until, hash=hash)
    conn.execute(delete(audit).where(audit.c.id <= until))


def listing(
    conn: Connection, scope: Scope, now: datetime, target: str = "", limit: int = 100
) -> list[Any]:
    """Entries, the newest first, of all or of one target."""
    scope.require("privacy")
    if not scope.whole("privacy"):
        raise Denied("privacy")
    rows = select(audit, persons.c.hr_id).join(persons, persons.c.id == audit.c.by_id, isouter=True)
    if target:
        rows = rows.where(audit.c.target == target)
    found = list(conn.execute(rows.order_by(audit.c.id.desc()).limit(limit)))
    note(conn, scope.viewer, "view_audit", target, now, entries=len(found))
    return found


# --- looking for something -----------------------------------------------------------

VERIFIED = "audit_verified"
"""The action that tells that somebody had the log verified, and how that ended."""


class Search(Struct, frozen=True):
    """Which entries to show. `by` is an id at HR, `about` one or a target; days are ordinals, 0
    where none is said. `past` is the last entry that was seen: a page begins behind it, however
    many there are before."""

    by: str = ""
    action: str = ""
    about: str = ""
    first: int = 0
    last: int = 0
    past: int = 0
    oldest: bool = False
    limit: int = 100


def may_search(scope: Scope) -> bool:
    """Whoever answers for personal data, and whoever looks after the system. Entries name people
    by ids only."""
    return scope.whole("privacy") or scope.whole("system")


def search(conn: Connection, scope: Scope, wanted: Search) -> Sequence[Any]:
    """Entries, the newest first or the oldest; with HR's id of who did it. By indices only: there
    may be a hundred million."""
    if not may_search(scope):
        raise Denied("privacy")
    found = _conditions(conn, wanted)
    if found is None:
        return []
    rows = select(audit, persons.c.hr_id).join(persons, persons.c.id == audit.c.by_id, isouter=True)
    order = audit.c.id if wanted.oldest else audit.c.id.desc()
    return conn.execute(rows.where(*found).order_by(order).limit(wanted.limit)).all()


def _conditions(conn: Connection, wanted: Search) -> list[ColumnElement[bool]] | None:
    """None where nothing can fit."""
    found: list[ColumnElement[bool]] = []
    if wanted.by:
        by = _person(conn, wanted.by)
        if by is None:
            return None
        found.append(audit.c.by_id == by)
    if wanted.action:
        found.append(audit.c.action == wanted.action)
    if wanted.about:
        about = target_of(conn, wanted.about)
        if not about:
            return None
        found.append(audit.c.target == about)
    if wanted.first:
        begins = _first_since(conn, wanted.first)
        if begins is None:
            return None
        found.append(audit.c.id >= begins)
    if wanted.last and (ends := _first_since(conn, wanted.last + 1)) is not None:
        found.append(audit.c.id < ends)
    if wanted.past:
        found.append(audit.c.id > wanted.past if wanted.oldest else audit.c.id < wanted.past)
    return found


def target_of(conn: Connection, about: str) -> str:
    """The target that is meant by an id at HR, or by a target itself; empty if it is neither, so
    that no name which somebody typed comes into the log."""
    person = _person(conn, about)
    if person is not None:
        return f"person:{person}"
    return about if re.fullmatch(r"[a-z_]{1,20}(:[\w.:/{}-]{1,60})?", about, re.ASCII) else ""


def _person(conn: Connection, hr_id: str) -> int | None:
    id: int | None = conn.execute(select(persons.c.id).where(persons.c.hr_id == hr_id)).scalar()
    return id


def _first_since(conn: Connection, day: int) -> int | None:
    """The first entry of a day, or of those after it."""
    since = select(audit.c.id).where(audit.c.at >= midnight(day)).order_by(audit.c.at, audit.c.id)
    id: int | None = conn.execute(since.limit(1)).scalar()
    return id


def hr_ids(conn: Connection, scope: Scope, rows: Iterable[Any]) -> dict[str, str]:
    """HR's ids of the persons whom entries are about, by target."""
    if not may_search(scope):
        raise Denied("privacy")
    targets = {row.target for row in rows if re.fullmatch(r"person:\d{1,18}", row.target)}
    ids = [int(target.partition(":")[2]) for target in targets]
    found = conn.execute(select(persons.c.id, persons.c.hr_id).where(persons.c.id.in_(ids)))
    return {f"person:{row.id}": row.hr_id for row in found}


def last_verified(conn: Connection) -> Any:
    """The entry that tells when somebody last had the log verified; None: never."""
    mine = select(audit).where(audit.c.action == VERIFIED).order_by(audit.c.id.desc())
    return conn.execute(mine.limit(1)).first()


def beginning(conn: Connection) -> int:
    """After which entry the log begins."""
    return _beginning(conn)[0]
