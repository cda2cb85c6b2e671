"""What is held about you and why; what you allowed; deleting it all."""

from datetime import datetime

from content.schema import Content
from flows import reminders, welcome
from flows.speech import choices, say, tell
from flows.types import (
    Answer,
    Ask,
    Chose,
    Erase,
    Flow,
    Found,
    Look,
    State,
    Turn,
)


def begin(state: State, now: datetime, content: Content) -> Turn:
    return Turn(state.move("looking"), (), (Look("my_data"),))


def found(state: State, found: Found, now: datetime, content: Content) -> Turn:
    """`data` counts what is held: facts, messages and photos."""
    return Turn(state.move("shown", held=found.data))


def ask(state: State, now: datetime, content: Content) -> Ask:
    if state.floor.place == "sure":
        return Ask(
            say(state, content, "erase_sure"), choices(state, content, "erase_all", "keep_data")
        )
    held = state.floor.note.get("held", {})
    text = say(
        state,
        content,
        "my_data",
        person=state.person.name if state.person else say(state, content, "my_data_guest"),
        group=content.group(state.placed.group).name.of(state.lang) if state.placed else "–",
        facts=held.get("facts", 0),
        messages=held.get("messages", 0),
        photos=held.get("photos", 0),
        notice=state.notice or "–",
        dpo=content.dpo,
    )
    allowed = state.consents.get("nudges", False) and not state.quiet
    switch = "nudges_off" if allowed else "nudges_on"
    buttons = choices(state, content, "back", switch, "reminders", "full_notice", "erase")
    return Ask(text, buttons, again=say(state, content, "my_data_again"))


def answer(state: State, answer: Answer, now: datetime, content: Content) -> Turn:
    match answer:
        case Chose("nudges_on" | "nudges_off" as switch):
            return reminders.switch(state, switch == "nudges_on", now, content)
        case Chose("reminders"):
            return Turn(state.aside("reminders"))
        case Chose("full_notice"):
            return Turn(state, welcome.full_notice(state, content))
        case Chose("erase"):
            return Turn(state.move("sure"))
        case Chose("erase_all"):
            fresh = State(state.seed, lang=state.lang)
            return Turn(fresh.at("erased", "done"), (), (Erase(),))
        case Chose("keep_data"):
            return Turn(state.back(), (tell(state, content, "not_erased"),))
        case _:
            return Turn(state.back())


FLOW = Flow(begin, ask, answer)


def _erased_ask(state: State, now: datetime, content: Content) -> Ask:
    return Ask(say(state, content, "erased"), choices(state, content, "start_again"))


def _erased_answer(state: State, answer: Answer, now: datetime, content: Content) -> Turn:
    return Turn(state.at("welcome"))


ERASED = Flow(lambda state, now, content: Turn(state.at("welcome")), _erased_ask, _erased_answer)
"""Nothing is held any more; pressing its button makes a new learner, who starts at the notice."""
