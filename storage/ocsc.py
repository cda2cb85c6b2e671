"""The annual report to OCSC: counted in one pass over each table, and frozen so that it never
moves again."""

from collections.abc import Iterator
from datetime import datetime, time, timedelta
from hashlib import sha256
from typing import Any

from msgspec import Struct, to_builtins
from msgspec.json import Encoder, decode
from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    Select,
    and_,
    case,
    cast,
    exists,
    func,
    insert,
    not_,
    select,
    text,
)

from content.schema import Content
from flows.ability import STRENGTHEN, STRONG
from flows.calendar import fiscal_bounds, local
from flows.programme import Trouble
from flows.report import Counted, Pairs, Report, Story, make
from storage import programmes
from storage.audit import note
from storage.campaigns import Refused
from storage.models import (
    certificates,
    evidence,
    facts,
    measures,
    milestones,
    parked,
    persons,
    profiles,
    snapshots,
    units,
)
from storage.profiles import countable
from storage.scope import Scope, present

NAME = "ocsc"
encode = Encoder(order="sorted").encode
"""The same report is the same bytes."""


class Span(Struct, frozen=True):
    """A fiscal year: from, up to but without."""

    start: datetime
    end: datetime

    def has(self, column: ColumnElement[datetime]) -> ColumnElement[bool]:
        return and_(column >= self.start, column < self.end)


def span(year: int, now: datetime) -> Span:
    first, last = fiscal_bounds(year)
    zone = local(now).tzinfo
    midnight = time()
    end = datetime.combine(last + timedelta(days=1), midnight, zone)
    return Span(datetime.combine(first, midnight, zone), end)


# --- counting --------------------------------------------------------------------------


def gather(conn: Connection, scope: Scope, year: int, now: datetime, content: Content) -> Counted:
    """Everything for the report of a fiscal year (Buddhist era), of the people on the roster whom
    the viewer may see figures of; nobody who has had the use of their data restricted.

    Each table is read once, set-wise. Raises Denied without the power to see figures."""
    scope.require("figures")
    if conn.dialect.name == "postgresql":
        conn.execute(text("set transaction isolation level repeatable read, read only"))
    within = span(year, now)
    last = min(within.end - timedelta(days=1), now)
    mine = and_(
        profiles.c.person_id.is_not(None),
        countable(),
        scope.covers("figures", profiles.c.unit_id),
    )
    programme = programmes.current(conn, year)
    return Counted(
        year=year,
        agency=_agency(conn, content),
        first=local(within.start).date().isoformat(),
        last=local(last).date().isoformat(),
        made_at=now.isoformat(),
        roster=_roster(conn, scope, now),
        groups=_groups(conn, mine, within, content),
        pairs=_pairs(conn, mine, within),
        methods=_methods(conn, mine, scope, within, content),
        stories=_stories(conn, mine, within, content),
        programme=programme.model_dump(mode="json", by_alias=True) if programme else None,
        previous=_previous(conn, year - 1),
        quality=_quality(conn, scope, mine, within),
    )


def _agency(conn: Connection, content: Content) -> str:
    """The name of the one unit that has none above it."""
    tops = conn.execute(select(units.c.name).where(units.c.parent_id.is_(None)).limit(2))
    names = tops.scalars().all()
    return names[0] if len(names) == 1 else content.layout.words["agency_unnamed"]


def _roster(conn: Connection, scope: Scope, now: datetime) -> int:
    here = scope.covers("figures", persons.c.unit_id)
    counted = select(func.count()).select_from(persons)
    found: int = conn.execute(counted.where(present(local(now).toordinal()), here)).scalar_one()
    return found


def _groups(
    conn: Connection, mine: ColumnElement[bool], within: Span, content: Content
) -> dict[str, dict[str, int]]:
    """People by personnel group: each counts once, however often they did something."""
    walked = select(
        milestones.c.learner_id,
        *(
            func.max(case((milestones.c.step == step.id, 1), else_=0)).label(step.id)
            for step in content.method.steps
        ),
    ).where(within.has(milestones.c.at))
    felt = select(facts.c.learner_id).where(facts.c.kind == "acknowledged", within.has(facts.c.at))
    given = select(certificates.c.learner_id).where(within.has(certificates.c.issued_at))
    used = select(
        evidence.c.learner_id,
        func.max(case((evidence.c.confirmed_at.is_not(None), 1), else_=0)).label("confirmed"),
        func.max(case((evidence.c.shared, 1), else_=0)).label("shared"),
    ).where(within.has(evidence.c.at))
    found: dict[str, dict[str, int]] = {}
    for name, query in (
        ("people", walked), ("feedback", felt), ("certified", given), ("used", used),
    ):  # fmt: skip
        for row in conn.execute(_by_group(name, query, mine)).mappings():
            counts = {key: int(many) for key, many in row.items() if key != "personnel_group"}
            found.setdefault(row["personnel_group"], {}).update(counts)
    return found


def _by_group(name: str, query: Select[Any], mine: ColumnElement[bool]) -> Select[Any]:
    """How many people of each group a query finds, and the sums of its other columns."""
    each = query.group_by(query.selected_columns[0]).subquery()
    others = [column for column in each.c if column.name != "learner_id"]
    return (
        select(
            profiles.c.personnel_group,
            func.count().label(name),
            *(func.sum(column).label(column.name) for column in others),
        )
        .select_from(each)
        .join(profiles, profiles.c.learner_id == each.c.learner_id)
        .where(mine)
        .group_by(profiles.c.personnel_group)
    )


def _pairs(
    conn: Connection, mine: ColumnElement[bool], within: Span
) -> dict[str, dict[str, Pairs]]:
    """Who was measured before and after: of several rounds in the year the last, so that each
    person counts once in an area."""
    m, later = measures.c, measures.alias("later")
    again = exists().where(
        later.c.learner_id == m.learner_id,
        later.c.area == m.area,
        later.c.round > m.round,
        within.has(later.c.after_at),
    )
    moved = m.after - m.before
    query = (
        select(
            profiles.c.personnel_group,
            m.area,
            func.count(),
            func.sum(m.before),
            func.sum(m.after),
            func.sum(moved),
            func.sum(moved * moved),
            *_banded(m.before),
            *_banded(m.after),
        )
        .select_from(measures)
        .join(profiles, profiles.c.learner_id == m.learner_id)
        .where(mine, within.has(m.after_at), m.before.is_not(None))
        # looked up only for those who have begun another round
        .where(not_(and_(profiles.c.round > m.round, again)))
        .group_by(profiles.c.personnel_group, m.area)
    )
    found: dict[str, dict[str, Pairs]] = {}
    for group, area, n, before, after, change, squares, *bands in conn.execute(query):
        sums = {"before": before, "after": after, "change": change, "squares": squares}
        bands = [int(many) for many in bands]
        found.setdefault(group, {})[area] = Pairs(
            n, **sums, bands_before=bands[:3], bands_after=bands[3:]
        )
    return found


def _banded(ability: ColumnElement[float]) -> Iterator[ColumnElement[int]]:
    """How many are in each band (flows.ability.band)."""
    weak, good = ability < STRENGTHEN, ability > STRONG
    for band in (weak, and_(not_(weak), not_(good)), good):
        yield func.sum(cast(case((band, 1), else_=0), Integer))


def _methods(
    conn: Connection, mine: ColumnElement[bool], scope: Scope, within: Span, content: Content
) -> dict[str, tuple[int, int]]:
    """How often each thing was done. Of how many did it, no more is told than whether they are
    enough to be shown: counting them would take a look at every fact."""
    kinds = [way.fact for way in content.layout.methods if way.fact]
    done = and_(facts.c.kind.in_(kinds), within.has(facts.c.at))
    counted = select(facts.c.kind, func.count()).where(done).group_by(facts.c.kind)
    whose = profiles.c.learner_id == facts.c.learner_id
    if not scope.whole("figures"):
        counted = counted.join(profiles, whose).where(mine)
    found = {}
    for kind, times in conn.execute(counted).all():
        some = (
            select(facts.c.learner_id)
            .join(profiles, whose)
            .where(mine, facts.c.kind == kind, within.has(facts.c.at))
            .limit(100 * content.layout.least)
        ).subquery()
        people = select(func.count(some.c.learner_id.distinct()))
        found[kind] = (times, conn.execute(people).scalar_one())
    return found


def _stories(
    conn: Connection, mine: ColumnElement[bool], within: Span, content: Content
) -> list[Story]:
    chosen = (
        select(evidence.c.narrative, evidence.c.confirmed_at)
        .join(profiles, profiles.c.learner_id == evidence.c.learner_id)
        .where(mine, within.has(evidence.c.at), evidence.c.status == "chosen")
        .order_by(evidence.c.decided_at, evidence.c.fact_id)
        .limit(content.layout.narratives)
    )
    return [Story(row.narrative, row.confirmed_at is not None) for row in conn.execute(chosen)]


def _quality(
    conn: Connection, scope: Scope, mine: ColumnElement[bool], within: Span
) -> dict[str, int]:
    def count(query: Select[Any]) -> int:
        return int(conn.execute(query).scalar() or 0)

    mine_too = scope.covers("figures", profiles.c.unit_id)
    linked = profiles.c.person_id.is_not(None)
    people = select(func.count()).select_from(profiles)
    waiting = (
        select(func.count())
        .select_from(evidence)
        .join(profiles, profiles.c.learner_id == evidence.c.learner_id)
        .where(mine, within.has(evidence.c.at), evidence.c.status == "new")
    )
    orphans = select(func.count()).where(
        within.has(measures.c.after_at), measures.c.before.is_(None)
    )
    broken = select(func.count()).where(within.has(parked.c.at), parked.c.ended_at.is_(None))
    whole = scope.whole("figures")
    return {
        "linked": count(people.where(linked, mine_too)),
        "unplaced": count(people.where(mine, profiles.c.personnel_group == "")),
        "guests": count(people.where(not_(linked))) if whole else 0,
        "restricted": count(people.where(linked, mine_too, profiles.c.restricted)),
        "only_after": count(orphans) if whole else 0,
        "waiting": count(waiting),
        "parked": count(broken) if whole else 0,
    }


# --- freezing --------------------------------------------------------------------------


class Frozen(Struct, frozen=True):
    """A report as it was frozen, in both versions; `hash` is of all of it."""

    version: int
    hash: str
    reports: dict[str, dict[str, Any]]
    """By audience: what is rendered, already composed."""


def versions(conn: Connection, year: int) -> list[Any]:
    """When the reports of a year were frozen, and their hashes, in order."""
    kept = select(snapshots.c.at, snapshots.c.hash).order_by(snapshots.c.id)
    return list(conn.execute(kept.where(snapshots.c.report == NAME, snapshots.c.year == year)))


def latest(conn: Connection, year: int) -> Frozen | None:
    """The report that was frozen last for a year. Raises ValueError if it was tampered with."""
    rows = conn.execute(
        select(snapshots.c.hash, snapshots.c.data)
        .where(snapshots.c.report == NAME, snapshots.c.year == year)
        .order_by(snapshots.c.id)
    ).all()
    if not rows:
        return None
    row = rows[-1]
    if sha256(row.data.encode()).hexdigest() != row.hash:
        raise ValueError(f"the frozen report of {year} does not match its hash")
    return Frozen(len(rows), row.hash, decode(row.data))


def _previous(conn: Connection, year: int) -> dict[str, Any] | None:
    """The key figures of a frozen report, as OCSC was shown them."""
    frozen = latest(conn, year)
    if frozen is None:
        return None
    key: dict[str, Any] = frozen.reports["ocsc"]["report"]["key"]
    return key


def freeze(
    conn: Connection,
    year: int,
    reports: dict[str, dict[str, Any]],
    version: int,
    by: str,
    now: datetime,
) -> str:
    """Keep a composed report for good; its hash. `version` is the number that it carries: if
    somebody has frozen one meanwhile, this one is refused."""
    scope = programmes.officer(conn, by, "roster", now)
    if conn.dialect.name == "postgresql":  # one at a time: whoever waits finds the other's
        conn.execute(text("lock table snapshots in share row exclusive mode"))
    there = latest(conn, year)
    if version != (there.version if there else 0) + 1:
        raise Refused(Trouble(("freeze",), "frozen_meanwhile", {"year": year}))
    data = encode(reports).decode()
    hash = sha256(data.encode()).hexdigest()
    row = {"report": NAME, "year": year, "at": now, "by_id": scope.viewer}
    conn.execute(insert(snapshots).values(**row, hash=hash, data=data))
    note(
        conn, scope.viewer, "report_frozen", f"report:{NAME}:{year}", now,
        version=version, replaces=version - 1, hash=hash,
    )  # fmt: skip
    return hash


def next_version(conn: Connection, year: int, *, again: bool) -> int:
    """The number of the next frozen report. One that is there is only replaced on purpose."""
    there = latest(conn, year)
    if there is not None and not again:
        raise Refused(Trouble(("freeze",), "frozen", {"year": year, "version": there.version}))
    return (there.version if there else 0) + 1


def plain(report: Report) -> dict[str, Any]:
    """The report as the JSON file has it."""
    made: dict[str, Any] = to_builtins(report)
    return made


def figures_hash(report: dict[str, Any]) -> str:
    """What is printed on every document: the SHA-256 of the JSON file."""
    return sha256(encode(report)).hexdigest()


__all__ = ["Frozen", "freeze", "gather", "latest", "make", "next_version", "plain"]
