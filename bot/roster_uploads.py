"""Rosters that officers have uploaded: how each is to be taken, how far it is, what came of it."""

from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct

from bot.tray import Tray, is_silent
from flows.roster import Sight

KEPT = 24 * 3600
"""Seconds that a file which was handed in or is to be handed back is kept."""


class Upload(Struct):
    """A file that somebody has brought."""

    id: str
    owner: int
    """The person who brought it; nobody else finds it."""
    name: str
    """As the officer calls it: to be shown, never to be opened."""
    at: datetime
    sight: Sight
    mapping: dict[str, str] = {}
    effective: str = ""
    partial: bool = False
    state: Literal["new", "running", "tried", "done"] = "new"
    stage: str = "reading"
    done: int = 0
    of: int = 0
    beat: float = 0.0
    """When the work on it last gave a sign of life, in seconds since 1970."""
    result: dict[str, Any] | None = None
    back: str = ""
    """The name of the file with the reasons."""

    @property
    def needs_file(self) -> bool:
        return self.state != "done"

    @property
    def broken_off(self) -> bool:
        """The process that was at it is gone."""
        return self.state == "running" and is_silent(self.beat)


class Uploads(Tray[Upload]):
    """The folder of them."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, Upload, KEPT)

    def waiting(self, owner: int) -> list[Upload]:
        """What an officer has brought and not taken over yet, the newest first."""
        mine = (each for each in self.of(owner) if each.state != "done")
        return sorted(mine, key=lambda each: each.at, reverse=True)

    def back(self, upload: Upload) -> Path:
        """The file with the reasons."""
        return self._folder / upload.back
