"""Segments counted among many people, and a campaign written for all of them."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import text

from benchmarks import processes
from benchmarks.fill import CHUNK, HEX, NUMBERS
from benchmarks.measures import Row
from content.load import load
from content.schema import AreaBand, Content, Schedule, Segment
from storage import campaigns, journal, roster, segments
from storage.database import Database
from storage.migrate import migrate

PLACES = (("SQLite", processes.sqlite), ("PostgreSQL", processes.postgresql))
NOW = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)
SCHEDULE = Schedule.model_validate({"at": "2026-12-01T09:30"})
_COLUMNS = "learner_id, channel, address, lang, personnel_group, step, bands, welcomed, active_on"
_GROUPS = ("executive", "management", "academic", "service", "technologist", "others")
_STEPS = ("know", "plan", "learn", "practise", "apply", "review", "done")
_BANDS = ("strengthen", "fair", "strong")


def people(db: Database, many: int) -> None:
    """Learners and their profiles; every seventh is on Telegram, every eleventh reads English."""
    day = NOW.date().toordinal()
    values = f"""i, case when i % 7 = 0 then 'telegram' else 'line' end, {HEX[db.sqlite]},
        case when i % 11 = 0 then 'en' else 'th' end, {_pick(_GROUPS)}, {_pick(_STEPS, 3)},
        '|security=' || {_pick(_BANDS)} || '|word=' || {_pick(_BANDS, 5)} || '|',
        true, {day} - i % 90"""
    learner = f"i, 0, 'line', {HEX[db.sqlite]}, '{{}}'"
    for first in range(1, many + 1, CHUNK):
        span = {"first": first, "last": min(first + CHUNK - 1, many)}
        numbers = f"from ({NUMBERS[db.sqlite]}) as numbers"
        with db.write() as conn:
            into = "insert into learners (id, created_at, channel, address, state)"
            conn.execute(text(f"{into} select {learner} {numbers}"), span)
            into = f"insert into profiles ({_COLUMNS})"
            conn.execute(text(f"{into} select {values} {numbers}"), span)
    with db.write() as conn:
        conn.execute(text("analyze"))


def _pick(values: tuple[str, ...], each: int = 1) -> str:
    cases = " ".join(f"when {n} then '{value}'" for n, value in enumerate(values))
    return f"case (i / {each}) % {len(values)} {cases} end"


def counting(quick: bool) -> list[Row]:
    """How long the live count of a segment takes among 100,000 learners."""
    many = 100_000
    rows = []
    for name, place in PLACES:
        with place() as url:
            db = _made(url, many)
            worst = max(_counted(db, segment) for segment in _segments())
            db.close()
        what = f"(l) slowest count of a segment among {many:,}, {name}"
        rows.append(Row(what, worst, "s", "< 1", worst < 1))
    return rows


def _counted(db: Database, segment: Segment) -> float:
    """Seconds."""
    began = time.perf_counter()
    with db.read() as conn:
        segments.count(conn, segment, NOW)
    return time.perf_counter() - began


def _segments() -> list[Segment]:
    return [
        Segment(),
        Segment(groups=("academic",), steps=("unfinished",)),
        Segment(bands=(AreaBand(area="word", band="strengthen"),), inactive_for=14),
        Segment(units=("U0",), channels=("line",)),
        Segment(active_within=7, languages=("en",)),
    ]


def _made(url: str, many: int) -> Database:
    db = Database(url)
    migrate(db)
    people(db, many)
    with db.write() as conn:
        units = [roster.add_unit(conn, f"U{n}") for n in range(20)]
        unit = "(select min(id) from units) + i % 20"
        conn.execute(
            text(
                "insert into persons (id, hr_id, name, unit_id) select i, 'P' || i, 'n',"
                f" {unit} from ({NUMBERS[db.sqlite]}) as numbers"
            ),
            {"first": 1, "last": many},
        )
        conn.execute(text("update profiles set person_id = learner_id"))
        assert units
    with db.write() as conn:
        conn.execute(text("analyze"))
    return db


def expansion(quick: bool) -> list[Row]:
    """Writing a campaign for everybody: how long, and how much memory more than before."""
    many, content = 100_000 if quick else 1_000_000, load()
    rows = []
    for name, place in PLACES:
        with place() as url:
            db = Database(url)
            migrate(db)
            people(db, many)
            seconds, grown, longest = _expanded(db, content)
            db.close()
        what = f"(h) a campaign written for {many:,}, {name}"
        goal = 20 * many / 1_000_000
        rows.append(Row(what, seconds, "s", f"≤ {goal:g}", seconds <= goal))
        rows.append(Row(f"(h) longest step of it, {name}", longest * 1000, "ms"))
        rows.append(Row(f"(h) memory grown meanwhile, {name}", grown, "MiB", "≤ 20", grown <= 20))
    return rows


def _expanded(db: Database, content: Content) -> tuple[float, float, float]:
    ready = next(each for each in content.campaigns if each.id == "data-governance")
    spec = ready.model_copy(update={"schedule": SCHEDULE})
    with db.write() as conn:
        unit = roster.add_unit(conn, "HR")
        roster.grant(conn, roster.add_person(conn, hr_id="H1", name="n", unit_id=unit), "hr", NOW)
        made = campaigns.draft(conn, spec, "H1", NOW)
        due = campaigns.due_of(spec, NOW, content)
        assert due is not None
        hash_, n = campaigns.fingerprint(conn, spec, due, NOW)
        campaigns.checked(conn, campaigns.find(conn, made), hash_, n, NOW)
        journal.begin(conn, made, spec, due, "expanding", NOW)
    before = most = memory()
    began, longest = time.perf_counter(), 0.0
    more = 1
    while more:
        step = time.perf_counter()
        with db.write() as conn:
            more = campaigns.expand(conn, NOW + timedelta(seconds=1), content)
        longest = max(longest, time.perf_counter() - step)
        most = max(most, memory())
    return time.perf_counter() - began, most - before, longest


def memory() -> float:
    """What this process holds now, in MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20
