"""`kaona privacy …`: what a privacy officer does at the command line."""

import asyncio
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bot.config import load_settings
from flows.calendar import local
from flows.text import short_date
from storage.database import ConfigError

app = typer.Typer(no_args_is_help=True, help="Personal data: requests, copies, erasure, clocks.")
out = Console(highlight=False, soft_wrap=True)

Who = Annotated[str, typer.Option(help="The person's id at HR.")]
By = Annotated[str, typer.Option(help="Your id at HR, with the role privacy; else the operator.")]
WIDE = 160


class Unwilling(ConfigError):
    """What was asked cannot be done."""


@app.command()
def export(
    person: Who,
    to: Annotated[Path, typer.Option("--out", help="A new .zip file.")],
    by: By = "",
) -> None:
    """Everything that is held about a person, as JSON and as a page; noted in the audit log."""
    made = ask("export", person=person, out=str(to.resolve()), by=by)
    rows = sum(made["tables"].values())
    out.print(f"{to}: {rows:,} records of {len(made['tables'])} tables, {made['bytes']:,} bytes")
    out.print("hand it over in person or by a protected channel, then delete it")


@app.command()
def wishes(
    ended: Annotated[bool, typer.Option(help="Those that were dealt with, too.")] = False,
    by: By = "",
) -> None:
    """What people ask about their data, the most urgent first, with the days left by law."""
    table = Table("id", "kind", "who", "unit", "asked", "due", "days left", "", box=None)
    rows = ask("wishes", ended=ended, by=by)
    for row in rows:
        left = row["ended"] or (str(row["days"]) if row["days"] >= 0 else "OVERDUE")
        when, due = day(row["at"]), day(row["due"])
        table.add_row(
            str(row["id"]),
            row["kind"],
            row["who"],
            row["unit"],
            when,
            due,
            left,
            plain(row["words"]),
        )
    show(table if rows else "no requests are open")


@app.command()
def end(
    id: int,
    as_: Annotated[Literal["done", "refused"], typer.Option("--as", help="How it ended.")],
    reason: Annotated[
        str, typer.Option(help="Why, in words for whoever asked; a refusal must (PDPA s.39).")
    ] = "",
    by: By = "",
) -> None:
    """A request has been dealt with: whoever asked hears so in the chat, with the reason."""
    if as_ == "refused" and not reason.strip():
        raise Unwilling("--reason: a refusal must say why: it is kept in the record (PDPA s.39)")
    ask("end", id=id, how=as_, reason=reason.strip(), by=by)
    out.print(f"request {id}: {as_}")


@app.command("who-looked")
def who_looked(person: Who, by: By = "") -> None:
    """Who opened a person's data, or changed it, the latest first."""
    table = Table("at", "by (id at HR)", "action", "result", box=None)
    rows = ask("who_looked", person=person, by=by)
    for row in rows:
        table.add_row(moment(row["at"]), row["by"] or "operator", row["action"], row["result"])
    show(table if rows else "nobody")


@app.command()
def erase(
    person: Who,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask whether I am sure.")] = False,
    by: By = "",
) -> None:
    """Delete a person's learning at once, and what names them on the roster. For good."""
    if not yes:
        typer.confirm(f"Erase {person} for good, from learning and from the roster?", abort=True)
    ask("erase", person=person, by=by)
    out.print("erased; the ledger keeps it so after a restore")


@app.command()
def purge(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count what is over.")] = False,
) -> None:
    """Delete what its clock has ended; each night this happens by itself."""
    if not dry_run:
        done = ask("purge")
        for step, many in done.items():
            out.print(f"{step}: {many:,}", markup=False)
        out.print(f"purged: {sum(done.values()):,} rows")
        return
    table = Table("what", "rule", "rows that are over", box=None)
    rows = ask("due")
    for row in rows:
        table.add_row(row["step"], row["rule"], f"{row['rows']:,}")
    show(table)
    out.print(f"{sum(row['rows'] for row in rows):,} rows are over; nothing was deleted")


@app.command()
def reapply() -> None:
    """After a restore: erase again whom the backup has brought back. A start does the same."""
    out.print(f"erased again: {ask('reapply')['people']}")


@app.command()
def register(
    format: Annotated[Literal["md", "html"], typer.Option(help="As text, or as a page.")] = "md",
    to: Annotated[Path | None, typer.Option("--out", help="A folder to write to.")] = None,
) -> None:
    """The record of processing, data map, notice table, DPIA and agreement, from the register."""
    from bot.register import documents
    from content.load import load

    settings = load_settings()
    made = documents(load().model_copy(update={"dpo": settings.dpo_contact}), format)
    for name, text in made.items():
        if to is None:
            print(text)
            continue
        to.mkdir(parents=True, exist_ok=True)
        (to / name).write_text(text, encoding="utf-8")
        out.print(str(to / name))


def show(table: Table | str) -> None:
    """Ids and words whole, however narrow the terminal is."""
    Console(highlight=False, width=max(out.width, WIDE)).print(table)


def plain(text: str) -> str:
    """Somebody's words as they are, whatever brackets are in them."""
    return escape(text)


# --- asking --------------------------------------------------------------------------


def ask(do: str, **args: Any) -> Any:
    """Ask the running service, or do it here; what is refused ends the command."""
    from bot.service import operator

    async def work() -> Any:
        async with operator(load_settings()) as who:
            return await who.call("privacy", {"do": do, "args": args})

    answer = asyncio.run(work())
    if isinstance(answer, dict) and "refused" in answer:
        raise Unwilling("\nkaona: ".join(answer["refused"]))
    return answer


def day(iso: str) -> str:
    return short_date(local(datetime.fromisoformat(iso)), "th")


def moment(iso: str) -> str:
    here = local(datetime.fromisoformat(iso))
    return f"{short_date(here, 'th')} {here:%H:%M}"
