"""People, units and evidence as the API lists them: by page, and only what the scope covers."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select, true

from flows.calendar import local
from storage.models import (
    certificates,
    evidence,
    learners,
    milestones,
    persons,
    profiles,
    units,
)
from storage.profiles import withheld
from storage.scope import Scope, below, present

Rows = Sequence[Any]


def list_units(conn: Connection, scope: Scope, after: int, limit: int) -> Rows:
    """Units of which the viewer may know anything: id, name, path."""
    mine = or_(*(scope.covers(power, units.c.id) for power in ("names", "figures", "team")))
    found = select(units.c.id, units.c.name, units.c.path).where(mine, units.c.id > after)
    return conn.execute(found.order_by(units.c.id).limit(limit)).all()


_PERSON = (
    persons.c.id,
    persons.c.hr_id,
    persons.c.name,
    units.c.path.label("unit"),
    func.coalesce(profiles.c.personnel_group, "").label("group"),
    func.coalesce(profiles.c.step, "").label("step"),
    profiles.c.round,
    learners.c.id.is_not(None).label("claimed"),
    profiles.c.active_on,
    learners.c.id.label("learner_id"),
)


def _people(scope: Scope, now: datetime) -> Any:
    return (
        select(*_PERSON)
        .join(units, units.c.id == persons.c.unit_id)
        .join(learners, learners.c.person_id == persons.c.id, isouter=True)
        .join(profiles, profiles.c.learner_id == learners.c.id, isouter=True)
        .where(scope.covers("names", persons.c.unit_id), present(local(now).toordinal()))
        .where(persons.c.id.not_in(withheld(profiles.c.person_id)))
    )


def list_people(
    conn: Connection,
    scope: Scope,
    now: datetime,
    after: int,
    limit: int,
    unit: str = "",
    group: str = "",
    step: str = "",
) -> Rows:
    """Whoever is on the roster and here, may be counted, and whom the viewer may see by name."""
    wanted: list[ColumnElement[bool]] = [below(unit)] if unit else []
    wanted += [profiles.c.personnel_group == group] if group else []
    wanted += [profiles.c.step == step] if step else []
    found = _people(scope, now).where(persons.c.id > after, *wanted)
    rows: Rows = conn.execute(found.order_by(persons.c.id).limit(limit)).all()
    return rows


def find_person(conn: Connection, scope: Scope, now: datetime, hr_id: str) -> Any:
    """Somebody by HR's id; None too if the viewer may not see them."""
    return conn.execute(_people(scope, now).where(persons.c.hr_id == hr_id)).first()


def to_invite(conn: Connection, scope: Scope, now: datetime, hr_id: str) -> int | None:
    """The person for whom the viewer may issue a code."""
    here = present(local(now).toordinal())
    mine = scope.covers("roster", persons.c.unit_id)
    found = select(persons.c.id).where(persons.c.hr_id == hr_id, here, mine)
    return conn.execute(found).scalar()


def progress(conn: Connection, learner_id: int) -> tuple[Rows, Rows, Rows]:
    """Steps, certificates, and uses at work by round, of somebody who was found before."""
    steps = select(milestones).where(milestones.c.learner_id == learner_id)
    given = select(certificates).where(certificates.c.learner_id == learner_id)
    uses = (
        select(
            evidence.c.round,
            func.count().label("uses"),
            func.count(evidence.c.confirmed_at).label("confirmed"),
        )
        .where(evidence.c.learner_id == learner_id)
        .group_by(evidence.c.round)
    )
    return (
        conn.execute(steps.order_by(milestones.c.at, milestones.c.step)).all(),
        conn.execute(given.order_by(certificates.c.round)).all(),
        conn.execute(uses.order_by(evidence.c.round)).all(),
    )


def list_evidence(conn: Connection, scope: Scope, after: int, limit: int, status: str = "") -> Rows:
    """Uses at work, without what was written of them: of whom, when, and what became of them."""
    wanted = evidence.c.status == status if status else true()
    return conn.execute(
        select(evidence, persons.c.hr_id, units.c.path.label("unit"))
        .join(learners, learners.c.id == evidence.c.learner_id)
        .join(persons, persons.c.id == learners.c.person_id)
        .join(units, units.c.id == persons.c.unit_id)
        .where(and_(scope.covers("names", persons.c.unit_id), evidence.c.fact_id > after), wanted)
        .where(evidence.c.learner_id.not_in(withheld()))
        .order_by(evidence.c.fact_id)
        .limit(limit)
    ).all()
