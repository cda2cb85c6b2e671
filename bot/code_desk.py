"""Sheets of one-time codes that an officer asks for in the console: made in the background, handed
out once. What lies on the disk meanwhile is the sheet alone, for its officer alone, for an hour."""

import asyncio
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

import structlog
from msgspec import Struct

from bot import handouts, linking
from bot.tray import Tray, is_silent, new_id
from content.schema import Lang
from storage.database import ConfigError
from storage.links import Refused

if TYPE_CHECKING:
    from bot.app import App

log = structlog.get_logger()
KEPT = 3600
"""Seconds that a sheet waits for being taken."""
Form = Literal["pdf", "csv"]


class Making(Struct):
    """A sheet: whose it is, whom it is for, how far it is."""

    id: str
    owner: int
    at: datetime
    unit: str
    form: Form
    of: int
    done: int = 0
    state: Literal["running", "ready", "failed", "taken"] = "running"
    until: str = ""
    """Until when the codes are good, in ISO 8601."""
    fault: str = ""
    beat: float = 0.0

    @property
    def needs_file(self) -> bool:
        return self.state == "ready"

    @property
    def broken_off(self) -> bool:
        return self.state == "running" and is_silent(self.beat)


class CodeDesk:
    """Makes sheets; `tray` holds them."""

    def __init__(self, app: "App") -> None:
        self._app = app
        self.tray = Tray(app.var / "codes", Making, KEPT)

    async def count(self, unit: str, by: str, lang: Lang, *, again: bool) -> int:
        """How many people would get codes. Raises `Refused`."""
        whom = {"unit": unit, "again": again}
        found = await self._ask("count", lang, whom=whom, by=by)
        return int(found["count"])

    async def begin(
        self, owner: int, by: str, unit: str, form: Form, lang: Lang, *, again: bool
    ) -> Making:
        """Begin to make a sheet. All that may be refused comes before the first code: codes that
        these people had before are void from then on."""
        many = await self.count(unit, by, lang, again=again)
        if not many:
            raise Refused("nobody_left")
        if form == "pdf" and many > handouts.MOST:
            raise Refused("many", n=f"{many:,}", most=f"{handouts.MOST:,}")
        opens = await self.door()
        made = Making(new_id(), owner, self._app.clock(), unit, form, many, beat=time.time())
        self.tray.tidy()
        self.tray.save(made)
        self._app.spawn(self._make(made, {"unit": unit, "again": again}, by, lang, opens))
        return made

    async def door(self) -> Any:
        """How a code becomes a link; asks the platform where it must."""
        try:
            return await handouts.door_of(self._app.settings)
        except ConfigError:
            raise Refused("platform") from None

    async def one(self, hr_id: str, by: str, lang: Lang) -> dict[str, Any]:
        """A new code for one person, with its link. Raises `Refused`."""
        opens = await self.door()
        whom = {"person": hr_id, "again": True}
        found = await self._ask("issue", lang, whom=whom, by=by, after={})
        if not found["codes"]:
            raise Refused("nobody", who=hr_id)
        row: dict[str, Any] = found["codes"][0]
        return {**row, "link": opens(row["code"])}

    async def _make(
        self, made: Making, whom: dict[str, Any], by: str, lang: Lang, opens: Any
    ) -> None:
        try:
            rows = await self._issue(made, whom, by, lang)
            told = [{**row, "link": opens(row["code"])} for row in rows]
            data = await asyncio.to_thread(self._render, made, told, lang)
            await asyncio.to_thread(self.tray.add, data, made.id)
            made.state, made.until = "ready", rows[0]["until"]
        except Refused as refused:
            made.state, made.fault = "failed", refused.say(lang, self._app.content)
        except Exception as error:
            log.error("sheet of codes failed", error=type(error).__name__)
            made.state = "failed"
        await asyncio.to_thread(self.tray.save, made)
        await self.tray.tidy_later()

    async def _issue(
        self, made: Making, whom: dict[str, Any], by: str, lang: Lang
    ) -> list[dict[str, Any]]:
        """Codes for all of them, some at a time."""
        rows: list[dict[str, Any]] = []
        after: dict[str, Any] | None = {}
        while after is not None:
            page = await self._ask("issue", lang, whom=whom, by=by, after=after)
            rows += page["codes"]
            after = page["after"]
            made.done, made.beat = len(rows), time.time()
            await asyncio.to_thread(self.tray.save, made)
        if not rows:
            raise Refused("nobody_left")
        return rows

    def _render(self, made: Making, rows: list[dict[str, Any]], lang: Lang) -> bytes:
        if made.form == "csv":
            return handouts.table(rows).encode("utf-8-sig")
        return handouts.sheets(rows, self._app.content.copy_[lang], lang)

    def take(self, made: Making) -> bytes:
        """The sheet, once: it is gone afterwards."""
        data = self.tray.path(made.id).read_bytes()
        made.state = "taken"
        self.tray.save(made)
        self.tray.forget(made.id)
        return data

    async def _ask(self, do: str, lang: Lang, **args: Any) -> dict[str, Any]:
        found = await linking.ask(self._app, do, args, lang)
        if "refused" in found:
            raise Said(found["refused"])
        return dict(found)


class Said(Refused):
    """A refusal that was put into words already."""

    def say(self, lang: Lang, content: Any) -> str:
        return self.key
