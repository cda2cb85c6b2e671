"""A service to talk to in tests: its settings, itself in this process or in one of its own."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from msgspec import Struct
from sqlalchemy import Row, Select, create_engine, event
from sqlalchemy.pool import NullPool
from starlette.testclient import TestClient

from bot.app import App
from bot.config import Settings
from content.schema import Content
from tests.blank import blank
from tests.simulators.line import Line
from tests.simulators.server import Json
from tests.simulators.telegram import Telegram

ROOT = Path(__file__).parent.parent
SECRET = "telegram-webhook-secret-of-forty-letters"


class Clock:
    """A clock that moves when it is told to: a simulator and a sender may share it."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **by: float) -> None:
        self.now += timedelta(**by)


def environment(url: str, line: str = "", telegram: str = "", **more: str) -> dict[str, str]:
    """The settings of a service on this database, between these two platforms."""
    made = {
        "KAONA_DATABASE_URL": url,
        "KAONA_SECRET_KEY": "k" * 48,
        "KAONA_DPO_CONTACT": "dpo@agency.go.th",
        "KAONA_PUBLIC_URL": "https://kaona.example.go.th",
    }
    if line:
        made |= {"LINE_CHANNEL_SECRET": "secret", "LINE_CHANNEL_ACCESS_TOKEN": "token"}
        made |= {"LINE_API_BASE": line}
    if telegram:
        made |= {"TELEGRAM_BOT_TOKEN": "4242:token", "TELEGRAM_API_BASE": telegram}
        made |= {"TELEGRAM_MODE": "webhook", "TELEGRAM_WEBHOOK_SECRET": SECRET}
        made |= {"TELEGRAM_RATE": "10000"}  # a simulator has time
    return made | more


def ready(folder: Path) -> str:
    """The URL of a new SQLite database in this folder."""
    return blank(folder)


def rows(url: str, query: Select[Any]) -> list[Row[Any]]:
    """What the database holds, as somebody outside sees it."""
    engine = create_engine(url, poolclass=NullPool)
    if engine.dialect.name == "sqlite":
        # an onlooker who closes last would move the write-ahead log, beside the one writer
        event.listen(engine, "connect", lambda raw, _: raw.execute("PRAGMA query_only=ON"))
    try:
        with engine.connect() as conn:
            return list(conn.execute(query))
    finally:
        engine.dispose()


def eventually(check: Callable[[], object], seconds: float = 10.0) -> None:
    """Wait until it is so."""
    until = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < until, f"not so within {seconds} s"
        time.sleep(0.01)


# --- in this process -------------------------------------------------------------------


class Edge(Struct):
    """A running service, both platforms, and a client at its door."""

    app: App
    client: TestClient
    line: Line
    telegram: Telegram
    url: str

    def hook(self, *events: Json) -> int:
        """A webhook of LINE's; the status of the answer."""
        return self.post(*self.line.webhook(*events))

    def post(self, body: bytes, headers: dict[str, str]) -> int:
        answer = self.client.post("/webhook/line", content=body, headers=headers)
        return int(answer.status_code)

    def update(self, update: object, secret: str = SECRET) -> Any:
        """An update of Telegram's; the answer."""
        headers = {"X-Telegram-Bot-Api-Secret-Token": secret}
        body = update if isinstance(update, bytes) else json.dumps(update).encode()
        return self.client.post("/webhook/telegram", content=body, headers=headers)

    def rows(self, query: Select[Any]) -> list[Row[Any]]:
        return rows(self.url, query)


@contextmanager
def edge(
    url: str, content: Content, telegram: Telegram | None = None, **more: str
) -> Iterator[Edge]:
    """The whole service, answering in a thread; both platforms beside it."""
    line, telegram = Line(), telegram or Telegram()
    with line.in_thread() as line_base, telegram.in_thread() as telegram_base:
        given = environment(url, line_base, telegram_base, **more)
        app = App(Settings(_env_file=None, **given), content)  # type: ignore[call-arg]
        with TestClient(app.asgi(), raise_server_exceptions=False) as client:
            yield Edge(app, client, line, telegram, url)


# --- in a process of its own -----------------------------------------------------------


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def kaona(*args: str, folder: Path, **env: str) -> "subprocess.CompletedProcess[str]":
    """A command, as an operator runs it."""
    return subprocess.run(
        [sys.executable, "-m", "bot", *args],
        cwd=folder,
        env=_plain() | env,
        capture_output=True,
        text=True,
        timeout=60,
    )


def _plain() -> dict[str, str]:
    """This environment without settings of ours."""
    ours = ("KAONA_", "LINE_", "TELEGRAM_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return kept | {"PYTHONPATH": str(ROOT)}


class Service:
    """A real `kaona serve`, or one of the commands that share its work."""

    def __init__(
        self,
        folder: Path,
        env: dict[str, str],
        command: str = "serve",
        *,
        program: tuple[str, ...] = ("bot",),
        name: str = "",
    ) -> None:
        self.port = free_port()
        self._command = command
        self._program = program
        self._folder = folder
        self._env = _plain() | env | {"KAONA_PORT": str(self.port)}
        self._process: subprocess.Popen[bytes] | None = None
        self.log = folder / f"{name or command}.log"

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", *self._program, self._command],
                cwd=self._folder,
                env=self._env,
                stdout=log,
                stderr=log,
            )

    def answers(self) -> bool:
        """It serves; a service that has ended by itself is a failure."""
        assert self._process is not None
        assert self._process.poll() is None, self.log.read_text()[-2000:]
        door = HTTPConnection("127.0.0.1", self.port, timeout=0.5)
        try:
            door.request("GET", "/livez")
            return door.getresponse().status == 200
        except OSError:
            return False
        finally:
            door.close()

    def end(self, how: signal.Signals = signal.SIGTERM, patience: float = 25.0) -> int:
        """Send the signal and wait; the exit code."""
        if self._process is None:
            return 0
        self._process.send_signal(how)
        code = self._process.wait(patience)
        self._process = None
        return code
