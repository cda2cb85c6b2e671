"""Claiming a roster entry with the one-time code that HR handed out."""

import re
from datetime import datetime

from msgspec import convert
from msgspec.structs import replace

from content.schema import Content
from flows import placement
from flows.speech import choices, say, tell
from flows.types import (
    Answer,
    Ask,
    Chose,
    Flow,
    Found,
    Look,
    Person,
    Record,
    State,
    Turn,
    Wrote,
)

_CODE = re.compile(r"[A-Za-z0-9\s-]{8,40}")


def begin(state: State, now: datetime, content: Content) -> Turn:
    return Turn(state.move("code"))


def ask(state: State, now: datetime, content: Content) -> Ask:
    text, again = say(state, content, "claim_code"), say(state, content, "claim_again")
    return Ask(text, choices(state, content, "no_code"), again=again, writes=True)


def answer(state: State, answer: Answer, now: datetime, content: Content) -> Turn:
    match answer:
        case Wrote(text=text) if not _CODE.fullmatch(text):  # it would use up one of few tries
            return Turn(state, (tell(state, content, "claim_unlike"),))
        case Wrote(text=text):
            return Turn(state, (), (Look("claim", {"code": text}),))
        case Chose() | _:
            return Turn(state.back(), (tell(state, content, "claim_later"),))


def found(state: State, found: Found, now: datetime, content: Content) -> Turn:
    """`data` has either a `person` or a `problem`: unknown, expired, used or too_many."""
    if "problem" in found.data:
        line = tell(state, content, "claim_" + found.data["problem"])
        back = state.back() if found.data["problem"] == "too_many" else state
        return Turn(back, (line,))
    person = convert(found.data["person"], Person)
    state = replace(state, person=person, zone=person.zone or state.zone).back()
    hello = tell(state, content, "claimed", name=person.name, unit=person.unit)
    told, effects = (hello,), (Record("claimed", {"person": person.id}),)
    placed = placement.by_roster(person, content)
    if placed is None or state.placed is None or state.placed.by != "answers":
        return Turn(state, told, effects)
    again = placement.place(state, placed, content)  # the roster knows better
    return Turn(again.state, told + again.replies, effects + again.effects)


def refreshed(state: State, found: Found) -> Turn:
    """The roster says something new of the learner. Nothing is said: they know it already."""
    if state.person is None or "person" not in found.data:
        return Turn(state)
    person = convert(found.data["person"], Person)
    follows = state.zone == state.person.zone or not state.zone
    return Turn(replace(state, person=person, zone=person.zone if follows else state.zone))


FLOW = Flow(begin, ask, answer)
