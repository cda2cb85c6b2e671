"""The clocks of the register: what is over is deleted or blanked, a rule and a chunk at a time."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Any

from msgspec import Struct
from sqlalchemy import (
    ColumnElement,
    Connection,
    Table,
    and_,
    delete,
    func,
    or_,
    select,
    tuple_,
    update,
)

from content.schema import Register, Rule
from flows.calendar import fiscal_bounds, fiscal_year, local
from storage import audit, privacy
from storage.models import audit as audit_table
from storage.models import (
    claim_codes,
    claim_tries,
    downloads,
    erasures,
    facts,
    grants,
    holdouts,
    imports,
    inbox,
    invites,
    learners,
    links,
    occurrences,
    outbox,
    parked,
    persons,
    pictures,
    postings,
    profiles,
    repeats,
    roster_changes,
    sessions,
    sign_tries,
    tokens,
    wishes,
)

CHUNK = 500
"""Rows in one transaction, so that nobody in conversation waits for long."""
PERSONS = 50
"""Learners in one transaction: each has rows in many tables."""
LOOKED = 20_000
"""Rows that are looked for at a time, on a connection that only reads."""
OVER = ("accepted", "failed", "expired", "cancelled", "uncertain")
"""How rows of the outbox end."""

Keys = Sequence[Any]
End = Callable[[Connection, Keys, datetime], list[str]]


class Step(Struct, frozen=True):
    """Rows of one table that a rule ends: which those are, given the moment before which all is
    over; and what becomes of them: other `values`, an `end` of their own, or they are deleted."""

    name: str
    rule: str
    table: Table
    over: Callable[[datetime], ColumnElement[bool]]
    values: dict[str, Any] | None = None
    end: End | None = None
    chunk: int = CHUNK


def cutoff(rule: Rule, now: datetime) -> datetime:
    """What is older than this is over. Whole fiscal years end at midnight of 1 October."""
    if rule.fiscal is None:
        return now - timedelta(days=rule.days or 0)
    here = local(now)
    today = here.date() - timedelta(days=rule.days or 0)
    first, _ = fiscal_bounds(fiscal_year(today) - rule.fiscal)
    return datetime.combine(first, time(), here.tzinfo).astimezone(UTC)


def due(conn: Connection, step: Step, register: Register, now: datetime) -> int:
    """How many rows are over: the dry run."""
    over = step.over(cutoff(register.rule(step.rule), now))
    found: int = conn.execute(select(func.count()).select_from(step.table).where(over)).scalar_one()
    return found


def look(conn: Connection, step: Step, register: Register, now: datetime) -> list[Any]:
    """The keys of rows that are over, some at a time."""
    keys = list(step.table.primary_key)
    over = step.over(cutoff(register.rule(step.rule), now))
    rows = conn.execute(select(*keys).where(over).order_by(*keys).limit(LOOKED))
    return list(rows.scalars()) if len(keys) == 1 else [tuple(row) for row in rows]


def finish(
    conn: Connection, step: Step, keys: Keys, register: Register, now: datetime
) -> tuple[int, list[str]]:
    """End a chunk of rows, if they still are over; how many, and files that are nobody's now."""
    columns = list(step.table.primary_key)
    those = columns[0].in_(keys) if len(columns) == 1 else tuple_(*columns).in_(keys)
    where = and_(those, step.over(cutoff(register.rule(step.rule), now)))
    if step.end is not None:
        locked = select(columns[0]).where(those).order_by(columns[0]).with_for_update()
        conn.execute(locked).all()  # somebody may just have come back: look again under the lock
        still = list(conn.execute(select(columns[0]).where(where).order_by(columns[0])).scalars())
        return len(still), step.end(conn, still, now)
    if step.values is not None:
        return conn.execute(update(step.table).where(where).values(step.values)).rowcount, []
    return conn.execute(delete(step.table).where(where)).rowcount, []


# --- what is over --------------------------------------------------------------------


def _before(column: Any) -> Callable[[datetime], ColumnElement[bool]]:
    return lambda before: column < before


def _day_before(column: Any) -> Callable[[datetime], ColumnElement[bool]]:
    """A day as an ordinal; 0 and nothing are no day."""
    return lambda before: and_(column > 0, column < _day(before))


def _day(before: datetime) -> int:
    return local(before).toordinal()


def _said(before: datetime) -> ColumnElement[bool]:
    """Rows that were sent long ago and still have their words."""
    words = outbox.c.payload.not_in(("{}", ""))
    return and_(outbox.c.created_at < before, outbox.c.status.in_(OVER), words)


def _sent(before: datetime) -> ColumnElement[bool]:
    return and_(outbox.c.created_at < before, outbox.c.status.in_(OVER))


def _nobodys(before: datetime) -> ColumnElement[bool]:
    """The last word to those who were erased."""
    return and_(outbox.c.learner_id.is_(None), _sent(before))


def _asked(before: datetime) -> ColumnElement[bool]:
    return and_(facts.c.kind == "asked_hr", facts.c.at < before, facts.c.data != "{}")


def _answered(before: datetime) -> ColumnElement[bool]:
    return and_(facts.c.kind == "answered", facts.c.at < before)


def _inactive(before: datetime) -> ColumnElement[bool]:
    """Learners who did nothing since."""
    here = select(profiles.c.learner_id).where(
        profiles.c.learner_id == learners.c.id, profiles.c.active_on >= _day(before)
    )
    return and_(learners.c.created_at < before, ~here.exists())


def _left(before: datetime) -> ColumnElement[bool]:
    """Persons who left long ago, and whose learning is gone as well."""
    learns = select(learners.c.id).where(learners.c.person_id == persons.c.id)
    named = persons.c.hr_id.not_like(privacy.GONE + "%")
    return and_(_day_before(persons.c.left_on)(before), named, ~learns.exists())


def _compared(before: datetime) -> ColumnElement[bool]:
    old = select(occurrences.c.id).where(occurrences.c.created_at < before)
    return holdouts.c.occurrence_id.in_(old)


def _imported(before: datetime) -> ColumnElement[bool]:
    kept = select(roster_changes.c.id).where(roster_changes.c.import_id == imports.c.id)
    return and_(imports.c.at < before, ~kept.exists())


def _no_key(before: datetime) -> ColumnElement[bool]:
    return or_(tokens.c.expires_at < before, tokens.c.revoked_at < before)


def _erase(conn: Connection, keys: Keys, now: datetime) -> list[str]:
    return privacy.erase(conn, keys, told=False)


def _anonymise(conn: Connection, keys: Keys, now: datetime) -> list[str]:
    privacy.anonymise(conn, keys, now)
    return []


def _forget_log(conn: Connection, keys: Keys, now: datetime) -> list[str]:
    if keys:
        audit.forget(conn, keys[-1], now)
    return []


STEPS = (
    Step("downloads", "day", downloads, _before(downloads.c.created_at)),
    Step("repeats", "day", repeats, _before(repeats.c.at)),
    Step("sessions", "day", sessions, _before(sessions.c.seen_at)),
    Step("invites", "day", invites, _before(invites.c.expires_at)),
    Step("sign_tries", "day", sign_tries, _before(sign_tries.c.at)),
    Step("outbox to nobody", "day", outbox, _nobodys),
    Step("outbox: words", "messages", outbox, _said, {"payload": "{}"}),
    Step("pictures", "messages", pictures, _before(pictures.c.created_at)),
    Step("parked", "messages", parked, _before(parked.c.at)),
    Step("facts: questions to HR", "messages", facts, _asked, {"data": "{}"}),
    Step("inbox", "attempts", inbox, _before(inbox.c.at)),
    Step("claim_tries", "attempts", claim_tries, _before(claim_tries.c.at)),
    Step("claim_codes", "attempts", claim_codes, _before(claim_codes.c.expires_at)),
    Step("facts: answers", "answers", facts, _answered),
    Step("learners", "progress", learners, _inactive, end=_erase, chunk=PERSONS),
    Step("outbox", "progress", outbox, _sent),
    Step("holdouts", "progress", holdouts, _compared),
    Step("persons", "roster", persons, _left, end=_anonymise),
    Step("postings", "roster", postings, _day_before(postings.c.until_on)),
    Step("roster_changes", "logs", roster_changes, _before(roster_changes.c.applied_at)),
    Step("imports", "logs", imports, _imported),
    Step("links", "logs", links, _before(links.c.at)),
    Step("grants", "logs", grants, _day_before(grants.c.until_on)),
    Step("tokens", "logs", tokens, _no_key),
    Step("erasures", "logs", erasures, _before(erasures.c.at)),
    Step("wishes", "requests", wishes, _before(wishes.c.ended_at)),
    Step("audit", "logs", audit_table, _before(audit_table.c.at), end=_forget_log, chunk=2000),
)
"""In this order: a row goes before what it refers to."""
