"""Campaigns on their way out: a pipeline of their own, beside the one for conversations."""

import asyncio
import contextlib
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Protocol, runtime_checkable

import structlog
from sqlalchemy import Connection

from bot import metrics
from bot.budget import Budget
from bot.dispatch import Dispatcher, Unavailable
from bot.leasing import Leases
from bot.limits import Halts
from storage import bulk, outbox, parcels, quota
from storage.bulk import START, Claimed, Found
from storage.database import Database
from storage.outbox import Ended
from storage.parcels import Parcel
from storage.quota import Terms
from storage.wire import Outcome, Row

log = structlog.get_logger()

AT_ONCE = {"line": 2000, "web": 200}
"""Rows in one claim, where it is not the least: some milliseconds of the writer. Where a repeat
is not recognised, what is claimed when we die counts as tried."""
LEAST = 15
IN_FLIGHT = 12
"""Requests under way beyond which nothing more is claimed."""
SINGLES = 64
"""Requests under way at most, on each channel."""
COURTESY = 0.1
"""Seconds that a claim lets turns go before it."""
RECOVERED = timedelta(seconds=30)
"""How often we look for attempts that nobody has ended: it is a long search."""
CALL_LIMIT = 20.0
PAUSE = 1.0
"""Seconds to leave the database alone after it has failed."""


class Channel(Protocol):
    """The sending half of a channel."""

    async def send(self, row: Row) -> Outcome: ...

    def lost(self, row: Row, now: datetime) -> Outcome: ...


@runtime_checkable
class Multicast(Protocol):
    """A channel where one request can go to many."""

    async def multicast(self, row: Row, to: tuple[str, ...]) -> Outcome: ...


class Bulk:
    """Claims rows of campaigns, sends them, and notes how they ended."""

    def __init__(
        self,
        db: Database,
        channels: Mapping[str, Channel],
        clock: Callable[[], datetime],
        halts: Halts,
        leases: Leases,
        budget: Budget,
    ) -> None:
        self._db = db
        self._channels = channels
        self._clock = clock
        self._halts = halts
        self._leases = leases
        self._budget = budget
        self._dispatcher: Dispatcher
        self._due = {name: asyncio.Event() for name in channels}
        self._flying: dict[str, set[asyncio.Task[None]]] = {name: set() for name in channels}
        self._lanes = {name: asyncio.Semaphore(SINGLES) for name in channels}
        self._ended: deque[tuple[Parcel, Outcome]] = deque()
        self._note_due = asyncio.Event()
        self._hands: set[int] = set()
        """Ids of rows that this process has in hand."""
        self._draining: set[str] = set()
        self._recovered: datetime | None = None
        self._loops: list[asyncio.Task[None]] = []
        self._stopping = False

    def start(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self._loops = [asyncio.create_task(self._feed(name)) for name in self._channels]
        self._loops.append(asyncio.create_task(self._keep_noting()))

    async def stop(self, patience: float) -> None:
        """As the sender stops: what is in flight ends and is noted."""
        self._stopping = True
        for event in self._due.values():
            event.set()
        feeding, noting = self._loops[:-1], self._loops[-1]
        if feeding:
            await asyncio.wait(feeding, timeout=patience)
        if flying := set().union(*self._flying.values()):
            await asyncio.wait(flying, timeout=patience)
        for loop in self._loops:
            loop.cancel()
        await asyncio.gather(*feeding, noting, return_exceptions=True)
        with contextlib.suppress(Unavailable):
            await self._note()

    @property
    def alive(self) -> bool:
        return not any(loop.done() for loop in self._loops)

    @property
    def busy(self) -> bool:
        """Something is due, as far as we know, or under way."""
        waits = any(event.is_set() for event in self._due.values())
        return waits or bool(self._draining or self._hands)

    async def sweep(self) -> None:
        """Look again for what is due, and for what somebody who died had in hand."""
        now = self._clock()
        if self._recovered is None or now - self._recovered >= RECOVERED:
            for name in filter(self._leases.held, self._channels):
                await self._recover(name, now)
            self._recovered = now
        for event in self._due.values():
            event.set()

    async def _recover(self, name: str, now: datetime) -> None:
        while True:
            found = await asyncio.to_thread(self._lost, name, now)
            rows = [row for row in found if row.id not in self._hands]
            if not rows:
                return
            outcome = self._channels[name].lost(bulk.probe(name), now)
            await self._dispatcher.run(partial(_recover, rows, outcome))

    def _lost(self, name: str, now: datetime) -> list[Any]:
        with self._db.read() as conn:
            return bulk.abandoned(conn, name, now, AT_ONCE.get(name, LEAST))

    # --- claiming ------------------------------------------------------------------------

    async def _feed(self, name: str) -> None:
        """Whenever something may be due: all of it, as fast as it may go."""
        while not self._stopping:
            await self._due[name].wait()
            self._due[name].clear()
            self._draining.add(name)
            try:
                await self._drain(name)
            except Exception as error:  # never send what cannot be recorded
                if not isinstance(error, Unavailable):
                    log.error("bulk sender failed", error=type(error).__name__)
                await asyncio.sleep(PAUSE)
            finally:
                self._draining.discard(name)
            if left := self._halts.left(name):  # go on in that very moment, not at the next tick
                asyncio.get_running_loop().call_later(left, self._due[name].set)

    async def _drain(self, name: str) -> None:
        after = START
        while self._open(name):
            found = await asyncio.to_thread(self._find, name, after)
            if found.last == after:
                return
            for chunk, due in found.chunks.items():
                await self._claim(name, partial(bulk.again, chunk=chunk, due=due))
            if found.ids:
                await self._claim(name, partial(bulk.claim, ids=found.ids))
            after = found.last

    def _open(self, name: str) -> bool:
        return not self._stopping and self._leases.held(name) and not self._halts.left(name)

    def _find(self, name: str, after: bulk.Cursor) -> Found:
        with self._db.read() as conn:
            return bulk.find(conn, name, self._clock(), after, AT_ONCE.get(name, LEAST))

    async def _claim(self, name: str, take: Callable[..., Claimed]) -> None:
        await self._yield(name)
        if not self._open(name):
            return
        job = partial(self._claimed, name, take, self._budget.terms())
        claimed = await self._dispatcher.run(job)
        self._budget.spent(claimed.taken)
        for parcel in claimed.parcels:
            self._hands.update(parcel.ids)
            task = asyncio.create_task(self._serve(name, parcel))
            self._flying[name].add(task)
            task.add_done_callback(self._flying[name].discard)

    async def _yield(self, name: str) -> None:
        """Let what is in flight land, and turns go first."""
        while len(flying := self._flying[name]) >= IN_FLIGHT and not self._stopping:
            await asyncio.wait(flying, return_when=asyncio.FIRST_COMPLETED)
        for _ in range(20):
            if not self._dispatcher.busy:
                return
            await asyncio.sleep(COURTESY / 20)

    def _claimed(
        self,
        name: str,
        take: Callable[..., Claimed],
        terms: Terms,
        conn: Connection,
        now: datetime,
    ) -> Claimed:
        if not self._leases.verify(conn, name, now):
            return Claimed()
        return take(conn, name, now=now, terms=terms)

    # --- attempting ----------------------------------------------------------------------

    async def _serve(self, name: str, parcel: Parcel) -> None:
        async with self._lanes[name]:
            outcome = await self._attempt(name, parcel)
        metrics.SENDS.labels(name, outcome.status).inc(len(parcel.ids))
        if outcome.reason == "quota":
            self._budget.refused()
        self._ended.append((parcel, outcome))
        self._note_due.set()

    async def _attempt(self, name: str, parcel: Parcel) -> Outcome:
        now = self._clock()
        if left := self._halts.left(name):
            return Outcome("retry", "frozen", wait=left)
        if now + timedelta(seconds=CALL_LIMIT) > parcel.claimed + outbox.LEASE:
            return Outcome("retry", "late")  # another process might soon take it for abandoned
        channel = self._channels[name]
        try:
            async with asyncio.timeout(CALL_LIMIT):
                if parcel.row.chunk and isinstance(channel, Multicast):
                    outcome = await channel.multicast(parcel.row, parcel.to)
                else:
                    outcome = await channel.send(parcel.row)
        except Exception as error:
            log.error("send failed", channel=name, error=type(error).__name__)
            return channel.lost(parcel.row, self._clock())
        self._halts.heed(name, outcome)
        return outcome

    # --- noting --------------------------------------------------------------------------

    async def _keep_noting(self) -> None:
        while True:
            await self._note_due.wait()
            self._note_due.clear()
            try:
                await self._note()
            except Exception as error:
                if not isinstance(error, Unavailable):
                    log.error("bulk sender failed", error=type(error).__name__)
                await asyncio.sleep(PAUSE)
                self._note_due.set()

    async def _note(self) -> None:
        while self._ended:
            ended = [self._ended.popleft() for _ in range(min(SINGLES, len(self._ended)))]
            try:
                await self._dispatcher.run(partial(self._finish, ended))
            except BaseException:
                self._ended.extendleft(reversed(ended))
                raise
            for parcel, _ in ended:
                self._hands.difference_update(parcel.ids)

    def _finish(self, ended: list[tuple[Parcel, Outcome]], conn: Connection, now: datetime) -> None:
        kinds = defaultdict(list)
        for parcel, outcome in ended:
            kinds[bool(parcel.row.chunk)].append((parcel, outcome))
        if kinds[True]:
            parcels.finish(conn, kinds[True], now, self._budget.content)
        if singles := [Ended(parcel.row, outcome) for parcel, outcome in kinds[False]]:
            quota.finish(conn, singles, now, self._budget.content)


def _recover(rows: list[Any], outcome: Outcome, conn: Connection, now: datetime) -> None:
    bulk.recover(conn, rows, outcome, now)
