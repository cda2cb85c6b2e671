"""The security headers that every answer carries, errors and files included."""

import secrets

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {
    "Strict-Transport-Security": "max-age=63072000; includeSubDomains",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cache-Control": "no-store",
}
POLICY = (
    "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'self'; img-src 'self' data: blob:; "
    "font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "object-src 'none'; frame-ancestors 'none'"
)


def guard(send: Send, scope: Scope) -> Send:
    """The same `send`, which adds what an answer has not set itself. The nonce of its scripts
    is `scope["nonce"]`."""
    nonce = scope.setdefault("nonce", secrets.token_urlsafe(16))

    async def guarded(packet: Message) -> None:
        if packet["type"] == "http.response.start":
            headers = MutableHeaders(scope=packet)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
            headers.setdefault("Content-Security-Policy", POLICY.format(nonce=nonce))
        await send(packet)

    return guarded


class SecurityHeaders:
    """The application, every answer guarded."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            send = guard(send, scope)
        await self._app(scope, receive, send)
