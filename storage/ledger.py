"""Who was erased, as salted hashes only: applied again after a backup has been restored."""

import hmac
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, func, insert, select

from storage.models import addresses, erasures, learners, persons
from storage.privacy import anonymise, erase

_salt = b""


def salt_with(secret: bytes) -> None:
    """Set what hashes are salted with. Called once, before the first turn: it is no state. Whoever
    changes the secret loses the ledger: apply it before that."""
    global _salt
    _salt = secret


class Entry(Struct, frozen=True):
    """Somebody was erased at a moment; `reason` is asked, person or again."""

    who_hash: str
    at: datetime
    reason: str = "asked"


def hashed(kind: str, name: str) -> str:
    """A person (`person`, the id at HR) or an address (its channel, the address)."""
    return hmac.new(_salt, f"{kind}\n{name}".encode(), "sha256").hexdigest()


def of_learners(conn: Connection, ids: Sequence[int], at: datetime) -> list[Entry]:
    """What to note of learners before they are erased: each address, and who they are."""
    rows = conn.execute(
        select(addresses.c.channel, addresses.c.address).where(addresses.c.learner_id.in_(ids))
    )
    found = [Entry(hashed(row.channel, row.address), at) for row in rows]
    own = select(learners.c.channel, learners.c.address).where(learners.c.id.in_(ids))
    found += [Entry(hashed(row.channel, row.address), at) for row in conn.execute(own)]
    theirs = select(persons.c.hr_id).join(learners, learners.c.person_id == persons.c.id)
    linked = conn.execute(theirs.where(learners.c.id.in_(ids))).scalars()
    found += [Entry(hashed("learner", hr_id), at) for hr_id in linked]
    return list({entry.who_hash: entry for entry in found}.values())


def note(conn: Connection, entries: Iterable[Entry]) -> None:
    rows = [{"who_hash": each.who_hash, "at": each.at, "reason": each.reason} for each in entries]
    if rows:
        conn.execute(insert(erasures), rows)


def erase_learners(conn: Connection, ids: Sequence[int], now: datetime) -> list[str]:
    """Delete everything about learners, noting who they were; the files of theirs to delete."""
    note(conn, of_learners(conn, ids, now))
    return erase(conn, ids)


def erase_person(conn: Connection, person_id: int, now: datetime) -> list[str]:
    """Delete the learner who is this person, and what names them on the roster."""
    ids = list(
        conn.execute(select(learners.c.id).where(learners.c.person_id == person_id)).scalars()
    )
    files = erase_learners(conn, ids, now)
    hr_id = conn.execute(select(persons.c.hr_id).where(persons.c.id == person_id)).scalar_one()
    note(conn, [Entry(hashed("person", hr_id), now, "person")])
    anonymise(conn, [person_id], now)
    return files


def newest(conn: Connection) -> int:
    """The number of the latest entry; 0 when there is none."""
    found: int | None = conn.execute(select(func.max(erasures.c.id))).scalar()
    return found or 0


def known(conn: Connection) -> list[Entry]:
    rows = conn.execute(select(erasures.c.who_hash, erasures.c.at, erasures.c.reason))
    return [Entry(row.who_hash, row.at, row.reason) for row in rows]


def apply(conn: Connection, missing: Sequence[Entry], now: datetime) -> tuple[int, list[str]]:
    """Erase again whom a restored backup has brought back: entries that the database has
    forgotten. Whoever came anew after they were erased stays. Gives how many, and their files."""
    at = {entry.who_hash: entry.at for entry in sorted(missing, key=lambda entry: entry.at)}
    if not at:
        return 0, []
    back = [row.id for row in _present(conn) if _is_back(row, at)]
    gone = [
        row.id
        for row in conn.execute(select(persons.c.id, persons.c.hr_id))
        if hashed("person", row.hr_id) in at
    ]
    files = erase(conn, sorted(set(back)))
    anonymise(conn, gone, now)
    note(conn, missing)
    return len(set(back)) + len(gone), files


def _present(conn: Connection) -> Iterable[Any]:
    """Every address with its learner, and who they are."""
    return conn.execute(
        select(
            learners.c.id,
            learners.c.created_at,
            addresses.c.channel,
            addresses.c.address,
            persons.c.hr_id,
        )
        .join_from(learners, addresses, addresses.c.learner_id == learners.c.id, isouter=True)
        .join(persons, persons.c.id == learners.c.person_id, isouter=True)
        .execution_options(yield_per=5000)
    )


def _is_back(row: Any, at: dict[str, datetime]) -> bool:
    """Whether this is somebody who was erased after they had come."""
    names = [hashed(row.channel, row.address)] if row.channel else []
    names += [hashed("learner", row.hr_id)] if row.hr_id else []
    return any(row.created_at <= at[name] for name in names if name in at)
