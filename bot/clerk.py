"""What operators ask of tokens, hooks and learning records, carried out by whoever holds the
database; answers are plain JSON."""

import base64
import secrets
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection

from bot import outside
from bot.push import WHSEC
from storage import audit, hooks, records, tokens
from storage.scope import OPERATOR, Scope

if TYPE_CHECKING:
    from bot.app import App


class Unfit(Exception):
    """A hook that cannot be; the message says which field and why, `field` and `key` the same in a
    word each."""

    def __init__(self, field: str, key: str, said: str) -> None:
        super().__init__(f"{field}: {said}")
        self.field = field
        self.key = key


async def ask(app: "App", do: str, args: dict[str, Any]) -> Any:
    """One command by name. What cannot be done is an answer, too: `{"refused": sentence}`."""
    try:
        return await _COMMANDS[do](app, **args)
    except (tokens.Unknown, hooks.Unknown, Unfit) as error:
        return {"refused": str(error)}


# --- tokens ------------------------------------------------------------------------------


async def _token_create(app: "App", hr_id: str, name: str, days: int) -> dict[str, Any]:
    made = await app.dispatcher.run(lambda conn, now: tokens.create(conn, hr_id, name, days, now))
    return made | {"expires_at": made["expires_at"].isoformat()}


async def _token_list(app: "App") -> list[dict[str, Any]]:
    rows, now = await app.read(tokens.listing), app.clock()
    return [
        {
            "id": row.id,
            "hr_id": row.hr_id,
            "name": row.name,
            "status": _status(row, now),
            "expires_at": row.expires_at.isoformat(),
            "used_at": row.used_at.isoformat() if row.used_at else "",
        }
        for row in rows
    ]


def _status(row: Any, now: datetime) -> str:
    if row.revoked_at is not None:
        return "revoked"
    return "over" if row.expires_at <= now else "good"


async def _token_revoke(app: "App", id: int) -> dict[str, Any]:
    await app.dispatcher.run(lambda conn, now: tokens.revoke(conn, id, now))
    return {}


# --- hooks -------------------------------------------------------------------------------


def hook_row(
    app: "App", kind: str, url: str, topics: list[str], user: str, password: str
) -> tuple[dict[str, Any], str]:
    """The columns of a new hook, and the secret to show (of webhooks); refuses what cannot be."""
    try:
        outside.check(url, app.settings.friends)
    except outside.Forbidden as error:
        raise Unfit("url", error.key, str(error)) from error
    known = ", ".join(records.TOPICS)
    if set(topics) - set(records.TOPICS) or (topics and kind == "xapi"):
        raise Unfit("topics", "unknown", f"of a webhook, and only these: {known}")
    if kind == "webhook" and (user or password):
        raise Unfit("user", "signed", "of a learning record store; webhooks are signed")
    if kind == "xapi" and not user:
        raise Unfit("user", "missing", "a learning record store asks for a user and a password")
    shown = WHSEC + base64.b64encode(secrets.token_bytes(32)).decode()
    secret = shown if kind == "webhook" else f"{user}:{password}"
    row = {"kind": kind, "url": url, "topics": " ".join(topics)}
    return row | {"secret": app.vault.seal(secret)}, shown if kind == "webhook" else ""


async def _hook_add(app: "App", hr_id: str, **given: Any) -> dict[str, Any]:
    row, shown = hook_row(app, **given)

    def add(conn: Connection, now: datetime) -> int:
        return hooks.add(conn, OPERATOR, hooks.person(conn, hr_id, now), row, now)

    return {"id": await app.dispatcher.run(add), "secret": shown}


async def _hook_list(app: "App") -> list[dict[str, Any]]:
    kept = ("id", "hr_id", "kind", "url", "topics", "failures", "problem", "cursor")
    return [
        {name: row._mapping[name] for name in kept}
        | {"status": "ended" if row.ended_at else "open"}
        for row in await app.read(hooks.listing)
    ]


async def _hook_end(app: "App", id: int) -> dict[str, Any]:
    await app.dispatcher.run(lambda conn, now: hooks.end(conn, Scope(None), id, now))
    return {}


async def _hook_resume(app: "App", id: int) -> dict[str, Any]:
    await app.dispatcher.run(lambda conn, now: hooks.resume(conn, OPERATOR, id, now))
    return {}


async def _hook_test(app: "App", id: int) -> dict[str, Any]:
    row = await app.read(lambda conn: hooks.find(conn, id))
    answer = await app.pusher.test(row)
    return {"status": answer.status, "why": answer.why, "accepted": answer.accepted}


# --- statements --------------------------------------------------------------------------


async def _xapi_note(app: "App", since: str) -> dict[str, Any]:
    """Keep that all statements are about to be written to a file."""
    await app.dispatcher.run(
        lambda conn, now: audit.note(conn, None, "xapi_exported", "statements", now, since=since)
    )
    return {}


_COMMANDS: dict[str, Callable[..., Any]] = {
    "token_create": _token_create,
    "token_list": _token_list,
    "token_revoke": _token_revoke,
    "hook_add": _hook_add,
    "hook_list": _hook_list,
    "hook_end": _hook_end,
    "hook_resume": _hook_resume,
    "hook_test": _hook_test,
    "xapi_note": _xapi_note,
}
