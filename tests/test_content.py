"""The content loads; whatever is wrong with it is listed, all at once, with file and line."""

import ast
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import get_args

import pytest

from bot.calibration import COLUMNS as CALIBRATED
from content.lint import PUSHED
from content.load import HERE, ContentError, Fault, load
from content.schema import LANGS, Activity, Content, Role
from flows.engine import FLOWS
from flows.reading import Reader
from flows.types import Choice, Kind
from storage.outcomes import LEARNING
from storage.reports import REPORTS
from storage.reports.evidence import TEXTS
from storage.reports.quality import FINDINGS
from storage.weeks import ANY

ROOT = Path(__file__).parents[1]
PACKAGES = ("bot", "flows", "storage", "content")


def test_the_content_loads(content: Content) -> None:
    """As much as the journey needs: six steps, six groups, nine areas, every one with a source."""
    assert len(content.method.steps) == 6
    assert len(content.framework.groups) == 6
    assert len(content.framework.skill_groups) == 7
    assert len(content.framework.areas) == 9
    assert len(content.newer.skill_groups) == 7
    for area in content.framework.areas:
        assert len(content.questions[area.id]) >= 6
        assert len(content.lessons[area.id]) >= 2
        assert len(content.exercises[area.id]) >= 2


# --- planted faults ------------------------------------------------------------------


class Planted:
    """A copy of the content to break. `break_line` changes the first line that has `old`, after
    the line that has `after`, and remembers where."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.expected: list[tuple[str, int, str]] = []

    def break_line(self, file: str, old: str, new: str, says: str, *, after: str = "") -> None:
        path = self.root / file
        lines = path.read_text(encoding="utf-8").splitlines()
        start = next(i for i, line in enumerate(lines) if after in line)
        at = next(i for i in range(start, len(lines)) if old in lines[i])
        lines[at] = lines[at].replace(old, new, 1)
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        self.expected.append((file, at + 1, says))

    def faults(self) -> list[Fault]:
        with pytest.raises(ContentError) as caught:
            load(self.root)
        return list(caught.value.faults)

    def assert_listed(self) -> None:
        faults = self.faults()
        for file, line, says in self.expected:
            found = [fault for fault in faults if fault[:2] == (file, line)]
            assert [says in fault.what for fault in found] == [True], f"{says}: {faults}"
        assert len(faults) == len(self.expected), faults


@pytest.fixture
def planted(tmp_path: Path) -> Planted:
    copy = tmp_path / "content"
    shutil.copytree(HERE, copy, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    return Planted(copy)


def duplicate_id(planted: Planted) -> None:
    planted.break_line("lessons/word.toml", '"word-l2"', '"word-l1"', "used twice")
    text = (planted.root / "lessons/word.toml").read_text(encoding="utf-8").splitlines()
    first = next(i for i, line in enumerate(text, 1) if '"word-l1"' in line)
    planted.expected[-1:] = [
        ("lessons/word.toml", first, "used twice"),
        planted.expected[-1],
    ]


def two_right_options(planted: Planted) -> None:
    file = "questions/safety.toml"
    lines = (planted.root / file).read_text(encoding="utf-8").splitlines()
    at = next(i for i, line in enumerate(lines) if line == "[[question.option]]")
    wrong = at if lines[at + 1] != "correct = true" else lines.index("[[question.option]]", at + 1)
    lines.insert(wrong + 1, "correct = true")
    (planted.root / file).write_text("\n".join(lines) + "\n", encoding="utf-8")
    line = next(i for i, line in enumerate(lines, 1) if line.startswith("id = "))
    planted.expected.append((file, line, "exactly one right option, has 2"))


def unknown_area(planted: Planted) -> None:
    planted.break_line("courses.toml", 'areas = ["security"]', 'areas = ["secrecy"]', "'secrecy'")


def unknown_group(planted: Planted) -> None:
    planted.break_line("placement.toml", 'group = "technologist"', 'group = "tech"', "'tech'")


def unknown_sub_skill(planted: Planted) -> None:
    planted.break_line("questions/media.toml", "sub_skill = ", 'sub_skill = "x" # ', "sub_skill")


def label_too_long(planted: Planted) -> None:
    long = 'choice_skip = "ข้ามคำถามข้อนี้ไปก่อนแล้วค่อยกลับมาใหม่'
    planted.break_line("copy.th.toml", 'choice_skip = "ข้าม', long, "a button holds 20")


def missing_sentence(planted: Planted) -> None:
    planted.break_line("copy.en.toml", "see_you = ", "see_me = ", "'see_you' is missing")
    planted.expected[-1] = ("copy.en.toml", 1, "'see_you' is missing")
    planted.expected.append(("copy.th.toml", 1, "'see_me' is missing"))


def empty_sentence(planted: Planted) -> None:
    planted.break_line("copy.th.toml", 'menu = "อยากทำอะไรต่อดี"', 'menu = " "', "menu: is empty")


def other_slots(planted: Planted) -> None:
    """The slots of a sentence are wrong for both languages, wherever the slip is."""
    planted.break_line("copy.th.toml", "{name} จาก{unit}", "{nom} จาก{unit}", "claimed: its slots")
    lines = (planted.root / "copy.en.toml").read_text(encoding="utf-8").splitlines()
    line = next(i for i, line in enumerate(lines, 1) if line.startswith("claimed = "))
    planted.expected.append(("copy.en.toml", line, "claimed: its slots"))


def bad_toml(planted: Planted) -> None:
    planted.break_line("exercises/media.toml", "minutes = ", "minutes ", "not TOML")


def missing_source(planted: Planted) -> None:
    file = "exercises/internet.toml"
    planted.break_line(file, "source = {", "# source = {", "source: Field required")
    lines = (planted.root / file).read_text(encoding="utf-8").splitlines()
    planted.expected[-1] = (file, lines.index("[[exercise]]") + 1, "source: Field required")


def unknown_field(planted: Planted) -> None:
    planted.break_line("method.toml", "[[step]]", "[[step]]\nuntil = 3", "until: Extra inputs")
    file, line, says = planted.expected[-1]
    planted.expected[-1] = (file, line + 1, says)


def wrong_type(planted: Planted) -> None:
    planted.break_line("lessons/safety.toml", "minutes = ", 'minutes = "x" # ', "minutes: Input")


def missing_file(planted: Planted) -> None:
    (planted.root / "exercises/computer.toml").unlink()
    planted.expected.append(("exercises/computer.toml", 1, "'computer' has no exercises"))


def unreserved_word(planted: Planted) -> None:
    planted.break_line("menu.toml", 'word = "progress"', 'word = "advance"', "'advance'")


def button_that_is_not_there(planted: Planted) -> None:
    planted.break_line("words.toml", "discard = ", "dismiss = ", "'dismiss'")


def not_utf8(planted: Planted) -> None:
    path = planted.root / "lessons/media.toml"
    path.write_bytes(path.read_bytes() + b"# \xff\n")
    planted.expected.append(("lessons/media.toml", 1, "not UTF-8"))


def nudge_of_a_kind_twice(planted: Planted) -> None:
    planted.break_line("nudges.toml", 'kind = "idle"', 'kind = "back"', "'back' is there twice")
    planted.expected.append(("nudges.toml", 1, "wants a [[nudge]] of kind 'idle'"))


def nudge_id_twice(planted: Planted) -> None:
    planted.break_line("nudges.toml", '"due-2"', '"overdue-2"', "used twice")
    lines = (planted.root / "nudges.toml").read_text(encoding="utf-8").splitlines()
    first = next(i for i, line in enumerate(lines, 1) if '"overdue-2"' in line)
    planted.expected.append(("nudges.toml", first, "used twice"))


def unknown_slot_of_a_nudge(planted: Planted) -> None:
    planted.break_line("nudges.toml", "{next}", "{area}", "idle-1: fills in", after='"idle-1"')


def too_few_wordings(planted: Planted) -> None:
    only = 'id = "review-2"\nactivities = ["review"]'
    planted.break_line("nudges.toml", 'id = "review-2"', only, "two variants for any")
    lines = (planted.root / "nudges.toml").read_text(encoding="utf-8").splitlines()
    at = next(i for i, line in enumerate(lines, 1) if line == 'kind = "review"')
    planted.expected[-1] = ("nudges.toml", at, "two variants for any activity")


def unknown_zone(planted: Planted) -> None:
    planted.break_line("nudges.toml", "Asia/Tokyo", "Asia/Osaka", "'Asia/Osaka'")


def time_after_work(planted: Planted) -> None:
    planted.break_line("nudges.toml", 'time = "10:00"', 'time = "12:00"', "not in working hours")


def unknown_picture(planted: Planted) -> None:
    planted.break_line(
        "lessons/word.toml", 'picture = "letter', 'picture = "latter', "'latter-page'"
    )
    file, line, _ = planted.expected[-1]
    text = (planted.root / file).read_text(encoding="utf-8").splitlines()
    start = max(i for i in range(line) if text[i] == "messages = [")
    planted.expected[-1] = (file, start + 1, "'latter-page', there are backup-321, ")
    lines = (planted.root / "pictures.toml").read_text(encoding="utf-8").splitlines()
    line = lines.index('id = "letter-page"') + 1
    planted.expected.append(("pictures.toml", line, "no lesson shows 'letter-page'"))


def drawing_that_is_missing(planted: Planted) -> None:
    (planted.root / "pictures/slide-point.svg").unlink()
    lines = (planted.root / "pictures.toml").read_text(encoding="utf-8").splitlines()
    line = lines.index('id = "slide-point"') + 1
    planted.expected.append(("pictures.toml", line, "pictures/slide-point.svg is missing"))


def drawing_without_words(planted: Planted) -> None:
    (planted.root / "pictures/alone.svg").write_text("<svg/>")
    planted.expected.append(("pictures/alone.svg", 1, "pictures.toml has no words for it"))


def gap_without_a_word(planted: Planted) -> None:
    planted.break_line("pictures/backup-321.svg", "{outside}", "{inside}", "no word for {inside}")
    lines = (planted.root / "pictures.toml").read_text(encoding="utf-8").splitlines()
    line = lines.index('id = "backup-321"') + 1
    planted.expected.append(("pictures.toml", line, "backup-321: the drawing has no gap {outside}"))


def script_in_a_drawing(planted: Planted) -> None:
    script = "<script>alert(1)</script></svg>"
    planted.break_line("pictures/file-roles.svg", "</svg>", script, "only plain shapes")


def drawing_that_looks_elsewhere(planted: Planted) -> None:
    file = "pictures/search-marks.svg"
    planted.break_line(
        file, 'fill="#FFFFFF"', 'fill="url(https://example.com/a)"', "nothing outside"
    )
    planted.break_line(file, 'stroke-width="7"', 'onload="go()"', "onload='go()'")


def picture_inside_a_drawing(planted: Planted) -> None:
    image = '<image href="https://example.com/a.png"/></svg>'
    planted.break_line("pictures/phishing-parts.svg", "</svg>", image, "<image>: only plain")


def drawing_with_a_doctype(planted: Planted) -> None:
    entity = '<!DOCTYPE svg [<!ENTITY a SYSTEM "file:///etc/passwd">]><svg'
    planted.break_line("pictures/address-parts.svg", "<svg", entity, "has a DOCTYPE")


def letters_too_small(planted: Planted) -> None:
    file = "pictures/cropped-file.svg"
    planted.break_line(file, 'font-size="38"', 'font-size="27"', "letters of 27 pixels")


def words_in_a_drawing(planted: Planted) -> None:
    """They would stay Thai for an English reader."""
    file = "pictures/cell-reference.svg"
    planted.break_line(file, "{a2_by}", "=B2/B5", "a text holds one gap")
    lines = (planted.root / "pictures.toml").read_text(encoding="utf-8").splitlines()
    line = lines.index('id = "cell-reference"') + 1
    planted.expected.append(("pictures.toml", line, "has no gap {a2_by}"))


FAULTS: list[Callable[[Planted], None]] = [
    duplicate_id,
    two_right_options,
    unknown_area,
    unknown_group,
    unknown_sub_skill,
    label_too_long,
    missing_sentence,
    empty_sentence,
    other_slots,
    bad_toml,
    missing_source,
    unknown_field,
    wrong_type,
    missing_file,
    unreserved_word,
    button_that_is_not_there,
    not_utf8,
    too_few_wordings,
    nudge_of_a_kind_twice,
    nudge_id_twice,
    unknown_slot_of_a_nudge,
    unknown_zone,
    time_after_work,
    unknown_picture,
    drawing_that_is_missing,
    drawing_without_words,
    gap_without_a_word,
    script_in_a_drawing,
    drawing_that_looks_elsewhere,
    picture_inside_a_drawing,
    drawing_with_a_doctype,
    letters_too_small,
    words_in_a_drawing,
]


@pytest.mark.parametrize("plant", FAULTS, ids=lambda plant: plant.__name__)
def test_a_planted_fault_is_listed(planted: Planted, plant: Callable[[Planted], None]) -> None:
    """The one fault that was planted, where it was planted, and no other."""
    plant(planted)

    planted.assert_listed()


def test_all_planted_faults_are_listed_at_once(planted: Planted) -> None:
    """An author mends everything after one reading."""
    for plant in FAULTS:
        plant(planted)

    planted.assert_listed()


def test_a_picture_without_its_twin_is_refused(planted: Planted) -> None:
    """Whoever cannot see it would know less; nothing else is said of pictures then."""
    planted.break_line("pictures.toml", "alt.en = ", "# alt.en = ", "alt.en: Field required")
    file, line, says = planted.expected[-1]
    planted.expected[-1] = (file, line - 1, "picture.1." + says)

    planted.assert_listed()


def test_a_fault_reads_as_file_line_and_what_to_do(planted: Planted) -> None:
    unreserved_word(planted)

    (fault,) = planted.faults()

    assert str(fault).startswith(f"menu.toml:{fault.line}: word: 'advance' is not reserved")


# --- sentences and the code that says them ---------------------------------------------


def sources(package: str) -> Iterator[tuple[Path, ast.AST]]:
    for path in sorted((ROOT / package).rglob("*.py")):
        yield path, ast.parse(path.read_text(encoding="utf-8"))


def literals(package: str) -> set[str]:
    return {
        node.value
        for _, tree in sources(package)
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


COLUMNS = (
    *(sys.modules[each.make.__module__].COLUMNS for each in REPORTS.values()),
    TEXTS,
    CALIBRATED,
)
"""The columns of every report."""
REASONS = {
    *("not_joined", "unreachable", "stopped", "notice", "resting", "quiz", "unanswered"),
    *("reminders_off", "opportunity", "silent"),
}
TABLES = (*REPORTS, "calibration")
WORDS = {
    *("none", "done", "first", "before", "after", ANY, *LEARNING, *FINDINGS),
    *("too_few", "like_chance", "better", "worse", "no_holdout"),
    *("may_share", "not_shared", "new", "chosen", "set_aside"),
    *("hard", "easy", "weak", "idle_option", "drawn_away", "leech"),
    *("noisy", "key"),
    *REASONS,
    *("help_" + reason for reason in REASONS),
    *("todo_" + finding for finding in FINDINGS),
    *("at_" + activity for activity in get_args(Activity)),
}
ASKED = {"yes_share", "no_share", "yes_confirm", "no_confirm"}
BUILT = {
    "choice_": literals("flows") | ASKED,
    "wish_": {"access", "correct", "object", "done", "done_because", "refused"},
    "wished_kind_": {"access", "correct", "object"},
    "wished_": {"correct", "object", "restrict"},
    "looked_role_": {*get_args(Role), "operator"},
    "reminders_": {"once", "later"},
    "go_": {*get_args(Activity), "round"},
    "next_": {*get_args(Activity), "round"},
    "where_": {*FLOWS} - {"welcome", "menu", "return", "stopped", "erased"},
    "got_": {*get_args(Kind)},
    "claim_": {"unknown", "expired", "used", "void", "too_many", "already", "other"},
    "linked_": {"merged", "relinked"},
    "cheer_": {"cheered", "already", "too_many", "not_yours"},
    "channel_": {*PUSHED, "terminal"},
    "sheet_": {"keep", "scan", "type"},
    "confirm_": {"confirmed", "declined", "already", "not_yours"},
    "band_": {"strengthen", "fair", "strong", "between", "unclear"},
    "compare_overall_": {"up", "down", "same"},
    "mark_": {"done", "now", "later"},
    "bar_": {"done", "now", "later"},
    "placement_": {"pick", "second"},
    "plan_": {"days", "time", "days_again", "time_again"},
    "plan_task_": {"1", "2", "3"},
    "apply_": {"where", "whom", "changed", "proof", "share", "confirm", "sure"} | ASKED,
    "segment_": {
        *("groups", "steps", "done", "unfinished", "bands", "active", "inactive", "units"),
        *("channels", "languages"),
    },
    "segment_channel_": {*PUSHED},
    "segment_language_": {*LANGS},
    "campaign_why_": {
        *("no_channel", "unreachable", "stopped", "restricted", "not_welcomed", "resting"),
        "no_value",
        "departed",
    },
    "campaign_problem_": {
        *("empty", "label_long", "text_long", "brackets", "unknown", "never_both", "shares"),
        *("holdout_mandatory", "no_schedule", "past", "never", "not_hours", "time_unclear"),
        *("deadline_short", "deadline_before", "unit", "nobody", "slot_nobody", "quota", "shape"),
        *("no_campaign", "no_template", "no_person", "no_officer", "own_author", "hash_other"),
        *("moved", "moved_same", "time_gone", "not_paused", "nothing_held", "nothing_uncertain"),
        *("stale", "not_yours", "not_theirs", "no_segment", "segment_of_all", "segment_unnamed"),
        *("segment_name_long", "segment_name_taken"),
        *(f"status_{status}" for status in ("draft", "checked", "approved", "done", "cancelled")),
    },
    "content_problem_": {
        *("right", "sub_skill", "alike", "long", "group", "empty", "sentence_long", "label_long"),
        *("brackets", "slots", "too_long", "few", "many", "low", "high", "choice", "url", "date"),
        *("time", "number", "shape", "fades", "hours", "promised", "beyond", "weekend", "public"),
        *("twice", "no_slots", "over", "form", "citizens", "negative", "banned", "stands_out"),
        *("undated", "misspelt", "unlisted", "breathless", "hard_words", "picture"),
    },
    "programme_problem_": {
        *("no_person", "no_officer", "version", "head", "head_missing", "unknown", "twice"),
        *("ends_first", "no_evidence", "out_of_order", "far_away", "shape", "none", "no_year"),
        *(
            "frozen",
            "frozen_meanwhile",
            "year_open",
            "no_evidence_id",
            "not_shared",
            "narrative_empty",
        ),
        *("narrative_long", "tells_name", "tells_perhaps", "tells_number", "tells_email"),
        *("use_changed", "use_frozen"),
    },
    "programme_shown_": {"head", "tells_perhaps", "frozen"},
    "apply_line_": {"where", "whom", "changed", "proof", "share", "confirm"},
    "report_": {*TABLES, *(f"{name}_of" for name in TABLES)},
    "report_by_": {"unit", "group", "from", "until", "round", "days"},
    "report_note_": {
        *("steps", "gain", "weeks", "effect", "uses", "texts", "items", "help"),
        "calibration",
    },
    "report_col_": {column.id for columns in COLUMNS for column in columns},
    "report_word_": WORDS,
    "report_wrong_": {"name", "filter", "unit", "group", "days", "rows"},
    "link_wrong_": {
        *("no_link", "no_merge", "over", "nobody", "units", "no_unit", "no_right", "talking"),
        *("nobody_left", "many", "platform"),
    },
}
"""Keys that are put together: what follows each beginning."""


def test_every_beginning_of_a_key_is_known() -> None:
    """Whoever puts a new kind of key together says above what may follow."""
    begun = {text for text in literals("flows") if re.fullmatch(r"[a-z]+(_[a-z]+)*_", text)}

    # the last three are words of the report's layout
    others = {"yes_", "no_", "deadline_", "dates_", "motivation_", "quality_"}
    assert begun - others <= BUILT.keys()


def test_every_sentence_that_is_said_exists(content: Content) -> None:
    said: set[str] = set()
    for _, tree in sources("flows"):
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                texts = {a.value for a in node.args if isinstance(a, ast.Constant)}
                match node.func.id:
                    case "say" | "tell":
                        said |= {key for key in texts if not key.endswith("_")}
                    case "choices":
                        said |= {"choice_" + id for id in texts}
    built = {begun + end for begun, ends in BUILT.items() if begun != "choice_" for end in ends}

    assert said | built <= content.copy_["th"].keys()
    assert len(said) > 100


def test_every_sentence_is_said(content: Content) -> None:
    """No translator's work is for nothing."""
    used = literals("flows") | literals("storage") | literals("bot")
    used |= {begun + end for begun, ends in BUILT.items() for end in ends}

    assert content.copy_["th"].keys() <= used


def test_no_label_is_another_reserved_word(content: Content) -> None:
    """A typed label must mean its button: reserved words are heard first."""
    reader = Reader(content.words)
    same = {"language": {"thai", "english"}}
    for lang in LANGS:
        for key, label in content.copy_[lang].items():
            if key.startswith(("choice_", "go_")):
                id = key.partition("_")[2]
                word = reader.reserved_word(label)
                assert word is None or word == id or word in same.get(id, ()), (key, label, word)


def test_every_label_is_understood(content: Content) -> None:
    """A label that is typed as it reads means its own button, also with polite words."""
    reader = Reader(content.words)
    for lang, particle in (("th", "ค่ะ"), ("en", " please")):
        for key, label in content.copy_[lang].items():
            if key.startswith("choice_"):
                choice = Choice(key.removeprefix("choice_"), label)
                for typed in (label, label + particle, label.upper()):
                    assert reader.choice(typed, (choice,)) == choice.id
                    assert reader.choice(typed, (choice,), own_words=True) == choice.id


@pytest.mark.parametrize("package", PACKAGES)
def test_no_thai_in_code(package: str) -> None:
    """All Thai is content, so that an author can change it."""
    for path in sorted((ROOT / package).rglob("*.py")):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            assert not re.search(r"[\u0e00-\u0e7f]", line), f"{path}:{number}"
