"""LINE, outwards: by reply token while that is free and alive, else by push with its retry key."""

import asyncio
import importlib
import struct
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from aiohttp import ClientTimeout
from msgspec.structs import replace

from bot.channels.session import TIMEOUT
from bot.errors import SendError
from bot.limits import Bucket
from bot.outcomes import Answered, Refused, judge
from content.schema import Lang, Menu
from storage.wire import Outcome, Row

if TYPE_CHECKING:
    from bot.channels import line_sdk

Bounds = tuple[int, int, int, int]
"""x, y, width and height of a field of the menu, in pixels of its picture."""

OFFICIAL = "https://api.line.me"
PHOTO = 10 * 1024 * 1024
BUTTONS = 13
"""Quick replies under one message."""
LABEL = 20
"""UTF-16 units on one of them."""
PUSHES, MULTICASTS = 2000.0, 200.0
"""Requests a second that LINE takes, of each kind."""
LOADING = 1.0
"""Seconds that the sign of life before a picture may take; it is only a courtesy."""


class LineSender:
    """Sends outbox rows to LINE through its SDK. One for each bot; `start` before use."""

    def __init__(
        self,
        access_token: str,
        *,
        clock: Callable[[], datetime],
        base: str = OFFICIAL,
        public_url: str = "",
        timeout: ClientTimeout = TIMEOUT,
    ) -> None:
        self._token = access_token
        self._base = base
        self._public_url = public_url
        self._clock = clock
        self._timeout = timeout
        self._pushes, self._multicasts = Bucket(PUSHES), Bucket(MULTICASTS)
        self._sdk: Any = None
        self._line: line_sdk.Line

    async def start(self) -> None:
        self._sdk = await asyncio.to_thread(importlib.import_module, "bot.channels.line_sdk")
        self._line = self._sdk.Line(self._token, self._base, self._timeout)
        await self._line.open()

    async def close(self) -> None:
        if self._sdk is not None:
            await self._line.close()

    async def send(self, row: Row) -> Outcome:
        """Send one row.

        1. A reply token that is alive is used: replies are free.
        2. A reply whose fate is unknown and whose token has expired stays uncertain: a push
           might be its second copy, and LINE could not know.
        3. Everything else is pushed with the key that was stored with the row.
        """
        now = self._clock()
        by_reply = bool(row.reply_token and row.token_until and now < row.token_until)
        if row.reply_token and row.doubtful and not by_reply:
            return Outcome("uncertain", "interrupted", doubtful=True)
        if row.request.pictures:
            await self._show_loading(row.address)
        try:
            call = self._call(row, by_reply)
        except ValueError:  # the SDK checks a request as it is made: nothing has left us
            return Outcome("failed", "invalid")
        if by_reply:
            heard, _ = await self._sdk.hear(call)
            return judge("line_reply", heard, row, self._clock())
        await self._pushes.turn()
        heard, _ = await self._sdk.hear(call)
        return replace(judge("line_push", heard, row, self._clock()), pushed=True)

    async def multicast(self, row: Row, to: Sequence[str]) -> Outcome:
        """The same to many, under the row's key; an error means that nobody was sent to."""
        try:
            made = self._sdk.messages(row.request.replies, (), self._public_url)
            call = self._line.multicast(to, row.key, made)
        except ValueError:
            return Outcome("failed", "invalid")
        await self._multicasts.turn()
        heard, _ = await self._sdk.hear(call)
        return replace(judge("line_multicast", heard, row, self._clock()), pushed=True)

    async def quota(self) -> tuple[int | None, int]:
        """Messages that this month may have (None: any number), and those that it has had."""
        limit = await self._ask(self._line.quota())
        used = await self._ask(self._line.consumption())
        most = limit.value if limit.type == "limited" else None
        return most, int(used.total_usage)

    def _call(self, row: Row, by_reply: bool) -> Awaitable[Any]:
        request = row.request
        made = self._sdk.messages(request.replies, request.pictures, self._public_url)
        if by_reply:
            return self._line.reply(row.reply_token, made)
        return self._line.push(row.address, row.retry_key, made)

    async def _show_loading(self, address: str) -> None:
        try:
            async with asyncio.timeout(LOADING):
                await self._sdk.hear(self._line.show_loading(address))
        except TimeoutError:
            return

    async def fetch(self, row: Row) -> tuple[Outcome, bytes]:
        """The photo that a learner sent."""
        heard, data = await self._sdk.hear(self._line.content(row.request.fetch))
        if isinstance(heard, Answered) and heard.status == 202:
            heard = Refused("not_ready")  # LINE is still preparing it
        outcome = judge("fetch", heard, row, self._clock())
        if outcome.status != "accepted":
            return outcome, b""
        if not data or len(data) > PHOTO:
            return Outcome("failed", "too_large" if data else "empty"), b""
        return outcome, bytes(data)

    def lost(self, row: Row, now: datetime) -> Outcome:
        """An attempt that nobody saw the end of: `send` knows what a doubtful row may do."""
        return Outcome("retry", "lost", doubtful=True)

    async def bot_id(self) -> str:
        """Our own user id: a webhook's `destination` must be it."""
        return str((await self._ask(self._line.bot_info())).user_id)

    async def name(self) -> str:
        """Our basic id, by which people find us; it begins with an @."""
        return str((await self._ask(self._line.bot_info())).basic_id)

    async def set_menu(
        self, menu: Menu, lang: Lang, image_png: bytes, areas: Sequence[Bounds]
    ) -> str:
        """Make the rich menu everybody's, then take older ones of its name away.
        A menu's picture cannot be replaced, so each change is a new menu."""
        line, hear = self._line, self._sdk.hear
        listed = await self._ask(line.rich_menus())
        old = [found.rich_menu_id for found in listed.richmenus if found.name == menu.name]
        request = self._sdk.rich_menu(menu, lang, png_size(image_png), areas)
        rich_menu = str((await self._ask(line.create_rich_menu(request))).rich_menu_id)
        await self._ask(line.set_rich_menu_image(rich_menu, image_png))
        await self._ask(line.set_default_rich_menu(rich_menu))
        for rich_menu_id in old:
            await hear(line.delete_rich_menu(rich_menu_id))
        return rich_menu

    async def _ask(self, call: Awaitable[Any]) -> Any:
        """Something outside the outbox that must succeed."""
        heard, data = await self._sdk.hear(call)
        if isinstance(heard, Answered) and 200 <= heard.status < 300:
            return data
        status = heard.status if isinstance(heard, Answered) else 0
        permanent = 400 <= status < 500 and status != 429
        raise SendError(f"LINE: {heard}", permanent)


def png_size(image: bytes) -> tuple[int, int]:
    """Width and height, from the first chunk of a PNG."""
    width, height = struct.unpack(">II", image[16:24])
    return width, height
