"""The bank is sound, and each rule of its lint finds what it is for."""

import re
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.authoring import checked
from content import bank
from content.bank import Found, check, likeness, misspelled, remarks, spread, texts
from content.census import table
from content.load import HERE, Fault, Files, load_terms, load_with
from content.schema import LANGS, Content, Exercise, Lesson, Question, Terms
from flows import prose
from flows.text import THAI, Dictionary

DAY = date(2026, 12, 1)
ROOT = Path(__file__).parents[1]


class Bank:
    """The content, its files, and what can be broken in a copy of it."""

    def __init__(self) -> None:
        self.files = Files()
        self.content = load_with(self.files)
        self.terms = load_terms()

    def item(self, id: str) -> Any:
        for find in (self.content.question, self.content.lesson, self.content.exercise):
            try:
                return find(id)
            except LookupError:
                continue
        raise LookupError(id)

    def with_(self, *items: Any) -> Content:
        """The content with other items in the place of those with their ids."""
        made = {Question: "questions", Lesson: "lessons", Exercise: "exercises"}
        content = self.content
        for item in items:
            shelf = getattr(content, made[type(item)])
            area = item.id.rsplit("-", 1)[0]
            row = tuple(item if each.id == item.id else each for each in shelf[area])
            content = content.model_copy(update={made[type(item)]: {**shelf, area: row}})
        return content

    def check(self, content: Content, day: date = DAY) -> Found:
        return check(content, self.files, self.terms, day)

    def faults(self, *items: Any) -> list[Fault]:
        return self.check(self.with_(*items)).faults


@pytest.fixture(scope="module")
def real() -> Bank:
    return Bank()


@pytest.fixture(scope="module")
def dictionary(real: Bank) -> Dictionary:
    return Dictionary(real.terms.words)


# --- the bank as it is shipped -----------------------------------------------------------


def test_the_bank_has_no_faults() -> None:
    """What `kaona check --deep` says: 0 faults, spelling and reading level included."""
    content, warnings = checked(DAY, deep=True)

    assert {str(each).partition(": ")[2].partition(" ")[2][:20] for each in warnings} <= {
        "of its sources are n"
    }
    assert len(content.questions) == 17


def test_the_table_of_the_bank_is_fresh(real: Bank) -> None:
    """Made anew by `kaona content table --out docs/bank.md`."""
    assert (ROOT / "docs" / "bank.md").read_text(encoding="utf-8") == table(real.content)


def test_no_wrong_form_is_within_a_right_one_unheard(real: Bank) -> None:
    """Whatever is right is never taken for something wrong."""
    for form in real.terms.forms:
        assert misspelled(form.right, real.terms) == []
        for wrong in form.wrong:
            assert misspelled(wrong, real.terms), wrong


# --- each rule finds a planted fault -----------------------------------------------------

Plant = Callable[[Bank], Any]


def reworded(question: Question, at: int, lang: str, **new: str) -> Question:
    """A question with another text or feedback of an option."""
    option = question.options[at]
    text = option.of(lang).model_copy(update=new)  # type: ignore[arg-type]
    options = list(question.options)
    options[at] = option.model_copy(update={lang: text})
    return question.model_copy(update={"options": tuple(options)})


def asked(question: Question, lang: str, stem: str) -> Question:
    return question.model_copy(update={"stem": question.stem.model_copy(update={lang: stem})})


def wrong_of(question: Question) -> int:
    return next(at for at in range(4) if at != question.right)


def long_option(real: Bank) -> Question:
    question = real.item("word-05")
    return reworded(question, wrong_of(question), "en", text="x" * 91)


def long_stem(real: Bank) -> Question:
    return asked(real.item("word-05"), "th", "ก" * 241)


def standing_out(real: Bank) -> Question:
    question = real.item("word-05")
    longest = max(len(option.th.text) for option in question.options)
    return reworded(question, question.right, "th", text="ก" * (2 * longest))


def all_of_them(real: Bank) -> Question:
    question = real.item("word-05")
    return reworded(question, wrong_of(question), "th", text="ถูกทุกข้อ")


def all_above(real: Bank) -> Question:
    question = real.item("word-05")
    return reworded(question, wrong_of(question), "en", text="All of the above")


def negative_th(real: Bank) -> Question:
    return asked(real.item("word-05"), "th", "เมื่อพิมพ์หนังสือภายนอก ข้อใดไม่ควรทำ")


def negative_en(real: Bank) -> Question:
    return asked(real.item("word-05"), "en", "Which of these is not a way to begin a letter?")


def except_en(real: Bank) -> Question:
    return asked(real.item("word-05"), "en", "They may do all of the following except?")


def wrong_form(real: Bank) -> Question:
    return asked(real.item("word-05"), "th", "ส่งอีเมล์ถึงหัวหน้าอย่างไรดี")


def wrong_law(real: Bank) -> Question:
    question = real.item("word-05")
    return reworded(question, 0, "th", feedback="ต้องทำตาม พ.ร.บ.คอมพิวเตอร์ ด้วย")


def topic_for_citizens(real: Bank) -> Question:
    return asked(real.item("word-05"), "th", "หัวข้อ “สุขภาพยุคดิจิทัล” ใช้กับงานนี้อย่างไร")


def undated(real: Bank) -> Question:
    question = real.item("word-05")
    return question.model_copy(update={"source": question.source.model_copy(update={"date": None})})


def short_lesson(real: Bank) -> Lesson:
    lesson = real.item("word-l1")
    return lesson.model_copy(update={"messages": lesson.messages[:2]})


def long_message(real: Bank) -> Lesson:
    lesson = real.item("word-l1")
    first = lesson.messages[0].model_copy(update={"en": "x" * 301})
    return lesson.model_copy(update={"messages": (first, *lesson.messages[1:])})


def repeated(real: Bank) -> Question:
    """The stem of another question with a few words changed."""
    other = real.item("safety-01")
    stem = other.stem.model_copy(update={"th": other.stem.th.replace("ควร", "จะ") + " ตอนนี้"})
    return real.item("word-05").model_copy(update={"stem": stem})


PLANTED: list[tuple[Plant, str]] = [
    (long_option, "has 91 letters, at most 90"),
    (long_stem, "has 241 letters, at most 240"),
    (standing_out, "the right option stands out"),
    (all_of_them, "“ถูกทุกข้อ” is no answer of its own"),
    (all_above, "is no answer of its own"),
    (negative_th, "mark it as “ไม่”"),
    (negative_en, "mark it as NOT"),
    (except_en, "mark it as NOT"),
    (wrong_form, "“อีเมล์” is written “อีเมล”"),
    (wrong_law, "is written “พ.ร.บ.ว่าด้วยการกระทำความผิดเกี่ยวกับคอมพิวเตอร์”"),
    (topic_for_citizens, "ONDE's nine topics"),
    (undated, "the day on which it was read"),
    (short_lesson, "wants at least 3"),
    (long_message, "has 301 letters, at most 300"),
    (repeated, "asks almost the same as word-05"),
]


@pytest.mark.parametrize(("plant", "says"), PLANTED, ids=lambda x: getattr(x, "__name__", ""))
def test_a_planted_fault_is_found(real: Bank, plant: Plant, says: str) -> None:
    """That one and no other, at the line of its item, in a sentence that says how to mend it."""
    made = plant(real)
    found = real.faults(made)

    assert len(found) == 1, found
    assert says in found[0].what or says in found[0].what.replace("safety-01", "word-05")
    text = (HERE / found[0].file).read_text(encoding="utf-8").splitlines()
    above = "\n".join(text[: found[0].line])
    item = re.findall(r'^id = "([^"]*)"', above, re.MULTILINE)[-1]
    assert item in (made.id, "safety-01")


def test_a_marked_negative_is_no_fault(real: Bank) -> None:
    question = asked(real.item("word-05"), "th", "เมื่อพิมพ์หนังสือภายนอก ข้อใด“ไม่”ควรทำ")
    question = asked(question, "en", "Which of these is NOT a way to begin an external letter?")

    assert list(remarks(question, real.terms)) == []


@pytest.mark.parametrize(
    "stem",
    [
        "A phone does not ring. What should be done first?",
        "Which setting should be chosen so that it is not shown to others?",
        "The file will not open. Which program is right?",
    ],
)
def test_a_stem_that_only_says_not_is_no_negative(real: Bank, stem: str) -> None:
    assert list(remarks(asked(real.item("word-05"), "en", stem), real.terms)) == []


# --- rules of a whole file ---------------------------------------------------------------


def moved_to(question: Question, at: int) -> Question:
    """The same question with its right option elsewhere."""
    options = [option for option in question.options if not option.correct]
    options.insert(at, question.options[question.right])
    return question.model_copy(update={"options": tuple(options)})


def test_right_options_in_one_place_are_found(real: Bank) -> None:
    found = real.faults(*(moved_to(each, 0) for each in real.content.questions["word"]))

    assert {fault.file for fault in found} == {"questions/word.toml"}
    assert "place 1 in 100%" in found[0].what
    assert len(found) == 4


def test_right_options_in_one_place_all_over_the_bank(real: Bank) -> None:
    """Two of three in each file at one place are no fault of a file, but of the bank."""
    everything = [
        moved_to(each, 0) if n % 10 < 3 else each
        for items in real.content.questions.values()
        for n, each in enumerate(items)
    ]
    found = real.faults(*everything)

    assert any(fault.file == "questions" and "chi-square" in fault.what for fault in found)


@pytest.mark.parametrize(("letters", "which"), [(89, "longest"), (1, "shortest")])
def test_right_options_known_by_their_length(real: Bank, letters: int, which: str) -> None:
    made = []
    for question in real.content.questions["media"]:
        for at in range(4):
            size = letters if at == question.right else 60
            text = "".join(chr(0x61 + (at + n) % 26) for n in range(size))
            question = reworded(question, at, "en", text=text)
        made.append(question)
    found = real.faults(*made)

    assert [fault for fault in found if f"is the {which} (en) in 100%" in fault.what]


def test_too_few_of_anything_and_what_is_not_covered(real: Bank) -> None:
    shelves = {
        name: {**getattr(real.content, name), "word": getattr(real.content, name)["word"][:3]}
        for name in ("questions", "lessons", "exercises")
    }
    shelves["questions"]["ai"] = real.content.questions["ai"][:19]
    shelves["questions"]["changes"] = real.content.questions["changes"][:11]
    said = [str(f) for f in real.check(real.content.model_copy(update=shelves)).faults]

    for expected in (
        "questions/word.toml:1: has 3 of 24: write more",
        "lessons/word.toml:1: has 3 of 4: write more",
        "exercises/word.toml:1: has 3 of 4: write more",
        "questions/ai.toml:1: has 19 of 20: write more",
        "questions/changes.toml:1: has 11 of 12: write more",
    ):
        assert expected in said
    assert any("no question of the sub-skill" in each for each in said)
    assert any("no question of the dimension" in each for each in said)


def test_a_topic_called_as_one_of_onde(real: Bank) -> None:
    first, *rest = real.content.topics
    name = first.name.model_copy(update={"th": "กฎหมายดิจิทัล"})
    tagged = first.model_copy(
        update={"name": name, "sub_skills": (*first.sub_skills, "digital-law")}
    )
    found = real.check(real.content.model_copy(update={"topics": (tagged, *rest)})).faults

    said = [fault.what for fault in found if "ONDE" in fault.what]
    assert [each.partition(" ")[0] for each in said] == ["'digital-law'", "'กฎหมายดิจิทัล'"]


def test_sources_to_be_read_again_and_unsure_ones_are_warnings(real: Bank) -> None:
    late = real.check(real.content, date(2031, 1, 1)).warnings
    first = real.content.questions["word"][0]
    doubted = first.model_copy(
        update={"source": first.source.model_copy(update={"certainty": "M"})}
    )
    found = real.check(real.with_(doubted))

    assert sum("to be read again by 20" in fault.what for fault in late) > 300
    assert found.faults == []
    assert any(f.file == "questions/word.toml" and "(M)" in f.what for f in found.warnings)


# --- spelling and reading level ----------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "กดปุ่มบันทึดก่อนปิดเครื่อง",
        "ส่งหนังสือถึงปรระชาชน",
        "เปิดคอมพิวเตอรืแล้วรอ",
    ],
)
def test_a_slip_is_doubted(dictionary: Dictionary, text: str) -> None:
    assert prose.doubtful(text, dictionary)


def slips(word: str) -> list[str]:
    """A letter left out, two that changed places, and another letter, in the middle of a word."""
    at = len(word) // 2
    other = chr(0x0E01 + (ord(word[at]) + 7) % 46)
    return [
        word[:at] + word[at + 1 :],
        word[: at - 1] + word[at] + word[at - 1] + word[at + 1 :],
        word[:at] + other + word[at + 1 :],
    ]


def test_most_slips_are_found(real: Bank, dictionary: Dictionary) -> None:
    """One slip at a time in every long word of every fourth question: most are doubted."""
    found = many = 0
    for question in [q for items in real.content.questions.values() for q in items][::4]:
        words = dictionary.cut(question.stem.th)
        for at, word in enumerate(words):
            if len(word) < 5 or not THAI.fullmatch(word):
                continue
            for slip in slips(word):
                if slip != word and not dictionary.knows(slip):
                    text = "".join((*words[:at], slip, *words[at + 1 :]))
                    found += bool(prose.doubtful(text, dictionary))
                    many += 1
    print(f"{found} of {many} slips found: {found / many:.0%}")

    assert many > 2000
    assert found >= 0.8 * many


def test_nearby_words_are_named(real: Bank, dictionary: Dictionary) -> None:
    question = asked(real.item("word-05"), "th", "ทำเเอกสารอย่างไรให้อ่านง่ายค๊ะ")
    said = [p.text("en", real.content) for p in prose.remarks(question, dictionary, real.terms)]

    assert said
    assert all("in no dictionary" in each for each in said)


def test_text_without_a_pause_and_of_rare_words(real: Bank, dictionary: Dictionary) -> None:
    law = (
        "การที่หน่วยงานของรัฐซึ่งเป็นผู้ควบคุมข้อมูลส่วนบุคคลจะดำเนินการเก็บรวบรวมใช้หรือเปิดเผย"
        "ข้อมูลส่วนบุคคลได้นั้นจะต้องได้รับความยินยอมจากเจ้าของข้อมูลส่วนบุคคลไว้ก่อนหรือในขณะนั้น"
    )
    learned = "การบูรณาการเชิงอภิปรัชญา พหุภาคีย่อมอนุวัตตาม ปทัสถานของอธิปไตย"
    question = reworded(asked(real.item("word-05"), "th", law), 0, "th", feedback=learned)
    keys = [p.key for p in prose.remarks(question, dictionary, real.terms)]

    assert keys == ["breathless", "hard_words"]


def test_plain_official_thai_passes(dictionary: Dictionary) -> None:
    """A sentence of an official letter as they are written is not too hard."""
    letter = (
        "ด้วยสำนักงาน ก.พ. กำหนดจัดการฝึกอบรมทักษะดิจิทัลสำหรับข้าราชการ "
        "ในวันที่ 15 มกราคม 2570 จึงเรียนมาเพื่อโปรดพิจารณา และแจ้งให้บุคลากรในสังกัดทราบ"
    )
    found = prose.level(letter, dictionary)

    assert len(found.breath) <= prose.BREATH
    assert len(found.rare) <= prose.HARD * found.words
    assert prose.doubtful(letter, dictionary) == []


def test_words_of_the_question_give_nothing_away(real: Bank, dictionary: Dictionary) -> None:
    """Of options that alone repeat a word of the question, about as many are right as by chance;
    where the right ones do, it is found."""
    for lang in LANGS:
        right, many = prose.echoed(real.content, lang, dictionary)
        print(f"{lang}: {right} of {many}")
        assert many > 300
        assert right <= prose.ECHO * many
    made = []
    for question in real.content.questions["word"]:
        for at in range(4):
            text = question.stem.en[:88] if at == question.right else f"zzz {at}"
            question = reworded(question, at, "en", text=text)
        made.append(question)
    only = real.with_(*made).model_copy(update={"questions": {"word": tuple(made)}})
    found = list(prose._echoes(only, dictionary))

    assert len(found) == 1
    assert "(en) are right" in found[0].what


# --- pieces ------------------------------------------------------------------------------


def test_every_text_of_an_item_is_looked_at(real: Bank) -> None:
    question = real.item("word-05")
    locs = [loc for loc, _, _ in texts(question)]

    assert len(locs) == len(set(locs)) == 2 + 2 * 2 * len(question.options)
    assert ("option", 0, "th", "feedback") in locs
    assert ("messages", 2, "en") in [loc for loc, _, _ in texts(real.item("word-l1"))]


@given(st.text(max_size=60), st.text(max_size=60))
def test_likeness_is_a_share_and_the_same_both_ways(one: str, other: str) -> None:
    assert 0 <= likeness(one, other) <= 1
    assert likeness(one, other) == likeness(other, one)
    if len(re.sub(r"\W", "", one.casefold())) > 3:
        assert likeness(one, one) == 1


def test_spread_counts_only_what_stands_alone(real: Bank) -> None:
    """Two options of one length: neither is the longest."""
    question = real.item("word-05")
    for at, text in enumerate(("aaaa", "aaaa", "bbb", "cc")):
        question = reworded(question, at, "en", text=text)
    found = spread([moved_to(question, 0)])

    assert found.places == {0: 1}
    assert found.longest["en"] in (0, 1)
    assert bank.SIZED == 0.4


def test_terms_are_patterns(real: Bank) -> None:
    terms: Terms = real.terms
    for patterns in (*terms.banned.values(), *terms.negative.values()):
        for pattern in patterns:
            re.compile(pattern)
