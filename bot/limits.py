"""How fast a channel may be used: buckets of our own, on a clock that only goes forward, and the
windows in which a platform wants to hear nothing."""

import asyncio
import time
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from bot import metrics
from storage.wire import Outcome

log = structlog.get_logger()
Clock = Callable[[], float]

TOP = 0.05
"""What nobody asked for may use only so much of a bucket; the rest is kept for answers."""
CHAT = 1.0
"""Seconds between an unasked message and the one before it, in one chat."""
LATELY = 3.0
"""Whoever was sent one message in so many seconds is not the one that was sent too many."""
CROWD = 4096
"""How many chats are remembered."""


class Bucket:
    """Holds a second's worth of requests, and fills at `rate` a second."""

    def __init__(self, rate: float, clock: Clock = time.monotonic) -> None:
        self._rate = rate
        self._clock = clock
        self._most = max(1.0, rate)
        self._top = max(self._most - max(1.0, rate * TOP), 1.0)
        self._level, self._at = self._most, clock()

    def take(self, *, top: bool = False) -> float:
        """Take one: 0, or the seconds until there may be one. With `top` only while the bucket
        is all but full."""
        now = self._clock()
        self._level = min(self._most, self._level + (now - self._at) * self._rate)
        self._at = now
        missing = (self._top if top else 1.0) - self._level
        if missing > 1e-6:
            return missing / self._rate
        self._level -= 1.0
        return 0.0

    async def turn(self) -> None:
        """Wait for one."""
        while wait := self.take():
            await asyncio.sleep(wait)


class Pace:
    """Telegram's limits: the whole bot's, each chat's, and the windows after a 429.

    Answers go first and may use a second's worth at once; what nobody asked for is spread
    evenly, waits while the bucket is not full, and leaves a second between two in one chat.
    """

    def __init__(self, rate: float, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._bucket = Bucket(rate, clock)
        self._sent: dict[str, tuple[float, float]] = {}
        """By chat: when the last message left, and the one before."""
        self._closed: dict[str, float] = {}
        """By chat: until when it must be left alone."""
        self._all_closed = 0.0

    async def turn(self, chat: str, *, answers: bool) -> float:
        """Wait for this chat's turn: 0 when the request may leave now, else the seconds of a
        window in which it must not."""
        while not (closed := self.closed(chat)):
            wait = 0.0 if answers else self._spacing(chat)
            wait = wait or self._bucket.take(top=not answers)
            if not wait:
                self._note(chat)
                return 0.0
            await asyncio.sleep(wait)
        return closed

    def closed(self, chat: str) -> float:
        """Seconds for which this chat must be left alone, or all of them."""
        until = max(self._all_closed, self._closed.get(chat, 0.0))
        return max(0.0, until - self._clock())

    def close(self, chat: str, seconds: float) -> bool:
        """The platform was asked too often; whether by the bot as a whole. It does not say: it
        was, if this chat was sent only one message lately, or if another one is closed, too."""
        now = self._clock()
        last, before = self._sent.get(chat, (now, -LATELY))
        others = any(until > now for name, until in self._closed.items() if name != chat)
        everyone = others or last - before >= LATELY
        if everyone:
            self._all_closed = max(self._all_closed, now + seconds)
        self._closed[chat] = now + seconds
        return everyone

    def _spacing(self, chat: str) -> float:
        last, _ = self._sent.get(chat, (-CHAT, 0.0))
        return max(0.0, last + CHAT - self._clock())

    def _note(self, chat: str) -> None:
        now = self._clock()
        last, _ = self._sent.get(chat, (-LATELY, 0.0))
        self._sent[chat] = (now, last)
        if len(self._sent) > CROWD:
            self._sent = {k: v for k, v in self._sent.items() if now - v[0] < LATELY}
            self._closed = {k: until for k, until in self._closed.items() if until > now}


class Halts:
    """Channels that must be left alone for a time, by the clock of the service."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._until: dict[str, datetime] = {}

    def left(self, channel: str) -> float:
        """Seconds for which nothing may leave."""
        until = self._until.get(channel)
        return max(0.0, (until - self._clock()).total_seconds()) if until else 0.0

    def heed(self, channel: str, outcome: Outcome) -> None:
        """Stop a channel whose platform says so."""
        metrics.HALTED.labels(channel).set(int(outcome.halt))
        seconds = max(outcome.freeze, outcome.wait if outcome.halt else 0.0)
        if outcome.halt:
            log.error("channel halted: its credentials are refused", channel=channel)
        if seconds:
            self._until[channel] = self._clock() + timedelta(seconds=seconds)
            metrics.THROTTLED.labels(channel).inc(seconds)
