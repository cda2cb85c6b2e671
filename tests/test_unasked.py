"""What nobody asked for: admitted row by row when it is claimed, held back, and carried along."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from msgspec.json import decode, encode
from msgspec.structs import replace
from sqlalchemy import insert, select, update

from content.schema import Content
from flows.calendar import local
from flows.types import Choice, Left, Reply, Said, Started
from storage import messages, outbox, profiles, turns
from storage.database import Database
from storage.models import campaigns, learners, occurrences, persons, units
from storage.models import outbox as rows_table
from storage.models import profiles as profiles_table
from storage.outbox import Ended
from storage.wire import Outcome, Request
from tests.test_turns import NOW, SOMCHAI, Talk

FRIDAY = NOW
EVENING = NOW + timedelta(hours=8)
TODAY = local(NOW).toordinal()
WORDS = "แผนของคุณครบกำหนดวันศุกร์นี้"


class Desk(Talk):
    """A learner on LINE, and rows that wait for them."""

    def __init__(self, db: Database, content: Content, channel: str = "line") -> None:
        super().__init__(db, content)
        self.channel = channel

    def incoming(self, event: Any, event_id: str = "") -> Any:
        made = super().incoming(event, event_id)
        until = self.now + timedelta(seconds=50)
        if self.channel != "line":
            return replace_channel(made, self.channel)
        return replace(made, reply_token=uuid4().hex, token_until=until)

    @property
    def learner(self) -> int:
        with self.db.read() as conn:
            return int(conn.execute(select(learners.c.id)).scalar_one())

    def put(self, purpose: str = "due", lane: str = "personal", **more: Any) -> str:
        reply = Reply(WORDS, (Choice("go", "เริ่มเลย"),), "*", notify=True)
        row = {
            "key": uuid4().hex,
            "learner_id": self.learner,
            "channel": self.channel,
            "address": SOMCHAI,
            "lane": lane,
            "payload": encode(Request((reply,))).decode(),
            "created_at": self.now,
            "due": self.now,
            "deadline": self.now + timedelta(days=5),
            "status": "queued",
            "purpose": purpose,
            **more,
        }
        with self.db.write() as conn:
            conn.execute(insert(rows_table).values(row))
        return str(row["key"])

    def claim(self, *keys: str, at: Any = None) -> set[str]:
        with self.db.write() as conn:
            found = conn.execute(select(rows_table).where(rows_table.c.key.in_(keys)))
            rows = [outbox.as_row(row) for row in found]
            return outbox.claim(conn, rows, at or self.now, self.content)

    def row(self, key: str) -> Any:
        with self.db.read() as conn:
            return conn.execute(select(rows_table).where(rows_table.c.key == key)).one()

    def profile(self) -> Any:
        with self.db.read() as conn:
            return conn.execute(select(profiles_table)).one()

    def end(self, key: str, outcome: Outcome) -> None:
        """The attempt at a claimed row is over."""
        with self.db.write() as conn:
            row = conn.execute(select(rows_table).where(rows_table.c.key == key)).one()
            outbox.finish(conn, [Ended(outbox.as_row(row), outcome)], self.now)


def replace_channel(incoming: Any, channel: str) -> Any:
    return replace(incoming, channel=channel)


@pytest.fixture
def desk(db: Database, content: Content) -> Desk:
    made = Desk(db, content)
    made.welcome()
    return made


@pytest.fixture
def elsewhere(db: Database, content: Content) -> Desk:
    made = Desk(db, content, "telegram")
    made.welcome()
    return made


# --- admitted ----------------------------------------------------------------------------


def test_the_first_of_a_day_goes_and_the_second_is_held_back(desk: Desk) -> None:
    first, second = desk.put(), desk.put()
    assert desk.claim(first, second) == {first}
    assert desk.profile().unasked_on == TODAY
    assert desk.row(first).counted_on == TODAY
    held = desk.row(second)
    assert (held.status, held.reason) == ("held", "one_a_day")
    assert held.deadline == desk.now + timedelta(days=7)


def test_where_replies_cost_nothing_the_second_waits_for_the_next_working_day(
    elsewhere: Desk,
) -> None:
    first, second = elsewhere.put(), elsewhere.put()
    assert elsewhere.claim(first) == {first}
    assert elsewhere.claim(second) == set()
    waits = elsewhere.row(second)
    assert (waits.status, local(waits.due).weekday()) == ("queued", 0)
    assert elsewhere.claim(second, at=waits.due) == {second}


def test_an_attempt_that_must_be_repeated_keeps_its_place_in_the_day(desk: Desk) -> None:
    key = desk.put()
    assert desk.claim(key) == {key}
    desk.end(key, Outcome("retry", "throttled", wait=1.0))
    assert desk.claim(key, at=desk.now + timedelta(seconds=2)) == {key}


def test_the_more_important_goes_first(desk: Desk) -> None:
    cheer, due = desk.put("encouragement"), desk.put("due")
    assert desk.claim(cheer) == set()
    assert desk.row(cheer).reason == "outranked"
    assert desk.claim(due) == {due}


def test_somebody_elses_word_is_no_reminder(desk: Desk) -> None:
    first, word = desk.put(), desk.put("word")
    assert desk.claim(first, word) == {first, word}


def test_out_of_hours_a_row_waits_and_an_answer_does_not(desk: Desk) -> None:
    key, answer = desk.put(), desk.put("reply", "reply")
    assert desk.claim(key, answer, at=EVENING) == {answer}
    waits = desk.row(key)
    assert (waits.status, waits.reason) == ("queued", "hours")
    assert local(waits.due).strftime("%a %H:%M") == "Mon 08:30"


def test_after_a_stop_nothing_leaves(desk: Desk) -> None:
    """What waited is cancelled in the turn itself; what comes later, when it is claimed."""
    waited = desk.put()
    desk.hear(Said("หยุด"))
    later = desk.put()
    assert desk.claim(waited, later) == set()
    assert [desk.row(key).reason for key in (waited, later)] == ["stopped", "stopped"]


def test_who_never_allowed_reminders_gets_campaigns_only(db: Database, content: Content) -> None:
    desk = Desk(db, content)
    desk.hear(Started())
    for choice in ("agree", "no_allow", "guest"):
        desk.press(choice)
    nudge, campaign = desk.put(), desk.put(lane="campaign", key="1:1", purpose="mandatory")
    assert desk.claim(nudge, campaign) == {campaign}
    assert desk.row(nudge).reason == "withdrawn"


def test_a_profile_that_is_missing_is_made_before_the_gate_asks(desk: Desk) -> None:
    with desk.db.write() as conn:
        conn.execute(profiles_table.delete())
    desk_stopped = Said("หยุด")
    desk.hear(desk_stopped)
    with desk.db.write() as conn:
        conn.execute(profiles_table.delete())
    key = desk.put()
    assert desk.claim(key) == set()
    assert desk.profile().stopped
    with desk.db.write() as conn:
        assert profiles.fill(conn, desk.content) == 0


# --- profiles ----------------------------------------------------------------------------


def test_a_profile_follows_the_state(desk: Desk) -> None:
    row = desk.profile()
    assert (row.channel, row.address, row.lang) == ("line", SOMCHAI, "th")
    assert (row.welcomed, row.stopped, row.nudges) == (True, False, True)
    assert (row.step, row.personnel_group, row.bands) == ("know", "", "")
    assert row.active_on == TODAY
    desk.hear(Said("english"), Said("หยุด"))
    desk.now += timedelta(days=3)
    desk.hear(Said("กลับมา"))
    row = desk.profile()
    assert (row.lang, row.stopped, row.active_on) == ("en", False, TODAY + 3)


def test_a_profile_knows_who_can_be_reached(desk: Desk) -> None:
    desk.hear(Left())
    assert not desk.profile().reachable
    desk.hear(Started())
    assert desk.profile().reachable


# --- riding ------------------------------------------------------------------------------


def held(desk: Desk, **more: Any) -> str:
    return desk.put(status="held", reason="one_a_day", **more)


def carrier(desk: Desk, work: turns.Work) -> Any:
    return desk.row(work.queued[0].key)


def test_what_was_held_back_rides_on_the_next_free_reply(desk: Desk) -> None:
    key = held(desk)
    work = desk.hear(Said("เมนู"))
    reply = carrier(desk, work)
    sent = decode(reply.payload, type=Request).replies
    assert WORDS in [one.text for one in sent[:-1]]
    assert [(b.id, b.stamp) for b in sent[-1].choices][-1] == ("go", "*")
    assert (desk.row(key).status, desk.row(key).chunk) == ("riding", reply.key)
    assert len(work.queued) == 1

    desk.claim(reply.key)
    desk.end(reply.key, Outcome("accepted"))
    assert (desk.row(key).status, desk.row(key).reason) == ("accepted", "rode")
    again = desk.hear(Said("เมนู"))
    assert WORDS not in str(again.queued)


def test_when_the_reply_never_goes_it_waits_for_another(desk: Desk) -> None:
    key = held(desk)
    reply = carrier(desk, desk.hear(Said("เมนู")))
    with desk.db.write() as conn:
        late = desk.now + timedelta(hours=2)
        assert outbox.expire(conn, outbox.overdue(conn, late), late) >= 1
    assert desk.row(reply.key).status == "expired"
    assert (desk.row(key).status, desk.row(key).chunk) == ("held", "")


def test_without_a_free_reply_nothing_rides(elsewhere: Desk) -> None:
    key = held(elsewhere)
    elsewhere.hear(Said("เมนู"))
    assert elsewhere.row(key).status == "held"


def test_whoever_is_here_needs_no_reminder_to_come(desk: Desk) -> None:
    queued, waiting = desk.put("encouragement"), held(desk, purpose="encouragement")
    desk.hear(Said("เมนู"))
    rows = [desk.row(key) for key in (queued, waiting)]
    assert [(row.status, row.reason) for row in rows] == [("cancelled", "came_back")] * 2


def _occurrence(desk: Desk, status: str) -> tuple[int, int]:
    """A campaign under way: its occurrence and its message."""
    with desk.db.write() as conn:
        unit = conn.execute(insert(units).values(name="u", path="u")).inserted_primary_key[0]
        author = {"hr_id": "a", "name": "a", "unit_id": unit}
        person = conn.execute(insert(persons).values(author)).inserted_primary_key[0]
        spec = {"name": "c", "spec": "{}", "status": "approved", "author_id": person}
        made = insert(campaigns).values(**spec, created_at=desk.now)
        campaign = conn.execute(made).inserted_primary_key[0]
        of = {"campaign_id": campaign, "due": desk.now, "created_at": desk.now, "status": status}
        occurrence = conn.execute(insert(occurrences).values(of)).inserted_primary_key[0]
        button = Choice(f"c{occurrence}.go", "เริ่มเลย")
        said = Reply("ชวนเรียนเรื่องธรรมาภิบาลข้อมูล", (button,), "*", notify=True)
        return occurrence, messages.keep(conn, (said,))


@pytest.mark.parametrize(("status", "ends"), [("running", "riding"), ("paused", "queued")])
def test_a_campaign_that_is_due_rides_if_it_runs(desk: Desk, status: str, ends: str) -> None:
    occurrence, message = _occurrence(desk, status)
    more = {"occurrence_id": occurrence, "message_id": message, "payload": "{}"}
    key = desk.put("encouragement", "campaign", **more)
    later = desk.put("encouragement", "campaign", due=desk.now + timedelta(days=1), **more)
    work = desk.hear(Said("เมนู"))
    assert desk.row(key).status == ends
    assert desk.row(later).status == "queued"
    assert ("ธรรมาภิบาล" in carrier(desk, work).payload) == (ends == "riding")


def test_a_cancelled_campaign_ends_when_it_is_claimed(desk: Desk) -> None:
    occurrence, message = _occurrence(desk, "cancelled")
    key = desk.put("mandatory", "campaign", occurrence_id=occurrence, message_id=message)
    assert desk.claim(key) == set()
    assert (desk.row(key).status, desk.row(key).reason) == ("cancelled", "campaign_cancelled")


def test_a_row_the_sender_has_taken_does_not_ride(desk: Desk) -> None:
    key = held(desk)
    with desk.db.write() as conn:
        conn.execute(update(rows_table).where(rows_table.c.key == key).values(status="sending"))
    desk.hear(Said("เมนู"))
    assert desk.row(key).status == "sending"


def test_placeholders_are_filled_for_each_person(desk: Desk) -> None:
    with desk.db.write() as conn:
        kept = messages.keep(conn, (Reply("สวัสดี {name} จาก {unit} {ไม่ใช่ช่อง}"),), ("name", "unit"))
        words = messages.load(conn, [kept])[kept]
    filled = messages.fill(words, {"name": "สมชาย {unit}", "unit": "กองคลัง"})
    assert filled.replies[0].text == "สวัสดี สมชาย กองคลัง จาก กองคลัง {ไม่ใช่ช่อง}"


# --- what may have arrived -----------------------------------------------------------------


def test_what_may_have_arrived_is_neither_put_off_nor_carried_along(desk: Desk) -> None:
    """P9: after a day the platform would not know it again."""
    late = desk.put(doubtful=True)
    assert desk.claim(late, at=EVENING) == set()
    assert (desk.row(late).status, desk.row(late).reason) == ("uncertain", "hours")

    riding = desk.put(doubtful=True)
    desk.hear(Said("เมนู"))
    assert desk.row(riding).status == "queued"
