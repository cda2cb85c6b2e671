"""`kaona roster …`: the agency's people at the command line, and who may do what."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn
from rich.table import Table

from bot.config import load_settings
from storage.database import ConfigError

app = typer.Typer(no_args_is_help=True, help="The agency's people: import them, give roles.")
out = Console(highlight=False, soft_wrap=True)

Who = Annotated[str, typer.Argument(help="A person's id at HR.")]
Role = Annotated[str, typer.Argument(help="manager, hr, approver, privacy, editor, ocsc or admin.")]
Unit = Annotated[str, typer.Option(help="The unit, with all above it: over it and all below.")]
By = Annotated[str, typer.Option(help="Your id at HR; without it, you are noted as the operator.")]
Ask = Callable[[str, dict[str, Any]], Awaitable[Any]]

COUNTS = {
    "added": "new",
    "changed": "changed",
    "moved": "  of them to another unit",
    "returned": "came back",
    "left": "left",
    "later": "from a later day on",
    "units": "new units",
    "heads": "heads of units, new",
    "unchanged": "as before",
}


class Unwilling(ConfigError):
    """What was asked cannot be done."""


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="CSV or XLSX: see docs/roster.md.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")] = False,
    map: Annotated[
        list[str] | None, typer.Option("--map", help='"header=column", where a header is unknown.')
    ] = None,
    effective: Annotated[
        str, typer.Option(help='The day it holds from, such as "1/10/2569".')
    ] = "",
    confirm_leavers: Annotated[
        bool, typer.Option("--confirm-leavers", help="Even if more than 10 % leave.")
    ] = False,
    partial: Annotated[
        bool, typer.Option("--partial", help="The file has only some; nobody else leaves.")
    ] = False,
    refused: Annotated[
        Path | None, typer.Option(help="Where to write the file with the reasons.")
    ] = None,
    by: By = "",
) -> None:
    """Take over a roster: all of it, or nothing."""
    if not file.is_file():
        raise Unwilling(f"{file}: there is no such file")
    back = refused or file.with_name(f"{file.stem}-refused{file.suffix}")
    options = {
        "path": str(file.resolve()),
        "mapping": _mapping(map or []),
        "effective": effective,
        "dry_run": dry_run,
        "partial": partial,
        "confirm_leavers": confirm_leavers,
        "by": by,
    }
    result = asyncio.run(_with(lambda ask: _import(ask, options, back.resolve())))
    _report(result, back, dry_run=dry_run)


def _mapping(pairs: list[str]) -> dict[str, str]:
    found = {}
    for pair in pairs:
        header, equals, column = pair.rpartition("=")
        if not equals or not header or not column:
            raise Unwilling(f'--map: cannot read {pair!r}: write it as "header=column"')
        found[header.strip()] = column.strip()
    return found


async def _import(ask: Ask, options: dict[str, Any], back: Path) -> dict[str, Any]:
    """Begin, and look on until it is over."""
    begun = await ask("begin", options)
    if "job" not in begun:
        return dict(begun)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, transient=True) as bar:
        task = bar.add_task("reading", total=None)
        while True:
            seen = await ask("watch", begun)
            total = seen["of"] or None
            bar.update(task, description=seen["stage"], completed=seen["done"], total=total)
            if seen["result"] is not None:
                break
    if seen["result"]["refused_rows"]:
        await ask("keep", {**begun, "out": str(back)})
    result: dict[str, Any] = seen["result"]
    return result


def _report(result: dict[str, Any], back: Path, *, dry_run: bool) -> None:
    if result["counts"]:
        table = Table("would change" if dry_run else "roster", "", box=None)
        for name, words in COUNTS.items():
            table.add_row(words, f"{result['counts'][name]:,}")
        out.print(table)
    for fault in result["faults"]:
        out.print(f"row {fault['row']}: {fault['th']}", markup=False)
    if result["refused_rows"]:
        out.print(f"the file with the reasons: {back}", markup=False)
    if result["problems"]:
        raise Unwilling("\nkaona: ".join(problem["en"] for problem in result["problems"]))
    if dry_run:
        out.print("nothing was changed: leave out --dry-run to do it")


@app.command()
def template(
    out_: Annotated[Path, typer.Option("--out", help="Where to write it, ending in .xlsx.")],
) -> None:
    """An XLSX to fill in, with an example and an explanation of each column."""
    from bot.roster_files import write_template
    from content.load import load

    try:
        write_template(load().roster, out_)
    except OSError as error:
        raise Unwilling(f"--out: cannot write {out_}: {error.strerror}") from error
    out.print(f"{out_} written", markup=False)


@app.command()
def grant(
    who: Who,
    role: Role,
    unit: Unit = "",
    from_: Annotated[str, typer.Option("--from", help="The first day; else today.")] = "",
    until: Annotated[str, typer.Option(help="The last day; else until it is revoked.")] = "",
    by: By = "",
) -> None:
    """Give somebody a role, over a unit or over the whole agency."""
    asked = {"who": who, "role": role, "unit": unit, "from_": from_, "until": until, "by": by}
    _ask("grant", **asked)
    out.print(f"{who} is {role} of {unit or 'the whole agency'}", markup=False)


@app.command()
def revoke(who: Who, role: Role, unit: Unit = "", by: By = "") -> None:
    """Take a role away, from now on."""
    _ask("revoke", who=who, role=role, unit=unit, by=by)
    out.print(f"{who} is no longer {role} of {unit or 'the whole agency'}", markup=False)


# --- asking --------------------------------------------------------------------------------


def _ask(do: str, **args: Any) -> Any:
    answer = asyncio.run(_with(lambda ask: ask(do, args)))
    if answer.get("problems"):
        raise Unwilling("\nkaona: ".join(problem["en"] for problem in answer["problems"]))
    return answer


async def _with(work: Callable[[Ask], Awaitable[Any]]) -> Any:
    """Ask the running service, or do it here."""
    from bot.service import operator

    async with operator(load_settings()) as who:
        return await work(lambda do, args: who.call("roster", {"do": do, "args": args}))
