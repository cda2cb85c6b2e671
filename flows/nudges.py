"""What is said unasked: a nudge to go on learning, a request to a manager, somebody's word."""

from datetime import datetime, timedelta

from msgspec.structs import replace

from content.schema import Content, Nudge
from flows import digest, slots, steps, wishes
from flows.calendar import local, permitted
from flows.reasons import Reason, Slot, activity, reason, unanswered, wanted, wording
from flows.speech import choices, say, tell
from flows.text import long_date
from flows.types import (
    Choice,
    Fired,
    Found,
    Json,
    Look,
    Nudged,
    Record,
    Reply,
    SetTimer,
    State,
    Turn,
)

OLD = "study"
"""The kind of the timers that were set before there were nudges of other kinds."""
WAITS = 30
"""Days that somebody else's words wait for a learner who has stopped."""


def fired(state: State, event: Fired, now: datetime, content: Content) -> Turn:
    """A timer is due. It takes nobody's floor: its buttons are good at any time."""
    if event.kind in ("nudge", OLD):
        return _nudge(state, event, now, content)
    if event.kind == "roster":
        return Turn(state, (), (Look("person"),))
    if state.stopped or not state.welcomed:  # not now: look again tomorrow
        return Turn(state, (), _tomorrow(event, now))
    match event.kind:
        case "confirm_use":
            return Turn(state, (_confirm_request(state, event, content),))
        case "use_confirmed":
            return Turn(state, (_unasked(state, content, "use_confirmed", event),))
        case "digest":
            return digest.fired(state)
        case "cheer":
            return digest.cheer(state, content)
        case "wish":
            return Turn(state, (_wish(state, event, content),))
        case "wish_ended":
            return wishes.ended(state, event, content)
        case "asked_hr":
            return Turn(state, (_unasked(state, content, "hr_question", event),))
        case "relinked":
            return Turn(state, (_relinked(state, event, content),))
        case _:
            raise ValueError(f"no such timer: {event.kind}")


def _tomorrow(event: Fired, now: datetime) -> tuple[SetTimer, ...]:
    """Say it later; but nobody's words wait for longer than messages are kept."""
    days = event.data.get("days", 0) + 1
    data = {**event.data, "days": days}
    again = SetTimer(event.kind, event.key, now + timedelta(days=1), data)
    return (again,) if days <= WAITS else ()


def _wish(state: State, event: Fired, content: Content) -> Reply:
    """Tell an officer that somebody wants something done about their data, and by when."""
    due = local(datetime.fromisoformat(event.data["due"]))
    what = say(state, content, "wish_" + event.data["kind"])
    told = tell(state, content, "wish_told", what=what, date=long_date(due, state.lang))
    return replace(told, notify=True)


def _relinked(state: State, event: Fired, content: Content) -> Reply:
    """Tell an HR officer that somebody's chat was replaced by another."""
    at = local(datetime.fromisoformat(event.data["at"]), state.zone)
    slots = {
        **event.data,
        "channel": say(state, content, "channel_" + event.data["channel"]),
        "date": long_date(at.date(), state.lang),
        "time": f"{at:%H:%M}",
    }
    return replace(tell(state, content, "hr_relinked", **slots), notify=True)


def _unasked(state: State, content: Content, key: str, event: Fired) -> Reply:
    return replace(tell(state, content, key, **event.data), notify=True)


def _nudge(state: State, event: Fired, now: datetime, content: Content) -> Turn:
    """Say the one thing that there is a reason to say, and set the next timer."""
    if event.kind == OLD and state.nudge_at and state.nudge_at > now:
        return Turn(state)  # a timer of the newer kind waits already
    slot: Slot = event.data.get("slot", "study" if event.kind == OLD else "work")
    before = replace(state, nudge_at=None, once=None if slot == "once" else state.once)
    if not wanted(state):
        return Turn(before)
    if why := _kept_back(state, event, slot, now, content):
        turn = Turn(before, (), (Record("nudge_skipped", {"why": why}),))
    elif found := reason(state, now, slot, content):
        turn = _said(before, found, slot, now, content)
    else:
        turn = Turn(before)
    return slots.keep(before, turn, now, content)


def _kept_back(state: State, event: Fired, slot: Slot, now: datetime, content: Content) -> str:
    """Why nothing may be said at this moment, if so."""
    rules = content.nudges.rules
    if event.due and now - event.due > timedelta(hours=rules.late_hours):
        return "late"
    if not permitted(now, state.zone, content, chosen=slot != "work"):
        return "hours"
    if slot == "once":
        return ""
    if state.rests_until and now < state.rests_until:
        return "resting"
    said = state.nudged.at
    if said and local(said, state.zone).date() >= local(now, state.zone).date():
        return "one_a_day"
    heard = state.heard_at
    return "busy" if heard and now - heard < timedelta(minutes=rules.busy_minutes) else ""


def _said(state: State, found: Reason, slot: Slot, now: datetime, content: Content) -> Turn:
    nudge, rules = found.nudge, content.nudges.rules
    if nudge.purpose != "word" and unanswered(state) >= rules.pause_after:
        return _paused(state, slot, content)
    words = wording(state, nudge, content)
    fact = {"kind": nudge.kind, "variant": words.id, "purpose": nudge.purpose}
    day = local(now, state.zone).toordinal()
    days = {**state.nudged.days, nudge.kind: day}
    if nudge.purpose == "encouragement" and _held_out(state, rules.holdout):
        nudged = replace(state.nudged, count=state.nudged.count + 1, at=now, days=days)
        withheld = Record("nudge_withheld", fact)
        return Turn(replace(state, nudged=nudged), (), (withheld,))
    left_alone = unanswered(state) + (nudge.purpose != "word")
    nudged = Nudged(state.nudged.count + 1, left_alone, now, words.id, days)
    reply = Reply(
        words.of(state.lang).format_map(_slots(state, found, content)),
        (_button(state, nudge, content), *choices(state, content, "reminders", "nudges_off")),
        stamp="*",
        notify=True,
        purpose=nudge.purpose,
        chosen=slot != "work",
    )
    return Turn(replace(state, nudged=nudged), (reply,), (Record("nudged", fact),))


def _button(state: State, nudge: Nudge, content: Content) -> Choice:
    """What to do about it: go on with the path, or recall what is due."""
    if nudge.kind == "recall":
        return choices(state, content, "recall")[0]
    return steps.go_on(state, content)


def _slots(state: State, found: Reason, content: Content) -> dict[str, Json]:
    slots: dict[str, Json] = {"next": say(state, content, "next_" + activity(state, content))}
    slots["n"] = found.many
    if found.due is not None:
        slots["area"] = content.area(found.area).name.of(state.lang)
        slots["date"] = long_date(local(found.due, state.zone), state.lang)
    return slots


def _held_out(state: State, share: float) -> bool:
    """Whether a learner is one of those who get no encouragement: fixed for life."""
    return state.seed % 1000 < share * 1000


def _paused(state: State, slot: Slot, content: Content) -> Turn:
    """The last word, and how to have more: held back, it must still be read some day."""
    line = Reply(
        say(state, content, "nudges_paused"),
        choices(state, content, "nudges_on"),
        stamp="*",
        notify=True,
        purpose="review",
        chosen=slot != "work",
    )
    return Turn(replace(state, quiet=True), (line,), (Record("nudges_paused"),))


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
