"""A learning record store (xAPI 1.0.3), strict about what it takes, and a receiver of webhooks that
checks every signature (Standard Webhooks)."""

import base64
import hashlib
import hmac
import json
import re
import time
import uuid
from datetime import datetime
from typing import Any

from aiohttp import web

from tests.simulators.server import Json, Simulator, answer

IRI = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*:[^\s<>\"{}|\\^`]+")
LANGUAGE = re.compile(r"[a-zA-Z]{2,3}(-[A-Za-z0-9]{2,8})*")
DURATION = re.compile(r"P(?!$)(\d+D)?(T(?=\d)(\d+H)?(\d+M)?(\d+(\.\d+)?S)?)?")
TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)")


class Invalid(Exception):
    """A statement that a store must refuse with 400."""


def _only(what: Json, must: set[str], may: set[str] = frozenset()) -> None:  # type: ignore[assignment]
    if not isinstance(what, dict) or not must <= what.keys() <= must | may:
        raise Invalid(f"fields {sorted(what)}: wants {sorted(must)}, knows {sorted(may)}")


def _iri(text: Any) -> None:
    if not isinstance(text, str) or not IRI.fullmatch(text):
        raise Invalid(f"no IRI: {text!r}")


def _words(words: Any) -> None:
    """A language map: never empty words, tags as in RFC 5646."""
    if not isinstance(words, dict) or not words:
        raise Invalid("no language map")
    for tag, text in words.items():
        if not LANGUAGE.fullmatch(tag) or not isinstance(text, str) or not text:
            raise Invalid(f"no language map: {tag}")


def check(statement: Any) -> None:
    """What the specification says of the parts that we use; anything else is refused."""
    _only(statement, {"id", "actor", "verb", "object", "timestamp"}, {"result", "context"})
    if str(uuid.UUID(statement["id"])) != statement["id"]:
        raise Invalid("the id is no UUID in its usual form")
    _only(statement["actor"], {"account"}, {"objectType"})
    _only(statement["actor"]["account"], {"homePage", "name"})
    _iri(statement["actor"]["account"]["homePage"])
    _only(statement["verb"], {"id", "display"})
    _iri(statement["verb"]["id"])
    _words(statement["verb"]["display"])
    _activity(statement["object"])
    if not TIMESTAMP.fullmatch(statement["timestamp"]):
        raise Invalid("timestamp")
    datetime.fromisoformat(statement["timestamp"])
    _context(statement.get("context", {}))
    _result(statement.get("result", {}))


def _activity(activity: Any) -> None:
    _only(activity, {"id", "objectType"}, {"definition"})
    _iri(activity["id"])
    if activity["objectType"] != "Activity":
        raise Invalid("objectType")
    definition = activity.get("definition", {})
    _only(definition, set(), {"name", "description", "type"})
    if "type" in definition:
        _iri(definition["type"])
    if "name" in definition:
        _words(definition["name"])


def _context(context: Json) -> None:
    _only(context, set(), {"registration", "platform", "contextActivities"})
    uuid.UUID(context["registration"])
    for kind, activities in context["contextActivities"].items():
        if kind not in ("parent", "grouping", "category", "other"):
            raise Invalid(kind)
        for each in activities:
            _activity(each)


def _result(result: Json) -> None:
    _only(result, set(), {"score", "success", "completion", "duration"})
    for name in ("success", "completion"):
        if not isinstance(result.get(name, True), bool):
            raise Invalid(name)
    if "duration" in result and not DURATION.fullmatch(result["duration"]):
        raise Invalid("duration")
    score = result.get("score", {})
    _only(score, set(), {"scaled", "raw", "min", "max"})
    if not -1 <= score.get("scaled", 0) <= 1:
        raise Invalid("scaled")
    if not score.get("min", 0) <= score.get("raw", 0) <= score.get("max", score.get("raw", 0)):
        raise Invalid("raw")


class Store(Simulator):
    """A store at /statements; `kept` is what it has, in the order in which it came. A batch with a
    statement that it has already is refused as a whole, as the specification lets it."""

    def __init__(self, user: str = "kaona", password: str = "pass:word") -> None:
        super().__init__()
        self.kept: dict[str, Json] = {}
        token = base64.b64encode(f"{user}:{password}".encode()).decode()
        self._right = f"Basic {token}"

    async def note(self, request: web.BaseRequest, record: Json) -> None:
        record["path"] = request.path

    def failure(self, status: int, record: Json) -> web.Response:
        return answer({"error": "scripted"}, status)

    async def answer(self, request: web.BaseRequest, record: Json) -> web.StreamResponse:
        await self.note(request, record)
        if request.headers.get("Authorization") != self._right:
            return answer({}, 401)
        if request.headers.get("X-Experience-API-Version") != "1.0.3":
            return answer({"error": "version"}, 400)
        given = json.loads(await request.read())
        try:
            for statement in given:
                check(statement)
        except Exception as error:
            record["invalid"] = repr(error)
            return answer({"error": str(error)}, 400)
        record["size"] = len(given)
        if any(statement["id"] in self.kept for statement in given):
            return answer({"error": "there already"}, 409)
        for statement in given:
            self.kept[statement["id"]] = statement
        return answer([statement["id"] for statement in given])


class Receiver(Simulator):
    """A receiver at any path; `events` is what came with a good signature, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.secret = ""
        self.events: list[Json] = []
        self.bad = 0

    async def note(self, request: web.BaseRequest, record: Json) -> None:
        record["path"] = request.path

    def failure(self, status: int, record: Json) -> web.Response:
        wait = {"Retry-After": "600"} if status == 429 else None
        where = {"Location": "/elsewhere"} if 300 <= status < 400 else None
        return answer({}, status, wait or where)

    async def answer(self, request: web.BaseRequest, record: Json) -> web.StreamResponse:
        await self.note(request, record)
        body = await request.read()
        if not verify(self.secret, dict(request.headers), body, self.clock()):
            self.bad += 1
            return answer({}, 401)
        self.events.append(json.loads(body))
        return answer({})


def verify(secret: str, headers: dict[str, str], body: bytes, now: float | None = None) -> bool:
    """As docs/api.md tells receivers to do it."""
    known = {name.lower(): value for name, value in headers.items()}
    id, at = known["webhook-id"], known["webhook-timestamp"]
    key = base64.b64decode(secret.removeprefix("whsec_"))
    good = hmac.new(key, f"{id}.{at}.".encode() + body, hashlib.sha256).digest()
    wanted = "v1," + base64.b64encode(good).decode()
    fresh = abs((now or time.time()) - int(at)) < 300
    given = known["webhook-signature"].split(" ")
    return fresh and any(hmac.compare_digest(wanted, each) for each in given)
