"""python-telegram-bot's requests over aiohttp, with failures told apart as the outbox needs.

PTB's own transport takes four times the processor time, and calls a refused connection and an
answer that was lost by one name. Importing this imports PTB.
"""

import logging
from typing import Any

import msgspec
from aiohttp import ClientError, ClientSession, ClientTimeout, FormData
from telegram import Bot
from telegram.error import TelegramError
from telegram.request import BaseRequest, RequestData

from bot.channels.session import TIMEOUT, open_session, unanswered
from bot.outcomes import Answered, Heard, Lost

LARGEST = 20 * 1024 * 1024
"""What Telegram lets a bot download."""

# at DEBUG it logs every message it sends, at ERROR every answer it cannot read
logging.getLogger("telegram").setLevel(logging.CRITICAL)

_decode = msgspec.json.decode


class Unheard(TelegramError):
    """A request that did not bring a result: `heard` is what the outbox needs to know of it."""

    def __init__(self, heard: Heard) -> None:
        super().__init__(type(heard).__name__)
        self.heard = heard


class AiohttpRequest(BaseRequest):
    """One pool of connections to the Bot API."""

    __slots__ = ("_base", "_session", "_timeout")

    def __init__(self, base: str, timeout: ClientTimeout = TIMEOUT) -> None:
        self._base = base
        self._timeout = timeout
        self._session: ClientSession | None = None

    @property
    def read_timeout(self) -> float | None:
        return self._timeout.total

    async def initialize(self) -> None:
        if self._session is None:
            self._session = open_session(self._base)

    async def shutdown(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def do_request(
        self,
        url: str,
        method: str,
        request_data: RequestData | None = None,
        read_timeout: Any = BaseRequest.DEFAULT_NONE,
        write_timeout: Any = BaseRequest.DEFAULT_NONE,
        connect_timeout: Any = BaseRequest.DEFAULT_NONE,
        pool_timeout: Any = BaseRequest.DEFAULT_NONE,
    ) -> tuple[int, bytes]:
        """What PTB calls. Its four time-outs are ours to choose: they decide what "not sent"
        means."""
        return await self.ask(method, url, self._timeout, **_payload(request_data))

    async def ask(
        self, method: str, url: str, timeout: ClientTimeout, **payload: Any
    ) -> tuple[int, bytes]:
        """Ask once. Only answers with a 2xx come back; everything else is `Unheard`."""
        if self._session is None:
            raise RuntimeError("the sender was not started")
        try:
            async with self._session.request(
                method, url, timeout=timeout, allow_redirects=False, **payload
            ) as response:
                status, body = response.status, await _read(response)
        except (ClientError, OSError, TimeoutError) as error:
            raise Unheard(unanswered(error)) from None  # its text holds the token
        if not 200 <= status < 300:
            raise Unheard(_answered(status, body))
        return status, body

    async def poll(self, url: str, params: dict[str, Any], seconds: float) -> list[dict[str, Any]]:
        """News, as plain dictionaries: PTB would refuse what it does not know."""
        timeout = ClientTimeout(total=seconds + (self._timeout.total or 0), connect=3)
        _, body = await self.ask("POST", url, timeout, json=params)
        result = self.parse_json_payload(body)["result"]
        return [update for update in result if isinstance(update, dict)]

    @staticmethod
    def parse_json_payload(payload: bytes) -> dict[str, Any]:
        """The result; what cannot be read was carried out all the same, perhaps."""
        try:
            value = _decode(payload)
        except (msgspec.DecodeError, RecursionError):
            raise Unheard(Lost("unreadable")) from None
        if not isinstance(value, dict) or "result" not in value:
            raise Unheard(Lost("unreadable"))
        return value


def _payload(data: RequestData | None) -> dict[str, Any]:
    """JSON where that will do: PTB would have every value encoded twice for a form."""
    if data is None:
        return {}
    if not data.contains_files:
        body = msgspec.json.encode(data.parameters)
        return {"data": body, "headers": {"Content-Type": "application/json"}}
    form = FormData(data.json_parameters)
    for name, (filename, content, kind) in data.multipart_data.items():
        form.add_field(name, content, filename=filename, content_type=kind)
    return {"data": form}


def open_bot(token: str, base: str, request: AiohttpRequest, updates: AiohttpRequest) -> Bot:
    """PTB's bot on our transport. It is not `initialize`d: that would ask Telegram who we are,
    and not start while Telegram cannot be reached."""
    return Bot(
        token,
        base_url=f"{base}/bot",
        base_file_url=f"{base}/file/bot",
        request=request,
        get_updates_request=updates,
    )


async def _read(response: Any) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_chunked(1 << 16):
        body += chunk
        if len(body) > LARGEST:
            break
    return bytes(body)


def _answered(status: int, body: bytes) -> Answered:
    """What Telegram says of a request it did not carry out."""
    try:
        value = _decode(body)
    except (msgspec.DecodeError, RecursionError):
        return Answered(status)
    if not isinstance(value, dict):
        return Answered(status)
    text, parameters = value.get("description"), value.get("parameters")
    wait = parameters.get("retry_after") if isinstance(parameters, dict) else None
    return Answered(
        status,
        text if isinstance(text, str) else "",
        float(wait) if isinstance(wait, int | float) else 0.0,
    )
