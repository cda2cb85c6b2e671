"""A schedule comes round on the agency's clock: never twice, never missing, never on a day off."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from content.schema import Schedule
from flows.calendar import ZONE, is_working, keep_time_of, local
from flows.schedule import WEEKDAYS, next_times, problems
from tests.walk import the_content

CONTENT = the_content()
DAY = timedelta(days=1)
NOW = datetime(2026, 11, 20, 10, 0, tzinfo=ZONE)
"""A Friday."""


def made(**fields: Any) -> Schedule:
    return Schedule.model_validate(fields)


def shown(schedule: Schedule, after: datetime = NOW, n: int = 5) -> list[str]:
    times = next_times(schedule, after, CONTENT, n)
    assert all(when.tzinfo is UTC for when in times)
    return [f"{local(when):%m-%d %H:%M}" for when in times]


def test_every_day_is_every_working_day() -> None:
    """What falls on days off goes out once on the next working day, or not at all."""
    eve = datetime(2026, 4, 9, 12, 0, tzinfo=ZONE)
    for way in ("next_working", "skip"):
        daily = made(every="day", time="09:30", on_day_off=way)

        assert shown(daily, eve, 3) == ["04-10 09:30", "04-16 09:30", "04-17 09:30"]


def test_a_week_with_a_holiday() -> None:
    """7 December 2569 is a Monday, and a holiday."""
    moved = made(every="week", days=("mon", "tue"), time="09:30")
    skipped = made(every="week", days=("mon", "tue"), time="09:30", on_day_off="skip")
    only_monday = made(every="week", days=("mon",), time="09:30")

    assert shown(moved) == [
        "11-23 09:30",
        "11-24 09:30",
        "11-30 09:30",
        "12-01 09:30",
        "12-08 09:30",
    ]
    assert shown(skipped) == shown(moved)
    assert shown(only_monday, n=4) == ["11-23 09:30", "11-30 09:30", "12-08 09:30", "12-14 09:30"]


def test_the_last_day_of_the_month() -> None:
    """The 31st is the last day of every month; a weekend moves it into the next."""
    monthly = made(every="month", day_of_month=31, time="13:30")

    assert shown(monthly, n=4) == ["11-30 13:30", "01-04 13:30", "02-01 13:30", "03-01 13:30"]


def test_a_time_that_was_moved_is_not_forgotten() -> None:
    """Asked on the moved day itself, before and after its time."""
    monthly = made(every="month", day_of_month=13, time="09:30")
    songkran = datetime(2026, 4, 16, 9, 0, tzinfo=ZONE)

    assert shown(monthly, songkran, 1) == ["04-16 09:30"]
    assert shown(monthly, songkran + timedelta(minutes=30), 1) == ["05-14 09:30"]


def test_first_and_until() -> None:
    """A time that a day off moves past the end is gone."""
    bounded = made(every="day", time="09:30", first="2026-12-03", until="2026-12-06")

    assert shown(bounded) == ["12-03 09:30", "12-04 09:30"]
    assert shown(made(every="week", days=("sat",), time="09:30", until="2026-12-05")) == [
        "11-23 09:30",
        "11-30 09:30",
    ]


def test_once() -> None:
    once = made(at="2026-12-01T10:00")

    assert shown(once) == ["12-01 10:00"]
    assert shown(once, datetime(2026, 12, 1, 10, 0, tzinfo=ZONE)) == []


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"at": "2026-12-01T10:00"}, []),
        ({"every": "week", "days": ("mon",), "time": "09:30"}, []),
        ({"at": "2026-11-20T09:59"}, ["past"]),
        ({"at": "2026-11-20T10:00"}, ["past"]),
        ({"at": "2026-12-01T12:30"}, ["not_hours"]),
        ({"at": "2026-12-05T10:00"}, ["not_hours"]),
        ({"every": "day", "time": "07:00"}, ["not_hours"]),
        ({"every": "week", "time": "09:30"}, ["never"]),
        ({"every": "day", "time": "09:30", "until": "2026-11-20"}, ["never"]),
        ({"every": "week", "days": ("sat",), "time": "09:30", "on_day_off": "skip"}, ["never"]),
        ({}, ["time_unclear"]),
        ({"every": "day"}, ["time_unclear"]),
        ({"at": "2026-12-01T10:00", "every": "day", "time": "09:30"}, ["time_unclear"]),
        ({"at": "2026-12-01T10:00+09:00"}, ["time_unclear"]),
    ],
)
def test_problems(fields: dict[str, Any], wrong: list[str]) -> None:
    assert problems(made(**fields), NOW, CONTENT) == wrong


# --- over many years, where clocks are changed -------------------------------------------

BEGINS, ENDS = date(2025, 1, 1), date(2044, 12, 31)
ZONES = ["Asia/Bangkok", "Europe/Berlin", "America/Los_Angeles"]


@pytest.fixture
def zone(request: pytest.FixtureRequest) -> Iterator[ZoneInfo]:
    """The agency's time zone, for one test."""
    keep_time_of(made := ZoneInfo(request.param))
    yield made
    keep_time_of(ZONE)


def expected(schedule: Schedule, zone: ZoneInfo) -> list[datetime]:
    """Found the other way round: every day of the years, moved by hand."""
    assert schedule.time is not None
    days = set()
    day = BEGINS
    while day <= ENDS:
        last = (day + DAY).month != day.month
        comes = {
            "day": True,
            "week": WEEKDAYS[day.weekday()] in schedule.days,
            "month": day.day == schedule.day_of_month
            or (last and day.day < (schedule.day_of_month or 0)),
        }[schedule.every or ""]
        on = day
        while comes and schedule.on_day_off == "next_working" and not is_working(on, CONTENT):
            on += DAY
        if comes and is_working(on, CONTENT):
            days.add(on)
        day += DAY
    moments = (datetime.combine(day, schedule.time, zone).astimezone(UTC) for day in days)
    return sorted(moments)


@pytest.mark.parametrize("zone", ZONES, indirect=True)
@pytest.mark.parametrize("clock", ["02:30", "09:30"])
@pytest.mark.parametrize("way", ["next_working", "skip"])
@pytest.mark.parametrize(
    "every",
    [
        {"every": "day"},
        {"every": "week", "days": ("mon", "sat", "sun")},
        {"every": "month", "day_of_month": 31},
    ],
)
def test_twenty_years(every: dict[str, Any], way: str, clock: str, zone: ZoneInfo) -> None:
    """Through forty changes of the clock, asked a few at a time: none twice, none missing, and
    always at the same time by the clock on the wall, but for one that it never showed."""
    schedule = made(**every, time=clock, on_day_off=way)
    wanted = expected(schedule, zone)
    after = datetime.combine(BEGINS, time(), zone)
    found: list[datetime] = []
    while not found or found[-1] < wanted[-1]:
        found += next_times(schedule, found[-1] if found else after, CONTENT, 97)

    assert found[: len(wanted)] == wanted
    assert all(before < later for before, later in pairwise(found))
    odd = [when for when in found if f"{when.astimezone(zone):%H:%M}" != clock]
    assert not odd if clock == "09:30" else all(when.astimezone(zone).hour == 3 for when in odd)


schedules = st.builds(
    made,
    every=st.sampled_from(["day", "week", "month"]),
    days=st.sets(st.sampled_from(WEEKDAYS), min_size=1).map(tuple),
    day_of_month=st.integers(1, 31),
    time=st.times().map(lambda clock: clock.replace(microsecond=0)),
    on_day_off=st.sampled_from(["next_working", "skip"]),
)


@settings(deadline=None)
@given(schedules, st.integers(0, 4 * 366 * 24 * 60), st.sampled_from(ZONES))
def test_asked_one_by_one_or_together(schedule: Schedule, minutes: int, name: str) -> None:
    """Whoever keeps only the next time meets the same ones."""
    keep_time_of(ZoneInfo(name))
    try:
        after = datetime(2025, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
        together = next_times(schedule, after, CONTENT, 6)
        for when in together:
            assert next_times(schedule, after, CONTENT, 1) == [when]
            assert is_working(local(when).date(), CONTENT)
            after = when
    finally:
        keep_time_of(ZONE)
