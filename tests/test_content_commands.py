"""`kaona content …` and `kaona check`: content out as one workbook and back, into files or drafts,
and questions from Moodle."""

import shutil
import tomllib
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from bot import authoring, content_files, librarian
from bot.asking import Unwilling
from bot.content_book import KINDS
from bot.content_fields import NAMES, flatten
from bot.wording import words
from content import written
from content.load import HERE, ContentError, load
from content.overlay import ITEMS
from storage.models import revisions
from tests.offices import Office
from tests.running import environment, kaona, ready

Book = dict[str, Any]
QUESTIONS = sum(map(len, load().questions.values()))


class Author:
    """Types commands, here in this process, in a copy of the content."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.root = folder / "content"
        self.book = folder / "all.xlsx"
        self._capsys = capsys

    def __call__(self, *line: str) -> str:
        authoring.app([*line], standalone_mode=False)
        return self._capsys.readouterr().out

    def refused(self, *line: str) -> list[str]:
        with pytest.raises(Unwilling) as refused:
            authoring.app([*line], standalone_mode=False)
        assert self._capsys.readouterr().out == ""
        return str(refused.value).removeprefix("kaona: ").split("\nkaona: ")

    def export(self, *more: str) -> str:
        return self("export", str(self.book), *more)

    def take(self, *more: str) -> str:
        return self("import", str(self.book), *more)

    def edit(self, change: Callable[[Any], None]) -> None:
        book = openpyxl.load_workbook(self.book)
        change(book)
        book.save(self.book)

    def texts(self) -> dict[str, bytes]:
        """Every file of the copy."""
        paths = sorted(path for path in self.root.rglob("*") if path.is_file())
        return {str(path.relative_to(self.root)): path.read_bytes() for path in paths}


@pytest.fixture
def author(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Author:
    made = Author(tmp_path, capsys)
    shutil.copytree(HERE, made.root, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    return made


def place(sheet: Any, key: str, name: str) -> Any:
    """The cell of an entry and a field."""
    columns = {cell.value: cell.column for cell in sheet[1]}
    columns["key"] = 1
    row = next(row for row in range(3, sheet.max_row + 1) if sheet.cell(row, 1).value == key)
    return sheet.cell(row, columns[name])


# --- files -------------------------------------------------------------------------------


def test_out_and_back_changes_no_byte(author: Author) -> None:
    """Everything goes out, and what comes back unchanged is as it was."""
    before = author.texts()
    said = author.export("--files", str(author.root))
    assert f"{QUESTIONS} of kind question, 36 of kind lesson, 36 of kind exercise" in said
    dry = author.take("--files", str(author.root), "--dry-run")
    author.take("--files", str(author.root))

    assert dry.startswith("changed: 0, as before: ")
    assert author.texts() == before


def test_a_workbook_reads_well(author: Author) -> None:
    """A sheet for each kind with a Thai name, names of fields hidden, Thai headings below, and
    nothing in it that a spreadsheet would reckon with."""
    author.export("--files", str(author.root))
    book = openpyxl.load_workbook(author.book)

    assert book.sheetnames == [words("th")["content_kind_" + kind] for kind in KINDS]
    for kind, sheet in zip(KINDS, book.worksheets, strict=True):
        assert sheet["A1"].value == f"{kind}:key"
        assert [cell.value for cell in sheet[1]][1:] == list(NAMES[kind])
        assert sheet.row_dimensions[1].hidden
        assert all(ord(str(cell.value)[0]) > 0xE00 for cell in sheet[2])
        assert all(cell.data_type in "sn" for row in sheet.iter_rows(min_row=3) for cell in row)
        assert all(isinstance(c.value, str | None) for row in sheet.iter_rows() for c in row)


def test_saved_by_another_program_it_is_the_same(author: Author) -> None:
    before = author.texts()
    author.export("--files", str(author.root))
    author.edit(lambda book: None)
    author.take("--files", str(author.root))

    assert author.texts() == before


def test_changed_cells_change_their_lines_and_no_other(author: Author) -> None:
    before = author.texts()
    author.export("--files", str(author.root))

    def change(book: Any) -> None:
        place(book.worksheets[0], "word-05", "stem.th").value = "ถามใหม่: พิมพ์ “หนังสือ” อย่างไร"
        place(book.worksheets[0], "word-05", "difficulty").value = 0.75
        place(book.worksheets[1], "word-l1", "messages.2.en").value = 'Say "this"'
        place(book.worksheets[3], "know", "name.en").value = "Know where you are"
        place(book.worksheets[4], "help", "th").value = "บรรทัดแรก\nติดต่อ {dpo}"

    author.edit(change)
    said = author.take("--files", str(author.root))
    after = author.texts()

    assert "changed: 4" in said
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {
        "questions/word.toml",
        "lessons/word.toml",
        "method.toml",
        "copy.th.toml",
    }
    made = load(author.root)
    assert made.question("word-05").stem.th == "ถามใหม่: พิมพ์ “หนังสือ” อย่างไร"
    assert made.question("word-05").difficulty == 0.75
    assert made.lesson("word-l1").messages[1].en == 'Say "this"'
    assert made.copy_["th"]["help"] == "บรรทัดแรก\nติดต่อ {dpo}"
    for name in changed - {"copy.th.toml"}:
        old, new = (texts[name].decode().splitlines() for texts in (before, after))
        assert len(old) == len(new)
        assert 1 <= sum(a != b for a, b in zip(old, new, strict=True)) <= 2


def test_a_new_row_is_a_new_item_and_rows_left_out_stay(author: Author) -> None:
    """Only one row comes back: that is added, all others are as they were."""
    before = author.texts()
    author.export("--files", str(author.root))

    def change(book: Any) -> None:
        sheet = book.worksheets[0]
        place(sheet, "word-05", "key").value = "word-99"
        place(sheet, "word-99", "stem.th").value = "คำถามใหม่"
        for row in range(sheet.max_row, 2, -1):
            if sheet.cell(row, 1).value != "word-99":
                sheet.delete_rows(row)
        for other in book.worksheets[1:]:
            book.remove(other)

    author.edit(change)
    said = author.take("--files", str(author.root))
    text = author.texts()["questions/word.toml"].decode()

    assert "question word-99 was written" in said
    assert "changed: 1, as before: 0" in said
    old = before["questions/word.toml"].decode()
    assert text.startswith(old.rstrip("\n"))
    assert load(author.root).questions["word"][-1].stem.th == "คำถามใหม่"
    assert {n for n, data in author.texts().items() if before.get(n) != data} == {
        "questions/word.toml"
    }


def test_another_right_answer_makes_a_successor(author: Author) -> None:
    """Whoever is in the middle keeps the old one; ids stand for one thing."""
    author.export("--files", str(author.root))
    right = load(author.root).question("word-05").right + 1

    def change(book: Any) -> None:
        place(book.worksheets[0], "word-05", "right").value = str(right % 4 + 1)

    author.edit(change)
    author.take("--files", str(author.root))
    made = load(author.root)

    assert made.question("word-05").retired
    assert made.question("word-05").right == right - 1
    assert made.question("word-05v2").replaces == "word-05"
    assert made.question("word-05v2").right == right % 4


def bad_dimension(book: Any) -> str:
    place(book.worksheets[0], "word-05", "dimension").value = "know"
    return "Dimension: word-05: choose one of the list"


def bad_number(book: Any) -> str:
    place(book.worksheets[0], "word-05", "difficulty").value = "hard"
    return "Difficulty (−4 to 4): word-05: this must be a number"


def bad_id(book: Any) -> str:
    place(book.worksheets[0], "word-05", "key").value = "weird 05"
    return "Id: weird 05: no entry of this kind has this id"


def own_id(book: Any) -> str:
    place(book.worksheets[0], "word-05", "key").value = "word-a1"
    return "Id: word-a1: no entry of this kind has this id; a new one begins with its area"


def twice(book: Any) -> str:
    place(book.worksheets[0], "word-05", "key").value = "word-06"
    return "Id: word-06: several rows have this id"


def empty(book: Any) -> str:
    place(book.worksheets[1], "word-l1", "title.en").value = None
    return "word-l1: fill in this field"


def slots(book: Any) -> str:
    place(book.worksheets[4], "claimed", "th").value = "ไม่มีช่องเติมคำ"
    return "claimed: must fill in just what the original does"


@pytest.mark.parametrize(
    "spoil",
    [bad_dimension, bad_number, bad_id, own_id, twice, empty, slots],
    ids=lambda each: each.__name__,
)
def test_a_bad_row_is_named_and_nothing_is_changed(
    author: Author, spoil: Callable[[Any], str]
) -> None:
    """Sheet, row, column and reason; the good change beside it is not made either."""
    before, says = author.texts(), [""]
    author.export("--files", str(author.root))

    def change(book: Any) -> None:
        place(book.worksheets[0], "media-05", "stem.th").value = "เปลี่ยน"
        says[0] = spoil(book)

    author.edit(change)
    found = author.refused("import", str(author.book), "--files", str(author.root))

    assert found[0].startswith("sheet ")
    assert ", row " in found[0]
    assert says[0] in found[0]
    assert author.texts() == before


def test_what_the_lint_would_refuse_is_not_written(author: Author) -> None:
    """Each row may be sound and the whole not: three questions in an area do not do."""
    author.export("--files", str(author.root))
    before = author.texts()
    pages = authoring_pages(author)
    made = content_files.changes(pages, author.root)
    made.texts["questions/word.toml"] = "[[question]]\nid = 'x'\n"

    with pytest.raises(ContentError):
        content_files.save(made, author.root)
    assert author.texts() == before


def authoring_pages(author: Author) -> Any:
    from bot import content_book

    return content_book.read(author.book)


def test_what_is_no_workbook_of_ours(author: Author, tmp_path: Path) -> None:
    root = str(author.root)
    other = tmp_path / "other.xlsx"
    book = openpyxl.Workbook()
    book.active.append(["a", "b"])
    book.save(other)
    broken = tmp_path / "broken.xlsx"
    broken.write_bytes(b"PK\x03\x04 not really")

    assert "row 1: no headings" in author.refused("import", str(other), "--files", root)[0]
    assert "broken.xlsx" in author.refused("import", str(broken), "--files", root)[0]
    assert "no such file" in author.refused("import", str(tmp_path / "none.xlsx"))[0]
    assert "no folder of content" in author.refused(
        "import", str(other), "--files", str(tmp_path)
    )[0]  # fmt: skip
    assert "--by" in author.refused("import", str(other))[0]
    assert "none/none.xlsx" in author.refused(
        "export", str(tmp_path / "none" / "none.xlsx"), "--files", root
    )[0]  # fmt: skip


# --- writing TOML ------------------------------------------------------------------------


def test_items_are_written_as_the_files_have_them() -> None:
    """Every item of the bank, written anew: the same entry, and the same letters in almost all."""
    same = many = 0
    for kind, (folder, _) in ITEMS.items():
        for path in sorted((HERE / folder).glob("*.toml")):
            text = path.read_text(encoding="utf-8")
            _, blocks = written.blocks_of(text, kind)
            for block, body in zip(blocks, tomllib.loads(text)[kind], strict=True):
                made = f"[[{kind}]]\n" + written.item(kind, body, written.look_of(text, kind))
                assert tomllib.loads(made)[kind] == [body]
                many += 1
                same += block.startswith(made)
    print(f"{same} of {many} are the same, letter by letter")

    assert same >= 0.97 * many


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=60)


@given(TEXT, st.sampled_from(['"x"', '"""x\ny"""']))
def test_any_sentence_can_be_written(said: str, before: str) -> None:
    text = f"# head\na = {before}\nb = 'kept'\n"
    made = written.sentence(text, "a", said)

    assert tomllib.loads(made) == {"a": said, "b": "kept"}
    assert made.startswith("# head\n")


@given(st.lists(TEXT, min_size=2, max_size=6), TEXT, st.floats(-4, 4))
def test_any_question_can_be_written(texts: list[str], stem: str, difficulty: float) -> None:
    options = [
        ({"correct": True} if not n else {})
        | {lang: {"text": t, "feedback": t} for lang in ("th", "en")}
        for n, t in enumerate(texts)
    ]
    body = {"id": "a-1", "difficulty": difficulty, "groups": [], "option": options}
    body["stem"] = {"th": stem, "en": stem}
    made = written.rewritten("# head\n", "question", [written.Change("a-1", body)])

    assert tomllib.loads(made) == {"question": [body]}


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_fields_and_entries_are_the_same_thing(data: st.DataObject) -> None:
    """Flat and back again, any entry of the files is the same."""
    there = content_files.entries(HERE)
    kind = data.draw(st.sampled_from(("question", "lesson", "exercise")))
    key = data.draw(st.sampled_from(sorted(there[kind])))
    body = there[kind][key]

    assert {"id": key} | content_files.typed(kind, flatten(kind, body), body) == body


# --- drafts ------------------------------------------------------------------------------


class Desk:
    """Asks a running service, as the command does."""

    def __init__(self, office: Office) -> None:
        self.office = office

    def __call__(self, do: str, **args: Any) -> Any:
        call = self.office.edge.client.portal.call  # type: ignore[union-attr]
        return call(librarian.ask, self.office.edge.app, do, args)

    def drafts(self) -> list[Any]:
        return self.office.edge.rows(select(revisions).order_by(revisions.c.id))


@pytest.fixture
def desk(office: Office) -> Desk:
    return Desk(office)


def test_what_is_in_use_goes_out_and_comes_back_as_drafts(
    desk: Desk, author: Author, tmp_path: Path
) -> None:
    book = str(author.book)
    assert desk("export", path=book)["question"] == QUESTIONS
    same = desk("import", path=book, by="HR-hr", dry=False)
    assert same["drafts"] == []
    assert desk.drafts() == []

    def change(sheets: Any) -> None:
        place(sheets.worksheets[0], "word-05", "stem.th").value = "ถามใหม่"
        place(sheets.worksheets[0], "word-06", "key").value = "word-a1"
        place(sheets.worksheets[4], "see_you", "th").value = "แล้วพบกันอีกนะ"

    author.edit(change)
    dry = desk("import", path=book, by="HR-hr", dry=True)
    assert desk.drafts() == []
    made = desk("import", path=book, by="HR-hr", dry=False)
    again = desk("import", path=book, by="HR-hr", dry=False)

    assert dry == made
    assert made["drafts"] == ["question word-05", "question word-a1", "copy see_you"]
    assert again["drafts"] == []
    assert [(row.key, row.status) for row in desk.drafts()] == [
        ("word-05", "draft"),
        ("word-a1", "draft"),
        ("see_you", "draft"),
    ]
    desk.office.enter("hr")
    for row in desk.drafts():
        assert desk.office.get(f"/console/content/draft/{row.id}").status_code == 200


def test_a_bad_row_makes_no_draft_of_any_other(desk: Desk, author: Author) -> None:
    book = str(author.book)
    desk("export", path=book)

    def change(sheets: Any) -> None:
        place(sheets.worksheets[0], "word-05", "stem.th").value = "ถามใหม่"
        place(sheets.worksheets[0], "word-06", "key").value = "word-100"
        place(sheets.worksheets[1], "word-l1", "minutes").value = "many"

    author.edit(change)
    found = desk("import", path=book, by="HR-hr", dry=False)["refused"]

    assert len(found) == 2
    assert "word-100: no entry of this kind has this id; a new one is called such as" in found[0]
    assert "word-l1: this must be a number" in found[1]
    assert desk.drafts() == []


def test_who_may_import(desk: Desk, author: Author) -> None:
    book = str(author.book)
    desk("export", path=book)
    for who, says in (
        ("HR-of-none", "nobody on the roster"),
        ("HR-admin", "may not do this"),
        ("HR-hr1", "takes the whole agency"),
    ):
        (said,) = desk("import", path=book, by=who, dry=False)["refused"]
        assert says in said


def test_the_command_without_a_service(tmp_path: Path) -> None:
    """A process of its own, on a database of its own."""
    settings_ = environment(ready(tmp_path))
    made = kaona("content", "export", "all.xlsx", folder=tmp_path, **settings_)

    assert made.returncode == 0, made.stderr
    assert f"{QUESTIONS} of kind question" in made.stdout
    assert len(openpyxl.load_workbook(tmp_path / "all.xlsx").sheetnames) == len(KINDS)
    refused = kaona("content", "import", "all.xlsx", "--by", "X", folder=tmp_path, **settings_)
    assert refused.returncode == 2
    assert "nobody on the roster has the id X" in refused.stderr


# --- Moodle ------------------------------------------------------------------------------

EXAM = """::ข้อ 1:: รหัสผ่านแบบใดเดายากที่สุด {
=ยาวและไม่ซ้ำเว็บอื่น#ถูกต้อง เพราะยาว
~วันเกิดของตน#เดาได้ง่าย
~ชื่อหน่วยงาน
####อ่านเพิ่มในคู่มือ}

ควรล็อกหน้าจอเมื่อลุกจากโต๊ะ {T#ล็อกไว้ก่อน#ถูกแล้ว}
"""


def moodle(folder: Path, text: str | bytes) -> str:
    path = folder / "exam.gift"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def gift(desk: Desk, path: str, **more: Any) -> Any:
    asked = {"area": "security", "by": "HR-hr", "lang": "th", "skip": False, "dry": False}
    return desk("gift", path=path, **{**asked, **more})


def test_questions_from_moodle_become_drafts_to_fill_in(desk: Desk, tmp_path: Path) -> None:
    path = moodle(tmp_path, EXAM)
    dry = gift(desk, path, dry=True)
    assert desk.drafts() == []
    made = gift(desk, path)

    assert dry == made
    assert [draft["key"] for draft in made["drafts"]] == ["security-a1", "security-a2"]
    missing = "\n".join(made["drafts"][0]["missing"])
    for name in ("Question (English)", "Sub-skill", "Dimension", "Difficulty", "Source",
                 "Review the source by", "Option 1 (English)"):  # fmt: skip
        assert f"{name}" in missing, name
    assert "Question (Thai)" not in missing
    assert "too few" not in missing
    desk.office.enter("hr", "en")
    first, second = desk.drafts()
    assert "exam.gift · ข้อ 1" in first.note
    page = desk.office.get(f"/console/content/draft/{first.id}").text
    assert "It cannot be published yet" in page
    assert "Sub-skill: fill in this field" in page
    form = desk.office.get("/console/content/question/security-a1/edit").text
    assert "ยาวและไม่ซ้ำเว็บอื่น" in form
    assert "อ่านเพิ่มในคู่มือ" in form
    assert "too few" in "\n".join(made["drafts"][1]["missing"])
    assert desk.office.get(f"/console/content/draft/{second.id}").status_code == 200
    assert "/console/simulator?draft=" not in page, "there is nothing to try yet"
    assert desk.office.get("/console/content").status_code == 200


def test_a_file_that_is_imported_twice_makes_no_second_ones(desk: Desk, tmp_path: Path) -> None:
    path = moodle(tmp_path, EXAM)
    gift(desk, path)
    found = gift(desk, path)["refused"]

    assert found[0] == "exam.gift:1: security-a1 asks that already: take it out of the file"
    assert len(found) == len(desk.drafts()) == 2


def test_other_kinds_are_skipped_only_on_request(desk: Desk, tmp_path: Path) -> None:
    path = moodle(tmp_path, EXAM + "\nกี่ข้อ {#3}\n")
    (found,) = gift(desk, path)["refused"]
    assert found.startswith("exam.gift:9: numerical")
    assert "--skip" in found
    assert desk.drafts() == []
    made = gift(desk, path, skip=True)
    assert len(made["drafts"]) == 2
    assert made["warnings"] == ["exam.gift:9: numerical: a number is to be typed"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (EXAM + "\nWho? {=a ~b\n", "exam.gift:9: { without }"),
        ("ก {=ข ~ค}\n".encode() + b"\xe0\xb8\n", "exam.gift:2: not UTF-8"),
        ("// nothing\n", "exam.gift: there is no question in it"),
    ],
)
def test_a_file_that_cannot_be_read_changes_nothing(
    desk: Desk, tmp_path: Path, text: str | bytes, says: str
) -> None:
    assert gift(desk, moodle(tmp_path, text), skip=True)["refused"][0].startswith(says)
    assert desk.drafts() == []


def test_an_area_that_is_not_there(desk: Desk, tmp_path: Path) -> None:
    (found,) = gift(desk, moodle(tmp_path, EXAM), area="secrecy")["refused"]

    assert found.startswith("--area: 'secrecy' is none of ")


def test_what_the_command_wants_to_know_of_gift(author: Author, tmp_path: Path) -> None:
    path = moodle(tmp_path, EXAM)

    assert "--area" in author.refused("import", path)[0]
    assert "--lang" in author.refused("import", path, "--area", "word", "--lang", "de")[0]
    assert "--by" in author.refused("import", path, "--area", "word")[0]
    files = ("--files", str(author.root))
    assert "--files" in author.refused("import", path, "--area", "word", *files)[0]


# --- the table and the check --------------------------------------------------------------


def test_the_table_goes_where_it_is_wanted(author: Author, tmp_path: Path) -> None:
    assert author("table").startswith("# The bank")
    author("table", "--out", str(tmp_path / "bank.md"))
    assert (tmp_path / "bank.md").read_text(encoding="utf-8").startswith("# The bank")
    assert "bank.md" in author.refused("table", "--out", str(tmp_path / "no" / "bank.md"))[0]


def test_check_says_what_is_wrong_and_ends_badly(tmp_path: Path, author: Author) -> None:
    """All faults with file and line; what is only to be known is no fault."""
    path = author.root / "questions" / "word.toml"
    lines = path.read_text(encoding="utf-8").splitlines()
    at = next(n for n, line in enumerate(lines) if line.startswith("stem.th = "))
    lines[at] = 'stem.th = "ส่งอีเมล์อย่างไร ข้อใดไม่ควรทำ"'
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")

    with pytest.raises(ContentError) as caught:
        authoring.checked(date(2026, 12, 1), root=author.root)
    said = [str(fault) for fault in caught.value.faults]
    assert [each.partition(": ")[0] for each in said] == [f"questions/word.toml:{at + 1}"] * 2
    good = kaona("check", folder=tmp_path, **environment(ready(tmp_path)))
    assert good.returncode == 0
    assert good.stdout.endswith("content: no faults\n")
