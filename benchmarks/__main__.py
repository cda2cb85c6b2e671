"""python -m benchmarks [a|d|e|…|o ...] [--quick]: measure, show, and keep as CSV."""

import csv
import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import (
    abilities,
    agency,
    audience,
    browser,
    campaigns,
    consoles,
    digests,
    measures,
    reviews,
    rosters,
    understanding,
)
from benchmarks.measures import Row

RESULTS = Path(__file__).parent / "results"
MEASURES = {
    "a": measures.throughput,
    "d": measures.growth,
    "e": measures.latency,
    "f": measures.memory,
    "g": measures.whole,
    "h": audience.expansion,
    "i": campaigns.line,
    "j": campaigns.telegram,
    "k": campaigns.replies,
    "l": audience.counting,
    "m": rosters.importing,
    "n": digests.teams,
    "o": agency.reports,
    "q": consoles.pages,
    "r": browser.pages,
    "s": abilities.assessment,
    "t": abilities.recovery,
    "u": reviews.retention,
    "v": understanding.messages,
}
"""`a` also measures b and c: they only mean something side by side; `o` also p, which takes the
same large database."""


def main(*asked: str) -> None:
    quick = "--quick" in asked
    wanted = [letter for letter in asked if letter in MEASURES] or list(MEASURES)
    out = Console(soft_wrap=True, highlight=False)
    out.print(
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, Python {platform.python_version()},"
        f" {os.cpu_count()} cores, a small commit takes {measures.fsync_microseconds():.0f} µs"
    )
    table = Table("what", "seen", "", "goal", "met", box=None)
    for letter in wanted:
        with out.status(f"measuring ({letter})"):
            rows = MEASURES[letter](quick)
        _keep(letter, rows)
        for row in rows:
            met = "" if row.met is None else "yes" if row.met else "NO"
            table.add_row(row.what, _short(row.value), row.unit, row.goal, met)
    out.print(table)


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _keep(letter: str, rows: list[Row]) -> None:
    RESULTS.mkdir(exist_ok=True)
    with (RESULTS / f"{letter}.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["what", "value", "unit", "goal", "met"])
        writer.writerows([r.what, f"{r.value:.6g}", r.unit, r.goal, r.met] for r in rows)


if __name__ == "__main__":
    main(*sys.argv[1:])
