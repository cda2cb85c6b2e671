"""Everything the bot can say, rendered by the real SDKs, judged by the platforms' own specs."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from bot.channels import line, telegram
from bot.limits import Pace
from content.schema import Content
from flows.types import Picture, Reply
from storage.wire import Outcome, Request, Row
from tests.dialog import dialogs, replies_of
from tests.simulators.line import Line
from tests.simulators.telegram import Telegram
from tests.spec import line_faults, needs_specs, telegram_faults
from tests.walk import collect

NOW = datetime(2026, 11, 20, 2, 0, tzinfo=UTC)
PNG = b"\x89PNG\r\n\x1a\n" + bytes(64)
SOMCHAI = {"line": "U" + "1" * 32, "telegram": "1001"}

Said = list[tuple[Reply, ...]]


@pytest.fixture(scope="module")
def said(content: Content) -> Said:
    """The replies of the walk and of every transcript."""
    played = [replies for path in dialogs() for replies in replies_of(path, content)]
    known = {repr(replies) for replies in played}
    return played + [replies for replies in collect() if repr(replies) not in known]


def rows(channel: str, said: Said) -> Iterator[Row]:
    """An outbox row for each platform request, as storage makes them."""
    pack = {"line": line.pack, "telegram": telegram.pack}[channel]
    for replies in said:
        for part in pack(replies):
            pictures = tuple(uuid4().hex for reply in part if reply.picture)
            request = Request(part, pictures)
            yield Row(0, str(uuid4()), channel, SOMCHAI[channel], "reply", request, 1, False)


async def _line(said: Said) -> tuple[list[Outcome], Line]:
    platform = Line(clock=NOW.timestamp)
    async with platform.serve() as base:
        options = {"clock": lambda: NOW, "public_url": "https://kaona.example.go.th"}
        sender = line.LineSender("token", base=base, **options)
        await sender.start()
        try:
            return [await sender.send(row) for row in rows("line", said)], platform
        finally:
            await sender.close()


async def _telegram(said: Said) -> tuple[list[Outcome], Telegram]:
    platform = Telegram(clock=NOW.timestamp)

    def draw(picture: Picture) -> bytes:
        return PNG

    async with platform.serve() as base:
        options = {"clock": lambda: NOW, "draw": draw, "pace": Pace(1e6)}
        sender = telegram.TelegramSender(platform.token, base=base, **options)
        await sender.start()
        try:
            return [await sender.send(row) for row in rows("telegram", said)], platform
        finally:
            await sender.close()


@needs_specs
def test_line_takes_everything_that_is_said(said: Said) -> None:
    """Every message of the walk and the transcripts, as LINE's OpenAPI sees it."""
    outcomes, platform = asyncio.run(_line(said))
    print(f"{len(platform.history)} LINE requests judged")

    assert {outcome.status for outcome in outcomes} == {"accepted"}
    assert line_faults(platform.history) == []
    assert len(platform.history) >= len(said) > 2000


@needs_specs
def test_telegram_takes_everything_that_is_said(said: Said) -> None:
    """Every message of the walk and the transcripts, as the Bot API's specification sees it."""
    outcomes, platform = asyncio.run(_telegram(said))
    print(f"{len(platform.history)} Telegram requests judged")

    assert {outcome.status for outcome in outcomes} == {"accepted"}
    assert telegram_faults(platform.history) == []
    assert len(platform.history) >= len(said) > 2000
