"""One work cycle of the whole service with a bomb in it, and the process that forks it off.

    python -m tests.cycle          (one JSON order a line on standard input)

An order names the database, the platforms, the deliveries, and the number of the boundary at
which the bomb goes off: before or after a statement, a commit or an outgoing request. The bomb
ends the process, or makes the database fail once. The first order is carried out before any
fork: everything is imported and compiled by then, so that later ones cost a tenth of a second.
"""

import asyncio
import base64
import contextlib
import gc
import itertools
import json
import mmap
import os
import ssl
import struct
import sys
import time
import traceback
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog
from aiohttp import ClientSession
from sqlalchemy import Engine, event
from sqlalchemy.exc import OperationalError

from bot import sender
from bot.app import App
from bot.config import Settings
from bot.dispatch import Unavailable
from content.load import load
from content.schema import Content
from storage.database import Database
from tests.simulators.line import BOT

DIED = 42
"""The exit code of a process that the bomb has ended."""
PATIENCE = 20.0
TICKS = 20
Json = dict[str, Any]


class Clock:
    """One clock for the service and the platforms, in memory that processes share."""

    def __init__(self, path: Path) -> None:
        path.touch()
        os.truncate(path, 8)
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), 8)

    def set(self, seconds: float) -> None:
        self._memory[:] = struct.pack("d", seconds)

    def seconds(self) -> float:
        return float(struct.unpack("d", self._memory[:])[0])

    def __call__(self) -> datetime:
        return datetime.fromtimestamp(self.seconds(), UTC)


class Bomb:
    """Counts the boundaries, and goes off at one of them. At 0 it only counts."""

    def __init__(self, at: int, how: str) -> None:
        self.count = 0
        self.where = ""
        self._at = at
        self._how = how
        self._numbers = itertools.count(1)

    def pass_by(self, where: str) -> None:
        self.count = number = next(self._numbers)
        if number != self._at:
            return
        self.where = where
        if self._how == "die":
            os._exit(DIED)
        raise OperationalError(f"bomb at {where}", {}, Exception("the database is gone"))

    def watch(self, engine: Engine) -> None:
        """Lay it before every statement, and on both sides of every commit of this engine. After
        a statement comes another or the commit: to die between them is the same."""
        event.listen(engine, "before_cursor_execute", lambda *_: self.pass_by("before statement"))
        commit = engine.dialect.do_commit

        def do_commit(connection: Any) -> None:
            self.pass_by("before commit")
            commit(connection)
            self.pass_by("after commit")

        engine.dialect.do_commit = do_commit  # type: ignore[method-assign]

    def watch_requests(self) -> None:
        """Lay it at every request to a platform: they are no business of the database's."""
        if self._how != "die":
            return
        ask = ClientSession._request

        async def request(session: ClientSession, *args: Any, **options: Any) -> Any:
            self.pass_by("before request")
            answer = await ask(session, *args, **options)
            self.pass_by("after request")
            return answer

        ClientSession._request = request  # type: ignore[method-assign]


class Cycle:
    """The service, without its ticker: it ticks when the script says so."""

    def __init__(self, order: Json, content: Content, report: int) -> None:
        self._order = order
        self._report = report
        self._clock = Clock(Path(order["clock"]))
        self._now = order["start"]
        self._clock.set(self._now)
        self.bomb = Bomb(order["bomb"], order["how"])
        self._app = app = App(_settings(order["env"]), content, clock=self._clock)
        _warm(app.db)
        app.line_id = BOT
        app.scheduler.start = lambda: None  # type: ignore[method-assign]
        if order["bomb"] and order["how"] == "die":
            self._arm()

    def _arm(self) -> None:
        for engine in {self._app.db.writer, self._app.db.reader}:
            self.bomb.watch(engine)
        self.bomb.watch_requests()

    async def run(self) -> None:
        numbers = itertools.count()
        async with self._app.running():
            if self._order["how"] == "fail":  # a service that cannot start is started again
                self._arm()
            for step in self._order["steps"]:
                self._pass(1)
                await asyncio.gather(
                    *(self._deliver(next(numbers), take) for take in self._deliveries(step))
                )
                await self._settled()
                if step["ticks"]:
                    await self._tick()
            for _ in range(TICKS):
                if not self._open():
                    return
                self._pass(61)  # the lease of an attempt that nobody has ended is over
                await self._tick()
            raise AssertionError("some rows do not come to an end")

    def _pass(self, seconds: float) -> None:
        self._now += seconds
        self._clock.set(self._now)

    def _deliveries(self, step: Json) -> Iterator[Callable[[], Awaitable[None]]]:
        for body in step["line"]:
            raw = base64.b64decode(body)
            yield lambda raw=raw: self._app.edge.take_line(raw)  # type: ignore[misc]
        for update in step["telegram"]:
            yield lambda update=update: self._app.edge.take_telegram(self._filled(update))  # type: ignore[misc]

    def _filled(self, update: Json) -> Json:
        """A manager presses the button of the use that was recorded, whatever its number."""
        text = json.dumps(update)
        if "@use" not in text:
            return update
        use = self._ask("select id from facts where kind = 'used_at_work'")[0][0]
        filled: Json = json.loads(text.replace("@use", str(use)))
        return filled

    async def _deliver(self, number: int, take: Callable[[], Awaitable[None]]) -> None:
        """What was acknowledged is told at once: nobody will deliver it again."""
        if number not in self._order["acknowledged"]:
            await self._heard(take)
            os.write(self._report, b"%d\n" % number)

    async def _heard(self, take: Callable[[], Awaitable[None]]) -> None:
        """A platform delivers again until it is told that all is well."""
        for _ in range(5):
            with contextlib.suppress(Unavailable, OperationalError):
                return await take()
        raise AssertionError("the database does not come back")

    async def _tick(self) -> None:
        """A tick that fails is not the last one."""
        await self._heard(self._app.scheduler.tick)
        await self._settled()

    async def _settled(self) -> None:
        """Nothing is in the sender's hands."""
        until = time.monotonic() + PATIENCE
        while self._app.sender.busy or self._app._tasks:
            assert time.monotonic() < until, "the sender does not come to rest"
            await asyncio.sleep(0.0005)

    def _open(self) -> bool:
        return bool(self._ask("select 1 from outbox where status in ('queued', 'sending')"))

    def _ask(self, query: str) -> list[Any]:
        """Past the bomb: the question is the script's, not the service's."""
        raw = self._app.db.reader.raw_connection()
        try:
            cursor = raw.cursor()
            cursor.execute(query)
            return list(cursor.fetchall())
        finally:
            raw.close()


WARM: dict[str, Any] = {}
"""What costs as much as many turns to make, made before any fork."""


def _settings(env: dict[str, str]) -> Settings:
    if "settings" not in WARM:
        WARM["settings"] = Settings(_env_file=None, **env)  # type: ignore[call-arg]
    made: Settings = WARM["settings"]
    return made


def _warm(db: Database) -> None:
    """Engines have compiled every statement after the first cycle; they hold no connection."""
    db.writer, db.reader = WARM.setdefault("engines", (db.writer, db.reader))


def child(order: Json, content: Content, report: int) -> None:
    """Run a cycle and tell what became of it; with the bomb nobody may get that far."""
    told: Json = {}
    try:
        cycle = Cycle(order, content, report)
        asyncio.run(cycle.run())
        told = {"count": cycle.bomb.count, "where": cycle.bomb.where}
    except BaseException:
        told = {"error": traceback.format_exc()}
    os.write(report, json.dumps(told).encode())
    os._exit(0)


def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    sender.PAUSE = 0.001
    context = ssl.create_default_context()  # reading the system's certificates takes 30 ms
    ssl.create_default_context = lambda *_, **__: context
    content = load()
    with open(os.devnull, "wb") as nowhere:
        first = Cycle(json.loads(sys.stdin.readline()), content, nowhere.fileno())
        asyncio.run(first.run())
    gc.freeze()  # or every child would copy all of it
    print("ready", flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            child(order, content, write)
        os.close(write)
        with os.fdopen(read) as pipe:
            lines = pipe.read().splitlines()
        _, status = os.waitpid(pid, 0)
        acknowledged = [int(line) for line in lines if line.isdecimal()]
        told = {"code": os.waitstatus_to_exitcode(status), "acknowledged": acknowledged}
        told |= json.loads(lines[-1]) if lines and lines[-1].startswith("{") else {}
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
