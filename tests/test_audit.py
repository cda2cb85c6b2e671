"""The audit log cannot be edited unseen: what is changed, taken out or exchanged is found."""

import random
import threading
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, delete, func, insert, select, update

from bot.app import App
from bot.config import Settings
from content.schema import Content
from storage import audit
from storage.audit import Anchor, Broken
from storage.database import Database
from storage.models import audit as table
from storage.scope import NOBODY, OPERATOR, Denied
from tests.planted import NOW
from tests.running import Clock, environment, ready

ENTRIES = 120


def _written(db: Database, many: int = ENTRIES) -> list[Anchor]:
    """A log, and the anchor of its last entry."""
    with db.write() as conn:
        for number in range(many):
            at = NOW + timedelta(minutes=number)
            audit.note(conn, number % 3 or None, "view_person", f"person:{number}", at, n=number)
        last = audit.last(conn)
    assert last is not None
    return [last]


def _verify(db: Database, anchors: list[Anchor]) -> Broken | None:
    with db.read() as conn:
        return audit.verify(conn, anchors)


def _flip(conn: Connection, id: int, rng: random.Random) -> None:
    """Another value in one column."""
    row = conn.execute(select(table).where(table.c.id == id)).one()
    column = rng.choice(["at", "by_id", "action", "target", "result", "data", "hash"])
    other: dict[str, Any] = {
        "at": row.at + timedelta(microseconds=rng.randrange(1, 10**9)),
        "by_id": (row.by_id or 0) + rng.randrange(1, 9),
        "action": "nothing",
        "target": row.target + "0",
        "result": "denied",
        "data": row.data.replace("{", '{"x":1,'),
        "hash": format(rng.getrandbits(256), "064x"),
    }
    conn.execute(update(table).where(table.c.id == id).values({column: other[column]}))


def _take_out(conn: Connection, id: int, rng: random.Random) -> None:
    conn.execute(delete(table).where(table.c.id == id))


def _exchange(conn: Connection, id: int, rng: random.Random) -> None:
    """Two entries in each other's place, seals and all."""
    ids = list(conn.execute(select(table.c.id).where(table.c.id != id)).scalars())
    pair = (id, rng.choice(ids))
    rows = {row.id: dict(row._mapping) for row in conn.execute(select(table))}
    for here, there in (pair, pair[::-1]):
        values = {name: value for name, value in rows[there].items() if name != "id"}
        conn.execute(update(table).where(table.c.id == here).values(values))


def _slip_in(conn: Connection, id: int, rng: random.Random) -> None:
    """A copy of an entry at the end, as if it had happened again."""
    row = dict(conn.execute(select(table).where(table.c.id == id)).one()._mapping)
    last = conn.execute(select(func.max(table.c.id))).scalar_one()
    conn.execute(insert(table).values(row | {"id": last + 1}))


MUTATIONS = (_flip, _take_out, _exchange, _slip_in)


def _mutate(db: Database, rounds: int) -> int:
    """How many of so many mutations were seen; each is rolled back."""
    anchors, rng, seen = _written(db), random.Random(23), 0
    with db.read() as conn:
        ids = list(conn.execute(select(table.c.id)).scalars())
    for _ in range(rounds):
        with db.writer.connect() as conn:
            transaction = conn.begin()
            rng.choice(MUTATIONS)(conn, rng.choice(ids), rng)
            seen += audit.verify(conn, anchors) is not None
            transaction.rollback()
    assert _verify(db, anchors) is None
    return seen


def test_every_change_is_found(db: Database) -> None:
    """P23, 250 mutations on each engine."""
    assert _mutate(db, 250) == 250


@pytest.mark.soak
def test_every_one_of_ten_thousand_changes_is_found(db: Database) -> None:
    assert _mutate(db, 10_000) == 10_000


def test_what_is_missing_at_the_end_is_known_by_its_anchor(db: Database) -> None:
    anchors = _written(db, 10)
    with db.write() as conn:
        conn.execute(delete(table).where(table.c.id >= anchors[0].id - 2))

    assert _verify(db, []) is None
    assert _verify(db, anchors) == Broken(anchors[0].id, "anchored, and missing")


def test_a_log_that_is_written_anew_as_a_whole_is_known_by_its_anchor(db: Database) -> None:
    anchors = _written(db, 10)
    with db.write() as conn:
        rows = conn.execute(select(table).order_by(table.c.id)).all()
        before = audit.FIRST
        for row in rows:
            kept = {"by_id": None, "action": row.action, "target": row.target}
            kept |= {"result": row.result, "data": row.data}
            before = audit.seal(before, row.at, kept)
            values = {"by_id": None, "hash": before}
            conn.execute(update(table).where(table.c.id == row.id).values(values))

    assert _verify(db, []) is None
    assert _verify(db, anchors) == Broken(anchors[0].id, "not what was anchored")


def test_the_oldest_entries_may_go_and_no_others(db: Database) -> None:
    anchors = _written(db, 30)
    with db.write() as conn:
        ids = list(conn.execute(select(table.c.id).order_by(table.c.id)).scalars())
        audit.forget(conn, ids[9], NOW)
    assert _verify(db, anchors) is None
    with db.write() as conn:
        assert conn.execute(select(func.min(table.c.id))).scalar_one() == ids[10]
        conn.execute(delete(table).where(table.c.id == ids[10]))

    assert _verify(db, anchors) == Broken(ids[11], "its seal does not fit")


def test_two_who_write_at_once_make_one_chain(db: Database) -> None:
    """On PostgreSQL two processes; on SQLite the one writer."""
    failed: list[BaseException] = []

    def write() -> None:
        try:
            for number in range(40):
                with db.write() as conn:
                    audit.note(conn, None, "view_person", f"person:{number}", NOW)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=write) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failed == []
    with db.read() as conn:
        assert conn.execute(select(func.count()).select_from(table)).scalar_one() == 80
        hashes = set(conn.execute(select(table.c.hash)).scalars())
    assert len(hashes) == 80
    assert _verify(db, []) is None


def test_only_who_answers_for_privacy_may_read_it(db: Database) -> None:
    _written(db, 5)
    with db.write() as conn:
        with pytest.raises(Denied):
            audit.listing(conn, NOBODY, NOW)
        assert [row.target for row in audit.listing(conn, OPERATOR, NOW, "person:3")] == [
            "person:3"
        ]
        last = conn.execute(select(table.c.action).order_by(table.c.id.desc()).limit(1)).scalar()
    assert last == "view_audit"


@pytest.mark.anyio
async def test_an_anchor_a_day_is_written_beside_the_database(
    tmp_path: Path, content: Content, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is signed: one that somebody else wrote counts for nothing."""
    monkeypatch.chdir(tmp_path)
    given, clock = environment(ready(tmp_path)), Clock(NOW)
    app = App(Settings(_env_file=None, **given), content, clock=clock)  # type: ignore[call-arg]
    async with app.running():
        await app.dispatcher.run(_entry)
        for _ in range(3):
            await app.keeper.anchor()
        clock.forward(days=1)
        await app.dispatcher.run(_entry)
        await app.keeper.anchor()
        path = tmp_path / "audit_anchors.jsonl"
        assert len(app.keeper.anchors()) == 2
        assert await app.keeper.verify() is None
        path.write_text(path.read_text() + path.read_text().replace('"hash": "', '"hash": "0'))
        assert len(app.keeper.anchors()) == 2
        last = app.keeper.anchors()[-1].id
        await app.dispatcher.run(
            lambda conn, now: conn.execute(delete(table).where(table.c.id >= last)).rowcount
        )
        assert await app.keeper.verify() == Broken(last, "anchored, and missing")


def _entry(conn: Connection, now: datetime) -> int:
    return audit.note(conn, None, "view_person", "person:1", now)
