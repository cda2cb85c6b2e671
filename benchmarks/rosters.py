"""A roster of 100,000 people taken over as `kaona roster import` does it, and taken over again."""

import asyncio
import csv
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import processes
from benchmarks.measures import Row
from bot.app import App
from bot.config import Settings
from content.load import load
from storage.database import Database
from storage.migrate import migrate

PLACES = (("SQLite", processes.sqlite), ("PostgreSQL", processes.postgresql))
HEADERS = ("hr id", "name", "unit", "supervisor", "position title", "start date", "time zone")
TEAM, DIVISION = 50, 5000


def importing(quick: bool) -> list[Row]:
    """Seconds, the longest time that the writer was held, and memory beyond the service's."""
    many = 20_000 if quick else 100_000
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, place in PLACES:
            first, again = (_write(Path(folder) / f"{n}.csv", many, n) for n in ("old", "new"))
            with place() as url:
                db = Database(url)
                migrate(db)
                db.close()
                rows += asyncio.run(_measured(url, name, many, first, again))
    return rows


def _write(path: Path, many: int, version: str) -> Path:
    """A CSV; in the newer one every tenth person has another title."""
    with path.open("w", newline="", encoding="utf-8-sig") as file:
        made = csv.writer(file)
        made.writerow(HEADERS)
        made.writerows(_people(many, version))
    return path


def _people(many: int, version: str) -> Iterator[tuple[str, ...]]:
    for n in range(many):
        head = n // TEAM * TEAM
        boss = f"HR-{head:06}" if n != head else f"HR-{n // DIVISION * DIVISION:06}"
        unit = f"Department / Division {n // DIVISION} / Section {n // TEAM}"
        title = "Head" if n == head else "Analyst" if version == "old" or n % 10 else "Officer"
        above = "" if n % DIVISION == 0 else boss
        yield (f"HR-{n:06}", f"Somebody {n} Family {n % 977}", unit, above, title, "1/10/2560", "")


async def _measured(url: str, name: str, many: int, first: Path, again: Path) -> list[Row]:
    values = {"KAONA_DATABASE_URL": url, "KAONA_SECRET_KEY": "k" * 48}
    app = App(Settings(_env_file=None, **values), load(), serves=False, works=False)  # type: ignore[call-arg,arg-type]
    rows: list[Row] = []
    async with app.running():
        held = _Held(app)
        for what, path, goal in (
            (f"import of {many:,} rows", first, 60.0),
            ("the same again", first, None),
            ("a tenth changed", again, None),
        ):
            before, held.longest, held.computed = _memory(reset=True), 0.0, 0.0
            began, computed = time.perf_counter(), time.process_time()
            result = await _import(app, path)
            seconds, cpu = time.perf_counter() - began, time.process_time() - computed
            assert result["applied"], result["problems"]
            wanted = ("≤ 60", seconds <= goal) if goal else ("", None)
            rows.append(Row(f"(m) {what}, {name}", seconds, "s", *wanted))
            rows.append(Row("(m)   of the processor, without the reading process", cpu, "s"))
            rows.append(Row("(m)   the writer was held", held.longest, "s"))
            rows.append(Row("(m)   of the processor meanwhile", held.computed, "s"))
            rows.append(Row("(m)   memory meanwhile", _memory() - before, "MiB"))
    return rows


class _Held:
    """Notes the longest job of the writer."""

    def __init__(self, app: App) -> None:
        self.longest = self.computed = 0.0
        run = app.dispatcher.run

        async def timed(job: Any) -> Any:
            def work(conn: Any, now: Any) -> Any:
                began, computed = time.perf_counter(), time.thread_time()
                try:
                    return job(conn, now)
                finally:
                    self.longest = max(self.longest, time.perf_counter() - began)
                    self.computed = max(self.computed, time.thread_time() - computed)

            return await run(work)

        app.dispatcher.run = timed  # type: ignore[method-assign]


async def _import(app: App, path: Path) -> dict[str, Any]:
    begun = await app.roster.begin(str(path))
    while True:
        seen = await app.roster.watch(begun["job"])
        if seen["result"] is not None:
            return dict(seen["result"])


def _memory(*, reset: bool = False) -> float:
    """The most memory that this process has had since it was last reset, in MiB."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0
