"""Turns on real databases: every event has exactly one effect, and nobody spoils another's."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from msgspec.json import decode
from sqlalchemy import func, select, text, update

from bot.app import pack
from content.schema import Content
from flows import engine
from flows.types import AnyEvent, Fired, Left, Pressed, Said, SetTimer, Started, State, Unsent
from storage import looks, outbox, parked, privacy, roster, timers, turns
from storage.database import ConfigError, Database
from storage.gathered import decode_state
from storage.models import addresses, claim_codes, facts, inbox, learners, metadata
from storage.models import outbox as outbox_table
from storage.models import parked as parked_table
from storage.models import timers as timers_table
from storage.turns import Work
from storage.wire import Incoming

NOW = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)
SOMCHAI, SOMYING = "U" + "1" * 32, "U" + "2" * 32


class Talk:
    """A conversation with one address over the storage, without any network."""

    def __init__(self, db: Database, content: Content, address: str = SOMCHAI) -> None:
        self.db, self.content, self.address = db, content, address
        self.now = NOW

    def incoming(self, event: AnyEvent, event_id: str = "") -> Incoming:
        return Incoming("line", "bot", event_id or uuid4().hex, self.address, event, self.now)

    def take(self, *incoming: Incoming) -> Work:
        with self.db.write() as conn:
            return turns.take(conn, incoming, self.now, self.content, pack)

    def hear(self, *events: AnyEvent) -> Work:
        """One transaction a turn, as when somebody types."""
        work = Work()
        for event in events:
            self.now += timedelta(seconds=20)
            work = self.take(self.incoming(event))
        return work

    @property
    def state(self) -> State:
        with self.db.read() as conn:
            stored = conn.execute(
                select(learners.c.state)
                .join(addresses, addresses.c.learner_id == learners.c.id)
                .where(addresses.c.address == self.address)
            ).scalar_one()
        return decode_state(stored)

    def press(self, choice: str) -> Work:
        return self.hear(Pressed(str(self.state.stamp), choice))

    def welcome(self) -> None:
        self.hear(Started())
        for choice in ("agree", "yes_allow", "guest"):
            self.press(choice)


@pytest.fixture
def talk(db: Database, content: Content) -> Talk:
    return Talk(db, content)


def count(db: Database, table: Any, *where: Any) -> int:
    with db.read() as conn:
        return int(conn.execute(select(func.count()).select_from(table).where(*where)).scalar_one())


def test_an_event_delivered_again_has_no_second_effect(talk: Talk) -> None:
    talk.hear(Started())
    press = talk.incoming(Pressed(str(talk.state.stamp), "agree"))

    first, again = talk.take(press), talk.take(press, press)

    assert (first.duplicates, again.duplicates) == (0, 2)
    assert again.queued == []
    assert count(talk.db, facts, facts.c.kind == "notice_seen") == 1
    assert count(talk.db, inbox) == 2


def test_events_of_one_batch_follow_each_other(talk: Talk) -> None:
    talk.take(talk.incoming(Started()), talk.incoming(Pressed("1", "agree")))

    assert talk.state.notice == talk.content.notice.version
    assert count(talk.db, learners) == 1


def test_an_event_delivered_in_parallel_has_one_effect(db: Database, content: Content) -> None:
    """Several writers at once: PostgreSQL only; on SQLite there is one by construction."""
    if db.sqlite:
        pytest.skip("SQLite has one writer")
    talk = Talk(db, content)
    events = [talk.incoming(Started(), f"e{n}") for n in range(8)]
    failed: list[BaseException] = []

    def deliver() -> None:
        try:
            for event in events:
                talk.take(event)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=deliver) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failed == []
    assert count(db, learners) == count(db, addresses) == 1
    assert count(db, inbox) == 8


def test_a_turn_that_fails_is_parked_and_the_others_go_on(
    talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Talk(talk.db, talk.content, SOMYING)
    real = engine.handle

    def handle(state: State, event: AnyEvent, now: datetime, content: Content) -> Any:
        if isinstance(event, Said) and event.text == "poison":
            raise RuntimeError("a bug that quotes the learner: poison")
        return real(state, event, now, content)

    monkeypatch.setattr(turns, "handle", handle)
    talk.hear(Started())
    work = talk.take(
        talk.incoming(Said("poison")), other.incoming(Started()), talk.incoming(Said("poison"))
    )

    assert len(work.parked) == 2
    assert other.state.stamp == 1
    apologies = [row for row in work.queued if row.address == SOMCHAI]
    assert [r.text for row in apologies for r in row.request.replies] == [
        talk.content.copy_["th"]["error"]
    ]
    with talk.db.read() as conn:
        rows = parked.listing(conn)
    assert all("poison" not in row.error for row in rows)

    monkeypatch.setattr(turns, "handle", real)
    with talk.db.read() as conn:
        again = parked.again(conn, rows[0].id)
    assert again is not None
    assert talk.take(again).parked == []


def test_a_look_in_a_turn_that_fails_leaves_nothing_behind(
    talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk.welcome()
    monkeypatch.setitem(looks.LOOKS, "my_data", _write_then_fail)
    event = talk.incoming(Said("ข้อมูลของฉัน"))

    with pytest.raises(turns.Redo):
        talk.take(event)
    with talk.db.write() as conn:
        work = turns.park_alone(conn, event, RuntimeError(), talk.now, talk.content, pack)

    assert len(work.parked) == 1
    assert count(talk.db, facts, facts.c.kind == "half_done") == 0


def _write_then_fail(
    conn: Any, learner_id: int, args: Any, now: datetime, content: Content
) -> dict[str, Any]:
    conn.execute(facts.insert().values(learner_id=learner_id, at=now, kind="half_done", data="{}"))
    raise RuntimeError("after the write")


def test_a_timer_fires_once_and_a_cancelled_one_never(talk: Talk) -> None:
    talk.welcome()
    with talk.db.read() as conn:
        learner = conn.execute(select(learners.c.id)).scalar_one()
    with talk.db.write() as conn:
        looks.wake(
            conn, learner, "asked_hr", "k", talk.now, {"who": "ก", "question": "ข", "at": ""}
        )
        due = timers.due(conn, talk.now)

    assert len(talk.take(*due).queued) == 1
    assert talk.take(*due).queued == []
    with talk.db.read() as conn:
        waiting = conn.execute(select(timers_table.c.kind)).scalars().all()
    assert waiting == ["nudge"]

    with talk.db.write() as conn:
        looks.wake(
            conn, learner, "asked_hr", "k", talk.now, {"who": "ก", "question": "ข", "at": ""}
        )
        due = timers.due(conn, talk.now)
    talk.hear(Said("หยุด"))
    assert talk.take(*due).queued == []


def test_a_timer_set_anew_in_its_own_turn_survives(
    talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk.welcome()
    later = talk.now + timedelta(days=1)
    with talk.db.read() as conn:
        learner = conn.execute(select(learners.c.id)).scalar_one()
    with talk.db.write() as conn:
        looks.wake(conn, learner, "study", "study", talk.now, {"unanswered": 0})
        due = timers.due(conn, talk.now)

    def handle(state: State, event: AnyEvent, now: datetime, content: Content) -> Any:
        assert isinstance(event, Fired)
        return engine.Turn(state, (), (SetTimer("study", "study", later),))

    monkeypatch.setattr(turns, "handle", handle)
    talk.take(*due)

    with talk.db.read() as conn:
        again = select(timers_table.c.due).where(timers_table.c.kind == "study")
        assert conn.execute(again).scalars().all() == [later]


def _person(talk: Talk) -> tuple[int, str]:
    with talk.db.write() as conn:
        unit = roster.add_unit(conn, "กอง", None)
        person = roster.add_person(
            conn, hr_id="A1", name="สมชาย ใจดี", unit_id=unit, title="นิติกร", position_type="วิชาการ"
        )
        return person, roster.issue_code(conn, person, NOW)


def _to_claim(talk: Talk) -> None:
    talk.hear(Started())
    for choice in ("agree", "no_allow", "claim"):
        talk.press(choice)


def test_a_code_links_the_chat_to_the_person_once(talk: Talk) -> None:
    person, code = _person(talk)
    _to_claim(talk)
    talk.hear(Said(code.lower().replace("-", " ")))

    assert talk.state.person is not None
    assert talk.state.person.name == "สมชาย ใจดี"
    other = Talk(talk.db, talk.content, SOMYING)
    _to_claim(other)
    other.hear(Said(code))
    assert other.state.person is None
    assert count(talk.db, learners, learners.c.person_id == person) == 1


def test_a_code_in_a_race_of_two_chats_has_one_winner(db: Database, content: Content) -> None:
    if db.sqlite:
        pytest.skip("SQLite has one writer")
    chats = [Talk(db, content, SOMCHAI), Talk(db, content, SOMYING)]
    person, code = _person(chats[0])
    for chat in chats:
        _to_claim(chat)
    start = threading.Barrier(2)

    def claim(chat: Talk) -> None:
        start.wait()
        chat.hear(Said(code))

    threads = [threading.Thread(target=claim, args=(chat,)) for chat in chats]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert count(db, learners, learners.c.person_id == person) == 1
    assert sum(chat.state.person is not None for chat in chats) == 1


def test_wrong_codes_are_limited_and_expired_ones_refused(talk: Talk) -> None:
    _, code = _person(talk)
    _to_claim(talk)
    for n in range(looks.TRIES):
        talk.hear(Said(f"WRON-GCOD-E{n}"))
    talk.hear(Said("ข้อมูลของฉัน"))
    talk.press("back")
    if talk.state.floor.flow != "claim":
        talk.hear(Said("เมนู"))
        talk.press("claim")
    talk.hear(Said(code))
    assert talk.state.person is None

    talk.now += timedelta(hours=25)
    talk.hear(Said("เมนู"))
    talk.press("claim")
    talk.hear(Said(code))
    assert talk.state.person is None
    assert count(talk.db, claim_codes, claim_codes.c.used_at.isnot(None)) == 0


def test_an_unsent_message_leaves_no_text_anywhere(talk: Talk) -> None:
    talk.welcome()
    talk.hear(Said("ถาม HR"))
    secret = "ความลับที่ไม่อยากให้ใครเห็น"
    talk.hear(Said(secret, "m77"))
    assert secret in _dump(talk.db)
    with talk.db.write() as conn:  # the platform has taken the replies
        conn.execute(outbox_table.update().values(status="accepted"))

    talk.hear(Unsent("m77"))

    assert secret not in _dump(talk.db)
    assert count(talk.db, facts, facts.c.kind == "asked_hr") == 1


def test_erasing_leaves_no_trace_and_the_next_word_is_from_somebody_new(talk: Talk) -> None:
    talk.welcome()
    talk.hear(Said("ถาม HR"))
    talk.hear(Said("เครื่องหมายเฉพาะ-4711"))
    with talk.db.read() as conn:
        before = conn.execute(select(learners.c.id)).scalar_one()
    talk.hear(Said("ลบข้อมูล"))
    talk.press("erase_all")
    talk.hear(Said("ลบข้อมูล"))
    work = talk.press("erase_now")

    assert "4711" not in _dump(talk.db)
    assert count(talk.db, learners) == count(talk.db, facts) == count(talk.db, addresses) == 0
    assert len(work.queued) == 1  # the farewell still goes out
    talk.hear(Said("สวัสดี"))
    assert talk.state.notice == ""
    assert talk.state.seed != before or count(talk.db, learners) == 1


def test_words_behind_an_erasure_in_one_batch_belong_to_somebody_new(talk: Talk) -> None:
    talk.welcome()
    talk.hear(Said("ลบข้อมูล"))
    talk.press("erase_all")
    talk.hear(Said("ลบข้อมูล"))
    erase = talk.incoming(Pressed(str(talk.state.stamp), "erase_now"))

    with pytest.raises(turns.Redo):
        talk.take(erase, talk.incoming(Said("สวัสดี")))


def _dump(db: Database) -> str:
    with db.read() as conn:
        rows = [
            str(row)
            for table in metadata.sorted_tables
            for row in conn.execute(select(table)).all()
        ]
    return "\n".join(rows)


def test_whoever_leaves_is_sent_nothing_more_until_they_are_back(talk: Talk) -> None:
    talk.hear(Started())
    talk.hear(Left())
    assert count(talk.db, outbox_table, outbox_table.c.status == "queued") == 0
    assert count(talk.db, outbox_table, outbox_table.c.reason == "unreachable") == 1

    talk.hear(Started())
    assert count(talk.db, outbox_table, outbox_table.c.status == "queued") == 1


def test_a_row_is_claimed_once_and_its_outcome_is_kept(talk: Talk) -> None:
    row = talk.hear(Started()).queued[0]
    with talk.db.write() as conn:
        assert outbox.claim(conn, [row], NOW, talk.content) == {row.key}
        assert outbox.claim(conn, [row], NOW, talk.content) == set()
    with talk.db.read() as conn:
        assert outbox.abandoned(conn, "line", NOW) == []
        late = outbox.abandoned(conn, "line", NOW + outbox.LEASE)
    assert [lost.key for lost in late] == [row.key]
    outcome = outbox.Outcome("accepted", platform_id="p1")
    with talk.db.write() as conn:
        outbox.finish(conn, [outbox.Ended(row, outcome)], NOW)

    with talk.db.read() as conn:
        kept = conn.execute(select(outbox_table)).one()
    assert (kept.status, kept.platform_id, kept.payload) == ("accepted", "p1", "{}")


def test_what_nobody_sent_in_time_expires(talk: Talk) -> None:
    talk.hear(Started())
    with talk.db.write() as conn:
        late = outbox.overdue(conn, talk.now + timedelta(hours=2))
        assert outbox.expire(conn, late, talk.now + timedelta(hours=2)) == 1
    assert count(talk.db, outbox_table, outbox_table.c.status == "expired") == 1


def test_what_may_have_arrived_does_not_end_as_if_it_had_not(talk: Talk) -> None:
    talk.hear(Started())
    later = talk.now + timedelta(hours=2)
    with talk.db.write() as conn:
        conn.execute(update(outbox_table).values(doubtful=True))
        assert outbox.expire(conn, outbox.overdue(conn, later), later) == 1

    with talk.db.read() as conn:
        row = conn.execute(select(outbox_table)).one()
    assert (row.status, row.reason, row.ended_at) == ("uncertain", "deadline", later)


def test_a_clock_that_was_ahead_makes_nobody_s_words_late(talk: Talk) -> None:
    talk.welcome()
    talk.now += timedelta(days=1)
    talk.hear(Said("เมนู", at=talk.now))
    talk.now -= timedelta(days=1)
    talk.hear(Said("หยุดเตือน", at=talk.now))

    assert talk.state.consents["nudges"] is False


def test_texts_that_databases_disagree_about_are_stored_alike(talk: Talk) -> None:
    talk.welcome()
    talk.hear(Said("ถาม HR"))
    talk.hear(Said("น้ำ 👨‍👩‍👧‍👦 \u200b\ufeff ๐๑๒ '\"\\ ; drop table facts"))
    with talk.db.read() as conn:
        data = conn.execute(select(facts.c.data).where(facts.c.kind == "asked_hr")).scalar_one()
    assert decode(data)["question"]["text"].startswith("น้ำ 👨‍👩‍👧‍👦")


def test_the_migrations_make_the_tables_that_the_code_names(db: Database) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with db.writer.connect() as conn:
        differences = compare_metadata(MigrationContext.configure(conn), metadata)

    assert differences == []


def test_a_database_of_another_version_is_refused(db: Database) -> None:
    with db.write() as conn:
        conn.execute(text("update alembic_version set version_num = '9999'"))
    with pytest.raises(ConfigError, match=r"KAONA_DATABASE_URL.*9999.*kaona migrate"):
        db.require_current()


def test_a_second_process_on_one_sqlite_file_is_refused(tmp_path: Any) -> None:
    first = Database(f"sqlite:///{tmp_path}/a.db")
    try:
        with pytest.raises(ConfigError, match="in use by process"):
            Database(f"sqlite:///{tmp_path}/a.db")
    finally:
        first.close()
    Database(f"sqlite:///{tmp_path}/a.db").close()


def test_sqlite_runs_with_the_profile_that_keeps_promises(tmp_path: Any) -> None:
    db = Database(f"sqlite:///{tmp_path}/a.db")
    try:
        with db.writer.connect() as conn:
            ask: Callable[[str], Any] = lambda name: conn.exec_driver_sql(  # noqa: E731
                f"PRAGMA {name}"
            ).scalar()
            found = {n: ask(n) for n in ("journal_mode", "synchronous", "foreign_keys")}
        with db.read() as conn, pytest.raises(Exception, match="readonly"):
            conn.exec_driver_sql("create table x (a)")
    finally:
        db.close()
    assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


def test_scrubbing_keeps_what_came_in_other_messages() -> None:
    data = {"where": {"text": "ก", "message": "m1"}, "whom": {"text": "ข", "message": "m2"}, "n": 1}
    assert privacy.scrubbed(data, "m1") == {
        "where": {"text": "", "message": ""},
        "whom": {"text": "ข", "message": "m2"},
        "n": 1,
    }


def test_parked_events_can_be_let_go(db: Database) -> None:
    with db.write() as conn:
        parked.keep_raw(conn, "line", "{bad", "bad JSON", NOW)
        row = parked.listing(conn)[0]
        assert parked.again(conn, row.id) is None
        assert parked.end(conn, row.id, "discarded", NOW)
        assert not parked.end(conn, row.id, "discarded", NOW)
        assert parked.listing(conn) == []
    assert count(db, parked_table) == 1
