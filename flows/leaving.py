"""Deleting everything: nothing is used from the learner's word on, and gone within a day."""

from datetime import datetime

from msgspec.structs import replace

from content.schema import Content
from flows.calendar import local
from flows.speech import choices, say, tell
from flows.text import long_date
from flows.types import (
    Answer,
    Ask,
    CancelTimers,
    Chose,
    Erase,
    Floor,
    Flow,
    Found,
    Look,
    Record,
    State,
    Turn,
)


def sure(state: State, content: Content) -> Ask:
    """Whether all is to be deleted; or, where that was said already, whether it still is."""
    if state.leaving:
        return waits(state, content, "erase_now", "back")
    text = say(state, content, "erase_sure")
    return Ask(text, choices(state, content, "erase_all", "keep_data"))


def waits(state: State, content: Content, *more: str) -> Ask:
    """All is stopped, and can still be undone."""
    text = say(state, content, "is_leaving", **until(state.leaving, state))
    return Ask(text, choices(state, content, "undo_erase", *more), writes=not more)


def until(when: datetime | None, state: State) -> dict[str, str]:
    """A moment as the slots `date` and `time`."""
    if when is None:
        return {"date": "–", "time": "–"}
    here = local(when, state.zone)
    return {"date": long_date(here, state.lang), "time": f"{here:%H.%M}"}


def erase(state: State) -> Turn:
    """The learner is sure: the shell notes the wish and its hour."""
    return Turn(state, (), (Look("wish", {"kind": "erase"}),))


def stop(state: State, due: datetime, content: Content) -> Turn:
    """Silence at once; `due` is when everything will be gone."""
    stopped = replace(
        state,
        leaving=due,
        stopped=True,
        once=None,
        nudge_at=None,
        floor=Floor("stopped", "stopped", side=True),
    )
    line = tell(state, content, "erase_soon", **until(due, state))
    return Turn(stopped, (line,), (CancelTimers(), Record("erase_asked")))


def at_once(state: State) -> Turn:
    """Do not wait any longer."""
    fresh = State(state.seed, lang=state.lang)
    return Turn(fresh.at("erased", "done"), (), (Erase(),))


def undo(state: State) -> Turn:
    return Turn(state, (), (Look("undo_erase"),))


def found(state: State, found: Found, now: datetime, content: Content) -> Turn:
    """The wish has been taken back."""
    back = replace(state, leaving=None, stopped=False).back()
    return Turn(back, (tell(state, content, "erase_undone"),), (Record("erase_undone"),))


def _erased_ask(state: State, now: datetime, content: Content) -> Ask:
    return Ask(say(state, content, "erased"), choices(state, content, "start_again"))


def _erased_answer(state: State, answer: Answer, now: datetime, content: Content) -> Turn:
    return Turn(state.at("welcome"))


ERASED = Flow(lambda state, now, content: Turn(state.at("welcome")), _erased_ask, _erased_answer)
"""Nothing is held any more; pressing its button makes a new learner, who starts at the notice."""


def answer(state: State, answer: Answer, content: Content) -> Turn:
    """What is said to `sure`."""
    match answer:
        case Chose("erase_all"):
            return erase(state)
        case Chose("erase_now"):
            return at_once(state)
        case Chose("undo_erase"):
            return undo(state)
        case Chose("keep_data"):
            return Turn(state.back(), (tell(state, content, "not_erased"),))
        case _:
            return Turn(state.back())
