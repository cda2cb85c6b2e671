"""The month's budget of LINE messages: what LINE has counted, what is still to come."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol, runtime_checkable

import structlog

from bot import metrics
from bot.dispatch import Dispatcher
from content.schema import Content
from flows.types import Purpose
from storage import quota
from storage.database import Database
from storage.quota import Terms

log = structlog.get_logger()

ASKED = timedelta(hours=1)
"""How often LINE is asked for its count."""


@runtime_checkable
class Counted(Protocol):
    """A channel that is paid for by the message."""

    async def quota(self) -> tuple[int | None, int]:
        """Messages that this month may have (None: any number), and those it has had."""


class Budget:
    """Keeps our count beside LINE's. Planning is `flows.quota`; this knows when to look."""

    def __init__(
        self,
        db: Database,
        channel: object,
        content: Content,
        clock: Callable[[], datetime],
        safety: float,
    ) -> None:
        self._db = db
        self._channel = channel if isinstance(channel, Counted) else None
        self.content = content
        self._clock = clock
        self._safety = safety
        self._ahead: dict[Purpose, int] = {}
        self._asked: datetime | None = None
        self._refused = False
        self._dispatcher: Dispatcher

    def start(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher

    def terms(self) -> Terms:
        return Terms(self.content, tuple(self._ahead.items()), self._safety)

    def spent(self, taken: Mapping[Purpose, int]) -> None:
        """Was to come, and is counted now."""
        for purpose, n in taken.items():
            self._ahead[purpose] = max(0, self._ahead.get(purpose, 0) - n)

    def refused(self) -> None:
        """LINE says that the month's messages are used up: ask it for its count, and take it."""
        self._refused = True
        self._asked = None

    async def look(self) -> None:
        """Look ahead again; ask LINE when it is time."""
        if self._channel is None:
            return
        self._ahead = dict(await asyncio.to_thread(self._forecast))
        now = self._clock()
        if self._asked is None or now - self._asked >= ASKED:
            await self._ask(self._channel)
            self._asked = now

    def _forecast(self) -> list[tuple[Purpose, int]]:
        with self._db.read() as conn:
            return quota.forecast(conn, self._clock(), self.content)

    async def _ask(self, channel: Counted) -> None:
        try:
            most, told = await channel.quota()
        except Exception as error:
            log.warning("LINE does not tell its count", error=type(error).__name__)
            return
        correct, self._refused = self._refused, False
        note = partial(quota.store, most=most, told=told, correct=correct)
        difference = await self._dispatcher.run(lambda conn, now: note(conn, now=now))
        metrics.QUOTA_LEFT.set(-1 if most is None else most - told)
        metrics.QUOTA_DIFFERENCE.set(difference)
        if difference:
            log.warning("LINE has counted otherwise", ours_less_theirs=difference)
