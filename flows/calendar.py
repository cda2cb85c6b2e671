"""Local time and working time: the days off of Thai government offices, and their hours."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from content.schema import Content, Holiday, Span
from flows.text import buddhist_year, common_year

ZONE = ZoneInfo("Asia/Bangkok")
DAY = timedelta(days=1)
ENDS_SOON = timedelta(days=60)
"""So long before its last day the calendar must be continued."""


_agency = ZONE


def keep_time_of(zone: ZoneInfo) -> None:
    """Set the agency's time zone. Called once, before the first turn: it is no state."""
    global _agency
    _agency = zone


def local(when: datetime, zone: str = "") -> datetime:
    """On the clock of `zone` (an IANA name); without one, of the agency."""
    return when.astimezone(ZoneInfo(zone) if zone else _agency)


def at_minute(day: datetime, minute: int) -> datetime:
    """That minute after midnight of a local day."""
    return day.replace(hour=minute // 60, minute=minute % 60, second=0, microsecond=0)


def midnight(day: int) -> datetime:
    """When a day of the agency's begins; days are ordinals."""
    return datetime.combine(date.fromordinal(day), time(), _agency)


# --- days ----------------------------------------------------------------------------


def day_off(day: date, content: Content) -> Holiday | None:
    """The public holiday or agency day that a day is; weekends are none."""
    return _days_off(content).get(day)


@lru_cache(maxsize=4)
def _days_off(content: Content) -> dict[date, Holiday]:
    public = (day for year in content.calendar for day in year.holidays)
    return {day.date: day for day in (*content.agency.days, *public)}


def is_working(day: date, content: Content) -> bool:
    return day.weekday() < 5 and day_off(day, content) is None


def next_working(day: date, content: Content) -> date:
    """The first working day after a day."""
    return add_working_days(day, 1, content)


def add_working_days(day: date, n: int, content: Content) -> date:
    """The n-th working day after a day, or before it if n is negative; with 0 the day itself."""
    step = DAY if n > 0 else -DAY
    left = abs(n)
    while left:
        day += step
        left -= is_working(day, content)
    return day


def working_days(first: date, last: date, content: Content) -> int:
    """How many working days are after `first`, up to and with `last`."""
    days = (first + DAY * ahead for ahead in range(1, (last - first).days + 1))
    return sum(is_working(day, content) for day in days)


def fiscal_year(day: date) -> int:
    """The Buddhist-era fiscal year of a day: 1 October to 30 September, named by its end."""
    return buddhist_year(day) + (day.month >= 10)


def fiscal_bounds(year_be: int) -> tuple[date, date]:
    """The first and the last day of a fiscal year."""
    year = common_year(year_be)
    return date(year - 1, 10, 1), date(year, 9, 30)


def ends(content: Content) -> date:
    """The last day that the calendar knows."""
    return date(common_year(content.calendar[-1].year), 12, 31)


def ends_soon(today: date, content: Content) -> bool:
    """Whether the calendar must be continued now, lest we write to people on holidays."""
    return ends(content) - today <= ENDS_SOON


# --- moments -------------------------------------------------------------------------


def permitted(when: datetime, zone: str, content: Content, *, chosen: bool = False) -> bool:
    """Whether an unasked message may arrive at a moment, on the clock of `zone`. A time that the
    learner chose may be on a weekend and in the evening, but on no holiday."""
    here = local(when, zone)
    clock = here.time()
    spans = _spans(here.date(), content, chosen=chosen)
    return any(first <= clock < last for first, last in spans)


def next_permitted(
    when: datetime, zone: str, content: Content, *, chosen: bool = False
) -> datetime:
    """The moment itself if it is permitted, else the next that is."""
    if permitted(when, zone, content, chosen=chosen):
        return when
    day = local(when, zone).date()
    while True:  # when the calendar has ended, only weekends are left
        for first, _ in _spans(day, content, chosen=chosen):
            for moment in _moments(day, first, zone):
                # a clock that was put forward may never have shown the time that we looked for
                if moment > when and permitted(moment, zone, content, chosen=chosen):
                    return moment.astimezone(when.tzinfo)
        day += DAY


def _spans(day: date, content: Content, *, chosen: bool) -> tuple[Span, ...]:
    hours = content.nudges.hours
    if chosen:
        return hours.chosen if day_off(day, content) is None else ()
    return hours.work if is_working(day, content) else ()


def _moments(day: date, clock: time, zone: str) -> Iterator[datetime]:
    """When a local clock shows a time: twice in the hour that is repeated in autumn."""
    here = ZoneInfo(zone) if zone else _agency
    for fold in (0, 1):
        yield datetime.combine(day, clock, here).replace(fold=fold).astimezone(UTC)
