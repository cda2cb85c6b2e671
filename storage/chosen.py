"""Uses at work that HR chooses for the report, in words that name nobody."""

from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any

from msgspec import Struct
from msgspec.json import decode, encode
from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    UnaryExpression,
    and_,
    case,
    func,
    literal,
    or_,
    select,
    true,
    update,
)

from content.schema import Content
from flows.anonymous import Tell, suggest, tells
from flows.calendar import fiscal_year, local
from flows.programme import Trouble
from storage import ocsc
from storage.audit import note
from storage.campaigns import Refused
from storage.models import evidence, facts, persons, profiles, to_micros, units
from storage.profiles import countable
from storage.programmes import someone
from storage.scope import Scope, below

STATUSES = ("new", "chosen", "set_aside")
ORDERS = {"at": evidence.c.at, "unit": units.c.path, "who": persons.c.hr_id}
"""What a page of uses can be sorted by."""
LONGEST = 1000
"""Letters of a narrative."""
MOST = 200
"""Uses in one list."""


class Sought(Struct, frozen=True):
    """Which uses a page shows: of a state, of a unit and those below it, from a moment on and
    before another; sorted by one of ORDERS."""

    status: str = ""
    unit: str = ""
    since: datetime | None = None
    before: datetime | None = None
    order: str = "at"
    down: bool = True
    offset: int = 0
    limit: int = MOST


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


def page(conn: Connection, scope: Scope, sought: Sought) -> list[dict[str, Any]]:
    """Uses that their writers have shared, as a page lists them: what has changed at work, of whom,
    and what was decided."""
    scope.require("names")
    query = _uses(scope).where(evidence.c.shared, _wanted(sought)).order_by(*_in_order(sought))
    rows = conn.execute(query.offset(sought.offset).limit(sought.limit)).all()
    return [
        {
            "id": row.fact_id,
            "at": row.at,
            "status": row.status,
            "hr_id": row.hr_id,
            "unit": row.path,
            "confirmed": row.confirmed_at is not None,
            "changed": _said(row)["changed"],
        }
        for row in rows
    ]


def _wanted(sought: Sought) -> ColumnElement[bool]:
    unit_ids = select(units.c.id).where(below(sought.unit))
    return and_(
        evidence.c.status == sought.status if sought.status else true(),
        persons.c.unit_id.in_(unit_ids) if sought.unit else true(),
        evidence.c.at >= sought.since if sought.since else true(),
        evidence.c.at < sought.before if sought.before else true(),
    )


def _in_order(sought: Sought) -> tuple[UnaryExpression[Any], UnaryExpression[Any]]:
    by, last = ORDERS[sought.order], evidence.c.fact_id
    return (by.desc(), last.desc()) if sought.down else (by.asc(), last.asc())


def one(conn: Connection, scope: Scope, id: int, content: Content) -> dict[str, Any]:
    """A use that its writer has shared: as it was written, with the narrative that was kept or one
    to begin with, what in it gives somebody away, and the mark of its present state."""
    scope.require("names")
    row = _find(conn, scope, id)
    if not row.shared:
        raise Refused(Trouble(("evidence",), "no_evidence_id", {"id": id}))
    shown = _shown(conn, row, content)
    found = _told(conn, row, shown["narrative"], content)
    return shown | {"at": row.at, "mark": _mark(row), "found": found, "frozen": _frozen(conn, row)}


def told(conn: Connection, scope: Scope, id: int, text: str, content: Content) -> list[Tell]:
    """What in a text would give somebody away, if it were the narrative of this use."""
    return _told(conn, _find(conn, scope, id), " ".join(text.split()), content)


def taken(conn: Connection, scope: Scope, year: int, now: datetime) -> int:
    """How many uses of a fiscal year are chosen, in the viewer's units."""
    within = ocsc.span(year, now)
    counted = _uses(scope).where(evidence.c.status == "chosen", within.has(evidence.c.at))
    found = select(func.count()).select_from(
        counted.with_only_columns(evidence.c.fact_id).subquery()
    )
    return int(conn.execute(found).scalar_one())


def viewed(conn: Connection, scope: Scope, many: int, now: datetime) -> None:
    """Note that somebody has read uses of people whom they see by name."""
    over = list(scope.paths("names"))
    note(conn, scope.viewer, "evidence_viewed", "evidence", now, rows=many, over=over)


def opened(conn: Connection, scope: Scope, id: int, now: datetime) -> None:
    """Note that somebody has read one use: its writer can see so."""
    row = _find(conn, scope, id)
    note(conn, scope.viewer, "evidence_viewed", f"person:{row.person_id}", now, use=id)


def choose(
    conn: Connection,
    id: int,
    narrative: str,
    by: str,
    now: datetime,
    content: Content,
    *,
    sure: bool,
    seen: str = "",
) -> None:
    """Choose a use for the report in words that name nobody. `sure`: a word that is also the name
    of somebody in the unit is not meant as one. `seen`: the mark of the state that was read.

    Raises Refused, with the kind of what is in the way and never a name."""
    scope = someone(conn, by, "names", now)
    row = _find(conn, scope, id, lock=True)
    _require_same(row, seen)
    if not row.shared:
        raise Refused(Trouble(("evidence",), "not_shared", {"id": id}))
    text = " ".join(narrative.split())
    wrong = _wrong(conn, row, text, content, sure)
    if wrong:
        raise Refused(*wrong)
    _decide(conn, id, "chosen", text, scope.viewer, now)
    note(conn, scope.viewer, "evidence_chosen", f"evidence:{id}", now, sure=sure)


def set_aside(conn: Connection, id: int, by: str, now: datetime, seen: str = "") -> None:
    """Leave a use out of the report; its narrative goes."""
    scope = someone(conn, by, "names", now)
    _require_same(_find(conn, scope, id, lock=True), seen)
    _decide(conn, id, "set_aside", "", scope.viewer, now)
    note(conn, scope.viewer, "evidence_set_aside", f"evidence:{id}", now)


def undo(conn: Connection, id: int, by: str, now: datetime, seen: str = "") -> None:
    """Put a use back among those that wait, without a narrative. One that was chosen stays so once
    the report of its year is frozen; it can be set aside still, for the next version."""
    scope = someone(conn, by, "names", now)
    row = _find(conn, scope, id, lock=True)
    _require_same(row, seen)
    if row.status == "chosen" and _frozen(conn, row):
        year = fiscal_year(local(row.at).date())
        raise Refused(Trouble(("evidence",), "use_frozen", {"year": year}))
    if row.status != "new":
        _decide(conn, id, "new", "", None, None)
        note(conn, scope.viewer, "evidence_undone", f"evidence:{id}", now, was=row.status)


def _decide(
    conn: Connection, id: int, status: str, narrative: str, by: int | None, at: datetime | None
) -> None:
    decided = {"status": status, "narrative": narrative, "decided_at": at, "decided_by": by}
    conn.execute(update(evidence).where(evidence.c.fact_id == id).values(decided))


def _frozen(conn: Connection, row: Any) -> bool:
    """Whether the report of the year of a use is frozen."""
    return bool(ocsc.versions(conn, fiscal_year(local(row.at).date())))


def _mark(row: Any) -> str:
    """Changes with what was decided, and with what its writer has taken back."""
    decided = to_micros(row.decided_at) if row.decided_at else 0
    state = encode([row.status, row.narrative, decided, row.shared, row.data])
    return sha256(state).hexdigest()[:16]


def _require_same(row: Any, seen: str) -> None:
    if seen and seen != _mark(row):
        raise Refused(Trouble(("version",), "use_changed"))


def _wrong(conn: Connection, row: Any, text: str, content: Content, sure: bool) -> list[Trouble]:
    loc = ("narrative",)
    if not text:
        return [Trouble(loc, "narrative_empty")]
    if len(text) > LONGEST:
        return [Trouble(loc, "narrative_long", {"n": len(text), "most": LONGEST})]
    found = _told(conn, row, text, content)
    return [Trouble(loc, "tells_" + kind) for kind in found if not (sure and kind == "perhaps")]


def _told(conn: Connection, row: Any, text: str, content: Content) -> list[Tell]:
    names = [*names_near(conn, row.person_id), *_named_in(conn, text, content)]
    return tells(text, names, content.layout)


def _uses(scope: Scope) -> Select[Any]:
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


def _find(conn: Connection, scope: Scope, id: int, *, lock: bool = False) -> Any:
    """A use that the viewer may see; whatever else there is does not exist for them."""
    wanted = _uses(scope).where(evidence.c.fact_id == id)
    row = conn.execute(wanted.with_for_update(of=evidence) if lock else wanted).first()
    if row is None:
        raise Refused(Trouble(("evidence",), "no_evidence_id", {"id": id}))
    return row


def _shown(conn: Connection, row: Any, content: Content) -> dict[str, Any]:
    parts = _said(row)
    draft = content.layout.words["narrative_draft"].format_map(parts)
    names = () if row.narrative else names_near(conn, row.person_id)
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


def _said(row: Any) -> dict[str, str]:
    said = {key: value["text"] for key, value in decode(row.data).items() if _is_text(value)}
    return {key: said.get(key, "") for key in ("where", "whom", "changed")}


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
