"""The service as its operator meets it: what stops it from starting, its commands, its end."""

import itertools
import os
import shutil
import signal
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from sqlalchemy import func, select

from content.schema import Content
from flows.types import Said
from storage import turns
from storage.models import inbox, outbox, parked
from tests.databases import Server
from tests.running import (
    ROOT,
    Service,
    edge,
    environment,
    eventually,
    kaona,
    ready,
    rows,
)
from tests.simulators.line import Line
from tests.simulators.telegram import Telegram

SOMCHAI = "U" + "1" * 32


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the service keeps its files."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def made(folder: Path) -> str:
    """The URL of a SQLite database that is ready."""
    return ready(folder)


# --- what stops it from starting --------------------------------------------------------

TELEGRAM = {"TELEGRAM_BOT_TOKEN": "1:a", "TELEGRAM_MODE": "webhook"}
WRONG: dict[str, tuple[dict[str, str], str]] = {
    "no secret key": ({"KAONA_SECRET_KEY": ""}, "KAONA_SECRET_KEY"),
    "a short secret key": ({"KAONA_SECRET_KEY": "short"}, "KAONA_SECRET_KEY"),
    "nobody to ask": ({"KAONA_DPO_CONTACT": ""}, "KAONA_DPO_CONTACT"),
    "an engine that is none": ({"KAONA_DATABASE_URL": "mysql://x"}, "KAONA_DATABASE_URL"),
    "no folder to write to": (
        {"KAONA_DATABASE_URL": "sqlite:////proc/nowhere/x.db"},
        "KAONA_DATABASE_URL",
    ),
    "a folder as database": ({"KAONA_DATABASE_URL": "sqlite:////tmp"}, "KAONA_DATABASE_URL"),
    "a file that is no database": ({"KAONA_DATABASE_URL": "sqlite:///junk"}, "KAONA_DATABASE_URL"),
    "an empty database": ({"KAONA_DATABASE_URL": "sqlite:///new.db"}, "kaona migrate"),
    "no server": (
        {"KAONA_DATABASE_URL": "postgresql+psycopg://x:secret@127.0.0.1:1/x"},
        "KAONA_DATABASE_URL",
    ),
    "a port that is no number": ({"KAONA_PORT": "http"}, "KAONA_PORT"),
    "a port that is none": ({"KAONA_PORT": "99999"}, "KAONA_PORT"),
    "an address that is not ours": ({"KAONA_HOST": "203.0.113.9"}, "KAONA_HOST"),
    "a time zone that is none": ({"KAONA_TIMEZONE": "Asia/Bangkokk"}, "KAONA_TIMEZONE"),
    "a public address that is none": ({"KAONA_PUBLIC_URL": "kaona.go.th"}, "KAONA_PUBLIC_URL"),
    "LINE without its token": ({"LINE_CHANNEL_SECRET": "x"}, "LINE_CHANNEL_ACCESS_TOKEN"),
    "LINE without its secret": ({"LINE_CHANNEL_ACCESS_TOKEN": "x"}, "LINE_CHANNEL_SECRET"),
    "LINE at no address": ({"LINE_API_BASE": "api.line.me"}, "LINE_API_BASE"),
    "Telegram at no address": ({"TELEGRAM_API_BASE": "ftp://x"}, "TELEGRAM_API_BASE"),
    "a mode that is none": ({"TELEGRAM_MODE": "pigeon"}, "TELEGRAM_MODE"),
    "a webhook without a secret": (TELEGRAM, "TELEGRAM_WEBHOOK_SECRET"),
    "a webhook with a short one": (
        TELEGRAM | {"TELEGRAM_WEBHOOK_SECRET": "short"},
        "TELEGRAM_WEBHOOK_SECRET",
    ),
    "a webhook without https": (
        TELEGRAM | {"TELEGRAM_WEBHOOK_SECRET": "x" * 40, "KAONA_PUBLIC_URL": "http://x"},
        "KAONA_PUBLIC_URL",
    ),
    "a setting that nobody reads": ({"KAONA_SECRETKEY": "x"}, "KAONA_SECRETKEY"),
}


@pytest.fixture(scope="module")
def endings(tmp_path_factory: pytest.TempPathFactory) -> "dict[str, CompletedProcess[str]]":
    """How the service ends with each wrong setting; two are tried at a time."""

    folders = {case: tmp_path_factory.mktemp("wrong") for case in WRONG}
    urls = {case: ready(folder) for case, folder in folders.items()}

    def attempt(case: str) -> "CompletedProcess[str]":
        (folders[case] / "junk").write_bytes(b"this is no database" * 100)
        given = environment(urls[case]) | WRONG[case][0]
        return kaona("serve", folder=folders[case], **given)

    with ThreadPoolExecutor(2) as pool:
        return dict(zip(WRONG, pool.map(attempt, WRONG), strict=True))


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_setting_is_named_in_one_line(
    endings: "dict[str, CompletedProcess[str]]", case: str
) -> None:
    ended, named = endings[case], WRONG[case][1]

    assert ended.returncode == 2
    assert len(ended.stderr.splitlines()) == 1, ended.stderr
    assert named in ended.stderr
    assert "secret@" not in ended.stderr
    assert ended.stdout == ""


def test_a_name_in_the_env_file_that_nobody_reads_is_refused(made: str, folder: Path) -> None:
    """A misspelt token would leave its channel silently off."""
    (folder / ".env").write_text("# ours\nTELEGRAM_TOKEN=1:a\n", encoding="utf-8")

    ended = kaona("serve", folder=folder, **environment(made))

    assert (ended.returncode, len(ended.stderr.splitlines())) == (2, 1)
    assert "TELEGRAM_TOKEN" in ended.stderr


def test_a_port_that_is_taken_is_named_in_one_line(made: str, folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = kaona("serve", folder=folder, **environment(made, KAONA_PORT=port))

    assert (ended.returncode, len(ended.stderr.splitlines())) == (2, 1)
    assert "KAONA_PORT" in ended.stderr


def test_a_second_process_on_one_sqlite_file_refuses_and_the_first_is_unharmed(
    made: str, folder: Path, content: Content
) -> None:
    """X20: the lock is the kernel's, so it also ends with a process that was killed."""
    with edge(made, content) as first:
        for command in ("serve", "migrate"):
            ended = kaona(command, folder=folder, **environment(made))
            assert ended.returncode == 2
            assert len(ended.stderr.splitlines()) == 1, ended.stderr
            assert "in use by process" in ended.stderr
        assert first.client.get("/readyz").status_code == 200


@pytest.mark.parametrize("command", ["web", "worker"])
def test_several_processes_need_postgresql(made: str, folder: Path, command: str) -> None:
    ended = kaona(command, folder=folder, **environment(made))

    assert (ended.returncode, len(ended.stderr.splitlines())) == (2, 1)
    assert "KAONA_DATABASE_URL" in ended.stderr


def test_faults_of_the_content_are_listed_with_file_and_line(made: str, folder: Path) -> None:
    shutil.copytree(ROOT / "content", folder / "content")
    copy, method = folder / "content" / "copy.th.toml", folder / "content" / "method.toml"
    copy.write_text(copy.read_text("utf-8") + "\nno_such_sentence = 'x'\n", encoding="utf-8")
    method.write_text(method.read_text("utf-8") + "\n= broken\n", encoding="utf-8")

    for command in ("check", "serve"):
        ended = kaona(command, folder=folder, **environment(made))
        lines = ended.stderr.splitlines()
        assert ended.returncode == 2
        assert any(line.startswith("method.toml:") for line in lines), lines
        assert all(line.split(":")[1].isdecimal() for line in lines[:-1]), lines
        assert lines[-1].endswith("in the content")


# --- commands, beside a running service and without one ------------------------------------


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A bug in a flow, which one word brings out, until it is mended."""
    real = turns.handle

    def handle(state: Any, event: Any, *more: Any) -> Any:
        if isinstance(event, Said) and event.text == "poison":
            raise RuntimeError("a bug")
        return real(state, event, *more)

    monkeypatch.setattr(turns, "handle", handle)
    yield
    monkeypatch.setattr(turns, "handle", real)


def test_parked_events_are_listed_replayed_and_discarded(
    made: str, folder: Path, content: Content, monkeypatch: pytest.MonkeyPatch, broken: None
) -> None:
    """Over the service's socket while it runs, in the command's own process when it does not."""
    env = environment(made)
    with edge(made, content) as door:
        door.hook(door.line.follows(SOMCHAI))
        for _ in range(3):
            door.hook(door.line.says(SOMCHAI, "poison"))
        monkeypatch.undo()  # the bug is mended
        monkeypatch.chdir(folder)
        before = len(door.line.delivered[SOMCHAI])
        listed = kaona("parked", "list", folder=folder, **env)
        replayed = kaona("parked", "replay", "1", folder=folder, **env)
        eventually(lambda: len(door.line.delivered[SOMCHAI]) > before)
        discarded = kaona("parked", "discard", "2", folder=folder, **env)
        again = kaona("parked", "replay", "1", folder=folder, **env)

    first = [line.split()[0] for line in listed.stdout.splitlines()]
    assert [word for word in first if word.isdecimal()] == ["1", "2", "3"]
    assert "RuntimeError" in listed.stdout
    assert "poison" not in listed.stdout
    assert (replayed.returncode, discarded.returncode, again.returncode) == (0, 0, 2)
    assert len(again.stderr.splitlines()) == 1
    assert (folder / "kaona.sock").exists() is False

    alone = kaona("parked", "replay", "3", folder=folder, **env)
    assert (alone.returncode, alone.stdout, alone.stderr) == (0, "3 replayed\n", "")
    assert kaona("parked", "list", folder=folder, **env).stdout == "nothing is parked\n"
    ways = rows(made, select(parked.c.ended_as).order_by(parked.c.id))
    assert [way for (way,) in ways] == ["replayed", "discarded", "replayed"]


def test_a_command_that_the_running_service_cannot_carry_out_says_so_in_one_line(
    made: str, folder: Path, content: Content, monkeypatch: pytest.MonkeyPatch
) -> None:
    with edge(made, content) as door:

        async def fail() -> None:
            raise RuntimeError("a bug")

        monkeypatch.setattr(door.app.control, "do_parked", fail)
        ended = kaona("parked", "list", folder=folder, **environment(made))
        monkeypatch.undo()
        monkeypatch.chdir(folder)
        again = kaona("parked", "list", folder=folder, **environment(made))

    assert (ended.returncode, len(ended.stderr.splitlines())) == (2, 1)
    assert (again.returncode, again.stdout) == (0, "nothing is parked\n")


def test_on_postgresql_web_and_worker_share_the_work(postgres: Server, folder: Path) -> None:
    """One answers, the other sends; each stops by itself, and both end with 0."""
    url = postgres.create(template=f"t{os.getpid()}_1")
    line = Line()
    with line.in_thread() as base:
        web, worker = (Service(folder, environment(url, base), name) for name in ("web", "worker"))
        for process in (web, worker):
            process.start()
        eventually(web.answers, 60)
        eventually(lambda: "started" in worker.log.read_text(), 60)
        bodies = [line.webhook(line.follows(f"U{n:032d}")) for n in range(20)]
        assert [send(web.port, *body) for body in bodies] == [200] * 20
        eventually(lambda: len(line.delivered) == 20)
        listed = kaona("parked", "list", folder=folder, **environment(url, base))
        assert [web.end(), worker.end()] == [0, 0]
        alone = kaona("parked", "list", folder=folder, **environment(url, base))

    assert [len(messages) for messages in line.delivered.values()] == [1] * 20
    assert (listed.stdout, alone.stdout) == ("nothing is parked\n",) * 2
    assert list(folder.glob("**/*.sock")) == []


# --- its end -------------------------------------------------------------------------------


def send(port: int, body: bytes, headers: dict[str, str]) -> int:
    """One webhook over a real connection; 0 when there was no answer."""
    door = HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        door.request("POST", "/webhook/line", body, headers)
        return door.getresponse().status
    except OSError:
        return 0
    finally:
        door.close()


def test_a_graceful_stop_under_load_loses_and_doubles_nothing(url: str, folder: Path) -> None:
    """P31: within 20 s, with exit code 0, and nothing is left in anybody's hands."""
    line, telegram = Line(), Telegram()
    with line.in_thread() as line_base, telegram.in_thread() as telegram_base:
        service = Service(folder, environment(url, line_base, telegram_base))
        hooks = [line.webhook(line.follows(f"U{n:032d}")) for n in range(300)]
        service.start()
        eventually(service.answers, 60)
        enough, answered = threading.Event(), itertools.count(1)

        def deliver(hook: tuple[bytes, dict[str, str]]) -> int:
            status = send(service.port, *hook)
            if next(answered) == 60:
                enough.set()
            return status

        with ThreadPoolExecutor(16) as pool:
            statuses = pool.map(deliver, hooks)
            enough.wait(10)
            began = time.monotonic()
            code = service.end()
            stopped = time.monotonic() - began
        assert code == 0
        _check_the_stop(url, list(statuses), stopped)

        service.start()
        eventually(service.answers, 60)
        with ThreadPoolExecutor(16) as pool:
            again = list(pool.map(lambda hook: send(service.port, *hook), hooks))
        eventually(lambda: _open(url) == 0, 30)
        assert service.end() == 0

    assert set(again) == {200}
    assert [len(line.delivered[f"U{n:032d}"]) for n in range(300)] == [1] * 300


def _check_the_stop(url: str, statuses: list[int], seconds: float) -> None:
    accepted = statuses.count(200)
    assert 0 < accepted < 300, "the signal did not fall into the load"
    assert seconds < 20
    assert rows(url, select(func.count()).select_from(inbox))[0][0] >= accepted
    left = select(outbox.c.status).where(outbox.c.status == "sending")
    assert rows(url, left) == []


def _open(url: str) -> int:
    waiting = outbox.c.status.in_(("queued", "sending"))
    return int(rows(url, select(func.count()).select_from(outbox).where(waiting))[0][0])


def test_an_idle_service_stops_at_once_even_with_a_page_open(made: str, folder: Path) -> None:
    """A stream of the web chat must not hold up the end."""
    service = Service(folder, environment(made))
    service.start()
    eventually(service.answers, 60)
    page = HTTPConnection("127.0.0.1", service.port, timeout=20)
    page.request("GET", "/chat/stream", headers={"Cookie": "kaona_chat=" + "a" * 64})
    assert page.getresponse().status == 200

    began = time.monotonic()
    assert service.end(signal.SIGINT) == 0
    assert time.monotonic() - began < 10
    page.close()
