"""Drafts, publishing and history in the database; and how a running service takes it on."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Connection, insert, select, update

from bot.shelf import Shelf
from content.overlay import Revised, digest, entry
from content.schema import Content
from storage import revisions
from storage.database import Database
from storage.models import audit, learners
from storage.models import revisions as table
from storage.revisions import Draft, Missing, Stale
from storage.scope import Denied, Right, Scope

NOW = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)
EDITOR = Scope(None, (Right("editor"),))
PART = Scope(None, (Right("hr", "top / one"),))
ADMIN = Scope(None, (Right("admin"),))
WORDS = {"th": "ใช่แล้ว {why}", "en": "Yes, {why}"}


@pytest.fixture
def conn(db: Database) -> Iterator[Connection]:
    with db.write() as conn:
        yield conn


def sentence(content: Content, **body: str) -> Draft:
    there = digest(entry(content, "copy", "quiz_right"))
    return Draft("copy", "quiz_right", "quiz_right", {**WORDS, **body}, there)


def keep(conn: Connection, draft: Draft, seen: str = "") -> Any:
    return revisions.find(conn, revisions.save(conn, EDITOR, draft, seen, NOW))


def put(conn: Connection, draft: Draft) -> int:
    """Keep and publish."""
    row = keep(conn, draft)
    seen, edition = revisions.version_of(row), revisions.newest(conn)
    return revisions.publish(conn, EDITOR, row.id, seen, edition, NOW)


def test_a_draft_is_nothing_until_it_is_published(conn: Connection, content: Content) -> None:
    row = keep(conn, sentence(content))
    assert revisions.standing(conn) == ()
    assert revisions.newest(conn) == 0

    made = revisions.publish(conn, EDITOR, row.id, revisions.version_of(row), 0, NOW)

    assert made == revisions.newest(conn) == 1
    (there,) = revisions.standing(conn)
    assert there == Revised("copy", "quiz_right", WORDS, sentence(content).base, False, row.id)
    assert [each.action for each in conn.execute(select(audit))] == ["content_published"]


def test_two_who_edit_at_once_do_not_overwrite_each_other(
    conn: Connection, content: Content
) -> None:
    row = keep(conn, sentence(content))
    with pytest.raises(Stale):
        keep(conn, sentence(content, en="Mine {why}"))
    seen = revisions.version_of(row)
    keep(conn, sentence(content, en="Second {why}"), seen)
    with pytest.raises(Stale):
        keep(conn, sentence(content, en="Third {why}"), seen)
    with pytest.raises(Stale):
        revisions.publish(conn, EDITOR, row.id, seen, 0, NOW)
    with pytest.raises(Stale):
        revisions.drop(conn, EDITOR, row.id, seen, NOW)
    assert "Second" in revisions.find(conn, row.id).body


def test_a_check_against_an_older_edition_does_not_count(
    conn: Connection, content: Content
) -> None:
    row = keep(conn, sentence(content))
    there = digest(entry(content, "step", "know"))
    body = entry(content, "step", "know")
    assert body is not None
    put(conn, Draft("step", "know", "know", body, there))
    with pytest.raises(Stale):
        revisions.publish(conn, EDITOR, row.id, revisions.version_of(row), 0, NOW)


def test_the_next_one_replaces_and_the_last_can_be_withdrawn(
    conn: Connection, content: Content
) -> None:
    put(conn, sentence(content))
    assert put(conn, sentence(content, en="Better {why}")) == 2
    (there,) = revisions.standing(conn)
    assert there.body["en"] == "Better {why}"

    assert revisions.withdraw(conn, EDITOR, "copy", "quiz_right", 2, NOW) == 3

    assert revisions.standing(conn) == ()
    states = [(row.number, row.status) for row in revisions.history(conn, "copy", "quiz_right")]
    assert states == [(2, "withdrawn"), (1, "replaced")]
    with pytest.raises(Missing):
        revisions.withdraw(conn, EDITOR, "copy", "quiz_right", 3, NOW)
    with pytest.raises(Stale):
        revisions.withdraw(conn, EDITOR, "copy", "quiz_right", 2, NOW)


def test_an_item_of_the_agency_stays_when_it_is_withdrawn(
    conn: Connection, content: Content
) -> None:
    body = entry(content, "question", "computer-01")
    assert body is not None
    new = {**body, "id": "computer-01v2", "replaces": "computer-01"}
    draft = Draft("question", "computer-01v2", "computer-01", new, "")
    put(conn, draft)
    revisions.withdraw(conn, EDITOR, "question", "computer-01v2", 1, NOW)

    (there,) = revisions.standing(conn)
    assert (there.key, there.withdrawn) == ("computer-01v2", True)
    assert {row.key for row in revisions.history(conn, "question", "computer-01")} == {
        "computer-01v2"
    }
    put(conn, draft)
    (there,) = revisions.standing(conn)
    assert not there.withdrawn, "published again"


def test_a_draft_may_become_another_item_and_back(conn: Connection, content: Content) -> None:
    body = entry(content, "question", "computer-01")
    assert body is not None
    first = Draft("question", "computer-01", "computer-01", body, digest(body))
    row = keep(conn, first)
    new = {**body, "id": "computer-01v2", "replaces": "computer-01"}
    other = keep(
        conn,
        Draft("question", "computer-01v2", "computer-01", new, ""),
        revisions.version_of(row),
    )
    assert (other.id, other.key, other.number) == (row.id, "computer-01v2", 1)
    back = keep(conn, first, revisions.version_of(other))
    assert (back.key, back.number) == ("computer-01", 1)


def test_who_may_change_what(conn: Connection, content: Content) -> None:
    draft, dpo = sentence(content), Draft("setting", "dpo", "dpo", {"contact": "x"}, "x")
    for scope, wanted in ((PART, draft), (ADMIN, draft), (EDITOR, dpo), (PART, dpo)):
        with pytest.raises(Denied):
            revisions.save(conn, scope, wanted, "", NOW)
    revisions.save(conn, ADMIN, dpo, "", NOW)
    row = keep(conn, draft)
    put(conn, Draft("step", "know", "know", {}, "x"))
    for scope in (PART, ADMIN):
        with pytest.raises(Denied):
            revisions.publish(conn, scope, row.id, revisions.version_of(row), 1, NOW)
        with pytest.raises(Denied):
            revisions.withdraw(conn, scope, "step", "know", 1, NOW)
        with pytest.raises(Denied):
            revisions.drop(conn, scope, row.id, revisions.version_of(row), NOW)


def test_how_many_are_in_the_middle_of_it(conn: Connection) -> None:
    for n, question in enumerate(("computer-01", "computer-01", "computer-011")):
        state = f'{{"seed":1,"floor":{{"note":{{"question":"{question}"}}}}}}'
        values = {"created_at": NOW, "channel": "web", "address": str(n), "state": state}
        conn.execute(insert(learners).values(values))
    assert revisions.people_at(conn, "question", "computer-01") == 2
    assert revisions.people_at(conn, "question", "computer-0%") == 0
    assert revisions.people_at(conn, "step", "know") == 0
    assert revisions.people_at(conn, "copy", "quiz_right") is None


class Service:
    """As much of a service as a shelf asks of it."""

    def __init__(self, conn: Connection, content: Content) -> None:
        self.content, self._conn, self.used = content, conn, 0

    async def read(self, query: Any) -> Any:
        return query(self._conn)

    def use(self, content: Content) -> None:
        self.content, self.used = content, self.used + 1


@pytest.mark.anyio
async def test_another_process_takes_it_on_once(conn: Connection, content: Content) -> None:
    app: Any = Service(conn, content)
    shelf = Shelf(app)
    await shelf.start()
    assert app.used == 0
    put(conn, sentence(content))
    shelf.look(conn)
    shelf.look(conn)
    assert app.used == 1
    assert app.content.copy_["en"]["quiz_right"] == WORDS["en"]
    revisions.withdraw(conn, EDITOR, "copy", "quiz_right", 1, NOW)
    shelf.look(conn)
    assert app.content.copy_ == content.copy_


@pytest.mark.anyio
async def test_what_fits_no_more_is_no_reason_not_to_start(
    conn: Connection, content: Content
) -> None:
    put(conn, sentence(content))
    put(conn, Draft("step", "know", "know", {"name": {"th": "x"}}, "x"))
    conn.execute(update(table).where(table.c.kind == "step").values(key="seventh"))
    app: Any = Service(conn, content)
    shelf = Shelf(app)

    await shelf.start()

    assert [(row.key, why) for row, why in shelf.left] == [("seventh", "gone")]
    assert app.content.copy_["en"]["quiz_right"] == WORDS["en"]
