"""(d) What a turn costs among few learners and among very many."""

import itertools
import random
import time
from collections.abc import Iterable
from contextlib import closing
from datetime import UTC, datetime, timedelta

from sqlalchemy import select, text

from bot.app import pack
from bot.service import settle
from content.load import load
from content.schema import Content
from flows.types import Said
from storage import turns
from storage.database import Database
from storage.many import update_many
from storage.migrate import migrate
from storage.models import learners as table
from storage.wire import Incoming

Costs = list[tuple[float, float]]

BATCH = 64
PATTERNS = 100
"""Learners who really walk, and whose states and facts the others have, too."""
DEPTH = 40
"""Turns they take: into the lessons."""
PREFIX = "U" + 22 * "0"
FIRST = 1_000_000_000


class Place:
    """A database with so many learners, and turns taken in it."""

    def __init__(self, url: str, content: Content) -> None:
        self.db = Database(url)
        self._content = content
        self._event = itertools.count(1)
        self.learners = PATTERNS
        self._states: list[str] = []

    def fill(self, learners: int) -> None:
        """Everybody is somewhere on the path, with what they answered and what they were sent."""
        migrate(self.db)
        for _ in range(DEPTH):
            for start in range(0, PATTERNS, BATCH):
                self.take(range(start, min(start + BATCH, PATTERNS)))
        self.learners = learners
        with self.db.write() as conn:
            self._states = list(conn.execute(select(table.c.state).order_by(table.c.id)).scalars())
            for statement in _COPY:
                conn.execute(text(statement), {"patterns": PATTERNS, "copies": learners})
            if not self.db.sqlite:
                for name in ("learners", "outbox", "facts"):
                    move = f"select setval(pg_get_serial_sequence('{name}', 'id'), max(id))"
                    conn.execute(text(f"{move} from {name}"))
        if self.db.sqlite:
            self.db.checkpoint()
        else:
            with self.db.writer.connect() as conn:
                conn.execution_options(isolation_level="AUTOCOMMIT")
                conn.execute(text("vacuum analyze"))
                conn.execute(text("checkpoint"))

    def close(self) -> None:
        self.db.close()

    def take(self, learners: Iterable[int]) -> None:
        """One batch, as the dispatcher takes it."""
        now = datetime.now(UTC)
        batch = [self._incoming(number, now) for number in learners]
        with self.db.write() as conn:
            turns.take(conn, batch, now, self._content, pack)

    def _incoming(self, learner: int, now: datetime) -> Incoming:
        event = next(self._event)
        until = now + timedelta(seconds=50)
        said = Said("1", f"{event:018d}", now)
        ids = f"01K{event:023d}", PREFIX + str(FIRST + learner)
        return Incoming("line", "bot", *ids, said, now, f"{event:032x}", until)

    def turn_cost(self, batches: int) -> float:
        """Seconds for a turn, commit included, of learners taken at random."""
        chosen = [random.sample(range(self.learners), BATCH) for _ in range(batches)]
        began = time.perf_counter()
        for learners in chosen:
            self.take(learners)
        cost = (time.perf_counter() - began) / batches / BATCH
        self._rewind({learner for learners in chosen for learner in learners})
        return cost

    def _rewind(self, learners: Iterable[int]) -> None:
        """Back to where they were: a small crowd must not get further than a large one."""
        states = [{"id": n + 1, "state": self._states[n % PATTERNS]} for n in learners]
        with self.db.write() as conn:
            update_many(conn, table, states)


_NUMBERS = (
    "with recursive numbers(n) as (select :patterns union all "
    "select n + 1 from numbers where n + 1 < :copies) "
)
_ADDRESS = f"'{PREFIX}' || ({FIRST} + n)"
_LIKE = "from numbers join {0} on {0}.{1} = n % :patterns + 1"
_COPY = (
    "insert into learners (id, created_at, channel, address, state) "
    f"{_NUMBERS} select n + 1, created_at, channel, {_ADDRESS}, state "
    + _LIKE.format("learners", "id"),
    "insert into addresses (channel, address, learner_id, created_at) "
    f"{_NUMBERS} select 'line', {_ADDRESS}, n + 1, 0 from numbers",
    "insert into facts (learner_id, at, kind, data) "
    f"{_NUMBERS} select n + 1, at, kind, data {_LIKE.format('facts', 'learner_id')} "
    "where facts.id % 5 = 0",
    "insert into outbox (key, learner_id, channel, address, lane, payload, created_at, due, "
    "deadline, status, attempts, ended_at) "
    f"{_NUMBERS} select '018f0000-0000-7000-8000-' || ({FIRST} + n), n + 1, 'line', {_ADDRESS}, "
    "'reply', '{}', 0, 0, 0, 'accepted', 1, 0 from numbers",
    "insert into inbox (channel, bot, event_id, at) "
    f"{_NUMBERS} select 'line', 'bot', '01J' || (10 * ({FIRST} + n)), 0 from numbers",
)
"""A million people with the states of the patterns, about four facts each, and one message."""


def compare(small: str, large: str, sizes: tuple[int, int], rounds: int, batches: int) -> Costs:
    """Seconds a turn in both databases, round by round, in turns."""
    content = load()
    settle()
    with closing(Place(small, content)) as few, closing(Place(large, content)) as many:
        for place, learners in zip((few, many), sizes, strict=True):
            place.fill(learners)
            place.turn_cost(batches)  # caches are warm in a service, too
        return [(few.turn_cost(batches), many.turn_cost(batches)) for _ in range(rounds)]
