"""What HR asks of codes and links, carried out by whoever holds the database; answers are plain
JSON. What cannot be done is an answer, too: `{"refused": sentence}`, in the language asked for.
Only the answer to `issue` holds codes: they go to the sheet, never into a log."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from msgspec import to_builtins
from sqlalchemy import Connection, select

from content.schema import Lang
from storage import codes, links
from storage.codes import Place, Whom
from storage.links import Refused
from storage.merges import Done
from storage.models import persons
from storage.requests import Pack
from storage.scope import OPERATOR, Scope, scope_of

if TYPE_CHECKING:
    from bot.app import App

TRIES = 20
"""How often something is tried while its learner talks."""


async def ask(app: "App", do: str, args: dict[str, Any], lang: Lang = "en") -> Any:
    try:
        return await _COMMANDS[do](app, **args)
    except Refused as error:
        return {"refused": error.say(lang, app.content)}


def viewer(conn: Connection, by: str, now: datetime) -> Scope:
    """The rights of whoever asks; without a name it is the machine's operator."""
    if not by:
        return OPERATOR
    person = conn.execute(select(persons.c.id).where(persons.c.hr_id == by)).scalar()
    scope = scope_of(conn, person, now)
    if not scope.may("roster"):
        raise Refused("no_right", who=by)
    return scope


async def _count(app: "App", whom: dict[str, Any], by: str) -> dict[str, Any]:
    """How many would get codes, and the path of the unit that was meant."""

    def count(conn: Connection) -> dict[str, Any]:
        now = app.clock()
        scope, wanted = viewer(conn, by, now), codes.meant(conn, Whom(**whom))
        return {"count": codes.count(conn, scope, wanted, now), "unit": wanted.unit}

    return await app.read(count)


async def _issue(
    app: "App", whom: dict[str, Any], by: str, after: dict[str, Any]
) -> dict[str, Any]:
    """A page of new codes, and where the next one begins."""

    def issue(conn: Connection, now: datetime) -> Any:
        return codes.issue(conn, viewer(conn, by, now), Whom(**whom), Place(**after), now)

    made, more = await app.dispatcher.run(issue)
    return {"codes": to_builtins(made), "after": to_builtins(more)}


async def _links(app: "App", person: str, by: str) -> list[dict[str, Any]]:
    rows = await app.dispatcher.run(
        lambda conn, now: links.listing(conn, viewer(conn, by, now), person, now)
    )
    return [{**row._mapping, "at": row.at.isoformat()} for row in rows]


async def _unlink(app: "App", person: str, by: str) -> dict[str, Any]:
    def unlink(conn: Connection, now: datetime, pack: Pack) -> Done:
        return links.unlink(conn, viewer(conn, by, now), person, now, app.content, pack)

    return await _patiently(app, unlink)


async def _unmerge(app: "App", link: int, by: str) -> dict[str, Any]:
    def unmerge(conn: Connection, now: datetime, pack: Pack) -> Done:
        return links.unmerge(conn, viewer(conn, by, now), link, now, app.content, pack)

    return await _patiently(app, unmerge)


async def _patiently(
    app: "App", do: Callable[[Connection, datetime, Pack], Done]
) -> dict[str, Any]:
    for _ in range(TRIES):
        if await app.carry_out(do):
            return {}
        await asyncio.sleep(0.1)
    raise Refused("talking")


_COMMANDS: dict[str, Callable[..., Any]] = {
    "count": _count,
    "issue": _issue,
    "links": _links,
    "unlink": _unlink,
    "unmerge": _unmerge,
}
