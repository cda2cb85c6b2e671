"""Uses at work that HR chooses for the report, in words that name nobody."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from msgspec.json import decode
from sqlalchemy import ColumnElement, Connection, case, func, literal, or_, select, update

from content.schema import Content
from flows.anonymous import suggest, tells
from flows.programme import Trouble
from storage.audit import note
from storage.campaigns import Refused
from storage.models import evidence, facts, persons, profiles, units
from storage.profiles import countable
from storage.programmes import someone
from storage.scope import Scope

STATUSES = ("new", "chosen", "set_aside")
LONGEST = 1000
"""Letters of a narrative."""
MOST = 200
"""Uses in one list."""


def listing(
    conn: Connection, scope: Scope, status: str, after: int, content: Content
) -> Sequence[dict[str, Any]]:
    """Uses at work in the viewer's units, oldest first, from the one after a number on: with what
    the learner wrote and, for those not yet chosen, a suggestion that names nobody."""
    scope.require("names")
    query = _uses(scope).where(evidence.c.fact_id > after).order_by(evidence.c.fact_id)
    if status:
        query = query.where(evidence.c.status == status)
    return [_shown(conn, row, content) for row in conn.execute(query.limit(MOST)).all()]


def viewed(conn: Connection, scope: Scope, many: int, now: datetime) -> None:
    """Note that somebody has read uses of people whom they see by name."""
    over = list(scope.paths("names"))
    note(conn, scope.viewer, "evidence_viewed", "evidence", now, rows=many, over=over)


def choose(
    conn: Connection,
    id: int,
    narrative: str,
    by: str,
    now: datetime,
    content: Content,
    *,
    sure: bool,
) -> None:
    """Choose a use for the report in words that name nobody. `sure`: a word that is also the name
    of somebody in the unit is not meant as one.

    Raises Refused, with the kind of what is in the way and never a name."""
    scope = someone(conn, by, "names", now)
    row = _find(conn, scope, id)
    if not row.shared:
        raise Refused(Trouble(("evidence",), "not_shared", {"id": id}))
    text = " ".join(narrative.split())
    wrong = _wrong(conn, row, text, content, sure)
    if wrong:
        raise Refused(*wrong)
    decided = {"status": "chosen", "narrative": text, "decided_at": now}
    conn.execute(
        update(evidence)
        .where(evidence.c.fact_id == id)
        .values(decided | {"decided_by": scope.viewer})
    )
    note(conn, scope.viewer, "evidence_chosen", f"evidence:{id}", now, sure=sure)


def set_aside(conn: Connection, id: int, by: str, now: datetime) -> None:
    """Leave a use out of the report; its narrative goes."""
    scope = someone(conn, by, "names", now)
    _find(conn, scope, id)
    decided = {"status": "set_aside", "narrative": "", "decided_at": now}
    conn.execute(
        update(evidence)
        .where(evidence.c.fact_id == id)
        .values(decided | {"decided_by": scope.viewer})
    )
    note(conn, scope.viewer, "evidence_set_aside", f"evidence:{id}", now)


def _wrong(conn: Connection, row: Any, text: str, content: Content, sure: bool) -> list[Trouble]:
    loc = ("narrative",)
    if not text:
        return [Trouble(loc, "narrative_empty")]
    if len(text) > LONGEST:
        return [Trouble(loc, "narrative_long", {"n": len(text), "most": LONGEST})]
    names = [*names_near(conn, row.person_id), *_named_in(conn, text, content)]
    told = tells(text, names, content.layout)
    return [Trouble(loc, "tells_" + kind) for kind in told if not (sure and kind == "perhaps")]


def _uses(scope: Scope) -> Any:
    """Uses of people on the roster who have not had the use of their data restricted."""
    return (
        select(
            evidence,
            facts.c.data,
            persons.c.id.label("person_id"),
            persons.c.hr_id,
            units.c.path,
        )
        .join(facts, facts.c.id == evidence.c.fact_id)
        .join(profiles, profiles.c.learner_id == evidence.c.learner_id)
        .join(persons, persons.c.id == profiles.c.person_id)
        .join(units, units.c.id == persons.c.unit_id)
        .where(scope.covers("names", persons.c.unit_id), countable())
    )


def _find(conn: Connection, scope: Scope, id: int) -> Any:
    """A use that the viewer may see; whatever else there is does not exist for them."""
    row = conn.execute(_uses(scope).where(evidence.c.fact_id == id)).first()
    if row is None:
        raise Refused(Trouble(("evidence",), "no_evidence_id", {"id": id}))
    return row


def _shown(conn: Connection, row: Any, content: Content) -> dict[str, Any]:
    said = {key: value["text"] for key, value in decode(row.data).items() if _is_text(value)}
    parts = {key: said.get(key, "") for key in ("where", "whom", "changed")}
    draft = content.layout.words["narrative_draft"].format_map(parts)
    names = names_near(conn, row.person_id) if row.status == "new" else ()
    return {
        "id": row.fact_id,
        "at": row.at.isoformat(),
        "status": row.status,
        "hr_id": row.hr_id,
        "unit": row.path,
        "confirmed": row.confirmed_at is not None,
        "shared": row.shared,
        "text": parts,
        "narrative": row.narrative or suggest(draft, names, content.layout),
    }


def _is_text(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("text"), str)


def _named_in(conn: Connection, text: str, content: Content) -> Sequence[str]:
    """Names of anybody on the roster that stand in a text whole, whatever title is before them."""
    bare: ColumnElement[str] = persons.c.name
    for title in sorted(content.layout.titles, key=len):
        begins = persons.c.name.startswith(title, autoescape=True)
        bare = case((begins, func.trim(func.substr(persons.c.name, len(title) + 1))), else_=bare)
    said = select(persons.c.name).where(persons.c.name != "", literal(text).contains(bare))
    return conn.execute(said).scalars().all()


def names_near(conn: Connection, person_id: int) -> Sequence[str]:
    """Names of those in somebody's unit and the unit above it, their own first."""
    mine = select(persons.c.unit_id, persons.c.supervisor_id).where(persons.c.id == person_id)
    unit, supervisor = conn.execute(mine).one()
    above = select(units.c.parent_id).where(units.c.id == unit).scalar_subquery()
    near = select(persons.c.name).where(
        or_(
            persons.c.unit_id == unit,
            persons.c.unit_id == above,
            persons.c.id == supervisor,
        )
    )
    return conn.execute(near.order_by(persons.c.id != person_id, persons.c.id)).scalars().all()
