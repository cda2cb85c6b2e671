"""All that an agency can word anew in one workbook, and back: a sheet for each kind. The first row
holds the names of the fields and is hidden, the second says the same in Thai."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

import xlsxwriter
from msgspec import Struct

from bot import sheets
from bot.content_fields import NAMES, flatten
from bot.content_rows import Fault, Sheet, columns_of, header, keys_of
from bot.exports.xlsx import put
from bot.wording import words
from content.overlay import Body, Kind, entry
from content.schema import LANGS, Content

KINDS: tuple[Kind, ...] = ("question", "lesson", "exercise", "step", "copy")
"""One sheet each, in this order."""
WIDTH = 42
MARK = ":key"
"""Behind the kind, in the first cell of a sheet: so it may be called otherwise."""


Entries = Mapping[Kind, Mapping[str, Body]]
"""What goes out: of each kind the entries by their ids, in their order."""


def entries_of(content: Content) -> Entries:
    """Every entry that is in use."""
    return {
        kind: {key: entry(content, kind, key) or {} for key in keys_of(content, kind)}
        for kind in KINDS
    }


def write(entries: Entries, path: Path, called: Mapping[str, str]) -> dict[str, int]:
    """A workbook of entries; how many of each kind there are. Raises OSError."""
    with tempfile.TemporaryDirectory(prefix="kaona-") as folder:
        made = Path(folder) / "content.xlsx"
        many = _write(entries, made, called)
        path.write_bytes(made.read_bytes())
    return many


def _write(entries: Entries, path: Path, called: Mapping[str, str]) -> dict[str, int]:
    with xlsxwriter.Workbook(str(path), {"constant_memory": True}) as book:
        bold = book.add_format({"bold": True, "text_wrap": True, "valign": "top"})
        # as text, or a spreadsheet would make days and numbers of its own of it
        text = book.add_format({"num_format": "@", "text_wrap": True, "valign": "top"})
        for kind in KINDS:
            names = ("key", *NAMES[kind])
            sheet = book.add_worksheet(called["content_kind_" + kind])
            sheet.set_column(0, len(names), WIDTH, text)
            sheet.freeze_panes(2, 1)
            sheet.set_row(0, None, None, {"hidden": True})
            for at, name in enumerate(names):
                put(sheet, 0, at, name if at else kind + MARK, text)
            for at, name in enumerate(names):
                put(sheet, 1, at, header(name, called), bold)
            for row, (key, body) in enumerate(entries[kind].items(), 2):
                cells = flatten(kind, body)
                for at, cell in enumerate((key, *(cells[name] for name in names[1:]))):
                    put(sheet, row, at, cell, text)
    return {kind: len(entries[kind]) for kind in KINDS}


class Page(Struct, frozen=True):
    """A sheet of a workbook that was brought back: its title, and its rows; None if nobody knows
    what it holds."""

    title: str
    sheet: Sheet | None


def headless(page: Page) -> str:
    """What to tell of a sheet that nobody knows."""
    what = "no headings of an exported sheet: export one, and copy its first row"
    return f"sheet {page.title!r}, row 1: {what}"


def told(title: str, fault: Fault, hint: str = "") -> str:
    """A fault as sheet, row, column, id and reason."""
    column = f", {fault.column}" if fault.column else ""
    return f"sheet {title!r}, row {fault.row}{column}: {fault.id or '–'}: {fault.why}{hint}"


def read(path: Path) -> list[Page]:
    """The sheets of a workbook; what one holds is said by its first row, or by its title in either
    language. Raises `sheets.Unreadable`."""
    kinds = {words(lang)["content_kind_" + kind]: kind for lang in LANGS for kind in KINDS}
    reading = sheets.Reading()
    found: dict[str, list[tuple[int, list[str]]]] = {}
    for title, number, cells in sheets.read_all(path, reading):
        found.setdefault(title, []).append((number, cells))
    if not found:
        raise sheets.Unreadable("empty")
    return [
        Page(title, _sheet(rows, kinds.get(title), reading.base)) for title, rows in found.items()
    ]


def _sheet(rows: list[tuple[int, list[str]]], kind: Kind | None, base: int) -> Sheet | None:
    first = rows[0][1]
    marked = next((each for each in KINDS if first[0].strip() == each + MARK), None)
    if marked is not None:
        columns = columns_of(marked, ["key", *first[1:]])
        rest = rows[1:]
        # the headings, if nobody has taken them away
        if rest and columns_of(marked, rest[0][1]).get(0) == "key":
            rest = rest[1:]
        return Sheet(marked, columns, rest, base)
    if kind is None:
        return None
    columns = columns_of(kind, first)
    if "key" not in columns.values() or len(columns) < 2:
        return None
    return Sheet(kind, columns, rows[1:], base)
