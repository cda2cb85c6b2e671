"""Rows of a spreadsheet and what they change: each beside the entry that it names, for the console
and for `kaona content import`. What cannot be taken is named by row and column."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta

from msgspec import Struct, field
from sqlalchemy import Connection

from bot import content_fields
from bot.content_fields import DATES, NAMES, NUMBERS, flatten
from bot.drafting import Room, made_from
from bot.wording import words
from content.overlay import ITEMS, Kind, entry
from content.schema import LANGS, Content
from flows.text import clean
from storage import revisions
from storage.revisions import Draft, Stale
from storage.scope import Scope

FIRST = {1900: date(1899, 12, 30), 1904: date(1904, 1, 1)}
"""The day 0 of a spreadsheet, by what it says it counts from."""
Rows = Sequence[tuple[int, list[str]]]
"""Row numbers, and the cells of each."""


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


def keys_of(content: Content, kind: Kind) -> list[str]:
    """Entries that can be worded anew, in their order."""
    if kind == "copy":
        return list(content.copy_["th"])
    if kind == "step":
        return [step.id for step in content.method.steps]
    shelf = getattr(content, ITEMS[kind][0])
    return [item.id for items in shelf.values() for item in items if not item.retired]


def header(name: str, called: Mapping[str, str]) -> str:
    """What a column is called."""
    return called["content_key"] if name == "key" else content_fields.label(name, called)


def columns_of(kind: Kind, head: list[str]) -> dict[int, str]:
    """Which field each column holds: by its name here, or as either language calls it."""
    known: dict[str, str] = {}
    for name in ("key", *NAMES[kind]):
        for way in (name, *(header(name, words(lang)) for lang in LANGS)):
            known[_plain(way)] = name
    found: dict[int, str] = {}
    for at, cell in enumerate(head):
        name = known.get(_plain(cell), "")
        if name and name not in found.values():
            found[at] = name
    return found


def _plain(text: str) -> str:
    return re.sub(r"\s+", "", text).casefold()


class Sheet(Struct, frozen=True):
    """The rows of a kind: which field each column holds, and from when days are counted."""

    kind: Kind
    columns: dict[int, str]
    rows: Rows
    base: int = 1900

    def keys(self) -> dict[int, str]:
        at = next(at for at, name in self.columns.items() if name == "key")
        return {n: cells[at].strip() if at < len(cells) else "" for n, cells in self.rows}

    def typed(self, cells: list[str]) -> dict[str, str]:
        """What stands in each column; one that is not there says nothing."""
        found = {name: cells[i] if i < len(cells) else "" for i, name in self.columns.items()}
        found.pop("key")
        return found


def named(sheet: Sheet, known: set[str], room: Room, found: Found) -> list[int]:
    """The rows that name one entry each; of several with one id nobody can say which is meant."""
    keys, having, good = sheet.keys(), defaultdict[str, list[str]](list), list[int]()
    for number, key in keys.items():
        having[key].append(str(number))
    for number, key in keys.items():
        same = having[key]
        why = "no_key" if key not in known else "twice" if len(same) > 1 else ""
        if why:
            said = room.words["content_sheet_" + why].format(row=", ".join(same[:9]))
            found.faults.append(Fault(number, header("key", room.words), key[:80], said))
        else:
            good.append(number)
    return good


def compare(
    conn: Connection, room: Room, viewer: int | None, sheet: Sheet, new: Sequence[str] = ()
) -> Found:
    """Each row beside the entry that it names, or that it adds, if its id is among `new`."""
    found, keys = Found(), sheet.keys()
    good = named(sheet, {*keys_of(room.content, sheet.kind), *new}, room, found)
    cells = dict(sheet.rows)
    for number in good:
        _row(conn, room, viewer, sheet, number, keys[number], sheet.typed(cells[number]), found)
    return found


def _row(
    conn: Connection,
    room: Room,
    viewer: int | None,
    sheet: Sheet,
    number: int,
    key: str,
    typed: dict[str, str],
    found: Found,
) -> None:
    kind = sheet.kind
    before = flatten(kind, entry(room.content, kind, key) or {})
    there = revisions.draft_of(conn, kind, key)
    drafted = flatten(kind, revisions.as_revised(there).body) if there else before
    after = before | cells_of(typed, before, sheet.base)
    if after == before or drafted == drafted | cells_of(typed, drafted, sheet.base):
        found.unchanged += 1
        return
    wanted = made_from(room, kind, key, after, room.words["content_sheet_note"], another=False)
    if wanted.draft is None:
        for name, why in wanted.faults.items():
            found.faults.append(Fault(number, header(name, room.words), key, why))
    elif there is not None and there.author_id != viewer:
        why = room.words["content_sheet_other"].format(who=there.author or "–")
        found.faults.append(Fault(number, "", key, why))
    else:
        seen = revisions.version_of(there) if there else ""
        found.drafts.append((number, wanted.draft, seen))


def cells_of(typed: Mapping[str, str], before: Mapping[str, str], base: int) -> dict[str, str]:
    """Cells as fields: what a spreadsheet only writes in another way stays as it was."""
    return {name: _cell(name, cell, before[name], base) for name, cell in typed.items()}


def _cell(name: str, cell: str, before: str, base: int) -> str:
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


def keep(
    conn: Connection, room: Room, scope: Scope, found: Found, now: datetime
) -> list[tuple[int, int, Draft]]:
    """Save the drafts; the row, the number and the draft of each. One that somebody has changed
    meanwhile becomes a fault."""
    made = []
    for number, draft, seen in found.drafts:
        try:
            made.append((number, revisions.save(conn, scope, draft, seen, now), draft))
        except Stale:  # just now
            why = room.words["content_moved_on"]
            found.faults.append(Fault(number, "", draft.origin, why))
    return made
