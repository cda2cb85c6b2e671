"""Facts as xAPI statements: valid, under pseudonyms, without a word that a learner wrote; pushed to
a store so that nothing is lost and nothing doubled, whatever the store does."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct, to_builtins
from msgspec.json import decode, encode
from sqlalchemy import delete, func, insert, select, update

from content.schema import Content
from flows import xapi
from flows.transcript import parse
from flows.types import Record
from flows.xapi import Fact, Known
from storage import privacy, records, settled
from storage.database import Database
from storage.models import audit, facts, persons, profiles
from storage.scope import OPERATOR
from tests.agency import HAPPENED, POISON, STATEMENTS, Agency, full, happen
from tests.dialog import Player, dialogs
from tests.pushing import Pushing, push
from tests.running import kaona, ready, rows
from tests.simulators.store import Store, check

NOW = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)
ID = "0b8a7a8e-0a3e-5c3e-8e55-0d3c6e8f0a11"
KNOWN = Known(ID, ID, "a" * 32, "https://kaona.example.go.th")


class Stored(Struct):
    store: Store
    url: str


@pytest.fixture
def lrs() -> Iterator[Stored]:
    store = Store()
    with store.in_thread() as base:
        yield Stored(store, base + "/statements")


def said(kind: str, data: dict[str, Any], content: Content, known: Known = KNOWN) -> Any:
    return xapi.statement(Fact(1, NOW, kind, data), known, content)


# --- the mapping -------------------------------------------------------------------------


def test_facts_that_the_conversation_makes_become_valid_statements(content: Content) -> None:
    """Every fact of every transcript."""
    kinds: dict[str, int] = {}
    for path in dialogs():
        player = Player(content)
        for line in parse(path.read_text(encoding="utf-8")):
            player.play(line)
        made = [e for turn in player.turns for e in turn.effects if isinstance(e, Record)]
        for record in made:
            data = decode(encode(to_builtins(record.data)))
            if statement := said(record.kind, data, content):
                check(statement)
                kinds[record.kind] = kinds.get(record.kind, 0) + 1

    assert kinds.keys() >= {"claimed", "lesson_done", "exercise_done", "quizzed", "step_done"}
    assert "answered" not in kinds


def test_what_each_kind_says(content: Content) -> None:
    made = {kind: said(kind, data, content) for kind, data in HAPPENED}
    verbs = {kind: it["verb"]["id"].rsplit("/", 1)[1] for kind, it in made.items() if it}

    assert verbs == {
        "claimed": "registered",
        "round_begun": "initialized",
        "measured": "completed",
        "lesson_done": "completed",
        "course_finished": "completed",
        "exercise_stuck": "attempted",
        "exercise_done": "completed",
        "quizzed": "passed",
        "planned": "completed",
        "used_at_work": "experienced",
        "step_done": "completed",
        "certified": "earned",
    }
    assert verbs.keys() == xapi.READS.keys()
    for statement in filter(None, made.values()):
        check(statement)
        assert POISON not in json.dumps(statement)
    quiz = made["quizzed"]
    assert quiz["result"] == {"score": {"scaled": 0.8}, "success": True, "completion": True}
    assert quiz["object"]["id"] == "https://kaona.example.go.th/xapi/activities/quiz/computer"
    assert quiz["timestamp"] == "2026-11-20T03:00:00.000Z"
    assert set(quiz["object"]["definition"]["name"]) == {"th", "en"}
    failed = said("quizzed", dict(HAPPENED[11][1]), content)
    assert failed["verb"]["id"].endswith("/failed")
    assert failed["result"]["success"] is False
    assert made["measured"]["result"]["score"] == {"scaled": 0.5, "raw": 1, "min": 0, "max": 2}
    assert "name" not in made["course_finished"]["object"]["definition"]  # it has gone


def test_without_an_address_ids_are_names(content: Content) -> None:
    known = Known(ID, ID, "a" * 32, records.URN)
    statement = said("step_done", {"step": "learn", "round": 1}, content, known)

    check(statement)
    assert statement["object"]["id"] == "urn:kaona:activities:step:learn"
    assert statement["actor"]["account"]["homePage"] == "urn:kaona"


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (("id",), "x"),
        (("verb", "id"), "completed"),
        (("verb", "display"), {}),
        (("timestamp",), "2026-11-20 03:00"),
        (("result", "score", "scaled"), 1.1),
        (("result", "success"), "yes"),
        (("actor", "name"), "Somchai"),
        (("object", "definition", "name"), {"thai!": "x"}),
    ],
)
def test_the_validator_notices(where: tuple[str, ...], value: Any, content: Content) -> None:
    statement: Any = json.loads(json.dumps(said("quizzed", dict(HAPPENED[12][1]), content)))
    check(statement)
    inner = statement
    for name in where[:-1]:
        inner = inner[name]
    inner[where[-1]] = value

    with pytest.raises(Exception):  # noqa: B017, PT011 (whatever it says)
        check(statement)


# --- ids ---------------------------------------------------------------------------------


def told(db: Database, key: bytes = b"key", **more: Any) -> list[Any]:
    with db.read() as conn:
        page = records.page(conn, OPERATOR, xapi.READS, 0, 10**9, 500, **more)
    return [(records.event_id(one), records.pseudonym(key, one), one) for one in page.told]


def test_the_same_fact_is_always_the_same_statement(db: Database) -> None:
    agency = Agency(db, NOW)
    with db.write() as conn:
        for who in ("a1", "b1"):
            happen(conn, agency.learners[who], NOW)
    first = told(db)

    assert first == told(db)
    assert len({id for id, _, _ in first}) == len(first) == 2 * (STATEMENTS + 1)
    assert len({who for _, who, _ in first}) == 2
    assert {who for _, who, _ in first}.isdisjoint({who for _, who, _ in told(db, b"other")})


def test_ids_are_not_given_out_again_after_an_erasure(db: Database) -> None:
    """The newest facts are often those of whoever has just said: delete my data."""
    agency = Agency(db, NOW)
    with db.write() as conn:
        happen(conn, agency.learners["a1"], NOW)
        gone = happen(conn, agency.learners["b1"], NOW)
        privacy.erase(conn, [agency.learners["b1"]])
        new = happen(conn, agency.learners["a1"], NOW)

    assert min(new) > max(gone)


def test_whoever_wants_their_data_to_rest_is_left_alone(db: Database, content: Content) -> None:
    agency = Agency(db, NOW)
    with db.write() as conn:
        for who in ("a1", "b1"):
            happen(conn, agency.learners[who], NOW)
        from storage.profiles import fill

        fill(conn, content)
        quiet = update(profiles).where(profiles.c.learner_id == agency.learners["a1"])
        conn.execute(quiet.values(restricted=True))

    assert {one.learner for _, _, one in told(db)} == {agency.learners["b1"]}


# --- pushing -----------------------------------------------------------------------------


def test_a_store_gets_everything_once_and_in_order(url: str, content: Content, lrs: Stored) -> None:
    async def story(here: Pushing) -> None:
        await here.happen("b1")  # before the hook: not told
        made = await here.hook("hr", lrs.url, "xapi")
        expected = [await here.happen(who) for who in ("a1", "a2") * 10]
        await here.tick(2)

        row = await here.row(made["id"])
        assert row.cursor == expected[-1][-1]
        assert (row.failures, row.problem) == (0, "")

    push(url, content, story)

    assert len(lrs.store.kept) == 20 * (STATEMENTS + 1)
    assert max(record["size"] for record in lrs.store.history) <= 100
    assert POISON not in json.dumps(lrs.store.history) + json.dumps(lrs.store.kept)
    assert "Name-" not in json.dumps(lrs.store.kept)
    assert "HR-" not in json.dumps(lrs.store.kept)
    names = [one["verb"]["id"] for one in lrs.store.kept.values()]
    one = names[: STATEMENTS + 1]
    assert names == one * 20


FAULTS: list[Any] = ["lost", 500, "reset", "broken", 503, "lost", 429, "lost", "garbled"]


def test_whatever_the_store_does_nothing_is_lost_or_doubled(
    url: str, content: Content, lrs: Stored
) -> None:
    async def story(here: Pushing) -> None:
        await here.hook("hr", lrs.url, "xapi")
        for fault in FAULTS:
            await here.happen("a1")
            lrs.store.fail_next(1, fault)
            await here.tick(2, pause=6 * 3600)
        await here.tick(3, pause=6 * 3600)

    push(url, content, story)

    assert len(lrs.store.kept) == len(FAULTS) * (STATEMENTS + 1)
    assert any(record["status"] == 409 for record in lrs.store.history)
    assert [r for r in lrs.store.history if r.get("invalid")] == []
    stamps = [one["timestamp"] for one in lrs.store.kept.values()]
    assert stamps == sorted(stamps)


def test_a_store_that_refuses_is_left_alone_longer_and_longer(
    url: str, content: Content, lrs: Stored
) -> None:
    async def story(here: Pushing) -> None:
        made = await here.hook("hr", lrs.url, "xapi", password="wrong")
        begun = (await here.row(made["id"])).cursor
        await here.happen("a1")
        await here.tick(3)  # at the same moment: one attempt
        row = await here.row(made["id"])
        assert (row.failures, row.problem, row.cursor) == (1, "answered 401", begun)
        assert len(lrs.store.history) == 1
        await here.tick(40, pause=6 * 3600)
        row = await here.row(made["id"])
        assert row.ended_at is not None
        assert (row.failures, row.problem, row.cursor) == (25, "answered 401", begun)
        assert len(lrs.store.history) == 25
        assert (await here.do("hook_resume", id=made["id"])) == {}
        assert (await here.row(made["id"])).failures == 0

    push(url, content, story)
    assert lrs.store.kept == {}


def test_a_transaction_that_commits_late_is_not_passed_by(
    url: str, content: Content, lrs: Stored
) -> None:
    """Ids are given out before they are committed. On SQLite nobody can be late."""
    if url.startswith("sqlite"):
        pytest.skip("one writer")

    async def story(here: Pushing) -> None:
        await here.hook("hr", lrs.url, "xapi")
        late, go = threading.Event(), threading.Event()
        learner = here.agency.learners["b1"]

        def slowly() -> None:
            other = Database(url)
            with other.write() as conn:
                happen(conn, learner, here.clock.now, [("round_begun", {"round": 7})])
                late.set()
                go.wait(20)
            other.close()

        thread = threading.Thread(target=slowly)
        thread.start()
        late.wait(10)
        await here.happen("a1")  # its ids are higher, and it is there at once
        await here.tick(3)
        assert lrs.store.kept == {}  # it waits
        go.set()
        thread.join()
        await here.tick(2)

    push(url, content, story)

    rounds = [one["object"]["id"].rsplit("/", 1)[1] for one in lrs.store.kept.values()]
    assert rounds[0] == "7"
    assert len(lrs.store.kept) == STATEMENTS + 2


def test_a_look_at_the_log_waits_for_those_who_are_late(db: Database) -> None:
    agency = Agency(db, NOW)
    with db.write() as conn:
        happen(conn, agency.learners["a1"], NOW)
    with db.read() as conn:
        before = settled.settled(conn, 0)
    assert before == len(HAPPENED)
    if db.sqlite:
        return
    with db.write() as busy:
        busy.execute(update(persons).values(title="x"))
        with db.read() as conn:
            assert settled.settled(conn, 0.1) is None
    with db.read() as conn:
        assert settled.settled(conn, 0.1) == before


def test_whoever_began_later_but_was_given_a_lower_id_is_waited_for(db: Database) -> None:
    """The worst order: the older transaction commits a higher id while the newer one, with the
    lower id, still runs. No transaction above the running one has ended by then."""
    if db.sqlite:
        pytest.skip("one writer")
    agency, one = Agency(db, NOW), [("round_begun", {"round": 2})]
    older, newer = db.writer.connect(), db.writer.connect()
    try:
        older.execute(update(persons).where(persons.c.id == 1).values(title="x"))
        newer.execute(update(persons).where(persons.c.id == 2).values(title="x"))
        (low,) = happen(newer, agency.learners["a1"], NOW, one)
        (high,) = happen(older, agency.learners["b1"], NOW, one)
        older.commit()
        assert low < high
        with db.read() as conn:
            assert settled.settled(conn, 0.1) is None
        newer.commit()
        with db.read() as conn:
            assert settled.settled(conn, 1.0) == high
    finally:
        older.close()
        newer.close()


def test_two_pushers_push_once(url: str, content: Content, lrs: Stored) -> None:
    if url.startswith("sqlite"):
        pytest.skip("one process")

    async def story(here: Pushing) -> None:
        from bot.push import Pusher

        await here.hook("hr", lrs.url, "xapi")
        await here.happen("a1")
        other = Pusher(here.app)
        await here.tick()
        await other.tick()
        assert len(lrs.store.history) == 1
        here.clock.forward(seconds=61)  # the first has died: the lease is over
        await here.happen("a1")
        await other.tick()
        await other.close()

    push(url, content, story)
    assert len(lrs.store.kept) == 2 * (STATEMENTS + 1)


# --- the file ----------------------------------------------------------------------------


def test_statements_go_into_a_file(tmp_path: Path, content: Content) -> None:
    url = ready(tmp_path)
    full(url, content)
    env = {"KAONA_DATABASE_URL": url, "KAONA_SECRET_KEY": "k" * 48, "KAONA_DPO_CONTACT": "dpo"}

    def export(*more: str) -> Any:
        return kaona("xapi", "export", *more, folder=tmp_path, **env)

    made = export("--out", "all.jsonl")
    again = export("--out", "all.jsonl")
    later = export("--out", "later.jsonl", "--since", "2999-01-01")
    wrong = export("--out", "x.jsonl", "--since", "yesterday")

    assert made.returncode == later.returncode == 0, made.stderr
    lines = (tmp_path / "all.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 2 * (STATEMENTS + 1) + 1
    for line in lines:
        check(json.loads(line))
        assert POISON not in line
        assert "Name-" not in line
    assert (tmp_path / "later.jsonl").read_text() == ""
    assert (again.returncode, wrong.returncode) == (2, 2)
    assert all(it.stderr.splitlines()[-1].startswith("kaona: --") for it in (again, wrong))
    noted = rows(url, select(func.count()).where(audit.c.action == "xapi_exported"))
    assert noted[0][0] >= 2


def test_memory_of_the_mark_survives_a_busy_log(db: Database) -> None:
    """A page looks at so many facts at most, and says how far it came."""
    agency = Agency(db, NOW)
    row = {"learner_id": agency.learners["a1"], "at": NOW, "kind": "answered", "data": "{}"}
    with db.write() as conn:
        conn.execute(insert(facts), [row] * (records.WINDOW + 10))
        last = happen(conn, agency.learners["a1"], NOW, [("round_begun", {"round": 2})])[-1]
    with db.read() as conn:
        first = records.page(conn, OPERATOR, xapi.READS, 0, last)
        second = records.page(conn, OPERATOR, xapi.READS, first.cursor, last)

    assert (len(first.told), first.cursor) == (0, records.WINDOW)
    assert (len(second.told), second.cursor) == (1, last)
    with db.write() as conn:
        conn.execute(delete(facts))
