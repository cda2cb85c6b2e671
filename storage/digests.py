"""What managers read of their teams: published figures, never live rows, through their scope."""

from datetime import datetime
from typing import Any

from msgspec.json import decode
from sqlalchemy import Connection, func, select

from content.schema import Content
from flows.calendar import local
from storage.models import (
    evidence,
    facts,
    figures,
    learners,
    milestones,
    persons,
    publications,
    units,
)
from storage.publications import Figures
from storage.scope import Scope, below, present, scoped_read

SHOWN = 7
"""Units below that are offered at a time: as many buttons as fit beside the others."""
NAMED = 50
"""Names in one message."""


def tops(conn: Connection, scope: Scope) -> list[Any]:
    """The units at the top of what the viewer may see, by id; for the whole agency its roots."""
    paths = scope.paths("team")
    if not paths:
        return []
    here = units.c.parent_id.is_(None) if scope.whole("team") else units.c.path.in_(paths)
    found = conn.execute(select(units).where(here).order_by(units.c.id)).all()
    inner = {row.path for row in found for other in found if _above(other.path, row.path)}
    return [row for row in found if row.path not in inner]


def _above(path: str, other: str) -> bool:
    return other.startswith(path + " / ")


def unit(conn: Connection, scope: Scope, unit_id: int) -> Any:
    """A unit, if the viewer may see its figures; else None."""
    found = conn.execute(
        select(units).where(units.c.id == unit_id, scope.covers("team", units.c.id))
    )
    return found.first()


def below_it(conn: Connection, scope: Scope, unit_id: int, after: int) -> list[Any]:
    """Units right below this one that have figures in the newest publication, from one on."""
    newest = select(func.max(publications.c.number)).scalar_subquery()
    offered = (
        select(units.c.id, units.c.name)
        .join(figures, figures.c.unit_id == units.c.id)
        .where(
            figures.c.number == newest,
            units.c.parent_id == unit_id,
            units.c.id > after,
            scope.covers("team", units.c.id),
        )
    )
    return list(conn.execute(offered.order_by(units.c.id).limit(SHOWN + 1)).all())


def newest(conn: Connection, scope: Scope, unit_id: int) -> list[tuple[int, Figures]]:
    """The figures of a unit in the two newest publications, each with its day (an ordinal), the
    newest first. Empty where the newest says nothing of it."""
    last = select(publications.c.number, publications.c.day)
    with scoped_read(conn, scope, "team"):
        both = conn.execute(last.order_by(publications.c.number.desc()).limit(2)).all()
        said = select(figures.c.number, figures.c.data).where(
            figures.c.unit_id == unit_id,
            figures.c.number.in_([row.number for row in both]),
            scope.covers("team", figures.c.unit_id),
        )
        found = {number: data for number, data in conn.execute(said)}  # noqa: C416
    if not both or both[0].number not in found:
        return []
    return [
        (row.day, decode(found[row.number], type=Figures)) for row in both if row.number in found
    ]


def completed(
    conn: Connection, scope: Scope, path: str, now: datetime, content: Content
) -> list[str]:
    """By name, who has finished all that is mandatory since learners are told that it is seen."""
    rules = content.digest
    if not rules.names or rules.since is None or not rules.mandatory:
        return []
    from_on = datetime.combine(rules.since, datetime.min.time(), local(now).tzinfo)
    with scoped_read(conn, scope, "lead"):
        found = (
            select(persons.c.name)
            .join_from(persons, units, units.c.id == persons.c.unit_id)
            .join(learners, learners.c.person_id == persons.c.id)
            .join(milestones, milestones.c.learner_id == learners.c.id)
            .where(
                below(path),
                scope.covers("lead", persons.c.unit_id),
                present(local(now).toordinal()),
                milestones.c.step.in_(rules.mandatory),
                milestones.c.at >= from_on,
            )
            .group_by(persons.c.id, persons.c.name)
            .having(func.count(milestones.c.step.distinct()) == len(set(rules.mandatory)))
            .order_by(persons.c.name)
            .limit(NAMED)
        )
        return list(conn.execute(found).scalars())


def waiting(conn: Connection, scope: Scope, learner_id: int) -> list[dict[str, Any]]:
    """Uses at work that learners sent to this supervisor (the viewer, who is this learner) and that
    wait for an answer, the oldest first."""
    said = select(facts.c.data).where(
        facts.c.learner_id == learner_id, facts.c.kind.in_(("use_confirmed", "use_declined"))
    )
    answered = {decode(data)["use"] for data in conn.execute(said).scalars()}
    names = _reports(conn, scope)
    sent = (
        select(evidence.c.fact_id, evidence.c.learner_id, facts.c.data)
        .join(facts, facts.c.id == evidence.c.fact_id)
        .where(evidence.c.learner_id.in_(list(names)), evidence.c.confirmed_at.is_(None))
    )
    return [
        {"use": row.fact_id, "who": names[row.learner_id], **_texts(decode(row.data))}
        for row in sorted(conn.execute(sent), key=lambda row: int(row.fact_id))
        if row.fact_id not in answered and decode(row.data).get("ask_manager")
    ]


def _reports(conn: Connection, scope: Scope) -> dict[int, str]:
    """Names, by learner, of those whom the viewer supervises. In two steps by their keys: in one,
    an engine that thinks few learners are linked reads through all of them."""
    if scope.viewer is None:
        return {}
    mine = select(persons.c.id, persons.c.name).where(persons.c.supervisor_id == scope.viewer)
    names = {row.id: row.name for row in conn.execute(mine)}
    chat = select(learners.c.id, learners.c.person_id).where(learners.c.person_id.in_(list(names)))
    return {row.id: names[row.person_id] for row in conn.execute(chat)}


def _texts(data: dict[str, Any]) -> dict[str, str]:
    return {key: data[key]["text"] for key in ("where", "whom", "changed")}


def subtree(conn: Connection, scope: Scope, path: str) -> list[int]:
    """The ids of a unit that the viewer leads and of all below it."""
    inside = select(units.c.id).where(below(path), scope.covers("lead", units.c.id))
    return list(conn.execute(inside).scalars())
