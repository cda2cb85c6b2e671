"""The annual report to OCSC at the command line: as a draft, or frozen for good."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from msgspec import convert
from rich.console import Console

from bot.asking import Unwilling, ask, out, write_file
from flows.calendar import fiscal_bounds

FORMATS = ("pdf", "docx", "xlsx", "json")
aside = Console(stderr=True, highlight=False, soft_wrap=True)
"""What is worth knowing, beside the names of the files."""


def report_ocsc(
    year: int,
    format: list[str] | None = None,
    out_: Path | None = None,
    freeze: bool = False,
    internal: bool = False,
    by: str = "",
    again: bool = False,
) -> list[Path]:
    """Write the report of a fiscal year, in one file for each format; the files.

    `out_` is a file if there is one format, else a folder. Raises Unwilling if refused."""
    formats = format or list(FORMATS)
    for each in formats:
        if each not in FORMATS:
            raise Unwilling(f"--format: {each!r}: there are {', '.join(FORMATS)}")
    if freeze and not by:
        raise Unwilling("--freeze: say --by with your id at HR")
    audience = "internal" if internal else "ocsc"
    made = ask("report", year=year, audience=audience, freeze=freeze, again=again, by=by)
    if not made["report"].get("programme"):
        aside.print(f"note: no programme is written for {year}: the memo and its page stay blank")
    if freeze:
        aside.print(f"frozen, version {made['frozen']}: the edition for OCSC and the internal one")
        if datetime.now(UTC).date() <= fiscal_bounds(year)[1]:
            aside.print(f"note: the fiscal year {year} is not over; --again freezes it anew later")
    return write(made, year, formats, out_, audience)


def write(
    made: dict[str, Any], year: int, formats: list[str], out_: Path | None, audience: str
) -> list[Path]:
    """Render the answer of the office into files."""
    name = f"ocsc-{year}" + ("-internal" if audience == "internal" else "")
    folder = out_ or Path()
    one = out_ is not None and out_.suffix.lstrip(".") in FORMATS
    if one and len(formats) > 1:
        raise Unwilling("--out: several formats want a folder, not a file")
    paths = []
    for each in formats:
        path = out_ if one and out_ is not None else folder / f"{name}.{each}"
        write_file(path, render(made, each))
        paths.append(path)
    return paths


def render(made: dict[str, Any], format: str) -> bytes:
    """One file of an answer of the office. The same answer gives the same bytes."""
    from bot.render.letter import docx
    from bot.render.report import pdf
    from bot.render.workbook import xlsx
    from content.load import load
    from flows.composed import Document
    from storage.ocsc import encode

    if format == "json":
        return encode(made["report"])
    document, layout = convert(made["document"], Document), load().layout
    renderers = {"pdf": pdf, "docx": docx, "xlsx": xlsx}
    return renderers[format](document, layout)


def write_all(
    year: int,
    format: str,
    out_: Path | None,
    *,
    freeze: bool,
    internal: bool,
    by: str,
    again: bool,
) -> None:
    """What `kaona report ocsc` does: the formats are separated by commas, none means all."""
    if not year:
        raise Unwilling("--year: say which fiscal year, such as 2570")
    formats = [each.strip() for each in format.split(",") if each.strip()]
    if not formats and out_ is not None and out_.suffix.lstrip(".") in FORMATS:
        formats = [out_.suffix.lstrip(".")]
    for path in report_ocsc(year, formats, out_, freeze, internal, by, again):
        out.print(str(path))
