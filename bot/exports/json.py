"""JSON for other programs: ids beside their names, days and moments in ISO 8601, shares from 0 to
1."""

from datetime import date, datetime
from pathlib import Path
from typing import Any

from msgspec.json import encode
from msgspec.structs import asdict

from bot.exports import Mark, head
from content.schema import Content, Lang
from flows import reports
from flows.reports import Cell, Column, Report


def write(report: Report, path: Path, mark: Mark, lang: Lang, content: Content) -> None:
    """One object; its rows a line each, as objects by the columns' ids."""
    about: dict[str, Any] = {
        "report": report.name,
        "as_of": report.as_of.isoformat(),
        "denominator": report.denominator,
        "asked_by": mark.who,
        "asked_at": mark.at.isoformat(),
        "filters": {key: value for key, value in asdict(report.ask).items() if value},
        "head": head(report, mark, lang, content),
        "columns": [
            {"id": each.id, "kind": each.kind, "name": reports.header(each, lang, content)}
            for each in report.columns
        ],
    }
    words: dict[str, str] = {}
    with path.open("wb") as file:
        file.write(encode(about)[:-1] + b',"rows":[')
        for n, row in enumerate(report.rows):
            file.write(b",\n" if n else b"\n")
            file.write(encode(_row(report, row, words, lang, content)))
        file.write(b'\n],"words":' + encode(words) + b"}\n")


def _row(
    report: Report, row: reports.Row, words: dict[str, str], lang: Lang, content: Content
) -> dict[str, Any]:
    """Names of ids are gathered into `words`: there are few of them."""
    for column, value in zip(report.columns, row, strict=True):
        if column.kind == "word" and isinstance(value, str) and value not in words:
            words[value] = reports.cell(column, value, lang, content)
    return {
        column.id: _plain(column, value) for column, value in zip(report.columns, row, strict=True)
    }


def _plain(column: Column, value: Cell) -> Any:
    match column.kind, value:
        case "day", int() if value:
            return date.fromordinal(value).isoformat()
        case "moment", datetime():
            return value.isoformat()
        case _, str():
            return value.encode("utf-8", "replace").decode()
        case _:
            return value
