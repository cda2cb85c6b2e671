"""Whatever happens to a conversation, in whatever order: what must hold, by a plain oracle.

Small by default; `pytest tests/test_properties.py --hypothesis-profile nightly` goes deep.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, assume, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec.json import decode, encode
from msgspec.structs import replace

from flows.calendar import local, permitted
from flows.engine import FLOWS, handle
from flows.gate import RANKS
from flows.types import (
    AnyEvent,
    Ask,
    CancelTimers,
    Erase,
    Fired,
    Forget,
    Found,
    Journey,
    Left,
    Look,
    Pressed,
    Record,
    Reply,
    Said,
    Sent,
    SetTimer,
    Started,
    State,
    Streak,
    Turn,
    Unsent,
)
from tests.people import GIVEN
from tests.walk import TIMERS, answers, out_of_order, the_content

CONTENT = the_content()
NOW = datetime(2026, 11, 20, 2, 0, tzinfo=UTC)
WORDS = [way for ways in CONTENT.words.reserved.values() for way in ways[:2]]
TEXTS = st.one_of(
    st.sampled_from([*WORDS, "ก", "๑", "1", "ใช่", "ไม่", "ต่อ", "จันทร์ พุธ", "10:30", "A"]),
    st.sampled_from(["ABCD-EFGH-JKLM-N", "https://example.go.th/x", "555", "😀", " ", "\n"]),
    st.sampled_from(["หยุดเตือน", "เตือนพรุ่งนี้เก้าโมง", "ทุกวันจันทร์กับพุธ บ่ายสอง", "ทุกวัน สองทุ่ม"]),
    st.sampled_from(["อีกสองวันค่อยเตือน", "พักเตือนสองสัปดาห์", "เตือนบ่ายสาม", "ญี่ปุ่น", "London"]),
    st.text(max_size=40),
)
KINDS = ("sticker", "photo", "location", "voice", "video", "file", "contact", "other")
GAPS = [timedelta(minutes=1), timedelta(hours=2), timedelta(days=4), timedelta(days=70)]
BEGINNINGS = ["new"] * 3 + [name for name in GIVEN if name != "on_lost_content"]
CHOICES = sorted(key.removeprefix("choice_") for key in CONTENT.copy_["th"] if "choice_" in key)
luck = st.integers(0, 10**6)


class Facts:
    """What the facts alone say of a round: the oracle of the journey."""

    def __init__(self, start: State) -> None:
        journey = start.journey
        self.number = journey.number
        self.lessons, self.courses = set(journey.lessons), set(journey.courses)
        self.exercises = set(journey.exercises)
        self.passed = {area for area, quiz in journey.quizzes.items() if quiz.passed}
        self.planned = journey.plan is not None
        self.measured = {"baseline": bool(journey.baseline), "retest": bool(journey.retest)}
        self.uses, self.acknowledged = journey.uses, journey.acknowledged
        self.certified = bool(journey.certificate)
        self.group = start.placed.group if start.placed else ""

    def hear(self, fact: Record) -> None:
        data = fact.data
        match fact.kind:
            case "lesson_done":
                self.lessons.add(data["lesson"])
            case "course_finished":
                self.courses.add(data["course"])
            case "exercise_done":
                self.exercises.add(data["exercise"])
            case "quizzed" if data["passed"]:
                self.passed.add(data["area"])
            case "planned":
                self.planned = True
            case "measured":
                self.measured[data["when"]] = True
            case "placed":
                self.group = data["group"]
            case "acknowledged":
                self.acknowledged = True
            case "certified":
                self.certified = True
            case "round_begun":
                group = self.group
                self.__init__(State(0, journey=Journey(number=data["round"])))  # type: ignore[misc]
                self.group = group

    def agree(self, state: State) -> None:
        journey = state.journey
        assert journey.number == self.number
        assert set(journey.lessons) == self.lessons
        assert set(journey.courses) == self.courses
        assert set(journey.exercises) == self.exercises
        assert {area for area, quiz in journey.quizzes.items() if quiz.passed} == self.passed
        assert (journey.plan is not None) == self.planned
        assert bool(journey.baseline) == self.measured["baseline"]
        assert bool(journey.retest) == self.measured["retest"]
        assert journey.uses == self.uses
        assert journey.acknowledged == self.acknowledged
        assert bool(journey.certificate) == self.certified
        assert not state.placed or state.placed.group == self.group


class Conversation(RuleBasedStateMachine):
    """One learner, the platforms' bad habits, and a shell that keeps facts, timers and an inbox."""

    @initialize(who=st.sampled_from(BEGINNINGS), lang=st.sampled_from(["th", "en"]))
    def begin(self, who: str, lang: Any) -> None:
        self.now = NOW
        start = State(7) if who == "new" else replace(GIVEN[who](NOW), stamp=1)
        self.state = replace(start, lang=lang)
        self.facts = Facts(self.state)
        self.timers: dict[tuple[str, str], SetTimer] = {}
        if due := self.state.nudge_at:
            self.timers["nudge", "nudge"] = SetTimer("nudge", "nudge", due)
        self.inbox: dict[int, AnyEvent] = {}
        self.pressed: list[Pressed] = []
        """Every button that was ever offered."""
        self.words: dict[str, str] = {}
        """What was said in which message."""
        self.greeted = who != "new"
        self.unasked: list[datetime] = []
        """When something was said that counts as unasked."""

    # --- what happens --------------------------------------------------------------------

    @rule(text=TEXTS, luck=luck)
    def say(self, text: str, luck: int) -> None:
        self.deliver(Said(text, self.message(""), self.now), luck)

    @rule(luck=luck)
    def tell_something(self, luck: int) -> None:
        self.told(luck)

    def told(self, luck: int) -> str:
        """Something of one's own that can be found again; its message."""
        message = self.message(f"เรื่องที่ {len(self.words)} ของสมชาย")
        self.deliver(Said(self.words[message], message, self.now), luck)
        return message

    @rule(presses=st.lists(luck, min_size=1, max_size=8), luck=luck)
    def press(self, presses: list[int], luck: int) -> None:
        """Some button of each question; where somebody may write, they write now and then."""
        for at in presses:
            choices = self.open()
            ask = self.asks()
            if ask and ask.writes and at % 2:
                self.told(luck)
            elif choices:
                self.deliver(Pressed(str(self.state.stamp), choices[at % len(choices)]), luck)

    @rule(first=luck, luck=luck)
    def say_and_unsay(self, first: int, luck: int) -> None:
        """Take a message back, at once or with a side conversation between."""
        message = self.told(luck)
        if first % 2:
            self.say("เมนู", luck)
        self.take_back(message, luck)

    @rule(times=st.integers(1, 25), luck=luck)
    def press_on(self, times: int, luck: int) -> None:
        """Diligently: always the first button, and the right answer where there is one."""
        for _ in range(times):
            choices = self.open()
            note = self.state.floor.note
            if "question" in note and note.get("asked") is not None:
                choices = [str(CONTENT.question(note["question"]).right)]
            if choices and choices[0] not in ("erase_all", "undo_erase", "later"):
                self.deliver(Pressed(str(self.state.stamp), choices[0]), luck)

    @rule(at=luck, luck=luck)
    def press_an_old_button(self, at: int, luck: int) -> None:
        old = [p for p in self.pressed if p.stamp not in ("*", str(self.state.stamp))]
        if old:
            self.changes_nothing(old[at % len(old)], luck)

    @rule(
        stamp=st.one_of(st.none(), st.text(max_size=9)),
        choice=st.one_of(st.text(max_size=70), st.sampled_from(CHOICES)),
        luck=luck,
    )
    def press_a_forged_button(self, stamp: str | None, choice: str, luck: int) -> None:
        """Of no question at all, or of the open one but with a choice that it does not offer."""
        assume(stamp != "*" and choice not in self.open())
        self.changes_nothing(Pressed(stamp or str(self.state.stamp), choice), luck)

    @rule(at=luck, luck=luck)
    def press_a_standing_button(self, at: int, luck: int) -> None:
        ours = ("nudges_on", "nudges_off", "confirm:5", "decline:6", "confirm:๕", "x:1")
        choices = [*CONTENT.words.reserved, *ours]
        self.deliver(Pressed("*", choices[at % len(choices)]), luck)

    @rule(kind=st.sampled_from(KINDS), luck=luck)
    def send(self, kind: Any, luck: int) -> None:
        self.deliver(Sent(kind, "ref", self.message("")), luck)

    @rule(payload=st.text(max_size=10), luck=luck)
    def open_the_chat(self, payload: str, luck: int) -> None:
        self.deliver(Started(payload), luck)

    @rule(luck=luck)
    def leave(self, luck: int) -> None:
        self.deliver(Left(), luck)

    @rule(at=luck, luck=luck)
    def redeliver(self, at: int, luck: int) -> None:
        """The platform sends an event again: the inbox knows it, and nothing happens."""
        if self.inbox:
            before, key = self.state, sorted(self.inbox)[at % len(self.inbox)]
            self.deliver(self.inbox[key], luck, key)

            assert self.state == before

    @rule(text=st.sampled_from(["ก", "1", "ใช่", "เรื่องเก่า"]), hours=st.integers(1, 24), luck=luck)
    def say_too_late(self, text: str, hours: int, luck: int) -> None:
        """Words that were written long before the open question was asked are no answer."""
        late = Said(text, self.message(""), self.now - timedelta(hours=hours))
        asked = self.state.asked_at
        if asked and self.state.heard_at and late.at and late.at < asked - timedelta(minutes=3):
            self.changes_nothing(late, luck)

    @rule(at=luck, luck=luck)
    def unsend(self, at: int, luck: int) -> None:
        """What was said in a message that is taken back is nowhere in the state."""
        told = [message for message, words in self.words.items() if words]
        if told:
            self.take_back(told[at % len(told)], luck)

    @rule(gap=st.sampled_from(GAPS))
    def wait(self, gap: timedelta) -> None:
        self.now += gap

    @precondition(lambda self: self.timers)
    @rule(at=luck, luck=luck)
    def let_a_timer_fire(self, at: int, luck: int) -> None:
        key = sorted(self.timers)[at % len(self.timers)]
        timer = self.timers.pop(key)
        late = timedelta(hours=luck % 7)
        self.now = max(self.now, timer.due + late)
        self.deliver(Fired(timer.kind, timer.key, decode(encode(timer.data)), timer.due), luck)

    @rule(timer=st.sampled_from(TIMERS), luck=luck)
    def hear_from_somebody_else(self, timer: Fired, luck: int) -> None:
        self.deliver(timer, luck)

    # --- the shell -----------------------------------------------------------------------

    def take_back(self, message: str, luck: int) -> None:
        turn = self.deliver(Unsent(message), luck)

        assert Forget(message) in turn.effects
        assert self.words[message] not in encode(self.state).decode()

    def message(self, words: str) -> str:
        message = f"m{len(self.words)}"
        self.words[message] = words
        return message

    def asks(self) -> Ask | None:
        if self.state.heard_at is None:
            return None
        return FLOWS[self.state.floor.flow].ask(self.state, self.now, CONTENT)

    def open(self) -> list[str]:
        """What the open question offers."""
        ask = self.asks()
        return [choice.id for choice in ask.choices] if ask else []

    def changes_nothing(self, event: AnyEvent, luck: int) -> None:
        before = self.state
        turn = self.deliver(event, luck)
        after = self.state
        if before.heard_at is None:
            return
        kept = {"streak": Streak(), "nudge_at": None}  # they were here, and it is noted
        same = {"heard_at": None, "asked_at": None, "tries": 0, **kept}
        if after.floor.flow == "return":  # too long a silence: asked where to go on, no more
            assert after.left == before.left or before.floor in after.paused
            return

        assert replace(after, **same) == replace(before, **same)
        done = [effect for effect in turn.effects if not isinstance(effect, Record)]
        assert all(isinstance(effect, SetTimer) and effect.kind == "nudge" for effect in done)

    def deliver(self, event: AnyEvent, luck: int, key: int | None = None) -> Turn:
        """Once for each id; looks are answered in the same transaction."""
        key = len(self.inbox) if key is None else key
        if key in self.inbox:
            return Turn(self.state)
        self.inbox[key] = event
        before = self.state
        turn = handle(before, event, self.now, CONTENT)
        assert turn == handle(before, event, self.now, CONTENT)  # the same again: it is pure
        replies, effects = list(turn.replies), list(turn.effects)
        look = next((effect for effect in turn.effects if isinstance(effect, Look)), None)
        if look is not None:
            turn = self.answered(turn.state, look, luck)
            replies += turn.replies
            effects += turn.effects
        turn = Turn(decode(encode(turn.state), type=State), tuple(replies), tuple(effects))
        assert turn.state == decode(encode(turn.state), type=State)
        self.judge(before, event, turn)
        self.state = turn.state
        self.apply(turn)
        if isinstance(event, Fired) and event.kind in ("nudge", "study"):
            self.is_considerate(before, turn)
        return turn

    def answered(self, state: State, look: Look, luck: int) -> Turn:
        if look.what == "use":
            self.facts.uses += 1
        data = answers(look, f"CODE-{luck}")
        found = Found(look.what, data[luck % len(data)])
        return handle(decode(encode(state), type=State), found, self.now, CONTENT)

    def apply(self, turn: Turn) -> None:
        for effect in turn.effects:
            match effect:
                case Record():
                    self.facts.hear(effect)
                case SetTimer(kind, key):
                    self.timers[kind, key] = effect
                case CancelTimers(kind):
                    self.timers = {k: v for k, v in self.timers.items() if kind and k[0] != kind}
                case Erase():
                    self.erase()
        for reply in turn.replies:
            self.pressed += [Pressed(reply.stamp, choice.id) for choice in reply.choices]

    def erase(self) -> None:
        """Nothing is left; whoever writes on is somebody new."""
        self.state = State(8, lang=self.state.lang)
        self.facts, self.timers, self.greeted = Facts(self.state), {}, False
        self.unasked = []

    # --- what must hold ------------------------------------------------------------------

    def judge(self, before: State, event: AnyEvent, turn: Turn) -> None:
        """After each event."""
        asked = [reply for reply in turn.replies if reply.stamp not in ("", "*")]
        if isinstance(event, Left | Unsent | Fired):
            assert not asked
            assert all(reply.notify for reply in turn.replies)
            assert not turn.replies or not turn.state.stopped
        else:
            assert turn.replies
            assert [turn.replies[-1]] == asked, "exactly one question, and it comes last"
            assert asked[0].stamp == str(turn.state.stamp)
            assert not any(reply.notify for reply in turn.replies)
            if not self.greeted:
                assert self.is_notice(turn.replies[0])
                self.greeted = True
        if any(isinstance(effect, Erase) for effect in turn.effects):
            assert turn.state == replace(
                State(before.seed, lang=before.lang).at("erased", "done"),
                stamp=turn.state.stamp,
                asked_at=self.now,
            )
            return
        assert turn.state.stamp >= before.stamp
        if before.leaving and turn.state.leaving:
            assert turn.state.stopped, "nothing is said unasked to whoever waits to be erased"
        if asked and turn.state.floor != before.floor:
            assert turn.state.stamp > before.stamp, "another question has another number"
        if turn.state.journey.number == before.journey.number:
            self.nothing_is_lost(before.journey, turn.state.journey)
        else:
            assert turn.state.journey.number == before.journey.number + 1
            assert before.journey.certificate

    def is_considerate(self, before: State, turn: Turn) -> None:
        """After a timer that was set to write unasked."""
        assert len(turn.replies) <= 1
        wants = before.welcomed and before.consents.get("nudges") and not before.stopped
        if not wants or before.quiet:
            assert not turn.replies
            return
        assert turn.state.quiet != (("nudge", "nudge") in self.timers)
        for reply in turn.replies:
            assert permitted(self.now, before.zone, CONTENT, chosen=reply.chosen)
            if reply.purpose in RANKS:
                assert not before.rests_until or self.now >= before.rests_until
                today = local(self.now, before.zone).date()
                assert not any(local(at, before.zone).date() == today for at in self.unasked)
                self.unasked.append(self.now)

    def is_notice(self, reply: Reply) -> bool:
        hello = CONTENT.copy_[self.state.lang]["hello"]
        return reply.text.startswith(hello)

    def nothing_is_lost(self, before: Journey, after: Journey) -> None:
        """What is finished stays finished, in its round."""
        assert set(before.lessons) <= set(after.lessons)
        assert set(before.courses) <= set(after.courses)
        assert set(before.exercises) <= set(after.exercises)
        assert all(after.quizzes[area].passed >= q.passed for area, q in before.quizzes.items())
        assert after.uses >= before.uses
        assert bool(after.plan) >= bool(before.plan)
        assert bool(after.baseline) >= bool(before.baseline)
        assert bool(after.retest) >= bool(before.retest)
        assert after.acknowledged >= before.acknowledged
        assert not before.certificate or after.certificate == before.certificate

    @invariant()
    def the_facts_tell_the_same_story(self) -> None:
        if hasattr(self, "facts"):
            self.facts.agree(self.state)

    @invariant()
    def one_timer_at_most_will_write_unasked(self) -> None:
        """It fires when the state says; whoever wants no reminders has none."""
        if not hasattr(self, "state") or not self.inbox:
            return
        timer = self.timers.get(("nudge", "nudge"))
        wants = self.state.consents.get("nudges") and not self.state.quiet
        if timer is not None:
            assert timer.due == self.state.nudge_at
            assert wants
            assert not self.state.stopped

    @invariant()
    def steps_are_in_order(self) -> None:
        """Nothing of a later step counts before there is a plan, nor the end before the review."""
        if not hasattr(self, "state"):
            return
        assert not out_of_order(self.state.journey)

    @invariant()
    def there_is_a_way_forward(self) -> None:
        """The open question can be answered, and the words that always work do."""
        if not hasattr(self, "state") or self.state.heard_at is None:
            return
        ask = FLOWS[self.state.floor.flow].ask(self.state, self.now, CONTENT)
        assert ask.choices or ask.writes
        for word, flow in (("เมนู", "menu"), ("หยุด", "stopped"), ("ข้อมูลของฉัน", "mydata")):
            assert self.whatif(word).state.floor.flow == flow
        assert self.whatif("หยุด").state.stopped
        assert self.whatif("ช่วยเหลือ").replies
        back = self.whatif("กลับมา").state
        assert back.floor.place == "sure" if back.leaving else not back.stopped

    def whatif(self, text: str) -> Turn:
        return handle(self.state, Said(text, "", self.now), self.now, CONTENT)


def test_a_code_that_fails_brings_a_question_with_its_own_number() -> None:
    """The buttons of the question before it no longer answer."""
    home = replace(GIVEN["welcomed"](NOW), stamp=1, heard_at=NOW)
    turn = handle(home, Said("ABCD-EFGH-JKLM-N", "", NOW), NOW, CONTENT)

    turn = handle(turn.state, Found("claim", {"problem": "unknown"}), NOW, CONTENT)

    assert turn.state.floor.flow == "claim"
    assert turn.replies[-1].stamp == "2"
    assert turn.replies[-1].text == FLOWS["claim"].ask(turn.state, NOW, CONTENT).text


deep = settings.get_current_profile_name() == "nightly"
TestConversation = Conversation.TestCase
TestConversation.settings = settings(
    max_examples=2000 if deep else 400,
    stateful_step_count=60 if deep else 40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
