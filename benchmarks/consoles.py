"""Pages of the console over a whole agency: how long the server takes for one."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from tempfile import TemporaryDirectory
from urllib.parse import quote_plus

from starlette.testclient import TestClient

from benchmarks.agency import GROUPS, NOW, PLACES, fill
from benchmarks.measures import Row
from bot.app import App
from bot.config import Settings
from bot.console.pages import PLAIN
from content.load import load
from storage import roster, sessions
from storage.database import Database

GOAL = 300
"""Milliseconds, for 95 of 100."""
VIEWERS = {1: (None, "U / O2"), 2: (2, "U / O1"), 3: (3, "U / O2")}
"""Officers by their person: the unit of their role (one has the whole agency), and one that they
ask for."""
OVERVIEW = ("",)
FUNNEL = (
    "reports/funnel",
    "reports/funnel?sort=-people",
    "reports/funnel?unit={unit}",
    f"reports/funnel?group={GROUPS[2]}",
    "reports/funnel?page=50",
)


def pages(quick: bool) -> list[Row]:
    """Every page asked for by several officers in turns, the first ones after a start included."""
    rows: list[Row] = []
    learners, rounds = (20_000, 5) if quick else (1_000_000, 20)
    for name, place in PLACES:
        with place() as url:
            fill(url, learners, learners)
            tokens = _officers(url)
            with _service(url) as client:
                for what, paths in (("overview", OVERVIEW), ("funnel", FUNNEL)):
                    took = sorted(_asked(client, tokens, paths, rounds))
                    p95 = took[int(0.95 * (len(took) - 1))]
                    where = f"{learners:,} learners, {name}"
                    rows += [
                        Row(f"(q) {what} page, p50 of {len(took)}, {where}", median(took), "ms"),
                        Row(f"(q) {what} page, p95, {where}", p95, "ms", f"≤ {GOAL}", p95 <= GOAL),
                        Row(f"(q) {what} page, the slowest, {where}", took[-1], "ms"),
                    ]
    return rows


def _officers(url: str) -> list[tuple[str, str]]:
    """Sessions of the officers, and the units that they ask for."""
    db = Database(url)
    tokens = []
    try:
        with db.write() as conn:
            for person, (unit, asked) in VIEWERS.items():
                roster.grant(conn, person, "hr", NOW, unit)
                token = sessions.begin(conn, person, "th", "a benchmark", NOW)
                tokens.append((token, quote_plus(asked)))
    finally:
        db.close()
    return tokens


@contextmanager
def _service(url: str) -> Iterator[TestClient]:
    """The whole application in this process, with the time standing still."""
    with TemporaryDirectory() as folder:
        given = {"KAONA_DATABASE_URL": url, "KAONA_SECRET_KEY": "k" * 48, "KAONA_VAR": folder}
        settings = Settings(_env_file=None, **given)  # type: ignore[call-arg]
        app = App(settings, load(), works=False, clock=lambda: NOW)
        with TestClient(app.asgi(), base_url="http://localhost") as client:
            yield client


def _asked(
    client: TestClient, tokens: list[tuple[str, str]], paths: tuple[str, ...], rounds: int
) -> Iterator[float]:
    """Milliseconds of each."""
    for _ in range(rounds):
        for path in paths:
            for token, unit in tokens:
                client.cookies.set(PLAIN, token)
                began = time.perf_counter()
                answer = client.get("/console/" + path.format(unit=unit))
                yield 1000 * (time.perf_counter() - began)
                assert answer.status_code == 200, path
