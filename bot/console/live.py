"""What moves on an open page: server-sent events. A page that gets none shows what it showed."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

from msgspec.json import encode
from starlette.responses import Response, StreamingResponse

from bot.console.pages import Visit

LIFE = 55.0
"""Seconds until a stream ends by itself; the browser opens the next one, and whether its user may
still see this is asked anew."""
PACE = 1.0
"""Seconds between two looks."""
T = TypeVar("T")
Look = Callable[[], Awaitable[dict[str, Any]]]
"""The present state as the fields of the page; with `over` once nothing moves any more."""


def follow(visit: Visit, look: Look) -> Response:
    """Send what `look` finds whenever it has changed."""
    unbuffered = {"X-Accel-Buffering": "no", "Cache-Control": "no-store"}
    return StreamingResponse(_news(look), media_type="text/event-stream", headers=unbuffered)


def watch(
    visit: Visit, find: Callable[[], T | None], tell: Callable[[T], dict[str, Any]]
) -> Response:
    """The same of work that leaves a note of how far it is; once the note is gone, all is told."""

    async def look() -> dict[str, Any]:
        found = find()
        return {"over": True} if found is None else tell(found)

    return follow(visit, look)


async def _news(look: Look) -> AsyncIterator[bytes]:
    until, last = time.monotonic() + LIFE, None
    while time.monotonic() < until:
        found = await look()
        if found != last:
            last = found
            yield b"data: " + encode(found) + b"\n\n"
        if found.get("over"):
            return
        await asyncio.sleep(PACE)
