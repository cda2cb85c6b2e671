"""Rosters that officers have uploaded and not taken over yet. They lie on the disk under generated
names, each for the officer who brought it, and are gone after a day."""

import os
import re
import time
from datetime import datetime
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

from msgspec import DecodeError, Struct
from msgspec.json import decode, encode

from flows.roster import Sight

KEPT = 24 * 3600
"""Seconds that a file which was handed in or is to be handed back is kept."""
SILENT = 30.0
"""Seconds without a sign of life after which the work on a file counts as broken off."""
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Upload(Struct):
    """A file, how it is to be taken, how far that is, and what came of it."""

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
    def broken_off(self) -> bool:
        """The process that was at it is gone."""
        return self.state == "running" and time.time() - self.beat > SILENT


class Uploads:
    """The folder of them. Every process that shares it sees the same."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, data: bytes) -> str:
        """Keep what was brought, for this user of the machine only; its id."""
        self.tidy()
        id = str(uuid4())
        handle = os.open(self.path(id), os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600)
        with open(handle, "wb") as file:
            file.write(data)
        return id

    def path(self, id: str) -> Path:
        return self._folder / f"{id}.upload"

    def back(self, upload: Upload) -> Path:
        return self._folder / upload.back

    def save(self, upload: Upload) -> None:
        """Note the state of an upload; whoever reads meanwhile sees the one before."""
        part = self._folder / f"{uuid4()}.part"
        with open(os.open(part, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600), "wb") as file:
            file.write(encode(upload))
        part.replace(self._case(upload.id))

    def find(self, id: str, owner: int) -> Upload | None:
        """An officer's own upload; one that was taken over tells what came of it."""
        if not _ID.fullmatch(id):
            return None
        try:
            found = decode(self._case(id).read_bytes(), type=Upload)
        except (OSError, DecodeError):
            return None
        there = found.state == "done" or self.path(id).exists()
        return found if found.owner == owner and there else None

    def of(self, owner: int) -> list[Upload]:
        """What an officer has brought and not taken over yet, the newest first."""
        self.tidy()
        found = (self.find(path.stem, owner) for path in self._folder.glob("*.case"))
        mine = [each for each in found if each is not None and each.state != "done"]
        return sorted(mine, key=lambda each: each.at, reverse=True)

    def drop(self, upload: Upload) -> None:
        """Let go of a file and of all that is known of it."""
        self.forget(upload)
        self._case(upload.id).unlink(missing_ok=True)

    def forget(self, upload: Upload) -> None:
        """The file is not needed any more; what came of it still is."""
        self.path(upload.id).unlink(missing_ok=True)
        if upload.back:
            self.back(upload).unlink(missing_ok=True)

    def tidy(self) -> None:
        """Files of earlier imports are of no use after a day."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for old in self._folder.iterdir():
            try:
                if time.time() - old.stat().st_mtime > KEPT:
                    old.unlink()
            except FileNotFoundError:
                pass  # somebody else was quicker

    def _case(self, id: str) -> Path:
        return self._folder / f"{id}.case"
