"""The asking side of the local socket (bot/control.py): light, for commands that want nothing else
of the service."""

import asyncio
import contextlib
import json
from pathlib import Path
from typing import Any

from storage.database import ConfigError

LINE = 1 << 20
"""Bytes of the longest request or answer."""


class Remote:
    """The same commands, asked of the service that runs."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def connect(cls, path: Path) -> "Remote | None":
        """None when no service listens."""
        try:
            return cls(*await asyncio.open_unix_connection(path, limit=LINE))
        except (FileNotFoundError, ConnectionRefusedError):
            return None

    async def close(self) -> None:
        self._writer.close()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()

    async def call(self, do: str, args: dict[str, Any]) -> Any:
        self._writer.write(json.dumps({"do": do, "args": args}).encode() + b"\n")
        await self._writer.drain()
        line = await self._reader.readline()
        if not line:
            raise ConfigError("the running service could not do this: see its log")
        return json.loads(line)
