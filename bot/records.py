"""`kaona token`, `kaona hook`, `kaona xapi`: what other systems get."""

import asyncio
import os
import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from bot.config import Settings, load_settings
from storage.database import ConfigError, Database

token = typer.Typer(no_args_is_help=True, help="Keys to the API at /api/v1.")
hook = typer.Typer(no_args_is_help=True, help="Where facts are pushed to: webhooks, record stores.")
xapi = typer.Typer(no_args_is_help=True, help="Learning records as xAPI statements.")
out = Console(highlight=False, soft_wrap=True)
WIDE = 200

HrId = Annotated[str, typer.Argument(help="Somebody's id at HR: it may do what they may.")]
Id = Annotated[int, typer.Argument(help="The number: see `list`.")]


class Unwilling(ConfigError):
    """What was asked cannot be done."""


def _ask(do: str, **args: Any) -> Any:
    from bot.service import operator

    async def call() -> Any:
        async with operator(load_settings().require_service()) as who:
            return await who.call("records", {"do": do, "args": args})

    answer = asyncio.run(call())
    if isinstance(answer, dict) and "refused" in answer:
        raise Unwilling(answer["refused"])
    return answer


def _ours(path: str, flags: int) -> int:
    """Open a file for this user only."""
    return os.open(path, flags, 0o600)


# --- tokens ------------------------------------------------------------------------------


@token.command("create")
def token_create(
    hr_id: HrId,
    name: Annotated[str, typer.Option(help="What it is for.")],
    days: Annotated[int, typer.Option(help="How long it is good for.")] = 90,
) -> None:
    """A new key for a person. Its secret is shown now and never again."""
    made = _ask("token_create", hr_id=hr_id, name=name, days=days)
    out.print(f"token {made['id']} for {hr_id}, good until {made['expires_at'][:10]}", markup=False)
    out.print(made["secret"], markup=False)


@token.command("list")
def token_list() -> None:
    """All keys, the newest first; their secrets are not kept."""
    rows = _ask("token_list")
    table = Table("id", "person", "name", "status", "good until", "last used", box=None)
    for row in rows:
        table.add_row(str(row["id"]), row["hr_id"], row["name"], row["status"],
                      row["expires_at"][:10], row["used_at"][:16])  # fmt: skip
    out.print(table if rows else "no tokens yet", width=WIDE, crop=False)


@token.command("revoke")
def token_revoke(id: Id) -> None:
    """From now on it opens nothing."""
    _ask("token_revoke", id=id)
    out.print(f"token {id} revoked")


# --- hooks -------------------------------------------------------------------------------


@hook.command("add")
def hook_add(
    hr_id: HrId,
    url: Annotated[str, typer.Argument(help="Where to: https, on the public internet.")],
    kind: Annotated[str, typer.Option(help="webhook or xapi.")] = "webhook",
    topic: Annotated[list[str] | None, typer.Option(help="Only these events; else all.")] = None,
    user: Annotated[str, typer.Option(help="Of the learning record store.")] = "",
    password_file: Annotated[
        Path | None, typer.Option(help="Holds the store's password; - reads it from the input.")
    ] = None,
) -> None:
    """Push what happens from now on to an address, as this person may know it."""
    if kind not in ("webhook", "xapi"):
        raise Unwilling(f"--kind: webhook or xapi, not {kind!r}")
    made = _ask("hook_add", hr_id=hr_id, kind=kind, url=url, topics=topic or [], user=user,
                password=_password(password_file))  # fmt: skip
    out.print(f"hook {made['id']} added; next: kaona hook test {made['id']}")
    if made["secret"]:
        out.print("it signs with this secret, which is shown now and never again:")
        out.print(made["secret"], markup=False)


def _password(path: Path | None) -> str:
    if path is None:
        return ""
    try:
        text = sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Unwilling(f"--password-file: cannot read {path}") from error
    return text.rstrip("\r\n")


@hook.command("list")
def hook_list() -> None:
    """All hooks, the newest first, and what is wrong with them."""
    rows = _ask("hook_list")
    table = Table("id", "person", "kind", "status", "failures", "url", "problem", box=None)
    for row in rows:
        table.add_row(str(row["id"]), row["hr_id"], row["kind"], row["status"],
                      str(row["failures"]), row["url"], row["problem"])  # fmt: skip
    out.print(table if rows else "no hooks yet", width=WIDE, crop=False)


@hook.command("end")
def hook_end(id: Id) -> None:
    """Push nothing more there."""
    _ask("hook_end", id=id)
    out.print(f"hook {id} ended")


@hook.command("resume")
def hook_resume(id: Id) -> None:
    """Go on where it ended; nothing of what happened meanwhile is left out."""
    _ask("hook_resume", id=id)
    out.print(f"hook {id} goes on")


@hook.command("test")
def hook_test(id: Id) -> None:
    """Send something harmless there, now."""
    answer = _ask("hook_test", id=id)
    if not answer["accepted"]:
        raise Unwilling(f"hook {id}: {answer['why'] or 'answered ' + str(answer['status'])}")
    out.print(f"hook {id} answered {answer['status']}")


# --- statements --------------------------------------------------------------------------


@xapi.command("export")
def xapi_export(
    path: Annotated[Path, typer.Option("--out", help="The file: one statement a line.")],
    since: Annotated[str, typer.Option(help="Only from this day on, such as 2026-10-01.")] = "",
) -> None:
    """Everything that happened, as xAPI statements under pseudonyms."""
    settings = load_settings().require_service()
    begin = _day(since, settings)
    _ask("xapi_note", since=since)
    count = _write(settings, path, begin)
    out.print(f"{count:,} statements in {path}", markup=False)


def _day(text: str, settings: Settings) -> datetime | None:
    from zoneinfo import ZoneInfo

    if not text:
        return None
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=ZoneInfo(settings.timezone))
    except ValueError:
        raise Unwilling(f"--since: cannot read {text!r}: write it as 2026-10-01") from None


def _write(settings: Settings, path: Path, since: datetime | None) -> int:
    """A page at a time, so memory stays flat. Reads only: the service may be running."""
    from msgspec.json import encode

    from bot.vault import Vault
    from content.load import load
    from flows.xapi import READS
    from storage import records, settled
    from storage.scope import OPERATOR

    content, key = load(), Vault(settings.secret_key).key("pseudonyms xapi")
    db = Database(settings.database_url, lock=False)
    count, cursor = 0, 0
    try:
        with db.read() as conn, open(path, "xb", opener=_ours) as file:
            until = settled.settled(conn, 60.0) or 0
            while cursor < until:
                page = records.page(conn, OPERATOR, READS, cursor, until, 500, since)
                for told in page.told:
                    said = records.statement(told, key, settings.public_url, content)
                    file.write(encode(said) + b"\n")
                count, cursor = count + len(page.told), page.cursor
    except OSError as error:
        raise Unwilling(f"--out: cannot write {path}: {error.strerror}") from error
    finally:
        db.close()
    return count
