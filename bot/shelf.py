"""What this process teaches and says: the files, and laid over them what the agency published."""

import asyncio
import threading
from typing import TYPE_CHECKING

import structlog
from sqlalchemy import Connection

from content.overlay import Laid, Revised, fit, overlay
from content.schema import Content
from storage import revisions

if TYPE_CHECKING:
    from bot.app import App

log = structlog.get_logger()
PACE = 1.0
"""Seconds between two looks, where other processes may publish."""


class Shelf:
    """Keeps a service's content up to what is published."""

    def __init__(self, app: "App") -> None:
        self._app = app
        self.files: Content = app.content
        """As the files and the settings have it."""
        self.left: tuple[tuple[Revised, str], ...] = ()
        """What was published and does not fit the files (any more), with the reason."""
        self.edition = 0
        self._unfit: frozenset[int] = frozenset()
        self._looking = threading.Lock()

    async def start(self) -> None:
        """Take on what is published before the first turn. The files may be newer than it, so the
        lint looks at it again; what it is against is left out, and never a reason not to start."""

        def load(conn: Connection) -> tuple[int, Laid]:
            edition, rows = revisions.newest(conn), revisions.standing(conn)
            return edition, fit(self.files, rows)

        edition, laid = await self._app.read(load)
        self._unfit = frozenset(row.id for row, why in laid.left if why == "lint")
        self._take(edition, laid)

    def look(self, conn: Connection) -> None:
        """Take on what was published since; cheap if nothing was. From any thread."""
        if revisions.newest(conn) == self.edition:
            return
        with self._looking:
            edition = revisions.newest(conn)
            if edition == self.edition:
                return
            rows = revisions.standing(conn)
            laid = overlay(self.files, [row for row in rows if row.id not in self._unfit])
            unfit = tuple((row, "lint") for row in rows if row.id in self._unfit)
            self._take(edition, Laid(laid.content, laid.left + unfit))

    def _take(self, edition: int, laid: Laid) -> None:
        self.left, self.edition = laid.left, edition
        if edition:
            self._app.use(laid.content)
        for row, why in laid.left:
            log.warning("published content left out", kind=row.kind, key=row.key, why=why)

    async def follow(self) -> None:
        """Look again and again; what cannot be read now is there the next time."""
        while True:
            await asyncio.sleep(PACE)
            try:
                await self._app.read(self.look)
            except Exception as error:
                log.warning("cannot look for published content", error=type(error).__name__)
