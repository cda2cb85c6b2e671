"""The simulations that officers have open: few, in the memory of this process, and not for long."""

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import TypeVar

from msgspec import Struct, field

from bot.simulation import Simulation, Start, Story
from content.load import load_demo
from content.schema import Content, Demo
from storage.database import Memory
from storage.migrate import migrate

T = TypeVar("T")
MOST = 24
"""Simulations at a time, of all officers; each may have EACH. The one that rested longest goes."""
EACH = 3
IDLE = 30 * 60.0
"""Seconds of rest after which one ends."""
STORIES = 16
"""Beginnings that are kept, so that whoever begins alike need not wait for the walk."""
PATIENCE = 20.0
"""Seconds to wait for other officers' walks."""


class Busy(Exception):
    """Others are just making theirs."""


class Over(Exception):
    """It has ended: by its owner, for want of room, or because nobody used it."""


class Held(Struct):
    """A simulation, whose it is, and how often something was done in it."""

    id: str
    owner: int
    simulation: Simulation
    seen: float
    version: int = 0
    gone: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)


class Simulations:
    """Begins, finds and ends them. For any thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._held: dict[str, Held] = {}
        self._stories: OrderedDict[tuple[int, Start], tuple[Content, Story]] = OrderedDict()
        self._lock = threading.Lock()
        self._walking = threading.Lock()
        """One walk at a time: it takes the interpreter from the service."""

    @cached_property
    def agency(self) -> Demo:
        return load_demo()

    @cached_property
    def _empty(self) -> bytes:
        """A database with our tables and nothing in them."""
        db = Memory()
        try:
            migrate(db)
            return db.image()
        finally:
            db.close()

    def begin(self, owner: int, content: Content, start: Start, budget: int | None) -> Held:
        """Another simulation of somebody's. It takes about a second, and no time where the same
        beginning was made lately."""
        story = self._story(content, start)
        made = Simulation(content, self.agency, start, b"", story)
        made.budget = budget
        held = Held(secrets.token_urlsafe(12), owner, made, self._clock())
        with self._lock:
            mine = [each for each in self._held.values() if each.owner == owner]
            for each in self._surplus(mine, EACH) + self._surplus(self._held.values(), MOST):
                self._drop(each)
            self._held[held.id] = held
        return held

    def _story(self, content: Content, start: Start) -> Story:
        if not self._walking.acquire(timeout=PATIENCE):
            raise Busy
        try:
            key = (id(content), start)
            if key not in self._stories:
                made = Simulation(content, self.agency, start, self._empty)
                try:
                    made.walk()
                    self._stories[key] = (content, made.freeze())
                finally:
                    made.close()
            self._stories.move_to_end(key)
            while len(self._stories) > STORIES:
                self._stories.popitem(last=False)
            return self._stories[key][1]
        finally:
            self._walking.release()

    def _surplus(self, held: Iterable[Held], most: int) -> list[Held]:
        """The ones that rested longest, so that there is room for one more."""
        oldest = sorted(held, key=lambda each: each.seen)
        return oldest[: max(0, len(oldest) - most + 1)]

    def find(self, id: str, owner: int) -> Held | None:
        """One's own, if it is still there."""
        with self._lock:
            self._sweep()
            held = self._held.get(id)
            if held is None or held.owner != owner:
                return None
            held.seen = self._clock()
            return held

    def use(self, held: Held, do: Callable[[Simulation], T]) -> T:
        """Do something in it that nobody disturbs; raise `Over` where it has ended meanwhile."""
        with held.lock:
            if held.gone:
                raise Over
            try:
                return do(held.simulation)
            finally:
                if held.gone:
                    held.simulation.close()

    def of(self, owner: int) -> list[Held]:
        """One's own, the newest first."""
        with self._lock:
            self._sweep()
            mine = [each for each in self._held.values() if each.owner == owner]
        return sorted(mine, key=lambda each: -each.seen)

    def end(self, id: str, owner: int) -> None:
        with self._lock:
            held = self._held.get(id)
            if held is not None and held.owner == owner:
                self._drop(held)

    def _sweep(self) -> None:
        late = self._clock() - IDLE
        for held in [each for each in self._held.values() if each.seen < late]:
            self._drop(held)

    def _drop(self, held: Held) -> None:
        """Forget it, and free its memory; who is just at it does that when they are done."""
        self._held.pop(held.id, None)
        held.gone = True
        if held.lock.acquire(blocking=False):
            held.simulation.close()
            held.lock.release()
