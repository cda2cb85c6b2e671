"""Sends what the turns have queued: claimed first, one platform request at a time, in order
for each learner; what a crash or a platform left behind is found again by sweeping."""

import asyncio
import contextlib
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Protocol
from uuid import uuid4

import structlog
from sqlalchemy import Connection

from bot import metrics
from bot.budget import Budget
from bot.bulk import CALL_LIMIT, Bulk
from bot.dispatch import Dispatcher, Unavailable
from bot.leasing import Leases
from bot.limits import Halts
from content.schema import Content
from flows.types import Purpose
from storage import outbox, privacy, quota
from storage.database import Database
from storage.outbox import Ended
from storage.quota import Terms
from storage.wire import Outcome, Row

log = structlog.get_logger()

NOTES = 128
"""Outcomes in one note."""
IN_FLIGHT = 64
"""Rows claimed at a time, and so at most the requests under way, on each channel."""
PAUSE = 1.0
"""Seconds to leave the database alone after it has failed."""
OVERTAKING = 2.0
"""Seconds beyond its wait that others wait for a request that must go before them: it takes a
sweep to find it again."""
ORPHANED = 3600.0
"""Seconds that a photo may wait for the turn that speaks of it."""
SAFETY = 0.1
"""Share of a month's LINE messages that is kept for what must be said."""


class Channel(Protocol):
    """The sending half of a channel."""

    async def send(self, row: Row) -> Outcome: ...

    async def fetch(self, row: Row) -> tuple[Outcome, bytes]: ...

    def lost(self, row: Row, now: datetime) -> Outcome:
        """What an attempt counts as that nobody saw the end of."""


class Sender:
    """Feeds the channels of this process."""

    def __init__(
        self,
        db: Database,
        channels: Mapping[str, Channel],
        content: Content,
        photos: Path,
        clock: Callable[[], datetime],
        safety: float = SAFETY,
    ) -> None:
        self._db = db
        self._channels = channels
        self._content = content
        self._halts = Halts(clock)
        self._leases = Leases(() if db.sqlite else channels, clock)
        self._budget = Budget(db, channels.get("line"), content, clock, safety)
        self.bulk = Bulk(db, channels, clock, self._halts, self._leases, self._budget)
        self._photos = photos
        self._clock = clock
        self._dispatcher: Dispatcher
        self._waiting: dict[str, deque[Row]] = {name: deque() for name in channels}
        self._in_hand: Counter[str] = Counter()
        self._ended: deque[Ended] = deque()
        self._known: set[str] = set()
        """Keys that this process has in hand: a sweep leaves them alone."""
        self._lines: dict[tuple[str, str], deque[tuple[Row, datetime]]] = {}
        """By address: claimed rows, and when they were claimed."""
        self._first: dict[tuple[str, str], tuple[str, datetime]] = {}
        """By address: the row that must go before all others, and until when they wait for it."""
        self._claim_due, self._note_due = asyncio.Event(), asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loops: list[asyncio.Task[None]] = []
        self._claiming = asyncio.Lock()
        self._stopping = False

    def use(self, content: Content) -> None:
        """Judge by this content from the next claim on."""
        self._content = self._budget.content = content

    def start(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self._leases.start(dispatcher)
        self._budget.start(dispatcher)
        self.bulk.start(dispatcher)
        self._loops = [
            asyncio.create_task(self._forever(self._claim_due, self._claim)),
            asyncio.create_task(self._leases.keep()),
            asyncio.create_task(self._forever(self._note_due, self._note)),
        ]

    async def stop(self, patience: float = 10.0) -> None:
        """Claim no more; let what is in flight end, and note how it did. What cannot be noted
        stays `sending`, and the next sweep of anybody finds it."""
        self._stopping = True
        async with self._claiming:  # what is being claimed now would count as tried
            self._loops[0].cancel()
        stopping = asyncio.create_task(self.bulk.stop(patience))
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=patience)
        await stopping
        for loop in self._loops:
            loop.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)
        with contextlib.suppress(Unavailable):
            await self._note()
            await self._leases.release()

    @property
    def alive(self) -> bool:
        return (
            bool(self._loops) and not any(map(asyncio.Task.done, self._loops)) and (self.bulk.alive)
        )

    @property
    def busy(self) -> bool:
        """Something is under way."""
        return bool(self._known) or self.bulk.busy

    def queued(self, rows: list[Row]) -> None:
        """Rows that were just committed, or that a sweep found. Those of a channel that another
        process sends on are found by its sweeps."""
        mine = [
            r
            for r in rows
            if r.channel in self._channels
            and r.key not in self._known
            and self._leases.held(r.channel)
        ]
        self._known.update(row.key for row in mine)
        for row in mine:
            self._waiting[row.channel].append(row)
        if mine:
            self._claim_due.set()

    async def _forever(self, due: asyncio.Event, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            await due.wait()
            due.clear()
            try:
                await work()
            except Exception as error:  # never send what cannot be recorded
                if not isinstance(error, Unavailable):
                    log.error("sender failed", error=type(error).__name__)
                await asyncio.sleep(PAUSE)
                due.set()

    # --- claiming ------------------------------------------------------------------------

    async def _claim(self) -> None:
        async with self._claiming:
            for name in self._channels:
                while rows := self._next(name):
                    await self._claim_rows(name, rows)

    def _next(self, name: str) -> list[Row]:
        """Waiting rows that may leave now; those that must wait are left to a later sweep.
        No more are claimed than can be under way: if we die, what is claimed counts as tried."""
        waiting, room = self._waiting[name], IN_FLIGHT - self._in_hand[name]
        if self._stopping or room < min(len(waiting), IN_FLIGHT // 2):
            return []
        rows: list[Row] = []
        now = self._clock()
        while waiting and len(rows) < room:
            row = waiting.popleft()
            if self._waits(row, now):
                self._known.discard(row.key)
            else:
                rows.append(row)
        return rows

    def _waits(self, row: Row, now: datetime) -> bool:
        """Behind a request that must wait, all wait: order is part of the message."""
        if self._halts.left(row.channel):
            return True
        to = (row.channel, row.address)
        first, until = self._first.get(to, (row.key, now))
        if first != row.key and now < until:
            return True
        self._first.pop(to, None)
        return False

    async def _claim_rows(self, name: str, rows: list[Row]) -> None:
        now = self._clock()
        self._in_hand[name] += len(rows)
        try:
            job = partial(self._claimed, name, rows, self._budget.terms())
            got, taken = await self._dispatcher.run(job)
        except BaseException:
            self._in_hand[name] -= len(rows)
            self._waiting[name].extendleft(reversed(rows))
            raise
        self._budget.spent(taken)
        for row in rows:
            if row.key in got:
                self._line_up(row, now)
            else:
                self._in_hand[name] -= 1
                self._known.discard(row.key)

    def _claimed(
        self, name: str, rows: list[Row], terms: Terms, conn: Connection, now: datetime
    ) -> tuple[set[str], dict[Purpose, int]]:
        """The keys that may go, and what they cost."""
        if not self._leases.verify(conn, name, now):
            return set(), {}
        got = outbox.claim(conn, rows, now, self._content)
        unasked = got & {row.key for row in rows if row.unasked}
        if name != quota.LINE or not unasked:
            return got, {}
        short, taken = quota.charge(conn, unasked, now, terms)
        return got - short, taken

    def _line_up(self, row: Row, claimed: datetime) -> None:
        """Requests to one address leave one after another."""
        to = (row.channel, row.address)
        if to in self._lines:
            self._lines[to].append((row, claimed))
            return
        self._lines[to] = deque([(row, claimed)])
        task = asyncio.create_task(self._serve(to))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, to: tuple[str, str]) -> None:
        line = self._lines[to]
        held: Outcome | None = None
        try:
            while line:
                row, claimed = line.popleft()
                outcome, file = (held, "") if held else await self._attempt(row, claimed)
                if outcome.status == "retry" and held is None:
                    held = Outcome("retry", "behind", wait=outcome.wait)
                    wait = timedelta(seconds=outcome.wait + OVERTAKING)
                    self._first[to] = (row.key, self._clock() + wait)
                self._in_hand[row.channel] -= 1
                self._end(row, outcome, file)
        finally:
            del self._lines[to]
            self._claim_due.set()

    # --- attempting ----------------------------------------------------------------------

    async def _attempt(self, row: Row, claimed: datetime) -> tuple[Outcome, str]:
        if hindered := self._hindered(row, claimed):
            return hindered, ""
        channel = self._channels[row.channel]
        try:
            async with asyncio.timeout(CALL_LIMIT):
                if row.lane == "fetch":
                    outcome, data = await channel.fetch(row)
                    file = self._keep(row, data) if outcome.status == "accepted" else ""
                else:
                    outcome, file = await channel.send(row), ""
        except Exception as error:
            # a bug or a hung library: what left us is not known
            log.error("send failed", channel=row.channel, error=type(error).__name__)
            return channel.lost(row, self._clock()), ""
        self._halts.heed(row.channel, outcome)
        if outcome.reason == "quota":
            self._budget.refused()
        return outcome, file

    def _hindered(self, row: Row, claimed: datetime) -> Outcome | None:
        """Why a row must not leave after all, now that its turn has come."""
        now = self._clock()
        if left := self._halts.left(row.channel):
            return Outcome("retry", "frozen", wait=left)
        if now + timedelta(seconds=CALL_LIMIT) > claimed + outbox.LEASE:
            return Outcome("retry", "late")  # another process might soon take it for abandoned
        return None

    def _keep(self, row: Row, data: bytes) -> str:
        """The file's name; the web chat's photos are on disk already, under their reference."""
        if not data:
            return row.request.fetch
        self._photos.mkdir(parents=True, exist_ok=True, mode=0o700)
        name = uuid4().hex
        (self._photos / name).write_bytes(data)
        return name

    def _end(self, row: Row, outcome: Outcome, file: str) -> None:
        metrics.SENDS.labels(row.channel, outcome.status).inc()
        self._ended.append(Ended(row, outcome, file))
        self._note_due.set()

    async def _note(self) -> None:
        while self._ended:
            ended = [self._ended.popleft() for _ in range(min(NOTES, len(self._ended)))]
            try:
                await self._dispatcher.run(partial(self._finish, ended))
            except BaseException:
                self._ended.extendleft(reversed(ended))
                raise
            self._known.difference_update(one.row.key for one in ended)

    def _finish(self, ended: list[Ended], conn: Connection, now: datetime) -> None:
        quota.finish(conn, ended, now, self._content)

    # --- sweeping ------------------------------------------------------------------------

    async def sweep(self) -> None:
        """Find what is due and what somebody who died had in hand."""
        await self._leases.ensure()
        now = self._clock()
        for name in filter(self._leases.held, self._channels):
            found, lost = await asyncio.to_thread(self._look, name, now)
            self.queued(found)
            for row in lost:
                if row.key not in self._known:
                    self._known.add(row.key)
                    outcome = self._channels[name].lost(row, now)
                    self._end(row, outcome, "")
        await self.bulk.sweep()

    def _look(self, name: str, now: datetime) -> tuple[list[Row], list[Row]]:
        with self._db.read() as conn:
            return outbox.due(conn, name, now), outbox.abandoned(conn, name, now)

    async def tidy(self) -> None:
        """End what is past its deadline; look how long things wait and what the month has left;
        drop photos that belong to nobody (any more)."""
        late = await asyncio.to_thread(self._overdue)
        if late:
            await self._dispatcher.run(partial(_expire, late))
        await asyncio.to_thread(self._measure)
        await self._budget.look()
        await asyncio.to_thread(self._drop_photos)

    def _overdue(self) -> list[int]:
        with self._db.read() as conn:
            return outbox.overdue(conn, self._clock())

    def _measure(self) -> None:
        now = self._clock()
        with self._db.read() as conn:
            found = outbox.backlog(conn, self._channels, now)
        metrics.HELD.set(found.held)
        for lane in (*outbox.LANES, "campaign"):
            due = found.oldest.get(lane, now)
            metrics.OLDEST.labels(lane).set((now - due).total_seconds())

    def _drop_photos(self) -> None:
        if not self._photos.is_dir():
            return
        with self._db.read() as conn:
            known = privacy.photo_files(conn)
        before = self._clock().timestamp() - ORPHANED
        for path in self._photos.iterdir():
            if path.name not in known and path.stat().st_mtime < before:
                path.unlink(missing_ok=True)


def _expire(late: list[int], conn: Connection, now: datetime) -> None:
    outbox.expire(conn, late, now)
