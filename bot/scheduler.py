"""A ticker and nothing more: what is due stands in our tables, not in a job store."""

import asyncio
import os
import socket
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from sqlalchemy import Connection, delete, update

from bot import metrics
from bot.dispatch import Unavailable
from storage import (
    campaigns,
    itemstats,
    leases,
    merges,
    profiles,
    publications,
    repeats,
    roster_apply,
    timers,
    weeks,
)
from storage.gathered import insert_new
from storage.models import heartbeats
from storage.wire import Incoming

if TYPE_CHECKING:
    from bot.app import App

log = structlog.get_logger()

SILENCE = 10.0
"""Seconds without a tick after which nothing is keeping time any more."""
PUBLISHING = "publish"
PUBLISHED_IN = timedelta(minutes=30)
"""How long one process may take to make the figures for managers before another may try."""
REMEMBERED = timedelta(days=1)
"""How long the sign of life of a process that has ended is kept."""


class Scheduler:
    """Ticks every second: due timers become events, due campaigns become rows, what waits is
    swept, the spool is drained."""

    def __init__(self, app: "App") -> None:
        self._app = app
        self._ticker = AsyncIOScheduler(
            timezone="UTC", job_defaults={"coalesce": True, "max_instances": 1}
        )
        self._ticked = time.monotonic()
        self.name = f"{socket.gethostname()[:20]}:{os.getpid()}"
        self.beats = 0
        """Ticks that have ended, well or badly."""

    def start(self) -> None:
        self._ticked = time.monotonic()
        every = self._ticker.add_job
        every(self._count, "interval", seconds=1, misfire_grace_time=None)
        every(self._safely, "interval", [self.fire], seconds=1, misfire_grace_time=None)
        every(self._safely, "interval", [self.tidy], seconds=60, misfire_grace_time=None)
        every(self._safely, "interval", [self._app.pusher.tick], seconds=2, misfire_grace_time=None)
        every(
            self._safely, "interval", [self._app.keeper.tidy], seconds=60, misfire_grace_time=None
        )
        every(self._safely, "interval", [self.count], seconds=60, misfire_grace_time=None)
        every(self._safely, "interval", [self.move], seconds=60, misfire_grace_time=None)
        every(self._safely, "date", [self.move], misfire_grace_time=None)
        every(self._safely, "date", [self.complete], misfire_grace_time=None)
        soon = datetime.now(UTC)
        look = {"seconds": 60, "next_run_time": soon, "misfire_grace_time": None}
        every(self._safely, "interval", [self.publish], **look)
        every(self._app.warn, "interval", hours=24, misfire_grace_time=None)
        self._ticker.start()

    def stop(self) -> None:
        if self._ticker.running:
            self._ticker.shutdown(wait=False)

    @property
    def alive(self) -> bool:
        return time.monotonic() - self._ticked < SILENCE

    @property
    def running(self) -> bool:
        return bool(self._ticker.running)

    async def _count(self) -> None:
        await self._safely(self.tick)
        self.beats += 1

    async def _safely(self, work: Callable[[], Awaitable[None]]) -> None:
        """One failed tick must not be the last."""
        try:
            await work()
        except asyncio.CancelledError:
            if self.running:
                raise
            # the service stops: what this tick was about is still due at the next start
        except Unavailable:
            log.warning("database unavailable, will try again")
        except Exception as error:
            log.error("tick failed", error=type(error).__name__)

    async def tick(self) -> None:
        app = self._app
        due = await app.read(lambda conn: timers.due(conn, app.clock()))
        await app.dispatcher.submit([each for each in due if not merges.is_merge(each)])
        for each in filter(merges.is_merge, due):
            await self.merge(each)
        await app.sender.sweep()
        await app.spool.drain(app.edge.take_line)
        self._ticked = time.monotonic()
        metrics.TICK.set_to_current_time()

    async def merge(self, due: Incoming) -> None:
        """Put two learners together; if one of them is busy just now, the next tick does it."""
        content = self._app.content
        await self._app.carry_out(
            lambda conn, now, pack: merges.merge(conn, due, now, content, pack)
        )

    async def fire(self) -> None:
        """Begin the campaigns that are due, and write their rows: a chunk at a time, so that
        turns come between."""
        run, content = self._app.dispatcher.run, self._app.content
        await run(lambda conn, now: campaigns.fire(conn, now, content))
        while await run(lambda conn, now: campaigns.expand(conn, now, content)):
            pass

    async def complete(self) -> None:
        """Make the profiles that an earlier version did not know of, some at a time."""
        run, content = self._app.dispatcher.run, self._app.content
        while await run(lambda conn, now: profiles.fill(conn, content)):
            pass

    async def publish(self) -> None:
        """Make the figures for managers when they are due: everybody is read beside the work of
        the service, and what changes is written a page at a time, so that turns come between."""
        app, content = self._app, self._app.content
        if not await app.read(lambda conn: publications.is_due(conn, app.clock(), content)):
            return
        run, holder = app.dispatcher.run, self.name
        lease = (PUBLISHING, holder)
        if not await run(lambda conn, now: leases.acquire(conn, *lease, now, PUBLISHED_IN)):
            return
        await self.complete()
        after, today = None, app.today().toordinal()
        while (
            after := await run(partial(publications.tidy, after=after, today=today))
        ) is not None:
            pass
        draft = await app.read(lambda conn: publications.prepare(conn, app.clock(), content))
        for page in publications.pages(draft):
            await run(partial(publications.write, page=page))
        await app.read(lambda conn: publications.complete(conn, draft, content))
        await run(lambda conn, now: publications.announce(conn, draft, now))
        await run(lambda conn, now: leases.release(conn, *lease))
        log.info("figures published", number=draft.number, units=len(draft.figures))

    async def count(self) -> None:
        """Take up what reports read often: weeks that are over, answers to questions. A week is
        counted beside the writer; answers some at a time, so that turns come between."""
        read, run = self._app.read, self._app.dispatcher.run
        now = self._app.clock()
        while (first := await read(lambda conn: weeks.uncounted(conn, now))) is not None:
            rows = await read(partial(weeks.count, first=first))
            await run(partial(_keep, first, rows))
        while await run(itemstats.step):
            pass

    async def move(self) -> None:
        """Do what the roster said would be so from today on, some at a time. Asking costs one
        look at an index."""
        app = self._app
        if await app.read(lambda conn: roster_apply.is_due(conn, app.clock())):
            while await app.dispatcher.run(roster_apply.apply_due):
                pass

    async def tidy(self) -> None:
        """End what is over, and leave a sign of life for other processes."""
        await self._app.sender.tidy()
        await self._app.dispatcher.run(self.beat)
        await self._app.dispatcher.run(repeats.purge)

    def beat(self, conn: Connection, now: datetime) -> None:
        conn.execute(insert_new(conn, heartbeats).values(name=self.name, at=now))
        conn.execute(update(heartbeats).where(heartbeats.c.name == self.name).values(at=now))
        ended = (heartbeats.c.at < now - REMEMBERED, heartbeats.c.name.not_like("nightly:%"))
        conn.execute(delete(heartbeats).where(*ended))


def _keep(first: int, rows: weeks.Rows, conn: Connection, now: datetime) -> None:
    weeks.keep(conn, first, rows)
