"""CSV that opens in Excel as Thai, and in which no cell is ever taken for a formula.

A cell whose first sign, spaces aside, begins a formula anywhere, or is an apostrophe, gets an
apostrophe before it; `read` takes one away again, so what is read is what was written. RFC 4180
quoting; UTF-8 with a byte order mark."""

import csv
from collections.abc import Iterator
from pathlib import Path

from bot.exports import Mark, head, headers, visible
from content.schema import Content, Lang
from flows import reports
from flows.reports import Report

FORMULA = frozenset("=+-@\t\r\0＝＋－＠'")
"""First signs of what a spreadsheet may run; and the one that is put before them."""
SIGN = "'"


def write(report: Report, path: Path, mark: Mark, lang: Lang, content: Content) -> None:
    """A line each of what the file is, a blank one, the headers, the rows."""
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([guarded(line)] for line in head(report, mark, lang, content))
        writer.writerow([])
        writer.writerow([guarded(each) for each in headers(report, lang, content)])
        columns = report.columns
        for row in report.rows:
            writer.writerow(
                _cell(reports.cell(column, value, lang, content), column.kind)
                for column, value in zip(columns, row, strict=True)
            )


def _cell(said: str, kind: str) -> str:
    """Figures are ours: a negative one is no formula."""
    return said if kind in ("count", "share", "number") else guarded(said)


def guarded(text: str) -> str:
    shown = visible(text)
    begins = text.lstrip(" \n\u00a0\u3000\ufeff\u200b")[:1]
    return SIGN + shown if begins in FORMULA and begins else shown


def read(path: Path) -> Iterator[list[str]]:
    """The rows of such a file, each cell as it was before it was guarded."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        for row in csv.reader(file):
            yield [cell.removeprefix(SIGN) for cell in row]
