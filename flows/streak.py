"""Working days in a row on which a learner was here: days off neither count nor break them."""

from datetime import date, datetime

from msgspec.structs import replace

from content.schema import Content
from flows.calendar import is_working, local, working_days
from flows.speech import tell
from flows.types import Record, State, Streak, Turn

FORGOTTEN = 60
"""Days after which nobody needs to count any more."""


def here(state: State, now: datetime, content: Content) -> State:
    """The learner is here today."""
    today = local(now, state.zone).date()
    streak = state.streak
    if not state.welcomed or streak.day == today.toordinal():
        return state
    works = is_working(today, content)
    if _missed(streak, today, works, content):
        streak = Streak()
    if works:
        streak = Streak(streak.length + 1, today.toordinal())
    return state if streak == state.streak else replace(state, streak=streak)


def _missed(streak: Streak, today: date, works: bool, content: Content) -> bool:
    """A working day lies between the last that counted and today."""
    if today.toordinal() - streak.day > FORGOTTEN:
        return True
    return working_days(date.fromordinal(streak.day), today, content) > works


def celebrate(before: State, turn: Turn, content: Content) -> Turn:
    """Say so, and record it, when a day made a streak of some length."""
    length = turn.state.streak.length
    grown = length > before.streak.length and length in content.nudges.rules.streaks
    if not grown or turn.state.stopped:
        return turn
    line = tell(turn.state, content, "streak", n=length)
    fact = Record("streak", {"days": length})
    return Turn(turn.state, (*turn.replies, line), (*turn.effects, fact))
