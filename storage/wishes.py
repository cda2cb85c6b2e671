"""What people ask about their data, each with its legal clock; from the chat, or at HR."""

from datetime import datetime, timedelta
from typing import Any, Literal

from msgspec import Struct
from msgspec.json import decode, encode
from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    UnaryExpression,
    and_,
    func,
    insert,
    select,
    true,
    update,
)

from flows.types import Json
from storage import audit
from storage.models import learners, persons, timers, units, wishes
from storage.scope import Scope

Kind = Literal["access", "correct", "object", "restrict", "erase"]
CLOCKS: dict[str, timedelta] = {
    "access": timedelta(days=30),
    "correct": timedelta(days=30),
    "object": timedelta(days=30),
    "restrict": timedelta(days=30),
    "erase": timedelta(days=90),
}
"""How long the law gives (PDPA s.30-36; erasure: the notification of B.E. 2567)."""
UNDO = timedelta(hours=20)
"""How long a learner who wants everything deleted may change their mind: it is deleted for good
within 24 hours, and the service may be down for some of them."""
DONE = ("done", "refused")
"""How an officer ends a wish."""
STATES = ("open", "ended", "all")
LONGEST = 1000
"""Letters of a reason: it is one message in the chat."""
_BY = persons.alias("by")
ORDERS = {
    "due": wishes.c.due,
    "at": wishes.c.at,
    "kind": wishes.c.kind,
    "unit": units.c.path,
    "who": persons.c.hr_id,
    "ended": wishes.c.ended_at,
}
"""What a page of wishes can be sorted by."""


class NoSuchWish(Exception):
    """There is no such wish, or it has ended."""


class NoAnswer(Exception):
    """A wish cannot be ended like this; `key` says why: how, missing or long."""

    def __init__(self, key: str) -> None:
        self.key = key
        super().__init__(key)


class Sought(Struct, frozen=True):
    """Which wishes a page shows: one of STATES, of a kind; sorted by one of ORDERS."""

    state: str = "open"
    kind: str = ""
    order: str = "due"
    down: bool = False
    offset: int = 0
    limit: int = 1000


def make(
    conn: Connection,
    learner_id: int,
    kind: Kind,
    detail: Json,
    now: datetime,
    *,
    done: bool = False,
) -> datetime:
    """Note a learner's wish; when it is due. One that is asked again while it waits is no other."""
    due = now + (UNDO if kind == "erase" else CLOCKS[kind])
    open_ = (wishes.c.learner_id == learner_id, wishes.c.kind == kind, wishes.c.ended_at.is_(None))
    waits: datetime | None = conn.execute(select(wishes.c.due).where(*open_)).scalar()
    if waits is not None and kind == "erase":
        return waits
    person_id = conn.execute(
        select(learners.c.person_id).where(learners.c.id == learner_id)
    ).scalar()
    row = {"learner_id": learner_id, "person_id": person_id, "kind": kind, "at": now, "due": due}
    row["detail"] = encode(detail).decode() if detail else ""
    row |= {"ended_at": now, "ended_as": "done"} if done else {}
    conn.execute(insert(wishes).values(row))
    audit.note(conn, person_id, f"wish_{kind}", f"learner:{learner_id}", now)
    return due


def undo(conn: Connection, learner_id: int, now: datetime) -> bool:
    """The learner does not want to be erased after all."""
    open_ = (wishes.c.kind == "erase", wishes.c.ended_at.is_(None))
    ended = conn.execute(
        update(wishes)
        .where(wishes.c.learner_id == learner_id, *open_)
        .values(ended_at=now, ended_as="undone")
    )
    audit.note(conn, None, "wish_undone", f"learner:{learner_id}", now)
    return ended.rowcount > 0


def waiting(conn: Connection, now: datetime) -> bool:
    """Whether anybody's hour has come; without a lock."""
    due = (wishes.c.kind == "erase", wishes.c.ended_at.is_(None), wishes.c.due <= now)
    return conn.execute(select(wishes.c.id).where(*due).limit(1)).first() is not None


def leaving(conn: Connection, now: datetime, limit: int = 20) -> list[int]:
    """Learners whose hour has come; locked, oldest id first, and looked at again once they are."""
    due = (wishes.c.kind == "erase", wishes.c.ended_at.is_(None), wishes.c.due <= now)
    asked = select(wishes.c.learner_id).where(*due).order_by(wishes.c.id).limit(limit)
    ids = set(conn.execute(asked).scalars())
    locked = select(learners.c.id).where(learners.c.id.in_(ids)).order_by(learners.c.id)
    here = set(conn.execute(locked.with_for_update()).scalars())
    still = set(conn.execute(select(wishes.c.learner_id).where(*due)).scalars())
    return sorted(here & still)


def listing(conn: Connection, scope: Scope, now: datetime, *, ended: bool = False) -> list[Any]:
    """Open wishes of people the viewer answers for, the most urgent first."""
    return page(conn, scope, Sought("all" if ended else "open"), now)


def page(conn: Connection, scope: Scope, sought: Sought, now: datetime) -> list[Any]:
    """Wishes of people the viewer answers for, a part of them; that they were read is noted of
    each. Those of guests, who have no unit, are for whoever answers for the whole agency."""
    scope.require("privacy")
    rows = _mine(scope).where(_wanted(sought)).order_by(*_in_order(sought))
    found = list(conn.execute(rows.offset(sought.offset).limit(sought.limit)))
    for target in sorted({_target(row) for row in found if row.learner_id or row.person_id}):
        audit.note(conn, scope.viewer, "view_wishes", target, now)
    return found


def one(conn: Connection, scope: Scope, wish_id: int, now: datetime) -> Any:
    """A wish of somebody whom the viewer answers for, open or ended; that it was read is noted."""
    scope.require("privacy")
    row = conn.execute(_mine(scope).where(wishes.c.id == wish_id)).first()
    if row is None:
        raise NoSuchWish(wish_id)
    if row.learner_id or row.person_id:
        audit.note(conn, scope.viewer, "view_wishes", _target(row), now)
    return row


def many(conn: Connection, scope: Scope) -> int:
    """How many wishes wait for the viewer."""
    open_ = _mine(scope).with_only_columns(wishes.c.id).where(wishes.c.ended_at.is_(None))
    return int(conn.execute(select(func.count()).select_from(open_.subquery())).scalar_one())


def _mine(scope: Scope) -> Select[Any]:
    rows = (
        select(wishes, persons.c.hr_id, persons.c.name, units.c.path, _BY.c.hr_id.label("ended_by"))
        .join(persons, persons.c.id == wishes.c.person_id, isouter=True)
        .join(units, units.c.id == persons.c.unit_id, isouter=True)
        .join(_BY, _BY.c.id == wishes.c.by_id, isouter=True)
    )
    if scope.whole("privacy"):
        return rows
    return rows.where(wishes.c.person_id.is_not(None), scope.covers("privacy", persons.c.unit_id))


def _wanted(sought: Sought) -> ColumnElement[bool]:
    by_state: dict[str, ColumnElement[bool]] = {
        "open": wishes.c.ended_at.is_(None),
        "ended": wishes.c.ended_at.is_not(None),
        "all": true(),
    }
    return and_(by_state[sought.state], wishes.c.kind == sought.kind if sought.kind else true())


def _in_order(sought: Sought) -> tuple[UnaryExpression[Any], UnaryExpression[Any]]:
    by, last = ORDERS[sought.order], wishes.c.id
    return (by.desc(), last.desc()) if sought.down else (by.asc(), last.asc())


def _target(row: Any) -> str:
    return f"person:{row.person_id}" if row.person_id else f"learner:{row.learner_id}"


def words(row: Any) -> str:
    """What somebody wrote with their wish."""
    detail = decode(row.detail) if row.detail else {}
    return str(detail.get("text", "")) if isinstance(detail, dict) else ""


def end(conn: Connection, scope: Scope, wish_id: int, how: str, reason: str, now: datetime) -> Any:
    """An officer has dealt with a wish; the row. A refusal wants its reason (PDPA s.39). Raises
    NoAnswer, and NoSuchWish if it has ended meanwhile."""
    _require_answer(how, reason)
    row = conn.execute(
        select(wishes, persons.c.unit_id, units.c.path)
        .join(persons, persons.c.id == wishes.c.person_id, isouter=True)
        .join(units, units.c.id == persons.c.unit_id, isouter=True)
        .where(wishes.c.id == wish_id, wishes.c.ended_at.is_(None))
    ).first()
    if row is None or row.kind == "erase":
        raise NoSuchWish(wish_id)
    scope.require("privacy", row.path or "")
    ended = {"ended_at": now, "ended_as": how, "reason": reason, "by_id": scope.viewer}
    still = (wishes.c.id == wish_id, wishes.c.ended_at.is_(None))
    if not conn.execute(update(wishes).where(*still).values(ended)).rowcount:
        raise NoSuchWish(wish_id)
    audit.note(conn, scope.viewer, "end_wish", _target(row), now, how, kind=row.kind)
    if row.learner_id is not None:
        _tell(conn, row, how, reason, now)
    return row


def _require_answer(how: str, reason: str) -> None:
    if how not in DONE:
        raise NoAnswer("how")
    if how == "refused" and not reason.strip():
        raise NoAnswer("missing")
    if len(reason) > LONGEST:
        raise NoAnswer("long")


def _tell(conn: Connection, row: Any, how: str, reason: str, now: datetime) -> None:
    """Let the learner hear what was decided, in a turn of their own. A restriction that they asked
    for by itself outlives an objection that was refused."""
    here = select(learners.c.id).where(learners.c.id == row.learner_id)
    if conn.execute(here).first() is None:
        return
    asked = select(wishes.c.id).where(
        wishes.c.learner_id == row.learner_id, wishes.c.kind == "restrict"
    )
    lift = row.kind == "object" and how == "refused" and conn.execute(asked).first() is None
    data = {"kind": row.kind, "how": how, "reason": reason, "lift": lift}
    timer = {"learner_id": row.learner_id, "kind": "wish_ended", "key": str(row.id), "due": now}
    conn.execute(insert(timers).values(timer | {"data": encode(data).decode()}))
