"""Figures for managers, made at most once a day: no digest ever counts live rows.

`prepare` reads everybody once, in chunks, and decides by `flows/disclosure.py` who moves; `rows`
are written in chunks; `announce` makes the publication visible in one step. What a crash leaves
half written has a number that was never announced, and `tidy` takes it away.
"""

import secrets
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from msgspec import Struct, field
from msgspec.json import decode, encode
from sqlalchemy import (
    Connection,
    Integer,
    and_,
    cast,
    delete,
    func,
    insert,
    or_,
    select,
    tuple_,
    update,
)

from content.schema import Content
from flows.calendar import is_working, local
from flows.disclosure import (
    LEAST,
    Census,
    Mover,
    Part,
    Place,
    Standing,
    cells,
    totals,
    upwards,
    weak,
    whole,
)
from flows.profile import FINISHED
from storage.many import insert_many
from storage.models import (
    facts,
    figures,
    learners,
    persons,
    profiles,
    publications,
    published,
    units,
)
from storage.profiles import countable
from storage.scope import present

KEPT = 366
"""Days over which figures must not betray anybody by being compared."""
OPENS = 6
"""The hour from which a publication may be made."""
CHUNK = 20_000
"""People read in one statement."""
PAGE = 5_000
"""Rows written, or persons tidied, in one transaction."""


class Figures(Struct, omit_defaults=True):
    """What a publication says of a unit and all below it: people by level (see
    `flows.disclosure.Place`), areas to strengthen, and since which publication those are named."""

    levels: list[int]
    areas: list[str] = []
    areas_of: int = 0


class Draft(Struct):
    """A publication before it is announced."""

    number: int
    day: int
    parents: dict[int, int | None]
    shown: set[int]
    places: Counter[Place]
    parts: list[Part]
    """Who moves; each part is a company from now on."""
    figures: dict[int, Figures] = field(default_factory=dict)


# --- when ------------------------------------------------------------------------------


def latest(conn: Connection) -> Any:
    """The newest publication: number, day (an ordinal), at; None before the first."""
    return conn.execute(
        select(publications).order_by(publications.c.number.desc()).limit(1)
    ).first()


def is_due(conn: Connection, now: datetime, content: Content) -> bool:
    """The first one at once; then on the first working day of a week, or on every one."""
    last = latest(conn)
    if last is None:
        return conn.execute(select(persons.c.id).limit(1)).first() is not None
    here = local(now)
    if here.hour < OPENS or not is_working(here.date(), content):
        return False
    daily = content.digest.every == "day"
    again = date.fromordinal(last.day) + timedelta(days=1)
    return here.date() >= (again if daily else _next_week(date.fromordinal(last.day)))


def _next_week(day: date) -> date:
    return day + timedelta(days=7 - day.weekday())


# --- reading and deciding ---------------------------------------------------------------


def prepare(conn: Connection, now: datetime, content: Content) -> Draft:
    """Who moves in the next publication. Reads only; memory for those who move."""
    today, last = local(now).toordinal(), latest(conn)
    tree: dict[int, int | None] = {
        row.id: row.parent_id for row in conn.execute(select(units.c.id, units.c.parent_id))
    }
    here = select(persons.c.unit_id, func.count()).where(present(today)).group_by(persons.c.unit_id)
    counts: dict[int, int] = {unit: many for unit, many in conn.execute(here)}  # noqa: C416
    where = cells(tree, counts)
    parts, places = _census(conn, _Levels(content), where, today).decide()
    number = last.number + 1 if last else 1
    return Draft(number, today, tree, _big(tree, counts, where), places, parts)


class _Levels:
    """How far along somebody is, from their profile."""

    def __init__(self, content: Content) -> None:
        self._number = {step.id: n for n, step in enumerate(content.method.steps, 1)}
        self.finished = len(content.method.steps) + 1
        self._number[FINISHED] = self.finished

    def of(self, row: Any) -> int:
        return self._number.get(row.step, 1) if row.welcomed else 0


def _big(
    tree: Mapping[int, int | None], counts: Mapping[int, int], where: Mapping[int, int | None]
) -> set[int]:
    """Units that have five people today, and are not counted in part elsewhere."""
    many = totals(tree, {(unit, 0): n for unit, n in counts.items()}, 1)
    return {unit for unit in whole(tree, where) if many[unit][0] >= LEAST}


def floor_of(conn: Connection, today: int) -> int:
    """The newest publication that is too old to be compared with any more; 0 if none is."""
    old = select(func.max(publications.c.number)).where(publications.c.day <= today - KEPT)
    return conn.execute(old).scalar() or 0


_COLUMNS = (
    published.c.since,
    published.c.company,
    published.c.unit_id.label("counted"),
    published.c.level,
    profiles.c.welcomed,
    profiles.c.step,
    profiles.c.restricted,
)


def _census(
    conn: Connection, levels: _Levels, where: Mapping[int, int | None], today: int
) -> Census:
    census, floor = Census(), floor_of(conn, today)
    gone = and_(persons.c.left_on != 0, persons.c.left_on <= today)
    everybody = (
        select(persons.c.id, persons.c.unit_id, gone.label("gone"), *_COLUMNS)
        .join(profiles, profiles.c.person_id == persons.c.id, isouter=True)
        .join(published, published.c.person_id == persons.c.id, isouter=True)
        .order_by(persons.c.id)
        .limit(CHUNK)
    )
    after = 0
    while rows := conn.execute(everybody.where(persons.c.id > after)).all():
        for row in rows:
            unit = None if row.gone or row.restricted else where[row.unit_id]
            census.enter(Mover(row.id, unit, levels.of(row)), _standing(row), floor)
        after = rows[-1].id
    nameless = select(published, published.c.unit_id.label("counted"))
    for row in conn.execute(nameless.where(published.c.person_id < 0)):
        census.enter(Mover(row.person_id, None, levels.finished), _standing(row), floor)
    return census


def _standing(row: Any) -> Standing | None:
    return None if row.since is None else Standing(row.since, row.company, row.counted, row.level)


# --- writing ---------------------------------------------------------------------------


def pages(draft: Draft) -> Iterator[list[dict[str, Any]]]:
    """The changes as rows, some at a time."""
    page: list[dict[str, Any]] = []
    for number, part in enumerate(draft.parts, 1):
        unit, level = part.to or (None, 0)
        for mover in part.people:
            row = {"person_id": mover.person, "since": draft.number, "unit_id": unit}
            page.append(row | {"level": level, "company": number})
            if len(page) == PAGE:
                yield page
                page = []
    if page:
        yield page


def write(conn: Connection, now: datetime, page: Sequence[dict[str, Any]]) -> None:
    """Some of the changes; nobody reads them before the publication is announced."""
    insert_many(conn, published, page)


def tidy(conn: Connection, now: datetime, after: int | None, today: int) -> int | None:
    """Of the next persons: drop changes that were never announced, all but the newest, and those
    out of all figures that nobody compares any more. Up to which person; None at the end."""
    start = published.c.person_id > after if after is not None else published.c.person_id != 0
    ids = select(published.c.person_id).where(start).order_by(published.c.person_id).limit(PAGE)
    last = conn.execute(select(func.max(ids.subquery().c.person_id))).scalar()
    if last is None:
        return None
    newest = latest(conn)
    number = newest.number if newest else 0
    these = (start, published.c.person_id <= last)
    conn.execute(delete(published).where(*these, published.c.since > number))
    kept = select(published.c.person_id, func.max(published.c.since)).where(*these)
    pair = tuple_(published.c.person_id, published.c.since)
    old = pair.not_in(kept.group_by(published.c.person_id))
    over = and_(published.c.unit_id.is_(None), published.c.since <= floor_of(conn, today))
    conn.execute(delete(published).where(*these, or_(old, over)))
    return int(last)


def complete(conn: Connection, draft: Draft, content: Content) -> None:
    """The figures of each unit, once all changes are written. Reads only."""
    before = {
        row.unit_id: decode(row.data, type=Figures)
        for row in conn.execute(select(figures).where(figures.c.number == draft.number - 1))
    }
    counted = totals(draft.parents, draft.places, len(content.method.steps) + 2)
    draft.figures = {
        unit: Figures(levels)
        for unit, levels in counted.items()
        if sum(levels) and unit in draft.shown
    }
    asked = {unit for unit in draft.figures if unit not in before}
    asked |= _measured_anew(conn, draft, before)
    bands = _bands(conn, draft, content) if asked else {}
    for unit, found in draft.figures.items():
        if unit in asked:
            found.areas, found.areas_of = list(weak(bands.get(unit, {}))), draft.number
        else:
            found.areas, found.areas_of = before[unit].areas, before[unit].areas_of


def _current(draft: Draft) -> Any:
    """A condition: the row that counts from the draft on."""
    newer = published.alias("newer")
    moved = select(newer.c.person_id).where(
        newer.c.person_id == published.c.person_id, newer.c.since == draft.number
    )
    return or_(published.c.since == draft.number, ~moved.exists())


def _measured_anew(conn: Connection, draft: Draft, before: Mapping[int, Figures]) -> set[int]:
    """Units in which five people at least were measured since their areas were named."""
    moments = dict(conn.execute(select(publications.c.number, publications.c.at)).all())
    named = {unit: moments[found.areas_of] for unit, found in before.items()}
    if not named:
        return set()
    lately = (
        select(published.c.unit_id, func.max(facts.c.at).label("at"))
        .join_from(facts, learners, learners.c.id == facts.c.learner_id)
        .join(published, published.c.person_id == learners.c.person_id)
        .where(facts.c.kind == "measured", facts.c.at > min(named.values()), _current(draft))
        .group_by(facts.c.learner_id, published.c.unit_id)
    )
    anew: Counter[int] = Counter()
    for row in conn.execute(lately):
        unit = row.unit_id
        while unit is not None:
            anew[unit] += unit in named and row.at > named[unit]
            unit = draft.parents.get(unit)
    return {unit for unit, many in anew.items() if many >= LEAST}


def _bands(
    conn: Connection, draft: Draft, content: Content
) -> dict[int, dict[str, tuple[int, int]]]:
    """By unit with all below it and by area: how many had the lowest result, of how many."""
    areas = [area.id for area in content.framework.areas]
    marks = [f"|{area}=strengthen|" for area in areas] + [f"|{area}=" for area in areas]
    sums = [func.sum(cast(profiles.c.bands.contains(mark), Integer)) for mark in marks]
    found = conn.execute(
        select(published.c.unit_id, *sums)
        .join(profiles, profiles.c.person_id == published.c.person_id)
        .where(published.c.unit_id.is_not(None), countable(), _current(draft))
        .group_by(published.c.unit_id)
    )
    added = {unit: [0] * len(marks) for unit in draft.parents}
    for unit, *numbers in found:
        added[unit] = [int(number or 0) for number in numbers]
    for unit in upwards(draft.parents):
        parent = draft.parents[unit]
        if parent is not None:
            added[parent] = [a + b for a, b in zip(added[parent], added[unit], strict=True)]
    n = len(areas)
    return {
        unit: {area: (numbers[i], numbers[n + i]) for i, area in enumerate(areas)}
        for unit, numbers in added.items()
    }


def announce(conn: Connection, draft: Draft, now: datetime) -> None:
    """From here on it is the newest publication."""
    row = {"number": draft.number, "day": draft.day, "at": now}
    conn.execute(insert(publications).values(row))
    said = [
        {"number": draft.number, "unit_id": unit, "data": encode(found).decode()}
        for unit, found in draft.figures.items()
    ]
    insert_many(conn, figures, said)


def publish(conn: Connection, now: datetime, content: Content) -> Draft:
    """All of it in one transaction: for tests, the demo and small agencies' commands."""
    at: int | None = None
    while (at := tidy(conn, now, at, local(now).toordinal())) is not None:
        pass
    draft = prepare(conn, now, content)
    for page in pages(draft):
        write(conn, now, page)
    complete(conn, draft, content)
    announce(conn, draft, now)
    return draft


def unname(conn: Connection, person_ids: Iterable[int]) -> None:
    """Whoever is erased is counted on as nobody in particular, until their company moves on."""
    for person_id in person_ids:
        theirs = update(published).where(published.c.person_id == person_id)
        conn.execute(theirs.values(person_id=-secrets.randbits(62) - 1))
