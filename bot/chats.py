"""What the web chat needs of the app: turns in, the outbox as a conversation out."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from msgspec.json import decode

from bot.channels.webchat import Message, Persona
from flows.types import State
from storage import outbox, roster
from storage.wire import Incoming, Row

if TYPE_CHECKING:
    from bot.app import App


class WebChats:
    """The conversations behind the page (`bot.channels.webchat.Chat`)."""

    def __init__(self, app: "App") -> None:
        self._app = app
        self._waiters: defaultdict[str, set[asyncio.Event]] = defaultdict(set)

    async def submit(self, incoming: Sequence[Incoming]) -> None:
        await self._app.dispatcher.submit(incoming)

    async def conversation(self, address: str, after: int, limit: int = 50) -> list[Message]:
        found = await self._app.read(
            lambda conn: outbox.conversation(conn, "web", address, after, limit)
        )
        return [Message(m.id, m.at, m.replies, m.pictures) for m in found]

    async def personas(self) -> list[Persona]:
        rows = await self._app.read(roster.people)
        labels = {group.id: group.name.th for group in self._app.content.framework.groups}
        return [_persona(row, labels) for row in rows if row.hr_id.startswith(roster.MADE_UP)]

    def persona_address(self, person_id: int) -> str:
        return roster.persona_address(person_id)

    async def photo(self, data: bytes) -> str:
        """Kept on disk at once, under the name that the photo's row will have."""
        name = uuid4().hex
        folder = self._app.var / "photos"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        await asyncio.to_thread((folder / name).write_bytes, data)
        return name

    async def wait(self, address: str, timeout: float) -> None:
        """Something was sent to the address by this process, or the time is up: then the page
        looks in the database, where other processes write too."""
        news = asyncio.Event()
        self._waiters[address].add(news)
        try:
            async with asyncio.timeout(min(timeout, 2.0)):
                await news.wait()
        except TimeoutError:
            return
        finally:
            self._waiters[address].discard(news)
            if not self._waiters[address]:
                del self._waiters[address]

    def wake(self, rows: Sequence[Row]) -> None:
        for row in rows:
            if row.channel == "web":
                for news in self._waiters.get(row.address, ()):
                    news.set()


def _persona(row: Any, labels: dict[str, str]) -> Persona:
    state = decode(row.state, type=State) if row.state else None
    group = labels.get(state.placed.group, "") if state and state.placed else ""
    return Persona(row.id, row.name, f"{row.title} · {row.path.rpartition(' / ')[2]}", group)
