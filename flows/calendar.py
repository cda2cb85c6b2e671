"""Local time and working time. Weekends only so far: public holidays are not here yet."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("Asia/Bangkok")
OPENS, CLOSES = 8 * 60 + 30, 16 * 60 + 30
"""Working hours, in minutes after midnight."""


_agency = ZONE


def keep_time_of(zone: ZoneInfo) -> None:
    """Set the agency's time zone. Called once, before the first turn: it is no state."""
    global _agency
    _agency = zone


def local(when: datetime) -> datetime:
    return when.astimezone(_agency)


def at_minute(day: datetime, minute: int) -> datetime:
    """That minute after midnight of a local day."""
    return day.replace(hour=minute // 60, minute=minute % 60, second=0, microsecond=0)


def working_moment(now: datetime) -> datetime:
    """Now, if it is working time; else the next moment when working time begins."""
    here = local(now)
    minute = here.hour * 60 + here.minute
    if here.weekday() < 5 and OPENS <= minute < CLOSES:
        return now
    day = here if here.weekday() < 5 and minute < OPENS else here + timedelta(days=1)
    while day.weekday() >= 5:
        day += timedelta(days=1)
    return at_minute(day, OPENS)
