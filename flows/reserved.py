"""What is heard in every flow and never captured by content: menu, help, stop, language …"""

from datetime import datetime
from typing import Any

from msgspec import to_builtins
from msgspec.structs import replace

from content.schema import Content, Lang
from flows import campaigns, digest, home, leaving, nudges, placement, reminders, steps
from flows.practice import DUE
from flows.speech import choices, say, tell
from flows.types import (
    Answer,
    Ask,
    CancelTimers,
    Chose,
    Floor,
    Flow,
    Forget,
    Found,
    Look,
    Record,
    Reply,
    State,
    Turn,
    Unsent,
    Wrote,
)

SIDES = {"reminders": "reminders", "team": "digest", "practice": "practice"}
"""Words that begin a side conversation once the notice has been read."""


def heard(state: State, word: str, now: datetime, content: Content) -> Turn:
    """A reserved word, typed or chosen. One that only says something leaves no menu behind."""
    turn = _obeyed(state, word, now, content)
    passing = turn.state.floor == state.floor and state.floor.flow == "menu" and word != "menu"
    return replace(turn, state=turn.state.back()) if passing else turn


def _obeyed(state: State, word: str, now: datetime, content: Content) -> Turn:
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
            return _switch(state, "en" if state.lang == "th" else "th", content)
        case "thai":
            return _switch(state, "th", content)
        case "english":
            return _switch(state, "en", content)
        case "go":
            return _go(state, now, content)
        case "my_data":
            return Turn(state.aside("mydata"))
        case "reminders" | "team" | "practice":  # nothing to set before the notice has been read
            return Turn(state.aside(SIDES[word]) if state.welcomed else state)
        case "recall":
            return Turn(state.aside("practice", of=DUE) if state.welcomed else state)
        case "erase":
            return Turn(state.aside("mydata", "sure"))
        case "ask_hr":
            return Turn(state.aside("askhr"))
        case "report":
            return Turn(state, (), (Look("report", {"name": "funnel", "lang": state.lang}),))
        case "start":
            return _started(state, content)
        case _:
            raise ValueError(f"no such reserved word: {word}")


def reported(state: State, found: Found, now: datetime, content: Content) -> Turn:
    """`data` has the report's `text`, or none for whoever may not see it."""
    text = found.data.get("text") or say(state, content, "report_denied")
    return Turn(state, (Reply(text),))


def standing(state: State, choice: str, now: datetime, content: Content) -> Turn:
    """A button that is good at any time, beside those that are reserved words."""
    if choice in ("nudges_on", "nudges_off"):
        return reminders.switch(state, choice == "nudges_on", now, content)
    if choice == "weekly_off":
        return digest.weekly_off(state, content)
    if pressed := campaigns.press(choice, content):
        return _campaign(state, pressed, now, content)
    return nudges.confirmed(state, choice, content)


def _campaign(state: State, pressed: campaigns.Press, now: datetime, content: Content) -> Turn:
    """The button of a campaign was pressed: note it, and go where it leads."""
    turn = campaigns.answered(state, pressed, content)
    if isinstance(turn, str):
        turn = heard(state, turn, now, content)
    return replace(turn, effects=(pressed.fact, *turn.effects))


def _started(state: State, content: Content) -> Turn:
    """The chat was opened: a greeting, and wherever the learner was."""
    if state.stopped or not state.notice:
        return Turn(state)  # the notice greets by itself
    return Turn(state, (tell(state, content, "hello_again"),))


def _go(state: State, now: datetime, content: Content) -> Turn:
    """Go on: back to what was open, and from between two activities into the next."""
    if state.stopped:
        return _resume(state, now, content)
    if state.floor.side:
        return Turn(state.back())
    if state.floor.flow == "home" and steps.current(state, content):
        return home.go(state, now, content)
    return Turn(state)


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
    if state.name.message == event.message:
        state = replace(state, name=Wrote(""))
    floor = _scrubbed(state.floor, event.message)
    paused = tuple(_scrubbed(floor, event.message) for floor in state.paused)
    return Turn(replace(state, floor=floor, paused=paused), (), (Forget(event.message),))


def _scrubbed(floor: Floor, message: str) -> Floor:
    def blank(value: Any) -> Any:
        if isinstance(value, dict) and value.get("message") == message:
            return to_builtins(Wrote(""))
        return value

    return replace(floor, note={key: blank(value) for key, value in floor.note.items()})


# --- stopping and coming back --------------------------------------------------------


def _stop(state: State, content: Content) -> Turn:
    if state.stopped:
        return Turn(state.back())
    return Turn(
        replace(state.aside("stopped", "stopped"), stopped=True, once=None, nudge_at=None),
        (tell(state, content, "stopped"),),
        (CancelTimers(), Record("stopped")),
    )


def _resume(state: State, now: datetime, content: Content) -> Turn:
    if not state.stopped:
        return Turn(state, (tell(state, content, "hello_again"),))
    if state.leaving:  # coming back is no word on whether all is still to be deleted
        return Turn(state.aside("mydata", "sure"))
    state = replace(state, stopped=False, quiet=False).back()
    again = digest.timer(state, now, content)
    return Turn(state, (tell(state, content, "resumed"),), (*again, Record("resumed")))


def _stopped_ask(state: State, now: datetime, content: Content) -> Ask:
    if state.leaving:
        return leaving.waits(state, content)
    return Ask(say(state, content, "is_stopped"), choices(state, content, "resume"), writes=True)


def _stopped_answer(state: State, answer: Answer, now: datetime, content: Content) -> Turn:
    match answer:
        case Chose("undo_erase"):
            return leaving.undo(state)
        case Chose():
            return _resume(state, now, content)
        case _:
            return Turn(state, (tell(state, content, "still_stopped"),))


STOPPED = Flow(
    lambda state, now, content: Turn(state.move("stopped")), _stopped_ask, _stopped_answer
)


def _switch(state: State, lang: Lang, content: Content) -> Turn:
    state = replace(state, lang=lang)
    return Turn(state, (tell(state, content, "language"),), (Record("language", {"to": lang}),))


# --- the menu ------------------------------------------------------------------------

LATER = ("plan", "lesson", "apply")
"""Activities that the menu offers once there is a plan to speak of."""


def _menu_begin(state: State, now: datetime, content: Content) -> Turn:
    return Turn(state.move("open"))


def _menu_ask(state: State, now: datetime, content: Content) -> Ask:
    ids = ["resume" if state.stopped else "continue", "progress"]
    ids[0] = "undo_erase" if state.leaving else ids[0]
    if state.person and state.welcomed and not state.stopped and state.digest:
        ids += ["team"]
    if state.welcomed and not state.stopped:
        ids += LATER if state.journey.plan else []
        ids += ["why_group"] if state.placed else []
        ids += [] if state.person else ["claim"]
        ids += ["reminders"]
    ids += ["my_data", "ask_hr"] if state.welcomed else []
    ids += ["language", "help"] + ([] if state.stopped else ["stop"])
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
        case "undo_erase":
            return leaving.undo(state)
        case "plan" | "lesson" | "apply" | "claim" as flow:
            return Turn(state.at(flow))
        case word:
            return heard(state, word, now, content)


MENU = Flow(_menu_begin, _menu_ask, _menu_answer)


# --- coming back after days of silence -----------------------------------------------


def _return_begin(state: State, now: datetime, content: Content) -> Turn:
    return Turn(state.move("back"), (), (Record("returned"),))


def _return_ask(state: State, now: datetime, content: Content) -> Ask:
    text = say(state, content, "welcome_back", where=_where(state, content))
    return Ask(text, choices(state, content, "continue", "restart", "menu"))


def _where(state: State, content: Content) -> str:
    """Where somebody was before the silence, in one line."""
    here = steps.current(state, content)
    if state.left == "home" and here is None:
        return say(state, content, "where_home_done")
    next_ = say(state, content, "next_" + here[1]) if here else ""
    return say(state, content, "where_" + state.left, next=next_)


def _return_answer(state: State, answer: Answer, now: datetime, content: Content) -> Turn:
    match answer:
        case Chose("continue"):
            return _go(state.back(), now, content)
        case Chose("restart"):
            return Turn(state.at(state.left))
        case _:
            return Turn(state.aside("menu"))


RETURN = Flow(_return_begin, _return_ask, _return_answer)
