"""What a short answer means, whichever way it was typed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from content.schema import Content
from flows.reading import Reader, bare, fold
from flows.types import Choice
from tests.walk import the_content

READER = Reader(the_content().words)
PARTICLES = the_content().words.particles


@pytest.mark.parametrize(
    ("typed", "folded"),
    [
        ("เมนู", "เมนู"),
        (" เมนู ", "เมนู"),
        ("เม\u200bนู", "เมนู"),
        ("MENU", "menu"),
        ("เเละ", "และ"),
        ("ทํา", "ทำ"),
        ("ทำ", "ทำ"),
        ("๑๒.๓๐ น.", "1230น"),
        ("ครับบบบบ", "ครับ"),
        ("ใช่!!!", "ใช่"),
        ("5555", "5555"),
        ("ก.", "ก"),
        ("my_data", "mydata"),
        ("น้ำ", "น้ำ"),
        ("!?…", ""),
        ("😀", ""),
    ],
)
def test_fold(typed: str, folded: str) -> None:
    assert fold(typed) == folded


@given(st.text(max_size=60))
def test_fold_twice_is_fold_once(text: str) -> None:
    assert fold(fold(text)) == fold(text)


@pytest.mark.parametrize(
    ("typed", "left"),
    [
        ("เมนูครับ", "เมนู"),
        ("เมนูค่ะ", "เมนู"),
        ("ช่วยด้วยครับ", "ช่วย"),
        ("menu please", "menu"),
        ("ครับ", "ครับ"),
        ("นะคะ", "นะ"),
        ("", ""),
    ],
)
def test_bare(typed: str, left: str) -> None:
    """Polite endings change nothing; a word of nothing else is kept."""
    assert bare(typed, PARTICLES) == left


@pytest.mark.parametrize(
    ("typed", "word"),
    [
        ("เมนู", "menu"),
        ("เมณู", "menu"),
        ("Menu!", "menu"),
        ("/menu", "menu"),
        ("ขอเมนูหน่อย", None),
        ("เมนูอาหารกลางวัน", None),
        ("?", "help"),
        ("??", None),
        ("!", None),
        ("😀", None),
        ("", None),
        ("ช่วยด้วยค่ะ", "help"),
        ("หยุด", "stop"),
        ("วันหยุด", None),
        ("หยุดงานวันจันทร์", None),
        ("ลบข้อมูล", "erase"),
        ("ลบข้อมูลซ้ำในทะเบียน", None),
        ("ภาษาไทย", "thai"),
        ("English", "english"),
        ("เปลี่ยนภาษา", "language"),
        ("/start", "start"),
        ("start", None),
        ("สวัสดีค่ะ", "start"),
        ("ถาม hr", "ask_hr"),
        ("ถามHR", "ask_hr"),
        ("ถาม HR ว่าลาอย่างไร", None),
        ("เมนู" * 20, None),
    ],
)
def test_reserved_word(typed: str, word: str | None) -> None:
    """The word alone is heard, never the word inside a sentence."""
    assert READER.reserved_word(typed) == word


OPTIONS = (
    Choice("0", "", "ปิดแท็บที่ไม่ได้ใช้ก่อน"),
    Choice("1", "", "ขอเครื่องใหม่จากกอง"),
    Choice("2", "", "ลบไฟล์ในไดรฟ์ C:"),
    Choice("unsure", "ไม่แน่ใจ"),
)
YES_NO = (Choice("yes", "ใช่"), Choice("no", "ไม่ใช่"))
PLACED = (Choice("right", "ใช่ ไปต่อ"), Choice("change_group", "ขอแก้กลุ่ม"))
ERASE = (Choice("erase_all", "ลบทั้งหมด"), Choice("keep_data", "ไม่ลบ"))
FORMULAS = (Choice("0", "", "=$B$2/$B$23"), Choice("1", "", "=B2/$B$23"))
LINK = (Choice("pdf", "PDF", url="https://example.go.th"), Choice("go", "ต่อไป"))


@pytest.mark.parametrize(
    ("typed", "choices", "id"),
    [
        ("ก", OPTIONS, "0"),
        ("ข.", OPTIONS, "1"),
        ("ตอบ ค ครับ", OPTIONS, "2"),
        ("A", OPTIONS, "0"),
        ("option b", OPTIONS, "1"),
        ("1", OPTIONS, "0"),
        ("๒", OPTIONS, "1"),
        ("ข้อ ๓", OPTIONS, "2"),
        ("ตอบข้อที่ 3", OPTIONS, "2"),
        ("4", OPTIONS, "unsure"),
        ("9", OPTIONS, None),
        ("0", OPTIONS, None),
        ("555", OPTIONS, None),
        ("ไม่รู้ค่ะ", OPTIONS, "unsure"),
        ("ปิดแท็บที่ไม่ได้ใช้ก่อน", OPTIONS, "0"),
        ("ปิดแทบที่ไม่ได้ใช้ก่อน", OPTIONS, "0"),
        ("ขอเครื่องใหม่", OPTIONS, "1"),
        ("ไ", OPTIONS, None),
        ("อะไรก็ได้", OPTIONS, None),
        ("ใช่", YES_NO, "yes"),
        ("ไช่", YES_NO, "yes"),
        ("ไม่ใช่ครับ", YES_NO, "no"),
        ("ครับ", YES_NO, "yes"),
        ("yes", YES_NO, "yes"),
        ("ใช่หรือไม่ใช่ดี", YES_NO, None),
        ("ใช่ค่ะ", PLACED, "right"),
        ("ไม่ตรง", PLACED, "change_group"),
        ("ใช่", ERASE, None),
        ("ลบทั้งหมด", ERASE, "erase_all"),
        ("ไม่", ERASE, "keep_data"),
        ("=B2/$B$23", FORMULAS, "1"),
        ("=$B$2/$B$23", FORMULAS, "0"),
        ("B2/B23", FORMULAS, None),
        ("PDF", LINK, None),
        ("1", LINK, "go"),
        ("", OPTIONS, None),
        ("ก" * 500, OPTIONS, None),
    ],
)
def test_choice(typed: str, choices: tuple[Choice, ...], id: str | None) -> None:
    assert READER.choice(typed, choices) == id


EXAMPLES = (Choice("task1", "", "ทำรายงานประจำเดือนให้เสร็จเร็วขึ้น"), Choice("skip", "ข้าม"))


@pytest.mark.parametrize(
    ("typed", "id"),
    [
        ("รายงาน", None),
        ("ทำรายงานประจำเดือนให้เสร็จไวขึ้น", None),
        ("ทำรายงานประจำเดือนให้เสร็จเร็วขึ้น", "task1"),
        ("ก", "task1"),
        ("ข้ามเลย", None),
        ("ข้ามค่ะ", "skip"),
        ("ไม่มี", "skip"),
        ("ไม่มีเวลาทำรายงาน", None),
    ],
)
def test_own_words_are_left_alone(typed: str, id: str | None) -> None:
    """Where somebody may write freely, only an unmistakable answer is taken for a button."""
    assert READER.choice(typed, EXAMPLES, own_words=True) == id


@given(st.text(max_size=120))
def test_no_text_is_too_strange(text: str) -> None:
    """Whatever is typed means one of the choices, or nothing."""
    ids = {choice.id for choice in OPTIONS} | {None}

    assert READER.choice(text, OPTIONS) in ids
    assert READER.choice(text, OPTIONS, own_words=True) in ids
    assert READER.reserved_word(text) in {*the_content().words.reserved, None}
    assert all(0 <= day <= 6 for day in READER.days(text))
    assert READER.minute(text) is None or 0 <= READER.minute(text) < 24 * 60


@pytest.mark.parametrize(
    ("typed", "days"),
    [
        ("จันทร์ พุธ", (0, 2)),
        ("วันพฤหัสกับวันศุกร์", (3, 4)),
        ("พฤหัสบดี", (3,)),
        ("จ. พ.", (0, 2)),
        ("จ-ศ", (0, 1, 2, 3, 4)),
        ("อังคารถึงพฤหัส", (1, 2, 3)),
        ("Mon to Wed", (0, 1, 2)),
        ("mon, thu", (0, 3)),
        ("Monday", (0,)),
        ("อาทิตย์", (6,)),
        ("สะดวกวันธรรมดา", (0, 1, 2, 3, 4)),
        ("วันทำการกับวันเสาร์", (0, 1, 2, 3, 4, 5)),
        ("at the weekend", (5, 6)),
        ("ยังไม่แน่ใจ", ()),
        ("สะดวกทุกวัน", ()),
        ("every month", ()),
        ("ขอสอบถามก่อน", ()),
        ("", ()),
    ],
)
def test_days(typed: str, days: tuple[int, ...]) -> None:
    assert READER.days(typed) == days


@pytest.mark.parametrize(
    ("typed", "minute"),
    [
        ("10:30", 630),
        ("๙.๓๐ น.", 570),
        ("9 โมง", 540),
        ("10 โมงครึ่ง", 630),
        ("บ่าย 2 โมง", 840),
        ("4 โมงเย็น", 960),
        ("2:15 pm", 855),
        ("เที่ยง", 720),
        ("13.00", 780),
        ("บ่ายสอง", 840),
        ("สองทุ่มครึ่ง", 1230),
        ("สะดวกช่วงสิบเอ็ดโมงครึ่งค่ะ", 690),
        ("สามโมงเช้า", 540),
        ("หกโมงเย็น", 1080),
        ("ตีห้า", 300),
        ("บ่ายโมงสิบห้า", 795),
        ("half past nine", 570),
        ("at 3 o'clock", 900),
        ("12 am", 0),
        ("9", 540),
        ("9" * 5000, None),
        ("25:00", None),
        ("10:75", None),
        ("0930", None),
        ("ตอนเช้า", None),
        ("", None),
    ],
)
def test_minute(typed: str, minute: int | None) -> None:
    assert READER.minute(typed) == minute


def test_day_names(content: Content) -> None:
    reader = Reader(content.words)

    assert reader.day_names((0, 2), "th") == "จันทร์ พุธ"
    assert reader.day_names((0, 2), "en") == "Monday, Wednesday"
