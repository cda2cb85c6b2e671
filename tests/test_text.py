"""Cutting: every part fits, nothing is lost, and no letter is torn apart."""

from datetime import datetime
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows import text as cutting
from flows.calendar import ZONE
from flows.text import clean, long_date, short_date, split, utf16_len

FAMILY = "👨\u200d👩\u200d👧\u200d👦"
CLUSTERS = [
    "ก",
    "น้ำ",
    "ที่",
    "เก้า",
    "แก้",
    "ใช่",
    "ปู่",
    "เพื่อ",
    "ฤๅ",
    FAMILY,
    "🇹🇭",
    "🇯🇵",
    "👍🏽",
    "1\ufe0f\u20e3",
    "❤\ufe0f",
    "é",
    "e\u0301\u0302",
    "𝔘",
    "a",
    "!",
    "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
]
SPACES = [" ", "\n", "\n\n"]
pieces = st.lists(st.sampled_from(CLUSTERS + SPACES * 2), max_size=120)
wild = st.text(
    st.characters(exclude_categories=["Cs"]) | st.sampled_from("กเแ\u0e33่้ิ็ๅ \n\u200d\ufe0f👩🏽🇹🇭𝔘"),
    max_size=300,
)


def squeezed(text: str) -> str:
    return "".join(text.split())


@given(pieces, st.integers(40, 90))
def test_no_cluster_is_torn(made: list[str], limit: int) -> None:
    """Texts made of whole clusters, all shorter than the limit, are only cut between them."""
    text = "".join(made)
    ends = {0}
    for piece in made:
        ends.add(max(ends) + len(squeezed(piece)))
    parts = split(text, limit)

    at = 0
    for part in parts:
        at += len(squeezed(part))
        assert at in ends


@given(wild, st.integers(2, 60))
def test_parts_fit_and_are_the_text(text: str, limit: int) -> None:
    """However wild the text: within the limit, and the same again but for trimmed breaks."""
    parts = split(text, limit)

    assert all(utf16_len(part) <= limit for part in parts)
    assert squeezed("".join(parts)) == squeezed(text)
    assert all(parts) or parts == [""]
    assert all(part == part.strip() for part in parts[1:-1])


@pytest.mark.parametrize(
    ("text", "limit", "parts"),
    [
        ("", 10, [""]),
        ("สวัสดี", 10, ["สวัสดี"]),
        ("one two three", 8, ["one two", "three"]),
        ("ย่อหน้าหนึ่ง\n\nย่อหน้าสอง", 16, ["ย่อหน้าหนึ่ง", "ย่อหน้าสอง"]),
        ("สวัสดีชาวโลก", 8, ["สวัสดี", "ชาวโลก"]),
        ("ก" + "่" * 9, 5, ["ก่่่่", "่่่่่"]),
        ("🇹🇭🇹🇭🇹🇭", 6, ["🇹🇭", "🇹🇭", "🇹🇭"]),
        (FAMILY * 2, 12, [FAMILY, FAMILY]),
        ("😀😀", 2, ["😀", "😀"]),
    ],
)
def test_split(text: str, limit: int, parts: list[str]) -> None:
    assert split(text, limit) == parts


def test_thai_is_cut_between_words() -> None:
    """Without spaces the dictionary says where a word ends."""
    sentence = "ข้าราชการพัฒนาทักษะดิจิทัลด้วยตนเองทุกวัน"
    words = ["ข้าราชการ", "พัฒนา", "ทักษะ", "ดิจิทัล", "ด้วย", "ตนเอง", "ทุกวัน"]
    ends = {0}
    for word in words:
        ends.add(max(ends) + len(word))

    for limit in range(10, len(sentence)):
        at = 0
        for part in split(sentence, limit):
            at += len(part)
            assert at in ends


@pytest.mark.parametrize("unit", ["ก", "ที่", "การ", "word ", "😀", "🇹🇭", FAMILY, "่", "ก่้ ", "เ"])
def test_long_texts_take_no_longer_for_each_letter(
    unit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four times the text is measured about four times as often: nothing is quadratic."""

    def work(letters: int) -> int:
        measured = 0

        def count(text: str) -> int:
            nonlocal measured
            measured += len(text)
            return utf16_len(text)

        def joins(text: str, at: int) -> bool:
            nonlocal measured
            measured += 1
            return real(text, at)

        real = cutting._joins
        with monkeypatch.context() as patched:
            patched.setattr(cutting, "utf16_len", count)
            patched.setattr(cutting, "_joins", joins)
            split(unit * (letters // len(unit)), 500)
        return measured

    assert work(20_000) <= 8 * work(5_000)


@settings(max_examples=30)
@given(st.text(max_size=50))
def test_clean(text: str) -> None:
    cleaned = clean(text + "\x00\ud83d\r\n")

    assert cleaned.encode()
    assert "\x00" not in cleaned
    assert "\r\n" not in cleaned


def test_dates_are_read_in_the_era_of_the_language() -> None:
    day = datetime(2026, 11, 5, 9, tzinfo=ZONE)

    assert long_date(day, "th") == "5 พฤศจิกายน 2569"
    assert long_date(day, "en") == "5 November 2026"
    assert short_date(day, "th") == "5 พ.ย. 2569"
    assert short_date(day, "en") == "5 Nov 2026"


def test_utf16_units_are_what_platforms_count() -> None:
    for text in ("ก", "😀", FAMILY, "a𝔘"):
        assert utf16_len(text) == len(text.encode("utf-16-le")) // 2

    assert all(a <= b for a, b in pairwise(utf16_len("😀" * n) for n in range(5)))
