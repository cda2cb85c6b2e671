"""`kaona campaign …`: campaigns at the command line, from draft to outcome."""

import asyncio
import tomllib
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.box import ROUNDED
from rich.columns import Columns
from rich.console import Console, Group
from rich.panel import Panel
from rich.progress import Progress
from rich.table import Table

from bot.config import load_settings
from content.schema import LANGS
from flows.calendar import local
from flows.text import common_year, long_date
from storage.database import ConfigError

app = typer.Typer(no_args_is_help=True, help="Campaigns: write, check, approve, send, look back.")
out = Console(highlight=False, soft_wrap=True)

Id = Annotated[int, typer.Argument(help="The campaign's number: see `kaona campaign list`.")]
By = Annotated[str, typer.Option(help="Your id at HR; it takes the role hr or approver.")]
Who = Annotated[str, typer.Option("--by", help="Your id at HR, which is then written down.")]
What = Annotated[str, typer.Argument(help="A TOML file, or the name of a ready-made campaign.")]
At = Annotated[str, typer.Option(help='When, such as "2569-12-01 09:30"; instead of the file\'s.')]
Units = Annotated[list[str] | None, typer.Option("--unit", help="Only this unit and those below.")]
WIDE = 160
ERA = 2400
"""Years above it are of the Buddhist era."""
Ask = Callable[[str, dict[str, Any]], Awaitable[Any]]


class Unwilling(ConfigError):
    """What was asked cannot be done."""


# --- writing -------------------------------------------------------------------------------


@app.command("list")
def list_() -> None:
    """All campaigns, the newest first."""
    rows = _ask("list")
    table = Table("id", "name", "status", "next", "sent", "people", box=None)
    for row in rows:
        sent, people = str(row["times"]), f"{row['size']:,}"
        when = _when(row["next"])
        table.add_row(str(row["id"]), row["name"], row["status"], when, sent, people)
    out.print(
        table if rows else "no campaigns yet: see `kaona campaign templates`",
        width=WIDE,
        crop=False,
    )


@app.command()
def templates() -> None:
    """Ready-made campaigns to start from."""
    table = Table("template", "name", "purpose", "whom", box=None)
    for row in _ask("templates"):
        table.add_row(row["id"], row["name"], row["purpose"], row["segment"])
    out.print(table, width=WIDE, crop=False)


@app.command()
def draft(what: What, by: By, at: At = "", unit: Units = None) -> None:
    """Keep a new campaign, from a file or a ready-made one."""
    made = _ask("draft", by=by, **_source(what), **_changes(at, unit))
    out.print(f"campaign {made['id']} drafted: {made['name']}")
    out.print(f"next: kaona campaign preview {made['id']}, kaona campaign check {made['id']}")


@app.command()
def lint(what: What, at: At = "", unit: Units = None) -> None:
    """What is wrong with a campaign, before it is drafted."""
    _refuse(_ask("lint", **_source(what), **_changes(at, unit))["problems"])
    out.print("no faults")


def _source(what: str) -> dict[str, Any]:
    path = Path(what)
    if not path.is_file():
        return {"template": what}
    try:
        plain = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Unwilling(f"{path}: not TOML: {error}") from error
    return {"spec": _json(plain)}


def _json(value: Any) -> Any:
    """TOML's own dates and times as text, in the form that is read back."""
    if isinstance(value, dict):
        return {key: _json(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_json(inner) for inner in value]
    return value.isoformat() if hasattr(value, "isoformat") else value


def _changes(at: str, units: list[str] | None) -> dict[str, Any]:
    return {"at": _moment(at), "units": units or []}


def _moment(text: str) -> str:
    """A time on the agency's clock; the year may be of the Buddhist era."""
    if not text:
        return ""
    year, dash, rest = text.strip().partition("-")
    if year.isdecimal() and int(year) > ERA:
        year = str(common_year(int(year)))
    try:
        return datetime.fromisoformat(year + dash + rest).isoformat()
    except ValueError:
        raise Unwilling(f"--at: cannot read {text!r}: write it as 2569-12-01 09:30") from None


# --- looking -------------------------------------------------------------------------------


@app.command()
def preview(id: Id) -> None:
    """The message as LINE and Telegram show it, in both languages."""
    found = _ask("preview", id=id)
    for lang in LANGS:
        out.print(Columns([line_bubble(found[lang], lang), telegram_message(found[lang], lang)]))


def line_bubble(reply: dict[str, Any], lang: str) -> Panel:
    """LINE: a bubble, with quick replies below that leave with the next message."""
    body = _body(reply)
    buttons = [Panel(choice["label"], box=ROUNDED, expand=False) for choice in reply["choices"]]
    return Panel(
        Group(Panel(body, box=ROUNDED, width=44), Columns(buttons)),
        title=f"LINE · {lang}",
        width=50,
    )


def telegram_message(reply: dict[str, Any], lang: str) -> Panel:
    """Telegram: a message, with its keyboard below it."""
    buttons = [Panel(choice["label"], box=ROUNDED, width=44) for choice in reply["choices"]]
    return Panel(Group(_body(reply), *buttons), title=f"Telegram · {lang}", width=50)


def _body(reply: dict[str, Any]) -> str:
    from rich.markup import escape

    text = escape(reply["text"])
    return f"[bold]{escape(reply['title'])}[/bold]\n{text}" if reply["title"] else text


@app.command()
def check(
    id: Id,
    names: Annotated[bool, typer.Option(help="List the recipients one by one.")] = False,
    by: Who = "",
) -> None:
    """The dry run: who gets it and who does not, what it costs, when it goes."""
    run = _ask("check", id=id, by=by)
    _refuse(run["problems"])
    out.print(f"[bold]{run['name']}[/bold]  {run['segment']}")
    _print_people(run)
    _print_times(run)
    _print_cost(run["cost"])
    if names:
        _print_names(id)
    bound = "to these words and these people" if run["once"] else "to these words and this segment"
    out.print(f"checked: an approval is bound {bound}, {run['hash'][:12]}")
    out.print(f"next, by somebody else: kaona campaign approve {id} --by …")


def _print_people(run: dict[str, Any]) -> None:
    table = Table("recipients", "", box=None)
    table.add_row("get it", f"{run['recipients'] - run['held_out']:,}")
    for channel, many in run["channels"].items():
        table.add_row(f"  by {channel}", f"{many:,}")
    notes = {
        "held_out": "about so many are left out, to see the effect",
        "waits": "have had a message on that day: it rides on a reply, or comes later",
        "abroad": "get it in the hours of their own time zone",
    }
    for key, note in notes.items():
        if run[key]:
            table.add_row(note, f"{run[key]:,}")
    for number, many in enumerate(run["waves"], 1):
        table.add_row(f"wave {number}, watched before anybody follows: about", f"{many:,}")
    for reason, many in run["excluded"].items():
        table.add_row(f"not sent to: {_copy('campaign_why_' + reason)}", f"{many:,}")
    out.print(table, width=WIDE, crop=False)


def _copy(key: str) -> str:
    from content.load import load

    return load().copy_["th"][key]


def _print_times(run: dict[str, Any]) -> None:
    table = Table("when", "", box=None)
    for time in run["times"]:
        table.add_row("sends", _when(time))
    if run["arrives"] != run["times"][0]:
        table.add_row("the first may arrive", _when(run["arrives"]))
    table.add_row("too late after", _when(run["ends"]))
    out.print(table, width=WIDE, crop=False)


def _print_cost(cost: dict[str, Any] | None) -> None:
    if cost is None:
        out.print("LINE: nothing of this month")
    elif cost["most"] is None:
        out.print(f"LINE: {cost['need']:,} messages; no limit is known")
    else:
        left = cost["most"] - cost["used"]
        out.print(
            f"LINE: {cost['need']:,} messages; {left:,} of {cost['most']:,} are left this month,"
            f" {cost['room']:,} of them for this purpose"
        )
        for purpose, many in cost["gives_way"].items():
            out.print(f"  gives way and rides on replies: {many:,} of {purpose}")


def _print_names(id: int) -> None:
    table = Table("id at HR", "name", "channel", "step", box=None)
    rows, after = _ask("names", id=id), 0
    while rows:
        for row in rows:
            table.add_row(row["hr_id"] or "–", row["name"] or "–", row["channel"], row["step"])
        after = rows[-1]["learner_id"]
        rows = _ask("names", id=id, after=after)
    out.print(table, width=WIDE, crop=False)


# --- sending -------------------------------------------------------------------------------


@app.command()
def approve(
    id: Id,
    by: By,
    hash: Annotated[str, typer.Option(help="What `check` printed, if it must be that.")] = "",
) -> None:
    """Say yes to what was checked; not to one's own."""
    made = asyncio.run(_with(lambda ask: _approve(ask, id, by, hash)))
    if made["next"]:
        out.print(f"campaign {id} approved: goes {_when(made['next'])}")
    else:
        out.print(f"campaign {id} approved: {made['written']:,} messages wait for their time")


async def _approve(ask: Ask, id: int, by: str, hash: str) -> dict[str, Any]:
    """Approve, and write the rows that did not fit into the approval's own transaction."""
    made: dict[str, Any] = await ask("approve", {"id": id, "by": by, "hash": hash})
    if made["writing"]:
        with Progress(transient=True, console=out) as bar:
            task = bar.add_task("Writing messages", total=made["recipients"])
            while (step := await ask("expand", {"id": id}))["more"]:
                bar.update(task, completed=step["written"])
            made["written"] = step["written"]
    return made


@app.command()
def pause(id: Id, by: Who = "") -> None:
    """Nothing more leaves until `resume`."""
    _ask("pause", id=id, by=by)
    out.print(f"campaign {id} paused")


@app.command()
def resume(id: Id, by: Who = "") -> None:
    """Go on after `pause`, or after it has stopped itself."""
    _ask("resume", id=id, by=by)
    out.print(f"campaign {id} goes on")


@app.command()
def cancel(id: Id, by: Who = "") -> None:
    """Nothing more leaves, for good."""
    _ask("cancel", id=id, by=by)
    out.print(f"campaign {id} cancelled")


@app.command()
def release(id: Id, by: Who = "") -> None:
    """Send what was held because it was more than twelve hours late."""
    out.print(f"{_ask('release', id=id)['count']} late sendings of campaign {id} go now")


@app.command()
def skip(id: Id, by: Who = "") -> None:
    """Leave out what was held because it was late."""
    out.print(f"{_ask('skip', id=id)['count']} late sendings of campaign {id} are left out")


@app.command()
def resend(id: Id, by: Who = "") -> None:
    """Send once more to those of whom nobody knows whether they got it. They may get it twice."""
    out.print(f"{_ask('resend', id=id)['count']:,} messages of campaign {id} go once more")


# --- looking back --------------------------------------------------------------------------


@app.command()
def outcome(id: Id) -> None:
    """How it ended for everybody, who answered, and what it changed."""
    seen = _ask("outcome", id=id)
    table = Table(f"campaign {id}", "", box=None)
    table.add_row("people", f"{seen['size']:,}")
    for status, many in seen["rows"].items():
        table.add_row(f"  {status}", f"{many:,}")
        for reason, some in seen["reasons"].items():
            if reason.startswith(status + ": "):
                table.add_row(f"    {reason.removeprefix(status + ': ')}", f"{some:,}")
    table.add_row("sent once more", f"{seen['resent']:,}")
    table.add_row("held out", f"{seen['held_out']:,}")
    table.add_row("pressed the button", f"{seen['answered']:,}")
    out.print(table, width=WIDE, crop=False)
    _print_effect("did something within 7 days", seen["started"])
    _print_effect("finished a step within 14 days", seen["finished"])


def _print_effect(what: str, seen: dict[str, Any]) -> None:
    out.print(f"{what}: {_share(seen['sent'], seen['of_sent'])} of those sent to")
    change = seen["difference"]
    if change is None:
        return
    out.print(f"  {_share(seen['held'], seen['of_held'])} of those held out")
    points = [f"{100 * change[name]:+.1f}" for name in ("value", "low", "high")]
    verdict = "not distinguishable from chance" if change["chance"] else "more than chance"
    out.print(
        f"  difference {points[0]} points, 95 % interval {points[1]} to {points[2]}: {verdict}"
    )


def _share(some: int, of: int) -> str:
    return f"{some:,} of {of:,} ({100 * some / of:.1f} %)" if of else "0 of 0"


# --- asking --------------------------------------------------------------------------------


def _ask(do: str, **args: Any) -> Any:
    return asyncio.run(_with(lambda ask: ask(do, args)))


async def _with(work: Callable[[Ask], Awaitable[Any]]) -> Any:
    """Ask the running service, or do it here; what is refused ends the command."""
    from bot.service import operator

    async with operator(load_settings()) as who:

        async def ask(do: str, args: dict[str, Any]) -> Any:
            answer = await who.call("campaign", {"do": do, "args": args})
            if isinstance(answer, dict) and "refused" in answer:
                _refuse(answer["refused"])
            return answer

        return await work(ask)


def _refuse(sentences: Iterable[str]) -> None:
    """One line for everything that must be mended."""
    said = list(sentences)
    if said:
        raise Unwilling("\nkaona: ".join(said))


def _when(iso: str | None) -> str:
    """As people read it: in Thai, with the Buddhist era."""
    if not iso:
        return ""
    here = local(datetime.fromisoformat(iso))
    return f"{long_date(here.date(), 'th')} {here:%H:%M}"
