"""What is heard in every flow and never captured by content: menu, help, stop, language …"""

from datetime import datetime
from typing import Any

from msgspec import to_builtins
from msgspec.structs import replace

from content.schema import Content
from flows import nudges, placement, steps
from flows.speech import choices, say, tell
from flows.study import study_timer
from flows.types import (
    Answer,
    Ask,
    CancelTimers,
    Chose,
    Floor,
    Flow,
    Forget,
    Record,
    State,
    Turn,
    Unsent,
    Wrote,
)


def heard(state: State, word: str, now: datetime, content: Content) -> Turn:
    """A reserved word, typed or chosen."""
    match word:
        case "menu":
            return Turn(state.aside("menu"))
        case "help":
            return Turn(state, (tell(state, content, "help", dpo=content.dpo),))
        case "progress":
            return Turn(state, (steps.progress(state, content),))
        case "why_group":
            return _why_group(state, content)
        case "stop":
            return _stop(state, content)
        case "resume":
            return _resume(state, now, content)
        case "language":
            return _switch(state, content)
        case "my_data":
            return Turn(state.aside("mydata"))
        case "erase":
            return Turn(state.aside("mydata", "sure"))
        case "ask_hr":
            return Turn(state.aside("askhr"))
        case "start":
            return started(state, False, content)
        case _:
            raise ValueError(f"no such reserved word: {word}")


def standing(state: State, choice: str, now: datetime, content: Content) -> Turn:
    """A button that is good at any time: a reserved word, or the answer to a request."""
    if choice in content.words.reserved:
        return heard(state, choice, now, content)
    if choice == "go":
        return Turn(state) if not state.stopped else _resume(state, now, content)
    if ":" in choice:
        return nudges.confirmed(state, choice, content)
    return Turn(state, (tell(state, content, "old_button"),))


def started(state: State, first: bool, content: Content) -> Turn:
    """The chat was opened: a greeting, and wherever the learner was."""
    if first or state.stopped or not state.notice:
        return Turn(state)  # the notice, which greets, comes before anything else
    return Turn(state, (tell(state, content, "hello_again"),))


def _why_group(state: State, content: Content) -> Turn:
    if state.placed is None:
        return Turn(state, (tell(state, content, "group_none"),))
    explained = placement.explained(state, content)
    if state.floor.flow == "placement":
        return Turn(state, (explained,))
    return Turn(state.aside("placement", "shown"), (explained,))


def unsend(state: State, event: Unsent) -> Turn:
    """The learner took a message back: forget what it said, here and in the facts."""
    plan = state.journey.plan
    if plan is not None and plan.task.message == event.message:
        state = state.walk(plan=replace(plan, task=Wrote("")))
    floors = {
        "floor": _scrubbed(state.floor, event.message),
        "paused": state.paused and _scrubbed(state.paused, event.message),
    }
    return Turn(replace(state, **floors), (), (Forget(event.message),))


def _scrubbed(floor: Floor, message: str) -> Floor:
    def blank(value: Any) -> Any:
        if isinstance(value, dict) and value.get("message") == message:
            return to_builtins(Wrote(""))
        return value

    return replace(floor, note={key: blank(value) for key, value in floor.note.items()})


# --- stopping and coming back --------------------------------------------------------


def _stop(state: State, content: Content) -> Turn:
    if state.stopped:
        return Turn(state)
    return Turn(
        replace(state.aside("stopped", "stopped"), stopped=True),
        (tell(state, content, "stopped"),),
        (CancelTimers(), Record("stopped")),
    )


def _resume(state: State, now: datetime, content: Content) -> Turn:
    if not state.stopped:
        return Turn(state, (tell(state, content, "hello_again"),))
    state = replace(state.back(), stopped=False)
    timers = study_timer(state, now)
    return Turn(state, (tell(state, content, "resumed"),), (*timers, Record("resumed")))


def _stopped_ask(state: State, now: datetime, content: Content) -> Ask:
    return Ask(say(state, content, "is_stopped"), choices(state, content, "resume"))


def _stopped_answer(state: State, answer: Answer, now: datetime, content: Content) -> Turn:
    return _resume(state, now, content)


STOPPED = Flow(
    lambda state, now, content: Turn(state.move("stopped")), _stopped_ask, _stopped_answer
)


def _switch(state: State, content: Content) -> Turn:
    state = replace(state, lang="en" if state.lang == "th" else "th")
    return Turn(
        state, (tell(state, content, "language"),), (Record("language", {"to": state.lang}),)
    )


# --- the menu ------------------------------------------------------------------------

LATER = ("plan", "lesson", "apply")
"""Activities that the menu offers once there is a plan to speak of."""


def _menu_begin(state: State, now: datetime, content: Content) -> Turn:
    return Turn(state.move("open"))


def _menu_ask(state: State, now: datetime, content: Content) -> Ask:
    ids = ["continue", "progress"]
    if state.welcomed:
        ids += [activity for activity in LATER if state.journey.plan or activity == "apply"]
        ids += ["why_group"] if state.placed else []
        ids += [] if state.person else ["claim"]
        ids += ["my_data", "ask_hr"]
    ids += ["language", "help", "stop"]
    return Ask(
        say(state, content, "menu"),
        choices(state, content, *ids),
        say(state, content, "menu_title"),
    )


def _menu_answer(state: State, answer: Answer, now: datetime, content: Content) -> Turn:
    assert isinstance(answer, Chose)
    match answer.id:
        case "continue":
            return Turn(state.back())
        case "plan" | "lesson" | "apply" | "claim" as flow:
            return Turn(state.aside(flow))
        case word:
            turn = heard(state, word, now, content)
            # words that only say something leave no menu standing behind them
            stays = turn.state.floor == state.floor
            return replace(turn, state=turn.state.back()) if stays else turn


MENU = Flow(_menu_begin, _menu_ask, _menu_answer)


# --- coming back after days of silence -----------------------------------------------


def _return_begin(state: State, now: datetime, content: Content) -> Turn:
    return Turn(state.move("back"), (), (Record("returned"),))


def _return_ask(state: State, now: datetime, content: Content) -> Ask:
    assert state.paused is not None
    where = say(state, content, "where_" + state.paused.flow)
    text = say(state, content, "welcome_back", where=where)
    return Ask(text, choices(state, content, "continue", "restart", "menu"))


def _return_answer(state: State, answer: Answer, now: datetime, content: Content) -> Turn:
    assert state.paused is not None
    match answer:
        case Chose("continue"):
            return Turn(state.back())
        case Chose("restart"):
            return Turn(replace(state, floor=Floor(state.paused.flow), paused=None))
        case _:
            return Turn(state.at("menu"))


RETURN = Flow(_return_begin, _return_ask, _return_answer)
