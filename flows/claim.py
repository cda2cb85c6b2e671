"""Claiming a roster entry with the one-time code that HR handed out."""

import re
from datetime import datetime

from msgspec import convert
from msgspec.structs import replace

from content.schema import Content
from flows import placement, steps
from flows.speech import choices, say, tell
from flows.types import (
    Answer,
    AnyEvent,
    Ask,
    Chose,
    Flow,
    Found,
    Look,
    Person,
    Record,
    Said,
    Started,
    State,
    Turn,
    Wrote,
)

_CODE = re.compile(r"[A-Za-z0-9\s-]{8,40}")
_SHEET = re.compile(r"([A-Z2-9]{4}-){3}[A-Z2-9]", re.IGNORECASE)
"""A code as it stands on a sheet and in its QR; nothing else that people write looks so."""


# --- a code that comes by itself -----------------------------------------------------------


def code_in(event: AnyEvent) -> str:
    """The code that a QR brought: with the start of the chat, or as the words it put ready."""
    match event:
        case Started(payload=text) | Said(text=text) if _SHEET.fullmatch(text.strip()):
            return text.strip()
    return ""


def keep(state: State, code: str) -> State:
    """Keep a code until the notice has been read."""
    if state.floor.flow == "welcome":
        return state.move(state.floor.place, code=code)
    paused = tuple(
        replace(floor, note={**floor.note, "code": code}) if floor.flow == "welcome" else floor
        for floor in state.paused
    )
    return replace(state, paused=paused)


def entered(state: State, code: str) -> Turn:
    """Claim with a code that came by itself, wherever the learner is; at the question whether they
    have one, it is the answer."""
    if (state.floor.flow, state.floor.place) == ("welcome", "who"):
        state = replace(state, welcomed=True).at("claim", "code")
    if not state.welcomed:
        return Turn(keep(state, code))
    here = state if state.floor.flow == "claim" else state.aside("claim", "code")
    return Turn(here, (), (Look("claim", {"code": code}),))


# --- the question --------------------------------------------------------------------------


def begin(state: State, now: datetime, content: Content) -> Turn:
    return Turn(state.move("code"))


def ask(state: State, now: datetime, content: Content) -> Ask:
    if state.floor.place == "linking":
        return Ask(say(state, content, "claim_linking"), choices(state, content, "continue"))
    text, again = say(state, content, "claim_code"), say(state, content, "claim_again")
    return Ask(text, choices(state, content, "no_code"), again=again, writes=True)


def answer(state: State, answer: Answer, now: datetime, content: Content) -> Turn:
    match answer:
        case Chose("continue"):
            return Turn(state.back())
        case Wrote(text=text) if not _CODE.fullmatch(text):  # it would use up one of few tries
            return Turn(state, (tell(state, content, "claim_unlike"),))
        case Wrote(text=text):
            return Turn(state, (), (Look("claim", {"code": text}),))
        case Chose() | _:
            return Turn(state.back(), (tell(state, content, "claim_later"),))


OVER = ("too_many", "already", "other")
"""Problems that no other code would mend just now."""


def found(state: State, found: Found, now: datetime, content: Content) -> Turn:
    """`data` has a `person`; or `linking`, when that person chats elsewhere already; or a
    `problem`: unknown, expired, used, void, too_many, already (linked to that person), other
    (linked to somebody else)."""
    if "linking" in found.data:
        return Turn(state.move("linking"))
    if "problem" in found.data:
        line = tell(state, content, "claim_" + found.data["problem"])
        return Turn(state.back() if found.data["problem"] in OVER else state, (line,))
    person = convert(found.data["person"], Person)
    state = replace(state, person=person, zone=person.zone or state.zone).back()
    hello = tell(state, content, "claimed", name=person.name, unit=person.unit)
    told, effects = (hello,), (Record("claimed", {"person": person.id}),)
    placed = placement.by_roster(person, content)
    if placed is None or state.placed is None or state.placed.by != "answers":
        return Turn(state, told, effects)
    again = placement.place(state, placed, content)  # the roster knows better
    return Turn(again.state, told + again.replies, effects + again.effects)


# --- two chats, one person -----------------------------------------------------------------


def linked(state: State, found: Found, now: datetime, content: Content) -> Turn:
    """The chat that claimed is this learner's from now on; `how` is merged or relinked."""
    how = found.data["how"]
    state = replace(state, person=convert(found.data["person"], Person))
    assert state.person is not None
    line = tell(state, content, "linked_" + how, name=state.person.name)
    return Turn(state, (line,), (Record("chat_linked", {"how": how}),))


def join(mine: State, other: State, content: Content) -> State:
    """The state of a learner to whom another one's chat was given. It is theirs; only where the
    other has got further, that journey is the one to go on with."""
    if not mine.welcomed and other.welcomed:  # the same person has read the notice there
        read = {"welcomed": True, "notice": other.notice, "consents": other.consents}
        mine = replace(mine, **read).at("home")
    if _reached(other, content) <= _reached(mine, content):
        return mine
    seen = {id: max(mine.seen.get(id, 0), n) for id, n in other.seen.items()}
    joined = replace(
        mine,
        journey=other.journey,
        placed=mine.placed or other.placed,
        times=mine.times or other.times,
        seen={**mine.seen, **seen},
        paused=(),
    )
    return joined if mine.stopped or not mine.welcomed else joined.at("home")


def part(state: State, before: State) -> State:
    """The state of a learner from whom a journey is taken that another one had brought along."""
    parted = replace(
        state, journey=before.journey, placed=before.placed, seen=before.seen, paused=()
    )
    return parted if state.stopped or not state.welcomed else parted.at("home", "rest")


def _reached(state: State, content: Content) -> tuple[int, int, int]:
    """How far somebody is: rounds, then activities that are finished, then what was done."""
    journey = state.journey
    finished = sum(
        steps.activity_done(activity, state, content)
        for step in content.method.steps
        for activity in step.activities
    )
    done = (journey.lessons, journey.courses, journey.exercises, journey.quizzes, journey.baseline)
    return journey.number, finished, sum(map(len, done)) + journey.uses


def refreshed(state: State, found: Found) -> Turn:
    """The roster says something new of the learner. Nothing is said: they know it already."""
    if state.person is None or "person" not in found.data:
        return Turn(state)
    person = convert(found.data["person"], Person)
    follows = state.zone == state.person.zone or not state.zone
    return Turn(replace(state, person=person, zone=person.zone if follows else state.zone))


FLOW = Flow(begin, ask, answer)
