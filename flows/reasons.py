"""Why somebody may be written to unasked: at most one reason at a time, the most important."""

from collections.abc import Callable
from datetime import date, datetime
from typing import Literal

from msgspec import Struct

from content.schema import Content, Nudge, NudgeText
from flows import memory, steps
from flows.calendar import local, working_days
from flows.types import State, Times

Slot = Literal["work", "study", "once"]
"""What kind of moment it is: some time at work; the learner's own time to learn; one reminder
that they asked for."""


class Reason(Struct, frozen=True):
    """What to write about; the area of the plan with its date, if it is about one; how many
    questions wait, if it is about those."""

    nudge: Nudge
    area: str = ""
    due: datetime | None = None
    many: int = 0


def wanted(state: State) -> bool:
    """Whether the learner wants to hear from us at all."""
    allowed = state.consents.get("nudges", False) and not state.restricted
    return allowed and state.welcomed and not state.stopped and not state.quiet


def times(state: State) -> Times | None:
    """When the learner wants to learn: as said last, or as planned."""
    plan = state.journey.plan
    if state.times is None and plan is not None and plan.days:
        return Times(plan.days, plan.minute)
    return state.times


def unanswered(state: State) -> int:
    """How many nudges in a row the learner has not answered; whatever they say is an answer."""
    said, heard = state.nudged.at, state.heard_at
    return 0 if said is None or (heard and heard > said) else state.nudged.unanswered


def reason(state: State, at: datetime, slot: Slot, content: Content) -> Reason | None:
    """The reason to write at a moment, if there is one."""
    for nudge in content.nudges.nudges:
        day = local(at, state.zone).date()
        last = state.nudged.days.get(nudge.kind)
        if last and working_days(date.fromordinal(last), day, content) < nudge.spacing:
            continue
        found = _FITS[nudge.kind](state, nudge, day, slot, content)
        if found is not None:
            return found
    return None


def activity(state: State, content: Content) -> str:
    """What comes next for the learner; after the last step, a new round."""
    here = steps.current(state, content)
    return here[1] if here else "round"


def wording(state: State, nudge: Nudge, content: Content) -> NudgeText:
    """The words for a nudge: those for the activity or for any, never the same twice running."""
    now_at = activity(state, content)
    fitting = [text for text in nudge.texts if not text.activities or now_at in text.activities]
    others = [text for text in fitting if text.id != state.nudged.variant]
    return others[(state.seed + state.nudged.count) % len(others)]


def reviews_due(state: State, nudge: Nudge, day: date, content: Content) -> int:
    """How many reviews wait: the questions at the end of a round, left alone for some days."""
    waits = activity(state, content) == "review"
    return int(waits and _silent(state, day, content) >= nudge.after_working_days)


# --- what speaks for each kind ---------------------------------------------------------


def _once(state: State, nudge: Nudge, day: date, slot: Slot, content: Content) -> Reason | None:
    return Reason(nudge) if slot == "once" else None


def _overdue(state: State, nudge: Nudge, day: date, slot: Slot, content: Content) -> Reason | None:
    return _dated(
        state,
        nudge,
        lambda due: due < day and working_days(due, day, content) >= nudge.after_working_days,
    )


def _due(state: State, nudge: Nudge, day: date, slot: Slot, content: Content) -> Reason | None:
    return _dated(
        state,
        nudge,
        lambda due: due >= day and working_days(day, due, content) <= -nudge.after_working_days,
    )


def _dated(state: State, nudge: Nudge, fits: Callable[[date], bool]) -> Reason | None:
    """The area with the earliest date that fits, among those that are not done."""
    plan = state.journey.plan
    for area, due in sorted(plan.due.items(), key=lambda item: item[1]) if plan else ():
        quiz = state.journey.quizzes.get(area)
        if not (quiz and quiz.passed) and fits(local(due, state.zone).date()):
            return Reason(nudge, area, due)
    return None


def _recall(state: State, nudge: Nudge, day: date, slot: Slot, content: Content) -> Reason | None:
    """One message for a session, not one for each question."""
    waiting = memory.waiting(state, day, content)
    if not waiting:
        return None
    since = memory.oldest(state, waiting)
    long = working_days(since, day, content) >= nudge.after_working_days
    if len(waiting) < memory.ENOUGH and not long:
        return None
    return Reason(nudge, many=min(len(waiting), memory.SESSION))


def _review(state: State, nudge: Nudge, day: date, slot: Slot, content: Content) -> Reason | None:
    return Reason(nudge) if reviews_due(state, nudge, day, content) else None


def _study(state: State, nudge: Nudge, day: date, slot: Slot, content: Content) -> Reason | None:
    return Reason(nudge) if slot == "study" and steps.current(state, content) else None


def _back(state: State, nudge: Nudge, day: date, slot: Slot, content: Content) -> Reason | None:
    silent = _silent(state, day, content)
    return Reason(nudge) if silent >= nudge.after_working_days else None


def _idle(state: State, nudge: Nudge, day: date, slot: Slot, content: Content) -> Reason | None:
    """Whoever chose days of their own is reminded on those."""
    if times(state) is not None or steps.current(state, content) is None:
        return None
    silent = _silent(state, day, content)
    return Reason(nudge) if silent >= nudge.after_working_days else None


def _silent(state: State, day: date, content: Content) -> int:
    """Working days since the learner did something."""
    if state.heard_at is None:
        return 0
    return working_days(local(state.heard_at, state.zone).date(), day, content)


_FITS: dict[str, Callable[[State, Nudge, date, Slot, Content], Reason | None]] = {
    "once": _once,
    "overdue": _overdue,
    "due": _due,
    "recall": _recall,
    "review": _review,
    "study": _study,
    "back": _back,
    "idle": _idle,
}
