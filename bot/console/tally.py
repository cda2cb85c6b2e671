"""Where everybody stands, kept for a moment: in a large agency it takes longer to count than a page
may take."""

import asyncio
import time
from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from flows.reports import Ask
from storage.reports.common import View
from storage.reports.funnel import Tally, count
from storage.scope import OPERATOR

if TYPE_CHECKING:
    from bot.app import App

QUICK = 0.05
"""Seconds: what is counted so soon is never kept."""
SHARE = 60
"""Of this process's time at most one part in so many is spent on counting."""
PAGES = 500
"""Pages that are kept with a tally."""
OLDEST = 600.0
"""Seconds; what is older is not shown while it is counted anew."""


class Kept(Struct, frozen=True):
    tally: Tally
    took: float
    since: float

    @property
    def age(self) -> float:
        return time.monotonic() - self.since


class Standing:
    """The whole agency's tally. Once it is a little old, it is counted anew while it is shown."""

    def __init__(self, app: "App") -> None:
        self._app = app
        self._kept: Kept | None = None
        self._counting: asyncio.Task[Kept] | None = None
        self._pages: dict[Hashable, Any] = {}

    def page(self, tally: Tally, key: Hashable) -> Any:
        """What `keep` kept of this tally, or None."""
        return self._pages.get(key) if self._is_kept(tally) else None

    def keep(self, tally: Tally, key: Hashable, page: Any) -> None:
        """Keep a page that was made of a tally for whoever asks for the same; not of a tally that
        is not kept itself."""
        if self._is_kept(tally) and len(self._pages) < PAGES:
            self._pages[key] = page

    def _is_kept(self, tally: Tally) -> bool:
        return self._kept is not None and self._kept.tally is tally

    async def now(self) -> Tally:
        """As it is, or in a large agency as it was at its `at`."""
        kept = self._kept
        if kept is not None and kept.age < kept.took * SHARE:
            return kept.tally
        counting = self._count()
        if kept is not None and kept.age < OLDEST:
            return kept.tally
        return (await asyncio.shield(counting)).tally

    def _count(self) -> "asyncio.Task[Kept]":
        if self._counting is None or self._counting.done():
            self._counting = asyncio.create_task(self._counted())
        return self._counting

    async def _counted(self) -> Kept:
        began, app = time.monotonic(), self._app
        view = View(OPERATOR, Ask(), app.clock(), app.content)
        tally = await app.read(lambda conn: count(conn, view))
        took = time.monotonic() - began
        made = Kept(tally, took, time.monotonic())
        self._kept, self._pages = made if took > QUICK else None, {}
        return made
