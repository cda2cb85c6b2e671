"""What is done about a message that answers no question: what it asks for, if that is sure; if not,
a choice of two or three things that it may mean."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple

from msgspec.structs import replace

from content.schema import Content
from flows import claim, reminders, reserved, steps
from flows.calendar import at_minute, local
from flows.details import DAYS, Slots
from flows.intents import UNKNOWN, Understood, named_language, understand
from flows.speech import choices, put_off, reader, say, tell
from flows.types import Answer, Ask, Chose, Flow, Json, Said, State, Turn, Wrote
from flows.when import Later, Once, Weekly, When, say_when

SURE, IN_A_TEST = 0.75, 0.9
"""From here on, what a message means is done; below, it is asked. In the middle of a test it may
be somebody's own answer, and nothing is asked."""
MAYBE, NOTHING = 0.25, 0.6
"""What is less likely is not even offered; and nothing is, if that is as likely as this."""
MOST = 3
BUTTONS = {
    "start": "go",
    "menu": "menu",
    "help": "help",
    "progress": "progress",
    "plan": "plan",
    "lesson": "lesson",
    "quiz": "practice",
    "review": "recall",
    "placement": "why_group",
    "why_group": "why_group",
    "result": "progress",
    "remind": "reminders",
    "snooze": "later",
    "stop": "stop",
    "resume": "resume",
    "team_digest": "team",
    "my_data": "my_data",
    "erase": "erase",
    "language": "language",
    "ask_hr": "ask_hr",
    "certificate": "progress",
    "evidence": "apply",
    "claim_code": "claim",
}
"""The button that asks for the same; intents without one are never offered."""
PASSING = ("menu", "return")
"""Nobody wants to come back to these."""
EARLY = ("help", "language", "thanks", "my_data", "erase")
"""What is understood while somebody is being welcomed: what is theirs, and what harms nothing."""
WHILE_STOPPED = ("resume", "my_data", "erase", "help", "language", "ask_hr")
PLANNED = ("plan", "lesson", "apply")
"""What there is once there is a plan; before, the way to it is the next step."""


class _Heard(NamedTuple):
    """A message, and where it was heard."""

    state: State
    said: Said
    ask: Ask
    found: Understood
    now: datetime
    content: Content

    @property
    def slots(self) -> Slots:
        return self.found.slots


def heard(
    state: State, said: Said, ask: Ask, now: datetime, content: Content
) -> Turn | Chose | None:
    """What comes of words that the open question has no use for; None if they mean nothing here.
    A choice is the open question's."""
    found = understand(said.text, now, content, state.zone)
    if not state.welcomed and found.intent not in EARLY:
        return None
    here = _Heard(state, said, ask, found, now, content)
    tested = any(not choice.label for choice in ask.choices)
    sure = found.confidence >= (IN_A_TEST if tested else SURE)
    if found.intent not in (UNKNOWN, "stop") and sure:
        return _done(here)
    if not state.welcomed or state.stopped or (tested and found.intent != "stop"):
        return None
    return _offered(here)


def _offered(here: _Heard) -> Turn | None:
    """Ask which of a few things is meant."""
    likely = [
        (intent, share)
        for intent, share in here.found.guesses
        if share >= MAYBE or intent == here.found.intent
    ]
    if not likely or (likely[0][0] == UNKNOWN and likely[0][1] >= NOTHING):
        return None
    ids = [BUTTONS[intent] for intent, _ in likely if intent in BUTTONS]
    ids += ["later"] if "stop" in ids else []
    ids = [id for id in dict.fromkeys(ids) if _offers(id, here.state)]
    if not ids:
        return None
    return Turn(_between(here.state, ids=ids[:MOST], area=here.slots.get("area", "")))


def _between(state: State, **note: Json) -> State:
    """A question in between, after which also a side conversation goes on."""
    asked = state.aside("meaning", "which", **note)
    if not state.floor.side or state.floor.flow in PASSING:
        return asked
    return replace(asked, paused=(*state.paused, state.floor))


def _offers(id: str, state: State) -> bool:
    """Whether a button makes sense for this learner now."""
    if id in PLANNED:
        return state.journey.plan is not None
    if id == "claim":
        return state.person is None
    if id == "resume":
        return state.stopped
    return id != "why_group" or state.placed is not None


# --- the question --------------------------------------------------------------------------


def ask(state: State, now: datetime, content: Content) -> Ask:
    buttons = choices(state, content, *state.floor.note["ids"], "neither")
    return Ask(say(state, content, "meaning"), buttons)


def answer(state: State, answer: Answer, now: datetime, content: Content) -> Turn:
    assert isinstance(answer, Chose)
    area, before = state.floor.note["area"], state.back()
    if answer.id == "neither":
        return Turn(before, (tell(state, content, "meaning_neither"),))
    if answer.id == "later":
        return put_off(before, content)
    return _wanted(before, answer.id, area, now, content)


FLOW = Flow(lambda state, now, content: Turn(state.back()), ask, answer)


# --- doing it ------------------------------------------------------------------------------


def _done(here: _Heard) -> Turn | Chose | None:
    """What was asked for, by the code that does it for a button or a reserved word."""
    intent, state = here.found.intent, here.state
    if state.stopped and intent not in WHILE_STOPPED:
        return None
    if own := _OWN.get(intent):
        return own(here)
    return _wanted(state, BUTTONS[intent], here.slots.get("area", ""), here.now, here.content)


def _wanted(state: State, id: str, area: str, now: datetime, content: Content) -> Turn:
    """What a button stands for. A plan, lessons and uses at work come with the plan."""
    if id in PLANNED and state.journey.plan is None:
        id = "go"
    match id:
        case "practice" if area in content.questions:
            return Turn(state.aside("practice", of=area))
        case "lesson" if area in content.lessons:
            return Turn(state.aside("menu").at("lesson", area=area))
        case "plan" | "lesson" | "apply" | "claim":  # as from the menu: what was open waits
            return Turn(state.aside("menu").at(id))
        case _:
            return reserved.heard(state, id, now, content)


def _press(here: _Heard, *ids: str) -> Chose | None:
    """A button of the open question, the first of these that it has."""
    there = {choice.id for choice in here.ask.choices}
    return next((Chose(id) for id in ids if id in there), None)


def _agrees(here: _Heard) -> Chose | None:
    """Yes or no, as a plain one would be read."""
    words = here.content.words
    plain = (words.yes if here.found.intent == "yes" else words.no)[0]
    chosen = reader(here.content).choice(plain, here.ask.choices, own_words=True)
    return Chose(chosen) if chosen else None


def _back(here: _Heard) -> Turn | Chose | None:
    if pressed := _press(here, "back", "keep", "never_mind"):
        return pressed
    return Turn(here.state.back()) if here.state.floor.side else None


def _language(here: _Heard) -> Turn:
    word = named_language(here.said.text, here.content) or "language"
    return reserved.heard(here.state, word, here.now, here.content)


def _certificate(here: _Heard) -> Turn:
    """Its step, if that is next; else how far it is until then."""
    next_ = steps.current(here.state, here.content)
    if next_ is not None and next_[1] == "finish":
        return Turn(here.state.aside("menu").at("finish"))
    line = tell(here.state, here.content, "meaning_certificate")
    return Turn(here.state, (line, steps.progress(here.state, here.content)))


def _code(here: _Heard) -> Turn | None:
    """A code is tried at once; a question about it leads to where one is typed."""
    if code := here.slots.get("code"):
        return claim.entered(here.state, code)
    if here.state.person is not None:
        return Turn(here.state, (tell(here.state, here.content, "claim_already"),))
    return Turn(here.state.aside("menu").at("claim"))


def _team(here: _Heard) -> Turn:
    """The team, or the unit of it that was named."""
    unit = here.slots.get("unit", "")
    return Turn(here.state.aside("digest", named=unit) if unit else here.state.aside("digest"))


def _remind(here: _Heard) -> Turn:
    """The time that was named, or where times are set."""
    when = _when(here)
    if when is None:
        return reserved.heard(here.state, "reminders", here.now, here.content)
    return reminders.heard(here.state, when, _said_back(here, when), here.now, here.content)


def _snooze(here: _Heard) -> Turn | Chose:
    """Not now: the open question waits, and so do reminders if it was said how long."""
    when, state, told = _when(here), here.state, Turn(here.state)
    if when is not None and state.consents.get("nudges", False):
        said = _said_back(here, when)
        told = reminders.heard(state, when, said, here.now, here.content)
        state = told.state
    elif pressed := _press(here, "later"):
        return pressed
    turn = put_off(state, here.content) if state.floor.flow != "home" else Turn(state)
    if not told.replies and not turn.replies:
        turn = put_off(state, here.content)
    return Turn(turn.state, told.replies or turn.replies, told.effects + turn.effects)


def _said_back(here: _Heard, when: When) -> Wrote:
    """The same in words that are nothing else: they are read again once reminders are allowed."""
    said = say_when(when, here.state.lang, here.content, here.state.zone)
    return Wrote(said, here.said.message)


def _when(here: _Heard) -> When | None:
    """The time among a message's details."""
    slots, day = here.slots, local(here.now, here.state.zone)
    time = slots.get("time")
    minute = int(time[:2]) * 60 + int(time[3:]) if time else None
    if "weekdays" in slots:
        return Weekly(tuple(DAYS.index(each) for each in slots["weekdays"]), minute)
    if "period" in slots:
        return _after(here.now, slots["period"])
    if "date" in slots:
        named = datetime.fromisoformat(slots["date"]).date()
        at = day.replace(year=named.year, month=named.month, day=named.day)
        return Later(at_minute(at, _MORNING)) if minute is None else Once(at_minute(at, minute))
    if minute is None:
        return None
    at = at_minute(day, minute)
    return Once(at if at > day else at + timedelta(days=1))


_MORNING = 9 * 60
_PERIOD = re.compile(r"P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?)?")
LONGEST = timedelta(days=366)


def _after(now: datetime, period: str) -> When | None:
    """So long from now; a month is 30 days."""
    found = _PERIOD.fullmatch(period)
    if found is None:
        return None
    years, months, weeks, days, hours, minutes = (int(part or 0) for part in found.groups())
    if max(years, months, weeks, days, hours, minutes) > 10_000:
        return None
    days += years * 365 + months * 30 + weeks * 7
    gap = timedelta(days=days, hours=hours, minutes=minutes)
    if not timedelta() < gap <= LONGEST:
        return None
    return Later(now + gap) if days else Once((now + gap).replace(second=0, microsecond=0))


def _tells(key: str) -> Callable[[_Heard], Turn | Chose | None]:
    return lambda here: Turn(here.state, (tell(here.state, here.content, key),))


_OWN: dict[str, Callable[[_Heard], Turn | Chose | None]] = {
    "greeting": _tells("hello_again"),
    "thanks": _tells("meaning_thanks"),
    "yes": _agrees,
    "no": _agrees,
    "back": _back,
    "skip": lambda here: _press(here, "skip"),
    "language": _language,
    "certificate": _certificate,
    "claim_code": _code,
    "team_digest": _team,
    "remind": _remind,
    "snooze": _snooze,
}
"""Intents that do more than press a button."""
