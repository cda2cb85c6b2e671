"""Running the service: under a web server, as a worker, for the demo, or for one command."""

import asyncio
import gc
import logging
import os
import secrets
import signal
import socket
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

import structlog
import uvicorn
from rich.console import Console
from rich.progress import Progress

from bot import demo
from bot.app import App
from bot.config import Settings, var_folder
from bot.control import Control
from bot.remote import Remote
from bot.watchdog import Watchdog
from content.load import load, load_demo
from content.schema import Content
from storage.database import ConfigError, Database
from storage.migrate import migrate

LAST_STOP = 19.0
"""Seconds that a graceful stop may take; what is not done by then is as after a crash."""
REQUESTS = 2000
"""Connections at a time; more are told to come back (503)."""


def logs() -> None:
    """JSON lines on standard error; the libraries only when something is wrong."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(file=_stderr()),
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    )
    logging.basicConfig(level=logging.WARNING)
    logging.getLogger("apscheduler").setLevel(logging.ERROR)


def _stderr() -> Any:
    import sys

    return sys.stderr


def settle() -> None:
    """Once everything is made: leave it out of the search for garbage, and search less often.
    That search took a fifth of the time, over and over through all that is imported."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


class Server(uvicorn.Server):
    """Stops gracefully, within a bounded time, and then ends with 0."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        settle()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """uvicorn would end by the very signal, which looks like a failure to a supervisor."""
        self.should_exit = True
        watchdog = threading.Timer(LAST_STOP, os._exit, (1,))
        watchdog.daemon = True
        watchdog.start()


def listen(settings: Settings) -> socket.socket:
    """The socket to serve on, before anything else is begun."""
    where = (settings.host, settings.port)
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        door = socket.create_server(where, family=family, backlog=REQUESTS)
    except OSError as error:
        raise ConfigError(
            f"KAONA_HOST, KAONA_PORT: cannot listen on {where[0]}:{where[1]}: {error.strerror}"
        ) from error
    # connections inherit it; asyncio sets it only on sockets that it has made itself, and
    # without it each answer waits 40 ms for the client's acknowledgement of its head
    door.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
    return door


def serve(settings: Settings, content: Content, *, works: bool = True, demo: bool = False) -> None:
    door = listen(settings)
    logs()
    app = App(settings, content, demo=demo, works=works)
    Watchdog(app.signs()).start()
    config = uvicorn.Config(
        app.asgi(),
        host=settings.host,
        port=settings.port,
        http="httptools",
        loop="asyncio",
        access_log=False,
        log_level="warning",
        server_header=False,
        limit_concurrency=REQUESTS,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=5,
    )
    Server(config).run(sockets=[door])


async def work(settings: Settings, content: Content) -> None:
    """A worker: until it is told to stop."""
    logs()
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    app = App(settings, content, serves=False)
    Watchdog(app.signs()).start()
    async with app.running():
        settle()
        await stop.wait()


# --- the demo ------------------------------------------------------------------------


def demo_settings() -> Settings:
    """The demo keeps to a database of its own, and to this machine."""
    os.environ.setdefault("KAONA_DATABASE_URL", "sqlite:///var/demo.db")
    os.environ.setdefault("KAONA_DPO_CONTACT", "dpo@agency.example (demo)")
    port = os.environ.setdefault("KAONA_PORT", "8000")
    os.environ.setdefault("KAONA_PUBLIC_URL", f"http://127.0.0.1:{port}")
    os.environ.setdefault("KAONA_SECRET_KEY", _demo_key())
    from bot.config import load_settings

    return load_settings().require_service()


def _demo_key() -> str:
    """A secret of this installation's own, so that cookies survive a restart."""
    path = Path("var/demo.key")
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.write_text(secrets.token_urlsafe(48))
        path.chmod(0o600)
    return path.read_text()


def serve_demo(out: Console) -> None:
    settings, content = demo_settings(), load()
    now = datetime.now(UTC)
    db = Database(settings.database_url)
    try:
        migrate(db)
        if not demo.is_loaded(db):
            _load_agency(db, content, now)
        codes = list(demo.codes(db, now))
    finally:
        db.close()
    _greet(out, settings, content, codes)
    serve(settings, content, demo=True)


def _load_agency(db: Database, content: Content, now: datetime) -> None:
    agency = load_demo()
    with Progress(transient=True) as bar:
        task = bar.add_task("Making up an agency", total=len(agency.people))
        demo.load(db, agency, content, now, lambda: bar.advance(task))


def _greet(
    out: Console, settings: Settings, content: Content, codes: list[tuple[str, str]]
) -> None:
    url = f"http://{settings.host}:{settings.port}"
    out.print(f"\n[bold]Kaona is at {url}/chat[/bold]  (Ctrl-C stops it)\n")
    out.print("Try:")
    out.print("  • be a new learner: press the first button, then walk through step 1")
    out.print("  • become one of the made-up people in the list beside the chat")
    for name, code in codes:
        out.print(f"  • claim a roster entry with a one-time code: {code}  ({name})")
    words = [content.words.reserved[word][0] for word in ("menu", "progress", "my_data", "stop")]
    out.print(f"  • type  {'  '.join(words)}  at any time")
    out.print("  • in another terminal: .venv/bin/kaona chat --as DEMO-008")
    out.print(f"  • as an officer in the browser: {url}/console")
    out.print(f"  • as an HR officer: KAONA_DATABASE_URL={settings.database_url} \\")
    out.print("      .venv/bin/kaona campaign templates  (docs/campaigns.md goes on from there)")
    out.print(f"  • health: {url}/readyz   metrics: {url}/metrics\n")


# --- one command ---------------------------------------------------------------------


@asynccontextmanager
async def operator(settings: Settings, content: Content | None = None) -> AsyncIterator[Any]:
    """Whoever can carry out commands: the running service, or this process itself."""
    remote = await Remote.connect(var_folder(settings) / "kaona.sock")
    if remote is not None:
        try:
            yield remote
        finally:
            await remote.close()
        return
    logs()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    quiet = settings.model_copy(update={"line_token": "", "telegram_token": ""})
    app = App(quiet, content or load(), serves=False)
    app.db.require_current()
    async with app.running():
        yield Control(app, app.var / "unused.sock")


async def call(settings: Settings, do: str, args: dict[str, Any]) -> Any:
    async with operator(settings) as who:
        return await who.call(do, args)
