"""Telegram, outwards: one message at a time, through python-telegram-bot."""

import asyncio
import importlib
from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import TYPE_CHECKING, Any

from aiohttp import ClientTimeout
from msgspec.structs import replace

from bot.channels.keyboard import keyboard
from bot.channels.parts import titled
from bot.channels.session import TIMEOUT
from bot.errors import SendError
from bot.limits import Pace
from bot.outcomes import Answered, Heard, Lost, Way, backoff, judge
from content.schema import LANGS, Menu
from flows.types import Picture, Reply
from storage.wire import Outcome, Row

if TYPE_CHECKING:
    from telegram import Bot

    from bot.channels import telegram_http

OFFICIAL = "https://api.telegram.org"
UPDATES = ["message", "callback_query", "my_chat_member"]
PHOTO = 10 * 1024 * 1024
POLL = 25
"""Seconds that Telegram keeps a poll open for news."""
RATE = 30.0
"""Messages a second that Telegram takes from one bot."""


class TelegramSender:
    """Sends outbox rows to Telegram. One for each bot; `start` before use.
    `draw` makes the PNG of a picture; it runs in a thread."""

    def __init__(
        self,
        token: str,
        *,
        clock: Callable[[], datetime],
        draw: Callable[[Picture], bytes],
        base: str = OFFICIAL,
        timeout: ClientTimeout = TIMEOUT,
        pace: Pace | None = None,
    ) -> None:
        self._token = token
        self._base = base.rstrip("/")
        self._clock = clock
        self._draw = draw
        self._timeout = timeout
        self._pace = pace or Pace(RATE)
        self._http: Any = None
        self._requests: list[telegram_http.AiohttpRequest] = []
        self._bot: Bot

    async def start(self) -> None:
        name = "bot.channels.telegram_http"
        self._http = await asyncio.to_thread(importlib.import_module, name)
        self._requests = [self._http.AiohttpRequest(self._base, self._timeout) for _ in range(2)]
        for request in self._requests:
            await request.initialize()
        self._bot = self._http.open_bot(self._token, self._base, *self._requests)

    async def close(self) -> None:
        for request in self._requests:
            await request.shutdown()

    async def send(self, row: Row) -> Outcome:
        """Send one row: one message.

        1. What nobody asked for and may have arrived is not sent again: Telegram knows no repeat.
        2. A picture that cannot be drawn is left out, its words are sent.
        3. It waits for its turn, but not for the end of a window in which Telegram wants to
           hear nothing: it goes back to the queue.
        4. Telegram is asked once; how that counts is decided by the table.
        """
        if row.doubtful and row.lane != "reply":
            return Outcome("uncertain", "interrupted", doubtful=True)
        if len(row.request.replies) != 1:
            return Outcome("failed", "too_many")
        reply = row.request.replies[0]
        png = await self._drawn(reply.picture) if reply.picture else b""
        try:
            call = self._call(row, reply, png)
        except ValueError:  # a button or an address that Telegram would refuse
            return Outcome("failed", "invalid")
        if closed := await self._pace.turn(row.address, answers=row.lane == "reply"):
            call.close()
            return Outcome("retry", "throttled", wait=closed)
        heard, message = await self._hear(call)
        if isinstance(heard, Answered) and heard.status == 200:
            heard = Answered(200, platform_id=str(message.message_id))
        return judge("telegram", self._crowded(row, heard), row, self._clock())

    def _call(self, row: Row, reply: Reply, png: bytes) -> Coroutine[Any, Any, Any]:
        chat, text = int(row.address), titled(reply)
        buttons = {"reply_markup": keyboard(reply)} if reply.choices else None
        if png:
            return self._bot.send_photo(
                chat, png, caption=text or None, filename="picture.png", api_kwargs=buttons
            )
        if not text.strip():
            raise ValueError("nothing to say")
        return self._bot.send_message(chat, text, api_kwargs=buttons)

    async def _drawn(self, picture: Picture) -> bytes:
        try:
            return await asyncio.to_thread(self._draw, picture)
        except Exception:  # whatever is wrong with a picture: its words must still go out
            return b""

    def _crowded(self, row: Row, heard: Heard) -> Heard:
        """After a 429, leave alone whom Telegram means."""
        if not isinstance(heard, Answered) or heard.status != 429:
            return heard
        wait = heard.wait or backoff(row.attempts)
        return replace(heard, wait=wait, everyone=self._pace.close(row.address, wait))

    async def _hear(self, call: Coroutine[Any, Any, Any]) -> tuple[Heard, Any]:
        """How a call ended, and what it brought."""
        try:
            return Answered(200), await call
        except self._http.Unheard as unheard:
            return unheard.heard, None
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            # an answer that PTB could not read, after Telegram had carried the request out
            return Lost(type(error).__name__), None

    async def fetch(self, row: Row) -> tuple[Outcome, bytes]:
        """The photo that a learner sent."""
        heard, data = await self._hear(self._download(row.request.fetch))
        outcome = judge("fetch", heard, row, self._clock())
        if outcome.status != "accepted":
            return outcome, b""
        if not data or len(data) > PHOTO:
            return Outcome("failed", "too_large" if data else "empty"), b""
        return outcome, data

    async def _download(self, ref: str) -> bytes:
        found = await self._bot.get_file(ref)
        path = found.file_path or ""
        if not path.startswith(self._base):  # PTB would read a local file
            raise self._http.Unheard(Answered(404))
        return bytes(await found.download_as_bytearray())

    def lost(self, row: Row, now: datetime) -> Outcome:
        """An attempt that nobody saw the end of."""
        way: Way = "fetch" if row.lane == "fetch" else "telegram"
        return judge(way, Lost("lost"), row, now)

    # --- outside the outbox --------------------------------------------------------------

    async def answer_callback(self, callback: str) -> bool:
        """Stop the clock on a pressed button. A press that is too old is nobody's fault."""
        heard, _ = await self._hear(self._bot.answer_callback_query(callback))
        return isinstance(heard, Answered) and heard.status == 200

    async def leave(self, chat: str, farewell: str) -> bool:
        """Say why, and leave a group: the bot talks to one person at a time."""
        await self._hear(self._bot.send_message(int(chat), farewell))
        heard, _ = await self._hear(self._bot.leave_chat(int(chat)))
        return isinstance(heard, Answered) and heard.status == 200

    async def bot_id(self) -> str:
        """Our own id; asking for it also shows that the token is good."""
        return str((await self._ask(self._bot.get_me())).id)

    async def name(self) -> str:
        """Our user name, by which people find us."""
        return str((await self._ask(self._bot.get_me())).username)

    async def set_commands(self, menu: Menu) -> None:
        """The command list in both languages; the first is for everybody else too."""
        for lang, code in [(LANGS[0], None), *((lang, lang) for lang in LANGS)]:
            commands = [(command.name, command.about.of(lang)) for command in menu.commands]
            await self._ask(self._bot.set_my_commands(commands, language_code=code))

    async def set_webhook(self, url: str, secret: str) -> None:
        """Have updates sent to `url`. What is waiting is kept: nothing owed is dropped."""
        await self._ask(self._bot.set_webhook(url, secret_token=secret, allowed_updates=UPDATES))

    async def delete_webhook(self) -> None:
        await self._ask(self._bot.delete_webhook())

    async def poll(self, offset: int) -> list[dict[str, Any]]:
        """The updates from `offset` on, as soon as there are any."""
        params = {"offset": offset, "timeout": POLL, "limit": 100, "allowed_updates": UPDATES}
        url = f"{self._base}/bot{self._token}/getUpdates"
        updates: list[dict[str, Any]] = await self._ask(self._requests[1].poll(url, params, POLL))
        return updates

    async def _ask(self, call: Coroutine[Any, Any, Any]) -> Any:
        """Something that must succeed."""
        heard, data = await self._hear(call)
        if isinstance(heard, Answered) and heard.status == 200:
            return data
        status = heard.status if isinstance(heard, Answered) else 0
        raise SendError(f"Telegram: {heard}", 400 <= status < 500 and status != 429)
