"""Content as a spreadsheet and back: every entry of a kind goes out; what was changed in it comes
in as drafts, and what cannot be read is named by row and column."""

import asyncio
import re
import tempfile
from collections import defaultdict
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import xlsxwriter
from msgspec import Struct, field
from sqlalchemy import Connection
from starlette.responses import Response

from bot import sheets
from bot.console import content_fields
from bot.console.content import SHELVES, kind_of
from bot.console.content_editor import made_from, require
from bot.console.content_fields import DATES, NAMES, NUMBERS, flatten
from bot.console.pages import Page, Visit, words
from bot.exports.xlsx import put
from content.overlay import ITEMS, Kind, entry
from content.schema import LANGS, Content
from flows.calendar import local
from flows.roster import say_refusal
from flows.text import clean
from storage import revisions
from storage.revisions import Draft, Stale

MOST = 5 << 20
"""Bytes of a file: all sentences of both languages are a twentieth of it."""
MOST_ROWS = 3000
"""More than there are entries of any kind."""
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
FIRST = {1900: date(1899, 12, 30), 1904: date(1904, 1, 1)}
"""The day 0 of a spreadsheet, by what it says it counts from."""
WIDTH = 42


class Fault(Struct, frozen=True):
    """A cell that cannot be taken, with the reason; column and id may not be known."""

    row: int
    column: str
    id: str
    why: str


class Found(Struct):
    """What came of a file."""

    drafts: list[tuple[int, Draft, str]] = field(default_factory=list)
    """Row, draft, and the version of the open draft that it takes the place of."""
    unchanged: int = 0
    faults: list[Fault] = field(default_factory=list)


# --- out -------------------------------------------------------------------------------


def keys_of(content: Content, kind: Kind) -> list[str]:
    """Entries that can be worded anew, in their order."""
    if kind == "copy":
        return list(content.copy_["th"])
    if kind == "step":
        return [step.id for step in content.method.steps]
    shelf = getattr(content, ITEMS[kind][0])
    return [item.id for items in shelf.values() for item in items if not item.retired]


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
                put(sheet, 0, at, _header(name, called), bold)
            for row, key in enumerate(keys_of(content, kind), 1):
                cells = flatten(kind, entry(content, kind, key) or {})
                for at, cell in enumerate((key, *(cells[name] for name in names))):
                    put(sheet, row, at, cell, text)
        return path.read_bytes()


def _header(name: str, called: Mapping[str, str]) -> str:
    return called["content_key"] if name == "key" else content_fields.label(name, called)


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
    columns = _columns(kind, head)
    if "key" not in columns.values() or len(columns) < 2:
        return _shown(visit, 422, visit.words["content_sheet_head"])
    found = await visit.read(lambda conn: _compare(conn, visit, kind, columns, rows[1:], base))
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


def _columns(kind: Kind, head: list[str]) -> dict[int, str]:
    """Which field each column holds: by its name here, or as either language calls it."""
    known: dict[str, str] = {}
    for name in ("key", *NAMES[kind]):
        for way in (name, *(_header(name, words(lang)) for lang in LANGS)):
            known[_plain(way)] = name
    found: dict[int, str] = {}
    for at, cell in enumerate(head):
        name = known.get(_plain(cell), "")
        if name and name not in found.values():
            found[at] = name
    return found


def _plain(text: str) -> str:
    return re.sub(r"\s+", "", text).casefold()


def _compare(
    conn: Connection,
    visit: Visit,
    kind: Kind,
    columns: dict[int, str],
    rows: list[tuple[int, list[str]]],
    base: int,
) -> Found:
    """Each row beside the entry that it names; a column that is not there changes nothing. Of
    several rows with one id nobody can say which is meant."""
    found, at = Found(), next(at for at, name in columns.items() if name == "key")
    keys = {number: cells[at].strip() if at < len(cells) else "" for number, cells in rows}
    having: defaultdict[str, list[str]] = defaultdict(list)
    for number, key in keys.items():
        having[key].append(str(number))
    known = set(keys_of(visit.app.content, kind))
    for number, cells in rows:
        key, same = keys[number], having[keys[number]]
        why = "no_key" if key not in known else "twice" if len(same) > 1 else ""
        if why:
            said = visit.words["content_sheet_" + why].format(row=", ".join(same[:9]))
            found.faults.append(Fault(number, _header("key", visit.words), key[:80], said))
            continue
        typed = {name: cells[at] if at < len(cells) else "" for at, name in columns.items()}
        typed.pop("key")
        _row(conn, visit, kind, number, key, typed, base, found)
    return found


def _row(
    conn: Connection,
    visit: Visit,
    kind: Kind,
    number: int,
    key: str,
    typed: dict[str, str],
    base: int,
    found: Found,
) -> None:
    before = flatten(kind, entry(visit.app.content, kind, key) or {})
    there = revisions.draft_of(conn, kind, key)
    drafted = flatten(kind, revisions.as_revised(there).body) if there else before
    after = before | {name: _cell(name, cell, before[name], base) for name, cell in typed.items()}
    if after in (before, drafted):
        found.unchanged += 1
        return
    wanted = made_from(visit, kind, key, after, visit.words["content_sheet_note"], another=False)
    if wanted.draft is None:
        for name, why in wanted.faults.items():
            column = _header(name, visit.words)
            found.faults.append(Fault(number, column, key, why))
    elif there is not None and there.author_id != visit.session.person_id:
        why = visit.words["content_sheet_other"].format(who=there.author or "–")
        found.faults.append(Fault(number, "", key, why))
    else:
        seen = revisions.version_of(there) if there else ""
        found.drafts.append((number, wanted.draft, seen))


def _cell(name: str, cell: str, before: str, base: int) -> str:
    """A cell as a field: what a spreadsheet only writes in another way stays as it was."""
    cell = clean(cell)
    if cell.strip() == before.strip():
        return before
    if name in DATES and re.fullmatch(r"\d{4,6}(\.0+)?", cell.strip()):
        day = FIRST.get(base, FIRST[1900]) + timedelta(days=int(cell.strip().partition(".")[0]))
        return day.isoformat()
    if name in NUMBERS | {"right"} and _number(cell) is not None:
        number = _number(cell)
        return before if number == _number(before) else f"{number:g}"
    return cell if name in LANGS else cell.strip()


def _number(text: str) -> float | None:
    try:
        return round(float(text), 6)
    except (ValueError, OverflowError):
        return None


def _keep(conn: Connection, visit: Visit, found: Found, now: datetime) -> list[dict[str, Any]]:
    made = []
    for number, draft, seen in found.drafts:
        try:
            id = revisions.save(conn, visit.scope, draft, seen, now)
        except Stale:  # just now
            why = visit.words["content_moved_on"]
            found.faults.append(Fault(number, "", draft.origin, why))
            continue
        made.append({"path": f"/console/content/draft/{id}", "name": draft.origin, "row": number})
    return made


PAGES = (
    Page("/content/sheet", page, ("content",), place="content"),
    Page("/content/sheet/file", export, ("content",), place="content"),
    Page("/content/sheet", take, ("content",), "POST", place="content", files=MOST),
)
