"""The JSON API for other systems, at /api/v1."""

import asyncio
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

if TYPE_CHECKING:
    from bot.app import App

LARGEST = 64 * 1024
"""Bytes of a request's body."""


class Door:
    """Stands where the API is mounted, and builds it when somebody comes: it takes a third of a
    second and some memory that a service without API callers need not have."""

    def __init__(self, app: "App") -> None:
        self._app = app
        self._inner: ASGIApp | None = None
        self._building = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await _whole(scope, receive)
        if body is None:
            await _too_large(scope, receive, send)
            return
        await (await self.inner())(scope, _replay(body, receive), send)

    async def inner(self) -> ASGIApp:
        """The API itself. Built in a thread: meanwhile webhooks are answered."""
        async with self._building:
            if self._inner is None:
                self._inner = await asyncio.to_thread(self._build)
        return self._inner

    def _build(self) -> ASGIApp:
        from bot.api.main import build

        return build(self._app)


async def _whole(scope: Scope, receive: Receive) -> bytes | None:
    """The body; None when it is larger than any request of ours."""
    if scope["type"] != "http":
        return b""
    body, more = bytearray(), True
    while more:
        packet = await receive()
        body += packet.get("body", b"")
        more = packet["type"] == "http.request" and packet.get("more_body", False)
        if len(body) > LARGEST:
            return None
    return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    """The body once more, and then whatever comes."""
    told = False

    async def again() -> Message:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


async def _too_large(scope: Scope, receive: Receive, send: Send) -> None:
    said = {"type": "about:blank", "title": "Content Too Large", "status": 413}
    said |= {"detail": f"A request may have {LARGEST:,} bytes. Ask for less at a time."}
    await JSONResponse(said, 413, media_type="application/problem+json")(scope, receive, send)
