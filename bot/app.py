"""Everything built in one place: settings in, a running service out."""

import asyncio
import concurrent.futures
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from functools import partial
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy import Connection
from starlette.applications import Starlette
from starlette.routing import BaseRoute, Mount
from starlette.types import ASGIApp

from bot import console, copies, web
from bot.api import Door
from bot.badges import Badges
from bot.channels import line, telegram, webchat
from bot.channels.terminal import Local
from bot.chats import WebChats
from bot.code_desk import CodeDesk
from bot.config import Settings, var_folder
from bot.control import Control
from bot.dispatch import Dispatcher
from bot.headers import SecurityHeaders
from bot.keeper import Keeper
from bot.limits import Pace
from bot.oidc import Provider
from bot.polling import poll
from bot.probes import Probed
from bot.push import Pusher
from bot.render.certificate import pdf
from bot.render.pictures import draw
from bot.roster_desk import RosterDesk
from bot.scheduler import Scheduler
from bot.sender import Channel, Sender
from bot.shelf import Shelf
from bot.simulations import Simulations
from bot.spool import Spool
from bot.vault import Vault
from bot.watchdog import Sign
from content.schema import Content
from flows.calendar import ends, ends_soon, keep_time_of, local
from flows.intents import listener
from flows.types import Picture, Reply
from storage import ledger, outbox
from storage.database import Database
from storage.merges import Done
from storage.requests import Pack
from storage.wire import Row

T = TypeVar("T")
log = structlog.get_logger()


PATIENCE = 5.0
"""Seconds that a stop waits for queries that nobody waits for any more."""


def utc_now() -> datetime:
    return datetime.now(UTC)


PACKERS: dict[str, Callable[[tuple[Reply, ...]], list[tuple[Reply, ...]]]] = {
    "line": line.pack,
    "telegram": telegram.pack,
}
"""Channels that cut replies into platform requests; the others show them as they are."""


def pack(channel: str, replies: tuple[Reply, ...]) -> list[tuple[Reply, ...]]:
    packer = PACKERS.get(channel)
    return packer(replies) if packer else [replies]


class App:
    """The parts of a running service and how they hold together.

    `serves` answers HTTP; `works` sends and keeps time. `kaona serve` does both.
    """

    def __init__(
        self,
        settings: Settings,
        content: Content,
        *,
        demo: bool = False,
        serves: bool = True,
        works: bool = True,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self.settings = settings
        self.demo = demo
        self.serves, self.works, self.clock = serves, works, clock
        linked = settings.public_url if self._links_open(settings) else ""
        known = {"dpo": settings.dpo_contact, "public_url": linked}
        self.content = content.model_copy(update=known)
        keep_time_of(ZoneInfo(settings.timezone))
        ledger.salt_with(settings.secret_key.encode())
        self.var = var_folder(settings)
        self.db = Database(settings.database_url)
        self.spool = Spool(self.var / "spool")
        self.line_id, self.telegram_id = "", settings.telegram_token.partition(":")[0]
        self.line = self._line()
        self.telegram = self._telegram()
        photos, safety = self.var / "photos", settings.line_safety
        self.sender = Sender(self.db, self._channels(), self.content, photos, clock, safety)
        self.chats = WebChats(self)
        self.vault, self.probed = Vault(settings.secret_key), dict[str, Probed]()
        self.sign_on = Provider(settings) if settings.oidc_issuer else None
        self.pusher, self.simulations = Pusher(self), Simulations()
        self.badges = Badges(self)
        self.dispatcher = Dispatcher(self.db, self.content, pack, clock, self._queued)
        self.edge = web.Edge(self)
        self.scheduler, self.shelf = Scheduler(self), Shelf(self)
        self.keeper, self.roster, self.codes = Keeper(self), RosterDesk(self), CodeDesk(self)
        self.control = Control(self, self.var / "kaona.sock")
        self._tasks: set[asyncio.Task[Any]] = set()
        self._drawers: concurrent.futures.Executor | None = None
        self._pulse = 0

    @staticmethod
    def _links_open(settings: Settings) -> bool:
        """A link to this very machine is of no use in a phone, and Telegram refuses it."""
        outside = settings.line_secret or settings.telegram_token
        return not outside or settings.public_url.startswith("https://")

    def _line(self) -> line.LineSender | None:
        if not self.settings.line_token:
            return None
        return line.LineSender(
            self.settings.line_token,
            clock=self.clock,
            base=self.settings.line_base,
            public_url=self.settings.public_url,
        )

    def _telegram(self) -> telegram.TelegramSender | None:
        if not self.settings.telegram_token:
            return None
        return telegram.TelegramSender(
            self.settings.telegram_token,
            clock=self.clock,
            draw=draw,
            base=self.settings.telegram_base,
            pace=Pace(self.settings.telegram_rate),
        )

    def _channels(self) -> dict[str, Channel]:
        channels: dict[str, Channel] = {"web": Local(), "terminal": Local()}
        if self.line is not None:
            channels["line"] = self.line
        if self.telegram is not None:
            channels["telegram"] = self.telegram
        return channels

    def _queued(self, rows: list[Row]) -> None:
        self.chats.wake(rows)
        if self.works:
            self.sender.queued(rows)

    def use(self, content: Content) -> None:
        """Go on with this content from the next batch, page and request on."""
        self.content = content
        self.dispatcher.use(content)
        self.sender.use(content)

    async def carry_out(self, do: Callable[[Connection, datetime, Pack], Done]) -> bool:
        """Change learners by a job that leaves messages to send; False when somebody talks to one
        of them at this very moment, so that nothing was done."""
        done = await self.dispatcher.run(lambda conn, now: do(conn, now, pack))
        self._queued(list(done.rows))
        return not done.waits

    # --- life ----------------------------------------------------------------------------

    @asynccontextmanager
    async def running(self) -> AsyncIterator["App"]:
        """Start in order, and stop in the opposite one; nothing that was accepted is lost."""
        await self.shelf.start()
        if self.serves:
            listener(self.content)  # else the first message would wait for it
        self.dispatcher.start()
        self.warn()
        lasting = [asyncio.create_task(self._beat())]
        if not self.db.sqlite:  # elsewhere nobody else publishes
            self.dispatcher.watch(self.shelf.look)
            lasting.append(asyncio.create_task(self.shelf.follow()))
        try:
            if self.works:
                await self._start_work()
            if self.db.sqlite:  # elsewhere commands open the database themselves
                await self.control.start()
            log.info("started", serves=self.serves, works=self.works)
            yield self
        finally:
            await self.control.stop()
            self.scheduler.stop()
            for task in (*lasting, *self._tasks):
                task.cancel()
            await asyncio.gather(*lasting, *self._tasks, return_exceptions=True)
            if self.works:
                await self.sender.stop()
            for channel in (self.line, self.telegram):
                if channel is not None:
                    await channel.close()
            await self.pusher.close()
            await self.dispatcher.stop()
            if self._drawers is not None:
                self._drawers.shutdown(wait=False, cancel_futures=True)
            await self._let_readers_end()
            self.db.close()
            log.info("stopped")

    async def _let_readers_end(self) -> None:
        """A query goes on in its thread when whoever asked for it has been cancelled."""
        until = time.monotonic() + PATIENCE
        while self.db.reading and time.monotonic() < until:
            await asyncio.sleep(0.01)

    async def _beat(self) -> None:
        while True:
            self._pulse += 1
            await asyncio.sleep(1)

    def signs(self) -> dict[str, Sign]:
        """What a watchdog must see moving. Once a second there is something to write."""

        def ticks() -> int | None:
            return self.scheduler.beats if self.scheduler.running else None

        def writes() -> object:
            if not self.dispatcher.alive:
                return "dead"
            return self.dispatcher.batches if self.scheduler.running else None

        def sends() -> object:
            return None if self.sender.alive or not self.works else "dead"

        return {"loop": lambda: self._pulse, "ticks": ticks, "writer": writes, "sender": sends}

    async def _start_work(self) -> None:
        for channel in (self.line, self.telegram):
            if channel is not None:
                await channel.start()
        self.sender.start(self.dispatcher)
        if self.db.sqlite:  # nobody else can have anything in hand
            names = list(self._channels())
            await self.dispatcher.run(lambda conn, now: outbox.release(conn, names, now))
        await self.keeper.sync()
        self.scheduler.start()
        if self.line is not None:
            self.spawn(self._learn_line_id(self.line))
        if self.telegram is not None and self.settings.telegram_mode == "polling":
            self.spawn(poll(self, self.telegram))

    async def _learn_line_id(self, sender: line.LineSender) -> None:
        """Webhooks must be meant for this bot; until LINE has told which that is, all pass."""
        while not self.line_id:
            try:
                self.line_id = await sender.bot_id()
            except Exception as error:
                log.warning("LINE does not say who we are", error=type(error).__name__)
                await asyncio.sleep(60)

    def spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        """Something that may fail without harm to anybody."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- for the edges -------------------------------------------------------------------

    async def read(self, query: Callable[[Connection], T]) -> T:
        def ask() -> T:
            with self.db.read() as conn:
                return query(conn)

        return await asyncio.to_thread(ask)

    async def draw(self, picture: Picture) -> bytes:
        """A picture, one at a time: resvg holds the interpreter for 0.1 s."""
        return await self._in_drawer(partial(draw, picture))

    async def draw_pdf(self, data: dict[str, Any]) -> bytes:
        return await self._in_drawer(partial(pdf, data))

    async def _in_drawer(self, work: Callable[[], bytes]) -> bytes:
        if self._drawers is None:
            self._drawers = concurrent.futures.ThreadPoolExecutor(1)
        return await asyncio.get_running_loop().run_in_executor(self._drawers, work)

    async def health(self) -> dict[str, bool]:
        """Each thing that must be so for this process to do its work."""
        checks = {
            "writer": self.dispatcher.alive,
            "database": await self._can_write(),
            "calendar": not ends_soon(self.today(), self.content),
        }
        if self.works:
            checks |= {"sender": self.sender.alive, "scheduler": self.scheduler.alive}
        return checks

    def today(self) -> date:
        """The day on the agency's clock."""
        return local(self.clock()).date()

    def warn(self) -> None:
        """Say aloud what a person must mend before it hurts. At start, and once a day."""
        if ends_soon(self.today(), self.content):
            last = ends(self.content).isoformat()
            log.error("the calendar ends soon: add the next year to content/calendar", last=last)

    async def _can_write(self) -> bool:
        if not self.dispatcher.alive:
            return False
        try:
            async with asyncio.timeout(3):
                await self.dispatcher.run(self.scheduler.beat)
        except Exception:
            return False
        return True

    def asgi(self) -> Starlette:
        """The web application; its life is the service's life."""

        @asynccontextmanager
        async def lifespan(_: Starlette) -> AsyncIterator[None]:
            async with self.running():
                yield

        chat = webchat.routes(self.chats, demo=self.demo, secret=self.settings.secret_key.encode())
        api, pages = Mount("/api/v1", Door(self)), console.routes(self)
        made: Sequence[BaseRoute] = [*web.routes(self), *copies.routes(self), api, *pages, *chat]
        return Site(routes=made, lifespan=lifespan)


class Site(Starlette):
    """Every answer is guarded. Starlette answers a failure of ours outside its own middleware,
    so the guard stands around all of it."""

    def build_middleware_stack(self) -> ASGIApp:
        return SecurityHeaders(super().build_middleware_stack())
