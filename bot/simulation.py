"""One made-up learner in a database of their own, in memory, on a clock that moves when told: the
same turns, timers and gate as of everybody else, between no platform and no one."""

import random
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any, Literal

from msgspec import Struct
from msgspec.json import Decoder
from sqlalchemy import Connection, func, or_, select

from bot import demo, habits
from bot.channels import line, telegram
from bot.dispatch import take_alone
from bot.habits import Habits
from bot.sender import SAFETY
from content.schema import Content, Demo, DemoPerson, Lang
from flows import transcript
from flows.calendar import add_working_days, local, midnight
from flows.types import (
    AnyEvent,
    Fired,
    Found,
    Json,
    Left,
    Picture,
    Pressed,
    Record,
    Reply,
    Said,
    Sent,
    Started,
    State,
    Turn,
)
from storage import merges, outbox, quota, roster, timers
from storage.database import Memory
from storage.gathered import create, decode_state
from storage.models import addresses, facts, learners, persons, pictures
from storage.models import outbox as rows_table
from storage.models import timers as timers_table
from storage.outbox import Ended
from storage.turns import Work
from storage.wire import Incoming, Outcome, Request, Row

Look = Literal["line", "telegram"]
PACK = {"line": line.pack, "telegram": telegram.pack}
SEED = 7
"""The learner's number, and so the seed of all that is drawn: the same as in `tests/dialogs`."""
ADDRESS = "simulated"
HIM = "SIMULATED"
"""The id at HR of somebody who is described."""
PAGES = 2500
"""How large its database may grow, in pages of 4 kB: 10 MB."""
TURNS = 400
"""More than any path needs: a loop would show here."""
STEPS = 400
"""How often time may stop on the way to a later moment."""
ACTS = 1000
"""What an officer may do in one simulation."""
SITS_AT = 9 * 60 + 10
"""When the learner sits down on the days before, in minutes after midnight."""
CODE_LIFE = timedelta(hours=23)
FRESH, FINISHED = "fresh", "finished"
"""Places besides the activities: has not said anything; has finished the round."""
AT_ONCE = ("finish",)
"""Activities that the one before hands on to: nobody ever stands before them."""

_UNASKED = select(rows_table).where(rows_table.c.purpose != "reply")
_BESIDE = select(rows_table.c.id).where(
    or_(rows_table.c.purpose != "reply", rows_table.c.lane == "fetch")
)
"""What does not leave with its turn: photos to fetch, too."""
_request = Decoder(Request).decode
_picture = Decoder(Picture).decode


class Start(Struct, frozen=True):
    """Who is played, and where and when it begins. `persona` is the id at HR of somebody of the
    made-up agency; without one it is whoever the next three describe, and without a unit they are
    not on the roster. `place` is an activity of the path that comes next, or FRESH or FINISHED."""

    at: datetime
    persona: str = ""
    name: str = ""
    unit: str = ""
    group: str = ""
    lang: Lang = "th"
    channel: Look = "line"
    place: str = FRESH
    nudges: bool = True


class Entry(Struct, frozen=True):
    """One thing of the conversation. `did`: what the learner said, pressed (`text`) or sent;
    `said`: what arrived, `unasked` or as an answer; `note`: what happened beside it, as the key of
    a sentence with its slots, and the messages that it is about."""

    at: datetime
    kind: Literal["did", "said", "note"]
    text: str = ""
    replies: tuple[Reply, ...] = ()
    pictures: tuple[str, ...] = ()
    unasked: bool = False
    slots: dict[str, Json] = {}


class Story(Struct, frozen=True):
    """A simulation as it was at a moment: others can begin with it."""

    image: bytes
    now: datetime
    inputs: int
    entries: tuple[Entry, ...]
    lines: tuple[str, ...]
    replies: tuple[Reply, ...]
    code: tuple[str, datetime]
    rows: dict[str, Any]


class Full(Exception):
    """No more can be done in this simulation."""


class Simulation:
    """The learner, and all that an officer can do with them. Not safe for two threads at once."""

    def __init__(
        self, content: Content, agency: Demo, start: Start, image: bytes, story: Story | None = None
    ) -> None:
        self.content, self.start, self._agency = content, start, agency
        self.now = story.now if story else start.at
        self.inputs = story.inputs if story else 0
        self.entries = list(story.entries) if story else []
        self._lines = list(story.lines) if story else []
        self._code = story.code if story else ("", start.at)
        self._rows = dict(story.rows) if story else {}
        self._replies = list(story.replies) if story else []
        """Whose buttons can be pressed."""
        self.turn: Turn | None = None
        """The latest one."""
        self.acts = 0
        self.blocked = False
        self.budget: int | None = None
        """How many messages the month may have on LINE; None: any number."""
        self.db = Memory(story.image if story else image, PAGES)
        if story is None:
            self._move_in()

    def freeze(self) -> Story:
        kept = tuple(self.entries), tuple(self._lines), tuple(self._replies)
        return Story(self.db.image(), self.now, self.inputs, *kept, self._code, dict(self._rows))

    def close(self) -> None:
        self.db.close()

    # --- before it begins ----------------------------------------------------------------

    def _move_in(self) -> None:
        """The made-up agency, and somebody described among its people."""
        with self.db.write() as conn:
            demo.people(conn, self._agency, self.now)
            if not self.start.persona and self.start.unit:
                unit = roster.add_unit(conn, self.start.unit)
                roster.add_person(conn, hr_id=HIM, name=self.start.name, unit_id=unit)
            for n in range(1, SEED):  # others were here before
                create(conn, "terminal", f"other:{n}", self.now)

    def walk(self) -> None:
        """Come to the place where it begins by the path itself, on the working days before."""
        if self.start.place == FRESH:
            return
        goal = _before(self.start.place, self.content)
        first = local(self.start.at)
        day = add_working_days(first.date(), -(goal + 1), self.content)
        self.now = _sitting(day)
        answers = self._habits()
        self._come_in()
        for _ in range(TURNS):
            state = self.state()
            if state.floor.flow == "home" and state.welcomed:
                if habits.reached(state, self.content) >= goal:
                    break
                self._next_sitting()
            self._take(answers.answer(state))
        else:
            raise RuntimeError(f"the walk does not end: {self.state().floor}")
        self.forward(self.start.at)

    def _come_in(self) -> None:
        """A new chat; whoever is on the roster claims their entry."""
        self._take(Started())
        for _ in range(TURNS):
            match (state := self.state()).floor:
                case floor if floor.flow != "welcome":
                    break
                case floor if floor.place == "who":
                    self._take(Pressed(str(state.stamp), "claim" if self.on_roster else "guest"))
                case _:
                    self._take(self._habits().answer(state))
        if self.on_roster:
            self._take(Said(self.code()))

    def _habits(self) -> Habits:
        who, chance = self.persona, random.Random(SEED)
        skill = who.skill if who else 0.7
        wanted = "" if who else self.start.group
        return Habits(self.content, self._agency.uses, skill, chance, wanted, self.start.nudges)

    def _next_sitting(self) -> None:
        """The next working day, as long as it is before the day on which it begins."""
        here = local(self.now)
        day = add_working_days(here.date(), 1, self.content)
        if day < local(self.start.at).date():
            self.forward(_sitting(day))

    # --- who it is -----------------------------------------------------------------------

    @property
    def persona(self) -> DemoPerson | None:
        return next((p for p in self._agency.people if p.hr_id == self.start.persona), None)

    @property
    def on_roster(self) -> bool:
        return bool(self.start.persona or self.start.unit)

    def code(self) -> str:
        """A code by which the roster's entry can be claimed at this moment."""
        code, until = self._code
        if not code or self.now >= until:
            hr_id = self.start.persona or HIM
            with self.db.write() as conn:
                whose = select(persons.c.id).where(persons.c.hr_id == hr_id)
                code = roster.issue_code(conn, conn.execute(whose).scalar_one(), self.now)
            self._code = code, self.now + CODE_LIFE
        return code

    def state(self) -> State:
        """What the conversation remembers now; of somebody who has said nothing, nothing."""
        mine = (
            select(learners.c.state)
            .join(addresses, addresses.c.learner_id == learners.c.id)
            .where(addresses.c.channel == self.start.channel, addresses.c.address == ADDRESS)
        )
        with self.db.read() as conn:
            stored = conn.execute(mine).scalar()
        return decode_state(stored) if stored else State(SEED, lang=self.start.lang)

    # --- what the officer does -----------------------------------------------------------

    def say(self, text: str) -> None:
        self._act(Said(text))

    def offers(self, stamp: str, choice: str) -> bool:
        """Whether there is, or was, such a button; fields of the menu are there at any time."""
        fields = {area.word for area in self.content.menu.areas if self.start.channel == "line"}
        standing = stamp == transcript.STANDING and choice in fields
        return standing or bool(_offered(self._replies, stamp, choice))

    def press(self, stamp: str, choice: str) -> None:
        self._act(Pressed(stamp, choice))

    def send(self, kind: Any) -> None:
        self._act(Sent(kind, "simulated"))

    def follow(self) -> None:
        self.blocked = False
        self._act(Started())

    def block(self) -> None:
        self.blocked = True
        self._act(Left())

    def _act(self, event: AnyEvent) -> None:
        if self.acts >= ACTS:
            raise Full
        self.acts += 1
        self._take(event)

    def _take(self, event: AnyEvent) -> None:
        """One event of the learner's, and what it brings at once."""
        self.inputs += 1
        match event:
            case Said(text):
                event = Said(text, f"m{self.inputs}", self.now)
                self._did(text)
            case Sent(kind, ref):
                event = Sent(kind, ref, f"m{self.inputs}")
                self._did(sent=kind)
            case Pressed(stamp, choice):
                self._did(_pressed(self._replies, stamp, choice, self))
            case Started():
                self._did(sent="follow")
            case _:
                self._did(sent="block")
        free = self.start.channel == "line" and not isinstance(event, Left)
        incoming = Incoming(
            self.start.channel,
            "simulated",
            str(self.inputs),
            ADDRESS,
            event,
            self.now,
            reply_token=f"token-{self.inputs}" if free else "",
            token_until=self.now + line.TOKEN_LIFE if free else None,
            lang=self.start.lang,
        )
        self._turn(incoming)
        self._settle()

    def _did(self, text: str = "", **slots: Json) -> None:
        self.entries.append(Entry(self.now, "did", text, slots=slots))

    def _turn(self, incoming: Incoming) -> Work:
        """A turn, written down. What it says leaves at once."""
        work = take_alone(self.db, incoming, self.now, lambda _: self.content, _pack)
        for event, turn in work.heard:
            self._write_down(event, turn)
            self.turn = turn
        if work.parked:
            self._note("parked")
        self._leave(work.queued)
        return work

    # --- time ----------------------------------------------------------------------------

    def next_due(self) -> datetime | None:
        """When something will happen by itself: a timer, or a message that waits."""
        first = [select(func.min(timers_table.c.due))]
        waits = rows_table.c.status.in_(("queued", "held"))
        first += [select(func.min(rows_table.c.due)).where(rows_table.c.status == "queued")]
        first += [select(func.min(rows_table.c.deadline)).where(waits)]
        with self.db.read() as conn:
            found = [conn.execute(query).scalar() for query in first]
        return min((when for when in found if when is not None), default=None)

    def forward(self, until: datetime) -> None:
        """Let time pass, stopping wherever something is due."""
        for _ in range(STEPS):
            due = self.next_due()
            if due is None or due > until:
                break
            self.now = max(self.now, due)
            self._settle()
        else:
            self._note("many")
            return
        self.now = max(self.now, until)

    def _settle(self) -> None:
        """Whatever is due at this moment."""
        for _ in range(STEPS):
            with self.db.read() as conn:
                due = timers.due(conn, self.now)
            if not due:
                break
            for each in due:
                self._fire(each)
        with self.db.read() as conn:
            if not conn.execute(_BESIDE.limit(1)).first():
                return
            rows = outbox.due(conn, self.start.channel, self.now)
            late = outbox.overdue(conn, self.now)
        self._leave(rows)
        with self.db.write() as conn:
            outbox.expire(conn, late, self.now)
        self._compare()

    def _fire(self, due: Incoming) -> None:
        assert isinstance(due.event, Fired)
        if merges.is_merge(due):
            with self.db.write() as conn:
                done = merges.merge(conn, due, self.now, self.content, _pack)
            self._leave(done.rows)
            return
        at = len(self.entries)
        heard = self._turn(due).heard
        records = [e for _, turn in heard for e in turn.effects if isinstance(e, Record)]
        slots = {each.kind: each.data for each in records}
        if heard:
            said = any(turn.replies for _, turn in heard)
            why = Entry(self.now, "note", "fired", slots={"timer": due.event.kind, "said": said})
            why.slots.update(slots)
            self.entries.insert(at, why)  # the reason stands before what came of it

    def _leave(self, rows: Sequence[Row]) -> None:
        """What is queued goes as the sender has it go: claimed past the gate, paid, accepted."""
        mine = [row for row in rows if row.channel == self.start.channel]
        if not mine:
            return
        with self.db.write() as conn:
            got = outbox.claim(conn, mine, self.now, self.content)
            if self.start.channel == quota.LINE:
                got -= self._pay(conn, got & {row.key for row in mine if row.unasked})
            going = [row for row in mine if row.key in got]
            if going:
                ended = [Ended(row, Outcome("accepted")) for row in going]
                quota.finish(conn, ended, self.now, self.content)
        for row in going:
            self._arrive(row)

    def _pay(self, conn: Connection, keys: set[str]) -> set[str]:
        """Those that the month has no room for."""
        if not keys:
            return set()
        if self.budget is not None and quota.read(conn, self.now).most is None:
            quota.store(conn, self.budget, 0, self.now)
        ahead = quota.forecast(conn, self.now, self.content)
        terms = quota.Terms(self.content, ahead, SAFETY)
        return quota.charge(conn, keys, self.now, terms)[0]

    def _arrive(self, row: Row) -> None:
        request = row.request
        if request.replies:
            made = Entry(self.now, "said", "", request.replies, request.pictures, row.unasked)
            self.entries.append(made)

    def _compare(self) -> None:
        """Say of everything unasked what has become of it since the last look."""
        with self.db.read() as conn:
            found = conn.execute(_UNASKED.order_by(rows_table.c.id)).all()
        for row in found:
            known = self._rows.get(row.key)
            replies = _request(row.payload).replies if row.payload != "{}" else ()
            replies = replies or (known[1] if known else ())
            mark = (row.status, row.reason, row.due)
            self._rows[row.key] = (mark, replies)
            kept = (row.status != "accepted" and row.reason) or row.reason == "rode"
            if kept and (known is None or known[0] != mark):
                slots = {"status": row.status, "why": row.reason, "purpose": row.purpose}
                more = {"until": row.due.isoformat(), "chosen": row.chosen}
                self._note("kept", replies, **slots, **more)

    def _note(self, key: str, replies: tuple[Reply, ...] = (), **slots: Json) -> None:
        self.entries.append(Entry(self.now, "note", key, replies, slots=slots))

    # --- what is shown -------------------------------------------------------------------

    def timers(self) -> list[Any]:
        with self.db.read() as conn:
            query = select(timers_table).where(timers_table.c.learner_id >= SEED)
            return list(conn.execute(query.order_by(timers_table.c.due)))

    def waiting(self) -> list[Any]:
        """Messages that nobody asked for and that have not left."""
        open_ = rows_table.c.status.in_(("queued", "held"))
        with self.db.read() as conn:
            return list(conn.execute(select(rows_table).where(open_).order_by(rows_table.c.due)))

    def facts(self, most: int) -> list[Any]:
        """The newest first."""
        with self.db.read() as conn:
            query = select(facts).where(facts.c.learner_id >= SEED)
            return list(conn.execute(query.order_by(facts.c.id.desc()).limit(most)))

    def picture(self, token: str) -> Picture | None:
        with self.db.read() as conn:
            query = select(pictures.c.picture).where(pictures.c.token == token)
            stored = conn.execute(query).scalar()
        return _picture(stored) if stored else None

    # --- the transcript ------------------------------------------------------------------

    def _write_down(self, event: AnyEvent, turn: Turn) -> None:
        moment = f"@ {transcript.moment(self.now)}"
        if isinstance(event, Found):
            self._lines.append(transcript.line_of_event(event))
        else:
            if not self._lines:
                self._lines = [moment, *(["lang en"] if self.start.lang == "en" else [])]
            elif moment != next(x for x in reversed(self._lines) if x.startswith("@ ")):
                self._lines += ["", moment]
            self._lines += ["", self._line(event)]
        self._replies += turn.replies
        self._lines += transcript.lines_of(turn)

    def _line(self, event: AnyEvent) -> str:
        """A field of the menu is no button of a message: it is written as its word."""
        match event:
            case Pressed("*", choice) if not _offered(self._replies, "*", choice):
                return f"> {self.content.words.reserved.get(choice, (choice,))[0]}"
        return transcript.line_of_event(event, self._replies)

    def transcript(self, title: str) -> str:
        """All of it in the format of `tests/dialogs`; `title` says what it shows."""
        return "\n".join([f"# {title}", *self._lines]) + "\n"


def _pack(channel: str, replies: tuple[Reply, ...]) -> list[tuple[Reply, ...]]:
    packer = PACK.get(channel)
    return packer(replies) if packer else [replies]


def _before(place: str, content: Content) -> int:
    """How many activities are finished by whoever is at a place."""
    path: list[str] = [activity for step in content.method.steps for activity in step.activities]
    return len(path) if place == FINISHED else path.index(place)


def stations(content: Content) -> list[tuple[int, str]]:
    """The activities before which somebody may stand, each with the number of its step."""
    return [
        (n, activity)
        for n, step in enumerate(content.method.steps, 1)
        for activity in step.activities
        if activity not in AT_ONCE
    ]


def _sitting(day: date) -> datetime:
    return midnight(day.toordinal()) + timedelta(minutes=SITS_AT)


def _offered(replies: Sequence[Reply], stamp: str, choice: str) -> str:
    """What the button says, if there is one; the whole words where it bears but a letter."""
    for reply in reversed(replies):
        for each in reply.choices:
            if (each.stamp or reply.stamp, each.id) == (stamp, choice):
                return each.says or each.label
    return ""


def _pressed(replies: Sequence[Reply], stamp: str, choice: str, of: Simulation) -> str:
    """The words of a button, or of a field of the menu."""
    areas = {area.word: area.label.of(of.start.lang) for area in of.content.menu.areas}
    return _offered(replies, stamp, choice) or areas.get(choice, choice)
