"""XLSX with a real table and a chart that Excel draws itself. Every text is written as a string,
whatever it looks like; rows go to the disk as they come."""

import re
from datetime import date, datetime
from pathlib import Path
from typing import Any

from xlsxwriter import Workbook
from xlsxwriter.utility import xl_rowcol_to_cell

from bot.exports import Mark, head, headers, visible
from content.schema import Content, Lang
from flows import reports
from flows.calendar import local
from flows.reports import Cell, Chart, Column, Report, Row
from storage.reports import Wrong

MOST = 1_048_000
"""Rows that Excel takes, the head aside."""
LONGEST = 32_767
"""Letters that it takes in a cell, in UTF-16 units."""
CUT = "…"
FORMATS = {"count": "#,##0", "share": "0.0%", "number": "0.00", "text": "@", "word": "@"}
DAYS = {"th": "[$-107041E]d mmm yyyy", "en": "d mmm yyyy"}
"""In Thai the years are of the Buddhist era; the cell stays a date."""
WIDTHS = {"text": 34, "word": 26, "moment": 20, "day": 14}
COLOURS = ("#C2570C", "#5B7DB1", "#1B7F4B")
"""Told apart by people who see few colours, and in grey."""
DRAWN = 200
"""Labels of a chart: more could not be read."""


def write(report: Report, path: Path, mark: Mark, lang: Lang, content: Content) -> None:
    """Two sheets: what it is with its chart, and the rows as a table."""
    labels = content.copy_[lang]
    title = reports.title(report.name, lang, content)
    with Workbook(str(path), {"constant_memory": True, "in_memory": False}) as book:
        book.set_properties({
            "title": title, "author": mark.who, "company": "", "created": _naive(mark.at),
            "comments": labels["report_class_names" if report.names else "report_class_figures"],
        })  # fmt: skip
        sheets = _Sheets(book, report, lang, content)
        about = book.add_worksheet(labels["report_sheet_about"])
        rows = book.add_worksheet(labels["report_sheet_rows"])
        for sheet in (about, rows):
            sheet.set_landscape()
            sheet.set_paper(9)  # A4
            sheet.fit_to_pages(1, 0)
        rows.repeat_rows(0)
        sums = sheets.rows(rows)
        sheets.about(about, head(report, mark, lang, content), sums)


class _Sheets:
    """The two sheets of a report, in one language."""

    def __init__(self, book: Any, report: Report, lang: Lang, content: Content) -> None:
        self._book, self._report, self._lang, self._content = book, report, lang, content
        self._bold = book.add_format({"bold": True, "text_wrap": True, "valign": "top"})
        self._text = book.add_format({"num_format": "@", "text_wrap": True, "valign": "top"})
        known = {**FORMATS, "day": DAYS[lang], "moment": DAYS[lang] + " hh:mm"}
        formats = {kind: book.add_format({"num_format": form}) for kind, form in known.items()}
        self._formats = [formats[column.kind] for column in report.columns]

    def rows(self, sheet: Any) -> dict[Row, list[int]]:
        """The table; answers the sums that the chart shows."""
        report, sums = self._report, dict[Row, list[int]]()
        chart = report.chart or Chart("bar", (), ())
        by, values = [report.at(each) for each in chart.by], [report.at(v) for v in chart.values]
        names = headers(report, self._lang, self._content)
        for at, column in enumerate(report.columns):
            sheet.set_column(at, at, WIDTHS.get(column.kind, 12))
            put(sheet, 0, at, names[at], self._bold)
        sheet.freeze_panes(1, 0)
        last = 0
        for last, row in enumerate(report.rows, 1):
            if last > MOST:
                raise Wrong("rows")
            self._row(sheet, last, row)
            reports.add(sums, row, by, values)
        if not last:  # a table has a row at least
            sheet.write_blank(1, 0, None, self._text)
        _as_table(sheet, max(last, 1), names, report.name)
        return sums

    def _row(self, sheet: Any, at: int, row: Row) -> None:
        for n, (column, value) in enumerate(zip(self._report.columns, row, strict=True)):
            self._put(sheet, at, n, column, value)

    def _put(self, sheet: Any, at: int, n: int, column: Column, value: Cell) -> None:
        form = self._formats[n]
        match column.kind, value:
            case _, None:
                sheet.write_blank(at, n, None, form)
            case (("count" | "share" | "number"), (int() | float())):
                sheet.write_number(at, n, value, form)
            case "day", int() if value:
                day = datetime.combine(date.fromordinal(value), datetime.min.time())
                sheet.write_datetime(at, n, day, form)
            case "moment", datetime():
                sheet.write_datetime(at, n, _naive(value), form)
            case _:
                said = reports.cell(column, value, self._lang, self._content)
                put(sheet, at, n, said, form)

    def about(self, sheet: Any, lines: list[str], sums: dict[Row, list[int]]) -> None:
        """What the file is, then the sums with their chart beside them."""
        sheet.set_column(0, 0, 60)
        for at, line in enumerate(lines):
            put(sheet, at, 0, line, self._text if at else self._bold)
        chart = self._report.chart
        if chart is None or not sums:
            return
        first = len(lines) + 1
        values = [self._report.columns[self._report.at(each)] for each in chart.values]
        for n, column in enumerate(values, 1):
            put(sheet, first, n, reports.header(column, self._lang, self._content), self._bold)
        by = [self._report.columns[self._report.at(each)] for each in chart.by]
        shown = reports.in_order(sums, by, self._content)[:DRAWN]
        for at, (key, figures) in enumerate(shown, first + 1):
            put(sheet, at, 0, reports.label(by, key, self._lang, self._content), self._text)
            for n, figure in enumerate(figures, 1):
                sheet.write_number(at, n, figure)
        self._draw(sheet, chart, first, first + len(shown))

    def _draw(self, sheet: Any, chart: Chart, first: int, last: int) -> None:
        parts = {"subtype": "percent_stacked"} if len(chart.values) > 2 else {}
        drawn = self._book.add_chart({"type": chart.kind, **parts})
        name = sheet.get_name()
        for n in range(1, len(chart.values) + 1):
            drawn.add_series({
                "name": [name, first, n],
                "categories": [name, first + 1, 0, last, 0],
                "values": [name, first + 1, n, last, n],
                **_coloured(chart, n - 1),
            })  # fmt: skip
        drawn.set_title({"name": reports.title(self._report.name, self._lang, self._content)})
        if chart.kind == "bar":
            drawn.set_y_axis({"reverse": True, "interval_unit": 1})  # the first row on top
        drawn.set_legend({"none": len(chart.values) == 1, "position": "bottom"})
        drawn.set_size({"width": 760, "height": max(380, min(60 + 24 * (last - first), 2000))})
        sheet.insert_chart(0, len(chart.values) + 2, drawn)


_MARKUP = re.compile(
    r"(?<=^<)(?=r>.*</r>$)|(?<=^<r)(?=>.*</r>$)|(?<=_)(?=x[0-9A-Fa-f]{4}_)|(?<=_x)(?=[0-9A-Fa-f]{4}_)",
    re.DOTALL,
)
"""Inside what readers and the library take for markup of their own: "<r>…</r>" and "_x0041_"."""


def _coloured(chart: Chart, n: int) -> dict[str, Any]:
    colour = {"color": COLOURS[n % len(COLOURS)]}
    return {"line": {**colour, "width": 2.25}} if chart.kind == "line" else {"fill": colour}


def put(sheet: Any, row: int, column: int, text: str, form: Any = None) -> None:
    """Write a text as a string, never as a number, a link or a formula."""
    said = _fitting(visible(text))
    parts = _MARKUP.split(said)
    if not said:
        sheet.write_blank(row, column, None, form)
    elif len(parts) > 1:  # handed over in parts, nothing in it is markup any more
        sheet.write_rich_string(row, column, *parts, *([form] if form else []))
    else:
        sheet.write_string(row, column, said, form)


def _fitting(text: str) -> str:
    """Cut where a cell ends; the reader sees that it was cut."""
    if len(text) <= LONGEST // 2:
        return text
    units = text.encode("utf-16-le")
    if len(units) <= 2 * LONGEST:
        return text
    return units[: 2 * (LONGEST - 1)].decode("utf-16-le", "ignore") + CUT


def _as_table(sheet: Any, last: int, names: list[str], name: str) -> None:
    """Make the rows a table of Excel's. The library refuses this where rows go to the disk, as it
    would write the headers again and note every cell: they are there already, and noting two rows
    is enough."""
    streaming, sheet.constant_memory = sheet.constant_memory, False
    try:
        columns = [{"header": each} for each in names]
        made = sheet.add_table(0, 0, 1, len(names) - 1, {"name": name, "columns": columns})
        assert made == 0, f"no table: {made}"
    finally:
        sheet.constant_memory = streaming
    table = sheet.tables[-1]
    for key in ("range", "a_range", "autofilter"):
        table[key] = table[key].rpartition(":")[0] + ":" + _corner(last, len(names) - 1)


def _corner(row: int, column: int) -> str:
    return str(xl_rowcol_to_cell(row, column))


def _naive(when: datetime) -> datetime:
    """On the agency's clock: spreadsheets know no zones."""
    return local(when).replace(tzinfo=None)
