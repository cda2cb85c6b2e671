"""What people say of when to remind is understood; everything else is left alone."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import get_args
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from content.load import HERE, ContentError, load
from flows.when import Later, Off, Once, Past, Pause, Weekly, When, read_when, say_when
from tests.walk import the_content

CONTENT = the_content()
BANGKOK = ZoneInfo("Asia/Bangkok")
NOW = datetime(2026, 11, 20, 10, 0, tzinfo=BANGKOK)
"""A Friday."""
WORKDAYS, ALL = (0, 1, 2, 3, 4), (0, 1, 2, 3, 4, 5, 6)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BANGKOK)


def read(text: str, now: datetime = NOW) -> When | None:
    return read_when(text, now, "", CONTENT)


@pytest.mark.parametrize(
    ("text", "days", "clock"),
    [
        ("ทุกวันจันทร์กับพุธ บ่ายสอง", (0, 2), "14:00"),
        ("จ.-ศ. 9.30 น.", WORKDAYS, "09:30"),
        ("ทุกวัน สองทุ่ม", ALL, "20:00"),
        ("เตือนทุกวันศุกร์สี่โมงเย็น", (4,), "16:00"),
        ("ทุกเช้าแปดโมง", ALL, "08:00"),
        ("ทุกเช้า", ALL, "09:00"),
        ("ทุกวันเลย", ALL, ""),
        ("ทุกๆ วันจันทร์", (0,), ""),
        ("จันทร์ถึงศุกร์ เก้าโมงเช้า", WORKDAYS, "09:00"),
        ("จันทร์-พุธ-ศุกร์ เที่ยงครึ่ง", (0, 2, 4), "12:30"),
        ("จ พ ศ", (0, 2, 4), ""),
        ("ศ.-จ. ๙ โมง", (0, 4, 5, 6), "09:00"),
        ("วันธรรมดา 4 โมงเย็น", WORKDAYS, "16:00"),
        ("ทุกวันทำการ สิบเอ็ดโมง", WORKDAYS, "11:00"),
        ("ทุกวันเสาร์อาทิตย์ สิบโมง", (5, 6), "10:00"),
        ("ทุกวันอาทิตย์", (6,), ""),
        ("ทุกอาทิตย์ วันจันทร์ 9 โมง", (0,), "09:00"),
        ("ทุกสัปดาห์วันศุกร์", (4,), ""),
        ("ช่วยเตือนตอนเก้าโมงเช้าทุกวันจันทร์ด้วยนะคะ", (0,), "09:00"),
        ("ทุกจันทร์ 9โมงครึ่ง", (0,), "09:30"),
        ("ขอเปลี่ยนเป็นทุกวันพฤหัส บ่ายสามโมงสิบห้า", (3,), "15:15"),
        ("ทุกวันอังคาร และ วันพฤหัสบดี เวลา 13.00 น.", (1, 3), "13:00"),
        ("อ. พฤ. ทุ่มครึ่ง", (1, 3), "19:30"),
        ("ทุกวันพุธตอนเย็น", (2,), "17:00"),
        ("ทุกวันพุธ ตีห้าครึ่ง", (2,), "05:30"),
        ("ทุกวันพุธ หกโมงเช้า", (2,), "06:00"),
        ("ทุกวันพุธ สามโมงเช้า", (2,), "09:00"),
        ("ทุกวันพุธ สิบสามนาฬิกาสี่สิบห้านาที", (2,), "13:45"),
        ("every Mon and Wed 2pm", (0, 2), "14:00"),
        ("every weekday at 10", WORKDAYS, "10:00"),
        ("Mondays and Thursdays at half past nine", (0, 3), "09:30"),
        ("every day at noon", ALL, "12:00"),
        ("daily at 3 o'clock", ALL, "15:00"),
        ("Remind me every morning, please!", ALL, "09:00"),
        ("Tue to Thu at 12:15 pm", (1, 2, 3), "12:15"),
        ("weekends 10 am", (5, 6), "10:00"),
    ],
)
def test_every_week(text: str, days: tuple[int, ...], clock: str) -> None:
    found = read(text)

    assert isinstance(found, Weekly)
    said = "" if found.minute is None else f"{found.minute // 60:02}:{found.minute % 60:02}"
    assert (found.days, said) == (days, clock)


@pytest.mark.parametrize(
    ("text", "when"),
    [
        ("พรุ่งนี้เก้าโมง", "2026-11-21 09:00"),
        ("มะรืนบ่ายสามครึ่ง", "2026-11-22 15:30"),
        ("วันที่ 5 ธันวา 10 โมง", "2026-12-05 10:00"),
        ("10 โมง 5 ธันวา", "2026-12-05 10:00"),
        ("๕ ธันวาคม พ.ศ. ๒๕๖๙ เวลา ๑๐.๐๐ น.", "2026-12-05 10:00"),
        ("5/12/69 09:30", "2026-12-05 09:30"),
        ("2026-12-05 9:30", "2026-12-05 09:30"),
        ("วันที่ 5 เช้า", "2026-12-05 09:00"),
        ("5 มกรา สิบโมง", "2027-01-05 10:00"),
        ("เลื่อนเป็นบ่ายโมง", "2026-11-20 13:00"),
        ("เลื่อนเป็นเก้าโมง", "2026-11-21 09:00"),
        ("บ่ายสอง", "2026-11-20 14:00"),
        ("เที่ยง", "2026-11-20 12:00"),
        ("เที่ยงคืน", "2026-11-21 00:00"),
        ("ตีหนึ่ง", "2026-11-21 01:00"),
        ("ทุ่ม", "2026-11-20 19:00"),
        ("คืนนี้สองทุ่ม", "2026-11-20 20:00"),
        ("เย็นนี้ห้าโมง", "2026-11-20 17:00"),
        ("วันศุกร์ 9 โมง", "2026-11-27 09:00"),
        ("วันศุกร์ 11 โมง", "2026-11-20 11:00"),
        ("พฤหัสนี้บ่ายสาม", "2026-11-26 15:00"),
        ("ศุกร์หน้าบ่ายสาม", "2026-11-27 15:00"),
        ("สัปดาห์หน้าวันจันทร์ 8.30 น.", "2026-11-23 08:30"),
        ("อีก 1 ชั่วโมง", "2026-11-20 11:00"),
        ("อีกครึ่งชั่วโมงค่อยเตือน", "2026-11-20 10:30"),
        ("อีก 15 นาที", "2026-11-20 10:15"),
        ("อีกสามวัน เก้าโมง", "2026-11-23 09:00"),
        ("เตือนฉันพรุ่งนี้บ่ายสองโมงครึ่งหน่อยครับ", "2026-11-21 14:30"),
        ("พรุ่งนี้เช้า", "2026-11-21 09:00"),
        ("วันศุกร์ที่ 20 พฤศจิกายน 2569 เวลา 14.00 น.", "2026-11-20 14:00"),
        ("29 ก.พ. 2571 9 โมง", "2028-02-29 09:00"),
        ("tomorrow at 9", "2026-11-21 09:00"),
        ("Tomorrow at 2", "2026-11-21 14:00"),
        ("Dec 5 at 3 pm", "2026-12-05 15:00"),
        ("on the 5th of December 2026 at 3:15 p.m.", "2026-12-05 15:15"),
        ("next Monday 9am", "2026-11-23 09:00"),
        ("next week on Tuesday at 3", "2026-11-24 15:00"),
        ("in an hour", "2026-11-20 11:00"),
        ("in half an hour", "2026-11-20 10:30"),
        ("tonight at 7:30 pm", "2026-11-20 19:30"),
    ],
)
def test_once(text: str, when: str) -> None:
    assert read(text) == Once(at(when))


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("อีกสองวันค่อยเตือน", "2026-11-22"),
        ("อีกสองสามวันค่อยเตือน", "2026-11-23"),
        ("อีก 2-3 วัน", "2026-11-23"),
        ("3 วันค่อยเตือน", "2026-11-23"),
        ("อาทิตย์หน้าค่อยเตือน", "2026-11-23"),
        ("วันอาทิตย์หน้าค่อยเตือน", "2026-11-29"),
        ("ค่อยเตือนใหม่อาทิตย์หน้า", "2026-11-23"),
        ("อีกอาทิตย์ค่อยเตือน", "2026-11-27"),
        ("อีกเดือนนึง", "2026-12-20"),
        ("เดือนหน้า", "2026-12-01"),
        ("5 ธ.ค. 2569", "2026-12-05"),
        ("1 ม.ค.", "2027-01-01"),
        ("พรุ่งนี้ค่อยเตือน", "2026-11-21"),
        ("เตือนอีกทีพรุ่งนี้", "2026-11-21"),
        ("วันจันทร์", "2026-11-23"),
        ("เลื่อนไปวันศุกร์", "2026-11-27"),
        ("อีกสามสิบเอ็ดวัน", "2026-12-21"),
        ("in two days", "2026-11-22"),
        ("remind me in 3 days please", "2026-11-23"),
        ("two weeks later", "2026-12-04"),
        ("next week", "2026-11-23"),
        ("ask me again on Friday", "2026-11-27"),
    ],
)
def test_later(text: str, day: str) -> None:
    """From when work begins on that day."""
    assert read(text) == Later(at(f"{day} 08:30"))


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("พักไปก่อนสองสัปดาห์", "2026-12-04"),
        ("ขอพัก 3 วัน", "2026-11-23"),
        ("หยุดเตือนสองอาทิตย์", "2026-12-04"),
        ("หยุด 3 วัน", "2026-11-23"),
        ("พัก 1 เดือนนะคะ", "2026-12-20"),
        ("พักถึงวันจันทร์", "2026-11-23"),
        ("งดเตือนจนถึง 5 มกราคม 2570", "2027-01-05"),
        ("ไม่ต้องเตือนช่วงสองสัปดาห์นี้", "2026-12-04"),
        ("pause two weeks", "2026-12-04"),
        ("pause until Dec 1", "2026-12-01"),
        ("take a break for a week", "2026-11-27"),
        ("stop reminding me for ten days", "2026-11-30"),
    ],
)
def test_pause(text: str, day: str) -> None:
    assert read(text) == Pause(at(f"{day} 08:30"))


@pytest.mark.parametrize(
    "text",
    [
        "หยุดเตือน",
        "ไม่ต้องเตือนแล้ว",
        "ไม่ต้องเตือนอีกแล้วนะคะ",
        "เลิกเตือนได้แล้ว",
        "ปิดการแจ้งเตือน 🙏",
        "stop reminding me",
        "Please don’t remind me again",
    ],
)
def test_off(text: str) -> None:
    assert read(text) == Off()


@pytest.mark.parametrize(
    ("text", "when"),
    [
        ("วันนี้ 9 โมง", "2026-11-20 09:00"),
        ("20 พ.ย. เก้าโมง", "2026-11-20 09:00"),
        ("1 ม.ค. 2568", "2025-01-01 08:30"),
        ("1 January 2026 at 2 pm", "2026-01-01 14:00"),
        ("today at 8 am", "2026-11-20 08:00"),
    ],
)
def test_what_is_over_says_so(text: str, when: str) -> None:
    assert read(text) == Past(at(when))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "จ",
        "จ.",
        "9",
        "๙",
        "9.30",
        "12.50",
        "5/12",
        "100",
        "ก",
        "พ.ศ.",
        "สวัสดี",
        "ลดเวลาทำรายงานทุกวันจันทร์",
        "ทำรายงานทุกวันศุกร์ บ่ายสอง",
        "ประชุมพรุ่งนี้เก้าโมง",
        "พรุ่งนี้มีประชุมบ่ายสอง",
        "ไม่ว่างทุกวันจันทร์",
        "วันหยุด",
        "หยุดงานวันจันทร์",
        "วันนี้วันศุกร์",
        "วันนี้",
        "พักเที่ยง",
        "ไม่ต้องเตือนพรุ่งนี้",
        "สองคน",
        "3 วัน",
        "สองสัปดาห์",
        "ทุกอาทิตย์",
        "ทุกวันที่ 5",
        "ทุกสองวัน",
        "เตือนวันละครั้ง",
        "ส่งเอกสารวันที่ 5 ธันวา",
        "วันที่ 31 ก.พ. 9 โมง",
        "วันจันทร์ที่ 20 พฤศจิกายน 2569 เวลา 14.00 น.",
        "พรุ่งนี้วันจันทร์ 9 โมง",
        "9.00-10.00 น.",
        "เก้าโมงหรือสิบโมง",
        "จันทร์บ่ายสอง พุธบ่ายสาม",
        "24 โมง",
        "บ่ายสองสามสิบ",
        "25:00 น.",
        "เดือนละสองครั้ง",
        "ใช้ Excel ทำตารางเวร จ.-ศ. 9.30 น.",
        "หยุด",
        "พัก",
        "ตอนเช้า",
        "ไว้ทีหลัง",
        "สรุปยอดทุกเดือน",
        "ลดงานจากสองวันเหลือสองชั่วโมง",
        "กองแผนงาน",
        "stop",
        "may",
        "I work every Monday",
        "cut the monthly report from two days to two hours",
        "not tomorrow",
        "yes",
        "at work",
        "in the morning meeting",
        "next",
        "the second one",
        "ทุกวัน " * 30,
    ],
)
def test_anything_else_is_left_alone(text: str) -> None:
    """One word that is no word of time, or two times, or half a time: not for us."""
    assert read(text) is None


@settings(deadline=None)
@given(st.text(max_size=130) | st.text("ทุกวันจนร์พธ์ศอาิตย 0123456789.:/-โมงบ่ายสอเ้ีก้าุ่", max_size=60))
@example("0000-00-00")
@example("99/99/9999 99.99 น.")
@example("อีก 999999999999 วัน")
@example("5 ธันวา 999999999 9 โมง")
@example("5 ธ.ค. 9999")
def test_no_text_is_too_strange(text: str) -> None:
    found = read(text)

    assert found is None or isinstance(found, get_args(When))


ZONES = ["Asia/Bangkok", "Europe/Berlin", "America/Los_Angeles"]
weekly = st.builds(
    Weekly,
    st.sets(st.integers(0, 6), min_size=1).map(lambda days: tuple(sorted(days))),
    st.none() | st.integers(0, 1439),
)


@settings(deadline=None)
@given(weekly, st.sampled_from(["th", "en"]))
def test_a_week_that_is_said_reads_the_same(when: Weekly, lang: str) -> None:
    assert read(say_when(when, lang, CONTENT)) == when  # type: ignore[arg-type]


@settings(deadline=None)
@given(st.integers(1, 3 * 365 * 24 * 60), st.sampled_from(ZONES), st.sampled_from(["th", "en"]))
def test_a_moment_that_is_said_reads_the_same(ahead: int, zone: str, lang: str) -> None:
    """In every zone, but for the second half of an hour that is repeated."""
    there = (NOW.astimezone(UTC) + timedelta(minutes=ahead)).astimezone(ZoneInfo(zone))
    said = say_when(Once(there), lang, CONTENT, zone)  # type: ignore[arg-type]

    assert read_when(said, NOW, zone, CONTENT) == Once(there.replace(fold=0))


@pytest.mark.parametrize(
    ("when", "thai", "english"),
    [
        (Weekly((0, 2), 840), "ทุกวันจันทร์ พุธ เวลา 14.00 น.", "every Monday, Wednesday at 14:00"),
        (Weekly(ALL), "ทุกวัน", "every day"),
        (
            Once(at("2026-12-04 09:05")),
            "วันศุกร์ที่ 4 ธันวาคม 2569 เวลา 09.05 น.",
            "Friday 4 December 2026 at 09:05",
        ),
        (
            Later(at("2026-12-04 08:30")),
            "ตั้งแต่วันศุกร์ที่ 4 ธันวาคม 2569",
            "from Friday 4 December 2026",
        ),
        (
            Pause(at("2028-02-29 08:30")),
            "พักถึงวันอังคารที่ 29 กุมภาพันธ์ 2571",
            "pause until Tuesday 29 February 2028",
        ),
        (Off(), "หยุดเตือน", "no more reminders"),
    ],
)
def test_what_is_said(when: When, thai: str, english: str) -> None:
    """Dates of the Buddhist era in Thai; everything that is said is understood again."""
    assert say_when(when, "th", CONTENT) == thai
    assert say_when(when, "en", CONTENT) == english
    assert read(thai) == read(english) == when


def test_a_word_of_two_kinds_is_a_fault(tmp_path: Path) -> None:
    root = tmp_path / "content"
    shutil.copytree(HERE, root, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    path = root / "words.toml"
    path.write_text(
        path.read_text(encoding="utf-8").replace('next = ["หน้า"', 'next = ["ทุ่ม"'), "utf-8"
    )
    with pytest.raises(ContentError) as caught:
        load(root)

    said = [fault.what.partition(" stands")[0] for fault in caught.value.faults]
    assert said == ["next: 'ทุ่ม'", "thum: 'ทุ่ม'"]


def test_tomorrow_is_tomorrow_where_the_reader_is() -> None:
    """Half past two in the morning in Bangkok is still the day before in Berlin."""
    now = at("2026-11-21 02:30")

    found = read_when("พรุ่งนี้เก้าโมง", now, "Europe/Berlin", CONTENT)

    assert found == Once(datetime(2026, 11, 21, 9, tzinfo=ZoneInfo("Europe/Berlin")))


def test_a_time_that_a_clock_leaves_out_is_an_hour_later() -> None:
    now = datetime(2026, 3, 28, 12, tzinfo=ZoneInfo("Europe/Berlin"))

    found = read_when("พรุ่งนี้ 02:30 น.", now, "Europe/Berlin", CONTENT)

    assert isinstance(found, Once)
    assert (found.at.hour, found.at.minute) == (3, 30)


@pytest.mark.parametrize(
    ("text", "when"),
    [
        ("มะเรื่องเก้าโมง", "2026-11-23 09:00"),
        ("พรุ่งนี้บ่ายสามสี่สิบห้า", "2026-11-21 15:45"),
        ("พรุ่งนี้บ่ายสองสิบห้า", "2026-11-21 14:15"),
        ("พรุ่งนี้เที่ยงสิบห้า", "2026-11-21 12:15"),
    ],
)
def test_days_and_minutes_that_are_spelled(text: str, when: str) -> None:
    assert read(text) == Once(at(when))
