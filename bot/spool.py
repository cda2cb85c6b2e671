"""Signed bodies kept on disk while the database is down: LINE may never send them again."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from uuid import uuid4

import structlog

from bot import metrics
from bot.dispatch import Unavailable

log = structlog.get_logger()


class Spool:
    """A folder of raw bodies, each one file that is complete or absent."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def keep(self, body: bytes) -> None:
        """Write and fsync; return only when the body would survive a power cut."""
        name = self._folder / f"{time.time_ns():020}-{uuid4().hex}"
        partial = name.with_suffix(".part")
        with partial.open("wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        partial.rename(name)
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        metrics.SPOOLED.inc()

    def waiting(self) -> list[Path]:
        """Oldest first."""
        return sorted(path for path in self._folder.iterdir() if not path.suffix)

    async def drain(self, take: Callable[[bytes], Awaitable[None]]) -> int:
        """Take what waits, in order, until the database is down again. A body that cannot be
        taken for any other reason is set aside, or it would hold up all behind it."""
        taken = 0
        for path in await asyncio.to_thread(self.waiting):
            try:
                await take(path.read_bytes())
            except Unavailable:
                break
            except Exception as error:
                log.error("spooled body set aside", file=path.name, error=type(error).__name__)
                path.rename(path.with_suffix(".bad"))
                continue
            path.unlink()
            taken += 1
        if taken:
            log.info("spool drained", bodies=taken)
        return taken
