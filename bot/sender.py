"""Sends what the turns have queued: claimed first, one platform request at a time, in order
for each learner; what a crash or a platform left behind is found again by sweeping."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Protocol
from uuid import uuid4

import structlog
from sqlalchemy import Connection

from bot import metrics
from bot.dispatch import Dispatcher, Unavailable
from storage import outbox, privacy
from storage.database import Database
from storage.outbox import Ended
from storage.wire import Outcome, Row

log = structlog.get_logger()

CLAIMS = 128
"""Rows in one claim, and outcomes in one note."""
IN_FLIGHT = 64
"""Requests under way at a time, on each channel."""
ORPHANED = 3600.0
"""Seconds that a photo may wait for the turn that speaks of it."""
CALL_LIMIT = 20.0
"""Seconds after which an attempt counts as lost, whatever the platform's library does."""


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
        photos: Path,
        clock: Callable[[], datetime],
    ) -> None:
        self._db = db
        self._channels = channels
        self._photos = photos
        self._clock = clock
        self._dispatcher: Dispatcher
        self._waiting: deque[Row] = deque()
        self._ended: deque[Ended] = deque()
        self._known: set[str] = set()
        """Keys that this process has in hand: a sweep leaves them alone."""
        self._lines: dict[tuple[str, str], deque[Row]] = {}
        self._frozen: dict[str, datetime] = {}
        self._gates = {name: asyncio.Semaphore(IN_FLIGHT) for name in channels}
        self._claim_due, self._note_due = asyncio.Event(), asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loops: list[asyncio.Task[None]] = []

    def start(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self._loops = [
            asyncio.create_task(self._forever(self._claim_due, self._claim)),
            asyncio.create_task(self._forever(self._note_due, self._note)),
        ]

    async def stop(self, patience: float = 10.0) -> None:
        """Claim no more; let what is in flight end, and note how it did."""
        self._loops[0].cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=patience)
        self._loops[1].cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)
        while self._ended:
            await self._note()

    def queued(self, rows: list[Row]) -> None:
        """Rows that were just committed, or that a sweep found."""
        mine = [r for r in rows if r.channel in self._channels and r.key not in self._known]
        self._known.update(row.key for row in mine)
        self._waiting.extend(mine)
        if mine:
            self._claim_due.set()

    async def _forever(self, due: asyncio.Event, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            await due.wait()
            due.clear()
            try:
                await work()
            except Unavailable:
                await asyncio.sleep(1)  # never send what cannot be recorded
                due.set()

    # --- claiming ------------------------------------------------------------------------

    async def _claim(self) -> None:
        while self._waiting:
            rows = [self._waiting.popleft() for _ in range(min(CLAIMS, len(self._waiting)))]
            try:
                got = await self._dispatcher.run(partial(_claimed, [row.key for row in rows]))
            except BaseException:
                self._waiting.extendleft(reversed(rows))
                raise
            for row in rows:
                if row.key in got:
                    self._line_up(row)
                else:
                    self._known.discard(row.key)

    def _line_up(self, row: Row) -> None:
        """Requests to one address leave one after another."""
        to = (row.channel, row.address)
        if to in self._lines:
            self._lines[to].append(row)
            return
        self._lines[to] = deque([row])
        task = asyncio.create_task(self._serve(to))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, to: tuple[str, str]) -> None:
        line = self._lines[to]
        held: Outcome | None = None
        try:
            while line:
                row = line.popleft()
                # behind a request that must wait, all wait: order is part of the message
                outcome, file = (held, "") if held else await self._attempt(row)
                if outcome.status == "retry":
                    held = Outcome("retry", "behind", wait=outcome.wait)
                self._end(row, outcome, file)
        finally:
            del self._lines[to]

    # --- attempting ----------------------------------------------------------------------

    async def _attempt(self, row: Row) -> tuple[Outcome, str]:
        now = self._clock()
        frozen = self._frozen.get(row.channel)
        if frozen and now < frozen:
            return Outcome("retry", "frozen", wait=(frozen - now).total_seconds()), ""
        channel = self._channels[row.channel]
        try:
            async with self._gates[row.channel], asyncio.timeout(CALL_LIMIT):
                if row.lane == "fetch":
                    outcome, data = await channel.fetch(row)
                    file = self._keep(row, data) if outcome.status == "accepted" else ""
                else:
                    outcome, file = await channel.send(row), ""
        except Exception as error:
            # a bug or a hung library: what left us is not known
            log.error("send failed", channel=row.channel, error=type(error).__name__)
            return channel.lost(row, self._clock()), ""
        self._heed(row, outcome)
        return outcome, file

    def _heed(self, row: Row, outcome: Outcome) -> None:
        """Stop a channel whose platform says so."""
        metrics.HALTED.labels(row.channel).set(int(outcome.halt))
        seconds = max(outcome.freeze, outcome.wait if outcome.halt else 0.0)
        if outcome.halt:
            log.error("channel halted: its credentials are refused", channel=row.channel)
        if seconds:
            self._frozen[row.channel] = self._clock() + timedelta(seconds=seconds)

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
            ended = [self._ended.popleft() for _ in range(min(CLAIMS, len(self._ended)))]
            try:
                await self._dispatcher.run(partial(_finish, ended))
            except BaseException:
                self._ended.extendleft(reversed(ended))
                raise
            self._known.difference_update(one.row.key for one in ended)

    # --- sweeping ------------------------------------------------------------------------

    async def sweep(self) -> None:
        """Find what is due and what somebody who died had in hand."""
        now = self._clock()
        for name in self._channels:
            found, lost = await asyncio.to_thread(self._look, name, now)
            self.queued(found)
            for row in lost:
                if row.key not in self._known:
                    self._known.add(row.key)
                    outcome = self._channels[name].lost(row, now)
                    self._end(row, outcome, "")

    def _look(self, name: str, now: datetime) -> tuple[list[Row], list[Row]]:
        with self._db.read() as conn:
            return outbox.due(conn, name, now), outbox.abandoned(conn, name, now)

    async def tidy(self) -> None:
        """End what is past its deadline; drop photos that belong to nobody (any more)."""
        await self._dispatcher.run(outbox.expire)
        await asyncio.to_thread(self._drop_photos)

    def _drop_photos(self) -> None:
        if not self._photos.is_dir():
            return
        with self._db.read() as conn:
            known = privacy.photo_files(conn)
        before = self._clock().timestamp() - ORPHANED
        for path in self._photos.iterdir():
            if path.name not in known and path.stat().st_mtime < before:
                path.unlink(missing_ok=True)


def _claimed(keys: list[str], conn: Connection, now: datetime) -> set[str]:
    return outbox.claim(conn, keys, now)


def _finish(ended: list[Ended], conn: Connection, now: datetime) -> None:
    outbox.finish(conn, ended, now)
