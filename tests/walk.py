"""Walks the whole conversation: every button from every reachable state, with the real content."""

from collections import Counter, deque
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from msgspec import Struct, field
from msgspec.json import Decoder, Encoder
from msgspec.structs import replace

from content.load import load
from content.schema import LANGS, Content, area_of
from flows import steps
from flows.engine import FLOWS, handle
from flows.types import (
    AnyEvent,
    Fired,
    Floor,
    Found,
    Journey,
    Json,
    Left,
    Look,
    Pressed,
    Reply,
    Said,
    Sent,
    Started,
    State,
    Turn,
    Unsent,
)
from tests.people import GIVEN

NOW = datetime(2026, 11, 20, 2, 0, tzinfo=UTC)
encode, decode = Encoder().encode, Decoder(State).decode
UNCLEAR = "ฮัมเพลงเบา ๆ ในสวน"
"""Words that no question offers."""
REMIND = (
    *("เตือนทุกวันพุธ บ่ายสอง", "หยุดเตือน", "พักเตือนสองสัปดาห์", "เตือนพรุ่งนี้เก้าโมง"),
    "ไม่อยากรับข้อความอีกแล้วค่ะ",
)
"""Words about reminders, which are heard everywhere; and a wish that is always asked about."""
CONFIRM = {
    "use": 5,
    "who": "สมชาย ใจดี",
    "where": "รายงาน",
    "whom": "เพื่อนร่วมงาน",
    "changed": "งานเร็วขึ้น",
}
TEAM = {
    "unit": {"id": 3, "name": "กองบริหารทรัพยากรบุคคล"},
    "subs": [[4, "กลุ่มสรรหา"], [5, "กลุ่มพัฒนาบุคคล"]],
    "more": True,
    "after": 0,
    "waiting": 2,
    "leads": True,
}
COUNTED = {
    "result": "figures",
    "day": 739_573,
    "levels": [8, 0, 5, 0, 6, 0, 0, 5],
    "areas": ["spreadsheet", "security"],
}
NUDGES = (
    Fired("study", "study", {"unanswered": 0}),
    Fired("nudge", "nudge", {"slot": "study"}),
    Fired("nudge", "nudge"),
    Fired("nudge", "nudge", {"slot": "once"}),
)
DECIDED = {"kind": "object", "reason": "กฎหมายให้เก็บไว้"}
RELINKED = {"who": "สมชาย", "unit": "กองกลาง", "channel": "line", "link": 12}
TIMERS = (
    Fired("confirm_use", "5", CONFIRM),
    Fired("use_confirmed", "5", {"where": "รายงาน"}),
    Fired("digest", "digest"),
    Fired("cheer", "7:739573"),
    Fired("wish", "w", {"kind": "access", "due": "2026-12-20T02:00:00+00:00"}),
    Fired("wish_ended", "d", {**DECIDED, "how": "refused", "lift": True}),
    Fired("wish_ended", "e", {**DECIDED, "how": "done", "lift": False}),
    Fired("asked_hr", "a", {"who": "สมชาย", "question": "ลาอย่างไร", "at": "home"}),
    Fired("relinked", "b", {**RELINKED, "at": "2026-11-20T02:00:00+00:00"}),
)
PARTS = 3
"""Of what is heard alike everywhere, a part here and the others at the next spots."""
STANDING = (
    *("weekly_off", "nudges_on", "nudges_off", "confirm:5", "decline:5", "confirm:x"),
    "nonsense",
)
PROBLEMS = ("unknown", "expired", "used", "void", "too_many", "already", "other")
SOMEBODY = {"id": 11, "name": "สมชาย ใจดี", "unit": "กองกลาง", "manager": True}
ANSWERS: dict[str, tuple[dict[str, Json], ...]] = {
    "claim": (
        {"person": {**SOMEBODY, "title": "นิติกรชำนาญการ", "position_type": "วิชาการ"}},
        {"person": {**SOMEBODY, "title": "", "position_type": "อำนวยการ", "manager": False}},
        {"person": {**SOMEBODY, "title": "ครู", "position_type": ""}},
        {"linking": True},
        *({"problem": p} for p in PROBLEMS),
    ),
    "use": ({"use": 5, "asked": True}, {"use": 6, "asked": False}),
    "team": (
        {"result": "none"},
        {**TEAM, "result": "nothing"},
        {**TEAM, **COUNTED, "before": None},
        {**TEAM, **COUNTED, "before": {"day": 739_566, "levels": [24, 0, 0, 0, 0, 0, 0, 0]}},
    ),
    "weekly_team": ({"result": "none"}, {**TEAM, **COUNTED, "before": None}),
    "cheer": tuple({"result": r} for r in ("cheered", "already", "too_many", "not_yours")),
    "waiting": (
        {"result": "", "next": CONFIRM, "left": 2},
        {"result": "confirmed", "next": None, "left": 0},
        {"result": "", "next": None, "left": 0},
    ),
    "completed": ({"names": []}, {"names": ["สมชาย ใจดี"]}),
    "my_data": ({"roster": 2, "account": 2, "learning": 12, "messages": 34}, {"account": 1}),
    "who_looked": (
        {"rows": []},
        {"rows": [{"day": 739_200, "role": "hr", "unit": "กองกลาง", "list": True}]},
    ),
    "copy": (
        {"token": "t" * 43, "due": "2026-11-21T02:00:00+00:00"},
        {"due": "2026-12-20T02:00:00+00:00"},
    ),
    "rename": ({},),
    "undo_erase": ({},),
    "report": ({"text": "ความก้าวหน้า 12 คน"}, {}),
    "confirm_use": tuple(
        {"result": result} for result in ("confirmed", "declined", "already", "not_yours")
    ),
}


def answers(look: Look, code: str) -> tuple[dict[str, Json], ...]:
    """What the shell may answer; a certificate is what was to be printed, with a code."""
    match look.what:
        case "certificate":
            return ({**look.args["data"], "code": code},)
        case "wish":
            return ({"kind": look.args["kind"], "due": "2026-12-20T02:00:00+00:00"},)
        case what:
            return ANSWERS[what]


class Step(Struct, frozen=True):
    """One turn of the walk, with what the shell answered in it."""

    before: State
    event: AnyEvent
    now: datetime
    turn: Turn


class Walk(Struct):
    """What the walk met."""

    content: Content
    states: dict[object, State] = {}
    asked: Counter[str] = field(default_factory=Counter)
    """How often each flow had the open question."""
    turns: int = 0
    replies: dict[bytes, Reply] = {}
    """Every reply once, whatever its stamp."""
    said: dict[object, tuple[Reply, ...]] = {}
    """A turn's replies for every shape that a turn can have."""

    def steps(self) -> Iterator[Step]:
        """Every event from every state, breadth first."""
        waiting = deque(self._add(state) for state in beginnings(self.content))
        while waiting:
            state = waiting.popleft()
            for event, now in events(state, self.content):
                for step in play(state, event, now, self.content):
                    self.turns += 1
                    self._keep(step.turn.replies)
                    yield step
                    after = step.turn.state
                    if key(after, self.content) not in self.states:
                        waiting.append(self._add(after))

    def _keep(self, replies: tuple[Reply, ...]) -> None:
        for reply in replies:
            self.replies.setdefault(encode(replace(reply, stamp="")), reply)
        shape = tuple((len(r.choices), bool(r.title), bool(r.picture)) for r in replies)
        if len(shape) > 1:
            self.said.setdefault(shape, replies)

    def _add(self, state: State) -> State:
        self.states[key(state, self.content)] = state
        self.asked[state.floor.flow] += 1
        return state


def beginnings(content: Content) -> Iterator[State]:
    """Somebody new in each language, and somebody at every item that chance may not draw."""
    for lang in LANGS:
        yield State(7, lang=lang)
        planned = replace(GIVEN["planned"](NOW), lang=lang, stamp=9)
        for floor in spots(content):
            yield replace(planned, floor=floor)


def spots(content: Content) -> Iterator[Floor]:
    """Every question, page, exercise and list of courses."""
    for topic in content.topics:
        for question in content.questions[topic.id]:
            note = {"of": topic.id, "asked": [], "right": 0, "question": question.id}
            yield Floor("practice", "question", {**note, "queue": [], "many": 5}, side=True)
    for area in (area.id for area in content.framework.areas):
        for question in content.questions[area]:
            note = {"area": area, "asked": [], "right": 0, "question": question.id}
            yield Floor("quiz", "question", note)
        for lesson in content.lessons[area]:
            yield Floor("lesson", "intro", {"lesson": lesson.id})
            for page in range(len(lesson.messages)):
                yield Floor("lesson", "page", {"lesson": lesson.id, "page": page})
        for exercise in content.exercises[area]:
            yield Floor("exercise", "task", {"exercise": exercise.id})
        yield Floor("lesson", "courses", {"lesson": content.lessons[area][0].id})
    for course in content.courses:
        lesson = content.lessons[course.areas[0]][0].id
        yield Floor("lesson", "learned", {"lesson": lesson, "course": course.id})


def key(state: State, content: Content) -> object:
    """States that are alike for the walk: coarse enough to come to an end."""
    floor, journey = state.floor, state.journey
    here = steps.current(state, content)
    path = (journey.number > 1, here and here[1], bool(journey.plan), *_left(state))
    who = (state.person is not None, bool(state.consents.get("nudges")), state.placed is not None)
    beside = (state.paused[-1].flow if state.paused else "", state.stopped, state.quiet)
    spot = (floor.flow, floor.place, *(_brief(k, v) for k, v in sorted(floor.note.items())))
    if floor.flow in ("mydata", "stopped"):
        beside = (*beside, bool(state.leaving), state.restricted and floor.flow == "mydata")
    if floor.side or floor.flow in ("claim", "stopped"):
        # what a side flow goes back to is the same in either language: it is told apart in one
        beneath = beside if state.lang == "th" else beside[1:]
        mine = who[:2] if floor.flow == "reminders" else who  # reminders ask nobody's group
        return (state.lang, True, spot, beneath, mine, state.welcomed)
    met = state.heard_at is not None
    if state.lang != "th":  # the same flows: each spot once, however somebody came there
        return (state.lang, met, spot, here and here[1], bool(journey.certificate))
    return (state.lang, met, spot, beside[:1] if state.paused else (), path, who[:1])


def _left(state: State) -> tuple[int, ...]:
    """How many areas of the plan still want a lesson, an exercise, a quiz."""
    journey = state.journey
    areas = set(journey.plan.areas if journey.plan else ())
    passed = {area for area, quiz in journey.quizzes.items() if quiz.passed}
    lessons, exercises = ({area_of(x) for x in of} for of in (journey.lessons, journey.exercises))
    return tuple(len(areas - done) for done in (lessons, exercises, passed))


def _brief(name: str, value: Json) -> Json:
    """A note as far as it decides what can be asked; which item is asked about does not."""
    match name:
        case "answers" | "asked" | "chosen" | "days":
            return name, len(value) if isinstance(value, list) else value
        case "page" | "right" | "n" | "says" | "share":
            return name, value
        case _:
            return name


def events(state: State, content: Content) -> Iterator[tuple[AnyEvent, datetime]]:
    """Everything that may happen to somebody there."""
    soon, late = NOW + timedelta(minutes=1), NOW + timedelta(days=10)
    if state.heard_at is not None:
        ask = FLOWS[state.floor.flow].ask(state, soon, content)
        for choice in ask.choices:
            if not choice.url:
                yield Pressed(str(state.stamp), choice.id), soon
        if ask.writes:
            yield Said("พุธ 10:30 น. https://example.go.th/x", "m1", soon), soon
            yield Said("ABCD-EFGH-JKLM-N", "m2", soon), soon
    yield Started(), soon
    yield Started("ABCD-EFGH-JKLM-N"), soon
    if state.person:
        for how in ("merged", "relinked"):
            yield Found("linked", {"person": SOMEBODY, "how": how}), soon
    part = state.stamp % PARTS
    words = list(content.words.reserved.items())
    for number, (word, ways) in enumerate(words[part::PARTS]):
        yield (Said(ways[0], "m3", soon) if number % 2 else Pressed("*", word)), soon
    for choice in STANDING[part::PARTS]:
        yield Pressed("*", choice), soon
    yield Pressed(str(state.stamp), "no-such-choice"), soon
    yield Pressed("0", "begin"), soon
    yield Said(UNCLEAR, "m4", soon), soon
    yield Said(UNCLEAR, "m5", late), late
    yield Said(REMIND[state.stamp % len(REMIND)], "m8", soon), soon
    yield Said("ตอบช้า", "m6", NOW - timedelta(days=1)), soon
    for kind in ("sticker", "photo", "voice"):
        yield Sent(kind, "r1", "m7"), soon
    nudge = NUDGES[state.stamp % len(NUDGES)]
    for event in (nudge, *TIMERS[part::PARTS], Left(), Unsent("m1")):
        yield event, late


def out_of_order(journey: Journey) -> str:
    """What counts as done although what comes before it is not; an empty string if nothing."""
    late = {
        "learned without a plan": journey.lessons or journey.courses,
        "practised without a plan": journey.exercises or journey.quizzes,
        "used without a plan": journey.uses,
        "reviewed without a plan": journey.retest,
    }
    wrong = [name for name, done in late.items() if done and journey.plan is None]
    wrong += ["planned before the self-assessment"] * bool(journey.plan and not journey.baseline)
    wrong += ["reviewed before any use"] * bool(journey.retest and not journey.uses)
    wrong += ["acknowledged before the review"] * bool(journey.acknowledged and not journey.retest)
    wrong += ["certified too soon"] * bool(journey.certificate and not journey.acknowledged)
    return ", ".join(wrong)


def play(state: State, event: AnyEvent, now: datetime, content: Content) -> Iterator[Step]:
    """The turn, and where the shell is asked, the turn for each of its answers. The state goes
    through JSON; time stands still between the turns of a walk."""
    turn = handle(state, event, now, content)
    look = next((effect for effect in turn.effects if isinstance(effect, Look)), None)
    if look is None:
        yield Step(state, event, now, _stored(turn))
        return
    for data in answers(look, "ABCD-EFGH-JKLM-N"):
        more = handle(_stored(turn).state, Found(look.what, data), now, content)
        both = Turn(more.state, turn.replies + more.replies, turn.effects + more.effects)
        yield Step(state, event, now, _stored(both))


def _stored(turn: Turn) -> Turn:
    return replace(turn, state=decode(encode(turn.state)))


def replaced(content: Content) -> Content:
    """The same areas with other items, fewer pages, no courses and hardly a rule."""

    def other(item: Any) -> Any:
        short = {"messages": item.messages[:1]} if hasattr(item, "messages") else {}
        return item.model_copy(update={"id": item.id + "9", **short})

    shelves = {
        shelf: {area: tuple(map(other, items)) for area, items in getattr(content, shelf).items()}
        for shelf in ("questions", "lessons", "exercises")
    }
    few = {"roster_rules": (), "questions": content.placement.questions[:1]}
    placement = content.placement.model_copy(update=few)
    return content.model_copy(update={**shelves, "courses": (), "placement": placement})


@cache
def the_content() -> Content:
    """The real content, with everything that settings add to it."""
    known = {"dpo": "dpo@agency.go.th", "public_url": "https://kaona.example.go.th"}
    return load().model_copy(update=known)
