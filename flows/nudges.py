"""What is said unasked: a reminder at the time somebody chose to learn, a request to a manager."""

from datetime import datetime, timedelta

from msgspec.structs import replace

from content.schema import Content
from flows import steps
from flows.speech import say, tell
from flows.study import PAUSE_AFTER, study_timer
from flows.types import (
    Answer,
    Ask,
    Choice,
    Fired,
    Flow,
    Found,
    Look,
    Record,
    Reply,
    State,
    Turn,
)

RECENT = timedelta(hours=1)
"""Whoever wrote so recently needs no reminder."""


def fired(state: State, event: Fired, now: datetime, content: Content) -> Turn:
    """A timer is due. It takes nobody's floor: its buttons are good at any time."""
    match event.kind:
        case "study":
            return _study(state, event, now, content)
        case "confirm_use":
            return Turn(state, (_confirm_request(state, event, content),))
        case "use_confirmed":
            return Turn(state, (_unasked(state, content, "use_confirmed", event),))
        case "asked_hr":
            return Turn(state, (_unasked(state, content, "hr_question", event),))
        case _:
            raise ValueError(f"no such timer: {event.kind}")


def _unasked(state: State, content: Content, key: str, event: Fired) -> Reply:
    return replace(tell(state, content, key, **event.data), notify=True)


def _study(state: State, event: Fired, now: datetime, content: Content) -> Turn:
    if state.stopped or not state.consents.get("nudges"):
        return Turn(state)
    if state.heard_at and now - state.heard_at < RECENT:
        return Turn(state, (), study_timer(state, now))
    since = event.data.get("at")
    answered = since is not None and state.heard_at and state.heard_at.timestamp() > since
    unanswered = 0 if answered or since is None else event.data["unanswered"] + 1
    here = steps.current(state, content)
    if here is None:
        return Turn(state)
    if unanswered >= PAUSE_AFTER:
        line = replace(tell(state, content, "nudges_paused"), notify=True)
        return Turn(state, (line,), (Record("nudges_paused"),))
    text = say(state, content, "study_time", next=say(state, content, "next_" + here[1]))
    button = Choice("go", say(state, content, "choice_continue"))
    stop = Choice("stop", say(state, content, "choice_stop"))
    reply = Reply(text, (button, stop), stamp="*", notify=True)
    timers = study_timer(state, now, unanswered, at=now.timestamp())
    return Turn(state, (reply,), (*timers, Record("nudged", {"kind": "study"})))


def _confirm_request(state: State, event: Fired, content: Content) -> Reply:
    """Ask a manager to confirm, in one tap, that something was used at work."""
    use = event.data["use"]
    buttons = (
        Choice(f"confirm:{use}", say(state, content, "choice_confirm_use")),
        Choice(f"decline:{use}", say(state, content, "choice_decline_use")),
    )
    text = say(state, content, "confirm_use", **event.data)
    return Reply(text, buttons, stamp="*", notify=True)


def confirmed(state: State, choice: str, content: Content) -> Turn:
    """A manager pressed one of the two buttons: the shell knows whether they may."""
    said, _, use = choice.partition(":")
    if said not in ("confirm", "decline") or not use.isdecimal():
        return Turn(state, (tell(state, content, "old_button"),))
    state = state.aside("confirming", "wait")
    return Turn(
        state, (), (Look("confirm_use", {"use": int(use), "confirmed": said == "confirm"}),)
    )


def found(state: State, found: Found, now: datetime, content: Content) -> Turn:
    """`data["result"]` is confirmed, declined, already or not_yours."""
    return Turn(state.back(), (tell(state, content, "confirm_" + found.data["result"]),))


def _wait(state: State, now: datetime, content: Content) -> Ask:
    return Ask(say(state, content, "one_moment"))


def _go_back(state: State, answer: Answer, now: datetime, content: Content) -> Turn:
    return Turn(state.back())


CONFIRMING = Flow(lambda state, now, content: Turn(state.back()), _wait, _go_back, found)
"""Waits, within one turn, for the shell to say whether a manager may confirm."""
