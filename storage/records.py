"""Facts as other systems may know them: in order, under pseudonyms, of whom the viewer may see."""

import hmac
from collections.abc import Collection, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from msgspec import Struct
from msgspec.json import decode
from sqlalchemy import ColumnElement, Connection, Select, func, select, true

from content.schema import Content
from flows import xapi
from flows.xapi import Fact, Known, Statement
from storage.hooks import within
from storage.models import facts, learners, persons, to_micros
from storage.profiles import withheld
from storage.scope import Scope

WINDOW = 2000
"""Facts that are looked at in one step."""
NAMESPACE = uuid5(NAMESPACE_URL, "urn:kaona:xapi")
URN = "urn:kaona"
"""What ids begin with where the service has no web address."""


class Told(Struct, frozen=True):
    """A fact with whom it is about."""

    fact: Fact
    learner: int
    since: datetime
    """When the learner first wrote. On SQLite an id may be given out again after somebody was
    erased; together with this it never is."""
    hr_id: str
    """Empty where the viewer may not know, or nobody does."""


class Page(Struct, frozen=True):
    told: Sequence[Told]
    cursor: int
    """Everything up to this id has been looked at."""


def covered(scope: Scope) -> ColumnElement[bool]:
    """Of whom facts may leave: whom the viewer sees by name; everybody, for whoever has the
    whole agency's figures from within. Guests belong to no unit, so only to the whole agency."""
    mine = within(scope)
    if mine.whole("figures") or mine.whole("names"):
        return true()
    return mine.covers("names", persons.c.unit_id)


def page(
    conn: Connection,
    scope: Scope,
    kinds: Collection[str],
    after: int,
    until: int,
    limit: int = 100,
    since: datetime | None = None,
) -> Page:
    """The next facts of these kinds behind `after`, none beyond `until`; fewer than `limit` does
    not mean the end: that is when `cursor` is `until`."""
    window = (
        select(facts.c.id)
        .where(facts.c.id > after, facts.c.id <= until)
        .order_by(facts.c.id)
        .limit(WINDOW)
        .subquery()
    )
    count, last = conn.execute(select(func.count(), func.max(window.c.id))).one()
    end = last if count == WINDOW else until
    found = _whose(scope).where(facts.c.id > after, facts.c.id <= end, facts.c.kind.in_(kinds))
    if since is not None:
        found = found.where(facts.c.at >= since)
    told = [_told(row) for row in conn.execute(found.order_by(facts.c.id).limit(limit))]
    return Page(told, told[-1].fact.id if len(told) == limit else end)


def _whose(scope: Scope) -> Select[Any]:
    """Facts with whom they are about, of all whom the viewer may have told of. Whoever asked that
    their data rest is left alone."""
    named = scope.covers("names", persons.c.unit_id).label("named")
    return (
        select(facts, learners.c.created_at, persons.c.hr_id, named)
        .join(learners, learners.c.id == facts.c.learner_id)
        .join(persons, persons.c.id == learners.c.person_id, isouter=True)
        .where(covered(scope), facts.c.learner_id.not_in(withheld()))
    )


def _told(row: Any) -> Told:
    fact = Fact(row.id, row.at, row.kind, decode(row.data))
    hr_id = row.hr_id if row.named and row.hr_id else ""
    return Told(fact, row.learner_id, row.created_at, hr_id)


def pseudonym(key: bytes, told: Told) -> str:
    """The same for all that one learner does, and nothing that leads back to them without the
    service's secret."""
    who = f"kaona learner {told.learner} {to_micros(told.since)}"
    return hmac.new(key, who.encode(), sha256).hexdigest()[:32]


def event_id(told: Told) -> str:
    """A UUID that is always the same for the same fact, so that whoever has seen it knows it."""
    fact = told.fact
    return str(uuid5(NAMESPACE, f"{fact.id} {to_micros(fact.at)} {to_micros(told.since)}"))


def statement(told: Told, key: bytes, base: str, content: Content) -> Statement | None:
    """The xAPI statement of a fact."""
    who = pseudonym(key, told)
    number = told.fact.data.get("round", 1)
    round_ = str(uuid5(NAMESPACE, f"{who} round {number}"))
    return xapi.statement(told.fact, Known(event_id(told), round_, who, base or URN), content)


# --- webhooks ----------------------------------------------------------------------------

TOPICS: dict[str, tuple[str, ...]] = {
    "claimed": (),
    "placed": ("group", "by"),
    "round_begun": ("round",),
    "measured": ("when", "round"),
    "planned": ("round",),
    "lesson_done": ("round",),
    "course_finished": ("round",),
    "exercise_done": ("round",),
    "quizzed": ("round",),
    "used_at_work": ("round",),
    "step_done": ("step", "round"),
    "certified": ("round",),
}
"""What webhooks tell, by kind of fact, and only these fields: no more than learners are told that
HR sees (`review_report`). Of quizzes only those that were passed, without the score."""


def is_told(told: Told) -> bool:
    return told.fact.kind != "quizzed" or bool(told.fact.data["passed"])


def event(told: Told, key: bytes) -> dict[str, Any]:
    """A fact as the body of a webhook."""
    fact = told.fact
    known = {name: fact.data[name] for name in TOPICS[fact.kind] if name in fact.data}
    body: dict[str, Any] = {
        "id": event_id(told),
        "type": fact.kind,
        "at": fact.at.isoformat(),
        "learner": pseudonym(key, told),
        "data": known,
    }
    return body | ({"hr_id": told.hr_id} if told.hr_id else {})
