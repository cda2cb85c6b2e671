"""Segments as questions to the profiles: who fits, how many, and who cannot be sent to."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    case,
    false,
    func,
    literal,
    not_,
    or_,
    select,
    true,
)

from content.lint import FINISHED, PUSHED, UNFINISHED, Problem
from content.schema import Segment
from flows.calendar import local
from storage.models import persons, profiles, units
from storage.scope import OPERATOR, Scope

Condition = ColumnElement[bool]
SHOWN = 5
"""Units that are named as examples."""


def where(segment: Segment, now: datetime) -> Condition:
    """Who fits, as a condition on `profiles`; days are counted on the agency's clock."""
    today = local(now).toordinal()
    is_ = profiles.c
    found: list[Condition] = []
    if segment.groups:
        found.append(is_.personnel_group.in_(segment.groups))
    if segment.steps:
        found.append(or_(*map(_at_step, segment.steps)))
    if segment.bands:
        marks = (f"|{one.area}={one.band}|" for one in segment.bands)
        found.append(or_(*(is_.bands.contains(mark, autoescape=True) for mark in marks)))
    if segment.active_within is not None:
        found.append(is_.active_on >= today - segment.active_within)
    if segment.inactive_for is not None:
        found.append(is_.active_on <= today - segment.inactive_for)
    if segment.units:
        below = or_(*map(_below, segment.units))
        members = select(persons.c.id).join(units, units.c.id == persons.c.unit_id).where(below)
        found.append(is_.person_id.in_(members))
    if segment.channels:
        found.append(is_.channel.in_(segment.channels))
    if segment.languages:
        found.append(is_.lang.in_(segment.languages))
    return and_(true(), *found)


def _at_step(step: str) -> Condition:
    return profiles.c.step != FINISHED if step == UNFINISHED else profiles.c.step == step


def _below(path: str) -> Condition:
    """The unit itself, and all that are below it."""
    inside = units.c.path.startswith(path + " / ", autoescape=True)
    return or_(units.c.path == path, inside)


def reasons(
    due: datetime, slots: tuple[str, ...] = (), *, mandatory: bool = False
) -> dict[str, Condition]:
    """Why somebody who fits is not sent to, the first reason that holds; as the gate would say
    at `due`."""
    resting = false() if mandatory else func.coalesce(profiles.c.rests_until > due, false())
    return {
        "no_channel": profiles.c.channel.not_in(PUSHED),
        "unreachable": not_(profiles.c.reachable),
        "departed": _departed(local(due).toordinal()),
        "stopped": profiles.c.stopped,
        "restricted": profiles.c.restricted,
        "not_welcomed": not_(profiles.c.welcomed),
        "resting": resting,
        "no_value": or_(false(), *map(_lacks, slots)),
    }


def _departed(day: int) -> Condition:
    """By the roster they no longer work here on that day. Guests are on no roster."""
    gone = select(persons.c.id).where(persons.c.left_on > 0, persons.c.left_on <= day)
    return and_(profiles.c.person_id.is_not(None), profiles.c.person_id.in_(gone))


def _lacks(slot: str) -> Condition:
    """There is nothing to fill in for this person."""
    if slot == "step":
        return profiles.c.step.in_(("", FINISHED))
    return profiles.c.person_id.is_(None)


def sendable(
    segment: Segment,
    now: datetime,
    due: datetime,
    slots: tuple[str, ...] = (),
    *,
    mandatory: bool = False,
) -> Condition:
    """Who fits and can be sent to."""
    return and_(where(segment, now), *map(not_, reasons(due, slots, mandatory=mandatory).values()))


def count(conn: Connection, segment: Segment, now: datetime) -> int:
    """How many fit and can be sent to now, whatever is said."""
    return counted(conn, sendable(segment, now, now))


def counted(conn: Connection, condition: Condition) -> int:
    found: int = conn.execute(
        select(func.count()).select_from(profiles).where(condition)
    ).scalar_one()
    return found


def by_channel(conn: Connection, condition: Condition) -> dict[str, int]:
    grouped = select(profiles.c.channel, func.count()).where(condition)
    rows = conn.execute(grouped.group_by(profiles.c.channel).order_by(profiles.c.channel))
    return {channel: many for channel, many in rows}  # noqa: C416 (rows are no pairs to mypy)


def excluded(
    conn: Connection,
    segment: Segment,
    now: datetime,
    due: datetime,
    slots: tuple[str, ...] = (),
    *,
    mandatory: bool = False,
    within: Condition | None = None,
) -> dict[str, int]:
    """How many fit and are not sent to, by the first reason; recipients are left out. `within`
    narrows whom we look at."""
    why = reasons(due, slots, mandatory=mandatory)
    first = case(
        *((condition, literal(name)) for name, condition in why.items()), else_=literal("")
    )
    fits = where(segment, now) if within is None else and_(where(segment, now), within)
    inner = select(first.label("why")).where(fits).subquery()
    rows = conn.execute(select(inner.c.why, func.count()).group_by(inner.c.why))
    found: dict[str, int] = {row[0]: row[1] for row in rows}
    return {name: found[name] for name in why if name in found}


def members(
    conn: Connection, segment: Segment, now: datetime, after: int = 0, limit: int = 100
) -> list[int]:
    """Learners who fit and can be sent to, by their ids, after one of them."""
    rows = select(profiles.c.learner_id).where(
        sendable(segment, now, now), profiles.c.learner_id > after
    )
    return list(conn.execute(rows.order_by(profiles.c.learner_id).limit(limit)).scalars())


def unknown_units(conn: Connection, segment: Segment, scope: Scope = OPERATOR) -> Iterator[Problem]:
    """Units that the roster does not know; those named as examples are the viewer's."""
    if not segment.units:
        return
    known = set(conn.execute(select(units.c.path).where(units.c.path.in_(segment.units))).scalars())
    mine = select(units.c.path).where(scope.covers("send", units.c.id))
    some: Any = conn.execute(mine.order_by(units.c.id).limit(SHOWN)).scalars()
    shown = ", ".join(some)
    for unit in segment.units:
        if unit not in known:
            yield Problem(("segment", "units"), "unit", {"value": unit, "known": shown})
