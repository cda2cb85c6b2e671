"""When a schedule comes round: on the agency's clock, and on working days."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta

from content.schema import Content, Schedule
from flows.calendar import DAY, is_working, local, next_working, permitted

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
FAR = timedelta(days=366 * 3)
"""A schedule that does not come round in so long never does."""


def next_times(schedule: Schedule, after: datetime, content: Content, n: int = 5) -> list[datetime]:
    """The next `n` times after a moment, in UTC: each once, in order, however days off move
    them; fewer when the schedule ends, which it does with the day `until`."""
    found: list[datetime] = []
    for when in _times(schedule, after, content):
        if when > after and (not found or when > found[-1]):
            found.append(when)
        if len(found) == n:
            break
    return found


def _times(schedule: Schedule, after: datetime, content: Content) -> Iterator[datetime]:
    if schedule.at is not None:
        yield _clock(schedule.at.date(), schedule.at.time(), after)
        return
    if schedule.every is None or schedule.time is None:
        return
    # a day off may have moved an earlier day's time past `after`
    first = local(after).date() - 31 * DAY
    day = max(first, schedule.first) if schedule.first else first
    last = local(after).date() + FAR
    if schedule.until:
        last = min(last, schedule.until)
    while day <= last:
        if _comes_round(schedule, day):
            moves = schedule.on_day_off == "next_working" and not is_working(day, content)
            shown = next_working(day, content) if moves else day
            if is_working(shown, content) and (not schedule.until or shown <= schedule.until):
                yield _clock(shown, schedule.time, after)
        day += DAY


def _clock(day: date, shown: time, near: datetime) -> datetime:
    """When the agency's clock shows a time of a day."""
    return datetime.combine(day, shown, local(near).tzinfo).astimezone(UTC)


def _comes_round(schedule: Schedule, day: date) -> bool:
    match schedule.every:
        case "day":
            return True
        case "week":
            return WEEKDAYS[day.weekday()] in schedule.days
        case _:
            wanted = schedule.day_of_month or 1
            return day.day == wanted or (day.day < wanted and (day + DAY).day == 1)


def problems(schedule: Schedule, now: datetime, content: Content) -> list[str]:
    """What is wrong with a schedule, as keys: `time_unclear`, `past`, `never`, `not_hours`."""
    once, again = schedule.at is not None, schedule.every is not None
    zoned = schedule.at is not None and schedule.at.tzinfo is not None
    if once == again or zoned or (again and schedule.time is None):
        return ["time_unclear"]
    times = next_times(schedule, now, content, 1)
    if not times:
        return ["past" if once else "never"]
    return [] if permitted(times[0], "", content) else ["not_hours"]
