"""Ends a process that has stopped working without ending: a supervisor starts it anew.

A plain thread, because what it watches may block the event loop itself. It counts its own looks
and not the time: a machine that slept has missed as many looks as beats.
"""

import os
import threading
import time
from collections.abc import Callable, Mapping

import structlog

log = structlog.get_logger()

EVERY = 1.0
"""Seconds between two looks."""
PATIENCE = 60
"""Looks without a sign of life."""
STUCK = 70
"""The exit code."""

Sign = Callable[[], object]
"""Something that is another each time while all is well; None while there is nothing to see."""


class Watchdog:
    """Looks at signs of life, by name."""

    def __init__(
        self, signs: Mapping[str, Sign], *, every: float = EVERY, patience: int = PATIENCE
    ) -> None:
        self._signs = signs
        self._every = every
        self._patience = patience
        self._seen: dict[str, object] = {}
        self._silent = dict.fromkeys(signs, 0)

    def start(self) -> None:
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def _watch(self) -> None:
        while True:
            time.sleep(self._every)
            if silent := self.look():
                log.error("nothing moves any more: ending this process", silent=silent)
                os._exit(STUCK)

    def look(self) -> list[str]:
        """Who has shown no sign of life for too long."""
        for name, sign in self._signs.items():
            value = sign()
            moved = value is None or value != self._seen.get(name)
            self._silent[name] = 0 if moved else self._silent[name] + 1
            self._seen[name] = value
        return [name for name, looks in self._silent.items() if looks >= self._patience]
