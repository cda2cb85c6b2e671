"""When the next nudge may come: one timer for each learner, set anew whenever that may change."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from msgspec.structs import replace

from content.schema import Content
from flows import memory, steps
from flows.calendar import DAY, at_minute, day_off, is_working, local, permitted
from flows.reasons import Slot, reason, times, unanswered, wanted
from flows.types import CancelTimers, SetTimer, State, Turn

FARTHEST = 60
"""Days to look ahead for a reason to write; then we look again."""
LOST = timedelta(days=1)
"""A timer so long overdue when its learner writes is not there any more."""


def keep(before: State, turn: Turn, now: datetime, content: Content) -> Turn:
    """The turn with the timer set, moved or taken away, if something changed that decides it."""
    state = turn.state
    if not wanted(state):
        if state.nudge_at is None:
            return turn
        state = replace(state, nudge_at=None)
        return Turn(state, turn.replies, (*turn.effects, CancelTimers("nudge")))
    lost = state.nudge_at is None or state.nudge_at + LOST < now
    if not lost and _wishes(before) == _wishes(state):
        return turn
    at, slot = next_slot(state, now, content)
    if at == state.nudge_at and not lost and slot != "once":
        return turn
    timer = SetTimer("nudge", "nudge", at, {} if slot == "work" else {"slot": slot})
    return Turn(replace(state, nudge_at=at), turn.replies, (*turn.effects, timer))


def _wishes(state: State) -> tuple[object, ...]:
    """What decides when the learner may be written to, beside what they do."""
    return (
        *(wanted(state), times(state), state.once, state.rests_until, state.zone),
        *(_dues(state), memory.first_dues(state)),
    )


def _dues(state: State) -> dict[str, datetime]:
    return state.journey.plan.due if state.journey.plan else {}


def next_slot(state: State, now: datetime, content: Content) -> tuple[datetime, Slot]:
    """The next moment with a reason to write, in UTC; or one to look again."""
    if state.once is not None:
        return max(state.once, now), "once"
    opens = max(now, state.rests_until or now)
    day = local(opens, state.zone)
    if state.nudged.at is not None:  # one a day at most; once a week when nobody answers
        last = local(state.nudged.at, state.zone)
        weekly = unanswered(state) >= content.nudges.rules.weekly_after
        day = max(day, last + (7 * DAY if weekly else DAY))
    for ahead in range(FARTHEST):
        for at, slot in _moments(state, day + ahead * DAY, content):
            if at > now and at >= opens and reason(state, at, slot, content):
                return at, slot
    return (day + FARTHEST * DAY).astimezone(UTC), "work"


def _moments(state: State, day: datetime, content: Content) -> Iterator[tuple[datetime, Slot]]:
    """When somebody may be written to on a local day: at their own time on the days that they
    chose, on other working days at work; on a public holiday never."""
    chosen = times(state) if steps.current(state, content) else None
    if chosen and day.weekday() in chosen.days:
        if day_off(day.date(), content) is None:
            yield at_minute(day, chosen.minute).astimezone(UTC), "study"
    elif is_working(day.date(), content):
        time = content.nudges.rules.time
        at = at_minute(day, chosen.minute if chosen else time.hour * 60 + time.minute)
        if not permitted(at, state.zone, content):  # their own time is after work
            at = at_minute(day, time.hour * 60 + time.minute)
        yield at.astimezone(UTC), "work"
