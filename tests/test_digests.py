"""A manager and the team: what is shown, to whom, and what never is."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from msgspec.json import decode
from sqlalchemy import delete, func, insert, select, text, update

from bot.app import pack
from content.load import load
from content.schema import Content
from flows.calendar import local
from flows.types import AnyEvent, Fired, Pressed, Reply, Said
from storage import outbox, privacy, profiles, publications, roster, timers, turns
from storage.database import Database
from storage.gathered import decode_state, encode
from storage.models import (
    audit,
    facts,
    figures,
    grants,
    learners,
    milestones,
    persons,
    published,
    units,
)
from storage.models import outbox as outbox_table
from storage.models import profiles as profiles_table
from storage.models import publications as publications_table
from storage.models import timers as timers_table
from storage.publications import Figures
from storage.scope import Right, Scope, scope_of, scoped_read
from storage.wire import Incoming, Request
from tests.people import GIVEN
from tests.running import edge, eventually

MONDAY = datetime.fromisoformat("2026-11-23T09:00:00+07:00")


class Office:
    """Two divisions of one department: the first with two sections, and somebody who leads it."""

    def __init__(self, db: Database, content: Content) -> None:
        self.db, self.content, self.now = db, content, MONDAY
        self.people: dict[str, list[int]] = {}
        with db.write() as conn:
            self.dept = roster.add_unit(conn, "กรม")
            self.one = roster.add_unit(conn, "กองหนึ่ง", self.dept)
            self.two = roster.add_unit(conn, "กองสอง", self.dept)
            self.a = roster.add_unit(conn, "กลุ่ม ก", self.one)
            self.b = roster.add_unit(conn, "กลุ่ม ข", self.one)
        for unit, many in ((self.one, 2), (self.a, 12), (self.b, 7), (self.two, 9)):
            self.hire(unit, many)
        self.boss = self.hire(self.one, 1)[0]
        self.grant = self.lead(self.boss, self.one)

    def hire(self, unit: int, many: int, **columns: Any) -> list[int]:
        """People of the roster who chat, each with a name that is found nowhere else."""
        made = []
        with self.db.write() as conn:
            for _ in range(many):
                name = f"คน{uuid4().hex[:8]}"
                person = roster.add_person(
                    conn, hr_id=uuid4().hex[:12], name=name, unit_id=unit, **columns
                )
                made.append(person)
        return made

    def lead(self, person: int, unit: int | None, role: Any = "manager", **days: int) -> int:
        with self.db.write() as conn:
            return roster.grant(conn, person, role, self.now, unit, **days)

    def of(self, unit: int) -> list[int]:
        with self.db.read() as conn:
            here = select(persons.c.id).where(persons.c.unit_id == unit).order_by(persons.c.id)
            return list(conn.execute(here).scalars())

    def join(self, people: list[int], step: str = "know", bands: str = "") -> None:
        """They chat, and are at a step."""
        with self.db.write() as conn:
            for person in people:
                learner = roster.link(conn, person, "line", f"U{person:032d}", self.now)
                known = GIVEN["claimed"](self.now)
                row = profiles.as_row(learner, "line", f"U{person:032d}", known, self.content)
                unit = select(persons.c.unit_id).where(persons.c.id == person)
                profiles.store(conn, [row | {"person_id": person, "step": step, "bands": bands}])
                at = profiles_table.c.learner_id == learner
                conn.execute(
                    update(profiles_table).where(at).values(unit_id=unit.scalar_subquery())
                )

    def publish(self, days: int = 7) -> None:
        self.now += timedelta(days=days)
        with self.db.write() as conn:
            publications.publish(conn, self.now, self.content)

    def figures(self, unit: int) -> Figures | None:
        """What the newest publication says of a unit."""
        with self.db.read() as conn:
            last = select(func.max(publications_table.c.number)).scalar_subquery()
            found = select(figures.c.data).where(
                figures.c.number == last, figures.c.unit_id == unit
            )
            data = conn.execute(found).scalar()
        return decode(data, type=Figures) if data else None

    def talk(self, person: int) -> "Chat":
        return Chat(self, person)


class Chat:
    """What one person of the office says and hears."""

    def __init__(self, office: Office, person: int) -> None:
        self.office = office
        self.address = f"U{person:032d}"
        with office.db.write() as conn:
            self.learner = roster.link(conn, person, "line", self.address, office.now)
            state = conn.execute(
                select(learners.c.state).where(learners.c.id == self.learner)
            ).scalar_one()
            known = decode_state(state).person
            from msgspec.structs import replace

            given = replace(GIVEN["claimed"](office.now), person=known, nudge_at=None)
            conn.execute(
                update(learners)
                .where(learners.c.id == self.learner)
                .values(state=encode(given).decode())
            )
            row = profiles.as_row(self.learner, "line", self.address, given, office.content)
            profiles.store(conn, [row])
            profiles.place(conn, [self.learner])

    def hear(self, event: AnyEvent, learner: int = 0) -> list[Reply]:
        self.office.now += timedelta(seconds=5)
        now = self.office.now
        incoming = Incoming("line", "b", uuid4().hex, self.address, event, now, learner=learner)
        with self.office.db.write() as conn:
            work = turns.take(conn, [incoming], now, self.office.content, pack)
        assert not work.parked
        return [reply for row in work.queued for reply in row.request.replies]

    def say(self, text: str) -> list[Reply]:
        return self.hear(Said(text, uuid4().hex))

    def press(self, choice: str) -> list[Reply]:
        with self.office.db.read() as conn:
            found = select(learners.c.state).where(learners.c.id == self.learner)
            stamp = decode_state(conn.execute(found).scalar_one()).stamp
        return self.hear(Pressed(str(stamp), choice))

    def timer(self, kind: str) -> list[Reply]:
        """The timer of this kind fires at its time."""
        db, office = self.office.db, self.office
        with db.read() as conn:
            mine = (timers_table.c.learner_id == self.learner, timers_table.c.kind == kind)
            due = conn.execute(select(timers_table.c.due).where(*mine)).scalar_one()
            office.now = max(office.now, due)
            events = [one for one in timers.due(conn, office.now) if one.learner == self.learner]
        event = next(
            one for one in events if isinstance(one.event, Fired) and one.event.kind == kind
        )
        with db.write() as conn:
            work = turns.take(conn, [event], office.now, office.content, pack)
        assert not work.parked
        return [reply for row in work.queued for reply in row.request.replies]


@pytest.fixture
def office(db: Database, content: Content) -> Office:
    return Office(db, content)


def words(replies: list[Reply]) -> str:
    return "\n".join(reply.text for reply in replies)


def ids(replies: list[Reply]) -> set[str]:
    return {choice.id for choice in replies[-1].choices}


# --- publications -------------------------------------------------------------------------


def test_a_digest_tells_what_was_published_and_not_what_is(office: Office) -> None:
    office.join(office.of(office.a)[:6], "learn")
    office.publish()
    office.join(office.of(office.a)[6:], "learn")

    assert office.figures(office.a) == Figures([6, 0, 0, 6, 0, 0, 0, 0], [], 1)


def test_four_who_move_on_are_not_counted_before_there_are_five(office: Office) -> None:
    office.publish()
    team = office.of(office.a)
    office.join(team[:4], "plan")
    office.publish()
    before = office.figures(office.a)
    office.join(team[4:5], "plan")
    office.publish()
    after = office.figures(office.a)

    assert before is not None
    assert after is not None
    assert before.levels[0] == 12
    assert after.levels[:3] == [7, 0, 5]


def test_the_rest_of_a_division_is_never_fewer_than_five(office: Office) -> None:
    """Three of its own beside two sections: the smaller one is counted with them."""
    office.publish()

    assert office.figures(office.one).levels[0] == 22  # type: ignore[union-attr]
    assert office.figures(office.a).levels[0] == 12  # type: ignore[union-attr]
    assert office.figures(office.b) is None


def test_who_leaves_alone_is_counted_on_and_five_together_are_not(office: Office) -> None:
    office.publish()
    team = office.of(office.two)
    today = local(office.now).toordinal()
    leave = update(persons).values(left_on=today)
    with office.db.write() as conn:
        conn.execute(leave.where(persons.c.id == team[0]))
    office.publish()
    alone = office.figures(office.two)
    office.hire(office.two, 1)
    with office.db.write() as conn:
        conn.execute(leave.where(persons.c.id.in_(team[1:4])))
    office.publish()

    assert alone is not None
    assert sum(alone.levels) == 9
    assert office.figures(office.two) is not None  # six are here; nine are counted


def test_a_unit_that_has_become_small_shows_nothing(office: Office) -> None:
    office.publish()
    with office.db.write() as conn:
        gone = update(persons).where(persons.c.id.in_(office.of(office.two)[4:]))
        conn.execute(gone.values(left_on=local(office.now).toordinal()))
    office.publish()

    assert office.figures(office.two) is None


def test_what_a_crash_left_half_written_is_taken_away(office: Office) -> None:
    office.publish()
    office.join(office.of(office.a)[:6], "learn")
    with office.db.write() as conn:
        draft = publications.prepare(conn, office.now, office.content)
        (page,) = publications.pages(draft)
        publications.write(conn, office.now, page[:3])  # and the process is gone
    office.publish()

    assert office.figures(office.a).levels == [6, 0, 0, 6, 0, 0, 0, 0]  # type: ignore[union-attr]
    with office.db.read() as conn:
        numbers = conn.execute(select(published.c.since, func.count()).group_by(published.c.since))
        assert dict(numbers.all()) == {1: 31, 2: 6}


def test_older_changes_are_dropped_and_figures_stay(office: Office) -> None:
    office.publish()
    office.join(office.of(office.a)[:6], "learn")
    office.publish()
    before = office.figures(office.a)
    office.publish()

    with office.db.read() as conn:
        many = conn.execute(select(func.count()).select_from(published)).scalar_one()
    assert many == 31
    assert office.figures(office.a) == before


def test_who_is_erased_is_counted_on_under_no_name(office: Office) -> None:
    office.join(office.of(office.a)[:6], "learn")
    office.publish()
    who = office.of(office.a)[0]
    with office.db.write() as conn:
        mine = select(learners.c.id).where(learners.c.person_id == who)
        privacy.erase(conn, [conn.execute(mine).scalar_one()])
    office.publish()

    with office.db.read() as conn:
        left = conn.execute(select(published).where(published.c.person_id == who)).all()
        nobody = conn.execute(select(published).where(published.c.person_id < 0)).all()
    assert left == []
    assert len(nobody) == 1
    assert office.figures(office.a).levels[3] == 6  # type: ignore[union-attr]


def test_areas_are_named_from_five_on_and_kept_until_five_are_measured(office: Office) -> None:
    team = office.of(office.a)
    office.join(team[:5], "plan", "|media=strengthen|word=fair|")
    office.publish()
    assert office.figures(office.a).areas == ["media"]  # type: ignore[union-attr]

    office.join(team[:5], "plan", "|media=fair|word=fair|")
    measured(office, team[:4])
    office.publish()
    assert office.figures(office.a).areas == ["media"]  # type: ignore[union-attr]

    measured(office, team[4:5])
    office.publish()
    assert office.figures(office.a).areas == []  # type: ignore[union-attr]


def measured(office: Office, people: list[int]) -> None:
    office.now += timedelta(hours=1)
    with office.db.write() as conn:
        who = select(learners.c.id).where(learners.c.person_id.in_(people))
        for learner in conn.execute(who).scalars().all():
            fact = {"learner_id": learner, "at": office.now, "kind": "measured", "data": "{}"}
            conn.execute(insert(facts).values(fact))


@pytest.mark.parametrize(
    ("at", "due"),
    [
        ("2026-11-27T10:00:00+07:00", False),  # the same week
        ("2026-11-29T10:00:00+07:00", False),  # a Sunday
        ("2026-11-30T05:00:00+07:00", False),  # before work
        ("2026-11-30T07:00:00+07:00", True),  # Monday
        ("2026-12-02T10:00:00+07:00", True),  # nobody was here on Monday
    ],
)
def test_it_is_due_on_the_first_working_day_of_a_week(office: Office, at: str, due: bool) -> None:
    office.publish(0)
    with office.db.read() as conn:
        assert publications.is_due(conn, datetime.fromisoformat(at), office.content) is due


def test_the_first_is_due_at_once_unless_nobody_is_on_the_roster(
    db: Database, content: Content
) -> None:
    sunday = datetime.fromisoformat("2026-11-29T03:00:00+07:00")
    with db.read() as conn:
        assert not publications.is_due(conn, sunday, content)
    Office(db, content)
    with db.read() as conn:
        assert publications.is_due(conn, sunday, content)


def test_the_service_publishes_when_it_starts(url: str, content: Content) -> None:
    db = Database(url)
    office = Office(db, content)
    db.close()
    with edge(url, content) as door:
        eventually(lambda: len(door.rows(select(figures))) == 4)
        days = door.rows(select(publications_table.c.number))
    assert [row.number for row in days] == [1]
    assert office.one


# --- the conversation ----------------------------------------------------------------------


def test_a_manager_sees_the_team_and_its_sections(office: Office) -> None:
    office.join(office.of(office.a)[:6], "learn")
    office.publish()
    chat = office.talk(office.boss)
    said = chat.say("ทีมผมเป็นยังไงบ้างครับ")

    assert "กองหนึ่ง" in said[0].text
    assert "จาก 22 คน" in said[0].text
    assert said[0].picture is not None
    assert said[0].picture.alt in said[0].text
    assert f"unit:{office.a}" in ids(said)
    below = chat.press(f"unit:{office.a}")
    assert "จาก 12 คน" in below[0].text


def test_nobody_sees_a_team_that_is_not_theirs(office: Office) -> None:
    office.publish()
    chat = office.talk(office.boss)
    chat.say("สรุปทีม")
    with office.db.write() as conn:
        theirs = select(learners.c.state).where(learners.c.id == chat.learner)
        state = conn.execute(theirs).scalar_one().replace(f'"unit":{office.one}', '"unit":0')
        forged = state.replace(f"[{office.a},", f"[{office.two},")
        assert forged != state
        conn.execute(update(learners).where(learners.c.id == chat.learner).values(state=forged))
    said = chat.press(f"unit:{office.two}")

    assert "กองสอง" not in said[0].text
    assert office.content.copy_["th"]["team_none"] == said[0].text


def test_whoever_has_no_team_hears_so_kindly(office: Office) -> None:
    office.publish()
    said = office.talk(office.of(office.a)[0]).say("/team")

    assert said[0].text == office.content.copy_["th"]["team_none"]


def test_rights_end_with_their_day(office: Office) -> None:
    office.publish()
    today = local(office.now).toordinal()
    acting = office.of(office.two)[0]
    office.lead(acting, office.two, from_on=today, until_on=today + 1)
    chat = office.talk(acting)

    assert "จาก 9 คน" in words(chat.say("สรุปทีม"))
    office.now += timedelta(days=1)
    assert office.content.copy_["th"]["team_none"] in words(chat.say("สรุปทีม"))


@pytest.mark.parametrize(
    "said",
    ["สรุปทีม", "ทีม", "ทีมผมเป็นยังไง", "/team", "team", "สรุปทีมค่ะ", "ทีมผมเป็นยังไงครับ", "Team please"],
)
def test_ways_to_ask_for_the_team(said: str, content: Content) -> None:
    from flows.speech import reader

    assert reader(content).reserved_word(said) == "team"


@pytest.mark.parametrize(
    "said",
    [
        "จัดเก็บเอกสารให้ทั้งทีมค้นเจอ",
        "ทีมงานช่วยกันทำรายงาน",
        "ทำงานเป็นทีม",
        "สรุปงานของทีมประจำเดือน",
        "teamwork",
        "ประชุมทีมทุกวันจันทร์",
    ],
)
def test_sentences_that_only_speak_of_a_team(said: str, content: Content) -> None:
    from flows.speech import reader

    assert reader(content).reserved_word(said) is None


# --- each week -----------------------------------------------------------------------------


def weekly(office: Office) -> tuple[Chat, Any]:
    """A manager who ordered the weekly digest, and the row of the first."""
    office.publish()
    chat = office.talk(office.boss)
    chat.say("สรุปทีม")
    chat.press("weekly_on")
    chat.press("mon_0900")
    (reply,) = chat.timer("digest")
    assert reply.purpose == "digest"
    assert reply.notify
    with office.db.read() as conn:
        row = conn.execute(select(outbox_table).where(outbox_table.c.purpose == "digest")).one()
    return chat, row


def claimed(office: Office, row: Any) -> tuple[str, str]:
    """What becomes of a row that is claimed: its status and the reason."""
    with office.db.write() as conn:
        outbox.claim(conn, [outbox.as_row(row)], office.now, office.content)
        found = select(outbox_table.c.status, outbox_table.c.reason)
        return tuple(conn.execute(found.where(outbox_table.c.id == row.id)).one())


def test_a_weekly_digest_comes_at_its_time_and_sets_the_next(office: Office) -> None:
    _, row = weekly(office)

    assert local(office.now).strftime("%a %H:%M") == "Tue 09:00"  # Monday is a holiday
    assert claimed(office, row) == ("sending", "")
    with office.db.read() as conn:
        due = select(timers_table.c.due).where(timers_table.c.kind == "digest")
        assert conn.execute(due).scalar_one() == office.now + timedelta(days=6)


def test_a_right_that_ended_since_it_was_queued_stops_the_digest(office: Office) -> None:
    _, row = weekly(office)
    with office.db.write() as conn:
        conn.execute(delete(grants).where(grants.c.id == office.grant))

    assert claimed(office, row) == ("cancelled", "no_longer_permitted")
    with office.db.read() as conn:
        kept = select(outbox_table.c.payload).where(outbox_table.c.id == row.id)
        assert conn.execute(kept).scalar_one() == "{}"


def test_a_right_over_another_unit_does_not_let_it_go(office: Office) -> None:
    _, row = weekly(office)
    with office.db.write() as conn:
        moved = update(grants).where(grants.c.id == office.grant)
        conn.execute(moved.values(unit_id=office.a))

    assert claimed(office, row)[0] == "cancelled"


def test_an_answer_that_waits_is_authorised_again_too(office: Office) -> None:
    office.publish()
    office.talk(office.boss).say("สรุปทีม")
    with office.db.write() as conn:
        conn.execute(delete(grants).where(grants.c.id == office.grant))
        row = conn.execute(select(outbox_table).order_by(outbox_table.c.id)).first()

    assert claimed(office, row) == ("cancelled", "no_longer_permitted")


def test_a_weekly_digest_ends_with_the_right(office: Office) -> None:
    office.publish()
    chat = office.talk(office.boss)
    chat.say("สรุปทีม")
    chat.press("weekly_on")
    chat.press("fri_1300")
    with office.db.write() as conn:
        conn.execute(delete(grants).where(grants.c.id == office.grant))

    assert chat.timer("digest") == []
    with office.db.read() as conn:
        left = select(timers_table).where(timers_table.c.kind == "digest")
        assert conn.execute(left).all() == []


def test_stopping_ends_it_and_coming_back_sets_it_again(office: Office) -> None:
    chat, _ = weekly(office)
    left = select(func.count()).select_from(timers_table).where(timers_table.c.kind == "digest")
    chat.say("หยุด")
    with office.db.read() as conn:
        assert conn.execute(left).scalar_one() == 0
    chat.say("กลับมา")
    with office.db.read() as conn:
        assert conn.execute(left).scalar_one() == 1


# --- cheers, evidence, names --------------------------------------------------------------------


def test_a_cheer_wakes_each_learner_of_the_team_once_a_week(office: Office) -> None:
    office.join([*office.of(office.a)[:3], *office.of(office.two)[:3]])
    office.publish()
    chat = office.talk(office.boss)
    chat.say("สรุปทีม")
    first, second = words(chat.press("cheer")), words(chat.press("cheer"))

    assert office.content.copy_["th"]["cheer_cheered"] in first
    assert office.content.copy_["th"]["cheer_already"] in second
    with office.db.read() as conn:
        woken = conn.execute(
            select(learners.c.person_id)
            .join(timers_table, timers_table.c.learner_id == learners.c.id)
            .where(timers_table.c.kind == "cheer")
        )
        assert sorted(woken.scalars()) == office.of(office.a)[:3]


def test_a_cheer_passes_the_gate_as_something_unasked(office: Office) -> None:
    who = office.of(office.a)[0]
    learner = office.talk(who)
    office.publish()
    boss = office.talk(office.boss)
    boss.say("สรุปทีม")
    boss.press("cheer")
    (reply,) = learner.timer("cheer")

    assert reply.purpose == "review"
    assert reply.notify
    with office.db.read() as conn:
        row = conn.execute(
            select(outbox_table).where(
                outbox_table.c.learner_id == learner.learner, outbox_table.c.lane == "personal"
            )
        ).one()
    assert row.purpose == "review"
    assert decode(row.payload, type=Request).replies[0].text == reply.text


def test_hr_reads_figures_and_does_not_cheer(office: Office) -> None:
    office.publish()
    officer = office.of(office.two)[0]
    office.lead(officer, None, "hr")
    chat = office.talk(officer)
    said = chat.say("สรุปทีม")

    assert "กรม" in said[0].text
    assert "จาก 31 คน" in said[0].text
    assert "cheer" not in ids(said)


def test_evidence_that_waits_is_answered_by_one_tap_each(office: Office) -> None:
    office.publish()
    sent = []
    with office.db.write() as conn:
        two = office.of(office.a)[:2]
        conn.execute(update(persons).where(persons.c.id.in_(two)).values(supervisor_id=office.boss))
    for person in two:
        learner = office.talk(person).learner
        sent.append(used(office, learner))
    chat = office.talk(office.boss)
    said = chat.say("สรุปทีม")
    assert "waiting" in ids(said)
    first = chat.press("waiting")
    assert "งาน 0" in words(first)
    second = chat.press("confirm_use")
    assert "งาน 1" in words(second)
    last = chat.press("decline_use")

    assert "waiting" not in ids(last)
    kinds = select(facts.c.kind, facts.c.data).where(
        facts.c.kind.in_(["use_confirmed", "use_declined"])
    )
    with office.db.read() as conn:
        found = [(kind, decode(data)["use"]) for kind, data in conn.execute(kinds)]
    assert found == [("use_confirmed", sent[0]), ("use_declined", sent[1])]


def used(office: Office, learner: int) -> int:
    from storage import looks

    with office.db.write() as conn:
        many = select(func.count()).where(facts.c.kind == "used_at_work")
        n = conn.execute(many).scalar_one()
        args = {key: {"text": f"งาน {n}", "message": ""} for key in ("where", "whom", "changed")}
        args |= {"round": 1, "shared": False, "ask_manager": True, "proof": {}}
        return int(looks.use(conn, learner, args, office.now, office.content)["use"])


def named(content: Content, since: str = "2026-11-01") -> Content:
    rules = {"names": True, "since": datetime.fromisoformat(since).date(), "mandatory": ("learn",)}
    return content.model_copy(update={"digest": content.digest.model_copy(update=rules)})


def completed_learn(office: Office, person: int) -> None:
    with office.db.write() as conn:
        who = select(learners.c.id).where(learners.c.person_id == person)
        row = {"learner_id": conn.execute(who).scalar_one(), "round": 1, "step": "learn"}
        conn.execute(insert(milestones).values(row | {"at": office.now}))


def test_names_of_completion_only_where_it_is_switched_on(office: Office) -> None:
    team = office.of(office.a)
    office.join(team[:7])
    office.join(office.of(office.two)[:1])
    completed_learn(office, team[0])
    completed_learn(office, office.of(office.two)[0])
    office.publish()
    chat = office.talk(office.boss)
    assert "completed" not in ids(chat.say("สรุปทีม"))

    office.content = named(office.content)
    chat.say("สรุปทีม")
    said = words(chat.press("completed"))
    with office.db.read() as conn:
        names = dict(conn.execute(select(persons.c.id, persons.c.name)).all())
        noted = conn.execute(select(audit.c.action, audit.c.target, audit.c.by_id)).all()
    assert [who for who, name in names.items() if name in said] == [team[0]]
    assert noted == [("view_completed", f"unit:{office.one}", office.boss)]


def test_a_learner_is_told_that_completion_is_seen(office: Office) -> None:
    from flows.digest import seen

    state = GIVEN["claimed"](office.now)
    told = office.content.copy_["th"]["completed_seen"]

    assert seen(state, ["learn"], office.content) == ()
    assert [line.text for line in seen(state, ["learn"], named(office.content))] == [told]
    assert seen(state, ["plan"], named(office.content)) == ()


# --- the second layer ---------------------------------------------------------------------------


@pytest.fixture
def layered(db: Database, content: Content) -> Iterator[Office]:
    if db.sqlite:
        pytest.skip("SQLite has no row-level security")
    office = Office(db, content)
    office.join(office.of(office.a)[:6], "learn")
    office.join(office.of(office.two)[:6], "learn")
    office.publish()
    return office


def test_a_query_that_forgets_its_scope_shows_nothing_foreign(layered: Office) -> None:
    office = layered
    with office.db.read() as conn:
        scope = scope_of(conn, office.boss, office.now)
        with scoped_read(conn, scope, "team"):
            seen = {row.unit_id for row in conn.execute(select(persons))}
            told = {row.unit_id for row in conn.execute(select(figures))}
            people = len(conn.execute(select(learners)).all())
            chats = len(conn.execute(text("select * from addresses")).all())
        everybody = {row.unit_id for row in conn.execute(select(persons))}

    assert seen == {office.one, office.a, office.b}
    assert told == {office.one, office.a}
    assert people == chats == 6
    assert everybody == {office.one, office.a, office.b, office.two}


def test_without_a_right_nothing_is_seen_and_with_all_everything(layered: Office) -> None:
    office = layered
    with office.db.read() as conn:
        with scoped_read(conn, Scope(1), "team"):
            assert conn.execute(select(persons)).all() == []
        with scoped_read(conn, Scope(1, (Right("hr"),)), "names"):
            assert len(conn.execute(select(persons)).all()) == 31


def test_tables_without_a_policy_cannot_be_read_at_all(layered: Office) -> None:
    from sqlalchemy.exc import ProgrammingError

    for table in ("audit", "tokens", "claim_codes", "timers"):
        with (
            layered.db.read() as conn,
            pytest.raises(ProgrammingError, match="permission denied"),
            scoped_read(conn, Scope(1, (Right("hr"),)), "names"),
        ):
            conn.execute(text(f"select * from {table}"))


def test_content_of_the_digest_is_checked(tmp_path: Any) -> None:
    assert load().digest.names is False
    assert units.c.path is not None
