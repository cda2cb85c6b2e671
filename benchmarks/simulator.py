"""LINE and Telegram, answering at once: a thin server, so that what is measured is ours.

    python -m benchmarks.simulator PORT

`GET /count` tells how many messages' requests were delivered, to how many different tokens or
chats, and when the latest was.
"""

import asyncio
import json
import sys
import time

from benchmarks.traffic import BOT

_INFO = {
    "userId": BOT,
    "basicId": "@kaona",
    "displayName": "Kaona",
    "chatMode": "bot",
    "markAsReadMode": "auto",
}
_LINE = b'{"sentMessages":[{"id":"461230966842064897","quoteToken":"IStG5h1Tz7b"}]}'
_TELEGRAM = (
    b'{"ok":true,"result":{"message_id":%d,"date":1793869200,"chat":{"id":%d,"type":"private"},'
    b'"from":{"id":4242,"is_bot":true,"first_name":"Kaona"},"text":"ok"}}'
)


class Counts:
    """What was delivered, over all connections."""

    def __init__(self) -> None:
        self.requests = self.recipients = 0
        self.to: set[bytes] = set()
        self.first = self.last = 0.0

    def deliver(self, to: bytes, many: int = 1) -> None:
        self.requests += 1
        self.recipients += many
        self.first = self.first or time.time()
        self.to.add(to)
        self.last = time.time()

    def answer(self, path: bytes, body: bytes) -> bytes:
        """Carry out a request."""
        if path.endswith(b"/multicast"):
            to = body[body.index(b"[", body.index(b'"to":')) :]
            self.deliver(b"many", to[: to.index(b"]")].count(b",") + 1)
            return b"{}"
        if path.startswith(b"/v2/bot/message/quota"):
            return b'{"totalUsage":0}' if path.endswith(b"consumption") else b'{"type":"none"}'
        if path.startswith(b"/v2/bot/message/"):
            key = b'"replyToken":' if path.endswith(b"/reply") else b'"to":'
            self.deliver(_text(body, key))
            return _LINE
        if path.endswith((b"/sendMessage", b"/sendPhoto")):
            chat = _number(body, b'"chat_id":')
            self.deliver(chat)
            return _TELEGRAM % (self.requests, int(chat))
        if path == b"/v2/bot/info":
            return json.dumps(_INFO).encode()
        if path == b"/count":
            found = {"requests": self.requests, "recipients": self.recipients}
            found |= {"to": len(self.to), "first": self.first, "last": self.last}
            return json.dumps(found).encode()
        return b'{"ok":true,"result":true}'


def _text(body: bytes, key: bytes) -> bytes:
    """The string after a key; both platforms' libraries write it with or without a space."""
    start = body.index(b'"', body.index(key) + len(key)) + 1
    return body[start : body.index(b'"', start)]


def _number(body: bytes, key: bytes) -> bytes:
    start = body.index(key) + len(key)
    end = min(at for at in (body.find(b",", start), body.find(b"}", start)) if at > 0)
    return body[start:end].strip()


class _Connection(asyncio.Protocol):
    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self._buffer = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head, rest = self._buffer[:end], self._buffer[end + 4 :]
            at = head.lower().find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r", 1)[0]) if at >= 0 else 0
            if len(rest) < length:
                return
            body, self._buffer = rest[:length], rest[length:]
            answer = self._counts.answer(head.split(b" ", 2)[1], body)
            self._transport.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                b"x-line-request-id: 80dd9dc3\r\nContent-Length: %d\r\n\r\n%s"
                % (len(answer), answer)
            )


async def serve(port: int) -> None:
    counts = Counts()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(counts), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
