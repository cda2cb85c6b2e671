"""What every page of the console stands on: who visits, what the page needs, how it is shown."""

from collections.abc import Awaitable, Callable
from functools import partial
from hmac import compare_digest
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, unquote, urlencode

import structlog
from msgspec import Struct
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Send
from starlette.types import Scope as Asked

from bot.channels import webchat
from bot.channels.webchat import language
from bot.console.forms import Form, number, read_form, refuse_other_sites
from bot.console.tally import Standing
from bot.dispatch import Unavailable
from bot.errors import BadRequest
from bot.headers import guard
from bot.wording import words
from content.schema import LANGS, Lang
from storage import audit, sessions
from storage.scope import NOBODY, Denied, Power, Scope
from storage.sessions import PROVED, Session

if TYPE_CHECKING:
    from bot.app import App

log = structlog.get_logger()
T = TypeVar("T")
SECURE, PLAIN = "__Host-kaona-console", "kaona-console"
"""The cookie's name; the second where a browser would not take the first, on this very machine."""
SAID = "kaona-said"
"""The cookie of a sentence that the next page says."""
HOME = ("127.0.0.1", "localhost", "::1", "testserver")


class Page(Struct, frozen=True):
    """A page and what it needs. `needs`: any of these powers; none named: to be signed in; None:
    it is open to everybody. `proof`: the password, given again a moment ago."""

    path: str
    answer: Callable[["Visit"], Awaitable[Response]]
    needs: tuple[Power, ...] | None
    method: str = "GET"
    proof: bool = False
    place: str = ""
    """The entry of the menu that it belongs to."""
    back: str = ""
    """Where it goes on once the password was given, if not at its place; with `{id}` and the like
    of its own path."""
    files: int = 0
    """How many bytes the files of its form may have; 0: it takes none."""


MENU: dict[str, tuple[tuple[str, str, tuple[Power, ...]], ...]] = {
    "": (("overview", "", ("figures", "names", "system", "privacy")),),
    "people": (
        ("people", "people", ("names", "roster")),
        ("import", "import", ("roster",)),
    ),
    "learning": (
        ("campaigns", "campaigns", ("send", "approve")),
        ("segments", "segments", ("send", "approve")),
        ("content", "content", ("content",)),
        ("simulator", "simulator", ("content", "send", "system")),
    ),
    "results": (
        ("team", "team", ("team",)),
        ("reports", "reports", ("figures", "names")),
        ("uses", "uses", ("names",)),
        ("programme", "programme", ("roster",)),
        ("annual", "annual", ("figures",)),
    ),
    "care": (
        ("wishes", "wishes", ("privacy",)),
        ("stuck", "stuck", ("system",)),
        ("accounts", "accounts", ("system",)),
        ("roles", "roles", ("system", "roster")),
        ("audit", "audit", ("privacy", "system")),
        ("tokens", "tokens", ("figures", "names", "privacy", "system")),
        ("agency", "agency", ("roster", "system")),
        ("settings", "settings", ("system",)),
        ("setup", "setup", ("system",)),
        ("own", "own", ()),
    ),
}
"""Entries of the menu under their headings: where they lead, and which powers (any of them) they
are for."""


class Visit:
    """One request to a page: who asks, in which language, with which form."""

    def __init__(
        self, console: "Console", page: Page, request: Request, session: Session | None
    ) -> None:
        self.app = console.app
        self.standing = console.standing
        self.page = page
        self.request = request
        self._session = session
        self.form = Form()

    @property
    def session(self) -> Session:
        """Who is signed in; pages that are open to everybody do not ask."""
        assert self._session is not None
        return self._session

    @property
    def present(self) -> Session | None:
        """Whoever may be signed in, on a page that is open to everybody."""
        return self._session

    @property
    def base(self) -> str:
        """The address under which the world reaches this service."""
        return self.app.settings.public_url or str(self.request.base_url).rstrip("/")

    @property
    def scope(self) -> Scope:
        return self._session.scope if self._session else NOBODY

    @property
    def lang(self) -> Lang:
        if self._session is not None:
            return self._session.lang
        wanted = self.request.query_params.get("lang")
        return next((each for each in LANGS if each == wanted), language(self.request))

    @property
    def words(self) -> dict[str, str]:
        return words(self.lang)

    def asked(self, name: str) -> str:
        """A parameter of the address, without NUL, which no database keeps."""
        return self.request.query_params.get(name, "").replace("\x00", "")

    def number(self, name: str) -> int:
        """A number in the path; what is none is a page that is not there."""
        found = number(str(self.request.path_params[name]))
        if found is None:
            raise BadRequest(404, "not_found")
        return found

    def said(self, name: str) -> str:
        """A field of the form, without the spaces around it."""
        return self.form.one(name).strip()

    @property
    def id(self) -> int:
        return self.number("id")

    async def read(self, query: Callable[[Connection], T]) -> T:
        return await self.app.read(query)

    async def write(self, job: Callable[..., T]) -> T:
        """A transaction; the job gets the connection and the present time."""
        return await self.app.dispatcher.run(job)

    @property
    def proved(self) -> bool:
        """The password was given a moment ago."""
        return self.app.clock() - self.session.proved_at <= PROVED

    # --- answers -------------------------------------------------------------------------

    def show(self, template: str, status: int = 200, **more: Any) -> Response:
        """A page of the console."""
        html = (
            webchat.templates()
            .get_template(f"console/{template}.html")
            .render(
                words=self.words,
                lang=self.lang,
                other=next(each for each in LANGS if each != self.lang),
                here=self.request.url.path,
                session=self._session,
                csrf=self._session.csrf if self._session else "",
                menu=self._menu(),
                demo=self.app.demo,
                sign_on=self.app.sign_on is not None,
                version=webchat.version("console"),
                nonce=self.request.scope["nonce"],
                said=unquote(self.request.cookies.get(SAID, "")),
                **more,
            )
        )
        answer = HTMLResponse(html, status)
        if SAID in self.request.cookies:
            answer.delete_cookie(SAID, path="/console", httponly=True, samesite="lax")
        return answer

    def _menu(self) -> list[dict[str, Any]]:
        """What the viewer may open, under headings; a heading of nothing is left out."""
        if self._session is None:
            return []
        found = []
        for group, entries in MENU.items():
            mine = [
                {"id": id, "path": f"/console/{path}".rstrip("/"), "here": id == self.page.place}
                for id, path, needs in entries
                if not needs or any(map(self.scope.may, needs))
            ]
            if mine:
                found.append({"id": group, "entries": mine})
        return found

    def go(self, path: str, said: str = "") -> Response:
        """On to another page, which says a sentence first, once."""
        answer = RedirectResponse(f"/console/{path}".rstrip("/"), 303)
        if said:
            options: dict[str, Any] = {"httponly": True, "samesite": "lax", "max_age": 60}
            answer.set_cookie(SAID, quote(said), path="/console", **options)
        return answer

    def tell(self, data: Any) -> Response:
        """Plain data, for the script of a page."""
        return JSONResponse(data)

    def attach(self, data: bytes, name: str, kind: str) -> Response:
        """A file to keep. Its name is ours, never somebody's typing."""
        headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(name)}"}
        return Response(data, media_type=kind, headers=headers)

    def ask_proof(self, back: str) -> Response:
        """Let the password be given first; then it goes on at a page of the console."""
        wanted = urlencode({"next": f"/console/{back}".rstrip("?")})
        return RedirectResponse("/console/prove?" + wanted, 303)

    def remember(self, answer: Response, token: str) -> Response:
        """Keep a session in the browser."""
        secure = is_secure(self.request)
        options: dict[str, Any] = {"httponly": True, "samesite": "lax", "secure": secure}
        answer.set_cookie(SECURE if secure else PLAIN, token, **options)
        return answer

    def forget(self, answer: Response) -> Response:
        for name, secure in ((SECURE, True), (PLAIN, False)):
            answer.delete_cookie(name, httponly=True, samesite="lax", secure=secure)
        answer.headers["Clear-Site-Data"] = '"cache", "cookies", "storage"'
        return answer


def is_secure(request: Request) -> bool:
    return request.url.scheme == "https"


class Console:
    """Makes routes of pages: finds out who visits, and lets nobody through who may not."""

    def __init__(self, app: "App") -> None:
        self.app = app
        self.standing = Standing(app)

    def route(self, page: Page) -> Route:
        return Gate(page, partial(self._answer, page))

    async def _answer(self, page: Page, request: Request) -> Response:
        session = await self._session(request)
        visit = Visit(self, page, request, session)
        try:
            return await self._let_in(visit)
        except Denied:
            await self._note_denied(visit)
            return visit.show("problem", 403, problem="denied")
        except Unavailable:
            return visit.show("problem", 503, problem="busy")
        except BadRequest as error:
            return visit.show("problem", error.status, problem=error.reason)

    async def _let_in(self, visit: Visit) -> Response:
        page, request = visit.page, visit.request
        if not is_secure(request) and request.url.hostname not in HOME:
            raise BadRequest(403, "no_https")
        if page.method != "GET":
            refuse_other_sites(request)
            visit.form = await read_form(request, page.files)
        if page.needs is None:
            return await page.answer(visit)
        if visit._session is None:
            if page.method == "GET":
                wanted = urlencode({"next": _here(request)})
                return RedirectResponse(f"/console/sign-in?{wanted}", 303)
            raise BadRequest(401, "signed_out")
        if page.method != "GET" and not compare_digest(
            visit.form.one("csrf").encode(), visit.session.csrf.encode()
        ):
            raise BadRequest(403, "old_form")
        if page.needs and not any(map(visit.scope.may, page.needs)):
            raise Denied(page.needs[0])
        if page.proof and not visit.proved:
            back = (page.back or page.place).format(**request.path_params)
            if page.method == "GET":
                back = _here(request).removeprefix("/console/")
            return visit.ask_proof(back)
        return await page.answer(visit)

    async def _session(self, request: Request) -> Session | None:
        """The session of the browser, noted as alive now and then."""
        token = request.cookies.get(SECURE if is_secure(request) else PLAIN, "")
        if not token:
            return None
        now = self.app.clock()
        found = await self.app.read(lambda conn: sessions.find(conn, token, now))
        if found is not None and found.stale:
            id = found.id
            await self.app.dispatcher.run(lambda conn, at: sessions.seen(conn, id, at))
        return found

    async def _note_denied(self, visit: Visit) -> None:
        who, where = visit.session.person_id, visit.page.path

        def note(conn: Connection, now: Any) -> None:
            audit.note(conn, who, "denied", f"console:{where}", now, "refused")

        await self.app.dispatcher.run(note)


class Gate(Route):
    """A route whose every answer carries the security headers."""

    def __init__(self, page: Page, answer: Callable[[Request], Awaitable[Response]]) -> None:
        self.page = page

        async def endpoint(request: Request) -> Response:
            return await answer(request)

        super().__init__(page.path, endpoint, methods=[page.method])

    async def handle(self, scope: Asked, receive: Receive, send: Send) -> None:
        await super().handle(scope, receive, guard(send, scope))


def _here(request: Request) -> str:
    return request.url.path + ("?" + request.url.query if request.url.query else "")


def safe_next(wanted: str) -> str:
    """Where to go on after signing in: a page of the console, and nothing else."""
    if wanted.startswith("/console") and not wanted.startswith("/console/sign-"):
        return quote(wanted, safe="/?&=%+:,.-_~")
    return "/console"
