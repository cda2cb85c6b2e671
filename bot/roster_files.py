"""Roster files that we hand out: what was refused, with the reasons, and the template."""

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

import xlsxwriter

from bot import sheets
from bot.exports.xlsx import put
from content.schema import RosterRules
from flows.roster import Fault, Layout, is_citizen_id, say_fault
from flows.text import tidy

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\x00", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""A cell that begins so is computed by a spreadsheet, unless an apostrophe stands before it."""
WIDTH = 24

Write = Callable[[Sequence[str]], None]


def write_refused(
    source: Path, layout: Layout, faults: Iterable[Fault], rules: RosterRules, out: Path
) -> None:
    """The same file in the same format, with a column that says why a row was refused. What looks
    like a citizen id is left out."""
    reasons: dict[int, list[str]] = {}
    for fault in faults:
        reasons.setdefault(fault.row, []).append(say_fault(fault, "th", rules))
    at = layout.reason if layout.reason is not None else len(layout.headers)
    reading = sheets.Reading()
    rows = sheets.read(source, reading)
    first = next(rows)  # only now its format is known
    with writer(out, reading.format) as write:
        for number, cells in chain([first], rows):
            said = "; ".join(reasons.get(number, ()))
            said = rules.reason_header if number == layout.row else said
            kept = [rules.hidden if is_citizen_id(tidy(cell)) else cell for cell in cells]
            kept += [""] * (at + 1 - len(kept))
            kept[at] = said
            write(kept)


@contextmanager
def writer(out: Path, format: str) -> Iterator[Write]:
    """Write rows of strings to a CSV or an XLSX; nothing in it will be computed."""
    out.touch(mode=0o600)
    if format == "csv":
        with out.open("w", encoding="utf-8-sig", newline="") as file:
            made = csv.writer(file)
            yield lambda cells: made.writerow([harmless(cell) for cell in cells])
        return
    with xlsxwriter.Workbook(str(out), {"constant_memory": True}) as book:
        sheet = book.add_worksheet()
        row = iter(range(1 << 20))

        def write(cells: Sequence[str]) -> None:
            _write_row(sheet, next(row), cells)

        yield write


def harmless(cell: str) -> str:
    """As text in a CSV; reading it back takes the apostrophe away."""
    return "'" + cell if cell.startswith(FORMULA) else cell


def _write_row(sheet: xlsxwriter.worksheet.Worksheet, row: int, cells: Sequence[str]) -> None:
    for column, cell in enumerate(cells):
        if cell:
            put(sheet, row, column, cell)


def write_template(rules: RosterRules, out: Path) -> None:
    """An XLSX to fill in: the columns with an example, and a sheet that explains them."""
    words = rules.template
    shown = [column for column in rules.columns if column.template]
    out.touch()  # or what cannot be written would be found when all is done
    with xlsxwriter.Workbook(str(out)) as book:
        bold = book.add_format({"bold": True, "bg_color": "#DCE6F1", "text_wrap": True})
        plain = book.add_format({"text_wrap": True, "valign": "top"})
        sheet = book.add_worksheet(words.sheet)
        text = book.add_format({"num_format": "@"})  # or 1/10/2567 becomes a day of another era
        sheet.set_column(0, len(shown) - 1, WIDTH, text)
        sheet.freeze_panes(1, 1)
        for at, column in enumerate(shown):
            sheet.write_string(0, at, column.headers[0], bold)
            sheet.write_string(1, at, column.example, text)
        help_ = book.add_worksheet(words.help)
        help_.set_column(0, 0, 2 * WIDTH)
        help_.set_column(1, 1, 4 * WIDTH)
        help_.set_column(2, 2, WIDTH)
        for page in (sheet, help_):
            page.set_landscape()
            page.fit_to_pages(1, 0)
        for row, (cells, head) in enumerate(_explained(rules)):
            for at, cell in enumerate(cells):
                help_.write_string(row, at, cell, bold if head else plain)


def _explained(rules: RosterRules) -> Iterator[tuple[tuple[str, ...], bool]]:
    """The rows of the second sheet, and whether each is a heading."""
    words = rules.template
    yield (words.column, words.meaning, words.needed), True
    for column in rules.columns:
        mark = words.needed if column.needed else ""
        yield (column.headers[0], column.explain.th, mark), False
    yield ("", "", ""), False
    yield (words.types, "", ""), True
    for type_ in rules.position_types:
        yield (type_.name, ", ".join(type_.levels), ""), False
    yield ("", "", ""), False
    yield (words.kinds, "", ""), True
    for kind in rules.kinds:
        yield (kind.name.th, ", ".join(kind.names), ""), False
