"""The days off are right and complete, and nothing is sent in the hours when people rest."""

import shutil
import tomllib
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import holidays
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pythainlp.util import to_lunar_date
from structlog.testing import capture_logs

from content.load import HERE, ContentError, load
from content.schema import Holiday
from flows import calendar
from flows.calendar import ZONE
from flows.text import buddhist_year, common_year
from tests.running import edge, kaona, ready
from tests.walk import the_content

CONTENT = the_content()
DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)
BANGKOK, BERLIN, LOS_ANGELES = "Asia/Bangkok", "Europe/Berlin", "America/Los_Angeles"
ZONES = [BANGKOK, BERLIN, LOS_ANGELES, "Australia/Lord_Howe", "America/Sao_Paulo", "Asia/Kathmandu"]


def at(text: str, zone: str = BANGKOK) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))


def days() -> list[Holiday]:
    return [day for year in CONTENT.calendar for day in year.holidays]


# --- the files -----------------------------------------------------------------------


def test_a_second_opinion_on_every_day() -> None:
    """Every difference from the holidays package is listed with its reason, and every listed one
    is still there."""
    years = [common_year(year.year) for year in CONTENT.calendar]
    theirs = set(holidays.Thailand(years=years, categories=("public", "government")))
    ours = {day.date for day in days()}
    path = Path(__file__).with_name("calendar_differences.toml")
    listed: dict[str, set[date]] = {"ours": set(), "theirs": set()}
    for why in tomllib.loads(path.read_text(encoding="utf-8")).values():
        assert why["reason"]
        assert why["source"].startswith("https://")
        listed[why["side"]] |= set(why["days"])

    assert {"ours": ours - theirs, "theirs": theirs - ours} == listed


def test_the_four_years_are_there() -> None:
    assert [year.year for year in CONTENT.calendar] == [2568, 2569, 2570, 2571]
    for year in CONTENT.calendar:
        assert {buddhist_year(day.date) for day in year.holidays} == {year.year}


def test_lunar_days_are_on_their_moon() -> None:
    """A third opinion, from another table of the Thai lunar calendar. A year with a second eighth
    month has what belongs to the third and sixth month a month later."""
    full = "ขึ้น 15 ค่ำ"
    moons = {
        "วันมาฆบูชา": {f"{full} เดือน 3", f"{full} เดือน 4"},
        "วันวิสาขบูชา": {f"{full} เดือน 6", f"{full} เดือน 7"},
        "วันอาสาฬหบูชา": {f"{full} เดือน 8"},
        "วันเข้าพรรษา": {"แรม 1 ค่ำ เดือน 8"},
    }
    lunar = [day for day in days() if day.kind == "lunar"]

    assert len(lunar) == 4 * 4
    for day in lunar:
        assert to_lunar_date(day.date) in moons[day.name.th], day


def test_a_holiday_on_a_weekend_is_made_up_for() -> None:
    """On the next working day, once for holidays of one name that follow each other (Cabinet,
    1 May 2544 and 3 February 2547)."""
    holidays_proper = [day for day in days() if day.kind != "substitution"]
    off = {day.date for day in holidays_proper}
    wanted = set()
    for day in holidays_proper:
        before = calendar.day_off(day.date - DAY, CONTENT)
        follows = before is not None and before.name == day.name and before.date.weekday() >= 5
        if day.date.weekday() < 5 or follows:
            continue
        makes_up = day.date
        while makes_up.weekday() >= 5 or makes_up in off:
            makes_up += DAY
        wanted.add(makes_up)
    # New Year's Eve 2571 is made up for in the next year, whose file is not there yet
    wanted = {day for day in wanted if day <= calendar.ends(CONTENT)}

    assert {day.date for day in days() if day.kind == "substitution"} == wanted


def test_what_is_sure_and_what_is_not() -> None:
    """The future is computed, not announced; a day that may have changed says so."""
    marks = {day.date: day.source.certainty for day in days() if day.source}

    assert marks[date(2025, 6, 2)] == "T"
    assert marks[date(2026, 8, 12)] == marks[date(2028, 8, 12)] == "M"
    assert {marks[day.date] for day in days() if day.kind == "lunar"} == {"T", "I"}
    assert {marks[day.date] for day in days() if day.kind == "lunar" and day.date.year >= 2027} == {
        "I"
    }


@pytest.mark.parametrize(
    ("day", "name"),
    [
        ("2026-01-02", "วันหยุดราชการกรณีพิเศษ"),
        ("2026-05-13", "วันพืชมงคล"),
        ("2026-06-01", "ชดเชยวันวิสาขบูชา"),
        ("2026-12-07", "ชดเชยวันคล้ายวันพระบรมราชสมภพ รัชกาลที่ 9 วันชาติ และวันพ่อแห่งชาติ"),
        ("2025-04-16", "ชดเชยวันสงกรานต์"),
        ("2027-07-20", "ชดเชยวันอาสาฬหบูชา"),
        ("2026-05-01", None),
        ("2026-01-10", None),
        ("2026-06-02", None),
        ("2026-07-31", None),
    ],
)
def test_day_off(day: str, name: str | None) -> None:
    found = calendar.day_off(date.fromisoformat(day), CONTENT)

    assert (found.name.th if found else None) == name


# --- faults --------------------------------------------------------------------------

YEAR = "calendar/2570.toml"
FAULTS = [
    ("date = 2027-04-06", "date = 2028-04-06", "is not in this year"),
    ("date = 2027-04-14", "date = 2027-04-13", "must come after"),
    ("date = 2027-02-22", "date = 2027-02-28", "is on a weekend"),
    ('kind = "special"', 'kind = "agency"', "wants a kind and a source"),
    ("year = 2570", "year = 2571", "wants year = 2570"),
]


def broken(tmp_path: Path, file: str, old: str, new: str) -> list[str]:
    root = tmp_path / "content"
    shutil.copytree(HERE, root, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    text = (root / file).read_text(encoding="utf-8")
    assert old in text
    (root / file).write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ContentError) as caught:
        load(root)
    return [str(fault) for fault in caught.value.faults if fault.file == file]


@pytest.mark.parametrize(("old", "new", "says"), FAULTS)
def test_a_fault_in_a_year_is_listed(tmp_path: Path, old: str, new: str, says: str) -> None:
    file = "calendar/2568.toml" if "special" in old else YEAR
    faults = broken(tmp_path, file, old, new)

    assert says in faults[0]


def test_hours_out_of_order_are_a_fault(tmp_path: Path) -> None:
    faults = broken(tmp_path, "nudges.toml", '["13:00", "16:30"]', '["11:00", "16:30"]')

    assert faults == ["nudges.toml:6: work: wants times in order, each from, to"]


def test_a_missing_year_is_a_fault(tmp_path: Path) -> None:
    root = tmp_path / "content"
    shutil.copytree(HERE, root, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    (root / YEAR).unlink()
    with pytest.raises(ContentError) as caught:
        load(root)

    assert [str(fault) for fault in caught.value.faults] == [
        "calendar/2571.toml:1: the year 2570 is missing"
    ]


def test_an_agency_day_is_off() -> None:
    """Only for the agency that has it."""
    day = Holiday(date=date(2026, 11, 20), name=CONTENT.method.name)
    agency = CONTENT.agency.model_copy(update={"days": (day,)})
    ours = CONTENT.model_copy(update={"agency": agency})

    assert calendar.is_working(day.date, CONTENT)
    assert not calendar.is_working(day.date, ours)
    assert calendar.day_off(day.date, ours) == day


# --- days ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("day", "n", "result"),
    [
        ("2026-11-20", 1, "2026-11-23"),
        ("2026-11-21", 1, "2026-11-23"),
        ("2026-11-23", -1, "2026-11-20"),
        ("2026-11-21", 0, "2026-11-21"),
        ("2026-04-10", 1, "2026-04-16"),
        ("2026-04-16", -1, "2026-04-10"),
        ("2025-12-30", 1, "2026-01-05"),
        ("2026-12-04", 2, "2026-12-09"),
        ("2027-07-16", 1, "2027-07-21"),
    ],
)
def test_add_working_days(day: str, n: int, result: str) -> None:
    found = calendar.add_working_days(date.fromisoformat(day), n, CONTENT)

    assert found == date.fromisoformat(result)


@settings(deadline=None)
@given(st.dates(date(2025, 1, 1), date(2028, 12, 1)), st.integers(1, 40))
def test_counting_undoes_adding(day: date, n: int) -> None:
    last = calendar.add_working_days(day, n, CONTENT)

    assert calendar.is_working(last, CONTENT)
    assert calendar.working_days(day, last, CONTENT) == n
    assert calendar.working_days(day, last - DAY, CONTENT) == n - 1
    assert calendar.next_working(day, CONTENT) == calendar.add_working_days(day, 1, CONTENT)
    assert calendar.add_working_days(last + DAY, -1, CONTENT) == last
    assert calendar.working_days(last, day, CONTENT) == 0


@pytest.mark.parametrize(
    ("day", "year"),
    [("2026-09-30", 2569), ("2026-10-01", 2570), ("2027-09-30", 2570), ("2028-02-29", 2571)],
)
def test_fiscal_year(day: str, year: int) -> None:
    """1 October begins the year that is named by its end; 29 February is a day like any other."""
    first, last = calendar.fiscal_bounds(year)

    assert calendar.fiscal_year(date.fromisoformat(day)) == year
    assert first <= date.fromisoformat(day) <= last
    assert (first.month, first.day, last.month, last.day) == (10, 1, 9, 30)
    assert calendar.fiscal_year(first - DAY) == year - 1
    assert calendar.fiscal_year(last + DAY) == year + 1


def test_the_calendar_warns_before_it_ends() -> None:
    assert calendar.ends(CONTENT) == date(2028, 12, 31)
    assert not calendar.ends_soon(date(2028, 10, 31), CONTENT)
    assert calendar.ends_soon(date(2028, 11, 1), CONTENT)
    assert calendar.ends_soon(date(2030, 1, 1), CONTENT)


# --- moments -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("when", "chosen", "result"),
    [
        ("2026-11-20 08:29", False, "2026-11-20 08:30"),
        ("2026-11-20 08:30", False, "2026-11-20 08:30"),
        ("2026-11-20 11:59", False, "2026-11-20 11:59"),
        ("2026-11-20 12:00", False, "2026-11-20 13:00"),
        ("2026-11-20 16:29", False, "2026-11-20 16:29"),
        ("2026-11-20 16:30", False, "2026-11-23 08:30"),
        ("2026-11-21 10:00", False, "2026-11-23 08:30"),
        ("2026-12-04 17:00", False, "2026-12-08 08:30"),
        ("2026-11-21 10:00", True, "2026-11-21 10:00"),
        ("2026-11-20 12:15", True, "2026-11-20 12:15"),
        ("2026-11-20 20:59", True, "2026-11-20 20:59"),
        ("2026-11-20 21:00", True, "2026-11-21 06:00"),
        ("2026-12-04 22:00", True, "2026-12-06 06:00"),
        ("2026-04-13 09:00", True, "2026-04-16 06:00"),
    ],
)
def test_next_permitted(when: str, chosen: bool, result: str) -> None:
    """Working hours without lunch on working days; what was chosen also on weekends and in the
    evening, but on no holiday."""
    found = calendar.next_permitted(at(when), BANGKOK, CONTENT, chosen=chosen)

    assert found == at(result)
    assert calendar.permitted(at(when), BANGKOK, CONTENT, chosen=chosen) == (when == result)


def test_abroad_the_clock_is_theirs_and_the_holidays_are_ours() -> None:
    """Four in the afternoon in Bangkok is morning in Berlin; Bangkok and Los Angeles rest on
    the King's birthday alike."""
    assert calendar.permitted(at("2026-11-20 15:59"), BERLIN, CONTENT)
    assert calendar.next_permitted(at("2026-11-20 10:00"), BERLIN, CONTENT) == at(
        "2026-11-20 08:30", BERLIN
    )
    assert calendar.next_permitted(at("2026-07-28 09:00", LOS_ANGELES), LOS_ANGELES, CONTENT) == at(
        "2026-07-31 08:30", LOS_ANGELES
    )
    assert calendar.local(at("2026-11-20 10:00"), BERLIN).hour == 4
    assert calendar.local(at("2026-11-20 10:00", BERLIN)).hour == 16


moments = st.datetimes(
    datetime.fromisoformat("2024-12-01"),
    datetime.fromisoformat("2031-01-01"),
    timezones=st.sampled_from([*map(ZoneInfo, ZONES)]),
)


@settings(max_examples=60, deadline=None)
@given(moments, st.sampled_from(ZONES), st.booleans())
@example(at("2026-03-08 01:30", LOS_ANGELES), LOS_ANGELES, False)
@example(at("2026-10-25 02:30", BERLIN), BERLIN, True)
def test_it_is_the_first_permitted_minute(when: datetime, zone: str, chosen: bool) -> None:
    """Walking there a minute at a time meets no permitted minute before it."""
    found = calendar.next_permitted(when, zone, CONTENT, chosen=chosen)

    assert calendar.permitted(found, zone, CONTENT, chosen=chosen)
    assert found.astimezone(UTC) >= when.astimezone(UTC)
    step = when.astimezone(UTC).replace(second=0, microsecond=0)
    while (step := step + MINUTE) < found.astimezone(UTC):
        assert not calendar.permitted(step, zone, CONTENT, chosen=chosen)


@pytest.mark.parametrize("fold", [0, 1])
def test_hours_that_begin_in_a_changed_hour(fold: int) -> None:
    """Hours that an agency sets to begin where a clock is changed: it still ends, on a permitted
    moment."""
    early = ((time(2, 30), time(3, 30)),)
    hours = CONTENT.nudges.hours.model_copy(update={"chosen": early})
    odd = CONTENT.model_copy(update={"nudges": CONTENT.nudges.model_copy(update={"hours": hours})})
    forward = at("2026-03-29 01:00", BERLIN)
    back = at("2026-10-25 02:10", BERLIN).replace(fold=fold)

    assert calendar.next_permitted(forward, BERLIN, odd, chosen=True) == at(
        "2026-03-30 02:30", BERLIN
    )
    assert calendar.next_permitted(back, BERLIN, odd, chosen=True) == at(
        "2026-10-25 02:30", BERLIN
    ).replace(fold=fold)


def test_after_the_calendar_only_weekends_are_known() -> None:
    """It always ends, also years after the last file."""
    assert calendar.next_permitted(at("2040-12-30 20:00"), "", CONTENT) == at("2040-12-31 08:30")


def test_the_agency_has_a_zone_of_its_own() -> None:
    calendar.keep_time_of(ZoneInfo(BERLIN))
    try:
        assert calendar.next_permitted(at("2026-11-20 10:00"), "", CONTENT) == at(
            "2026-11-20 08:30", BERLIN
        )
    finally:
        calendar.keep_time_of(ZONE)


# --- the service ---------------------------------------------------------------------


def test_a_calendar_that_ends_soon_is_said_aloud_and_the_service_is_not_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    short = CONTENT.model_copy(update={"calendar": CONTENT.calendar[:1]})
    with capture_logs() as logs, edge(ready(tmp_path), short) as door:
        answer = door.client.get("/readyz")

    assert answer.status_code == 503
    assert [name for name, well in answer.json()["checks"].items() if not well] == ["calendar"]
    warned = [entry for entry in logs if entry["event"].startswith("the calendar ends soon")]
    assert [(entry["log_level"], entry["last"]) for entry in warned] == [("error", "2025-12-31")]


def test_kaona_calendar_lists_the_days_off(tmp_path: Path) -> None:
    listed = kaona("calendar", "2570", folder=tmp_path).stdout.splitlines()

    assert len(listed) == len(CONTENT.calendar[2].holidays)
    assert listed[2] == ("2027-02-22  substitution  I  จันทร์ 22 กุมภาพันธ์ 2570 · ชดเชยวันมาฆบูชา")


def test_kaona_calendar_says_which_years_it_knows(tmp_path: Path) -> None:
    ended = kaona("calendar", "2580", folder=tmp_path)

    assert ended.returncode == 2
    assert ended.stderr == "kaona: content/calendar knows 2568 to 2571, not 2580\n"
