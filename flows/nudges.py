"""What is said unasked: a reminder at the time somebody chose to learn, a request to a manager."""

from datetime import datetime, timedelta

from msgspec.structs import replace

from content.schema import Content
from flows import steps
from flows.speech import choices, say, tell
from flows.study import PAUSE_AFTER, study_timer
from flows.types import (
    Choice,
    Fired,
    Found,
    Look,
    Record,
    Reply,
    SetTimer,
    State,
    Turn,
)

BUSY = timedelta(hours=1)
"""Whoever wrote so recently needs no reminder."""


def fired(state: State, event: Fired, now: datetime, content: Content) -> Turn:
    """A timer is due. It takes nobody's floor: its buttons are good at any time."""
    if event.kind == "study":
        return _study(state, event, now, content)
    if state.stopped or not state.welcomed:  # not now: look again tomorrow
        again = SetTimer(event.kind, event.key, now + timedelta(days=1), event.data)
        return Turn(state, (), (again,))
    match event.kind:
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
    if state.stopped or state.quiet or not state.consents.get("nudges"):
        return Turn(state)
    if state.heard_at and now - state.heard_at < BUSY:
        return Turn(state, (), study_timer(state, now))
    since = event.data.get("at")
    answered = since is not None and state.heard_at and state.heard_at.timestamp() > since
    unanswered = 0 if answered or since is None else event.data["unanswered"] + 1
    here = steps.current(state, content)
    if here is None:
        return Turn(state)
    if unanswered >= PAUSE_AFTER:
        text = say(state, content, "nudges_paused")
        line = Reply(text, choices(state, content, "nudges_on"), stamp="*", notify=True)
        return Turn(replace(state, quiet=True), (line,), (Record("nudges_paused"),))
    text = say(state, content, "study_time", next=say(state, content, "next_" + here[1]))
    go = Choice("go", say(state, content, "choice_continue"))
    reply = Reply(text, (go, *choices(state, content, "stop")), stamp="*", notify=True)
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
    if said not in ("confirm", "decline") or not use[:18].isdecimal():
        return Turn(state, (tell(state, content, "old_button"),))
    args = {"use": int(use[:18]), "confirmed": said == "confirm"}
    return Turn(state, (), (Look("confirm_use", args),))


def found(state: State, found: Found, now: datetime, content: Content) -> Turn:
    """`data["result"]` is confirmed, declined, already or not_yours."""
    return Turn(state, (tell(state, content, "confirm_" + found.data["result"]),))
