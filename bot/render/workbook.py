"""The report for OCSC as XLSX: a sheet for each part, with real tables and native charts. Every
text is written as text, so that nothing in it is ever run as a formula."""

import datetime as dt
import io
import re
from collections.abc import Sequence
from math import ceil
from typing import Any

import xlsxwriter
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

from bot.exports.xlsx import put
from bot.render.text import clean, measure
from content.schema import Layout
from flows.composed import Block, Bullets, Cell, Chart, Document, Form, Grid, Line, Part

FONT = "TH Sarabun New"
NUMBERS: dict[Form, str] = {
    "count": "#,##0",
    "logit": "+0.00;\u22120.00;0.00",
    "percent": "0.0%",
    "hours": "#,##0.0",
}
WIDE = 110
"""Letters across all columns."""
ROW, PIXELS = 22, 29
"""The height of a line of text: points, and on the screen."""
LETTERS = 2.1
"""How many of a column's units one em of the typeface takes at this size."""
COLOURS = ("#1B3A6B", "#D9A441")


def xlsx(document: Document, layout: Layout) -> bytes:
    """The workbook; the same document always gives the same bytes."""
    made = io.BytesIO()
    book = xlsxwriter.Workbook(
        made, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    )
    dated = dt.datetime.combine(dt.date.fromisoformat(document.dated), dt.time())
    book.set_properties(
        {"title": document.title, "author": document.agency, "comments": document.hash_line,
         "created": dated}
    )  # fmt: skip
    looks = Looks(book)
    for part in document.parts:
        Sheet(book, looks, document, part).write()
    book.close()
    return made.getvalue()


class Looks:
    """The formats of the cells."""

    def __init__(self, book: Any) -> None:
        def look(**more: Any) -> Format:
            plain = {"font_name": FONT, "font_size": 14, "valign": "top"}
            found: Format = book.add_format({**plain, **more})
            return found

        self.heading = look(bold=True, font_size=18, font_color="#1B3A6B")
        self.title = look(bold=True, font_color="#1B3A6B")
        self.plain = look()
        self.text = look(text_wrap=True)
        self.note = look(text_wrap=True, font_color="#4A5763", font_size=12)
        self.mark = look(bold=True, font_color="#A4262C")
        self.head = look(bold=True, bg_color="#EAF0F7", border=1, text_wrap=True, align="center")
        self.cells: dict[Form, Format] = {
            form: look(border=1, num_format=NUMBERS[form]) for form in NUMBERS
        }
        self.cells["text"] = look(border=1, text_wrap=True)
        self.hidden = look(border=1, align="right", font_color="#4A5763")


class Sheet:
    """One part of the report on one sheet, from the top down."""

    def __init__(self, book: Any, looks: Looks, document: Document, part: Part) -> None:
        self._book = book
        self._looks = looks
        self._document = document
        self._part = part
        self._columns = max(
            [len(block.heads) for block in part.blocks if isinstance(block, Grid)], default=4
        )
        self._sheet: Worksheet = book.add_worksheet(re.sub(r"[\[\]:*?/\\]", " ", part.sheet))
        self._row = 0
        self._tables = 0

    def write(self) -> None:
        document, part, looks = self._document, self._part, self._looks
        self._page()
        self._say(part.heading, looks.heading)
        self._say(f"{document.title} {document.year_line}", looks.plain)
        self._say(f"{document.agency} {document.state}", looks.plain)
        for mark in document.marks:
            self._say(mark, looks.mark)
        self._row += 1
        for block in part.blocks:
            self._block(block)
        for note in part.notes:
            self._wide(note, looks.note)
        self._wide(document.hash_line, looks.note)

    def _page(self) -> None:
        grids = [block for block in self._part.blocks if isinstance(block, Grid)]
        widest = max(grids, key=lambda grid: len(grid.heads), default=None)
        shares = widest.widths if widest else [1.0] * self._columns
        self._widths = [max(11, WIDE * share / sum(shares)) for share in shares]
        for at, width in enumerate(self._widths):
            self._sheet.set_column(at, at, width)
        self._sheet.set_default_row(ROW)
        self._sheet.hide_gridlines(2)
        self._sheet.set_landscape()
        self._sheet.set_paper(9)
        self._sheet.fit_to_pages(1, 0)
        self._sheet.set_footer("&C&P / &N")

    def _say(self, text: str, look: Format) -> None:
        put(self._sheet, self._row, 0, clean(text, 4000), look)
        self._row += 1

    def _wide(self, text: str, look: Format) -> None:
        """A text across all columns, as high as it needs."""
        said = clean(text, 4000)
        self._sheet.merge_range(self._row, 0, self._row, max(self._columns - 1, 1), "", look)
        put(self._sheet, self._row, 0, said, look)
        self._sheet.set_row(self._row, ROW * _lines(said, sum(self._widths)))
        self._row += 1

    def _block(self, block: Block) -> None:
        looks = self._looks
        match block:
            case Grid():
                self._grid(block)
            case Chart():
                self._chart(block)
            case Line():
                self._wide(f"{block.lead} {block.text}".strip(), looks.text)
            case Bullets():
                self._say(block.title, looks.title)
                for item in block.items:
                    self._wide("\u2022 " + item, looks.text)
        self._row += 1

    # --- tables ------------------------------------------------------------------------

    def _grid(self, grid: Grid) -> None:
        looks, top = self._looks, self._row + bool(grid.title)
        if grid.title:
            self._say(grid.title, looks.title)
        heads = _unlike(grid.heads)
        many = max(len(grid.rows), 1)
        self._tables += 1
        self._sheet.add_table(
            top, 0, top + many, len(heads) - 1,
            {
                "name": f"t_{self._part.id.replace('-', '_')}_{self._tables}",
                "columns": [{"header": head, "header_format": looks.head} for head in heads],
                "style": None,
                "autofilter": False,
            },
        )  # fmt: skip
        self._sheet.set_row(top, self._height(heads))
        for row, cells in enumerate(grid.rows, top + 1):
            self._sheet.set_row(row, self._height(cells))
            for at, (cell, form) in enumerate(zip(cells, grid.forms, strict=True)):
                self._cell(row, at, cell, form)
        self._row = top + many + 1

    def _height(self, cells: Sequence[Cell]) -> float:
        """As high as the cell with the most lines, for no office program works it out itself."""
        many = [
            _lines(cell, width) if isinstance(cell, str) else 1
            for cell, width in zip(cells, self._widths, strict=False)
        ]
        return float(ROW * max(many, default=1))

    def _cell(self, row: int, column: int, cell: Cell, form: Form) -> None:
        looks = self._looks
        if cell is None:
            put(self._sheet, row, column, self._document.hidden, looks.hidden)
        elif isinstance(cell, str):
            put(self._sheet, row, column, clean(cell, 4000), looks.cells["text"])
        else:
            self._sheet.write_number(row, column, cell, looks.cells[form])

    # --- charts ------------------------------------------------------------------------

    def _chart(self, block: Chart) -> None:
        """A native chart over figures that stand beside it, to the right of all tables."""
        looks, left, top = self._looks, self._columns + 2, self._row
        put(self._sheet, top, left, clean(block.title), looks.title)
        for at, name in enumerate(block.names, 1):
            put(self._sheet, top + at, left, clean(name), looks.plain)
            for to, one in enumerate(block.series, 1):
                self._cell(top + at, left + to, one.values[at - 1], block.form)
        self._sheet.set_column(left, left, 34)
        chart = self._book.add_chart({"type": "bar"})
        last, name = top + len(block.names), self._sheet.get_name()
        for to, one in enumerate(block.series, 1):
            put(self._sheet, top, left + to, clean(one.name), looks.title)
            chart.add_series(
                {
                    "name": clean(one.name),
                    "categories": [name, top + 1, left, last, left],
                    "values": [name, top + 1, left + to, last, left + to],
                    "fill": {"color": COLOURS[to - 1]},
                    "data_labels": {"value": True, "font": {"name": FONT, "size": 11}},
                }
            )
        self._dress(chart, block)
        options = {"description": block.alt, "object_position": 1}
        height = 90 + 26 * len(block.names) * len(block.series)
        chart.set_size({"width": 820, "height": height})
        self._sheet.insert_chart(top, 0, chart, options)
        self._row = top + max(height // PIXELS + 1, len(block.names) + 2)

    def _dress(self, chart: Any, block: Chart) -> None:
        font = {"name": FONT, "size": 12}
        chart.set_title({"name": clean(block.title), "name_font": {**font, "size": 14}})
        low = {"label_position": "low"} if block.form == "logit" else {}
        chart.set_y_axis({"reverse": True, "num_font": font, **low})
        chart.set_x_axis({"num_font": font, "major_gridlines": {"visible": False}})
        if len(block.series) > 1:
            chart.set_legend({"position": "bottom", "font": font})
        else:
            chart.set_legend({"none": True})


def _lines(text: str, width: float) -> int:
    """How many lines a text takes in a column, a little more rather than less."""
    return max(1, ceil(1.1 * LETTERS * measure(clean(text, 4000)) / width))


def _unlike(heads: list[str]) -> list[str]:
    """Heads of a table may not be empty, nor alike."""
    made: list[str] = []
    for head in heads:
        said = clean(head) or " "
        while said.lower() in (other.lower() for other in made):
            said += " "
        made.append(said)
    return made
