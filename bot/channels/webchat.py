"""The web chat: a page and the few requests it makes; it decides nothing of what is said."""

import asyncio
import hashlib
import hmac
import json
import re
import secrets
import time
import tomllib
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Protocol, TypeVar

import msgspec
from jinja2 import Environment, FileSystemLoader
from msgspec import Meta, Struct
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request
from starlette.responses import (
    HTMLResponse,
    JSONResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

import content
from bot.dispatch import Unavailable
from bot.errors import BadRequest
from bot.headers import guard
from content.schema import LANGS, Lang
from flows.types import AnyEvent, Pressed, Reply, Said, Sent, Started
from storage.wire import Incoming

COOKIE = "kaona_chat"
YEAR = 365 * 24 * 3600
LONGEST = 4000
"""Letters in one message; the page refuses more before it is sent."""
BODY = 64 * 1024
PHOTO = 10 * 1024 * 1024
PING = 20.0
LIFE = 300.0
"""Seconds until a stream ends, so that no proxy has to end it for us."""
PATIENCE = 2.0
"""Seconds to wait for the first reply before the page is left to its stream."""

Shape = TypeVar("Shape")

HERE = Path(__file__).parent.parent
UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
TOKEN = re.compile(r"[0-9a-f]{64}")
PERSONA = re.compile(r"persona:([0-9]{1,18}):([0-9a-f]{64})")

# --- what the chat needs from the rest -------------------------------------------------


class Persona(Struct, frozen=True):
    """A made-up person that a visitor of the demo may become."""

    id: int
    name: str
    about: str
    group: str


class Message(Struct, frozen=True):
    """What was sent to an address at one moment."""

    id: int
    at: datetime
    replies: tuple[Reply, ...]
    pictures: tuple[str, ...] = ()
    """Tokens, in the order of the replies that have a picture."""


class Chat(Protocol):
    """The conversation behind the page."""

    async def submit(self, incoming: Sequence[Incoming]) -> None:
        """Return once committed; raise Unavailable when that cannot be."""

    async def conversation(self, address: str, after: int, limit: int = 50) -> list[Message]:
        """Give the newest messages with an id above `after`, oldest first."""

    async def personas(self) -> list[Persona]: ...

    def persona_address(self, person_id: int) -> str: ...

    async def photo(self, data: bytes) -> str:
        """Keep a photo and give its reference."""

    async def wait(self, address: str, timeout: float) -> None:
        """Return when something was sent to the address, or after the timeout."""


# --- what the page sends ---------------------------------------------------------------


class Press(Struct):
    stamp: Annotated[str, Meta(max_length=100)]
    choice: Annotated[str, Meta(max_length=100)]


class Say(Struct):
    """One thing that the learner did; `id` is the same when the page tries again."""

    id: uuid.UUID
    after: Annotated[int, Meta(ge=0, le=2**53)] = 0
    text: str | None = None
    press: Press | None = None
    start: bool = False
    code: Annotated[str, Meta(max_length=64)] = ""
    """What a QR brought along; only with `start`."""


class Become(Struct):
    persona: int | str


# --- the routes ------------------------------------------------------------------------


Endpoint = Callable[[Request], Awaitable[Response]]


class Guarded(Route):
    """A route whose every answer, errors too, carries the security headers."""

    def __init__(self, path: str, endpoint: Endpoint, method: str = "GET") -> None:
        async def answer(request: Request) -> Response:
            try:
                return await endpoint(request)
            except BadRequest as error:
                return JSONResponse({"error": error.reason}, error.status)
            except Unavailable:
                return JSONResponse({"error": "unavailable"}, 503, {"Retry-After": "5"})

        super().__init__(path, answer, methods=[method])

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        guarded = guard(send, scope)
        try:
            await super().handle(scope, receive, guarded)
        except HTTPException as error:  # another method than ours
            answer = JSONResponse({"error": "method"}, error.status_code, error.headers)
            await answer(scope, receive, guarded)


def routes(chat: Chat, *, demo: bool, secret: bytes) -> list[BaseRoute]:
    """Give the routes of the web chat; `demo` lets visitors become made-up people."""
    web = WebChat(chat, demo, secret)
    return [
        Guarded("/", web.home),
        Guarded("/chat", web.page),
        Guarded("/chat/say", web.say, "POST"),
        Guarded("/chat/photo", web.photo, "POST"),
        Guarded("/chat/messages", web.messages),
        Guarded("/chat/stream", web.stream),
        Guarded("/chat/as", web.become, "POST"),
        Guarded("/chat/personas", web.personas),
    ]


@dataclass(frozen=True, slots=True)
class WebChat:
    """The endpoints, with what they stand on."""

    chat: Chat
    demo: bool
    secret: bytes

    async def home(self, request: Request) -> Response:
        return RedirectResponse("/chat")

    async def page(self, request: Request) -> Response:
        cookie = request.cookies.get(COOKIE, "")
        address = self.address(cookie)
        if address is None:
            cookie = secrets.token_hex(32)
            address = self.address(cookie) or ""
        lang = language(request)
        told = {
            "lang": lang,
            "words": {each: words(each) for each in LANGS},
            "demo": self.demo,
            "memory": hashlib.sha256(f"page {address}".encode()).hexdigest()[:16],
            "longest": LONGEST,
            "biggest": PHOTO,
        }
        html = (
            templates()
            .get_template("chat.html")
            .render(words=words(lang), told=told, nonce=request.scope["nonce"], version=version())
        )
        return self.remember(HTMLResponse(html), request, cookie)

    async def say(self, request: Request) -> Response:
        address = self.visitor(request)
        said = await read_json(request, Say)
        await self.submit(request, address, said.id, event_of(said))
        return await self.fresh(address, said.after)

    async def photo(self, request: Request) -> Response:
        address = self.visitor(request)
        said, data = await read_photo(request)
        ref = await self.chat.photo(data)
        await self.submit(request, address, said.id, Sent("photo", ref))
        return await self.fresh(address, said.after)

    async def messages(self, request: Request) -> Response:
        address = self.visitor(request)
        return shown(await self.chat.conversation(address, after(request)))

    async def stream(self, request: Request) -> Response:
        lines = news(self.chat, self.visitor(request), after(request), LIFE)
        unbuffered = {"X-Accel-Buffering": "no"}
        return StreamingResponse(lines, headers=unbuffered, media_type="text/event-stream")

    async def personas(self, request: Request) -> Response:
        self.only_in_demo()
        people = msgspec.to_builtins(await self.chat.personas())
        me = self.persona(request.cookies.get(COOKIE, ""))
        return JSONResponse({"personas": people, "me": me})

    async def become(self, request: Request) -> Response:
        self.only_in_demo()
        refuse_strangers(request)
        wanted = (await read_json(request, Become)).persona
        if wanted == "new":
            return self.remember(JSONResponse({}), request, secrets.token_hex(32))
        if wanted not in {person.id for person in await self.chat.personas()}:
            raise BadRequest(404, "no_such_persona")
        return self.remember(JSONResponse({}), request, f"persona:{wanted}:{self.sign(wanted)}")

    # who it is

    def only_in_demo(self) -> None:
        if not self.demo:
            raise BadRequest(404, "not_found")

    def visitor(self, request: Request) -> str:
        """Tell whose conversation a request is about."""
        refuse_strangers(request)
        address = self.address(request.cookies.get(COOKIE, ""))
        if address is None:
            raise BadRequest(400, "no_cookie")
        return address

    def address(self, cookie: str) -> str | None:
        if TOKEN.fullmatch(cookie):
            return hashlib.sha256(cookie.encode()).hexdigest()[:32]
        person = self.persona(cookie)
        return None if person is None else self.chat.persona_address(person)

    def persona(self, cookie: str) -> int | None:
        found = PERSONA.fullmatch(cookie) if self.demo else None
        if found and hmac.compare_digest(found[2], self.sign(int(found[1]))):
            return int(found[1])
        return None

    def sign(self, person: int | str) -> str:
        return hmac.new(self.secret, f"{COOKIE} {person}".encode(), "sha256").hexdigest()

    def remember(self, answer: Response, request: Request, cookie: str) -> Response:
        secure = request.url.scheme == "https"
        answer.set_cookie(COOKIE, cookie, YEAR, httponly=True, samesite="lax", secure=secure)
        return answer

    # what was said

    async def submit(self, request: Request, address: str, id: uuid.UUID, event: AnyEvent) -> None:
        now = datetime.now(UTC)
        event_id = f"{address[:16]}:{id}"
        if isinstance(event, Said):
            event = msgspec.structs.replace(event, message=event_id, at=now)
        if isinstance(event, Sent):
            event = msgspec.structs.replace(event, message=event_id)
        incoming = Incoming("web", "web", event_id, address, event, at=now, lang=language(request))
        await self.chat.submit([incoming])

    async def fresh(self, address: str, after: int) -> Response:
        return shown(await newest(self.chat, address, after, PATIENCE))


# --- reading a request -----------------------------------------------------------------


def refuse_strangers(request: Request) -> None:
    """Keep other sites from writing in a learner's name; the cookie is SameSite besides."""
    if request.method == "POST" and request.headers.get("sec-fetch-site") in {
        "cross-site",
        "same-site",
    }:
        raise BadRequest(403, "cross_site")


def language(request: Request) -> Lang:
    """Guess the language of somebody new: Thai, unless the browser knows only English."""
    accepted = request.headers.get("accept-language", "").lower()
    tongues = {part.split(";")[0].strip().split("-")[0] for part in accepted.split(",")}
    return "en" if "en" in tongues and "th" not in tongues else "th"


def after(request: Request) -> int:
    """Tell which message the page has seen last; a stream that reconnects says so itself."""
    given = request.headers.get("last-event-id") or request.query_params.get("after", "0")
    if not re.fullmatch(r"[0-9]{1,15}", given):
        raise BadRequest(400, "after")
    return int(given)


async def read_body(request: Request, kind: str, limit: int) -> bytes:
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != kind:
        raise BadRequest(415, "content_type")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise BadRequest(413, "too_big")
    return bytes(body)


async def read_json(request: Request, shape: type[Shape]) -> Shape:
    body = await read_body(request, "application/json", BODY)
    try:
        return msgspec.convert(json.loads(body), shape)
    except (ValueError, RecursionError) as error:
        raise BadRequest(400, "bad_request") from error


async def read_photo(request: Request) -> tuple[Say, bytes]:
    """Read a form with `id`, `after` and `photo`."""
    body = await read_body(request, "multipart/form-data", PHOTO + BODY)
    try:
        form = await MultiPartParser(request.headers, once(body), max_files=1, max_fields=4).parse()
    except (MultiPartException, KeyError) as error:
        raise BadRequest(400, "bad_request") from error
    try:
        said = msgspec.convert(dict(form), Say, strict=False)
        photo = form["photo"]
        data = await photo.read() if isinstance(photo, UploadFile) else b""
    except (ValueError, KeyError) as error:
        raise BadRequest(400, "bad_request") from error
    finally:
        await form.close()
    if len(data) > PHOTO:
        raise BadRequest(413, "too_big")
    if not is_picture(data):
        raise BadRequest(415, "not_a_picture")
    return said, data


async def once(body: bytes) -> AsyncGenerator[bytes, None]:
    yield body


def is_picture(data: bytes) -> bool:
    """Tell a JPEG, PNG or WebP by its first bytes; what it is called proves nothing."""
    webp = data[:4] == b"RIFF" and data[8:12] == b"WEBP"
    return webp or data.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"))


def event_of(said: Say) -> AnyEvent:
    match said:
        case Say(start=True, text=None, press=None):
            return Started(storable(said.code))
        case Say(start=False, text=None, press=Press(stamp, choice)):
            return Pressed(storable(stamp), storable(choice))
        case Say(start=False, text=str(text), press=None):
            if len(text) > LONGEST:
                raise BadRequest(413, "too_long")
            if storable(text).strip():
                return Said(storable(text))
    raise BadRequest(400, "bad_request")


def storable(text: str) -> str:
    """Leave out what no database takes: NUL and halves of letters."""
    return UNSTORABLE.sub("", text)


# --- writing an answer -----------------------------------------------------------------


def shown(messages: list[Message]) -> Response:
    return JSONResponse({"messages": [plain(message) for message in messages]})


def plain(message: Message) -> dict[str, Any]:
    tokens = iter(message.pictures)
    replies = [drawn(reply, tokens) for reply in message.replies]
    return {"id": message.id, "at": message.at.isoformat(), "replies": replies}


def drawn(reply: Reply, tokens: Iterator[str]) -> dict[str, Any]:
    picture = None
    if reply.picture:
        token = next(tokens, "")
        source = f"/pictures/{token}.png" if token else ""
        picture = {"src": source, "alt": reply.picture.alt}
    return {
        "text": reply.text,
        "title": reply.title,
        "stamp": reply.stamp,
        "choices": [
            {"id": each.id, "label": each.label, "says": each.says, "url": each.url}
            for each in reply.choices
        ],
        "picture": picture,
        "notify": reply.notify,
    }


async def newest(
    chat: Chat, address: str, after: int, patience: float, limit: int = 50
) -> list[Message]:
    """Give what is new; when nothing is, wait a while for it."""
    waiting = asyncio.create_task(chat.wait(address, patience))
    await asyncio.sleep(0)  # the wait begins before the look: nothing slips in between
    try:
        messages = await chat.conversation(address, after, limit)
        if messages:
            return messages
        await waiting
        return await chat.conversation(address, after, limit)
    finally:
        waiting.cancel()


async def news(chat: Chat, address: str, after: int, life: float) -> AsyncIterator[str]:
    """Say `new` whenever something was sent, and something at least every twenty seconds."""
    yield "retry: 3000\n\n"
    until = time.monotonic() + life
    try:
        while (left := until - time.monotonic()) > 0:
            found = await newest(chat, address, after, min(PING, left), limit=1)
            after = found[-1].id if found else after
            yield f"id: {after}\nevent: new\ndata: {after}\n\n" if found else ": ping\n\n"
    except Unavailable:
        return


@cache
def words(lang: Lang, of: str = "web") -> dict[str, str]:
    """Give every word of a page in one language."""
    path = Path(content.__file__).parent / f"{of}.{lang}.toml"
    return tomllib.loads(path.read_text("utf-8"))


@cache
def templates() -> Environment:
    found = Environment(loader=FileSystemLoader(HERE / "templates"), autoescape=True)
    found.policies["json.dumps_kwargs"] = {"sort_keys": True, "ensure_ascii": False}
    return found


@cache
def version(of: str = "chat") -> str:
    """Name the present look, so that no browser keeps an old one."""
    files = [HERE / "static" / name for name in (f"{of}.css", f"{of}.js")]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:8]
