"""Requests that change something carry an Idempotency-Key: sent again they change nothing more, and
are answered as before."""

import json
from collections.abc import Callable
from datetime import datetime
from hashlib import sha256
from typing import Annotated, Any, TypeVar

from fastapi import Header, Request
from pydantic import BaseModel
from sqlalchemy import Connection

from bot.api.access import service
from bot.api.problems import Problem
from bot.vault import Sealed
from storage import repeats
from storage.repeats import Answer
from storage.tokens import Caller

M = TypeVar("M", bound=BaseModel)

KeyHeader = Annotated[
    str,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=repeats.LONGEST,
        pattern=r"^[\x21-\x7e]+$",
        description="Any text of your own, such as a UUID: the same request with the same key has "
        "one effect within 24 hours.",
    ),
]


async def once(
    request: Request,
    caller: Caller,
    key: str,
    status: int,
    effect: Callable[[Connection, datetime], dict[str, Any]],
) -> dict[str, Any]:
    """Carry `effect` out, or answer what it answered before. Answers are kept sealed: they may
    hold a code or a secret that is shown only once."""
    app = service(request)
    query, body = request.url.query, await request.body()
    asked = "\n".join([request.method, request.url.path, query]).encode() + b"\n" + body
    digest = sha256(asked).hexdigest()

    def act(conn: Connection, now: datetime) -> Answer:
        return Answer(status, app.vault.seal(json.dumps(effect(conn, now))))

    try:
        answer = await app.dispatcher.run(
            lambda conn, now: repeats.once(conn, caller.token, key, digest, now, act)
        )
        found: dict[str, Any] = json.loads(app.vault.open(answer.text))
    except repeats.Different:
        detail = "This Idempotency-Key came with another request before. Take a new one."
        raise Problem(422, detail) from None
    except Sealed:
        detail = "It was done before, and the answer can no longer be read."
        raise Problem(409, detail) from None
    return found


def made(shape: type[M], plain: dict[str, Any]) -> M:
    return shape.model_validate(plain)
