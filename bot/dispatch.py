"""The writer: one thread that takes waiting turns, up to 64 a transaction, and commits them
before anybody is told that they are done."""

import asyncio
import queue
import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar

import structlog
from msgspec import Struct
from sqlalchemy import Connection
from sqlalchemy.exc import InterfaceError, OperationalError

from bot import metrics
from content.schema import Content
from storage import turns
from storage.database import Database
from storage.turns import Pack, Work
from storage.wire import Incoming, Row

T = TypeVar("T")
log = structlog.get_logger()

MOST = 64
"""Events in one transaction."""
DOWN = (OperationalError, InterfaceError)
"""Failures of the database, not of what was written."""


class Unavailable(Exception):
    """The database cannot be written to just now; nothing was accepted."""


class _Item(Struct):
    """Something that waits for the writer: events of one delivery, or a job."""

    future: asyncio.Future[Any]
    events: Sequence[Incoming] = ()
    job: Callable[[Connection, datetime], Any] | None = None


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
        self._items: queue.SimpleQueue[_Item | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._write, name="writer", daemon=True)
        self._thread.start()

    async def stop(self) -> None:
        """Finish what waits, then end the thread."""
        self._items.put(None)
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)

    @property
    def alive(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    async def submit(self, events: Sequence[Incoming]) -> None:
        """Take the turns of these events; return once all are on disk. Very many are taken in
        several transactions, so that nobody waits behind all of them."""
        for at in range(0, len(events), MOST):
            await self._put(_Item(self._future(), events[at : at + MOST]))

    async def run(self, job: Callable[[Connection, datetime], T]) -> T:
        """Run a small write in the same queue, behind the events that wait."""
        result: T = await self._put(_Item(self._future(), job=job))
        return result

    def _future(self) -> asyncio.Future[Any]:
        assert self._loop is not None, "start the dispatcher first"
        return self._loop.create_future()

    async def _put(self, item: _Item) -> Any:
        self._items.put(item)
        return await item.future

    # --- the writer thread ---------------------------------------------------------------

    def _write(self) -> None:
        while True:
            batch = self._batch()
            if batch is None:
                return
            try:
                answers, rows = self._commit(batch)
            except Exception as error:
                log.error("writer failed", error=type(error).__name__)
                answers, rows = [(item, _unavailable(error)) for item in batch], []
            assert self._loop is not None
            self._loop.call_soon_threadsafe(self._tell, answers, rows)

    def _batch(self) -> list[_Item] | None:
        """Wait for one item, then take what has gathered behind it."""
        first = self._items.get()
        if first is None:
            return None
        batch, count = [first], len(first.events)
        while count < MOST:
            try:
                item = self._items.get_nowait()
            except queue.Empty:
                break
            if item is None:
                self._items.put(None)
                break
            batch.append(item)
            count += len(item.events) or 1
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
            work = turns.take(conn, events, now, self._content, self._pack) if events else Work()
            answers = [(item, item.job(conn, now) if item.job else None) for item in batch]
        self._count(events, work)
        return answers, work.queued

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
        """One event by itself; if it still fails, it is parked in a transaction of its own."""
        now = self._clock()
        try:
            with self._db.write() as conn:
                work = turns.take(conn, [event], now, self._content, self._pack)
        except DOWN:
            raise
        except Exception as error:
            cause = error.__cause__ if isinstance(error, turns.Redo) else error
            with self._db.write() as conn:
                work = turns.park_alone(conn, event, cause or error, now, self._content, self._pack)
        self._count([event], work)
        return work.queued

    def _count(self, events: Sequence[Incoming], work: Work) -> None:
        for event in events:
            metrics.RECEIVED.labels(event.channel).inc()
        metrics.DUPLICATES.inc(work.duplicates)
        if work.parked:
            metrics.PARKED.inc(len(work.parked))
            for row in work.parked:
                log.error("event parked", channel=row["channel"], error=row["error"])

    def _tell(self, answers: list[tuple[_Item, Any]], rows: list[Row]) -> None:
        """Back on the event loop: answer those who wait, and hand over what is to be sent."""
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
