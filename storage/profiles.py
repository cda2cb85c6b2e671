"""Learners as segments and the gate see them: one narrow row each, kept with the state."""

from collections.abc import Sequence
from typing import Any, cast

from msgspec.structs import asdict
from sqlalchemy import ColumnElement, Connection, Select, select, text, update

from content.schema import Content
from flows.profile import profile
from flows.types import State
from storage.gathered import decode_state
from storage.many import upsert_many
from storage.models import addresses, learners, persons, profiles

FILL = 500
"""Learners in one step of filling."""


def countable() -> ColumnElement[bool]:
    """Learners who may be counted and shown to others: a condition on `profiles`. Whoever has
    their data restricted, or is waiting to be erased, is in no report and no list."""
    return profiles.c.restricted.is_(False)


RESTRICTED = cast(ColumnElement[bool], text("profiles.restricted"))
"""In the words of the index that finds them, few as they are."""


def withheld(who: ColumnElement[Any] = profiles.c.learner_id) -> Select[Any]:
    """Everybody else: their learners, or with `profiles.c.person_id` their persons."""
    return select(who).where(RESTRICTED, who.is_not(None))


def as_row(
    learner_id: int, channel: str, address: str, state: State, content: Content
) -> dict[str, Any]:
    """The columns of a profile that follow from the state."""
    at = {"learner_id": learner_id, "channel": channel, "address": address}
    return {**at, **asdict(profile(state, content))}


def store(conn: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Insert or replace profiles. Whoever writes from another address can be reached there."""
    reachable = "reachable = profiles.reachable or profiles.address <> excluded.address"
    upsert_many(conn, profiles, rows, reachable)


def place(conn: Connection, learner_ids: Sequence[int]) -> None:
    """Put learners where the roster has them: it, and not their conversation, knows their unit."""
    theirs = select(persons.c.unit_id).where(persons.c.id == profiles.c.person_id)
    moved = update(profiles).where(profiles.c.learner_id.in_(learner_ids))
    conn.execute(moved.values(unit_id=theirs.scalar_subquery()))


def fill(conn: Connection, content: Content, only: Select[Any] | None = None) -> int:
    """Make profiles that are missing, at most `FILL` at a time, of all learners or of those that
    a query finds; how many were made."""
    missing = select(
        learners.c.id,
        learners.c.channel,
        learners.c.address,
        learners.c.state,
        addresses.c.reachable,
    ).join_from(
        learners,
        addresses,
        (addresses.c.channel == learners.c.channel) & (addresses.c.address == learners.c.address),
        isouter=True,
    )
    if only is not None:
        missing = missing.where(learners.c.id.in_(only))
    known = select(profiles.c.learner_id).where(profiles.c.learner_id == learners.c.id)
    rows = conn.execute(missing.where(~known.exists()).limit(FILL)).all()
    upsert_many(conn, profiles, [_filled(row, content) for row in rows])
    place(conn, [row.id for row in rows])
    return len(rows)


def _filled(row: Any, content: Content) -> dict[str, Any]:
    made = as_row(row.id, row.channel, row.address, decode_state(row.state), content)
    return {**made, "reachable": row.reachable is not False}
