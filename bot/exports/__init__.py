"""Reports as files: CSV, XLSX and JSON, each marked with who asked for it and when."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from msgspec import Struct

from content.schema import Content, Lang
from flows import reports
from flows.reports import Report


class Mark(Struct, frozen=True):
    """Who asked for a file, and when."""

    who: str
    at: datetime


Writer = Callable[[Report, Path, Mark, Lang, Content], None]


def head(report: Report, mark: Mark, lang: Lang, content: Content) -> list[str]:
    """What stands above the rows of every file, a line each: what it is, of whom, when, who asked,
    and how it must be handled."""
    labels = content.copy_[lang]
    kept = "report_class_names" if report.names else "report_class_figures"
    return [
        reports.title(report.name, lang, content),
        labels[kept],
        labels["report_as_of"].format(when=reports.moment(report.as_of, lang)),
        reports.denominator(report, lang, content),
        *reports.filters(report.ask, lang, content),
        labels["report_asked_by"].format(who=mark.who),
        labels["report_asked_at"].format(when=reports.moment(mark.at, lang)),
        *reports.notes(report, lang, content),
    ]


def headers(report: Report, lang: Lang, content: Content) -> list[str]:
    return [reports.header(column, lang, content) for column in report.columns]


_PICTURES = {code: 0x2400 + code for code in range(0x20) if code not in (0x09, 0x0A)}
_PICTURES |= {0x7F: 0x2421}
_PICTURES |= dict.fromkeys((*range(128, 160), *range(55296, 57344), 65534, 65535), 65533)


def visible(text: str) -> str:
    """Text as every file can hold it: signs that mean nothing to a reader, such as NUL, become
    pictures of themselves, and a newline is one sign. The tab and the newline stay."""
    return text.replace("\r\n", "\n").translate(_PICTURES)
