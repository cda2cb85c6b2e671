"""The writer: one thread that takes waiting turns, up to 64 a transaction, and commits them
before anybody is told that they are done."""

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, TypeVar

import structlog
from msgspec import Struct, field
from sqlalchemy import Connection

from bot import metrics
from content.schema import Content
from storage import turns
from storage.database import DOWN, Database
from storage.requests import Pack
from storage.turns import Work
from storage.wire import Incoming, Row

T = TypeVar("T")
log = structlog.get_logger()

MOST = 64
"""Events in one transaction."""
PATIENCE = 0.005
"""Seconds that a transaction may wait for more events."""


class Unavailable(Exception):
    """The database cannot be written to just now; nothing was accepted."""


def _future() -> asyncio.Future[Any]:
    return asyncio.get_running_loop().create_future()


class _Item(Struct):
    """Something that waits for the writer: events of one delivery, or a job."""

    events: Sequence[Incoming] = ()
    job: Callable[[Connection, datetime], Any] | None = None
    future: asyncio.Future[Any] = field(default_factory=_future)


class Dispatcher:
    """Hands events and jobs to the writer thread; `submit` and `run` return after the commit."""

    def __init__(
        self,
        db: Database,
        content: Content,
        pack: Pack,
        clock: Callable[[], datetime],
        queued: Callable[[list[Row]], None],
    ) -> None:
        self._db = db
        self._content = content
        self._pack = pack
        self._clock = clock
        self._queued = queued
        self._waiting: deque[_Item] = deque()
        self._due = asyncio.Event()
        self._writer: ThreadPoolExecutor
        self._feeding: asyncio.Task[None] | None = None
        self._stopping = False
        self._look: Callable[[Connection], None] | None = None
        self.batches = 0
        """Batches that have ended, well or badly."""

    def use(self, content: Content) -> None:
        """Take the turns of the next batch with this content; one that has begun ends as it was."""
        self._content = content

    def watch(self, look: Callable[[Connection], None]) -> None:
        """Let somebody look, at the beginning of each batch, whether there is other content: else
        a learner might come here from a process that has it already."""
        self._look = look

    def start(self) -> None:
        self._writer = ThreadPoolExecutor(1, "writer")
        self._stopping = False
        self._feeding = asyncio.create_task(self._feed())

    async def stop(self) -> None:
        """Finish what waits, then end the thread."""
        self._stopping = True
        self._due.set()
        if self._feeding is not None:
            await self._feeding
            self._writer.shutdown()

    @property
    def alive(self) -> bool:
        return self._feeding is not None and not self._feeding.done()

    @property
    def busy(self) -> bool:
        """Somebody waits to be answered."""
        return any(item.events for item in tuple(self._waiting))

    async def submit(self, events: Sequence[Incoming]) -> None:
        """Take the turns of these events; return once all are on disk. Very many are taken in
        several transactions, so that nobody waits behind all of them."""
        for at in range(0, len(events), MOST):
            await self._put(_Item(events[at : at + MOST]))

    async def run(self, job: Callable[[Connection, datetime], T]) -> T:
        """Run a small write in the same queue, behind the events that wait."""
        result: T = await self._put(_Item(job=job))
        return result

    async def _put(self, item: _Item) -> Any:
        self._waiting.append(item)
        self._due.set()
        return await item.future

    async def _feed(self) -> None:
        """Send the writer to work whenever something waits."""
        loop = asyncio.get_running_loop()
        while self._waiting or not self._stopping:
            if self._waiting:
                await self._gathered()
                await loop.run_in_executor(self._writer, self._write, loop)
            else:
                self._due.clear()
                await self._due.wait()

    async def _gathered(self) -> None:
        """Wait a moment until the loop brings nothing more: the writer is faster when the loop
        is at rest, for only one of the two can hold the interpreter."""
        before, until = 0, time.monotonic() + PATIENCE
        while before < len(self._waiting) < MOST and time.monotonic() < until:
            before = len(self._waiting)
            await asyncio.sleep(0)
            await asyncio.sleep(0)

    # --- the writer thread ---------------------------------------------------------------

    def _write(self, loop: asyncio.AbstractEventLoop) -> None:
        """One batch, and then those that are full already."""
        batch = self._batch()
        while batch:
            try:
                answers, rows = self._commit(batch)
            except Exception as error:
                log.error("writer failed", error=type(error).__name__)
                answers, rows = [(item, _unavailable(error)) for item in batch], []
            self.batches += 1
            loop.call_soon_threadsafe(self._tell, answers, rows)
            batch = self._batch() if len(self._waiting) >= MOST else []

    def _batch(self) -> list[_Item]:
        batch: list[_Item] = []
        count = 0
        while self._waiting and count < MOST:
            batch.append(self._waiting.popleft())
            count += len(batch[-1].events) or 1
        return batch

    def _commit(self, batch: list[_Item]) -> tuple[list[tuple[_Item, Any]], list[Row]]:
        """All of it in one transaction; if one spoils it, each by itself."""
        try:
            return self._together(batch)
        except DOWN as error:
            self._db.writer.dispose()
            raise Unavailable from error
        except Exception as error:
            if len(batch) > 1 or len(batch[0].events) > 1:
                log.info("batch redone one by one", cause=type(error).__name__)
            return self._one_by_one(batch)

    def _together(self, batch: list[_Item]) -> tuple[list[tuple[_Item, Any]], list[Row]]:
        now = self._clock()
        events = [event for item in batch for event in item.events]
        with self._db.write() as conn:
            content = self._fresh(conn)
            work = turns.take(conn, events, now, content, self._pack) if events else Work()
            answers = [(item, item.job(conn, now) if item.job else None) for item in batch]
        self._count(events, work)
        return answers, work.queued

    def _fresh(self, conn: Connection) -> Content:
        if self._look is not None:
            self._look(conn)
        return self._content

    def _one_by_one(self, batch: list[_Item]) -> tuple[list[tuple[_Item, Any]], list[Row]]:
        answers: list[tuple[_Item, Any]] = []
        rows: list[Row] = []
        for item in batch:
            try:
                if item.job:
                    with self._db.write() as conn:
                        answers.append((item, item.job(conn, self._clock())))
                    continue
                for event in item.events:
                    rows += self._alone(event)
                answers.append((item, None))
            except DOWN as error:
                self._db.writer.dispose()
                answers.append((item, _unavailable(error)))
            except Exception as error:
                answers.append((item, error))
        return answers, rows

    def _alone(self, event: Incoming) -> list[Row]:
        work = take_alone(self._db, event, self._clock(), self._fresh, self._pack)
        self._count([event], work)
        return work.queued

    def _count(self, events: Sequence[Incoming], work: Work) -> None:
        for channel, count in Counter(event.channel for event in events).items():
            metrics.RECEIVED.labels(channel).inc(count)
        metrics.DUPLICATES.inc(work.duplicates)
        if work.parked:
            metrics.PARKED.inc(len(work.parked))
            for row in work.parked:
                log.error("event parked", channel=row["channel"], error=row["error"])

    # --- back on the event loop ----------------------------------------------------------

    def _tell(self, answers: list[tuple[_Item, Any]], rows: list[Row]) -> None:
        """Answer those who wait, and hand over what is to be sent."""
        for item, answer in answers:
            if item.future.done():
                continue
            if isinstance(answer, Exception):
                item.future.set_exception(answer)
            else:
                item.future.set_result(answer)
        if rows:
            self._queued(rows)


def _unavailable(error: Exception) -> Exception:
    return error if isinstance(error, Unavailable) else Unavailable(type(error).__name__)


def take_alone(
    db: Database,
    event: Incoming,
    now: datetime,
    content: Callable[[Connection], Content],
    pack: Pack,
) -> Work:
    """The turn of one event by itself, with what holds at that moment; if it fails, it is parked
    in a transaction of its own."""
    try:
        with db.write() as conn:
            return turns.take(conn, [event], now, content(conn), pack)
    except DOWN:
        raise
    except Exception as error:
        cause = error.__cause__ if isinstance(error, turns.Redo) else error
        with db.write() as conn:
            return turns.park_alone(conn, event, cause or error, now, content(conn), pack)
