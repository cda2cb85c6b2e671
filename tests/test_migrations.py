"""Databases of earlier versions, with people in them, brought to this one."""

import json
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


MEASURE = {"right": 1, "asked": 2, "ability": 0.5, "error": 0.9}
BETTER = {"right": 2, "asked": 2, "ability": 1.25, "error": 0.9}


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


SECOND = (
    "insert into units (id, name, path) values (1, 'u', 'u')",
    "insert into persons (id, hr_id, name, unit_id, role, supervisor_id) values "
    "(1, 'boss', 'b', 1, 'hr', null), (2, 'clerk', 'c', 1, 'learner', 1)",
    "insert into learners (id, created_at, channel, address, state, person_id) values "
    "(7, 0, 'line', 'U7', '{}', 2), (8, 0, 'line', 'U8', '{}', 1)",
    "insert into profiles (learner_id, channel, address, lang, person_id) values "
    "(7, 'line', 'U7', 'th', 2), (8, 'line', 'U8', 'th', 1)",
    "insert into claim_codes (code_hash, person_id, expires_at) values ('h', 2, 5)",
)
FACTS = (
    (1, 7, 10, "step_done", {"step": "know", "round": 1}),
    (2, 7, 10, "measured", {"when": "baseline", "round": 1, "areas": {"word": MEASURE}}),
    (3, 7, 20, "measured", {"when": "retest", "round": 1, "areas": {"word": BETTER}}),
    (4, 7, 30, "used_at_work", {"round": 1, "shared": True, "where": {"text": "x"}}),
    (5, 8, 40, "use_confirmed", {"use": 4}),
)


def test_the_second_version_s_facts_and_roles_are_taken_over(empty: Database) -> None:
    to(empty, "0002")
    with empty.write() as conn:
        for statement in SECOND:
            conn.execute(text(statement))
        for id, learner, at, kind, data in FACTS:
            row = {"id": id, "learner": learner, "at": at, "kind": kind, "data": json.dumps(data)}
            conn.execute(
                text("insert into facts (id, learner_id, at, kind, data) values "
                     "(:id, :learner, :at, :kind, :data)"),
                row,
            )  # fmt: skip

    migrate(empty)
    empty.require_current()

    assert rows(empty, "select person_id, role, unit_id from grants") == [(1, "hr", None)]
    assert rows(empty, "select person_id, unit_id, until_on from postings order by person_id") == [
        (1, 1, None),
        (2, 1, None),
    ]
    assert rows(empty, "select unit_id from profiles") == [(1,), (1,)]
    assert rows(empty, "select learner_id, step, at from milestones") == [(7, "know", 10)]
    abilities = "select area, before, before_at, after, after_at from measures"
    assert rows(empty, abilities) == [("word", 0.5, 10, 1.25, 20)]
    told = "select fact_id, shared, confirmed_at, confirmed_by, status from evidence"
    assert rows(empty, told) == [(4, True, 40, 1, "new")]
    assert rows(empty, "select supervisor_id from persons where id = 2") == [(1,)]
    assert rows(empty, "select void from claim_codes") == [(False,)]


def test_campaigns_keep_the_units_that_they_name(empty: Database) -> None:
    to(empty, "0004")
    specs = ({"segment": {"units": ["u", "v / w", "u"]}}, {"segment": {}}, {})
    with empty.write() as conn:
        conn.execute(text("insert into units (id, name, path) values (1, 'u', 'u')"))
        conn.execute(
            text("insert into persons (id, hr_id, name, unit_id) values (1, 'boss', 'b', 1)")
        )
        for spec in specs:
            conn.execute(
                text("insert into campaigns (name, spec, status, author_id, created_at) values "
                     "('c', :spec, 'draft', 1, 0)"),
                {"spec": json.dumps(spec)},
            )  # fmt: skip

    migrate(empty)

    found = rows(empty, "select campaign_id, path from campaign_units order by campaign_id, path")
    assert found == [(1, "u"), (1, "v / w")]


def test_a_second_time_changes_nothing(empty: Database) -> None:
    migrate(empty)
    migrate(empty)
    empty.require_current()
