"""A service without a ticker: it pushes when it is told to, on a clock that moves when told."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, select

from bot import clerk
from bot.app import App
from bot.config import Settings
from content.schema import Content
from storage.models import hooks
from tests.agency import Agency, happen, settle
from tests.running import Clock, environment

Json = dict[str, Any]


class Pushing:
    """An agency in a service, and hooks."""

    def __init__(self, app: App, agency: Agency, clock: Clock) -> None:
        self.app = app
        self.agency = agency
        self.clock = clock

    async def write(self, job: Callable[[Connection, datetime], Any]) -> Any:
        return await self.app.dispatcher.run(job)

    async def happen(self, who: str, kinds: Any = None) -> list[int]:
        learner = self.agency.learners[who]
        made: list[int] = await self.write(lambda conn, now: happen(conn, learner, now, kinds))
        return made

    async def hook(self, who: str, url: str, kind: str = "webhook", **more: Any) -> Json:
        given: Json = {"kind": kind, "url": url, "topics": [], "user": "", "password": ""}
        if kind == "xapi":
            given |= {"user": "kaona", "password": "pass:word"}
        made: Json = await clerk.ask(self.app, "hook_add", {"hr_id": f"HR-{who}"} | given | more)
        assert "refused" not in made, made
        return made

    async def do(self, what: str, **args: Any) -> Any:
        return await clerk.ask(self.app, what, args)

    async def tick(self, times: int = 1, pause: float = 0.0) -> None:
        """So many looks around, the clock moved on before each but the first."""
        for n in range(times):
            self.clock.forward(seconds=pause if n else 0)
            await self.app.pusher.tick()

    async def row(self, id: int) -> Any:
        return await self.app.read(
            lambda conn: conn.execute(select(hooks).where(hooks.c.id == id)).one()
        )


def push(
    url: str, content: Content, story: Callable[[Pushing], Awaitable[None]], friends: str = ""
) -> None:
    """Let a story happen in a service on this database."""

    async def run() -> None:
        clock = Clock(datetime.now(UTC))
        given = environment(url, KAONA_HOOK_HOSTS=friends or "127.0.0.1")
        settings = Settings(_env_file=None, **given)  # type: ignore[call-arg]
        app = App(settings, content, works=False, clock=clock)
        agency = Agency(app.db, clock.now)
        settle(app.db, content)
        async with app.running():
            await story(Pushing(app, agency, clock))

    asyncio.run(run())
