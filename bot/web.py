"""What the world may ask over HTTP beside the web chat: webhooks, health, certificates."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
from msgspec.json import decode, encode
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from bot import metrics
from bot.channels import line, telegram, webchat
from bot.channels.body import LARGEST
from bot.dispatch import Unavailable
from bot.errors import BadRequest
from content.schema import LANGS, Lang
from flows.calendar import local
from flows.text import long_date
from flows.types import Picture
from storage import pages, parked

if TYPE_CHECKING:
    from bot.app import App

log = structlog.get_logger()
STATIC = Path(__file__).parent / "static"
RETRY_AFTER = {"Retry-After": "5"}
BADGES = {"json": "application/json", "jwt": "application/jwt", "svg": "image/svg+xml"}
"""The forms of a badge."""
PATIENCE = 1.5
"""Seconds that LINE may wait; after two it counts the webhook as failed."""


def routes(app: "App") -> list[BaseRoute]:
    edge = Edge(app)
    made: list[BaseRoute] = [
        Route("/livez", edge.livez),
        Route("/readyz", edge.readyz),
        Route("/metrics", edge.metrics),
        webchat.Guarded("/pictures/{token:str}.png", edge.picture),
        webchat.Guarded("/verify/{code:str}.pdf", edge.certificate_pdf),
        webchat.Guarded("/verify/{code:str}.json", edge.badge_json),
        webchat.Guarded("/verify/{code:str}.jwt", edge.badge_jwt),
        webchat.Guarded("/verify/{code:str}.svg", edge.badge_picture),
        webchat.Guarded("/.well-known/jwks.json", edge.badge_keys),
        webchat.Guarded("/verify/{code:str}", edge.verify),
        Mount("/static", StaticFiles(directory=STATIC)),
    ]
    if app.settings.line_secret:
        made.append(Route("/webhook/line", edge.line, methods=["POST"]))
    if app.settings.telegram_token and app.settings.telegram_mode == "webhook":
        made.append(Route("/webhook/telegram", edge.telegram, methods=["POST"]))
    return made


async def read(request: Request, limit: int = LARGEST) -> bytes:
    """The raw body; never more of it in memory than the limit."""
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and (len(declared) > 18 or int(declared) > limit):
        raise BadRequest(413, "body too large")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise BadRequest(413, "body too large")
    return bytes(body)


def proof(request: Request, name: str) -> bytes:
    """The header that proves who is calling. Sent twice it proves nothing: a proxy might have
    looked at the other one."""
    found = request.headers.getlist(name)
    return found[0].encode("utf-8", "replace") if len(found) == 1 else b""


class Edge:
    """The endpoints, with the app they stand on."""

    def __init__(self, app: "App") -> None:
        self._app = app
        self._badges = app.badges

    # --- webhooks ------------------------------------------------------------------------

    async def line(self, request: Request) -> Response:
        return await self._timed("line", request, self._line)

    async def telegram(self, request: Request) -> Response:
        return await self._timed("telegram", request, self._telegram)

    async def _timed(
        self, channel: str, request: Request, answer: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        began = time.perf_counter()
        try:
            return await answer(request)
        except BadRequest as error:
            metrics.FORGED.labels(channel).inc()
            return PlainTextResponse(error.reason, error.status)
        finally:
            metrics.ACK.observe(time.perf_counter() - began)

    async def _line(self, request: Request) -> Response:
        """200 only when everything in the body is on disk: in the database, or in the spool."""
        body = await read(request)
        signature = proof(request, "x-line-signature")
        if not line.verify(self._app.settings.line_secret.encode(), body, signature):
            raise BadRequest(401, "signature")
        try:
            async with asyncio.timeout(PATIENCE):
                await self.take_line(body)
        except (Unavailable, TimeoutError):  # what is taken after all is known when it is drained
            await asyncio.to_thread(self._app.spool.keep, body)
        return PlainTextResponse("ok")

    async def take_line(self, body: bytes) -> None:
        """A body that LINE signed: whatever is in it, it is understood or kept."""
        await self._or_park("line", body, self._hear_line(body))

    async def _hear_line(self, body: bytes) -> None:
        now = self._app.clock()
        try:
            value = line.read_body(body)
        except BadRequest as error:
            await self._park("line", body.decode("utf-8", "replace"), error.reason)
            return
        if self._app.line_id and value["destination"] != self._app.line_id:
            log.warning("webhook for another LINE bot: check LINE_CHANNEL_SECRET")
            return
        incoming, faults = line.parse(value, value["destination"][:64], now)
        await self._app.dispatcher.submit(incoming)
        for event, reason in faults:
            # whether it is delivered again makes it no other event
            told = {key: value for key, value in event.items() if key != "deliveryContext"}
            await self._park("line", str(told), reason)

    async def _telegram(self, request: Request) -> Response:
        secret = self._app.settings.telegram_secret.encode()
        if not telegram.verify(secret, proof(request, "x-telegram-bot-api-secret-token")):
            raise BadRequest(401, "secret")
        body = await read(request)
        try:
            await self._take_update(body)
        except Unavailable:
            return PlainTextResponse("later", 503, RETRY_AFTER)
        return PlainTextResponse("ok")

    async def _take_update(self, body: bytes) -> None:
        try:
            update = telegram.read_json(body)
        except BadRequest as error:
            await self._park("telegram", body.decode("utf-8", "replace"), error.reason)
            return
        await self.take_telegram(update)

    async def take_telegram(self, update: dict[str, object]) -> None:
        """One update: understood or kept. A poison one would block its chat for a day."""
        await self._or_park("telegram", str(update).encode(), self._hear_telegram(update))

    async def _hear_telegram(self, update: dict[str, object]) -> None:
        """Commit, then stop the clock on a pressed button, whatever became of it."""
        parsed = telegram.parse(update, self._app.telegram_id, self._app.clock())
        await self._app.dispatcher.submit(parsed.incoming)
        for event, reason in parsed.faults:
            await self._park("telegram", str(event), reason)
        sender = self._app.telegram
        if sender is not None:
            for callback in parsed.callbacks:
                self._app.spawn(sender.answer_callback(callback))
            for chat in parsed.leave:
                self._app.spawn(sender.leave(chat, self._app.content.copy_["th"]["group_chat"]))

    async def _or_park(self, channel: str, raw: bytes, work: Awaitable[None]) -> None:
        """A bug of ours must not bring the same event back for ever."""
        try:
            await work
        except Unavailable:
            raise
        except Exception as error:
            log.error("webhook parked", channel=channel, error=type(error).__name__)
            await self._park(channel, raw.decode("utf-8", "replace"), type(error).__name__)

    async def _park(self, channel: str, raw: str, reason: str) -> None:
        metrics.PARKED.inc()
        clean = raw.replace("\x00", "")
        await self._app.dispatcher.run(
            lambda conn, now: parked.keep_raw(conn, channel, clean, reason, now)
        )

    # --- health --------------------------------------------------------------------------

    async def livez(self, request: Request) -> Response:
        return PlainTextResponse("ok")

    async def readyz(self, request: Request) -> Response:
        """Whether this process can do its work: each check by name."""
        checks = await self._app.health()
        ready = all(checks.values())
        return JSONResponse({"ready": ready, "checks": checks}, 200 if ready else 503)

    async def metrics(self, request: Request) -> Response:
        """For a scraper on this machine: a proxy must not pass it on (deploy/README.md)."""
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    # --- pictures and certificates -------------------------------------------------------

    async def picture(self, request: Request) -> Response:
        """A picture by its unguessable name. It never changes, so it may be cached."""
        found = await self._app.read(lambda conn: pages.picture(conn, request.path_params["token"]))
        if found is None:
            return PlainTextResponse("not found", 404)
        png = await self._app.draw(decode(found, type=Picture))
        headers = {"Cache-Control": "private, max-age=86400, immutable"}
        return Response(png, media_type="image/png", headers=headers)

    async def verify(self, request: Request) -> Response:
        """The page that tells whether a certificate is ours."""
        found = await self._app.read(
            lambda conn: pages.certificate(conn, request.path_params["code"])
        )
        lang: Lang = webchat.language(request)
        html = (
            webchat.templates()
            .get_template("verify.html")
            .render(
                found=found is not None,
                name=found.name if found else "",
                date=long_date(local(found.issued_at), lang) if found else "",
                round=found.round if found else 0,
                areas=decode(found.data)["areas"] if found else [],
                badge=f"/verify/{pages.shown(found.code)}" if found and self._badges.ready else "",
                words=webchat.words(lang),
                lang=lang,
                langs=LANGS,
                version=webchat.version(),
                nonce=request.scope.get("nonce", ""),
            )
        )
        return Response(html, 200 if found else 404, media_type="text/html")

    async def certificate_pdf(self, request: Request) -> Response:
        code = request.path_params["code"]
        found = await self._app.read(lambda conn: pages.certificate(conn, code))
        if found is None:
            return PlainTextResponse("not found", 404)
        data = {**decode(found.data), "issued": local(found.issued_at).date().isoformat()}
        data |= {"code": pages.shown(found.code)}
        data |= {"verify": f"{self._app.settings.public_url}/verify/{data['code']}"}
        pdf = await self._app.draw_pdf(data)
        headers = {"Content-Disposition": f'attachment; filename="kaona-{data["code"]}.pdf"'}
        return Response(pdf, media_type="application/pdf", headers=headers)

    # --- badges --------------------------------------------------------------------------

    async def badge_json(self, request: Request) -> Response:
        """What the badge says; signed it is the .jwt."""
        return await self._badge(request, "json", lambda said: encode(said).decode())

    async def badge_jwt(self, request: Request) -> Response:
        return await self._badge(request, "jwt", self._badges.sign)

    async def badge_picture(self, request: Request) -> Response:
        return await self._badge(request, "svg", self._badges.bake)

    async def _badge(
        self, request: Request, form: str, make: Callable[[dict[str, Any]], str]
    ) -> Response:
        """The badge of a certificate in one of its forms. Signing takes a thread: the first time
        there is a key to be made."""
        code = request.path_params["code"]
        said = await self._app.read(lambda conn: self._badges.read(conn, code))
        if said is None:
            return PlainTextResponse("not found", 404)
        made = await asyncio.to_thread(make, said)
        name = f"kaona-badge-{said['id'].rsplit('/', 1)[1]}.{form}"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return Response(made, media_type=BADGES[form], headers=headers)

    async def badge_keys(self, request: Request) -> Response:
        """What badges are checked with."""
        if not self._badges.ready:
            return PlainTextResponse("not found", 404)
        return JSONResponse(await asyncio.to_thread(self._badges.jwks))
