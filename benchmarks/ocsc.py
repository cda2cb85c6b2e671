"""The annual report to OCSC, counted over a whole agency and made into its documents."""

import resource
import time
from datetime import datetime

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


def report(url: str, now: datetime, where: str) -> list[Row]:
    """How long the report takes of a database that is filled, all formats included, and how much
    memory that takes beyond what the process had."""
    seconds, more = _made(url, now)
    return [
        Row(f"(p) report to OCSC, {where}", seconds, "s", f"≤ {WITHIN:.0f}", seconds <= WITHIN),
        Row(f"(p) memory that it takes, {where}", more, "MiB"),
    ]


def _made(url: str, now: datetime) -> tuple[float, float]:
    """Seconds and mebibytes of the slower of the two years in which something happened."""
    content, db = load(), Database(url)
    before, year = _peak(), fiscal_year(local(now).date())
    seconds = max(_timed(db, each, now, content) for each in (year - 1, year))
    db.close()
    return seconds, _peak() - before


def _timed(db: Database, year: int, now: datetime, content: Content) -> float:
    began = time.perf_counter()
    with db.read() as conn:
        counted = ocsc.gather(conn, OPERATOR, year, now, content)
    made = composed(counted, "ocsc", content)
    for format in FORMATS:
        render(made, format)
    return time.perf_counter() - began


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
