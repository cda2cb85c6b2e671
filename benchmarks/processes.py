"""Starting what is measured, each in a process of its own, and looking at it from outside."""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from msgspec import Struct

from benchmarks.traffic import SECRET, TELEGRAM_SECRET, TELEGRAM_TOKEN, TOKEN

ROOT = Path(__file__).parents[1]


class Process(Struct):
    """A server that is up."""

    port: int
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def get(self, path: str) -> bytes:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(self.url + path, timeout=10) as response:
            return bytes(response.read())

    def count(self) -> dict[str, Any]:
        """What the simulator has seen."""
        return self.get_json("/count")

    def get_json(self, path: str) -> dict[str, Any]:
        return dict(json.loads(self.get(path)))

    @property
    def megabytes(self) -> float:
        """Memory that is really there (RSS)."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
        return int(line.split()[1]) / 1024


@contextmanager
def _run(module: str, port: int, *args: str, **more: str) -> Iterator[Process]:
    """A module of ours as a process, once it answers; ended when the block ends."""
    with tempfile.TemporaryFile() as said:
        command = [sys.executable, "-m", module, *args]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), **more}
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=said
        )
        try:
            if not _answers(process, port):
                said.seek(0)
                raise RuntimeError(f"{module} did not start: {said.read().decode()[-2000:]}")
            yield Process(port, process)
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _answers(process: subprocess.Popen[bytes], port: int, patience: float = 60.0) -> bool:
    until = time.monotonic() + patience
    while time.monotonic() < until and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return True
    return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def simulator() -> Iterator[Process]:
    port = _free_port()
    with _run("benchmarks.simulator", port, str(port)) as process:
        yield process


@contextmanager
def telegram(*options: str) -> Iterator[Process]:
    """The stateful Telegram of the tests, which throttles."""
    port = _free_port()
    token = ("--token", TELEGRAM_TOKEN)
    with _run("tests.simulators.telegram", port, "--port", str(port), *token, *options) as process:
        yield process


@contextmanager
def service(url: str, platform: Process | None = None, **more: str) -> Iterator[Process]:
    """The service on a database; it sends if there is a platform to send to."""
    port = _free_port()
    base = platform.url if platform else "http://127.0.0.1:9"
    settings = {
        "KAONA_DATABASE_URL": url,
        "KAONA_PORT": str(port),
        "KAONA_PUBLIC_URL": "https://bot.example.go.th",
        "LINE_CHANNEL_SECRET": SECRET,
        "LINE_CHANNEL_ACCESS_TOKEN": TOKEN,
        "LINE_API_BASE": base,
        "TELEGRAM_BOT_TOKEN": TELEGRAM_TOKEN,
        "TELEGRAM_WEBHOOK_SECRET": TELEGRAM_SECRET,
        "TELEGRAM_API_BASE": base,
        "TELEGRAM_MODE": "webhook",
        "TELEGRAM_RATE": "100000",  # what we can do, not what Telegram takes
        **more,
    }
    role = "works" if platform else "serves"
    given = [f"{name}={value}" for name, value in settings.items()]
    with _run("benchmarks.serving", port, role, *given) as process:
        yield process


@contextmanager
def demo(url: str) -> Iterator[Process]:
    """A made-up agency, served."""
    port = _free_port()
    settings = {"KAONA_DATABASE_URL": url, "KAONA_PORT": str(port)}
    with _run("bot", port, "demo", **settings) as process:
        yield process


@contextmanager
def sqlite() -> Iterator[str]:
    """The URL of a new SQLite database on this machine's disk."""
    with tempfile.TemporaryDirectory(prefix="kaona-bench-") as folder:
        yield f"sqlite:///{folder}/kaona.db"


@contextmanager
def postgresql() -> Iterator[str]:
    """The URL of a new database on a throw-away server that keeps what it has committed."""
    from tests import databases

    binaries = databases._binaries()
    if binaries is None:
        raise RuntimeError("no PostgreSQL server on this machine")
    databases.SETTINGS = (
        "fsync=on",
        "synchronous_commit=on",
        "full_page_writes=on",
        "shared_buffers=256MB",
        "max_wal_size=4GB",
        "listen_addresses=",
    )
    server = databases.Server(binaries)
    try:
        yield server.create()
    finally:
        server.stop()
        import shutil

        shutil.rmtree(server.folder, ignore_errors=True)
