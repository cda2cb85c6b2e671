"""The right to send on a channel: held by one process, renewed while it lives."""

import asyncio
import os
import socket
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from uuid import uuid4

import structlog
from sqlalchemy import Connection

from bot import metrics
from bot.dispatch import Dispatcher, Unavailable
from storage import leases

log = structlog.get_logger()

LEASED = ("line", "telegram")
"""Channels with limits that only one process can keep."""
TTL = timedelta(seconds=15)
RENEWED = 5.0
"""Seconds between two renewals."""


class Leases:
    """What this process holds, of the channels that are leased at all."""

    def __init__(self, channels: Iterable[str], clock: Callable[[], datetime]) -> None:
        self.holder = f"{socket.gethostname()[:20]}:{os.getpid()}:{uuid4().hex}"
        self._channels = [name for name in channels if name in LEASED]
        self._clock = clock
        self._until: dict[str, datetime] = {}
        self._dispatcher: Dispatcher

    def start(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher

    def held(self, channel: str) -> bool:
        """As far as this process knows."""
        if channel not in self._channels:
            return True
        until = self._until.get(channel)
        return until is not None and self._clock() < until

    def verify(self, conn: Connection, channel: str, now: datetime) -> bool:
        """For sure, until this transaction ends."""
        return channel not in self._channels or leases.holds(conn, _name(channel), self.holder, now)

    async def ensure(self) -> None:
        """Try for what is not held."""
        if not all(map(self.held, self._channels)):
            await self.renew()

    async def renew(self) -> None:
        for channel, until in (await self._dispatcher.run(self._acquire)).items():
            if (until is not None) != (channel in self._until):
                log.info("lease", channel=channel, held=until is not None)
            metrics.LEASE.labels(channel).set(int(until is not None))
            self._until.pop(channel, None)
            if until is not None:
                self._until[channel] = until

    def _acquire(self, conn: Connection, now: datetime) -> dict[str, datetime | None]:
        return {
            name: now + TTL if leases.acquire(conn, _name(name), self.holder, now, TTL) else None
            for name in self._channels
        }

    async def keep(self) -> None:
        """Renew for ever."""
        while True:
            await asyncio.sleep(RENEWED)
            try:
                await self.renew()
            except Unavailable:
                log.warning("leases not renewed: the database is unavailable")

    async def release(self) -> None:
        """At the end: whoever waits need not wait until they are over."""
        await self._dispatcher.run(self._release)
        self._until.clear()

    def _release(self, conn: Connection, now: datetime) -> None:
        for channel in self._channels:
            leases.release(conn, _name(channel), self.holder)


def _name(channel: str) -> str:
    return f"send:{channel}"
