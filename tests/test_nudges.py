"""What is said unasked: whole years of timers, clocks that change, words that make sense later."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct, field
from msgspec.json import decode, encode
from msgspec.structs import replace
from sqlalchemy import select

from bot.app import pack
from content.load import load
from content.schema import LANGS, Activity, Content, Lang
from flows import reminders, streak
from flows.calendar import day_off, is_working, local, permitted, working_days
from flows.engine import handle
from flows.reasons import wording
from flows.slots import next_slot
from flows.types import (
    AnyEvent,
    CancelTimers,
    Fired,
    Found,
    Json,
    Pressed,
    Quizzed,
    Record,
    Reply,
    Said,
    Sent,
    SetTimer,
    Started,
    State,
    Streak,
    Times,
    Turn,
)
from storage import looks, roster, timers, turns
from storage.database import Database
from storage.models import outbox
from storage.models import timers as timers_table
from storage.wire import Incoming
from tests import people

NOW = datetime(2026, 11, 20, 2, 0, tzinfo=UTC)
"""A Friday, nine o'clock in Bangkok."""
ZONES = ("", "Asia/Tokyo", "Europe/Berlin", "America/Los_Angeles", "Australia/Sydney")
CONTENT = load()


class Life(Struct):
    """One learner with their timer and a clock: what is said to them, and when."""

    state: State
    now: datetime = NOW
    timer: SetTimer | None = None
    said: list[tuple[datetime, Reply]] = field(default_factory=list)
    facts: list[tuple[datetime, Record]] = field(default_factory=list)

    def take(self, event: AnyEvent, content: Content = CONTENT) -> Turn:
        turn = handle(self.state, event, self.now, content)
        self.state = decode(encode(turn.state), type=State)
        for effect in turn.effects:
            match effect:
                case SetTimer("nudge"):
                    self.timer = effect
                case CancelTimers("nudge" | ""):
                    self.timer = None
                case Record():
                    self.facts.append((self.now, effect))
        self.said += [(self.now, reply) for reply in turn.replies if reply.notify]
        return turn

    def fire(self, late: timedelta = timedelta(0), content: Content = CONTENT) -> Turn:
        assert self.timer is not None
        timer, self.timer = self.timer, None
        self.now = max(self.now, timer.due + late)
        data: dict[str, Json] = decode(encode(timer.data))
        return self.take(Fired(timer.kind, timer.key, data, timer.due), content)

    def here(self, after: timedelta = timedelta(minutes=1)) -> "Life":
        """The learner does something."""
        self.now += after
        self.take(Sent("sticker"))
        return self

    def kinds(self) -> list[str]:
        return [fact.data["kind"] for _, fact in self.facts if fact.kind == "nudged"]

    def whys(self) -> list[str]:
        return [fact.data["why"] for _, fact in self.facts if fact.kind == "nudge_skipped"]


def life(who: str, **changes: Json) -> Life:
    """Somebody of tests/people.py who has just done something."""
    start = replace(people.GIVEN[who](NOW), nudge_at=None, stamp=1, **changes)
    return Life(start).here()


# --- whole years ---------------------------------------------------------------------


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("who", ["claimed", "measured", "planned", "applied", "finished"])
@pytest.mark.parametrize("answers", [True, False])
def test_a_year_of_nudges(who: str, zone: str, answers: bool) -> None:
    """At most one a day, in permitted hours, never on a day off, never twice in the same words;
    and whoever does not answer is left in peace."""
    one = life(who, zone=zone)
    while one.timer and one.timer.due < NOW + timedelta(days=365):
        before = len(one.said)
        slot = one.timer.data.get("slot", "work")
        one.fire()
        if len(one.said) > before:
            _, reply = one.said[-1]
            assert reply.chosen == (slot != "work")
            assert permitted(one.now, zone, CONTENT, chosen=reply.chosen)
            assert day_off(local(one.now, zone).date(), CONTENT) is None
            if answers:
                one.here(timedelta(hours=2))
    days = [local(at, zone).date() for at, _ in one.said]
    assert len(days) == len(set(days)) > (20 if answers and who != "finished" else 0)
    assert all(a.text != b.text for (_, a), (_, b) in pairwise(one.said))
    assert one.state.quiet != answers


def test_who_never_answers_hears_five_and_how_to_resume() -> None:
    """Three in the usual rhythm, then one a week, then a word that they end."""
    one = life("claimed")
    while one.timer:
        one.fire()

    said = [at for at, _ in one.said]
    gaps = [later - earlier for earlier, later in pairwise(said)]

    assert one.kinds() == ["idle", "idle", "idle", "idle", "back"]
    assert len(said) == 6
    assert all(gap >= timedelta(days=7) for gap in gaps[2:])
    assert [choice.id for choice in one.said[-1][1].choices] == ["nudges_on"]
    assert one.state.quiet
    one.take(Pressed("*", "nudges_on"))
    assert one.timer is not None
    assert not one.state.quiet


def test_any_word_begins_the_count_anew() -> None:
    one = life("planned")
    for _ in range(3):
        one.fire()
    assert one.state.nudged.unanswered == 3

    one.here(timedelta(hours=2))
    one.fire()

    assert one.state.nudged.unanswered == 1


def test_an_outage_is_not_made_up_for() -> None:
    """More than four hours late: nothing is said, a fact tells why, and the next slot is set."""
    in_time, late = life("planned"), life("planned")

    in_time.fire(timedelta(hours=4))
    late.fire(timedelta(hours=4, seconds=1))

    assert (len(in_time.said), in_time.whys()) == (1, [])
    assert (len(late.said), late.whys()) == (0, ["late"])
    assert late.timer
    assert late.timer.due > late.now


def test_what_is_due_goes_first() -> None:
    """The date of the plan, then the time chosen; what is done is not due."""
    one = life("planned")
    one.now = datetime(2026, 12, 1, 2, 0, tzinfo=UTC)
    one.here()
    one.fire()
    assert one.kinds() == ["due"]

    done = life("planned").state.walk(quizzes={"spreadsheet": Quizzed(1, 1.0, True)})
    two = Life(done, datetime(2026, 12, 1, 2, 0, tzinfo=UTC)).here()
    two.fire()
    assert two.kinds() == ["study"]


def test_a_rest_is_a_rest() -> None:
    one = life("planned")
    one.take(Said("พักไปก่อนสองสัปดาห์", "m1", one.now))

    assert one.timer is not None
    assert local(one.timer.due).date() >= date(2026, 12, 4)
    assert one.state.rests_until == datetime(2026, 12, 3, 17, 0, tzinfo=UTC)


def test_a_reminder_asked_for_comes_even_on_a_day_with_a_nudge() -> None:
    """It is an answer, though a late one: it is not counted against one a day."""
    one = life("planned")
    one.fire()
    one.here(timedelta(minutes=5))
    one.take(Said("อีกครึ่งชั่วโมงเตือน", "m1", one.now))
    one.take(Said("เตือนบ่ายสอง", "m2", one.now))
    one.fire()

    assert one.kinds() == ["study", "once"]
    assert [reply.purpose for _, reply in one.said] == ["encouragement", "word"]
    assert local(one.now).hour == 14
    assert one.state.once is None
    assert one.timer
    assert local(one.timer.due).date() > local(one.now).date()


# --- the holdout ---------------------------------------------------------------------


def held_out(share: float) -> Content:
    rules = CONTENT.nudges.rules.model_copy(update={"holdout": share})
    nudges = CONTENT.nudges.model_copy(update={"rules": rules})
    return CONTENT.model_copy(update={"nudges": nudges})


@pytest.mark.parametrize(("seed", "withheld"), [(99, True), (100, False), (2099, True)])
def test_some_are_not_encouraged_to_see_what_it_does(seed: int, withheld: bool) -> None:
    """The same learners for life; everything else is as if they had been."""
    one = life("planned", seed=seed)
    content = held_out(0.1)

    turn = one.fire(content=content)

    kinds = [effect.kind for effect in turn.effects if isinstance(effect, Record)]
    assert kinds == ["nudge_withheld" if withheld else "nudged"]
    assert bool(turn.replies) is not withheld
    assert one.timer is not None
    assert one.state.nudged.unanswered == (not withheld)


def test_what_was_asked_for_is_never_withheld() -> None:
    one = life("planned", seed=0)
    one.take(Said("เตือนพรุ่งนี้เก้าโมง", "m1", one.now))

    assert one.fire(content=held_out(0.5)).replies


# --- clocks --------------------------------------------------------------------------


@settings(max_examples=300, deadline=None)
@given(
    zone=st.sampled_from(ZONES),
    days=st.sets(st.integers(0, 6), min_size=1),
    minute=st.integers(6 * 60, 20 * 60 + 59),
    ahead=st.integers(0, 2 * 365 * 24 * 60),
)
def test_their_own_time_is_on_their_own_clock(
    zone: str, days: set[int], minute: int, ahead: int
) -> None:
    """Also in the weeks when clocks change: on a chosen day at the chosen minute, or, if not at
    their own time, in working hours; always to come, and with nothing nearer left out."""
    now = NOW + timedelta(minutes=ahead)
    start = people.learned(now)
    plan = replace(start.journey.plan, due={})  # type: ignore[type-var]
    state = replace(
        start.walk(plan=plan), times=Times(tuple(sorted(days)), minute), zone=zone, nudge_at=None
    )

    due, slot = next_slot(state, now, CONTENT)

    here = local(due, zone)
    assert due > now
    assert slot == "study"
    assert (here.hour * 60 + here.minute, here.weekday() in days) == (minute, True)
    day = local(now, zone).date()
    while (day := day + timedelta(days=1)) < here.date():
        assert day.weekday() not in days or day_off(day, CONTENT)


def test_a_post_abroad_comes_with_its_clock() -> None:
    """The zone of the roster entry; and a reminder is set anew when it changes."""
    one = life("planned")
    assert one.timer
    assert local(one.timer.due).hour == 9
    one.take(Said("การเตือน"))
    one.take(Pressed(str(one.state.stamp), "change_zone"))
    one.take(Said("ญี่ปุ่น"))

    assert one.state.zone == "Asia/Tokyo"
    assert one.timer
    assert local(one.timer.due).hour == 7


def test_the_roster_tells_the_clock_of_a_post(db: Database) -> None:
    """Whoever links to their entry has its clock at once; an entry without one changes nothing."""
    with db.write() as conn:
        unit = roster.add_unit(conn, "สถานเอกอัครราชทูต", None)
        made = roster.add_person(
            conn, hr_id="X1", name="สมหญิง แสงทอง", unit_id=unit, zone="Europe/Paris"
        )
        person = looks.person(conn, made)
    one = life("planned", person=None)
    one.take(Found("claim", {"person": person}))

    assert one.state.zone == "Europe/Paris"
    assert one.timer
    assert local(one.timer.due, "Europe/Paris").hour == 9

    one.take(Found("claim", {"person": {**person, "zone": ""}}))
    assert one.state.zone == "Europe/Paris"


def test_every_place_is_understood() -> None:
    """As it is written in the content, in either language."""
    for zone in CONTENT.nudges.zones:
        for name in (zone.name.th, zone.name.en, *zone.also):
            assert reminders._zone(f" {name.upper()} ", CONTENT) == zone.id


# --- words ---------------------------------------------------------------------------


def places() -> Iterator[State]:
    """One learner at each activity, and one who has finished."""
    for who in ("claimed", "placed", "measured", "planned", "learned", "practised", "passed"):
        yield people.GIVEN[who](NOW)
    for who in ("applied", "reviewed", "finished"):
        yield people.GIVEN[who](NOW)


@pytest.mark.parametrize("lang", LANGS)
def test_every_nudge_reads_well_everywhere(lang: Lang) -> None:
    """At least two wordings wherever somebody is, never the same twice running, no gaps."""
    for state in places():
        for nudge in CONTENT.nudges.nudges:
            before, used = replace(state, lang=lang), Counter[str]()
            for _ in range(12):
                words = wording(before, nudge, CONTENT)
                assert words.id != before.nudged.variant
                nudged = replace(before.nudged, count=before.nudged.count + 1, variant=words.id)
                before = replace(before, nudged=nudged)
                used[words.id] += 1
            assert len(used) >= 2


def test_what_may_be_read_days_later_does_not_speak_of_the_moment() -> None:
    for nudge in CONTENT.nudges.nudges:
        if nudge.purpose in ("due", "review"):
            for text in nudge.texts:
                assert not any(word in text.th for word in ("วันนี้", "ตอนนี้", "ถึงเวลา", "พรุ่งนี้"))
                assert not any(word in text.en.lower() for word in ("today", " now", "tomorrow"))


def test_every_activity_is_known_to_the_texts() -> None:
    named = {a for nudge in CONTENT.nudges.nudges for text in nudge.texts for a in text.activities}

    assert named <= set(get_args(Activity))


def test_a_nudge_can_be_ended_with_one_tap() -> None:
    """As it can be allowed with one; its buttons are good at any time, in any flow."""
    one = life("planned")
    one.fire()
    reply = one.said[-1][1]
    assert (reply.stamp, reply.notify) == ("*", True)
    assert "nudges_off" in [choice.id for choice in reply.choices]

    one.take(Pressed("*", "nudges_off"))

    assert not one.state.consents["nudges"]
    assert one.timer is None


# --- one timer -----------------------------------------------------------------------


def test_a_timer_is_set_with_the_consent() -> None:
    """Long before there is a plan: whoever gets stuck in the first step is helped on, too."""
    one = Life(State(7))
    one.take(Started())
    for choice in ("agree", "yes_allow"):
        one.take(Pressed(str(one.state.stamp), choice))
        assert one.timer is None
    one.take(Pressed(str(one.state.stamp), "guest"))

    assert one.timer
    assert one.state.nudge_at == one.timer.due


def test_a_learner_of_before_gets_a_timer_when_they_write() -> None:
    """Their state knows nothing of nudges, and their old timer still works."""
    old = {k: v for k, v in _plain(people.planned(NOW)).items() if k not in ("times", "nudge_at")}
    one = Life(decode(encode(old), type=State))

    one.take(Fired("study", "study", {"unanswered": 1, "at": 1.0}, NOW))
    assert one.whys() == ["busy"]
    assert one.timer
    assert one.timer.data == {"slot": "study"}

    waiting = one.timer
    one.now += timedelta(hours=3)
    assert one.take(Fired("study", "study", {"unanswered": 1, "at": 1.0}, one.now)).effects == ()
    assert one.timer is waiting


def _plain(state: State) -> dict[str, Json]:
    plain: dict[str, Json] = decode(encode(state))
    return plain


@pytest.mark.parametrize(
    ("words", "left"), [("หยุดเตือน", False), ("หยุด", False), ("พักเตือนสองสัปดาห์", True)]
)
def test_ending_reminders_takes_the_timer_away(words: str, left: bool) -> None:
    one = life("planned")
    one.take(Said(words, "m1", one.now))

    assert (one.timer is not None) == left
    assert (one.state.nudge_at is not None) == left


def test_a_nudge_goes_into_the_outbox_with_its_purpose(db: Database) -> None:
    """Through the tables of both engines: one timer a learner, the row says what it is for."""
    state = people.planned(NOW)

    def take(event: AnyEvent, now: datetime, key: str) -> None:
        incoming = Incoming("line", "bot", key, "U" + "1" * 32, event, now)
        with db.write() as conn:
            turns.take(conn, [incoming], now, CONTENT, pack)

    take(Started(), NOW, "e0")
    with db.write() as conn:
        stored = encode(replace(state, stamp=1, nudge_at=None)).decode()
        conn.exec_driver_sql("UPDATE learners SET state = '" + stored.replace("'", "''") + "'")
    take(Sent("sticker"), NOW, "e1")
    with db.read() as conn:
        (waiting,) = conn.execute(select(timers_table)).all()
        (due,) = timers.due(conn, waiting.due)
    with db.write() as conn:
        turns.take(conn, [due], waiting.due, CONTENT, pack)
    with db.read() as conn:
        row = conn.execute(select(outbox).where(outbox.c.lane == "personal")).one()
        (again,) = conn.execute(select(timers_table)).all()

    assert (row.purpose, row.chosen) == ("encouragement", True)
    assert (again.kind, again.key) == ("nudge", "nudge")
    assert again.due > waiting.due


# --- streaks -------------------------------------------------------------------------


@settings(max_examples=200, deadline=None)
@given(gaps=st.lists(st.integers(0, 5), max_size=40), start=st.integers(0, 365))
def test_streaks_count_working_days(gaps: list[int], start: int) -> None:
    """As somebody with a calendar would count them, from the last day back."""
    first = date(2026, 1, 5) + timedelta(days=start)
    state, day, days = people.welcomed(NOW), first, set()
    for gap in gaps:
        day += timedelta(days=gap)
        days.add(day)
        at = datetime(day.year, day.month, day.day, 5, tzinfo=UTC)
        state = streak.here(state, at, CONTENT)

    assert state.streak.length == _counted(days, day)


def _counted(days: set[date], last: date) -> int:
    """Working days with something done, back to the first one with nothing; today may still come
    to nothing, if it is a day off."""
    if not days:
        return 0
    length, day = 0, last
    while day in days or not is_working(day, CONTENT):
        length += is_working(day, CONTENT)
        day -= timedelta(days=1)
        if day < min(days):
            break
    return length


@pytest.mark.parametrize(("length", "told"), [(4, True), (5, False), (9, True), (18, False)])
def test_some_streaks_are_celebrated_in_the_turn_itself(length: int, told: bool) -> None:
    day = local(NOW).date()
    while working_days(day, local(NOW).date(), CONTENT) < 1:
        day -= timedelta(days=1)
    one = Life(replace(people.planned(NOW), stamp=1, streak=Streak(length, day.toordinal())))
    turn = one.take(Sent("sticker"))

    assert (Record("streak", {"days": length + 1}) in turn.effects) == told
    assert not any(reply.notify for reply in turn.replies)
