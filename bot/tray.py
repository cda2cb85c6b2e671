"""Files that are on their way between an officer and the service: they lie on the disk under
generated names, each with a note of whose it is and how far it is, and are gone after a time. Every
process that shares the folder sees the same."""

import asyncio
import os
import re
import time
from pathlib import Path
from typing import Generic, Protocol, TypeVar
from uuid import uuid4

from msgspec import DecodeError
from msgspec.json import decode, encode

SILENT = 30.0
"""Seconds without a sign of life after which the work on a file counts as broken off."""
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Note(Protocol):
    """What is known of a file. Nobody but its owner (a person) finds it; `needs_file` tells
    whether it is of any use without the file."""

    id: str
    owner: int

    @property
    def needs_file(self) -> bool: ...


T = TypeVar("T", bound=Note)


def new_id() -> str:
    return str(uuid4())


class Tray(Generic[T]):
    """A folder of such files; `kept` is for how many seconds."""

    def __init__(self, folder: Path, kind: type[T], kept: float) -> None:
        self._folder = folder
        self._kind = kind
        self._kept = kept

    def add(self, data: bytes, id: str = "") -> str:
        """Keep a file, for this user of the machine only; its id."""
        self.tidy()
        id = id or new_id()
        self._write(self.path(id), data)
        return id

    def path(self, id: str, kind: str = "file") -> Path:
        return self._folder / f"{id}.{kind}"

    def save(self, note: T) -> None:
        """Keep a note; whoever reads meanwhile sees the one before."""
        part = self.path(new_id(), "part")
        self._write(part, encode(note))
        part.replace(self.path(note.id, "note"))

    def _write(self, path: Path, data: bytes) -> None:
        handle = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600)
        with open(handle, "wb") as file:
            file.write(data)

    def find(self, id: str, owner: int) -> T | None:
        """What is known of an officer's own file."""
        if not _ID.fullmatch(id):
            return None
        try:
            found = decode(self.path(id, "note").read_bytes(), type=self._kind)
        except (OSError, DecodeError):
            return None
        there = not found.needs_file or self.path(id).exists()
        return found if found.owner == owner and there else None

    def of(self, owner: int) -> list[T]:
        """All that is an officer's."""
        self.tidy()
        found = (self.find(path.stem, owner) for path in self._folder.glob("*.note"))
        return [each for each in found if each is not None]

    def drop(self, id: str) -> None:
        """Let go of a file and of all that is known of it."""
        self.forget(id)
        self.path(id, "note").unlink(missing_ok=True)

    def forget(self, id: str) -> None:
        """The files are not needed any more; what came of them still is."""
        for path in self._folder.glob(f"{id}.*"):
            if path.suffix != ".note":
                path.unlink(missing_ok=True)

    async def tidy_later(self) -> None:
        """Once what is here now has been there for too long; if the service ends before, the next
        night does it."""
        await asyncio.sleep(self._kept + 1)
        await asyncio.to_thread(self.tidy)

    def tidy(self) -> None:
        """What has been there for too long is of no use."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for old in self._folder.iterdir():
            try:
                if time.time() - old.stat().st_mtime > self._kept:
                    old.unlink()
            except FileNotFoundError:
                pass  # somebody else was quicker


def is_silent(beat: float) -> bool:
    """Whether a sign of life (seconds since 1970) is too old to wait for another."""
    return time.time() - beat > SILENT
