"""Sums over the answers to each question: taken up some facts at a time, and naming nobody."""

from datetime import datetime, timedelta
from functools import partial
from math import sqrt
from typing import Any

from msgspec import Struct
from msgspec.json import decode, encode
from sqlalchemy import (
    ColumnElement,
    Connection,
    Float,
    Integer,
    Text,
    and_,
    case,
    cast,
    func,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from storage.many import upsert_many
from storage.models import facts, item_stats, measures
from storage.profiles import withheld

CHUNK = 10_000
"""Facts in one step."""
SETTLED = timedelta(minutes=10)
"""Younger facts are left for later: one with a smaller number may still be on its way."""
CURSOR = ""
"""The row that only says how far all have been read."""
SECONDS = (5, 10, 15, 20, 25, 30, 40, 50, 60, 75, 90, 120, 180, 300)
"""Upper ends of the steps in which times are counted."""
SCALE = 1000
"""Abilities are summed as thousandths, which is what they are measured in."""


class Sums(Struct, omit_defaults=True):
    """What is known of one question. `options` counts by the option's place in the file, "unsure"
    for nobody's choice; `times` by `SECONDS`. The last five are over answers in quizzes and
    re-tests by people whose ability in the area was measured before: how many, how many right, and
    the sums of their abilities, of the squares, and of the abilities of those who were right."""

    n: int = 0
    right: int = 0
    options: dict[str, int] = {}
    times: dict[str, int] = {}
    known: int = 0
    known_right: int = 0
    ability: int = 0
    squares: int = 0
    ability_right: int = 0
    leeches: int = 0
    """For how many people it was forgotten again and again, and is not reviewed any more."""

    def add(self, row: Any) -> None:
        self.n += row.n
        self.right += row.right_
        self.options[row.option_] = self.options.get(row.option_, 0) + row.n
        if row.time_ is not None:
            self.times[str(row.time_)] = self.times.get(str(row.time_), 0) + row.n
        self.known += row.known
        self.known_right += row.known_right
        self.ability += int(row.ability)
        self.squares += int(row.squares)
        self.ability_right += int(row.ability_right)

    @property
    def discrimination(self) -> float | None:
        """The point-biserial correlation of answering right with ability before."""
        n, right = self.known, self.known_right
        spread = n * self.squares - self.ability * self.ability
        among = right * (n - right)
        if spread <= 0 or among <= 0:
            return None
        return (n * self.ability_right - right * self.ability) / sqrt(float(spread) * among)

    @property
    def seconds(self) -> float | None:
        """The median time, as far as the steps tell: within its step it is interpolated."""
        timed = sum(self.times.values())
        left, low = timed / 2, 0
        for at, high in enumerate(SECONDS):
            here = self.times.get(str(at), 0)
            if here and left <= here:
                return low + (high - low) * left / here
            left, low = left - here, high
        return float(SECONDS[-1]) if timed else None


LOCK = 7_205_003
"""Number of the advisory lock under which PostgreSQL takes up facts: nobody counts one twice."""


def step(conn: Connection, now: datetime, chunk: int = CHUNK) -> int:
    """Take up the next facts; how many there were to look at. One that fails changes nothing."""
    if conn.dialect.name == "postgresql":
        conn.execute(text("select pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
    after = conn.execute(select(item_stats.c.until).where(item_stats.c.question == CURSOR)).scalar()
    last = _last(conn, after or 0, now, chunk)
    if last is None:
        return 0
    kept = {row.question: row.data for row in conn.execute(select(item_stats))}
    changed: dict[str, Sums] = {}

    def of(question: str) -> Sums:
        if question not in changed:
            changed[question] = decode(kept.get(question, "{}"), type=Sums)
        return changed[question]

    for row in conn.execute(_query(conn, after or 0, last)):
        of(row.question).add(row)
    for question, many in conn.execute(_leeches(conn, after or 0, last)):
        of(question).leeches += many
    rows = [
        {"question": question, "until": last, "data": encode(sums).decode()}
        for question, sums in sorted(changed.items())
    ]
    seen = {"at": _at(conn, last)}
    rows.append({"question": CURSOR, "until": last, "data": encode(seen).decode()})
    upsert_many(conn, item_stats, rows)
    return last - (after or 0)


def _last(conn: Connection, after: int, now: datetime, chunk: int) -> int | None:
    """The last fact of the next step: before the first that is too young."""
    next_ = select(func.min(facts.c.id)).where(facts.c.id > after)
    first = conn.execute(next_).scalar()
    if first is None:
        return None
    span = facts.c.id >= first, facts.c.id < first + chunk
    young = select(func.min(facts.c.id)).where(*span, facts.c.at > now - SETTLED)
    stop = conn.execute(young).scalar()
    before = [facts.c.id < stop] if stop is not None else []
    found: int | None = conn.execute(select(func.max(facts.c.id)).where(*span, *before)).scalar()
    return found


def _at(conn: Connection, last: int) -> int:
    """When the last fact that was read happened, in seconds."""
    when: datetime = conn.execute(select(facts.c.at).where(facts.c.id == last)).scalar_one()
    return int(when.timestamp())


def _query(conn: Connection, after: int, last: int) -> Any:
    """Sums of these facts by question, option and step of time."""
    said = _said(conn, after, last).subquery()
    ability = cast(func.round(said.c.before * SCALE), Integer)
    known = said.c.before.is_not(None) & said.c.purpose.in_(("quiz", "retest"))
    time_ = case(*((said.c.seconds <= high, at) for at, high in enumerate(SECONDS)),
                 (said.c.seconds.is_not(None), len(SECONDS)))  # fmt: skip

    def total(when: ColumnElement[bool], value: Any = 1) -> ColumnElement[Any]:
        return func.coalesce(func.sum(case((when, value), else_=0)), 0)

    right = said.c.right_ == 1
    return (
        select(
            said.c.question,
            said.c.option_,
            time_.label("time_"),
            func.count().label("n"),
            total(right).label("right_"),
            total(known).label("known"),
            total(and_(known, right)).label("known_right"),
            total(known, ability).label("ability"),
            total(known, ability * ability).label("squares"),
            total(and_(known, right), ability).label("ability_right"),
        )
        .where(said.c.purpose != "recall")
        .group_by(said.c.question, said.c.option_, time_)
    )


def _leeches(conn: Connection, after: int, last: int) -> Any:
    """Questions that somebody kept forgetting, by these facts."""
    question = _part(conn, "question").label("question")
    return (
        select(question, func.count())
        .where(facts.c.id > after, facts.c.id <= last, facts.c.kind == "leech")
        .where(facts.c.learner_id.not_in(withheld()))
        .group_by(question)
    )


def _part(conn: Connection, key: str) -> ColumnElement[Any]:
    """A member of a fact's data, as each engine reads it."""
    if conn.dialect.name == "sqlite":
        return func.json_extract(facts.c.data, f"$.{key}")
    return cast(facts.c.data, JSONB).op("->>")(key)


def _said(conn: Connection, after: int, last: int) -> Any:
    """Answers with what was known before of who gave them; out of JSON, as each engine does it."""
    sqlite = conn.dialect.name == "sqlite"

    part = partial(_part, conn)
    right = cast(part("right"), Integer) if sqlite else case((part("right") == "true", 1), else_=0)
    return (
        select(
            part("question").label("question"),
            func.coalesce(cast(part("option"), Text), "unsure").label("option_"),
            right.label("right_"),
            part("purpose").label("purpose"),
            cast(part("seconds"), Float).label("seconds"),
            measures.c.before.label("before"),
        )
        .select_from(facts)
        .join(
            measures,
            and_(
                measures.c.learner_id == facts.c.learner_id,
                measures.c.round == cast(part("round"), Integer),
                measures.c.area == part("area"),
            ),
            isouter=True,
        )
        .where(facts.c.id > after, facts.c.id <= last, facts.c.kind == "answered")
        .where(facts.c.learner_id.not_in(withheld()))
    )
