"""Figures for managers among very many people: how long a publication and a digest take."""

import time
from datetime import datetime, timedelta
from statistics import median
from typing import Any

from sqlalchemy import Connection, text

from benchmarks.audience import NOW, PLACES, memory, people
from benchmarks.fill import CHUNK, NUMBERS
from benchmarks.measures import Row
from content.load import load
from content.schema import Content
from storage import publications, roster
from storage import teams as looks
from storage.database import Database
from storage.migrate import migrate
from storage.publications import Draft

UNITS = 10
"""Divisions, each with ten sections, each with ten groups: 1,111 units with the top."""
DIGESTS = 200


def teams_of(db: Database, many: int) -> int:
    """People of a roster in a tree of three levels below the top, each with a profile; the id of
    the learner who leads the first division."""
    people(db, many)
    with db.write() as conn:
        groups = _tree(conn)
    first, last = min(groups), max(groups)
    assert len(groups) == last - first + 1
    unit = f"{first} + i % {len(groups)}"
    for start in range(1, many + 1, CHUNK):
        span = {"first": start, "last": min(start + CHUNK - 1, many)}
        numbers = f"from ({NUMBERS[db.sqlite]}) as numbers"
        with db.write() as conn:
            into = "insert into persons (id, hr_id, name, unit_id, supervisor_id)"
            head = f"case when i > {len(groups)} then i % {len(groups)} + 1 end"
            conn.execute(text(f"{into} select i, 'P' || i, 'n', {unit}, {head} {numbers}"), span)
    with db.write() as conn:
        placed = f"person_id = learner_id, unit_id = {first} + learner_id % {len(groups)}"
        conn.execute(text(f"update profiles set {placed}"))
        conn.execute(text("update learners set person_id = id"))
        division = conn.execute(text("select min(id) + 1 from units")).scalar()
        roster.grant(conn, 1, "manager", NOW, division)
    with db.write() as conn:
        conn.execute(text("analyze"))
    return 1


def _tree(conn: Connection) -> list[int]:
    top = roster.add_unit(conn, "D")
    divisions = [roster.add_unit(conn, f"D{n}", top) for n in range(UNITS)]
    sections = [roster.add_unit(conn, f"S{n}", above) for above in divisions for n in range(UNITS)]
    return [roster.add_unit(conn, f"G{n}", above) for above in sections for n in range(UNITS)]


def teams(quick: bool) -> list[Row]:
    """A publication of everybody, one a week later, and digests read from it."""
    many = 100_000 if quick else 1_000_000
    return [row for where, place in PLACES for row in _measured(many, where, place)]


def _measured(many: int, where: str, place: Any) -> list[Row]:
    content = load()
    with place() as url:
        db = Database(url)
        migrate(db)
        who = teams_of(db, many)
        first = _published(db, content, NOW)
        with db.write() as conn:  # a tenth of them have moved on a week later
            conn.execute(text("update profiles set step = 'learn' where learner_id % 10 = 3"))
        again = _published(db, content, NOW + timedelta(days=7))
        digest = _digest(db, content, who)
        db.close()
    what = f"among {many:,}, {where}"
    return [
        Row(f"(n) the first publication {what}", first[0], "s"),
        Row(f"(n) a week later, a tenth have moved on, {what}", again[0], "s"),
        Row("(n) longest transaction of it", max(first[1], again[1]) * 1000, "ms"),
        Row("(n) memory grown meanwhile", max(first[2], again[2]), "MiB"),
        Row(f"(n) manager digest, p50 {what}", digest[0] * 1000, "ms", "≤ 50", digest[0] <= 0.05),
        Row(f"(n) manager digest, slowest {what}", digest[1] * 1000, "ms"),
    ]


def _published(db: Database, content: Content, now: datetime) -> tuple[float, float, float]:
    """Seconds in all and of the longest write, and MiB that were added."""
    before, began, longest = memory(), time.perf_counter(), 0.0
    at: int | None = None
    while True:
        with db.write() as conn:
            at = publications.tidy(conn, now, at, now.date().toordinal())
        if at is None:
            break
    with db.read() as conn:
        draft: Draft = publications.prepare(conn, now, content)
    most = memory()
    for page in publications.pages(draft):
        step = time.perf_counter()
        with db.write() as conn:
            publications.write(conn, now, page)
        longest = max(longest, time.perf_counter() - step)
    with db.read() as conn:
        publications.complete(conn, draft, content)
    step = time.perf_counter()
    with db.write() as conn:
        publications.announce(conn, draft, now)
    longest = max(longest, time.perf_counter() - step)
    return time.perf_counter() - began, longest, max(most, memory()) - before


def _digest(db: Database, content: Content, who: int) -> tuple[float, float]:
    """Seconds, the median and the most: everything that a digest reads, rights included."""
    took = []
    now = NOW + timedelta(days=8)
    for _ in range(DIGESTS):
        began = time.perf_counter()
        with db.read() as conn:
            found = looks.team(conn, who, {}, now, content)["result"]
        took.append(time.perf_counter() - began)
        assert found == "figures"
    return median(took), max(took)
