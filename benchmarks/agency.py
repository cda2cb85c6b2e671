"""A whole agency, made inside the database: units, persons, learners, and what they did."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import Connection, text

from benchmarks import ocsc
from benchmarks.audience import PLACES, memory
from benchmarks.fill import HEX, NUMBERS
from benchmarks.measures import Row
from bot.exports import Mark, csv
from content.load import load
from content.schema import Content
from flows.calendar import local
from storage import weeks
from storage.database import Database
from storage.migrate import migrate
from storage.models import facts, measures, to_micros
from storage.reports import Ask, report
from storage.scope import OPERATOR

NOW = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)
"""When it is, for whoever measures: a Friday morning in Bangkok."""
YEAR = timedelta(weeks=52)
"""Facts are spread evenly over so long before `NOW`."""
CHUNK = 500_000
OFFICES, EACH = 20, 100
"""Units: one top, `OFFICES` below it, and `EACH` below every one of those."""
UNITS = 1 + OFFICES + OFFICES * EACH
LEAVES = OFFICES * EACH
GUESTS = 50
"""Every so manieth learner is a guest, of no person."""
STEPS = ("know", "plan", "learn", "practise", "apply", "review", "done")
GROUPS = ("executive", "management", "academic", "service", "technologist", "others")
AREAS = ("computer", "internet", "security", "word", "spreadsheet", "presentation", "media")
AREAS += ("collaboration", "safety")
CHANNELS = "case i % 7 when 0 then 'telegram' else 'line' end"


class Size(Struct, frozen=True):
    """How large the agency is."""

    learners: int
    facts: int

    @property
    def persons(self) -> int:
        """A tenth more than there are learners: they have not joined."""
        return self.learners + self.learners // 10


def fill(url: str, learners: int, facts_: int) -> Size:
    """Make a migrated database hold so many learners and facts. Person `n` is of leaf unit
    `2 + OFFICES + (n - 1) % LEAVES`; the first person of each leaf is its manager; learner `n` is
    person `n` unless a guest. Nothing passes through Python."""
    size = Size(learners, facts_)
    db = Database(url)
    migrate(db)
    try:
        with db.write() as conn:
            if db.sqlite:
                conn.exec_driver_sql("pragma cache_size = -500000")
            _units(conn)
        _people(db, size)
        _happened(db, size)
        with db.write() as conn:
            conn.execute(text("analyze"))
        db.checkpoint()
    finally:
        db.close()
    return size


def _units(conn: Connection) -> None:
    """Units are numbered by level: 1, then the offices, then what is below each of those."""
    top = "insert into units (id, parent_id, name, path) "
    conn.execute(text(top + "values (1, null, 'U', 'U')"))
    numbers = NUMBERS[conn.dialect.name == "sqlite"]
    conn.execute(
        text(f"{top} select 1 + i, 1, 'O' || i, 'U / O' || i from ({numbers}) as numbers"),
        {"first": 1, "last": OFFICES},
    )
    office, below = f"1 + (i - 1) / {EACH}", "'L' || i"
    path = f"'U / O' || ({office}) || ' / ' || {below}"
    conn.execute(
        text(
            f"{top} select {1 + OFFICES} + i, 1 + {office}, {below}, {path}"
            f" from ({numbers}) as numbers"
        ),
        {"first": 1, "last": LEAVES},
    )


def _people(db: Database, size: Size) -> None:
    """Persons with their supervisors, learners with addresses, profiles, steps and measures."""
    leaf = f"{1 + OFFICES} + 1 + (i - 1) % {LEAVES}"
    boss = f"case when i > {LEAVES} then 1 + (i - 1) % {LEAVES} end"
    _insert(
        db,
        "persons (id, hr_id, name, unit_id, supervisor_id, position_type, left_on)",
        f"i, 'P' || i, 'N' || i, {leaf}, {boss}, 'academic', 0",
        size.persons,
    )
    _insert(
        db,
        "grants (person_id, role, unit_id, source, at)",
        f"i, 'manager', {leaf}, 'roster', :now",
        min(LEAVES, size.persons),
    )
    whom = f"case when i % {GUESTS} = 0 then null else i end"
    address = f"{CHANNELS}, {HEX[db.sqlite]}"
    state = "'{\"seed\":' || i || '}'"
    into = "learners (id, person_id, created_at, channel, address, state)"
    _insert(db, into, f"i, {whom}, :start, {address}, {state}", size.learners)
    into = "addresses (channel, address, learner_id, created_at)"
    _insert(db, into, f"{address}, i, :start", size.learners)
    _profiles(db, size, whom, leaf, address)
    _progress(db, size)


def _profiles(db: Database, size: Size, whom: str, leaf: str, address: str) -> None:
    unit = f"case when i % {GUESTS} = 0 then null else {leaf} end"
    _insert(
        db,
        "profiles (learner_id, channel, address, lang, person_id, unit_id, personnel_group, step,"
        " bands, welcomed, nudges, active_on)",
        f"i, {address}, 'th', {whom}, {unit}, {_pick(GROUPS)}, {_pick(STEPS, 3)},"
        " '|security=fair|word=strengthen|', true, true, :today - i % 90",
        size.learners,
    )


def _progress(db: Database, size: Size) -> None:
    """The steps before the one a learner is at, a week apart; areas measured before, and after
    by those who have finished."""
    for n, step in enumerate(STEPS[:-1]):
        done = f"(i / 3) % {len(STEPS)} > {n}"
        at = f":now - (6 - {n}) * 604800000000 - i % 500000 * 1000000"
        into = "milestones (learner_id, round, step, at)"
        _insert(db, into, f"i, 1, '{step}', {at}", size.learners, done)
    for n, area in enumerate(AREAS):
        before = f"((i * 31 + {n} * 7) % 200) / 100.0 - 1.2"
        finished = f"(i / 3) % {len(STEPS)} >= 6"
        gain = f"{before} + ((i * 17 + {n}) % 100) / 100.0 - 0.3"
        after = ", ".join(f"case when {finished} then {what} end" for what in (gain, "0.6", ":now"))
        columns = "learner_id, round, area, " + ", ".join(
            f"{when}{what}" for when in ("before", "after") for what in ("", "_error", "_at")
        )
        into = f"{measures.name} ({columns})"
        measured = f"(i / 3) % {len(STEPS)} > 0"
        what = f"i, 1, '{area}', {before}, 0.6, :start, {after}"
        _insert(db, into, what, size.learners, measured)


def _happened(db: Database, size: Size) -> None:
    """Facts in the order in which they happened; their indexes are made at the end."""
    with db.write() as conn:
        for index in facts.indexes:
            index.drop(conn)
    learner = f"1 + (i * 7919 + i / {size.learners}) % {size.learners}"
    at = f":start + i * {int(YEAR / timedelta(microseconds=1)) // (size.facts + 1)}"
    _insert(db, "facts (id, learner_id, at, kind, data)", f"i, {learner}, {at}, {KIND}, {_data()}",
            size.facts)  # fmt: skip
    with db.write() as conn:
        for index in facts.indexes:
            index.create(conn)
        uses = "select id, learner_id, at, 1, id % 3 = 0 from facts where kind = 'used_at_work'"
        into = "insert into evidence (fact_id, learner_id, at, round, shared)"
        conn.execute(text(f"{into} {uses}"))


KIND = (
    "case when i % 100 < 62 then 'answered' when i % 100 < 72 then 'lesson_done'"
    " when i % 100 < 78 then 'quizzed' when i % 100 < 84 then 'exercise_done'"
    " when i % 100 < 92 then 'nudged' when i % 100 < 97 then 'step_done'"
    " when i % 100 < 98 then 'used_at_work' else 'returned' end"
)
"""What facts are of: out of a hundred, 62 are answers, one is a use at work."""


def _data() -> str:
    """As flows write it."""
    area, right = _pick(AREAS), "case when i % 3 = 0 then 'false' else 'true' end"
    answer = (
        f'\'{{"question":"\' || {area} || \'-0\' || (1 + i % 8) || \'","area":"\' || {area} ||'
        f' \'","option":\' || (i % 4) || \',"right":\' || {right} ||'
        ' \',"purpose":"quiz","round":1,"seconds":\' || (3 + i % 90) || \'}\''
    )
    use = '\'{"round":1,"where":{"text":"w"},"whom":{"text":"w"},"changed":{"text":"c"}}\''
    step = f'\'{{"step":"\' || {_pick(STEPS[:-1])} || \'","round":1}}\''
    return (
        f"case when i % 100 < 62 then {answer} when i % 100 in (92, 93, 94, 95, 96) then {step}"
        f" when i % 100 = 97 then {use} else '{{\"round\":1}}' end"
    )


def _pick(values: tuple[str, ...], each: int = 1) -> str:
    cases = " ".join(f"when {n} then '{value}'" for n, value in enumerate(values))
    return f"case (i / {each}) % {len(values)} {cases} end"


def _insert(db: Database, into: str, values: str, many: int, where: str = "") -> None:
    """A row for each number up to `many`, a chunk in each transaction."""
    times = {
        "now": to_micros(NOW),
        "start": to_micros(NOW - YEAR),
        "today": local(NOW).toordinal(),
    }
    known = {name: value for name, value in times.items() if f":{name}" in values}
    only = f" where {where}" if where else ""
    # escaped: the colons of JSON are none of ours
    made = values.replace('":', '"\\:')
    statement = text(
        f"insert into {into} select {made} from ({NUMBERS[db.sqlite]}) as numbers{only}"
    )
    for first in range(1, many + 1, CHUNK):
        span = {"first": first, "last": min(first + CHUNK - 1, many)}
        with db.write() as conn:
            conn.execute(statement, known | span)


# --- (o) -----------------------------------------------------------------------------

RUNS = 20


def reports(quick: bool) -> list[Row]:
    """Reports over a whole agency, and the report to OCSC (p), on both engines."""
    rows: list[Row] = []
    learners, many = (20_000, 1_000_000) if quick else (1_000_000, 50_000_000)
    for name, place in PLACES:
        with place() as url:
            fill(url, learners, many)
            where = f"{learners:,} learners, {many:,} facts, {name}"
            rows += measured(url, where, quick) + ocsc.report(url, NOW, where)
    return rows


def measured(url: str, where: str, quick: bool) -> list[Row]:
    """The figures for a database that is filled."""
    db = Database(url)
    try:
        before = memory()
        took = sorted(_timed(db, "funnel") for _ in range(5 if quick else RUNS))
        p95 = took[int(0.95 * (len(took) - 1))]
        grown = memory() - before
        with db.read() as conn:
            first = weeks.monday(local(NOW).toordinal()) - 14
            began = time.perf_counter()
            found = weeks.count(conn, first)
            week = time.perf_counter() - began
        skills = _timed(db, "skills")
        exported, held = _exported(db)
    finally:
        db.close()
    return [
        Row(f"(o) funnel of the whole agency, p50, {where}", took[len(took) // 2], "s"),
        Row(f"(o) funnel of the whole agency, p95, {where}", p95, "s", "≤ 1", p95 <= 1),
        Row(f"(o) memory grown over these, {where}", grown, "MiB"),
        Row(f"(o) counting one week of facts ({len(found):,} rows), {where}", week, "s"),
        Row(f"(o) skills of the whole agency, {where}", skills, "s"),
        Row(f"(o) names of all who wait for help as CSV, {where}", exported, "s"),
        Row(f"(o) memory grown meanwhile, {where}", held, "MiB", "≤ 50", held <= 50),
    ]


@lru_cache(maxsize=1)
def load_content() -> Content:
    return load()


def _timed(db: Database, name: str) -> float:
    """Seconds until the last row is there."""
    content, began = load_content(), time.perf_counter()
    with db.read() as conn:
        for _ in report(conn, name, OPERATOR, Ask(), NOW, content).rows:
            pass
    return time.perf_counter() - began


def _exported(db: Database) -> tuple[float, float]:
    """Seconds, and MiB more than before at the most."""
    content, before = load_content(), memory()
    most = before
    began = time.perf_counter()
    with db.read() as conn:
        made = report(conn, "behind", OPERATOR, Ask(), NOW, content)

        def watched() -> Iterator[Any]:
            nonlocal most
            for n, row in enumerate(made.rows):
                if n % 10_000 == 0:
                    most = max(most, memory())
                yield row

        csv.write(replace(made, rows=watched()), Path("/dev/null"), Mark("", NOW), "th", content)
    return time.perf_counter() - began, most - before
