"""Opening the database: the SQLite profile, PostgreSQL's, and one writing process on SQLite."""

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from sqlalchemy import Connection, Engine, QueuePool, create_engine, event, make_url, text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

DOWN = (OperationalError, InterfaceError)
"""Failures of the database, not of what was written."""
HEAD = "0009"
"""The migration that this code expects."""


class ConfigError(Exception):
    """The service cannot start as it is set up; the message names what to change."""


class Database:
    """A writing and a reading engine. On SQLite there is one writing connection in one
    process, and it alone checkpoints: that keeps clear of the WAL-reset bug (docs/adr/0004)."""

    def __init__(self, url: str, *, lock: bool = True) -> None:
        self.url = make_url(url)
        self.sqlite = self.url.get_backend_name() == "sqlite"
        self._lock = _lock(Path(self.url.database or "")) if self.sqlite and lock else None
        try:
            self.writer = _sqlite_writer(self.url) if self.sqlite else _postgres(self.url)
            self.reader = _sqlite_reader(self.url) if self.sqlite else self.writer
        except BaseException:
            self.release()
            raise

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction; on SQLite it takes the write lock at once (BEGIN IMMEDIATE)."""
        with self.writer.begin() as conn:
            yield conn

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection that cannot write."""
        with self.reader.connect() as conn:
            yield conn

    @property
    def reading(self) -> int:
        """How many connections somebody reads from at this moment."""
        pool = self.reader.pool
        assert isinstance(pool, QueuePool)
        return pool.checkedout()

    def version(self) -> str | None:
        """The migration that the database is at; None when it is empty."""
        try:
            with self.read() as conn:
                return conn.execute(text("select version_num from alembic_version")).scalar()
        except DBAPIError as error:
            if "no such table" in str(error.orig) or "UndefinedTable" in repr(error.orig):
                return None
            why = str(error.orig).partition("\n")[0]
            raise ConfigError(f"KAONA_DATABASE_URL: cannot open the database: {why}") from error

    def require_current(self) -> None:
        """Refuse a database that is behind or ahead of this code."""
        version = self.version()
        if version != HEAD:
            state = "empty" if version is None else f"at {version}"
            raise ConfigError(
                f"KAONA_DATABASE_URL: the database is {state}, this version wants {HEAD}: "
                "run `kaona migrate`"
            )

    def checkpoint(self) -> None:
        """Move the write-ahead log into the database file (SQLite)."""
        if self.sqlite:
            with self.writer.connect() as conn:
                raw = conn.connection.driver_connection
                assert isinstance(raw, sqlite3.Connection)
                raw.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def truncate(self) -> None:
        """Leave nothing of what was deleted in the write-ahead log (SQLite); where somebody is
        just reading, the next time does it."""
        if self.sqlite:
            with self.writer.connect() as conn:
                raw = conn.connection.driver_connection
                assert isinstance(raw, sqlite3.Connection)
                raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        self.reader.dispose()
        self.writer.dispose()
        self.release()

    def release(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None


def _lock(database: Path) -> IO[str]:
    """Hold the one right to write to a SQLite file, or say who holds it."""
    try:
        database.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = open(f"{database}.lock", "a+", encoding="ascii")  # noqa: SIM115 (held for life)
    except OSError as error:
        raise ConfigError(
            f"KAONA_DATABASE_URL: cannot write to {database.parent}: {error.strerror}"
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.seek(0)
        holder = lock.read().strip() or "?"
        lock.close()
        raise ConfigError(
            f"KAONA_DATABASE_URL: {database} is in use by process {holder}: "
            "stop it first, or use PostgreSQL for more than one process"
        ) from error
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return lock


PROFILE = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "foreign_keys=ON",
    "busy_timeout=1000",
    "wal_autocheckpoint=4000",  # 16 MB: fewer stops to copy pages that soon change again
    "trusted_schema=OFF",
    "cell_size_check=ON",
    "mmap_size=0",
    "secure_delete=ON",
)


def _sqlite_writer(url: Any) -> Engine:
    engine = create_engine(
        url,
        poolclass=QueuePool,
        pool_size=1,
        max_overflow=0,
        connect_args={"check_same_thread": False},
    )
    event.listen(engine, "connect", lambda raw, _: _prepare(raw, PROFILE))
    event.listen(engine, "begin", lambda conn: conn.exec_driver_sql("BEGIN IMMEDIATE"))
    return engine


def _sqlite_reader(url: Any) -> Engine:
    engine = create_engine(
        url, poolclass=QueuePool, pool_size=4, connect_args={"check_same_thread": False}
    )
    pragmas = ("busy_timeout=1000", "wal_autocheckpoint=0", "query_only=ON", "trusted_schema=OFF")
    event.listen(engine, "connect", lambda raw, _: _prepare(raw, pragmas))
    event.listen(engine, "begin", lambda conn: conn.exec_driver_sql("BEGIN"))
    return engine


def _prepare(raw: sqlite3.Connection, pragmas: tuple[str, ...]) -> None:
    raw.isolation_level = None  # the driver must not begin transactions of its own
    for pragma in pragmas:
        raw.execute("PRAGMA " + pragma)


def _postgres(url: Any) -> Engine:
    options = "-c timezone=UTC -c lock_timeout=5s -c statement_timeout=60s"
    return create_engine(
        url,
        pool_size=4,
        max_overflow=4,
        pool_pre_ping=True,
        connect_args={"options": options, "connect_timeout": 5},
    )
