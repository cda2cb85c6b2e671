"""The whole vocabulary of a conversation: events in, replies and effects out, state between."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Literal

from msgspec import Struct, field
from msgspec.structs import replace

from content.schema import Content, Lang

Json = Any
"""Whatever JSON can hold; only at the borders of a flow (`State.note`, `Found.data`)."""

Kind = Literal["sticker", "photo", "location", "voice", "video", "file", "contact", "other"]

Purpose = Literal["reply", "word", "digest", "mandatory", "due", "review", "encouragement"]
"""Why something is sent: an answer; somebody else's word to this learner; a digest that they
ordered; or, from the most to the least important, something that nobody asked for."""

# --- what happens: events ------------------------------------------------------------


class Event(Struct, frozen=True, tag=True):
    """Something that happens to one learner."""


class Started(Event, frozen=True):
    """The learner opened the chat: a follow, /start, or the first page of the web chat."""

    payload: str = ""


class Said(Event, frozen=True):
    """The learner typed something. `message` is the platform's id of the message, for unsend."""

    text: str
    message: str = ""
    at: datetime | None = None


class Pressed(Event, frozen=True):
    """The learner pressed a button that was stamped with a question."""

    stamp: str
    choice: str


class Sent(Event, frozen=True):
    """The learner sent something that is not text; `ref` lets the channel fetch it."""

    kind: Kind
    ref: str = ""
    message: str = ""


class Unsent(Event, frozen=True):
    """The learner took a message back: what we kept of it must go."""

    message: str


class Left(Event, frozen=True):
    """The learner blocked the bot or removed it."""


class Fired(Event, frozen=True):
    """A timer of this learner's is due."""

    kind: str
    key: str
    data: dict[str, Json] = {}
    due: datetime | None = None
    """When it should have fired: an outage may have kept it."""


class Found(Event, frozen=True):
    """The answer to a `Look`."""

    what: str
    data: dict[str, Json]


AnyEvent = Started | Said | Pressed | Sent | Unsent | Left | Fired | Found

# --- what is said: replies -----------------------------------------------------------


class Choice(Struct, frozen=True, omit_defaults=True):
    """One way to answer. `says` is the full wording where a button is too small for it;
    `url` opens a page instead of answering; `stamp` is set where it answers another question
    than the others beside it."""

    id: str
    label: str
    says: str = ""
    url: str = ""
    stamp: str = ""


class Picture(Struct, frozen=True, omit_defaults=True):
    """What to draw. `alt` is the complete text twin: nobody needs the picture to know."""

    kind: Literal["radar", "progress", "certificate", "team", "drawing"]
    data: dict[str, Json]
    alt: str


class Reply(Struct, frozen=True, omit_defaults=True):
    """One message, in no platform's terms. `stamp` names the question its buttons answer."""

    text: str
    choices: tuple[Choice, ...] = ()
    stamp: str = ""
    title: str = ""
    """Set on the few replies that read better as a card."""
    picture: Picture | None = None
    notify: bool = False
    """Written unasked: not an answer to what the learner just did."""
    purpose: Purpose = "reply"
    """Set on what is written unasked and is no mere word from somebody."""
    chosen: bool = False
    """Written at a time that the learner chose, which may be after work."""
    guard: str = ""
    """A right without which it must not leave, as `power:unit`: asked again when it is sent."""


class Ask(Struct, frozen=True):
    """The open question of a flow, and what counts as an answer to it."""

    text: str
    choices: tuple[Choice, ...] = ()
    title: str = ""
    again: str = ""
    """What is asked instead, and without title or picture, where the text is long and was read
    a moment ago."""
    writes: bool = False
    """Free text is an answer."""
    shows: bool = False
    """A photo is an answer."""
    picture: Picture | None = None
    when: bool = False
    """Days or a time are an answer."""


class Chose(Struct, frozen=True):
    id: str


class Wrote(Struct, frozen=True):
    """Words of the learner's own, with the message they came in."""

    text: str
    message: str = ""


class Showed(Struct, frozen=True):
    ref: str
    message: str = ""


Answer = Chose | Wrote | Showed

# --- what is done: effects -----------------------------------------------------------


class Effect(Struct, frozen=True, tag=True):
    """Something the shell does in the same transaction as the turn."""


class Record(Effect, frozen=True):
    """Keep a fact for reports. Facts are append-only."""

    kind: str
    data: dict[str, Json] = {}


class SetTimer(Effect, frozen=True):
    """Wake this learner's conversation at `due`; the same kind and key replaces an older one."""

    kind: str
    key: str
    due: datetime
    data: dict[str, Json] = {}


class CancelTimers(Effect, frozen=True):
    """Forget timers of this kind; an empty kind means all of them."""

    kind: str = ""


class Look(Effect, frozen=True):
    """Ask the shell for what a flow cannot know; `Found` answers in the same transaction."""

    what: str
    args: dict[str, Json] = {}


class Tell(Effect, frozen=True):
    """Let somebody else's conversation know: their turn comes by a timer of their own."""

    whom: Literal["manager", "hr", "privacy"]
    kind: str
    data: dict[str, Json]


class Forget(Effect, frozen=True):
    """Blank every stored text that came in this message."""

    message: str


class Erase(Effect, frozen=True):
    """Delete everything that is held about this learner."""


AnyEffect = Record | SetTimer | CancelTimers | Look | Tell | Forget | Erase

# --- what is remembered: state -------------------------------------------------------


class Person(Struct, frozen=True, omit_defaults=True):
    """What a flow may know of the roster entry that a learner has claimed."""

    id: int
    name: str
    unit: str
    title: str = ""
    position_type: str = ""
    manager: bool = False
    """Somebody is this person's supervisor, and can be asked to confirm."""
    zone: str = ""
    """The IANA name of the time zone of their post, if it is not the agency's."""


class Placed(Struct, frozen=True, omit_defaults=True):
    """The personnel group of a learner, and why: `because` names rules, never free text."""

    group: str
    because: tuple[str, ...]
    by: Literal["roster", "answers", "learner"]
    secondary: str = ""
    contested: bool = False


class Measure(Struct, frozen=True, omit_defaults=True):
    """What some answers say about one area: ability in logits with its standard error."""

    right: int
    asked: int
    ability: float
    error: float


class Plan(Struct, frozen=True, omit_defaults=True):
    """A small personal development plan; weekdays count from Monday = 0, time is local."""

    areas: tuple[str, ...]
    task: Wrote
    days: tuple[int, ...]
    minute: int
    """When on those days, in minutes after midnight."""
    made: datetime
    due: dict[str, datetime] = {}
    """By area: when its lesson, exercise and quiz should be done."""


class Quizzed(Struct, frozen=True, omit_defaults=True):
    """Attempts at the quiz of one area."""

    attempts: int
    best: float
    passed: bool
    last: tuple[str, ...] = ()
    """The questions of the latest attempt: the next one uses others."""


class Journey(Struct, frozen=True, omit_defaults=True):
    """One round through the steps."""

    number: int = 1
    baseline: dict[str, Measure] = {}
    plan: Plan | None = None
    lessons: tuple[str, ...] = ()
    courses: tuple[str, ...] = ()
    exercises: tuple[str, ...] = ()
    quizzes: dict[str, Quizzed] = {}
    uses: int = 0
    """How often the learner recorded a use at work."""
    retest: dict[str, Measure] = {}
    acknowledged: bool = False
    certificate: str = ""
    overall: dict[str, Measure] = {}
    """The mean of all areas, as `baseline` and as `retest`; a round of before has none."""


class Times(Struct, frozen=True, omit_defaults=True):
    """When somebody wants to learn: weekdays from Monday = 0, and minutes after midnight."""

    days: tuple[int, ...]
    minute: int


class Nudged(Struct, frozen=True, omit_defaults=True):
    """What was said unasked so far: how often, how much of it since the learner last wrote, when
    last and in which words; and by kind on which day last (an ordinal)."""

    count: int = 0
    unanswered: int = 0
    at: datetime | None = None
    variant: str = ""
    days: dict[str, int] = {}


class Streak(Struct, frozen=True, omit_defaults=True):
    """Working days in a row with something done, the last of them as an ordinal."""

    length: int = 0
    day: int = 0


class Card(Struct, frozen=True, array_like=True):
    """What is known of one learner and one question: stability in days and difficulty from 1 to 10
    (FSRS), the day it was last asked and the day it is due (ordinals; 0: not any more), and how
    often it was forgotten."""

    stability: float
    difficulty: float
    last: int
    due: int
    lapses: int = 0


class Floor(Struct, frozen=True, omit_defaults=True):
    """Which flow has the floor, which of its questions is open, and what it has jotted down."""

    flow: str
    place: str = ""
    note: dict[str, Json] = {}
    side: bool = False
    """Spoken beside the path: nothing to come back to when something else begins."""


class State(Struct, frozen=True, omit_defaults=True):
    """Everything a conversation remembers about one learner. It is stored as JSON."""

    seed: int
    """Fixed for life; every shuffle is drawn from it, so any attempt can be rebuilt."""
    lang: Lang = "th"
    floor: Floor = Floor("welcome", "notice")
    paused: tuple[Floor, ...] = ()
    """Where to go back to when something ends, the latest last."""
    stamp: int = 0
    """The number of the open question: a button of another number is old."""
    tries: int = 0
    asked_at: datetime | None = None
    heard_at: datetime | None = None
    stopped: bool = False
    welcomed: bool = False
    notice: str = ""
    consents: dict[str, bool] = {}
    person: Person | None = None
    name: Wrote = Wrote("")
    """What a guest wants to be called on a certificate."""
    quiet: bool = False
    """Reminders have ended because nobody answered them."""
    zone: str = ""
    """The IANA name of the learner's time zone, if it is not the agency's."""
    restricted: bool = False
    """The learner's data may be kept, and used for nothing but what they do themselves."""
    leaving: datetime | None = None
    """When everything will be deleted; until then nothing is done with it."""
    rests_until: datetime | None = None
    """The learner wants no reminders until then."""
    times: Times | None = None
    """When the learner wants to be reminded to learn."""
    once: datetime | None = None
    """A reminder that the learner asked for, once."""
    nudge_at: datetime | None = None
    """When the timer for the next nudge fires; without one, none is set."""
    nudged: Nudged = Nudged()
    streak: Streak = Streak()
    digest: Times | None = None
    """When a manager wants to hear of the team each week."""
    placed: Placed | None = None
    journey: Journey = field(default_factory=Journey)
    seen: dict[str, int] = {}
    """How often each question was asked, by its id."""
    cards: dict[str, Card] = {}
    """What is to be asked again, by the question's id."""

    def at(self, flow: str, place: str = "", **note: Json) -> "State":
        """The same learner with another flow on the floor. A flow is under way only once."""
        paused = tuple(floor for floor in self.paused if floor.flow != flow)
        return replace(self, floor=Floor(flow, place, note), paused=paused)

    def move(self, place: str, **note: Json) -> "State":
        """The same flow at another of its questions, with more jotted down."""
        return replace(
            self, floor=replace(self.floor, place=place, note={**self.floor.note, **note})
        )

    def aside(self, flow: str, place: str = "", **note: Json) -> "State":
        """A side conversation: `back` returns to what has the floor now, unless it is one, too."""
        passing = self.floor.side or self.floor.flow == "home"
        paused = self.paused if passing else (*self.paused, self.floor)
        return replace(self, floor=Floor(flow, place, note, side=True), paused=paused)

    @property
    def left(self) -> str:
        """The flow that `back` returns to."""
        return self.paused[-1].flow if self.paused else "home"

    def back(self) -> "State":
        """End what has the floor: return to what was paused, or rest between activities.
        Whoever has stopped stays stopped until they come back."""
        if self.stopped:
            return replace(self, floor=Floor("stopped", "stopped", side=True))
        if not self.paused:
            return replace(self, floor=Floor("home"))
        return replace(self, floor=self.paused[-1], paused=self.paused[:-1])

    def walk(self, **changes: Json) -> "State":
        """The same learner with something changed in this round's journey."""
        return replace(self, journey=replace(self.journey, **changes))


class Turn(Struct, frozen=True):
    """What came of one event."""

    state: State
    replies: tuple[Reply, ...] = ()
    effects: tuple[AnyEffect, ...] = ()


class Flow(Struct, frozen=True):
    """One kind of conversation, as plain functions of the state.

    `begin` takes the floor; `ask` renders the open question again from the state alone;
    `answer` hears an answer to it; `done` tells whether an activity is finished in this round.
    """

    begin: Callable[[State, datetime, Content], Turn]
    ask: Callable[[State, datetime, Content], Ask]
    answer: Callable[[State, Answer, datetime, Content], Turn]
    done: Callable[[State, Content], bool] | None = None


Registry = Mapping[str, Flow]

SILENCE = timedelta(days=3)
"""After so long, somebody who comes back is told where they were."""
RECENT = timedelta(minutes=30)
"""A question asked so lately still stands above in the chat."""
LATE = timedelta(minutes=2)
"""Text that much older than the open question was not meant for it. A question from the future
is one from a wrong clock."""


class FlowLoop(Exception):
    """Flows handed the floor round and round: a bug."""
