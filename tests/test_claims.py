"""Codes, claiming, a second chat, a lost phone, and taking all of it back."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Table, select, update

from bot.app import pack
from content.schema import Content
from flows.types import Pressed, Said, Started, State
from storage import codes, links, looks, merges, roster, timers, turns
from storage.codes import Place, Whom
from storage.database import Database
from storage.gathered import decode_state
from storage.models import (
    addresses,
    claim_codes,
    facts,
    learners,
    metadata,
    milestones,
    outbox,
    profiles,
)
from storage.models import audit as audit_table
from storage.models import (
    links as links_table,
)
from storage.models import (
    timers as timers_table,
)
from storage.scope import OPERATOR
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
