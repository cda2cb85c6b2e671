"""The service as it is, in a process of its own, with one more endpoint: a webhook that only
checks the signature.

    python -m benchmarks.serving works|serves [NAME=VALUE ...]
"""

import sys
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from bot import service, web
from bot.app import App
from bot.channels import line
from bot.config import Settings
from content.load import load
from storage.database import Database
from storage.migrate import migrate

if TYPE_CHECKING:
    from starlette.applications import Starlette

SECRET_KEY = "k" * 32


class WithNoop(App):
    """The app, and `POST /webhook/noop` beside `POST /webhook/line`."""

    def asgi(self) -> "Starlette":
        made = super().asgi()
        paths = [getattr(route, "path", "") for route in made.routes]
        beside = paths.index("/webhook/line") if "/webhook/line" in paths else len(paths)
        made.router.routes.insert(beside, Route("/webhook/noop", self._noop, methods=["POST"]))
        return made

    async def _noop(self, request: Request) -> Response:
        body = await web.read(request)
        signature = request.headers.get("x-line-signature", "").encode("utf-8", "replace")
        if not line.verify(self.settings.line_secret.encode(), body, signature):
            return PlainTextResponse("signature", 401)
        return PlainTextResponse("ok")


def _later(ahead: timedelta) -> datetime:
    return datetime.now(UTC) + ahead


def main(role: str, *given: str) -> None:
    named = dict(pair.split("=", 1) for pair in given)
    ahead = float(named.pop("ahead", "0"))
    settings = Settings(
        _env_file=None, KAONA_SECRET_KEY=SECRET_KEY, KAONA_DPO_CONTACT="dpo", **named
    )
    db = Database(settings.database_url)
    migrate(db)
    db.close()
    clock = partial(_later, timedelta(seconds=ahead))
    service.App = partial(WithNoop, clock=clock)  # type: ignore[misc,assignment]
    service.serve(settings, load(), works=role == "works")


if __name__ == "__main__":
    main(*sys.argv[1:])
