"""Moodle's GIFT: what is read, what is named and left out, and what cannot be read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from content.gift import MOST, SPECIAL, Answer, Asked, parse

EXAM = r"""// A comment
$CATEGORY: อบรม/ความปลอดภัย

::ข้อ 1::[html]<p>รหัสผ่านแบบใดเดายาก&nbsp;ที่สุด</p> {
    =ยาวและไม่ซ้ำเว็บอื่น #ถูกต้อง เพราะยาว
    ~วันเกิดของตน #เดาได้ง่าย
    // another comment
    ~%0%ชื่อหน่วยงาน #ใครก็รู้
    ####อ่านเพิ่มเติมในคู่มือ
}

::Q2:: 1 + 2 \= 3 \{really\} {TRUE#It is so.#Well read.}

ข้อความล้วน {F}
"""


def one(text: str) -> Asked:
    found = parse(text)
    assert (found.faults, found.unknown) == ((), ())
    (asked,) = found.questions
    return asked


def test_a_file_as_moodle_writes_it() -> None:
    found = parse(EXAM)
    first, second, third = found.questions

    assert (found.faults, found.unknown) == ((), ())
    assert first.title == "ข้อ 1"
    assert first.category == "อบรม/ความปลอดภัย"
    assert first.line == 4
    assert first.stem == "รหัสผ่านแบบใดเดายาก ที่สุด"
    assert first.general == "อ่านเพิ่มเติมในคู่มือ"
    assert first.answers == (
        Answer("ยาวและไม่ซ้ำเว็บอื่น", True, "ถูกต้อง เพราะยาว"),
        Answer("วันเกิดของตน", False, "เดาได้ง่าย"),
        Answer("ชื่อหน่วยงาน", False, "ใครก็รู้"),
    )
    assert [(note.line, note.what) for note in found.warnings] == [
        (4, "marks of html were taken out")
    ]
    assert second.stem == "1 + 2 = 3 {really}"
    assert second.boolean
    assert second.answers == (Answer("", True, "Well read."), Answer("", False, "It is so."))
    assert [answer.right for answer in third.answers] == [False, True]


def test_answers_on_one_line_and_windows_newlines() -> None:
    asked = one("Who?{~Grant ~Jefferson =no one}\r\n")

    assert [answer.text for answer in asked.answers] == ["Grant", "Jefferson", "no one"]
    assert [answer.right for answer in asked.answers] == [False, False, True]


def test_a_newline_is_written() -> None:
    assert one(r"One\nTwo {=a ~b}").stem == "One\nTwo"


def test_a_mark_of_order_at_the_start_is_no_letter() -> None:
    assert one("\ufeffWho? {=a ~b}").stem == "Who?"


def test_markdown_marks_are_taken_out() -> None:
    found = parse("[markdown]**Bold** `code` {=__a__ ~b}")

    assert found.questions[0].stem == "Bold code"
    assert found.questions[0].answers[0].text == "a"
    assert [note.what for note in found.warnings] == ["marks of markdown were taken out"]


def test_part_of_the_points_is_left_out_with_a_warning() -> None:
    found = parse("Where? {~Jerusalem ~%25%Bethlehem ~%-50%Rome =Nazareth}")

    assert [answer.right for answer in found.questions[0].answers] == [False, False, False, True]
    assert "part of the points" in found.warnings[0].what


def test_all_the_points_make_an_answer_right() -> None:
    assert one("Where? {~a ~%100%b}").answers[1].right


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Which eats what? {=cat -> mice =dog -> bones}", "matching"),
        ("How many? {#3:1}", "numerical"),
        ("Two plus two {=four =4}", "short answer"),
        ("Write a page. {}", "essay"),
        ("Grant is {~buried =entombed} in a tomb.", "missing word"),
        ("Only words to read.", "description"),
        ("Which two? {~%50%a ~%50%b ~c}", "several right answers"),
        ("Which two? {=a =b ~c}", "several right answers"),
        ("Which? {~a ~b}", "no right answer"),
    ],
)
def test_other_kinds_are_named_with_their_line(text: str, kind: str) -> None:
    found = parse(f"Who? {{=a ~b}}\n\n{text}\n")

    assert found.faults == ()
    assert len(found.questions) == 1
    assert [note.line for note in found.unknown] == [3]
    assert found.unknown[0].what.startswith(kind)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("Who? {=a ~b", "{ without }"),
        ("Who? =a ~b}", "} without {"),
        ("Who? {=a\n\n~b}", "{ without }"),
        ("Who? {=a ~b} And? {=c ~d}", "a second pair"),
        ("Who? {=a {~b}", "{ within the answers"),
        ("::Title Who? {=a ~b}", "the title"),
        ("{=a ~b}", "no words before"),
        ("Who? {a =b ~c}", "words before the first answer"),
        ("Who? {a b}", "no answer begins"),
        ("Who? {=a ~}", "has no words"),
        ("Who? {=a#x#y ~b}", "two feedbacks"),
        ("Who? {T#a#b#c}", "two feedbacks at most"),
        ("Who? {~%half%a =b}", "a weight is a number"),
        ("Who? {=a" + " ~b" * MOST + "}", f"{MOST + 1} answers"),
    ],
)
def test_what_cannot_be_read_is_said_with_its_line(text: str, says: str) -> None:
    found = parse(f"// exam\n\n{text}\n")

    assert found.faults
    assert found.faults[0].line == 3
    assert says in found.faults[0].what


# --- there and back ----------------------------------------------------------------------

WORDS = st.text(
    st.characters(codec="utf-8", exclude_categories=("C", "Z")) | st.sampled_from("~=#{}:\\ก่้ 0"),
    min_size=1,
    max_size=30,
).map(lambda text: " ".join(text.split())).filter(
    lambda text: text and not text.startswith(("%", "[", "//", "$", ":"))
)  # fmt: skip


def written(text: str) -> str:
    """A text as a GIFT file has it."""
    return "".join("\\" + letter if letter in SPECIAL else letter for letter in text)


@given(
    WORDS,
    st.lists(st.tuples(WORDS, st.just("") | WORDS), min_size=2, max_size=MOST),
    st.data(),
    st.just("") | WORDS,
    st.sampled_from(["\n", " ", "\n\t"]),
)
def test_what_is_written_is_read(
    stem: str, answers: list[tuple[str, str]], data: st.DataObject, general: str, gap: str
) -> None:
    """Whatever letters there are, once they are escaped."""
    right = data.draw(st.integers(0, len(answers) - 1))
    lines = [
        f"{'=' if at == right else '~'}{written(text)}" + (f"#{written(said)}" if said else "")
        for at, (text, said) in enumerate(answers)
    ]
    end = [f"####{written(general)}"] if general else []
    asked = one(f"{written(stem)} {{{gap.join(['', *lines, *end, ''])}}}\n")

    assert asked.stem == stem
    assert asked.general == general
    assert [(answer.text, answer.feedback) for answer in asked.answers] == answers
    assert [answer.right for answer in asked.answers].index(True) == right


@given(st.text(st.sampled_from("ab ~=#{}:%\\\n/$T[]->"), max_size=120))
def test_nothing_that_is_typed_breaks_it(text: str) -> None:
    """Every block ends as a question, a fault or an unknown kind, at a line of the file."""
    found = parse(text)

    for note in (*found.faults, *found.unknown, *found.warnings):
        assert 1 <= note.line <= text.count("\n") + 1
        assert note.what
    for asked in found.questions:
        assert asked.stem
        assert sum(answer.right for answer in asked.answers) == 1
