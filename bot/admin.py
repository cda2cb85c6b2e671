"""`kaona admin …`: the first way into the console."""

import asyncio
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from sqlalchemy import Connection

from bot.config import load_settings
from storage.database import ConfigError

if TYPE_CHECKING:
    from bot.app import App

app = typer.Typer(no_args_is_help=True, help="Who runs the console.")
out = Console(highlight=False, soft_wrap=True)


@app.callback()
def commands() -> None:
    """So that `create` stays a command of its own while it is the only one."""


@app.command("create")
def create(
    hr_id: Annotated[str, typer.Argument(help="Somebody's id at HR; they must be on the roster.")],
) -> None:
    """Make somebody a system admin, and a link by which they choose their password."""
    from bot.service import call

    settings = load_settings()
    made = asyncio.run(call(settings, "admin", {"hr_id": hr_id}))
    if "refused" in made:
        raise ConfigError(made["refused"])
    base = settings.public_url or f"http://127.0.0.1:{settings.port}"
    out.print(f"{base}/console/invitation/{made['token']}", markup=False)
    out.print("good once, for an hour: open it yourself, or hand it over in person", markup=False)


async def make(service: "App", hr_id: str) -> dict[str, Any]:
    """Carried out by whoever holds the database."""
    from storage import accounts

    def work(conn: Connection, now: datetime) -> str:
        return accounts.invite_admin(conn, hr_id, now)

    try:
        return {"token": await service.dispatcher.run(work)}
    except accounts.Refused:
        return {"refused": f"nobody on the roster has the id {hr_id}: import the roster first"}
