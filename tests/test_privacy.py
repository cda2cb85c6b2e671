"""What people may demand about their data, from the chat to the last file: erased, restricted,
copied, corrected; and erased again after a backup was restored."""

import json
import shutil
import sqlite3
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import delete, insert, select, update
from starlette.testclient import TestClient

from bot import lines
from bot.app import App
from bot.config import Settings
from content.schema import Content
from flows.engine import handle
from flows.reports import Ask
from flows.types import Fired, Said, Unsent
from storage import admission, ledger, profiles, reports, rights, roster, subject, wishes
from storage import audit as journal
from storage.database import Database
from storage.gathered import create
from storage.models import (
    audit,
    certificates,
    erasures,
    facts,
    learners,
    metadata,
    outbox,
    persons,
    postings,
    published,
    timers,
    units,
)
from storage.models import profiles as profiles_table
from storage.models import wishes as wishes_table
from storage.scope import OPERATOR, Right, Scope
from tests.planted import NOW, Planted, agency, dump, plant
from tests.running import Clock, environment, ready
from tests.test_turns import Talk, count


@pytest.fixture
def talk(db: Database, content: Content) -> Talk:
    return Talk(db, content)


# --- in the chat -------------------------------------------------------------------------


def _leave(talk: Talk) -> None:
    talk.hear(Said("ลบข้อมูล"))
    talk.press("erase_all")


def test_whoever_wants_to_be_erased_is_out_of_everything_at_once(talk: Talk) -> None:
    talk.welcome()
    assert count(talk.db, timers) == 1

    _leave(talk)

    state = talk.state
    assert state.stopped
    assert state.leaving
    assert state.leaving - talk.now == wishes.UNDO
    assert count(talk.db, timers) == 0
    with talk.db.read() as conn:
        assert conn.execute(select(profiles_table.c.restricted)).scalar_one()
        shown = select(profiles_table.c.learner_id).where(profiles.countable())
        assert conn.execute(shown).first() is None
    assert count(talk.db, wishes_table, wishes_table.c.kind == "erase") == 1


def test_until_its_hour_it_can_be_undone(talk: Talk) -> None:
    talk.welcome()
    _leave(talk)
    talk.press("undo_erase")

    assert talk.state.leaving is None
    assert not talk.state.stopped
    assert count(talk.db, timers) == 1
    with talk.db.write() as conn:
        assert wishes.leaving(conn, talk.now + timedelta(days=2)) == []
        assert not conn.execute(select(profiles_table.c.restricted)).scalar_one()


def test_the_wish_is_one_however_often_it_is_said(talk: Talk) -> None:
    talk.welcome()
    _leave(talk)
    due = talk.state.leaving
    talk.hear(Said("ลบข้อมูล"))
    assert [c for c in ("erase_now", "undo_erase") if c in str(talk.press("back").rows)]

    assert talk.state.leaving == due
    assert count(talk.db, wishes_table) == 1


def test_a_restricted_learner_is_sent_nothing_unasked(talk: Talk) -> None:
    talk.welcome()
    for word in ("rights", "restrict"):
        if word == "rights":
            talk.hear(Said("ข้อมูลของฉัน"))
        talk.press(word)
    row = {"key": "k", "learner_id": _id(talk), "channel": "line", "address": talk.address}
    row |= {"lane": "personal", "payload": "{}", "status": "queued", "purpose": "due"}
    row |= {"created_at": talk.now, "due": talk.now, "deadline": talk.now + timedelta(days=3)}
    with talk.db.write() as conn:
        conn.execute(insert(outbox).values(row))
        assert admission.admit(conn, ["k"], talk.now, talk.content) == set()
        ended = select(outbox.c.status, outbox.c.reason).where(outbox.c.key == "k")
        assert conn.execute(ended).one() == ("cancelled", "restricted")
    assert count(talk.db, timers) == 0

    talk.hear(Said("ข้อมูลของฉัน"))
    talk.press("rights")
    talk.press("lift")
    assert count(talk.db, timers) == 1


def _id(talk: Talk) -> int:
    with talk.db.read() as conn:
        return int(conn.execute(select(learners.c.id)).scalar_one())


def test_a_correction_goes_to_an_officer_and_can_be_unsent(
    talk: Talk, db: Database, content: Content
) -> None:
    with db.write() as conn:
        officer = agency(conn).officer
    talk.welcome()
    for step in (Said("ข้อมูลของฉัน"), "rights", "correct", Said("ชื่อผิด-4711 ครับ", "m9")):
        talk.hear(step) if isinstance(step, Said) else talk.press(step)

    with db.read() as conn:
        told = conn.execute(
            select(timers.c.data).where(timers.c.learner_id == officer)
        ).scalar_one()
        row = conn.execute(select(wishes_table)).one()
    assert "4711" not in told
    assert wishes.words(row) == "ชื่อผิด-4711 ครับ"
    assert row.due - row.at == timedelta(days=30)
    with db.write() as conn:
        conn.execute(update(outbox).values(status="accepted"))
    talk.hear(Said("เมนู"))
    talk.hear(Unsent("m9"))
    with db.read() as conn:
        assert "4711" not in dump(conn)


def test_an_objection_restricts_at_once(talk: Talk) -> None:
    talk.welcome()
    talk.hear(Said("ข้อมูลของฉัน"))
    for choice in ("rights", "object", "no_reason"):
        talk.press(choice)

    assert talk.state.restricted
    with talk.db.write() as conn:
        (row,) = wishes.listing(conn, OPERATOR, talk.now)
        wishes.end(conn, OPERATOR, row.id, "refused", "official record", talk.now)
        assert wishes.listing(conn, OPERATOR, talk.now) == []
        with pytest.raises(wishes.NoSuchWish):
            wishes.end(conn, OPERATOR, row.id, "done", "", talk.now)


@pytest.mark.parametrize("how", ["done", "refused"])
def test_whoever_asked_hears_what_was_decided(talk: Talk, content: Content, how: str) -> None:
    """And an objection that was refused ends the restriction that it brought."""
    talk.welcome()
    talk.hear(Said("ข้อมูลของฉัน"))
    for choice in ("rights", "object", "no_reason"):
        talk.press(choice)
    with talk.db.write() as conn:
        (row,) = wishes.listing(conn, OPERATOR, talk.now)
        wishes.end(conn, OPERATOR, row.id, how, "กฎหมายให้เก็บไว้", talk.now)
        (timer,) = conn.execute(select(timers).where(timers.c.kind == "wish_ended")).all()

    turn = handle(
        talk.state, Fired(timer.kind, timer.key, json.loads(timer.data)), talk.now, content
    )
    (told,) = turn.replies
    assert told.notify
    assert "คัดค้านการใช้ข้อมูล" in told.text
    assert "กฎหมายให้เก็บไว้" in told.text
    assert turn.state.restricted == (how == "done")


def test_who_looked_is_told_by_role_unit_and_day_without_names(
    db: Database, content: Content
) -> None:
    with db.write() as conn:
        where = agency(conn)
        who = plant(conn, where, content)
        journal.note(conn, where.boss, "view_person", f"person:{who.person}", NOW)
        journal.note(conn, where.boss, "view_person", f"person:{who.person}", NOW)
        journal.note(conn, None, "export_person", f"person:{who.person}", NOW)
        journal.note(conn, who.person, "copy_fetched", f"learner:{who.learner}", NOW)
        rows = subject.lookers(conn, subject.of_learner(conn, who.learner))

    day = NOW.date().toordinal()
    officer = {"day": day, "role": "hr", "unit": f"กอง {_number(db, where.unit)}", "list": False}
    assert {"day": day, "role": "operator", "unit": "", "list": False} in rows
    assert officer in rows
    assert "หัวหน้า" not in str(rows)


def test_lists_of_names_of_ones_unit_are_told_too(db: Database, content: Content) -> None:
    """Only those of a unit that somebody was of on that day."""
    with db.write() as conn:
        where = agency(conn)
        who = plant(conn, where, content)
        path = conn.execute(select(units.c.path).where(units.c.id == where.unit)).scalar_one()
        other = roster.add_unit(conn, "กองอื่น")
        today = NOW.date().toordinal()
        conn.execute(delete(postings).where(postings.c.person_id == who.person))
        for unit, first, last in ((other, 0, today), (where.unit, today, None)):
            there = {"from_on": first, "until_on": last, "unit_id": unit}
            conn.execute(insert(postings).values(person_id=who.person, **there))

        def told(top: str, unit: str = "") -> list[Any]:
            scope = Scope(where.boss, (Right("hr", top),))
            reports.asked(conn, "behind", scope, Ask(unit), NOW, "screen")
            reports.asked(conn, "funnel", scope, Ask(unit), NOW, "screen")
            rows = subject.lookers(conn, subject.of_learner(conn, who.learner))
            conn.execute(delete(audit))
            return [row for row in rows if row["list"]]

        (row,) = told("")
        assert row["role"] == "hr"
        assert told(path) == told("", unit=path) == [row]
        assert told("กองอื่น") == told("", unit="กองอื่น") == []
        assert told(path + "x") == []


def _number(db: Database, unit: int) -> str:
    with db.read() as conn:
        name = conn.execute(select(units.c.name).where(units.c.id == unit)).scalar_one()
    return str(name).removeprefix("กอง ")


def test_a_guest_may_rename_the_certificate(db: Database, content: Content) -> None:
    with db.write() as conn:
        who = plant(conn, agency(conn), content)
        rights.rename(conn, who.learner, {"text": "ชื่อใหม่"}, NOW, content)
        row = conn.execute(select(certificates.c.name, certificates.c.data)).one()

    assert row.name == "ชื่อใหม่"
    assert json.loads(row.data)["name"] == "ชื่อใหม่"


# --- erased, everywhere ------------------------------------------------------------------


def _erase_and_search(db: Database, content: Content, people: int) -> None:
    """P20: some stay, some go; of those who go nothing is found in any table."""
    with db.write() as conn:
        where = agency(conn)
        made = [plant(conn, where, content) for _ in range(people * 2)]
        going, staying = made[::2], made[1::2]
        for who in going:
            _pass_on(conn, where.officer, who)
        kept = {who.mark: dump(conn).count(who.mark) for who in staying}
        ledger.erase_learners(conn, [who.learner for who in going], NOW)
    with db.read() as conn:
        left = dump(conn)
    for who in going:
        with db.read() as conn:
            found = _where(conn, who.mark)
        # what HR keeps as its own register, and the log's pseudonymous entry about a person
        assert found <= {*ROSTER, "audit"}, found
    assert {mark: left.count(mark) for mark in kept} == kept


def _pass_on(conn: Any, officer: int, who: Planted) -> None:
    """Their words on the way to an officer, and in the officer's own chat."""
    told = {"who": who.mark, "question": who.mark, "from": who.learner}
    timer = {"learner_id": officer, "kind": "asked_hr", "key": who.mark, "due": NOW}
    conn.execute(insert(timers).values(**timer, data=json.dumps(told, separators=(",", ":"))))
    said = json.dumps(
        {"replies": [{"text": f"ถามจาก {who.mark} ถามว่าลาอย่างไร"}]}, ensure_ascii=False
    )
    row = {
        "key": uuid4().hex,
        "learner_id": officer,
        "channel": "web",
        "address": "boss",
        "lane": "x",
    }
    row |= {"payload": said, "created_at": NOW, "due": NOW, "deadline": NOW, "status": "accepted"}
    conn.execute(insert(outbox).values(row))


def _where(conn: Any, mark: str) -> set[str]:
    return {
        table.name
        for table in metadata.sorted_tables
        for row in conn.execute(select(table)).all()
        if mark in str(row)
    }


def test_nothing_is_found_of_who_was_erased(db: Database, content: Content) -> None:
    _erase_and_search(db, content, 10)


@pytest.mark.soak
def test_nothing_is_found_of_five_hundred_who_were_erased(db: Database, content: Content) -> None:
    for _ in range(25):
        _erase_and_search(db, content, 20)


def test_a_person_taken_off_the_roster_leaves_no_name(db: Database, content: Content) -> None:
    """Then nothing is left at all but a hash."""
    with db.write() as conn:
        where = agency(conn)
        who = plant(conn, where, content)
        conn.execute(audit.delete())  # planted, and marked, as no real entry is
        ledger.erase_person(conn, who.person, NOW)
        found = _where(conn, who.mark)
        names = conn.execute(select(persons.c.hr_id).where(persons.c.id == who.person)).scalar_one()

    assert found <= {"hooks"}
    assert names == f"gone:{who.person}"
    assert count(db, published, published.c.person_id > 0) == 0


# --- the whole service -------------------------------------------------------------------


class House:
    """A service with its folder, on a clock that moves when told."""

    def __init__(self, folder: Path, content: Content) -> None:
        self.folder, self.content = folder, content
        self.url = f"sqlite:///{folder}/kaona.db"
        self.clock = Clock(NOW)

    def app(self) -> App:
        given = environment(self.url)
        settings = Settings(_env_file=None, **given)  # type: ignore[call-arg]
        return App(settings, self.content, clock=self.clock)

    def grep(self, mark: str) -> list[str]:
        """Files that have these letters in them."""
        paths = [path for path in self.folder.rglob("*") if path.is_file()]
        return [path.name for path in paths if mark.encode() in path.read_bytes()]


@pytest.fixture
def house(tmp_path: Path, content: Content, monkeypatch: pytest.MonkeyPatch) -> House:
    monkeypatch.chdir(tmp_path)
    ready(tmp_path)
    return House(tmp_path, content)


def planted(house: House) -> tuple[Planted, Planted]:
    """Two people with files of theirs; the first has asked to be erased."""
    db = Database(house.url)
    with db.write() as conn:
        where = agency(conn)
        first, second = (plant(conn, where, house.content) for _ in range(2))
        conn.execute(audit.delete())
        conn.execute(wishes_table.delete())
        wishes.make(conn, first.learner, "erase", None, NOW)
        conn.execute(facts.delete().where(facts.c.data == ""))
    db.close()
    for who in (first, second):
        for name in ("photos", "spool"):
            (house.folder / name).mkdir(exist_ok=True)
        (house.folder / "photos" / f"{who.mark}file"[:40]).write_bytes(who.mark.encode())
        (house.folder / "spool" / f"1-{who.learner}.bad").write_bytes(who.address.encode())
    return first, second


ROSTER = ("persons", "postings", "grants", "claim_codes", "roster_changes", "tokens", "hooks")
ROSTER += ("accounts", "sessions")


def _off_roster(house: House, who: Planted) -> None:
    """What HR keeps is not what is searched for here."""
    db = Database(house.url)
    with db.write() as conn:
        for name in ROSTER[1:]:
            table = metadata.tables[name]
            conn.execute(table.delete().where(table.c.person_id == who.person))
        blank = {"name": "", "hr_id": f"p{who.person}", "title": "", "level": "", "kind": ""}
        blank |= {"position_type": "", "zone": ""}
        conn.execute(update(persons).where(persons.c.id == who.person).values(blank))
    db.close()


@pytest.mark.anyio
async def test_the_hour_comes_and_no_file_has_anything_left(house: House) -> None:
    first, second = planted(house)
    _off_roster(house, first)
    app = house.app()
    async with app.running():
        await app.keeper.tidy()
        assert house.grep(first.mark)  # not yet
        house.clock.forward(hours=20, minutes=1)
        assert await app.keeper.erase() == 1
        assert await app.keeper.erase() == 0
    assert house.grep(first.mark) == []
    assert house.grep(second.mark)
    row = (house.folder / "erasures.jsonl").stat()
    assert row.st_mode & 0o777 == 0o600


@pytest.mark.anyio
async def test_a_restored_backup_is_erased_again(house: House) -> None:
    """The newest and the oldest backup; the ledger beside them makes both forget."""
    first, second = planted(house)
    _off_roster(house, first)
    backup = house.folder.parent / f"backup-{house.folder.name}.db"
    source, copy = sqlite3.connect(house.folder / "kaona.db"), sqlite3.connect(backup)
    source.backup(copy)
    source.close()
    copy.close()
    app = house.app()
    async with app.running():
        house.clock.forward(hours=21)
        assert await app.keeper.erase() == 1

    for name in ("kaona.db", "kaona.db-wal", "kaona.db-shm"):
        (house.folder / name).unlink(missing_ok=True)
    shutil.copy(backup, house.folder / "kaona.db")
    assert house.grep(first.mark)
    house.clock.forward(days=1)
    app = house.app()
    async with app.running():  # a start is enough
        assert await app.keeper.sync() == 0
    assert house.grep(first.mark) == []
    assert house.grep(second.mark)
    backup.unlink()


@pytest.mark.anyio
async def test_whoever_comes_back_after_an_erasure_is_not_erased_again(house: House) -> None:
    app = house.app()
    async with app.running():

        def begin(conn: Any, now: Any) -> int:
            return create(conn, "web", "somebody", now)

        old = await app.dispatcher.run(begin)
        await app.dispatcher.run(lambda conn, now: wishes.make(conn, old, "erase", None, now))
        house.clock.forward(hours=21)
        await app.keeper.erase()
        house.clock.forward(minutes=1)
        await app.dispatcher.run(begin)
        await app.dispatcher.run(lambda conn, now: conn.execute(erasures.delete()))

        assert await app.keeper.sync() == 0
    app = house.app()
    async with app.running():
        found = await app.read(
            lambda conn: conn.execute(select(learners.c.address)).scalars().all()
        )
    assert found == ["somebody"]


@pytest.mark.anyio
async def test_whoever_will_not_wait_is_in_the_ledger_within_a_minute(house: House) -> None:
    """The turn itself erases, without a folder; the ticker writes it down."""
    app = house.app()
    async with app.running():
        path = house.folder / "erasures.jsonl"
        who = await app.dispatcher.run(lambda conn, now: create(conn, "web", "somebody", now))
        await app.dispatcher.run(lambda conn, now: ledger.erase_learners(conn, [who], now))
        assert not path.exists()
        await app.keeper.tidy()
        assert len(path.read_text().splitlines()) == 1
        path.write_text(path.read_text() + '{"torn')
        other = await app.dispatcher.run(lambda conn, now: create(conn, "web", "other", now))
        await app.dispatcher.run(lambda conn, now: ledger.erase_learners(conn, [other], now))
        await app.keeper.tidy()
    assert len(list(lines.read(path))) == 2


# --- the copy by its link ----------------------------------------------------------------


def _link(house: House) -> tuple[str, Planted]:
    """Somebody with a link of their own."""
    db = Database(house.url)
    with db.write() as conn:
        who = plant(conn, agency(conn), house.content)
        public = house.content.model_copy(update={"public_url": "https://kaona.example.go.th"})
        made = rights.copy(conn, who.learner, {}, NOW, public)
        assert made["token"] not in dump(conn)
    db.close()
    return f"/mydata/{made['token']}", who


def test_a_copy_opens_by_its_link_for_a_day(house: House) -> None:
    """The link alone shows nothing, whoever looks at it; its button does."""
    link, who = _link(house)
    with TestClient(house.app().asgi()) as client:
        door = client.get(link)
        page = client.post(link, data={"as": "html"})
        file = client.post(link, data={"as": "json"})
        house.clock.forward(hours=24)
        late = [client.get(link), client.post(link, data={"as": "json"})]

    assert door.status_code == page.status_code == file.status_code == 200
    assert who.mark not in door.text
    assert who.mark in page.text
    assert json.loads(file.text)["tables"]["persons"][0]["hr_id"] == who.hr_id
    assert "attachment" in file.headers["content-disposition"]
    assert [answer.status_code for answer in late] == [404, 404]
    for answer in (door, page, file, *late):
        assert answer.headers["cache-control"] == "no-store"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["referrer-policy"] == "no-referrer"
    db = Database(house.url)
    assert count(db, audit, audit.c.action == "copy_fetched") == 2
    db.close()


@pytest.mark.parametrize(
    ("path", "data", "status"),
    [
        ("/mydata/nonsense", {"as": "html"}, 404),
        ("/mydata/" + "x" * 5000, {"as": "html"}, 404),
        ("", {"as": "exe"}, 400),
        ("", {}, 415),
        ("", {"as": "h" * 2000}, 413),
    ],
)
def test_nonsense_at_the_door_is_refused(
    house: House, path: str, data: dict[str, str], status: int
) -> None:
    link, who = _link(house)
    with TestClient(house.app().asgi()) as client:
        answer = client.post(path or link, data=data)

    assert answer.status_code == status
    assert who.mark not in answer.text
