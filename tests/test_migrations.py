"""Databases of earlier versions, with people in them, brought to this one."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import text

from content.schema import Content
from storage import profiles
from storage.database import Database
from storage.migrate import migrate
from tests.databases import ENGINES, Server

FIRST = (
    "insert into learners (id, created_at, channel, address, state) values "
    "(7, 0, 'line', 'U7', :state)",
    "insert into addresses (channel, address, learner_id, created_at, reachable) values "
    "('line', 'U7', 7, 0, false)",
    "insert into outbox (key, learner_id, channel, address, lane, payload, created_at, due, "
    "deadline, status) values ('k1', 7, 'line', 'U7', 'reply', '{}', 0, 0, 0, 'queued'), "
    "('k2', 7, 'line', 'U7', 'personal', '{}', 0, 0, 0, 'accepted')",
)


def to(db: Database, revision: str) -> None:
    with db.write() as conn:
        config = Config()
        folder = Path(__file__).parent.parent / "storage" / "migrations"
        config.set_main_option("script_location", str(folder))
        config.attributes["connection"] = conn
        command.upgrade(config, revision)


@pytest.fixture(params=ENGINES)
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    url = f"sqlite:///{tmp_path}/kaona.db"
    if request.param == "postgresql":
        server: Server = request.getfixturevalue("postgres")
        url = server.create()
    db = Database(url)
    yield db
    db.close()


def rows(db: Database, query: str) -> list[Any]:
    with db.read() as conn:
        return [tuple(row) for row in conn.execute(text(query))]


def test_nothing_of_the_first_version_is_lost(empty: Database, content: Content) -> None:
    to(empty, "0001")
    with empty.write() as conn:
        for statement in FIRST:
            named = {"state": '{"seed": 7, "welcomed": true}'} if ":state" in statement else {}
            conn.execute(text(statement), named)

    migrate(empty)
    empty.require_current()

    kept = rows(empty, "select key, learner_id, status, purpose from outbox order by id")
    assert kept == [("k1", 7, "queued", "reply"), ("k2", 7, "accepted", "word")]
    assert rows(empty, "select count(*) from profiles") == [(0,)]
    with empty.write() as conn:
        assert profiles.fill(conn, content) == 1
    profile = rows(empty, "select learner_id, address, reachable, welcomed from profiles")
    assert profile == [(7, "U7", False, True)]


def test_a_second_time_changes_nothing(empty: Database) -> None:
    migrate(empty)
    migrate(empty)
    empty.require_current()
