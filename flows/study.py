"""The time that somebody chose for learning, as a timer."""

from datetime import datetime, timedelta

from flows.calendar import at_minute, local
from flows.types import AnyEffect, CancelTimers, Json, SetTimer, State

WEEKLY_AFTER, PAUSE_AFTER = 3, 5
"""Unanswered reminders until they come once a week, and until they stop."""


def study_timer(
    state: State, now: datetime, unanswered: int = 0, **data: Json
) -> tuple[AnyEffect, ...]:
    """The next reminder to learn, for those who asked to be reminded."""
    plan = state.journey.plan
    if plan is None or not plan.days or not state.consents.get("nudges"):
        return (CancelTimers("study"),)
    at = at_minute(local(now), plan.minute)
    if unanswered >= WEEKLY_AFTER:
        at += timedelta(days=6)
    while at <= now or at.weekday() not in plan.days:
        at += timedelta(days=1)
    return (SetTimer("study", "study", at, {"unanswered": unanswered, **data}),)
