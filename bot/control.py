"""Commands while the service runs: a local socket, for the same user only, one JSON line each
way. Without a running service the same functions are called in this process."""

import asyncio
import contextlib
import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
from msgspec import convert, to_builtins
from sqlalchemy import Connection

from bot import admin, calibration, clerk, librarian, linking
from bot.desk import Desk
from bot.office import Office
from bot.officer import Officer
from bot.remote import LINE
from flows.reports import Ask
from flows.types import Pressed, Said, Started
from storage import outbox, parked, reports, roster
from storage.scope import OPERATOR, scope_of
from storage.wire import Incoming

if TYPE_CHECKING:
    from bot.app import App

log = structlog.get_logger()


class Control:
    """What operators may ask of a running service."""

    def __init__(self, app: "App", path: Path) -> None:
        self._app = app
        self._path = path
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._serve, self._path, limit=LINE)
        self._path.chmod(0o600)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            self._path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                asked = json.loads(line)
                answer = await self.call(asked["do"], asked["args"])
                writer.write(json.dumps(answer, ensure_ascii=False).encode() + b"\n")
                await writer.drain()
        except Exception as error:  # whoever asked hears it from the closed connection
            log.warning("control request refused", error=type(error).__name__)
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def call(self, do: str, args: dict[str, Any]) -> Any:
        """One command by name; answers are plain JSON."""
        return await getattr(self, "do_" + do)(**args)

    # --- talking -------------------------------------------------------------------------

    async def do_say(
        self, address: str, event_id: str, text: str = "", start: bool = False
    ) -> list[Any]:
        """A line typed in the terminal; answers what was said since."""
        app, now = self._app, self._app.clock()
        event = Started() if start else Said(text, event_id, now)
        await app.dispatcher.submit(
            [Incoming("terminal", "terminal", event_id, address, event, now)]
        )
        return await self.do_heard(address, 0)

    async def do_press(self, address: str, event_id: str, stamp: str, choice: str) -> None:
        app, now = self._app, self._app.clock()
        event = Pressed(stamp, choice)
        await app.dispatcher.submit(
            [Incoming("terminal", "terminal", event_id, address, event, now)]
        )

    async def do_heard(self, address: str, after: int) -> list[Any]:
        found = await self._app.read(
            lambda conn: outbox.conversation(conn, "terminal", address, after)
        )
        return [{"id": m.id, "replies": [to_builtins(reply) for reply in m.replies]} for m in found]

    async def do_become(self, who: str) -> str | None:
        """The terminal address of a made-up person; nobody real can be played."""
        person = await self._app.read(lambda conn: roster.find(conn, who))
        if person is None or not person.hr_id.startswith(roster.MADE_UP):
            return None
        address = roster.persona_address(person.id)
        await self._app.dispatcher.run(
            lambda conn, now: roster.link(conn, person.id, "terminal", address, now)
        )
        return address

    # --- parked events -------------------------------------------------------------------

    async def do_parked(self) -> list[dict[str, Any]]:
        rows = await self._app.read(parked.listing)
        return [
            {"id": r.id, "at": r.at.isoformat(), "channel": r.channel, "error": r.error}
            for r in rows
        ]

    async def do_replay(self, parked_id: int, by: int | None = None) -> bool:
        """Give a parked event another turn. Its id makes a second replay harmless, so it is
        ended only after the turn is on disk. `by`: the person who wants it."""
        event = await self._app.read(lambda conn: parked.again(conn, parked_id))
        if event is None:
            return False
        await self._app.dispatcher.submit([event])
        return await self._app.dispatcher.run(
            lambda conn, now: parked.end(conn, parked_id, "replayed", now, by)
        )

    async def do_discard(self, parked_id: int, by: int | None = None) -> bool:
        return await self._app.dispatcher.run(
            lambda conn, now: parked.end(conn, parked_id, "discarded", now, by)
        )

    # --- campaigns -----------------------------------------------------------------------

    async def do_campaign(self, do: str, args: dict[str, Any]) -> Any:
        return await Desk(self._app).ask(do, args)

    # --- other systems -------------------------------------------------------------------

    async def do_records(self, do: str, args: dict[str, Any]) -> Any:
        return await clerk.ask(self._app, do, args)

    # --- the console ---------------------------------------------------------------------

    async def do_admin(self, hr_id: str) -> dict[str, Any]:
        return await admin.make(self._app, hr_id)

    # --- personal data -------------------------------------------------------------------

    async def do_privacy(self, do: str, args: dict[str, Any]) -> Any:
        return await Officer(self._app).ask(do, args)

    # --- the agency's programme and its report ---------------------------------------------

    async def do_office(self, do: str, args: dict[str, Any]) -> Any:
        return await Office(self._app).ask(do, args)

    # --- content ---------------------------------------------------------------------------

    async def do_content(self, do: str, args: dict[str, Any]) -> Any:
        return await librarian.ask(self._app, do, args)

    # --- codes and links -----------------------------------------------------------------

    async def do_claims(self, do: str, args: dict[str, Any]) -> Any:
        return await linking.ask(self._app, do, args)

    # --- reports -------------------------------------------------------------------------

    async def do_report_asked(
        self, name: str, by: int | None, ask: dict[str, Any], how: str
    ) -> None:
        """A command reads a report by itself; this process writes down that it was asked for."""
        wanted = convert(ask, Ask)

        def note(conn: Connection, now: datetime) -> None:
            who = OPERATOR if by is None else scope_of(conn, by, now)
            reports.asked(conn, name, who, wanted, now, how)

        await self._app.dispatcher.run(note)

    # --- content -------------------------------------------------------------------------

    async def do_calibration(
        self, by: int | None, counts: dict[str, int], changes: list[Any]
    ) -> dict[str, Any]:
        return await calibration.carry_out(self._app, by, counts, changes)

    # --- the roster ----------------------------------------------------------------------

    async def do_roster(self, do: str, args: dict[str, Any]) -> Any:
        return await self._app.roster.ask(do, args)
