"""Content as a spreadsheet and back: every entry of a kind goes out; what was changed in it comes
in as drafts, and what cannot be read is named by row and column."""

import asyncio
import tempfile
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import xlsxwriter
from sqlalchemy import Connection
from starlette.responses import Response

from bot import sheets
from bot.console.content import SHELVES, kind_of
from bot.console.content_editor import require, room
from bot.console.pages import Page, Visit
from bot.content_fields import NAMES, flatten
from bot.content_rows import Found, Sheet, columns_of, compare, header, keep, keys_of
from bot.exports.xlsx import put
from content.overlay import Kind, entry
from content.schema import Content
from flows.calendar import local
from flows.roster import say_refusal

MOST = 5 << 20
"""Bytes of a file: all sentences of both languages are a twentieth of it."""
MOST_ROWS = 3000
"""More than there are entries of any kind."""
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
WIDTH = 42


# --- out -------------------------------------------------------------------------------


async def page(visit: Visit) -> Response:
    return _shown(visit)


def _shown(visit: Visit, status: int = 200, fault: str = "", **more: Any) -> Response:
    kinds = [(kind, visit.words["content_kind_" + kind]) for kind in SHELVES]
    asked = visit.said("kind")
    return visit.show("content_sheet", status, kinds=kinds, fault=fault, asked=asked, **more)


async def export(visit: Visit) -> Response:
    """All entries of a kind, as they are in use."""
    kind = kind_of(visit.asked("kind"), SHELVES)
    require(visit)
    data = await asyncio.to_thread(_write, visit.app.content, kind, visit.words)
    return visit.attach(data, f"kaona-{kind}-{local(visit.app.clock()):%Y-%m-%d}.xlsx", XLSX)


def _write(content: Content, kind: Kind, called: Mapping[str, str]) -> bytes:
    names = NAMES[kind]
    with tempfile.TemporaryDirectory(prefix="kaona-") as folder:
        path = Path(folder) / "content.xlsx"
        with xlsxwriter.Workbook(str(path), {"constant_memory": True}) as book:
            sheet = book.add_worksheet()
            bold = book.add_format({"bold": True, "text_wrap": True, "valign": "top"})
            # as text, or a spreadsheet would make days and numbers of its own of it
            text = book.add_format({"num_format": "@", "text_wrap": True, "valign": "top"})
            sheet.set_column(0, len(names), WIDTH, text)
            sheet.freeze_panes(1, 1)
            for at, name in enumerate(("key", *names)):
                put(sheet, 0, at, header(name, called), bold)
            for row, key in enumerate(keys_of(content, kind), 1):
                cells = flatten(kind, entry(content, kind, key) or {})
                for at, cell in enumerate((key, *(cells[name] for name in names))):
                    put(sheet, row, at, cell, text)
        return path.read_bytes()


# --- in --------------------------------------------------------------------------------


async def take(visit: Visit) -> Response:
    """Make drafts of what differs; say what cannot be taken, and why."""
    require(visit)
    kind = kind_of(visit.said("kind"), SHELVES)
    upload = visit.form.files.get("file")
    if upload is None:
        return _shown(visit, 422, visit.words["content_sheet_none"])
    try:
        base, rows = await asyncio.to_thread(_read, upload.data)
    except sheets.Unreadable as refused:
        rules = visit.app.content.roster
        return _shown(visit, 422, say_refusal(refused.why, refused.data, visit.lang, rules))
    if len(rows) > MOST_ROWS:
        return _shown(visit, 422, visit.words["content_sheet_long"].format(most=f"{MOST_ROWS:,}"))
    head = rows[0][1]
    columns = columns_of(kind, head)
    if "key" not in columns.values() or len(columns) < 2:
        return _shown(visit, 422, visit.words["content_sheet_head"])
    sheet, viewer = Sheet(kind, columns, rows[1:], base), visit.session.person_id
    found = await visit.read(lambda conn: compare(conn, room(visit), viewer, sheet))
    made = await visit.write(lambda conn, now: _keep(conn, visit, found, now))
    faults = sorted(found.faults, key=lambda fault: fault.row)
    result = {"drafts": made, "unchanged": found.unchanged, "faults": faults}
    return _shown(visit, 422 if faults else 200, result=result)


def _read(data: bytes) -> tuple[int, list[tuple[int, list[str]]]]:
    with tempfile.NamedTemporaryFile(prefix="kaona-") as file:
        file.write(data)
        file.flush()
        reading = sheets.Reading()
        rows = list(sheets.read(Path(file.name), reading))
    if not rows:
        raise sheets.Unreadable("empty")
    return reading.base, rows


def _keep(conn: Connection, visit: Visit, found: Found, now: datetime) -> list[dict[str, Any]]:
    made = keep(conn, room(visit), visit.scope, found, now)
    return [
        {"path": f"/console/content/draft/{id}", "name": draft.origin, "row": number}
        for number, id, draft in made
    ]


PAGES = (
    Page("/content/sheet", page, ("content",), place="content"),
    Page("/content/sheet/file", export, ("content",), place="content"),
    Page("/content/sheet", take, ("content",), "POST", place="content", files=MOST),
)
