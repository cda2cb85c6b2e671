"""`kaona report …`: a report on the screen or as a file."""

import asyncio
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer
from msgspec import Struct
from msgspec.structs import asdict
from rich.console import Console
from rich.table import Table
from rich.text import Text
from sqlalchemy import Connection, select, text

from bot import ocsc
from bot.config import Settings, load_settings, var_folder
from bot.exports import Mark, Writer, csv, head, headers, json, xlsx
from bot.remote import Remote
from content.load import load
from content.schema import LANGS, Content, Lang
from flows import reports as words
from flows.calendar import fiscal_bounds, keep_time_of
from flows.reports import Ask, Report
from flows.text import common_year
from storage import reports
from storage.database import ConfigError, Database
from storage.models import persons
from storage.scope import OPERATOR, Denied, Scope, scope_of

out = Console(highlight=False, soft_wrap=True)
FORMATS: dict[str, Writer] = {"csv": csv.write, "xlsx": xlsx.write, "json": json.write}
ERA = 2400
"""Years above it are of the Buddhist era."""
WIDE = 2000
"""Room for every column of a table; a narrow screen folds its lines."""


class Wanted(Struct, frozen=True):
    """What was typed. An empty format is the screen, or what the file's name says."""

    name: str
    ask: Ask
    year: int
    format: str
    out: Path | None
    by: str
    lang: Lang


OCSC = "ocsc"
"""The report that is more than a table: a document of its own (bot/ocsc.py)."""


def report(
    name: Annotated[str, typer.Argument(help="Which one; `list` shows all.")],
    unit: Annotated[str, typer.Option(help="Only this unit and those below: its full path.")] = "",
    group: Annotated[str, typer.Option(help="Only this personnel group, by its id.")] = "",
    from_: Annotated[str, typer.Option("--from", help="The first day: 2569-10-01.")] = "",
    until: Annotated[str, typer.Option(help="The last day.")] = "",
    year: Annotated[int, typer.Option(help="A fiscal year (Buddhist era), instead.")] = 0,
    round: Annotated[int, typer.Option(min=0, help="A round of the learners'.")] = 0,
    days: Annotated[int, typer.Option(min=0, max=250, help="Working days in silence.")] = 0,
    format: Annotated[str, typer.Option(help="table, csv, xlsx or json.")] = "",
    out: Annotated[Path | None, typer.Option(help="The file to write.")] = None,
    by: Annotated[str, typer.Option(help="Your id at HR; else the operator asks.")] = "",
    lang: Annotated[str, typer.Option(help="th or en.")] = "th",
    freeze: Annotated[bool, typer.Option(help="ocsc: keep it for good, with a hash.")] = False,
    internal: Annotated[bool, typer.Option(help="ocsc: with small groups, for HR only.")] = False,
    again: Annotated[bool, typer.Option(help="ocsc: freeze in place of the last.")] = False,
) -> None:
    """Figures for HR: on the screen, or as CSV, XLSX or JSON; `ocsc` as PDF and DOCX, too."""
    if name == OCSC:
        _refuse(unit=unit, group=group, from_=from_, until=until, round=round, days=days)
        return ocsc.write_all(
            year, format, out, freeze=freeze, internal=internal, by=by, again=again
        )
    _refuse(freeze=freeze, internal=internal, again=again)
    settings, content = load_settings(), load()
    keep_time_of(ZoneInfo(settings.timezone))
    if name == "list":
        return _list(content)
    days_ = _days(from_, until, year)
    ask = Ask(unit, group, *days_, round, days)
    speech = next((each for each in LANGS if each == lang), None)
    if speech is None:
        raise ConfigError(f"--lang: {lang!r} is none of {', '.join(LANGS)}")
    wanted = Wanted(name, ask, year, chosen_format(format, out), out, by, speech)
    return _run(settings, content, wanted)


def _refuse(**given: object) -> None:
    """An option that would do nothing here."""
    for option, value in given.items():
        if value:
            raise ConfigError(f"--{option.strip('_')}: this report does not take it: leave it out")


def _list(content: Content) -> None:
    table = Table("name", "report", "filters", box=None)
    for name, entry in reports.REPORTS.items():
        titles = " · ".join(words.title(name, lang, content) for lang in LANGS)
        table.add_row(name, titles, " ".join("--" + each for each in entry.takes))
    titles = " · ".join(content.copy_[lang]["report_ocsc"] for lang in LANGS)
    table.add_row(OCSC, titles, "--year --freeze --internal --again")
    out.print(table)


# --- what was typed ------------------------------------------------------------------


def chosen_format(format: str, file: Path | None) -> str:
    known = format or (file.suffix.removeprefix(".") if file else "table")
    if known not in ("table", *FORMATS):
        raise ConfigError(f"--format: {known!r} is none of table, {', '.join(FORMATS)}")
    if known == "table" and file is not None:
        raise ConfigError(f"--out: a table is for the screen; choose one of {', '.join(FORMATS)}")
    return known


def _days(first: str, last: str, year: int) -> tuple[int, int]:
    """From and until as ordinals; 0 where nothing was said."""
    if not year:
        return day("--from", first), day("--until", last)
    if first or last:
        raise ConfigError("--year: leave out --from and --until, a year says both")
    try:
        begin, end = fiscal_bounds(year)
    except (ValueError, OverflowError):
        raise ConfigError(f"--year: {year} is no fiscal year such as 2570") from None
    return begin.toordinal(), end.toordinal()


def day(option: str, text: str) -> int:
    """A day, as 2569-12-01 or 1/12/2569; its year may be of the Buddhist era."""
    if not text:
        return 0
    day, slash, month_year = text.strip().partition("/")
    month, _, last = month_year.partition("/")
    iso = f"{last}-{month:0>2}-{day:0>2}" if slash else text.strip()
    year, dash, rest = iso.partition("-")
    if year.isdecimal() and int(year) > ERA:
        year = str(common_year(int(year)))
    try:
        return date.fromisoformat(year + dash + rest).toordinal()
    except ValueError:
        form = "2569-12-01 or 1/12/2569"
        raise ConfigError(f"{option}: cannot read {text!r}: write it as {form}") from None


# --- answering -----------------------------------------------------------------------


def _run(settings: Settings, content: Content, wanted: Wanted) -> None:
    now = datetime.now(UTC)
    with reading(settings) as conn:
        scope, who = viewer(conn, wanted, now, content)
        with _explained(content):
            made = reports.report(conn, wanted.name, scope, wanted.ask, now, content)
            written_down(settings, wanted, scope)
            if wanted.format == "table":
                show(made, Mark(who, now), wanted.lang, content)
            else:
                path = wanted.out or Path(f"kaona-{wanted.name}-{now:%Y-%m-%d}.{wanted.format}")
                write(made, path, Mark(who, now), wanted, content)
                out.print(str(path), markup=False)


@contextmanager
def reading(settings: Settings) -> Iterator[Connection]:
    """A connection that cannot write; the service may be running. One snapshot for all of it."""
    db = Database(settings.database_url, lock=False)
    try:
        db.require_current()
        with db.read() as conn:
            if not db.sqlite:  # there, one snapshot and more than a minute must be asked for
                conn.execution_options(isolation_level="REPEATABLE READ")
                conn.execute(text("set local statement_timeout = '15min'"))
            yield conn
    finally:
        db.close()


def viewer(conn: Connection, wanted: Wanted, now: datetime, content: Content) -> tuple[Scope, str]:
    """Whose rights hold, and what they are called on a file."""
    if not wanted.by:
        return OPERATOR, content.copy_[wanted.lang]["report_operator"]
    person = conn.execute(select(persons).where(persons.c.hr_id == wanted.by)).first()
    if person is None:
        raise ConfigError(f"--by: nobody on the roster has the id {wanted.by!r}")
    return scope_of(conn, person.id, now), f"{person.name} ({person.hr_id})"


@contextmanager
def _explained(content: Content) -> Iterator[None]:
    """What cannot be shown is one line, and changes nothing."""
    try:
        yield
    except reports.Wrong as wrong:
        sentence = content.copy_["en"]["report_wrong_" + wrong.key]
        raise ConfigError(sentence.format_map(wrong.slots)) from wrong
    except Denied as denied:
        raise ConfigError(
            f"--by: you have no right to this: it takes the power {str(denied)!r} over these units"
        ) from denied


def written_down(settings: Settings, wanted: Wanted, scope: Scope) -> None:
    """The audit entry, before anything is shown: written by the service if it runs."""
    given: dict[str, Any] = {"name": wanted.name, "how": wanted.format}
    asyncio.run(_noted(settings, given, wanted.ask, scope))


async def _noted(settings: Settings, given: dict[str, Any], ask: Ask, scope: Scope) -> None:
    remote = await Remote.connect(var_folder(settings) / "kaona.sock")
    if remote is not None:
        await remote.call("report_asked", {**given, "by": scope.viewer, "ask": asdict(ask)})
        await remote.close()
        return
    db = Database(settings.database_url)
    try:
        with db.write() as conn:
            reports.asked(conn, given["name"], scope, ask, datetime.now(UTC), given["how"])
    finally:
        db.close()


def show(made: Report, mark: Mark, lang: Lang, content: Content) -> None:
    for line in head(made, mark, lang, content):
        out.print(line, markup=False)
    table = Table(box=None)
    for name in headers(made, lang, content):
        table.add_column(name, no_wrap=True)
    for row in made.rows:
        cells = zip(made.columns, row, strict=True)
        said = (words.cell(column, value, lang, content) for column, value in cells)
        table.add_row(*(Text(" ".join(each.split()) or "–") for each in said))
    wide = Console(highlight=False, soft_wrap=True, width=WIDE)
    wide.print(table, crop=False)


def write(made: Report, path: Path, mark: Mark, wanted: Wanted, content: Content) -> None:
    """A file for this user only; one that could not be finished leaves nothing behind."""
    try:
        handle, name = tempfile.mkstemp(dir=path.absolute().parent, prefix=".kaona-")
    except OSError as error:
        raise ConfigError(f"--out: cannot write to {path}: {error.strerror}") from error
    os.close(handle)
    try:
        FORMATS[wanted.format](made, Path(name), mark, wanted.lang, content)
        os.replace(name, path)
    except OSError as error:
        raise ConfigError(f"--out: cannot write {path}: {error.strerror}") from error
    finally:
        Path(name).unlink(missing_ok=True)
