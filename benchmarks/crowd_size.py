"""(d) What a turn costs among few learners and among very many."""

import itertools
import random
import statistics
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta

from sqlalchemy import text

from bot.app import pack
from bot.service import settle
from content.load import load
from content.schema import Content
from flows.types import Said
from storage import turns
from storage.database import Database
from storage.migrate import migrate
from storage.wire import Incoming

BATCH = 64
PATTERNS = 100
"""Learners who really walk, and whose states and facts the others have, too."""
DEPTH = 40
"""Turns they take: into the lessons."""


class Place:
    """A database with so many learners, and turns taken in it."""

    def __init__(self, url: str, content: Content) -> None:
        self.db = Database(url)
        self._content = content
        self._event = itertools.count(1)
        self.learners = PATTERNS

    def fill(self, learners: int) -> None:
        """Everybody is somewhere on the path, with what they answered and what they were sent."""
        migrate(self.db)
        for _ in range(DEPTH):
            for start in range(0, PATTERNS, BATCH):
                self.take(range(start, min(start + BATCH, PATTERNS)))
        self.learners = learners
        with self.db.write() as conn:
            for statement in _COPY:
                conn.execute(text(statement), {"patterns": PATTERNS, "copies": learners})
            if not self.db.sqlite:
                for table in ("learners", "outbox", "facts"):
                    move = f"select setval(pg_get_serial_sequence('{table}', 'id'), max(id))"
                    conn.execute(text(f"{move} from {table}"))
        if self.db.sqlite:
            self.db.checkpoint()
        else:
            with self.db.writer.connect() as conn:
                conn.execution_options(isolation_level="AUTOCOMMIT")
                conn.execute(text("vacuum analyze"))
                conn.execute(text("checkpoint"))

    def take(self, learners: Iterator[int] | range) -> None:
        """One batch, as the dispatcher takes it."""
        now = datetime.now(UTC)
        batch = [self._incoming(number, now) for number in learners]
        with self.db.write() as conn:
            turns.take(conn, batch, now, self._content, pack)

    def _incoming(self, learner: int, now: datetime) -> Incoming:
        event = next(self._event)
        until = now + timedelta(seconds=50)
        said = Said("1", f"{event:018d}", now)
        ids = f"01K{event:023d}", f"U{learner:032d}"
        return Incoming("line", "bot", *ids, said, now, f"{event:032x}", until)

    def turn_cost(self, batches: int) -> float:
        """Seconds for a turn, commit included, of learners taken at random."""
        began = time.perf_counter()
        for _ in range(batches):
            self.take(iter(random.sample(range(self.learners), BATCH)))
        return (time.perf_counter() - began) / batches / BATCH


_NUMBERS = (
    "with recursive numbers(n) as (select :patterns union all select n + 1 from numbers "
    "where n + 1 < :copies) "
)
_COPY = (
    _NUMBERS
    + "insert into learners (id, created_at, channel, address, state) "
    + "select n + 1, old.created_at, old.channel, 'U' || substr('{zeros}' || n, -32), old.state "
    + "from numbers join learners old on old.id = n % :patterns + 1",
)
