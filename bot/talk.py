"""`kaona chat`: a conversation in the terminal, over the same path as every other channel."""

import asyncio
import getpass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from msgspec import convert
from rich.console import Console

from bot.channels.terminal import numbered, shown
from bot.config import Settings
from bot.recording import Recorder
from bot.service import operator
from content.load import load
from flows.types import Reply
from storage.database import ConfigError


async def talk(settings: Settings, as_: str, record: Path | None, out: Console) -> None:
    """Read lines until the end of input; a number or a letter answers as in any chat."""
    if record is not None:
        await asyncio.to_thread(_record, record, out)
        return
    async with operator(settings) as who:
        address = await _address(who, as_)
        await who.call("say", {"address": address, "event_id": uuid4().hex, "start": True})
        cursor = await _hear(who, address, 0, out)
        while (line := await asyncio.to_thread(_read)) is not None:
            if not line.strip():
                continue
            said = {"address": address, "event_id": uuid4().hex, "text": line}
            await who.call("say", said)
            cursor = await _hear(who, address, cursor, out)


async def _address(who: Any, as_: str) -> str:
    if not as_:
        return f"terminal:{getpass.getuser()}"
    address: str | None = await who.call("become", {"who": as_})
    if address is None:
        raise ConfigError(f"no made-up person is {as_!r}: run `make demo` and look at its list")
    return address


async def _hear(who: Any, address: str, after: int, out: Console) -> int:
    messages = await who.call("heard", {"address": address, "after": after})
    for message in messages[-6:]:
        for reply in message["replies"]:
            out.print(shown(convert(reply, Reply)) + "\n")
    return int(messages[-1]["id"]) if messages else after


def _read() -> str | None:
    try:
        return input("> ")
    except (EOFError, KeyboardInterrupt):
        return None


def _record(path: Path, out: Console) -> None:
    """Talk to a learner in memory, with a clock of its own, and write what happened as a
    transcript: the state goes through JSON between turns, as in the tests."""
    recorder = Recorder(load(), datetime.now(UTC))
    for reply in recorder.start():
        out.print(shown(reply) + "\n")
    while (line := _read()) is not None:
        choices = dict(numbered(recorder.choices()))
        pressed = choices.get(int(line)) if line.strip().isdecimal() else None
        for reply in recorder.press(pressed) if pressed else recorder.say(line):
            out.print(shown(reply) + "\n")
    path.write_text(recorder.text(), encoding="utf-8")
    out.print(f"written: {path}")
