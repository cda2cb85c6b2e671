"""What went wrong, as RFC 9457 has it: a sentence for people, a status for programs."""

import math
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bot.dispatch import Unavailable
from storage.scope import Denied

log = structlog.get_logger()
MEDIA = "application/problem+json"


class Fault(BaseModel):
    """One thing that does not fit, and where."""

    where: str
    detail: str


class ProblemBody(BaseModel):
    """The shape of every answer that is not a success."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[Fault] | None = None


class Problem(Exception):
    """An answer that is not a success; `detail` says what to do."""

    def __init__(self, status: int, detail: str, **headers: str) -> None:
        super().__init__(status)
        self.status = status
        self.detail = detail
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


def unknown(what: str) -> Problem:
    """Nothing there, or nothing that this caller may know of."""
    return Problem(404, f"There is no such {what}, or it is outside of what your token may see.")


def throttled(seconds: float) -> Problem:
    wait = max(1, math.ceil(seconds))
    return Problem(429, f"Too many requests. Come back in {wait} s.", Retry_After=str(wait))


def _answer(
    status: int,
    detail: str,
    headers: dict[str, str] | None = None,
    errors: list[dict[str, str]] | None = None,
) -> JSONResponse:
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    if errors is not None:
        body["errors"] = errors
    return JSONResponse(body, status, headers, media_type=MEDIA)


async def _problem(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Problem)
    return _answer(error.status, error.detail, error.headers)


async def _denied(request: Request, error: Exception) -> JSONResponse:
    return _answer(403, "Your token's person may not see or do this. Ask HR for the role it takes.")


async def _unavailable(request: Request, error: Exception) -> JSONResponse:
    return _answer(503, "The database cannot be written just now.", {"Retry-After": "5"})


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    """Every fault by its place. What was given is not repeated: it may be a secret."""
    assert isinstance(error, RequestValidationError)
    errors = [
        {"where": ".".join(str(part) for part in each["loc"]), "detail": str(each["msg"])}
        for each in error.errors()
    ]
    detail = "The request does not fit: see `errors`, and /api/v1/openapi.json for what does."
    return _answer(422, detail, errors=errors)


_SAID = {
    404: "There is nothing here. See /api/v1/openapi.json for all that there is.",
    405: "This cannot be done here. See /api/v1/openapi.json for what can.",
}


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    detail = _SAID.get(error.status_code, "The request cannot be read: send JSON, in UTF-8.")
    return _answer(error.status_code, detail, dict(error.headers or {}))


def install(api: FastAPI) -> None:
    api.add_exception_handler(Problem, _problem)
    api.add_exception_handler(Denied, _denied)
    api.add_exception_handler(Unavailable, _unavailable)
    api.add_exception_handler(RequestValidationError, _invalid)
    api.add_exception_handler(HTTPException, _http)
    api.add_middleware(Net)


class Net:
    """Catches a bug of ours: its text may quote people, so only its type goes into the log."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def noting(packet: Message) -> None:
            nonlocal begun
            begun = True
            await send(packet)

        try:
            await self._app(scope, receive, noting)
        except Exception as error:
            log.error("api failed", error=type(error).__name__)
            if not begun:
                failed = _answer(500, "Something is wrong with this service. It has been logged.")
                await failed(scope, receive, send)


DOCUMENTED: dict[int | str, dict[str, Any]] = {
    status: {
        "description": HTTPStatus(status).phrase,
        "content": {MEDIA: {"schema": {"$ref": "#/components/schemas/ProblemBody"}}},
    }
    for status in (400, 401, 403, 404, 413, 422, 429, 500, 503)
}
"""What every route may answer beside its success."""
