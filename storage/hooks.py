"""Where facts are pushed to, and how far each of these has come."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, insert, or_, select, update

from flows.calendar import local
from storage import audit
from storage.models import facts, hooks, persons
from storage.scope import Scope, present, scope_of

KINDS = ("webhook", "xapi")
FIRST, LONGEST = timedelta(seconds=5), timedelta(hours=6)
"""The pause after the first failure, doubled after each, and the longest."""
MOST_FAILURES = 25
"""After so many in a row, about three days, a hook is ended."""


class Unknown(Exception):
    """There is no such hook, or its person may have none."""


def may_have(scope: Scope) -> bool:
    """Who may have facts about single people pushed out: whoever sees people by name, or the
    figures of the whole agency from within it (then under pseudonyms)."""
    mine = within(scope)
    return mine.may("names") or mine.whole("figures")


def within(scope: Scope) -> Scope:
    """The rights that somebody has within the agency. Learners are told that OCSC sees totals
    only: what one person did is none, under whatever name."""
    return Scope(scope.viewer, tuple(right for right in scope.rights if right.role != "ocsc"))


def add(
    conn: Connection,
    scope: Scope,
    person_id: int,
    row: dict[str, Any],
    now: datetime,
) -> int:
    """A new hook, from now on: `row` has kind, url, secret (sealed), topics. Whoever adds it
    answers for it by their own right, or is the operator."""
    if not may_have(scope_of(conn, person_id, now)):
        raise Unknown("this person may not have facts pushed out: it takes the role hr")
    begins = conn.execute(select(func.coalesce(func.max(facts.c.id), 0))).scalar_one()
    values = row | {"person_id": person_id, "cursor": begins, "created_at": now, "due": now}
    made: int = conn.execute(insert(hooks).values(values).returning(hooks.c.id)).scalar_one()
    audit.note(
        conn, scope.viewer, "hook_added", f"person:{person_id}", now, hook=made, kind=row["kind"]
    )
    return made


def person(conn: Connection, hr_id: str, now: datetime) -> int:
    """Somebody who is on the roster and here."""
    here = present(local(now).toordinal())
    found = conn.execute(select(persons.c.id).where(persons.c.hr_id == hr_id, here)).scalar()
    if found is None:
        raise Unknown(f"nobody on the roster has the id {hr_id}")
    return int(found)


def listing(conn: Connection, person_id: int | None = None) -> Sequence[Any]:
    """Hooks, the newest first: all of them, or one person's."""
    mine = [] if person_id is None else [hooks.c.person_id == person_id]
    return conn.execute(
        select(hooks, persons.c.hr_id)
        .join(persons, persons.c.id == hooks.c.person_id)
        .where(*mine)
        .order_by(hooks.c.id.desc())
    ).all()


def find(conn: Connection, id: int) -> Any:
    row = conn.execute(select(hooks).where(hooks.c.id == id)).first()
    if row is None:
        raise Unknown(f"there is no hook {id}: see `kaona hook list`")
    return row


def end(conn: Connection, scope: Scope, id: int, now: datetime, problem: str = "") -> None:
    """Push nothing more to it. A person ends their own; who looks after the system, any."""
    ended = (
        update(hooks)
        .where(hooks.c.id == id, hooks.c.ended_at.is_(None), *_mine(scope))
        .values(ended_at=now, due=None, problem=problem)
        .returning(hooks.c.person_id)
    )
    whose = conn.execute(ended).scalar()
    if whose is None:
        raise Unknown(f"no hook {id} is in use: see `kaona hook list`")
    audit.note(conn, scope.viewer, "hook_ended", f"person:{whose}", now, hook=id, reason=problem)


def _mine(scope: Scope) -> list[ColumnElement[bool]]:
    """One's own; of whoever looks after the system, all."""
    if scope.viewer is None or scope.whole("system"):
        return []
    return [hooks.c.person_id == scope.viewer]


SORTS: dict[str, Any] = {
    "id": hooks.c.id,
    "hr_id": persons.c.hr_id,
    "kind": hooks.c.kind,
    "url": hooks.c.url,
    "created": hooks.c.created_at,
}


def seen(
    conn: Connection, scope: Scope, kind: str, sort: str, limit: int, offset: int = 0
) -> Sequence[Any]:
    """Hooks that the viewer may see, of one kind or of all."""
    column = SORTS.get(sort.removeprefix("-"), hooks.c.id)
    order = column.desc() if sort.startswith("-") else column
    wanted = [hooks.c.kind == kind] if kind else []
    return conn.execute(
        select(hooks, persons.c.hr_id)
        .join(persons, persons.c.id == hooks.c.person_id)
        .where(*wanted, *_mine(scope))
        .order_by(order, hooks.c.id)
        .limit(limit)
        .offset(offset)
    ).all()


def seen_one(conn: Connection, scope: Scope, id: int) -> Any:
    row = conn.execute(select(hooks).where(hooks.c.id == id, *_mine(scope))).first()
    if row is None:
        raise Unknown(f"there is no hook {id}")
    return row


def resume(conn: Connection, scope: Scope, id: int, now: datetime) -> None:
    """Go on where it ended: nothing of what happened meanwhile is left out."""
    again = (
        update(hooks)
        .where(hooks.c.id == id, hooks.c.ended_at.is_not(None), *_mine(scope))
        .values(ended_at=None, due=now, failures=0, problem="")
        .returning(hooks.c.person_id)
    )
    whose = conn.execute(again).scalar()
    if whose is None:
        raise Unknown(f"no hook {id} has ended: see `kaona hook list`")
    audit.note(conn, scope.viewer, "hook_resumed", f"person:{whose}", now, hook=id)


# --- pushing -----------------------------------------------------------------------------


def due(conn: Connection, now: datetime) -> Sequence[Any]:
    """Those that may be pushed to now."""
    open_ = (hooks.c.ended_at.is_(None), or_(hooks.c.due.is_(None), hooks.c.due <= now))
    return conn.execute(select(hooks).where(*open_).order_by(hooks.c.id)).all()


def moved(conn: Connection, id: int, before: int, after: int) -> bool:
    """What follows `before` up to `after` has been accepted. False if somebody else has moved it
    meanwhile."""
    here = (hooks.c.id == id, hooks.c.cursor == before)
    far = update(hooks).where(*here).values(cursor=after, failures=0, problem="")
    return conn.execute(far).rowcount == 1


def failed(conn: Connection, id: int, problem: str, wait: float, now: datetime) -> bool:
    """Wait before the next attempt, longer each time and at least `wait` seconds; after too many
    the hook ends. Whether it did."""
    row = find(conn, id)
    failures = row.failures + 1
    if failures >= MOST_FAILURES:
        values: dict[str, Any] = {"failures": failures}
        conn.execute(update(hooks).where(hooks.c.id == id).values(values))
        if row.ended_at is None:
            end(conn, Scope(None), id, now, problem)
        return True
    pause = min(max(FIRST * 2**row.failures, timedelta(seconds=wait)), LONGEST)
    values = {"failures": failures, "due": now + pause, "problem": problem}
    conn.execute(update(hooks).where(hooks.c.id == id).values(values))
    return False
