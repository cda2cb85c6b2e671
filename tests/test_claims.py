"""Codes, claiming, a second chat, a lost phone, and taking all of it back."""

import threading
import time
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from msgspec.json import decode
from sqlalchemy import Table, delete, insert, select, update

from bot.app import pack
from content.schema import Content
from flows.types import Pressed, Said, Started, State
from storage import codes, links, looks, merges, roster, timers, turns
from storage.codes import Place, Whom
from storage.database import Database
from storage.gathered import decode_state
from storage.models import (
    addresses,
    certificates,
    claim_codes,
    claim_tries,
    evidence,
    facts,
    learners,
    measures,
    metadata,
    milestones,
    outbox,
    profiles,
)
from storage.models import audit as audit_table
from storage.models import links as links_table
from storage.models import timers as timers_table
from storage.scope import NOBODY, OPERATOR, Right, Scope, scope_of
from storage.wire import Incoming, Row

NOW = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)
WRONG = "ABCD-EFGH-JKLM-N"


class Agency:
    """Two units with people, and a clock."""

    def __init__(self, db: Database, content: Content) -> None:
        self.db, self.content, self.now = db, content, NOW
        with db.write() as conn:
            self.top = roster.add_unit(conn, "กรมตัวอย่าง")
            self.unit = roster.add_unit(conn, "กองกลาง", self.top)
            self.other = roster.add_unit(conn, "กองคลัง", self.top)
            add = roster.add_person
            self.somchai = add(conn, hr_id="P1", name="สมชาย ใจดี", unit_id=self.unit)
            self.somying = add(conn, hr_id="P2", name="สมหญิง รักงาน", unit_id=self.unit)
            self.officer = add(conn, hr_id="HR1", name="อรุณี ดูแลคน", unit_id=self.unit)
            self.stranger = add(conn, hr_id="HR2", name="วิภา กองคลัง", unit_id=self.other)
            roster.grant(conn, self.officer, "hr", NOW, self.unit)
            roster.grant(conn, self.stranger, "hr", NOW, self.other)

    def code(self, person: int) -> str:
        with self.db.write() as conn:
            return roster.issue_code(conn, person, self.now)

    def chat(self, channel: str, address: str) -> "Chat":
        return Chat(self, channel, address)

    def tick(self) -> list[Row]:
        """What the scheduler does each second."""
        self.now += timedelta(seconds=1)
        with self.db.read() as conn:
            due = timers.due(conn, self.now)
        sent: list[Row] = []
        for each in due:
            with self.db.write() as conn:
                if merges.is_merge(each):
                    sent += merges.merge(conn, each, self.now, self.content, pack).rows
                else:
                    sent += turns.take(conn, [each], self.now, self.content, pack).queued
        return sent

    def rows(self, table: Table, *where: Any) -> list[Any]:
        with self.db.read() as conn:
            return list(conn.execute(select(table).where(*where)).all())

    def count(self, table: Table, *where: Any) -> int:
        return len(self.rows(table, *where))


class Chat:
    """Somebody who writes from an address."""

    def __init__(self, agency: Agency, channel: str, address: str) -> None:
        self.agency, self.channel, self.address = agency, channel, address
        self.n = 0

    def hear(self, event: Any) -> list[str]:
        agency = self.agency
        agency.now += timedelta(seconds=7)
        self.n += 1
        key = f"{self.address}:{self.n}"
        heard = Incoming(self.channel, "bot", key, self.address, event, agency.now)
        with agency.db.write() as conn:
            work = turns.take(conn, [heard], agency.now, agency.content, pack)
        return texts(work.queued)

    def press(self, choice: str) -> list[str]:
        return self.hear(Pressed(str(self.state.stamp), choice))

    def welcome(self) -> None:
        self.hear(Started())
        for choice in ("agree", "no_allow", "guest"):
            self.press(choice)

    @property
    def learner(self) -> int:
        at = (addresses.c.channel == self.channel, addresses.c.address == self.address)
        return int(self.agency.rows(addresses, *at)[0].learner_id)

    @property
    def state(self) -> State:
        return decode_state(self.agency.rows(learners, learners.c.id == self.learner)[0].state)

    def walk(self) -> None:
        """As far as the pretest, and a use at work that was written down by hand."""
        self.welcome()
        for choice in ("go", "yes", "right", "go", "begin"):
            self.press(choice)
        while self.state.floor.flow == "pretest":
            self.press("0" if self.state.floor.place == "series" else "later")


def texts(rows: list[Row]) -> list[str]:
    return [reply.text for row in rows for reply in row.request.replies]


@pytest.fixture
def agency(db: Database, content: Content) -> Agency:
    return Agency(db, content)


def says(agency: Agency, key: str, **slots: str) -> str:
    text = agency.content.copy_["th"][key]
    return text.format_map(slots) if slots else text


# --- a code ------------------------------------------------------------------------------


@pytest.mark.parametrize("channel", ["line", "telegram", "web", "terminal"])
def test_a_code_that_comes_with_the_start_claims_once_the_notice_was_read(
    agency: Agency, channel: str
) -> None:
    chat, code = agency.chat(channel, "a"), agency.code(agency.somchai)
    chat.hear(Started(code))
    assert chat.state.person is None
    chat.hear(Said("เมนู"))
    chat.press("continue")
    chat.press("agree")
    said = chat.press("no_allow")

    assert says(agency, "claimed", name="สมชาย ใจดี", unit="กองกลาง") in said
    assert chat.state.person is not None
    assert chat.state.floor.flow == "home"
    assert code not in str([learner.state for learner in agency.rows(learners)])


def test_a_code_that_is_typed_first_or_in_the_middle_claims_too(agency: Agency) -> None:
    first, later = agency.chat("line", "a"), agency.chat("line", "b")
    first.hear(Said(agency.code(agency.somchai)))
    first.press("agree")
    first.press("no_allow")
    later.walk()
    floor = later.state.floor
    later.hear(Said(agency.code(agency.somying).lower()))

    assert first.state.person is not None
    assert later.state.person is not None
    assert later.state.floor == floor


def test_dead_codes_are_refused_with_a_reason(agency: Agency) -> None:
    used, expired = agency.code(agency.somchai), agency.code(agency.somying)
    chat, other = agency.chat("line", "a"), agency.chat("line", "b")
    chat.welcome()
    chat.hear(Started(used))
    other.welcome()

    assert says(agency, "claim_used") in other.hear(Started(used))
    assert says(agency, "claim_unknown") in other.hear(Started(WRONG))
    agency.now += timedelta(hours=24)
    assert says(agency, "claim_expired") in other.hear(Started(expired))
    with agency.db.write() as conn:
        (old, _), (new, _) = (
            codes.issue(conn, OPERATOR, Whom(person="P2"), Place(), agency.now) for _ in range(2)
        )
    assert says(agency, "claim_void") in other.hear(Started(old[0].code))
    other.hear(Started(new[0].code))
    assert other.state.person is not None


def test_a_linked_chat_learns_nothing_about_codes(agency: Agency) -> None:
    chat, own, others = agency.chat("line", "a"), *map(agency.code, (1, 2))
    chat.welcome()
    chat.hear(Started(own))
    floor = chat.state.floor

    assert says(agency, "claim_already") in chat.hear(Started(own))
    assert says(agency, "claim_other") in chat.hear(Started(others))
    assert says(agency, "claim_other") in chat.hear(Started(WRONG))
    assert chat.state.floor == floor
    assert chat.state.person is not None
    assert chat.state.person.id == agency.somchai
    assert agency.count(claim_codes, claim_codes.c.used_at.isnot(None)) == 1


def test_five_tries_an_hour_for_a_chat(agency: Agency) -> None:
    chat, code = agency.chat("line", "a"), agency.code(agency.somchai)
    chat.welcome()
    for _ in range(looks.TRIES):
        chat.hear(Started(WRONG))

    assert says(agency, "claim_too_many") in chat.hear(Started(code))
    agency.now += looks.TRIES_IN
    chat.hear(Started(code))
    assert chat.state.person is not None


def test_five_tries_an_hour_for_a_person_from_whatever_chats(agency: Agency) -> None:
    dead, good = agency.code(agency.somchai), agency.code(agency.somchai)
    with agency.db.write() as conn:
        dead_hash = claim_codes.c.code_hash == looks.code_hash(dead)
        conn.execute(update(claim_codes).where(dead_hash).values(void=True))
    for n in range(looks.TRIES):
        chat = agency.chat("web", f"w{n}")
        chat.welcome()
        assert says(agency, "claim_void") in chat.hear(Started(dead))
    last = agency.chat("web", "w")
    last.welcome()

    assert says(agency, "claim_too_many") in last.hear(Started(good))
    agency.now += looks.TRIES_IN
    last.hear(Started(good))
    assert last.state.person is not None


def test_who_has_left_cannot_claim(agency: Agency) -> None:
    chat, code = agency.chat("line", "a"), agency.code(agency.somchai)
    chat.welcome()
    with agency.db.write() as conn:
        persons = metadata.tables["persons"]
        conn.execute(update(persons).values(left_on=NOW.date().toordinal()))

    assert says(agency, "claim_void") in chat.hear(Started(code))


# --- a second chat -----------------------------------------------------------------------


def test_a_second_channel_shares_the_journey(agency: Agency) -> None:
    first, second = agency.chat("line", "a"), agency.chat("telegram", "b")
    first.walk()
    first.hear(Started(agency.code(agency.somchai)))
    second.welcome()
    main = first.learner

    assert says(agency, "claim_linking") in second.hear(Started(agency.code(agency.somchai)))
    told = agency.tick()

    assert second.learner == first.learner == main
    assert says(agency, "linked_merged", name="สมชาย ใจดี") in texts(told)
    beside = [row for row in told if row.channel == "line"]
    assert len(beside) == 1
    assert "Telegram" in texts(beside)[0]
    assert agency.count(learners) == agency.count(profiles) == 1
    assert agency.rows(links_table)[-1].what == "merged"
    assert agency.count(audit_table, audit_table.c.action == "chat_merged") == 1
    before = second.state.stamp
    second.press("go")
    assert first.state.stamp > before
    assert agency.count(timers_table, timers_table.c.kind == "relinked") == 0


def test_whoever_got_further_as_a_guest_goes_on_from_there(agency: Agency) -> None:
    first, second = agency.chat("line", "a"), agency.chat("web", "b")
    first.welcome()
    first.hear(Started(agency.code(agency.somchai)))
    second.walk()
    reached = second.state.journey
    assert reached.baseline
    done = agency.count(facts, facts.c.learner_id == second.learner)
    second.hear(Started(agency.code(agency.somchai)))
    agency.tick()

    assert first.state.journey == reached
    assert first.state.person is not None
    assert agency.count(facts, facts.c.learner_id == first.learner) > done
    assert agency.count(milestones, milestones.c.learner_id == first.learner) == 1


def test_a_stop_does_not_keep_a_chat_from_being_linked(agency: Agency) -> None:
    first, second = agency.chat("line", "a"), agency.chat("web", "b")
    for chat in (first, second):
        chat.welcome()
        chat.hear(Started(agency.code(agency.somchai)))
    second.hear(Said("หยุด"))
    agency.tick()

    assert second.learner == first.learner


def test_a_lost_phone_is_replaced_and_everybody_is_told(agency: Agency) -> None:
    old, new, hr = (agency.chat("line", address) for address in ("a", "b", "c"))
    aside, web = agency.chat("line", "d"), agency.chat("web", "w")
    for chat, person in ((hr, agency.officer), (aside, agency.stranger), (old, agency.somchai)):
        chat.welcome()
        chat.hear(Started(agency.code(person)))
    web.welcome()
    web.hear(Started(agency.code(agency.somchai)))
    agency.tick()
    main = old.learner
    new.welcome()
    new.hear(Started(agency.code(agency.somchai)))
    told = agency.tick()

    assert new.learner == web.learner == main
    assert says(agency, "linked_relinked", name="สมชาย ใจดี") in texts(told)
    away = [row for row in told if row.address == "a"]
    assert len(away) == 1
    assert "20 พฤศจิกายน 2569" in texts(away)[0]
    assert "สมชาย" not in texts(away)[0]
    assert len([row for row in told if row.address == "w"]) == 1
    heard = agency.tick()
    assert [row.address for row in heard] == ["c"]
    assert "สมชาย ใจดี" in texts(heard)[0]
    said = old.hear(Said("ความคืบหน้า"))
    assert old.learner != main
    assert old.state.person is None
    assert "สมชาย" not in str(said)


def test_a_page_that_lost_its_link_shows_nothing_of_before(agency: Agency) -> None:
    old, new = agency.chat("web", "a"), agency.chat("web", "b")
    for chat in (old, new):
        chat.welcome()
        chat.hear(Started(agency.code(agency.somchai)))
    agency.tick()

    assert "สมชาย" not in str(agency.rows(outbox, outbox.c.address == "a"))
    assert agency.count(outbox, outbox.c.address == "a") == 1


def test_a_link_whose_person_was_freed_meanwhile_is_a_plain_one(agency: Agency) -> None:
    first, second = agency.chat("line", "a"), agency.chat("web", "b")
    for chat in (first, second):
        chat.welcome()
        chat.hear(Started(agency.code(agency.somchai)))
    with agency.db.write() as conn:
        links.unlink(conn, OPERATOR, "P1", agency.now, agency.content, pack)
    agency.tick()

    assert first.state.person is None
    assert second.state.person is not None
    assert second.learner != first.learner


# --- undone ------------------------------------------------------------------------------

HELD = ("facts", "evidence", "milestones", "measures", "certificates", "photos", "pictures")
ALSO = ("holdouts", "wishes", "claim_tries", "addresses", "profiles", "outbox", "timers")


def history(agency: Agency, learner: int, round_: int = 1) -> None:
    """A use at work with its photo, a certificate, a measure, a wish, a place in a holdout."""
    use = {"round": round_, "where": {"text": "รายงาน", "message": "m"}, "shared": True}
    use |= {"proof": {"ref": "r", "text": "", "message": "m"}, "ask_manager": False}
    mine = {"learner_id": learner, "round": round_}
    with agency.db.write() as conn:
        looks.use(conn, learner, use, agency.now, agency.content)
        looks.certificate(
            conn, learner, {"round": round_, "data": {"name": "ก"}}, agency.now, agency.content
        )
        conn.execute(insert(milestones).values({**mine, "step": "s1", "at": agency.now}))
        conn.execute(
            insert(measures).values({**mine, "area": f"x{learner}", "before": learner / 7})
        )
        wish = {"learner_id": learner, "kind": "access", "at": agency.now, "due": agency.now}
        conn.execute(insert(metadata.tables["wishes"]).values(wish))
        for occurrence in (1, 1 + learner):
            left_out = {"occurrence_id": occurrence, "learner_id": learner}
            conn.execute(insert(metadata.tables["holdouts"]).values(left_out))


def sendings(agency: Agency) -> None:
    with agency.db.write() as conn:
        spec = {"name": "n", "spec": "{}", "status": "ended", "author_id": agency.officer}
        campaigns = metadata.tables["campaigns"]
        conn.execute(insert(campaigns).values({**spec, "created_at": NOW}))
        for n in range(1, 6):
            sent = {"campaign_id": 1, "due": NOW + timedelta(n), "status": "ended"}
            conn.execute(insert(metadata.tables["occurrences"]).values({**sent, "created_at": NOW}))


def snapshot(agency: Agency) -> dict[str, set[str]]:
    """Every row that is some learner's, as text; numbers of timers aside, which are made anew."""
    held: dict[str, set[str]] = {}
    for name in (*HELD, *ALSO):
        rows = [row._asdict() for row in agency.rows(metadata.tables[name])]
        if name == "timers":
            rows = [{**row, "id": 0} for row in rows if row["kind"] != "merge"]
        held[name] = {repr(sorted(row.items())) for row in rows}
    return held


def all_is_one(agency: Agency, learner: int) -> None:
    for name in (*HELD, "holdouts", "wishes"):
        owners = {row.learner_id for row in agency.rows(metadata.tables[name])}
        assert owners == {learner}, name
    assert {row.round for row in agency.rows(certificates)} == {1, -1}
    assert agency.count(evidence) == 2


def all_is_back(before: dict[str, set[str]], after: dict[str, set[str]]) -> None:
    """Nothing is missing or changed; new are only words and what they brought about."""
    for name in (*HELD, *ALSO):
        lost, new = before[name] - after[name], after[name] - before[name]
        assert not lost, name
        assert not new or name in ("facts", "outbox", "timers"), name
    assert all("chat_linked" in row for row in after["facts"] - before["facts"])


@pytest.mark.parametrize("channel", ["telegram", "line"])
def test_a_merge_is_undone_exactly(agency: Agency, channel: str) -> None:
    """All that each had is theirs again; beside it there is only what was said since."""
    sendings(agency)
    first, second = agency.chat("line", "a"), agency.chat(channel, "b")
    first.walk()
    first.hear(Started(agency.code(agency.somchai)))
    second.walk()
    second.hear(Said("การเตือน"))
    for chat in (first, second):
        history(agency, chat.learner)
    second.hear(Started(WRONG))
    second.hear(Started(agency.code(agency.somchai)))
    with agency.db.write() as conn:  # the platforms have taken what was said
        conn.execute(update(outbox).values(status="accepted"))
    before, mine, other = snapshot(agency), first.learner, second.learner
    states = {row.id: row for row in agency.rows(learners)}
    agency.tick()

    all_is_one(agency, mine)
    link = agency.rows(links_table)[-1]
    assert link.what == ("merged" if channel == "telegram" else "relinked")
    agency.now += timedelta(days=1)
    with agency.db.write() as conn:
        links.unmerge(conn, OPERATOR, link.id, agency.now, agency.content, pack)

    all_is_back(before, snapshot(agency))
    restored = {row.id: row for row in agency.rows(learners)}
    assert restored[other] == states[other]
    assert restored[mine].person_id == agency.somchai
    assert (restored[mine].channel, restored[mine].address) == ("line", "a")
    assert first.learner == mine
    with pytest.raises(links.Refused), agency.db.write() as conn:
        links.unmerge(conn, OPERATOR, link.id, agency.now, agency.content, pack)


def test_a_journey_that_came_along_goes_back_with_its_owner(agency: Agency) -> None:
    first, second = agency.chat("line", "a"), agency.chat("web", "b")
    first.welcome()
    first.hear(Started(agency.code(agency.somchai)))
    second.walk()
    journey = second.state.journey
    second.hear(Started(agency.code(agency.somchai)))
    agency.tick()
    link = agency.rows(links_table)[-1].id
    with agency.db.write() as conn:
        links.unmerge(conn, OPERATOR, link, agency.now, agency.content, pack)

    assert second.state.journey == journey
    assert second.state.person is None
    assert not first.state.journey.baseline
    assert first.state.person is not None
    assert first.press("go")


def test_an_ended_link_leaves_a_guest_who_may_claim_anew(agency: Agency) -> None:
    chat = agency.chat("line", "a")
    chat.walk()
    journey = chat.state.journey
    chat.hear(Started(agency.code(agency.somchai)))
    with agency.db.write() as conn:
        done = links.unlink(conn, OPERATOR, "P1", agency.now, agency.content, pack)

    assert texts(list(done.rows)) == [says(agency, "claim_unlinked")]
    assert agency.rows(profiles)[0].person_id is None
    chat.hear(Started(agency.code(agency.somying)))
    assert chat.state.person is not None
    assert chat.state.person.id == agency.somying
    assert chat.state.journey == journey


def test_an_erasure_leaves_nothing_of_a_merge(agency: Agency) -> None:
    first, second = agency.chat("line", "a"), agency.chat("web", "b")
    second.welcome()
    second.hear(Said("ถาม HR"))
    second.hear(Said("เครื่องหมายเฉพาะ-4711"))
    first.welcome()
    for chat in (first, second):
        chat.hear(Started(agency.code(agency.somchai)))
    agency.tick()
    first.hear(Said("ลบข้อมูล"))
    first.press("erase_all")
    first.hear(Said("ลบข้อมูล"))
    first.press("erase_now")

    for table in (facts, learners, addresses, profiles):
        assert agency.count(table) == 0
    assert all(row.data == "{}" for row in agency.rows(links_table))


def test_every_table_of_a_learner_is_thought_of_in_a_merge(agency: Agency) -> None:
    """A table that is added later must say what becomes of it when two learners become one."""
    named = {table.name for table, _ in (*merges._MOVED, *merges._ONCE)}
    named |= {table.name for table in merges._ENDED}
    theirs = {name for name, table in metadata.tables.items() if "learner_id" in table.c}

    assert theirs == named | {"addresses", "certificates", "downloads", "links"}


# --- who may -----------------------------------------------------------------------------


def test_an_officer_gives_codes_to_their_own_unit_only(agency: Agency) -> None:
    with agency.db.write() as conn:
        scope = scope_of(conn, agency.officer, NOW)
        made, more = codes.issue(conn, scope, Whom(), Place(), NOW)
        nobody, _ = codes.issue(conn, NOBODY, Whom(), Place(), NOW)
        manager = Scope(agency.somchai, (Right("manager"),))
        nothing, _ = codes.issue(conn, manager, Whom(), Place(), NOW)

    assert more is None
    assert {each.hr_id for each in made} == {"P1", "P2", "HR1"}
    assert nobody == nothing == []
    entry = agency.rows(audit_table)[-1]
    assert (entry.by_id, entry.action) == (agency.officer, "codes_issued")
    assert decode(entry.data) == {"codes": 3, "voided": 0}
    assert not any(each.code in str(agency.rows(audit_table)) for each in made)
    with pytest.raises(links.Refused), agency.db.write() as conn:
        links.unlink(conn, scope, "HR2", NOW, agency.content, pack)
    with pytest.raises(links.Refused), agency.db.write() as conn:
        links.listing(conn, scope, "HR2", NOW)


def test_codes_go_page_by_page_to_everybody_once(
    agency: Agency, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(codes, "PAGE", 3)
    with agency.db.write() as conn:
        for n in range(7):
            roster.add_person(
                conn, hr_id=f"Q{n}", name=f"คนที่ {n}", unit_id=(agency.unit, agency.top)[n % 2]
            )
    given: list[str] = []
    after: Place | None = Place()
    while after is not None:
        with agency.db.write() as conn:
            made, after = codes.issue(conn, OPERATOR, Whom(), after, NOW)
        given += [each.hr_id for each in made]

    assert len(given) == len(set(given)) == 11
    with agency.db.read() as conn:
        assert codes.count(conn, OPERATOR, Whom(unit="กรมตัวอย่าง / กองคลัง"), NOW) == 1
        assert codes.meant(conn, Whom(unit="กองคลัง")).unit == "กรมตัวอย่าง / กองคลัง"
        with pytest.raises(links.Refused):
            codes.meant(conn, Whom(unit="กองอื่น"))


# --- many --------------------------------------------------------------------------------


CHATS = 20


def guessing(agency: Agency, guesses: int, live: int) -> None:
    """Guesses by ever new chats, each for as long as it is let, against live codes."""
    with agency.db.write() as conn:
        rows = [{"hr_id": f"G{n}", "name": "ก", "unit_id": agency.unit} for n in range(live)]
        conn.execute(insert(metadata.tables["persons"]), rows)
    real = ""
    after: Place | None = Place()
    while after is not None:
        with agency.db.write() as conn:
            made, after = codes.issue(conn, OPERATOR, Whom(), after, NOW)
        real = made[-1].code
    chats = [agency.chat("web", f"g{n}") for n in range(CHATS)]
    for chat in chats[1:]:
        chat.hear(Started())
    chats[0].welcome()
    learner_ids = [chat.learner for chat in chats]
    dice = Random(4711)
    for _ in range(guesses // (CHATS * looks.TRIES)):
        with agency.db.write() as conn:
            heard = [_guess(conn, agency, who, dice) for who in learner_ids]
            assert heard == [["unknown"] * looks.TRIES + ["too_many"]] * CHATS
            conn.execute(delete(claim_tries))  # the next ones come from other chats

    assert agency.count(claim_codes, claim_codes.c.used_at.isnot(None)) == 0
    assert agency.count(learners, learners.c.person_id.isnot(None)) == 0
    chats[0].hear(Started(real))
    assert chats[0].state.person is not None


def _guess(conn: Any, agency: Agency, learner_id: int, dice: Random) -> list[str]:
    def once() -> str:
        code = "".join(dice.choices(looks.ALPHABET, k=looks.CODE_LENGTH))
        found = looks.claim(conn, learner_id, {"code": code}, agency.now, agency.content)
        return str(found.get("problem"))

    return [once() for _ in range(looks.TRIES + 1)]


def test_no_guess_finds_a_code(agency: Agency) -> None:
    """A code has 65 bits; the soak run guesses a million times against 10,000 that live."""
    guessing(agency, 2_000 if agency.db.sqlite else 1_000, 1_000)


@pytest.mark.soak
def test_a_million_guesses_find_no_code(agency: Agency) -> None:
    guessing(agency, 1_000_000, 10_000)


def racing(agency: Agency, rounds: int) -> None:
    """Two chats use one code at the same moment: one is linked, the other hears that it is used.
    Every other person chats elsewhere already, so that the winner is put together with them."""
    with agency.db.write() as conn:
        people = [
            roster.add_person(conn, hr_id=f"R{n}", name="ก", unit_id=agency.unit)
            for n in range(rounds)
        ]
    for n, person in enumerate(people):
        if n % 2:
            known = agency.chat("line", f"known{n}")
            known.welcome()
            known.hear(Started(agency.code(person)))
        pair = [agency.chat(channel, f"r{n}") for channel in ("telegram", "web")]
        for chat in pair:
            chat.welcome()
        said = together(pair, agency.code(person))
        if n % 2:
            agency.tick()
        won = [chat for chat in pair if chat.state.person and chat.state.person.id == person]
        assert len(won) == 1
        assert sum(says(agency, "claim_used") in heard for heard in said) == 1
        assert agency.count(learners, learners.c.person_id == person) == 1


def together(pair: list[Chat], code: str) -> list[list[str]]:
    """The same code in both chats, by threads that start at once; on SQLite one after the other,
    for there is one writer."""
    said: list[list[str]] = [[], []]
    start = threading.Barrier(2)

    def claim(n: int) -> None:
        start.wait()
        said[n] = pair[n].hear(Started(code))

    if pair[0].agency.db.sqlite:
        return [chat.hear(Started(code)) for chat in pair]
    threads = [threading.Thread(target=claim, args=(n,)) for n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return said


def test_a_code_in_a_race_has_exactly_one_winner(agency: Agency) -> None:
    racing(agency, 25)


@pytest.mark.soak
def test_a_code_in_a_thousand_races_has_exactly_one_winner(agency: Agency) -> None:
    racing(agency, 1_000)


def test_merging_waits_for_nobody(agency: Agency) -> None:
    """While somebody talks to the other learner, nothing is done and nothing is lost."""
    if agency.db.sqlite:
        pytest.skip("SQLite has one writer")
    first, second = agency.chat("line", "a"), agency.chat("web", "b")
    for chat in (first, second):
        chat.welcome()
        chat.hear(Started(agency.code(agency.somchai)))
    with agency.db.write() as busy:
        busy.execute(select(learners.c.id).where(learners.c.id == first.learner).with_for_update())
        assert agency.tick() == []
    assert second.learner != first.learner
    assert agency.tick()
    assert second.learner == first.learner


def test_turns_merges_and_unmerges_at_once_lock_nobody_out(agency: Agency) -> None:
    """Three writers on one pair of learners: all come to their end, and nobody is doubled."""
    if agency.db.sqlite:
        pytest.skip("SQLite has one writer")
    first, second = agency.chat("line", "a"), agency.chat("web", "b")
    first.welcome()
    first.hear(Started(agency.code(agency.somchai)))
    second.welcome()
    failed: list[BaseException] = []
    over, dice = threading.Event(), Random(1)

    def talk() -> None:
        chats = [(chat.channel, chat.address) for chat in (second, first)]
        try:
            while not over.wait(dice.random() / 20):
                key = f"{dice.random()}"
                both = [Incoming(at[0], "bot", key, at[1], Said("เมนู"), NOW) for at in chats]
                with agency.db.write() as conn:
                    turns.take(conn, both, agency.now, agency.content, pack)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=talk) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(5):
            back_and_forth(agency, second)
    finally:
        over.set()
        for thread in threads:
            thread.join()

    assert failed == []
    assert agency.count(learners, learners.c.person_id == agency.somchai) == 1


def back_and_forth(agency: Agency, second: Chat) -> None:
    """Link the second chat, and part it again, trying as often as it takes."""
    merged = len(agency.rows(links_table, links_table.c.what == "merged"))
    second.hear(Started(agency.code(agency.somchai)))
    while len(found := agency.rows(links_table, links_table.c.what == "merged")) == merged:
        agency.tick()
        time.sleep(0.01)
    waits = True
    while waits:
        with agency.db.write() as conn:
            args = (agency.now, agency.content, pack)
            waits = links.unmerge(conn, OPERATOR, found[-1].id, *args).waits
        time.sleep(0.01)
