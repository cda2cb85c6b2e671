"""The `kaona` command."""

import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer
from rich.console import Console
from rich.table import Table

from bot import (
    admin,
    audits,
    authoring,
    calibration,
    campaigns,
    claims,
    evidence,
    privacy,
    programme,
    records,
    report,
    roster,
)
from bot.authoring import checked
from bot.config import Settings, load_settings
from content.load import ContentError, load
from flows.calendar import keep_time_of, local
from flows.text import buddhist_year, long_date
from storage.database import ConfigError, Database

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
parked_app = typer.Typer(no_args_is_help=True, help="Events whose turn failed.")
app.add_typer(parked_app, name="parked")
app.add_typer(campaigns.app, name="campaign")
app.add_typer(records.token, name="token")
app.add_typer(records.hook, name="hook")
app.add_typer(records.xapi, name="xapi")
app.add_typer(privacy.app, name="privacy")
app.add_typer(audits.app, name="audit")
app.add_typer(programme.app, name="programme")
app.add_typer(evidence.app, name="evidence")
app.add_typer(authoring.app, name="content")
authoring.app.add_typer(calibration.app)
app.command("report")(report.report)
app.add_typer(roster.app, name="roster")
app.add_typer(admin.app, name="admin")
roster.app.add_typer(claims.app)
out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def main() -> None:
    """Run a command; what a person must mend is one line each, and a non-zero exit."""
    try:
        app()
    except ConfigError as error:
        err.print(f"kaona: {error}", markup=False)
        sys.exit(2)
    except ContentError as error:
        for fault in error.faults:
            err.print(str(fault), markup=False)
        err.print(f"kaona: {len(error.faults)} faults in the content")
        sys.exit(2)


@app.command()
def serve() -> None:
    """Everything in one process: webhooks, web chat, sending and timers."""
    _serve(load_settings().require_service())


@app.command()
def web() -> None:
    """Answer HTTP only; `kaona worker` sends. Needs PostgreSQL."""
    _serve(_shared(load_settings().require_service()), works=False)


@app.command()
def worker() -> None:
    """Send and keep time only; `kaona web` answers. Needs PostgreSQL."""
    from bot.service import work

    settings = _shared(load_settings().require_service())
    _current(settings)
    asyncio.run(work(settings, load()))


@app.command()
def demo() -> None:
    """Serve with a made-up agency, no tokens needed."""
    from bot.service import serve_demo

    serve_demo(out)


@app.command()
def chat(
    as_: Annotated[str, typer.Option("--as", help="A made-up person: name or id.")] = "",
    record: Annotated[Path | None, typer.Option(help="Write a transcript test here.")] = None,
) -> None:
    """Talk in the terminal."""
    from bot.talk import talk

    asyncio.run(talk(_chat_settings(as_), as_, record, out))


def _chat_settings(as_: str) -> Settings:
    """Made-up people live in the demo's database; everybody else in the agency's."""
    from bot.service import demo_settings

    return demo_settings() if as_ else load_settings()


@app.command()
def check(
    deep: Annotated[
        bool, typer.Option("--deep", help="Spelling and reading level, too: some seconds more.")
    ] = False,
) -> None:
    """Check all content; list every fault with file, line and how to mend it."""
    content, warnings = checked(local(datetime.now(UTC)).date(), deep=deep)
    table = Table("area", "questions", "lessons", "exercises", box=None)
    for subject in content.subjects:
        counts = (content.questions, content.lessons, content.exercises)
        table.add_row(subject.id, *(str(len(shelf.get(subject.id, ()))) for shelf in counts))
    out.print(table)
    for warning in warnings:
        out.print(f"warning: {warning}", markup=False)
    out.print("content: no faults")


@app.command()
def understand(
    now: Annotated[str, typer.Option(help="What `tomorrow` is counted from, as ISO 8601.")] = "",
) -> None:
    """Read a message a line, write what each means as a line of JSON."""
    from bot.understanding import answer_all, moment, standard

    zone = ZoneInfo(load_settings().timezone)
    keep_time_of(zone)
    try:
        at = moment(now, zone) if now else None
    except ValueError as error:
        raise ConfigError(f"--now: {now!r} is no moment, try 2026-11-30T10:00") from error
    answer_all(*standard(), at, load())


@app.command()
def calendar(
    year: Annotated[int | None, typer.Argument(help="A Buddhist-era year; else this one.")] = None,
) -> None:
    """The days off of a year, and how sure they are (marks as in docs/sources.md)."""
    content = load()
    wanted = year or buddhist_year(local(datetime.now(UTC)).date())
    known = {known.year: known.holidays for known in content.calendar}
    if wanted not in known:
        raise ConfigError(f"content/calendar knows {min(known)} to {max(known)}, not {wanted}")
    ours = [day for day in content.agency.days if buddhist_year(day.date) == wanted]
    for day in sorted((*known[wanted], *ours), key=lambda day: day.date):
        weekday = content.words.weekdays[day.date.weekday()][0]
        sure = day.source.certainty if day.source else " "
        thai = f"{weekday} {long_date(day.date, 'th')}"
        out.print(f"{day.date}  {day.kind:12}  {sure}  {thai} · {day.name.th}", markup=False)


@app.command()
def quota() -> None:
    """What this month's LINE messages have been used for, and what is still to come."""
    from bot.quotas import show

    show(load_settings(), load(), out)


@app.command()
def migrate() -> None:
    """Bring the database to this version."""
    from storage.migrate import migrate as run

    settings = load_settings()
    db = Database(settings.database_url)
    try:
        run(db)
        out.print(f"database at {db.version()}")
    finally:
        db.close()


@app.command()
def setup() -> None:
    """Tell the platforms about us: LINE's rich menu, Telegram's commands and webhook."""
    from bot.setup import setup as run

    asyncio.run(run(load_settings().require_service(), load(), out))


@parked_app.command("list")
def parked_list() -> None:
    """What waits for a person, oldest first."""
    rows = _call("parked", {})
    table = Table("id", "at", "channel", "error", box=None)
    for row in rows:
        table.add_row(str(row["id"]), row["at"], row["channel"], row["error"])
    out.print(table if rows else "nothing is parked")


@parked_app.command("replay")
def parked_replay(parked_id: int) -> None:
    """Give an event another turn."""
    _report(_call("replay", {"parked_id": parked_id}), parked_id, "replayed")


@parked_app.command("discard")
def parked_discard(parked_id: int) -> None:
    """Let an event go."""
    _report(_call("discard", {"parked_id": parked_id}), parked_id, "discarded")


def _report(worked: bool, parked_id: int, how: str) -> None:
    if not worked:
        raise ConfigError(f"no event {parked_id} can be {how}: see `kaona parked list`")
    out.print(f"{parked_id} {how}")


def _call(do: str, args: dict[str, Any]) -> Any:
    from bot.service import call

    return asyncio.run(call(load_settings(), do, args))


def _serve(settings: Settings, *, works: bool = True) -> None:
    from bot.service import serve as run

    _current(settings)
    run(settings, load(), works=works)


def _shared(settings: Settings) -> Settings:
    if settings.database_url.startswith("sqlite"):
        raise ConfigError("KAONA_DATABASE_URL: several processes need PostgreSQL: `kaona serve`")
    return settings


def _current(settings: Settings) -> None:
    db = Database(settings.database_url)
    try:
        db.require_current()
    finally:
        db.close()
