"""What a report is, and how its cells are read: the same words on the screen, in the chat, in a
file and for other programs."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any, Literal

from msgspec import Struct

from content.schema import Content, Lang
from flows.calendar import local
from flows.profile import FINISHED
from flows.speech import bullets
from flows.text import long_date, short_date

NOT_JOINED = "not_joined"
"""In the place of a step: not in the chat yet."""
Kind = Literal["text", "word", "count", "share", "number", "day", "moment"]
"""Words of people or of content; an id that has a name; a whole number; from 0 to 1; any number; an
ordinal; a point in time."""
Cell = str | int | float | datetime | None
Row = tuple[Cell, ...]


class Column(Struct, frozen=True):
    """A column of a report. `of`: whose id a word is. `sums`: adding its cells up makes sense."""

    id: str
    kind: Kind = "text"
    of: str = ""
    sums: bool = False


class Chart(Struct, frozen=True):
    """How a report is drawn: the sums of `values`, for each different `by`."""

    kind: Literal["bar", "line"]
    by: tuple[str, ...]
    values: tuple[str, ...]


class Ask(Struct, frozen=True):
    """What a viewer wants of a report. Days are ordinals, the last one included; 0: open."""

    unit: str = ""
    group: str = ""
    from_on: int = 0
    until_on: int = 0
    round: int = 0
    days: int = 0


class Report(Struct, frozen=True):
    """Figures with what they are of: `denominator` is what `report_<name>_of` counts, and all is
    as it was at `as_of`. Rows may come while they are read; they can be read once."""

    name: str
    columns: tuple[Column, ...]
    rows: Iterable[Row]
    denominator: int
    as_of: datetime
    ask: Ask = Ask()
    notes: tuple[str, ...] = ()
    """Sentences `report_note_<id>`."""
    chart: Chart | None = None
    names: bool = False
    """It names people."""

    def at(self, column: str) -> int:
        return next(n for n, each in enumerate(self.columns) if each.id == column)


# --- words ---------------------------------------------------------------------------


def title(name: str, lang: Lang, content: Content) -> str:
    return content.copy_[lang]["report_" + name]


def header(column: Column, lang: Lang, content: Content) -> str:
    return content.copy_[lang]["report_col_" + column.id]


def denominator(report: Report, lang: Lang, content: Content) -> str:
    key = f"report_{report.name}_of"
    return content.copy_[lang][key].format(n=f"{report.denominator:,}")


def notes(report: Report, lang: Lang, content: Content) -> list[str]:
    return [content.copy_[lang]["report_note_" + note] for note in report.notes]


def filters(ask: Ask, lang: Lang, content: Content) -> list[str]:
    """What was asked for, a sentence each."""
    labels = content.copy_[lang]
    days = {"from": ask.from_on, "until": ask.until_on}
    known = {
        "unit": ask.unit,
        "group": ask.group and name("group", ask.group, lang, content),
        **{key: day and short_date(date.fromordinal(day), lang) for key, day in days.items()},
        "round": ask.round,
        "days": ask.days,
    }
    return [labels["report_by_" + key].format(what=value) for key, value in known.items() if value]


def name(of: str, id: str, lang: Lang, content: Content) -> str:
    """What an id of the content's is called, or of a sentence `report_word_<id>`. What is gone
    leaves its id."""
    labels = content.copy_[lang]
    if of == "question":
        return content.question(id).stem.of(lang)
    among: Iterable[Any] = {
        "step": content.method.steps,
        "group": content.framework.groups,
        "area": content.subjects,
    }.get(of, ())
    for each in among:
        if each.id == id:
            return str(each.name.of(lang))
    return labels.get("report_word_" + (id or "none"), id)


def cell(column: Column, value: Cell, lang: Lang, content: Content) -> str:
    """A cell as people read it; what is not known is a dash."""
    if value is None:
        return "–"
    match column.kind, value:
        case "word", str():
            ids = value.split(" ") if column.of == "words" else [value]
            return ", ".join(name(column.of, id, lang, content) for id in ids if id or not value)
        case "count", int():
            return f"{value:,}"
        case "share", (int() | float()):
            return f"{100 * value:.1f}%"
        case "number", (int() | float()):
            return f"{value:.2f}"
        case "day", int():
            return short_date(date.fromordinal(value), lang) if value else "–"
        case "moment", datetime():
            return moment(value, lang)
        case _:
            return str(value)


def label(columns: Sequence[Column], row: Row, lang: Lang, content: Content) -> str:
    """Some cells in one line, as a chart names its bars."""
    cells = zip(columns, row, strict=True)
    return " · ".join(cell(column, value, lang, content) for column, value in cells)


def moment(when: datetime, lang: Lang) -> str:
    """Day and time on the agency's clock."""
    here = local(when)
    return f"{long_date(here.date(), lang)} {here:%H:%M}"


# --- sums ----------------------------------------------------------------------------


def summed(report: Report, rows: Iterable[Row], chart: Chart) -> dict[Row, list[int]]:
    """The sums of a chart's values by its labels, in the order of the rows."""
    by, values = [report.at(each) for each in chart.by], [report.at(v) for v in chart.values]
    sums: dict[Row, list[int]] = {}
    for row in rows:
        add(sums, row, by, values)
    return sums


def in_order(
    sums: dict[Row, list[int]], columns: Sequence[Column], content: Content
) -> list[tuple[Row, list[int]]]:
    """Sums by the order that steps, groups and areas have; all others as they come."""
    ranks = [_ranks(column, content) for column in columns]

    def rank(item: tuple[Row, list[int]]) -> tuple[int, ...]:
        return tuple(
            known.get(value, len(known)) for known, value in zip(ranks, item[0], strict=True)
        )

    return sorted(sums.items(), key=rank)


def _ranks(column: Column, content: Content) -> dict[Cell, int]:
    steps = (step.id for step in content.method.steps)
    ids: dict[str, Iterable[str]] = {
        "step": (NOT_JOINED, *steps, FINISHED),
        "group": (group.id for group in content.framework.groups),
        "area": (area.id for area in content.subjects),
    }
    return {id: n for n, id in enumerate(ids.get(column.of, ()))}


def add(sums: dict[Row, list[int]], row: Row, by: list[int], values: list[int]) -> None:
    """Add a row to sums that are kept by its cells `by`."""
    found = sums.setdefault(tuple(row[at] for at in by), [0] * len(values))
    for n, at in enumerate(values):
        found[n] += int(row[at] or 0)  # type: ignore[arg-type]


# --- in a chat -----------------------------------------------------------------------

LINES = 20
"""Lines of a chat message; the rest is in the files."""


def text(report: Report, lang: Lang, content: Content) -> str:
    """A report in a chat: its sums where it is drawn, else its first rows, as short lines."""
    labels = content.copy_[lang]
    lines = (
        _sums(report, report.chart, lang, content) if report.chart else _rows(report, lang, content)
    )
    head = [f"{title(report.name, lang, content)} ({moment(report.as_of, lang)})"]
    head += [denominator(report, lang, content), *filters(report.ask, lang, content)]
    more = labels["report_more"].format(n=len(lines) - LINES) if len(lines) > LINES else ""
    body = bullets(lines[:LINES]) if lines else labels["report_empty"]
    parts = ["\n".join(head), body, more, *notes(report, lang, content)]
    return "\n\n".join(part for part in parts if part)


def _sums(report: Report, chart: Chart, lang: Lang, content: Content) -> list[str]:
    columns = [report.columns[report.at(each)] for each in chart.by]
    counted = [report.columns[report.at(each)] for each in chart.values]
    lines = []
    for key, sums in in_order(summed(report, report.rows, chart), columns, content):
        what = label(columns, key, lang, content)
        many = " · ".join(
            f"{n:,}" if len(sums) == 1 else f"{header(column, lang, content)} {n:,}"
            for column, n in zip(counted, sums, strict=True)
        )
        lines.append(f"{what}: {many}")
    return lines


def _rows(report: Report, lang: Lang, content: Content) -> list[str]:
    def line(row: Row) -> str:
        return " · ".join(
            cell(column, value, lang, content)
            if column.kind in ("text", "word", "day", "moment")
            else f"{header(column, lang, content)} {cell(column, value, lang, content)}"
            for column, value in zip(report.columns, row, strict=True)
            if value not in (None, "")
        )

    return [line(row) for row in report.rows]
