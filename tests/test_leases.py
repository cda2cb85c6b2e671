"""One process sends on a channel: by a lease that outlives nobody for long."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from msgspec.json import encode
from sqlalchemy import insert, select
from sqlalchemy.exc import OperationalError

from flows.types import Reply
from storage import leases
from storage.database import Database
from storage.models import leases as table
from storage.models import outbox
from storage.wire import Request
from tests.databases import Server
from tests.running import ROOT, eventually

NOW = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)
TTL = timedelta(seconds=15)
A, B = "host:1:a", "host:2:b"


def acquire(db: Database, holder: str, after: float = 0.0) -> bool:
    with db.write() as conn:
        now = NOW + timedelta(seconds=after)
        return leases.acquire(conn, "send:line", holder, now, TTL)


def holds(db: Database, holder: str, after: float = 0.0) -> bool:
    with db.write() as conn:
        return leases.holds(conn, "send:line", holder, NOW + timedelta(seconds=after))


@pytest.fixture
def shared(db: Database) -> Database:
    if db.sqlite:
        pytest.skip("SQLite has one process")
    return db


def test_on_sqlite_the_one_process_holds_everything(db: Database) -> None:
    if not db.sqlite:
        pytest.skip("several processes")
    assert acquire(db, A)
    assert holds(db, B)


def test_it_is_held_by_one_until_it_is_over(shared: Database) -> None:
    assert (acquire(shared, A), acquire(shared, B)) == (True, False)
    assert (holds(shared, A), holds(shared, B)) == (True, False)
    assert acquire(shared, A, 10)  # renewed
    assert not acquire(shared, B, 20)
    assert acquire(shared, B, 26)
    assert (holds(shared, A, 26), acquire(shared, A, 27)) == (False, False)


def test_who_sleeps_through_the_end_of_it_holds_nothing(shared: Database) -> None:
    acquire(shared, A)
    assert not holds(shared, A, 15)


def test_it_can_be_given_up(shared: Database) -> None:
    acquire(shared, A)
    with shared.write() as conn:
        leases.release(conn, "send:line", B)  # not B's to give
        assert leases.holds(conn, "send:line", A, NOW)
        leases.release(conn, "send:line", A)
    assert acquire(shared, B)


def impatiently(db: Database) -> None:
    with db.write() as conn:
        conn.exec_driver_sql("set local lock_timeout = '100ms'")
        leases.acquire(conn, "send:line", B, NOW + TTL, TTL)


def test_nobody_takes_it_over_while_somebody_claims_under_it(shared: Database) -> None:
    """A claim and the check of its lease are one: whoever comes to take it waits for the claim."""
    acquire(shared, A)
    with shared.write() as claiming:
        assert leases.holds(claiming, "send:line", A, NOW)
        with pytest.raises(OperationalError, match="lock timeout"):
            impatiently(shared)


# --- two processes -----------------------------------------------------------------------

WORKER = """
import asyncio, json, os, sys, time
from datetime import UTC, datetime
from pathlib import Path
from bot.app import pack
from bot.dispatch import Dispatcher
from bot.sender import Sender
from content.load import load
from storage.database import Database
from storage.wire import Outcome

class Post:
    async def send(self, row):
        told = {"pid": os.getpid(), "key": row.key, "at": time.time()}
        with open(sys.argv[2], "a") as file:
            file.write(json.dumps(told) + "\\n")
        return Outcome("accepted")
    fetch = None
    def lost(self, row, now):
        return Outcome("uncertain", "lost", doubtful=True)

async def main():
    clock = lambda: datetime.now(UTC)
    db, content = Database(sys.argv[1]), load()
    dispatcher = Dispatcher(db, content, pack, clock, lambda rows: None)
    sender = Sender(db, {"telegram": Post()}, content, Path("."), clock)
    dispatcher.start()
    sender.start(dispatcher)
    print("ready", flush=True)
    while True:
        await sender.sweep()
        await asyncio.sleep(0.1)
asyncio.run(main())
"""


class Pair:
    """Two workers on one database, and rows that they may send."""

    def __init__(self, url: str, folder: Path) -> None:
        self.db = Database(url)
        self._told = folder / "told"
        self._told.touch()
        self._count = 0
        self.workers = [
            subprocess.Popen(
                [sys.executable, "-c", WORKER, url, str(self._told)],
                cwd=ROOT,
                stdout=subprocess.PIPE,
                text=True,
            )
            for _ in range(2)
        ]
        for worker in self.workers:
            assert worker.stdout is not None
            assert worker.stdout.readline() == "ready\n"

    def put(self, n: int) -> None:
        now, payload = datetime.now(UTC), encode(Request((Reply("x"),))).decode()
        with self.db.write() as conn:
            for _ in range(n):
                self._count += 1
                row = {"key": str(uuid4()), "channel": "telegram", "address": str(self._count)}
                row |= {"lane": "reply", "payload": payload, "status": "queued"}
                moments = {"created_at": now, "due": now, "deadline": now + timedelta(hours=1)}
                conn.execute(insert(outbox).values(**row, **moments))

    def told(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._told.read_text().splitlines()]

    def all_sent(self) -> bool:
        return len(self.told()) >= self._count

    def holder(self) -> int:
        with self.db.read() as conn:
            return int(conn.execute(select(table.c.holder)).scalar_one().split(":")[1])

    def end(self) -> None:
        for worker in self.workers:
            worker.kill()
            worker.wait()
            assert worker.stdout is not None
            worker.stdout.close()
        self.db.close()


@pytest.fixture
def pair(postgres: Server, tmp_path: Path) -> Iterator[Pair]:
    made = Pair(postgres.create(template=f"t{os.getpid()}_1"), tmp_path)
    yield made
    made.end()


@pytest.mark.parametrize("how", [signal.SIGSTOP, signal.SIGKILL])
def test_another_process_sends_when_one_is_gone(pair: Pair, how: signal.Signals) -> None:
    """X21: who is stopped in the middle and wakes up later sends nothing twice."""
    pair.put(50)
    eventually(pair.all_sent, 20)
    first = pair.holder()
    assert {one["pid"] for one in pair.told()} == {first}
    pair.put(200)
    time.sleep(0.12)
    os.kill(first, how)
    pair.put(50)
    began = time.time()
    eventually(lambda: pair.holder() != first and pair.told()[-1]["pid"] != first, 120)
    took = time.time() - began
    eventually(lambda: len({one["key"] for one in pair.told()}) >= 300 - 64, 20)

    if how is signal.SIGSTOP:
        os.kill(first, signal.SIGCONT)
        time.sleep(3)
        pair.put(20)
        eventually(lambda: len({one["key"] for one in pair.told()}) >= 320 - 64, 20)
    keys = [one["key"] for one in pair.told()]
    assert len(keys) == len(set(keys))
    print(f"{how.name}: taken over after {took:.1f} s")  # 15 s on a quiet machine
