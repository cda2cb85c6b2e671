"""Pushing facts out, and fetching them: webhooks, learning record stores, statements."""

from datetime import datetime
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy import Connection

from bot.api import access
from bot.api.access import Pushing
from bot.api.once import KeyHeader, made, once
from bot.api.problems import Problem, unknown
from bot.api.shapes import HookList, MadeHook, NewHook, Statements
from bot.clerk import Unfit, hook_row
from bot.push import VERSION
from flows import xapi
from storage import hooks, records, settled
from storage.scope import Denied, Scope
from storage.tokens import Caller

router = APIRouter(tags=["learning records"])


def _allow(caller: Caller) -> None:
    if not hooks.may_have(caller.scope):
        raise Denied("names")


@router.get("/hooks")
async def list_hooks(request: Request, caller: Pushing) -> HookList:
    """The caller's own."""
    rows = await access.read(request, lambda conn: hooks.listing(conn, caller.scope.viewer))
    kept = ("id", "kind", "url", "created_at", "ended_at", "failures", "problem", "cursor")
    plain = [
        {name: row._mapping[name] for name in kept} | {"topics": row.topics.split()} for row in rows
    ]
    return HookList.model_validate({"hooks": plain})


@router.post("/hooks", status_code=201)
async def add_hook(request: Request, caller: Pushing, given: NewHook, key: KeyHeader) -> MadeHook:
    """Have what happens from now on pushed to an address."""
    _allow(caller)
    app = access.service(request)
    try:
        row, shown = hook_row(app, **given.model_dump())
    except Unfit as error:
        raise Problem(422, f"{error}.") from error

    def add(conn: Connection, now: datetime) -> dict[str, Any]:
        assert caller.scope.viewer is not None
        id = hooks.add(conn, caller.scope, caller.scope.viewer, row, now)
        return {"id": id, "secret": shown or None}

    return made(MadeHook, await once(request, caller, key, 201, add))


@router.delete("/hooks/{id}", status_code=204)
async def end_hook(request: Request, caller: Pushing, id: int) -> Response:
    """Push nothing more there."""
    mine = Scope(caller.scope.viewer)
    try:
        await access.service(request).dispatcher.run(
            lambda conn, now: hooks.end(conn, mine, id, now)
        )
    except hooks.Unknown:
        raise unknown("hook in use") from None
    return Response(status_code=204)


@router.get("/xapi/statements")
async def list_statements(
    request: Request,
    response: Response,
    caller: Pushing,
    since: datetime | None = None,
    after: Annotated[int, Query(ge=0, le=2**62)] = 0,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> Statements:
    """xAPI statements in the order in which they happened; under pseudonyms. Follow `more` until
    it is empty, and come back to the last address later: nothing is left out."""
    _allow(caller)
    if since is not None and since.tzinfo is None:
        raise Problem(422, "since: give a time zone, such as 2026-11-28T00:00:00Z.")
    app, key = access.service(request), access.service(request).vault.key("pseudonyms xapi")

    def ask(conn: Connection) -> tuple[list[Any], int, bool]:
        until = settled.settled(conn)
        if until is None or until <= after:
            return [], after, False
        page = records.page(conn, caller.scope, xapi.READS, after, until, limit, since)
        base = app.settings.public_url
        said = [records.statement(told, key, base, app.content) for told in page.told]
        return said, page.cursor, page.cursor < until

    statements, cursor, more = await access.read(request, ask)
    await access.note(request, caller, "api_xapi", "statements", count=len(statements))
    response.headers["X-Experience-API-Version"] = VERSION
    asked = {"after": cursor, "limit": limit} | ({"since": since.isoformat()} if since else {})
    where = f"/api/v1/xapi/statements?{urlencode(asked)}" if more else ""
    return Statements.model_validate({"statements": statements, "more": where})
