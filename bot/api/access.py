"""Who calls, what they may, and how often. Every route says what it needs, or that it is open."""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy import Connection

from bot.api.problems import Problem, throttled
from bot.limits import Bucket
from storage import audit, tokens
from storage.scope import Denied, Power
from storage.tokens import Caller

if TYPE_CHECKING:
    from bot.app import App

RATE = 20.0
"""Requests a second for each token."""
STRANGERS = 50.0
"""Requests a second with wrong tokens, all together."""
CROWD = 1000

bearer = HTTPBearer(auto_error=False, description="A token of `kaona token create`.")


class Limits:
    """A bucket for each token, and one for all who have none."""

    def __init__(self) -> None:
        self._buckets: dict[int, Bucket] = {}
        self._strangers = Bucket(STRANGERS)

    def take(self, token: int) -> None:
        if len(self._buckets) > CROWD:
            self._buckets.clear()
        self._spend(self._buckets.setdefault(token, Bucket(RATE)))

    def refuse(self) -> None:
        self._spend(self._strangers)

    def _spend(self, bucket: Bucket) -> None:
        if wait := bucket.take():
            raise throttled(wait)


def service(request: Request) -> "App":
    """The service that this API belongs to."""
    app: App = request.app.state.service
    return app


class Open:
    """Anybody may ask this."""

    async def __call__(self, request: Request) -> None:
        _refuse_unknown(request)


class Needs:
    """Whoever asks has a token, and any of these powers somewhere; none named: a token is enough.
    Over whom they have it is for each query to say."""

    def __init__(self, *powers: Power) -> None:
        self.powers = powers

    async def __call__(
        self,
        request: Request,
        given: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)],
    ) -> Caller:
        caller = await _caller(request, given.credentials if given else "")
        if self.powers and not any(caller.scope.may(power) for power in self.powers):
            raise Denied(self.powers[0])
        _refuse_unknown(request)
        return caller


async def _caller(request: Request, secret: str) -> Caller:
    app, limits = service(request), request.app.state.limits
    found = None
    if re.fullmatch(r"kaona_[A-Za-z0-9_-]{43}", secret):
        found = await app.read(lambda conn: tokens.caller(conn, secret, app.clock()))
    if found is None:
        limits.refuse()
        detail = "This takes a token: `Authorization: Bearer kaona_…`. Yours is missing or over."
        raise Problem(401, detail, WWW_Authenticate="Bearer")
    limits.take(found.token)
    if found.stale:
        id = found.token
        await app.dispatcher.run(lambda conn, now: tokens.used(conn, id, now))
    return found


def _refuse_unknown(request: Request) -> None:
    """A misspelt filter would silently show everything."""
    known = {field.alias for field in request.scope["route"].dependant.query_params}
    for name in request.query_params:
        if name not in known:
            takes = ", ".join(sorted(known)) or "none"
            raise Problem(422, f"There is no query parameter {name[:40]!r} here; known: {takes}.")


async def note(request: Request, caller: Caller, action: str, target: str, **data: Any) -> None:
    """Keep who saw what, before they see it."""
    by, token = caller.scope.viewer, caller.token
    await service(request).dispatcher.run(
        lambda conn, now: audit.note(conn, by, action, target, now, token=token, **data)
    )


async def read(request: Request, query: Callable[[Connection], Any]) -> Any:
    return await service(request).read(query)


Anyone = Depends(Open())
Known = Annotated[Caller, Depends(Needs())]
Named = Annotated[Caller, Depends(Needs("names"))]
Figured = Annotated[Caller, Depends(Needs("figures"))]
Rostered = Annotated[Caller, Depends(Needs("roster"))]
Placed = Annotated[Caller, Depends(Needs("names", "figures", "team"))]
Pushing = Annotated[Caller, Depends(Needs("names", "figures"))]
