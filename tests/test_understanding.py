"""What messages mean: the labelled ones hold their figures, and nothing breaks the reader."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from flows.details import TAKES
from flows.intents import LIKELY, UNKNOWN, finder, understand
from tests.understanding import learning
from tests.understanding.figures import NOW, figures, table
from tests.walk import the_content

CONTENT = the_content()
FOLDER = Path(__file__).parent / "understanding"
SETS = sorted(FOLDER.glob("*.tsv"))
INTENTS = (
    *("start", "menu", "help", "progress", "plan", "lesson", "quiz", "review", "placement"),
    *("why_group", "result", "remind", "snooze", "stop", "resume", "team_digest", "my_data"),
    *("erase", "language", "ask_hr", "certificate", "evidence", "claim_code", "greeting", "thanks"),
    *("back", "skip", "yes", "no", "unknown"),
)


def intent(text: str) -> str:
    return understand(text, NOW, CONTENT).intent


# --- the labelled messages ---------------------------------------------------------------


@pytest.mark.parametrize("path", SETS, ids=lambda path: path.stem)
def test_labelled_messages_are_understood(path: Path) -> None:
    found = figures(learning.labelled(path), CONTENT)

    assert found.accuracy >= 0.97, table(found)
    assert found.slots >= 0.95, table(found)
    assert not found.false, table(found)


@pytest.mark.parametrize("path", SETS, ids=lambda path: path.stem)
def test_labels_are_well_formed(path: Path) -> None:
    rows = learning.labelled(path)

    assert {intent for intent, _, _ in rows} <= {*INTENTS}
    assert all(text.strip() for *_, text in rows)
    kinds = {"time", "date", "weekdays", "period", "area", "unit", "number", "code"}
    assert {name for _, slots, _ in rows for name in slots} <= kinds


def test_there_are_six_hundred_labelled_messages() -> None:
    rows = learning.labelled(learning.TUNING)

    assert len(rows) >= 600
    assert {intent for intent, _, _ in rows} == {*INTENTS}


def test_the_mind_was_made_from_what_is_shipped() -> None:
    """Whoever edits phrases, words or labels runs `python -m tests.understanding train`."""
    assert CONTENT.mind.learned_from == learning.fingerprint()
    assert {*CONTENT.mind.intents} == {*INTENTS}


def test_learning_is_deterministic_and_learns() -> None:
    said = [
        learning.Said(intent, text)
        for intent, text in (
            ("menu", "เมนู"),
            ("menu", "ขอเมนู"),
            ("help", "ช่วยเหลือ"),
            ("help", "ช่วยเหลือด้วย"),
        )
    ]

    once, again = (learning.learn(said, CONTENT.hearing) for _ in range(2))

    assert once == again
    content = CONTENT.model_copy(update={"mind": once})
    assert understand("ขอดูเมนู", NOW, content).intent == "menu"


def test_phrases_name_only_words_that_there_are() -> None:
    drawn = learning.drawn()

    assert len(drawn) > 10_000
    assert {each.intent for each in drawn} == {*INTENTS}
    assert not [each.text for each in drawn if set(each.text) & set("{}|")]


# --- single ones -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "ที่ผ่านมาผมไม่เคยหยุดคิดเรื่องงานเลย จนได้ลองแบ่งเวลา",
        "หัวหน้าสั่งให้หยุดโครงการนี้ไปก่อน",
        "พรุ่งนี้หยุดงานหรือเปล่า",
        "ผมหยุดใช้กระดาษแล้ว",
        "ยกเลิกประชุมบ่ายนี้",
        "เมื่อวานลบไฟล์ผิด ทำยังไงดี",
        "เราควรลบขั้นตอนที่ซ้ำซ้อน",
        "ลบข้อมูลลูกค้าซ้ำใน Excel ยังไง",
        "the printer stopped",
        "I deleted the duplicate rows",
        "รถเมล์หยุดวิ่งแล้ว",
        "รหัสไวไฟอะไร",
        "กดกดกดกดกด",
    ],
)
def test_what_only_sounds_like_it_is_left_alone(text: str) -> None:
    assert intent(text) not in ("stop", "erase", "claim_code", "resume")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("l;ylfu", "greeting"),
        ("ทำืี", "menu"),
        ("เมนูววว", "menu"),
        ("เมนุ", "menu"),
        ("ขอดู progress หน่อยครับ", "progress"),
        ("ยังไม่ว่างครับ", "snooze"),
        ("ไว้ก่อนนะคะ", "snooze"),
        ("หยุดส่งข้อความมาได้แล้ว", "stop"),
        ("ลบข้อมูลของดิฉันทั้งหมดออกจากระบบด้วยค่ะ", "erase"),
        ("", UNKNOWN),
        ("   ", UNKNOWN),
        ("😀😀", UNKNOWN),
    ],
)
def test_ways_of_typing(text: str, wanted: str) -> None:
    assert intent(text) == wanted


@pytest.mark.parametrize(
    ("text", "slots"),
    [
        ("ช่วยเตือนผมพรุ่งนี้บ่ายสองครึ่งหน่อย", {"time": "14:30", "date": "2026-12-01"}),
        ("เตือนวันมะรืนสิบโมงเช้า", {"time": "10:00", "date": "2026-12-02"}),
        ("เตือนจันทร์หน้า สามทุ่ม", {"time": "21:00", "date": "2026-12-07"}),
        ("เตือนสิ้นเดือนธันวาคม", {"date": "2026-12-31"}),
        ("เตือนทุกวันจันทร์กับพุธ ๙ โมง", {"time": "09:00", "weekdays": ["mon", "wed"]}),
        ("เปลี่ยนเวลาเตือนจาก 8 โมงเป็น 9 โมงเช้า", {"time": "09:00"}),
        ("ขอพักสองสัปดาห์ครับ", {"period": "P2W"}),
        ("ขอข้อสอบเรื่อง Excel สิบข้อ", {"area": "spreadsheet", "number": 10}),
        ("สรุปความก้าวหน้ากองคลัง 30 วันล่าสุด", {"unit": "กองคลัง", "period": "P30D"}),
        ("รหัส k7mp-2qx9 ครับ", {"code": "K7MP2QX9"}),
    ],
)
def test_details(text: str, slots: dict[str, object]) -> None:
    assert understand(text, NOW, CONTENT).slots == slots


def test_relative_dates_follow_the_readers_zone() -> None:
    late = datetime(2026, 11, 30, 20, tzinfo=UTC)  # the first of December in Bangkok

    assert understand("เตือนพรุ่งนี้เที่ยง", late, CONTENT).slots["date"] == "2026-12-02"
    there = understand("เตือนพรุ่งนี้เที่ยง", late, CONTENT, "Europe/London")
    assert there.slots["date"] == "2026-12-01"


# --- anything ----------------------------------------------------------------------------

WORDS = (
    *("เตือน", "หยุด", "ลบ", "9", "๑๒", "โมง", "วันที่", "31", "กพ", "จาก", "เป็น", " ", "ข้อ"),
    *("กอง", "ปี", "-", "/", ".", "K7", "A-1", "สิ้นเดือน", "อีก", "99999999", "ครึ่ง", "ถึง"),
    "จันทร์",
)
TEXTS = st.one_of(
    st.text(max_size=200),
    st.lists(st.sampled_from(WORDS), max_size=30).map("".join),
    st.text(alphabet=[chr(letter) for letter in range(0x0E00, 0x0E5F)], max_size=120),
)


@settings(max_examples=300, deadline=None)
@given(TEXTS, st.integers(-150_000, 150_000))
@example("เตือนวันที่ 31/02", 0)
@example("อีก 366 เดือนเตือน", 31)
@example("\ud800\x00", 0)
def test_any_text_means_something(text: str, days: int) -> None:
    found = understand(text, NOW + timedelta(days=days), CONTENT)

    assert found.text == text
    assert found.intent in INTENTS
    assert 0 <= found.confidence <= 1
    assert found.intent == UNKNOWN or found.confidence >= LIKELY
    assert {*found.slots} <= {*TAKES.get(found.intent, ())}
    assert json.loads(json.dumps(found.slots)) == found.slots


@pytest.mark.parametrize("unit", ["ก", "่", "a", "จันทร์", "9", " ", "-", "K7-", "หน้า", "\u200b"])
def test_long_messages_are_read_to_a_point(unit: str) -> None:
    """Two thousand letters or two hundred times as many are the same."""
    long = unit * (2000 // len(unit))

    assert understand(long * 200, NOW, CONTENT).slots == understand(long, NOW, CONTENT).slots


@pytest.mark.parametrize("unit", ["9", "นะคะ", "สิบ", "จาก", "a1-", "A1 ", "กอง", "จันทร์ ", "1 ปี"])
@pytest.mark.parametrize("intent", TAKES)
def test_long_messages_have_few_details(intent: str, unit: str) -> None:
    """No pattern tries all the ways to cut a message: this would never end."""
    slots = finder(CONTENT).slots(intent, unit * (300 // len(unit)) + "!", NOW)

    assert len(slots) <= len(TAKES[intent])


# --- the command -------------------------------------------------------------------------


def run(lines: bytes, *more: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "bot", "understand", *more]
    return subprocess.run(command, input=lines, capture_output=True, check=False, timeout=120)


def test_a_line_of_json_for_every_line() -> None:
    lines = "เตือนพรุ่งนี้บ่ายสองครึ่ง\n\n\x00 \u2028\nl;ylfu\r\nช่วย".encode() + b"\n\xff\xfe\n"

    done = run(lines, "--now", "2026-11-30T10:00")

    assert done.returncode == 0, done.stderr
    said = [json.loads(line) for line in done.stdout.decode().split("\n")[:-1]]
    assert len(said) == 6
    assert said[0] == {
        "text": "เตือนพรุ่งนี้บ่ายสองครึ่ง",
        "intent": "remind",
        "slots": {"time": "14:30", "date": "2026-12-01"},
        "confidence": said[0]["confidence"],
    }
    assert "เตือน" in done.stdout.decode()
    assert said[1]["text"] == ""
    assert said[3]["text"] == "l;ylfu"
    assert [each["intent"] for each in said[1:5]] == [UNKNOWN, UNKNOWN, "greeting", "help"]


def test_answers_stream() -> None:
    command = [sys.executable, "-m", "bot", "understand"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for text in ("เมนู", "ขอบคุณ"):
            process.stdin.write(f"{text}\n".encode())
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["text"] == text
        process.stdin.close()
        assert process.wait(60) == 0


def test_a_moment_that_is_none_is_refused() -> None:
    done = run(b"", "--now", "tomorrow")

    assert done.returncode == 2
    assert done.stderr.decode().strip().count("\n") == 0
    assert "--now" in done.stderr.decode()


def test_figures_of_a_file_can_be_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "some.tsv"
    path.write_text("menu\t{}\tเมนู\nstop\t{}\tเมนู\n", encoding="utf-8")

    command = [sys.executable, "-m", "tests.understanding", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)

    assert "accuracy 0.5000 of 2 messages" in done.stdout
    assert "false    stop 0, erase 0" in done.stdout
    missing = subprocess.run([*command[:-1], "none.tsv"], capture_output=True, check=False)
    assert missing.returncode == 2
