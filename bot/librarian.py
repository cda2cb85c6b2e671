"""What authors ask of the content in use: out as a workbook, in as drafts. Carried out by whoever
holds the database; answers are plain JSON. Files are named by their path: only the service's own
user can ask."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field
from sqlalchemy import Connection

from bot import content_book, sheets
from bot.content_rows import Found, Sheet, compare, keep, keys_of
from bot.drafting import Room
from content.overlay import ITEMS, OWN, Kind, fresh
from content.schema import Content, area_of
from flows.roster import say_refusal
from storage import programmes, revisions
from storage.campaigns import Refused
from storage.revisions import Draft
from storage.scope import Scope

if TYPE_CHECKING:
    from bot.app import App

MOST = 400
"""Faults that are told at once."""


class Amiss(Exception):
    """Nothing was changed; `faults` says why, each as a line."""

    def __init__(self, *faults: str) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


async def ask(app: "App", do: str, args: dict[str, Any]) -> Any:
    """One command by name. What cannot be done is an answer, too: `{"refused": [sentences]}`."""
    try:
        return await _COMMANDS[do](app, **args)
    except Amiss as error:
        return {"refused": list(error.faults[:MOST])}
    except Refused as error:
        return {"refused": [problem.say("en", app.content) for problem in error.problems]}
    except sheets.Unreadable as error:
        return {"refused": [say_refusal(error.why, error.data, "en", app.content.roster)]}


def room_of(app: "App") -> Room:
    return Room(app.shelf.files, app.content, "en")


def author(conn: Connection, by: str, now: datetime) -> Scope:
    """The rights of somebody who may word the whole agency's content anew."""
    scope = programmes.someone(conn, by, "content", now)
    if not scope.whole("content"):
        raise Amiss(f"{by} answers for content of a part only: it takes the whole agency")
    return scope


# --- a workbook --------------------------------------------------------------------------


async def _export(app: "App", path: str) -> dict[str, int]:
    """Write all that is in use to a workbook; how much of each kind there is."""
    words = Room(app.shelf.files, app.content, "th").words
    try:
        entries = content_book.entries_of(app.content)
        return await asyncio.to_thread(content_book.write, entries, Path(path), words)
    except OSError as error:
        raise Amiss(f"{path}: {error.strerror}") from error


class Compared(Struct):
    """What a workbook changes, kind by kind, and every row that cannot be taken."""

    found: dict[str, Found] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    @property
    def drafts(self) -> list[tuple[int, Draft, str]]:
        return [draft for each in self.found.values() for draft in each.drafts]


async def _import(app: "App", path: str, by: str, dry: bool) -> dict[str, Any]:
    """Drafts of all that differs, or of nothing, if a row cannot be taken."""
    room = room_of(app)
    pages = await asyncio.to_thread(content_book.read, Path(path))

    def work(conn: Connection, now: datetime) -> Compared:
        scope = author(conn, by, now)
        compared = _compared(conn, room, scope.viewer, pages)
        if not compared.faults and not dry:
            for title, found in compared.found.items():
                keep(conn, room, scope, found, now)
                compared.faults += _told(title, found, room)
        if compared.faults:
            raise Amiss(*compared.faults)
        return compared

    if dry:
        compared = await app.read(lambda conn: work(conn, app.clock()))
    else:
        compared = await app.dispatcher.run(work)
    return {
        "drafts": [f"{draft.kind} {draft.key}" for _, draft, _ in compared.drafts],
        "unchanged": sum(found.unchanged for found in compared.found.values()),
    }


def _compared(
    conn: Connection, room: Room, viewer: int | None, pages: list[content_book.Page]
) -> Compared:
    made = Compared()
    for page in pages:
        sheet = page.sheet
        if sheet is None:
            made.faults.append(content_book.headless(page))
            continue
        drafted = revisions.keys_with(conn, sheet.kind, "draft")
        found = compare(conn, room, viewer, sheet, _new(room.content, sheet))
        made.found[page.title] = found
        made.faults += _told(page.title, found, room, _hint(room.content, sheet, drafted))
    return made


def _new(content: Content, sheet: Sheet) -> list[str]:
    """Ids of the file that begin an item of the agency's own."""
    kind = sheet.kind
    if kind not in ITEMS:
        return []
    return [
        key
        for key in sheet.keys().values()
        if is_own(kind, key) and area_of(key) in getattr(content, ITEMS[kind][0])
    ]


def is_own(kind: Kind, key: str) -> bool:
    """Whether an id is one of an agency's own items: `computer-a1`."""
    end = key.rpartition("-")[2]
    return end.startswith(OWN[kind]) and end.removeprefix(OWN[kind]).isdecimal()


def _hint(content: Content, sheet: Sheet, drafted: set[str]) -> str:
    if sheet.kind not in ITEMS:
        return ""
    area, kind = content.framework.areas[0].id, sheet.kind
    return f"; a new one is called such as {fresh(kind, area, {*keys_of(content, kind), *drafted})}"


def _told(title: str, found: Found, room: Room, hint: str = "") -> list[str]:
    """Each fault as sheet, row, column and reason."""
    unknown = room.words["content_sheet_no_key"]
    return [
        content_book.told(title, fault, hint if fault.why == unknown else "")
        for fault in sorted(found.faults, key=lambda fault: fault.row)
    ]


_COMMANDS: dict[str, Callable[..., Any]] = {
    "export": _export,
    "import": _import,
}
