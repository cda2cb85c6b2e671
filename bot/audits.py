"""`kaona audit …`: the journal of who did what to whose data."""

from typing import Annotated

import typer
from rich.table import Table

from bot.privacy import Unwilling, ask, moment, out, plain, show

app = typer.Typer(no_args_is_help=True, help="The audit log: is it whole, and what is in it.")


@app.command()
def verify() -> None:
    """Check the seal of every entry, and the anchors beside the database."""
    broken = ask("verify")
    if broken:
        raise Unwilling(f"the audit log is broken at entry {broken['id']}: {broken['why']}")
    out.print("the audit log is whole")


@app.command("list")
def list_(
    target: Annotated[str, typer.Option(help="Only of this target, such as person:7.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 100,
) -> None:
    """Entries, the newest first."""
    table = Table("id", "at", "by (id at HR)", "action", "target", "result", "data", box=None)
    for row in ask("list", target=target, limit=limit):
        by = row["by"] or "–"
        at, what, whom = moment(row["at"]), row["action"], row["target"]
        table.add_row(str(row["id"]), at, by, what, whom, row["result"], plain(row["data"]))
    show(table)
