"""The annual report to OCSC, counted over a whole agency and made into its documents."""

import resource
import time

from benchmarks.agency import NOW, fill
from benchmarks.audience import PLACES
from benchmarks.measures import Row
from bot.ocsc import FORMATS, render
from bot.office import composed
from content.load import load
from content.schema import Content
from flows.calendar import fiscal_year, local
from storage import ocsc
from storage.database import Database
from storage.scope import OPERATOR

WITHIN = 60.0
"""Seconds."""


def report(quick: bool) -> list[Row]:
    """How long the report takes at 1,000,000 learners and 50,000,000 facts, all formats included,
    and how much memory that takes beyond what the process had."""
    learners, facts = (20_000, 1_000_000) if quick else (1_000_000, 50_000_000)
    rows = []
    for name, place in PLACES:
        with place() as url:
            fill(url, learners, facts)
            seconds, more = _made(url)
        what = f"report to OCSC, {learners:,} learners, {facts:,} facts, {name}"
        rows.append(Row(f"(p) {what}", seconds, "s", f"≤ {WITHIN:.0f}", seconds <= WITHIN))
        rows.append(Row(f"(p) memory that it takes, {name}", more, "MiB"))
    return rows


def _made(url: str) -> tuple[float, float]:
    """Seconds and mebibytes of the slower of the two years in which something happened."""
    content, db = load(), Database(url)
    before, year = _peak(), fiscal_year(local(NOW).date())
    seconds = max(_timed(db, each, content) for each in (year - 1, year))
    db.close()
    return seconds, _peak() - before


def _timed(db: Database, year: int, content: Content) -> float:
    began = time.perf_counter()
    with db.read() as conn:
        counted = ocsc.gather(conn, OPERATOR, year, NOW, content)
    made = composed(counted, "ocsc", content)
    for format in FORMATS:
        render(made, format)
    return time.perf_counter() - began


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
