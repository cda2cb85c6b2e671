"""The annual report to OCSC: counted a second way, frozen for good, and read back from every
format."""

import io
import json
import re
import shutil
import subprocess
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import docx
import openpyxl
import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import convert
from sqlalchemy import delete, insert, select, update

from bot import office
from bot.app import App
from bot.asking import Unwilling
from bot.cli import app
from bot.ocsc import render, report_ocsc
from content.lint import REPORT_BLOCKS
from content.schema import Content
from flows.composed import BLOCKS, Document, compose
from flows.report import Counted, Pairs, Report, change, make, quantile
from flows.text import plain
from storage import ocsc, programmes, roster
from storage.campaigns import Refused
from storage.database import Database
from storage.models import (
    audit,
    certificates,
    evidence,
    facts,
    measures,
    milestones,
    persons,
    profiles,
    snapshots,
)
from storage.scope import NOBODY, OPERATOR, Denied, scope_of
from tests import fiscal
from tests.databases import ENGINES, fresh
from tests.fiscal import BEGAN, ENDED, NOW, YEAR
from tests.running import environment, ready
from tests.test_suppression import small

LEARNERS = 300
DOUBLED = re.compile("(\\S[\u0e31\u0e34-\u0e3a\u0e47-\u0e4e]{2})\\1")


@pytest.fixture(scope="module", params=ENGINES)
def agency(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, content: Content
) -> Iterator[Database]:
    db = Database(fresh(request, tmp_path_factory.mktemp("ocsc")))
    with db.write() as conn:
        fiscal.settle(conn)
        fiscal.fill(conn, LEARNERS, content)
        _disturb(conn)
    yield db
    db.close()


def _disturb(conn: Any) -> None:
    """What does not count, or counts in its own way: a guest, somebody who has had the use of
    their data restricted, another year, and a second round within the year."""
    conn.execute(
        update(profiles).where(profiles.c.learner_id == 1000).values(person_id=None, unit_id=None)
    )
    conn.execute(update(profiles).where(profiles.c.learner_id == 1001).values(restricted=True))
    old = {"learner_id": 1002, "round": 7, "step": "know", "at": BEGAN - timedelta(seconds=1)}
    conn.execute(insert(milestones).values(old))
    conn.execute(insert(milestones).values({**old, "round": 8, "at": ENDED}))
    again = {"learner_id": 1003, "round": 2, "area": "word", "before": -1.0, "after": 1.5}
    when = {"before_at": ENDED - timedelta(days=9), "after_at": ENDED - timedelta(days=1)}
    conn.execute(insert(measures).values({**again, **when}))
    conn.execute(
        update(measures)
        .where(measures.c.learner_id == 1003, measures.c.round == 1)
        .values(after=0.2, after_at=ENDED - timedelta(days=30))
    )
    conn.execute(update(profiles).where(profiles.c.learner_id == 1003).values(round=2))
    conn.execute(insert(milestones).values({**old, "learner_id": 1003, "round": 2, "at": NOW}))
    conn.execute(
        insert(milestones).values(
            {**old, "learner_id": 1003, "round": 3, "at": ENDED - (NOW - ENDED)}
        )
    )


def counted(db: Database, content: Content) -> Counted:
    with db.read() as conn:
        return ocsc.gather(conn, OPERATOR, YEAR, NOW, content)


def within(at: datetime | None) -> bool:
    return at is not None and BEGAN <= at < ENDED


# --- the figures --------------------------------------------------------------------------


def test_people_are_counted_as_somebody_else_would(agency: Database, content: Content) -> None:
    """The same from all rows, one by one."""
    with agency.read() as conn:
        group = {
            row.learner_id: row.personnel_group
            for row in conn.execute(select(profiles))
            if row.person_id and not row.restricted
        }
        whom: dict[tuple[str, str], set[int]] = defaultdict(set)
        for row in conn.execute(select(milestones)):
            if within(row.at) and row.learner_id in group:
                whom[group[row.learner_id], "people"].add(row.learner_id)
                whom[group[row.learner_id], row.step].add(row.learner_id)
        for row in conn.execute(select(evidence)):
            if within(row.at) and row.learner_id in group:
                whom[group[row.learner_id], "used"].add(row.learner_id)
                if row.confirmed_at:
                    whom[group[row.learner_id], "confirmed"].add(row.learner_id)
                if row.shared:
                    whom[group[row.learner_id], "shared"].add(row.learner_id)
        for row in conn.execute(select(certificates)):
            if within(row.issued_at) and row.learner_id in group:
                whom[group[row.learner_id], "certified"].add(row.learner_id)
        for row in conn.execute(select(facts).where(facts.c.kind == "acknowledged")):
            if within(row.at) and row.learner_id in group:
                whom[group[row.learner_id], "feedback"].add(row.learner_id)

    found = {
        (name, key): many
        for name, counts in counted(agency, content).groups.items()
        for key, many in counts.items()
        if many
    }

    assert found == {key: len(people) for key, people in whom.items()}
    assert sum(many for (_, key), many in found.items() if key == "people") == LEARNERS - 2


def test_the_change_is_that_of_the_last_round(agency: Database, content: Content) -> None:
    with agency.read() as conn:
        group = {
            row.learner_id: row.personnel_group
            for row in conn.execute(select(profiles))
            if row.person_id and not row.restricted
        }
        last: dict[tuple[int, str], Any] = {}
        for row in conn.execute(select(measures).order_by(measures.c.round)):
            if within(row.after_at) and row.before is not None and row.learner_id in group:
                last[row.learner_id, row.area] = row
    made = make(counted(agency, content), "internal", content)

    for area in made.areas:
        rows = [row for (_, name), row in last.items() if name == area.id]
        moved = [row.after - row.before for row in rows]
        half = quantile(len(moved) - 1) * stdev(moved) / len(moved) ** 0.5
        assert area.change.n == len(rows)
        assert area.change.value == pytest.approx(mean(moved), abs=6e-4)
        assert area.change.high == pytest.approx(mean(moved) + half, abs=6e-4)
        assert area.change.verdict == (
            "chance" if abs(mean(moved)) <= half else "rose" if mean(moved) > 0 else "fell"
        )
        bands = [_band(row.before) for row in rows]
        assert area.bands_before == [bands.count(name) for name in range(3)]
        for name, one in area.groups.items():
            mine = [r.after - r.before for r in rows if group[r.learner_id] == name]
            assert one.n == len(mine)
    assert last[1003, "word"].round == 2


def _band(ability: float) -> int:
    return 0 if ability < -0.35 else 2 if ability > 0.35 else 1


def test_the_interval_is_students() -> None:
    """Against the table of every textbook."""
    for freedom, point in ((4, 2.776), (9, 2.262), (29, 2.045), (1000, 1.962)):
        assert quantile(freedom) == pytest.approx(point, rel=0.003)
    pairs = Pairs(n=10, before=0.0, after=1.0, change=1.0, squares=10.0)
    assert change(pairs, 10).verdict == "chance"
    assert change(pairs, None).value is None


def test_methods_are_hours_and_their_shares_add_up(agency: Database, content: Content) -> None:
    seen = counted(agency, content)
    with agency.read() as conn:
        kinds = Counter(
            row.kind for row in conn.execute(select(facts.c.kind, facts.c.at)) if within(row.at)
        )
    seen.programme = {"workshop": [{"name": "w", "method": "lecture", "hours": 3, "people": 100}]}
    made = make(seen, "internal", content)
    hours = {row.id: row.hours for row in made.methods}

    assert hours["course"] == pytest.approx(kinds["course_finished"] * 2)
    assert hours["lesson"] == pytest.approx(kinds["lesson_done"] * 3 / 60, abs=0.06)
    assert hours["lecture"] == 300
    assert sum(row.share or 0 for row in made.methods) == pytest.approx(1, abs=0.01)
    lectures = sum(row.hours or 0 for row in made.methods if row.kind == "lecture")
    assert made.lecture_share == pytest.approx(
        lectures / sum(row.hours or 0 for row in made.methods), abs=1e-3
    )


def test_who_may_not_see_figures_sees_none(agency: Database, content: Content) -> None:
    with agency.read() as conn, pytest.raises(Denied):
        ocsc.gather(conn, NOBODY, YEAR, NOW, content)
    with agency.read() as conn, pytest.raises(Denied):
        ocsc.gather(conn, scope_of(conn, 1000, NOW), YEAR, NOW, content)


def test_another_year_is_empty_and_still_a_report(agency: Database, content: Content) -> None:
    with agency.read() as conn:
        seen = ocsc.gather(conn, OPERATOR, YEAR + 5, NOW, content)
    made = office.composed(seen, "ocsc", content)

    assert made["report"]["key"]["people"] == 0
    assert render(made, "pdf").startswith(b"%PDF")


# --- what OCSC is not shown -----------------------------------------------------------------


@settings(max_examples=40)
@given(st.integers(1, 10**6), st.integers(1, 250))
def test_ocsc_sees_no_group_of_less_than_ten(content: Content, seed: int, most: int) -> None:
    import random

    dice = random.Random(seed)
    steps = [step.id for step in content.method.steps]
    groups = {}
    for group in content.framework.groups:
        many = sorted((dice.randint(0, most) for _ in range(7)), reverse=True)
        used = sorted((dice.randint(0, many[0]) for _ in range(3)), reverse=True)
        groups[group.id] = {
            "people": many[0], **dict(zip(steps, many[1:], strict=True)),
            "feedback": many[-1], "certified": many[-1],
            "used": used[0], "confirmed": used[1], "shared": used[2],
        }  # fmt: skip
    made = make(_empty(groups), "ocsc", content)

    walked = ["people", *reversed(steps), "feedback", "certified"]
    for keys, compared in ((walked, "all"), (["used", "confirmed", "shared"], "first")):
        table = [[row.counts[key] for key in keys] for row in made.groups]
        assert small(table, compared) == []  # type: ignore[arg-type]


def _empty(groups: dict[str, dict[str, int]]) -> Counted:
    day = NOW.date().isoformat()
    return Counted(
        YEAR, "x", day, day, NOW.isoformat(), 5000, groups, {}, {}, [], None, None, {"linked": 4000}
    )


def test_the_agency_itself_sees_all(agency: Database, content: Content) -> None:
    seen = counted(agency, content)
    ours, theirs = (make(seen, audience, content) for audience in ("internal", "ocsc"))

    assert all(many is not None for row in ours.groups for many in row.counts.values())
    assert any(many is None for row in theirs.groups for many in row.counts.values())
    assert theirs.groups[-1].counts["people"] == ours.groups[-1].counts["people"]


# --- frozen ---------------------------------------------------------------------------------


def _frozen(db: Database, content: Content, version: int) -> str:
    seen = counted(db, content)
    reports = {a: office.composed(seen, a, content, version, version - 1) for a in office.AUDIENCES}
    with db.write() as conn:
        return ocsc.freeze(conn, YEAR, reports, version, "A-1", NOW)


def test_what_is_frozen_moves_no_more(db: Database, content: Content) -> None:
    with db.write() as conn:
        fiscal.settle(conn)
        fiscal.fill(conn, 60, content)
    seal = _frozen(db, content, 1)
    with db.write() as conn:
        conn.execute(delete(milestones))
        before = ocsc.latest(conn, YEAR)
    with pytest.raises(Refused) as refused:
        _frozen(db, content, 1)
    with db.read() as conn, pytest.raises(Refused):
        ocsc.next_version(conn, YEAR, again=False)
    _frozen(db, content, 2)
    with db.read() as conn:
        after = ocsc.latest(conn, YEAR)
        notes = conn.execute(
            select(audit.c.data).where(audit.c.action == "report_frozen").order_by(audit.c.id)
        ).scalars()
        noted = [json.loads(each) for each in notes]

    assert refused.value.problems[0].key == "frozen_meanwhile"
    assert before is not None
    assert after is not None
    assert before.hash == seal
    assert before.reports["ocsc"]["report"]["version"] == 1
    assert after.reports["ocsc"]["report"]["replaces"] == 1
    assert [each["replaces"] for each in noted] == [0, 1]
    assert noted[0]["hash"] == seal


def test_a_frozen_report_that_was_changed_is_not_shown(db: Database, content: Content) -> None:
    with db.write() as conn:
        fiscal.settle(conn)
    _frozen(db, content, 1)
    with db.write() as conn:
        conn.execute(update(snapshots).values(data='{"ocsc":{}}'))

    with db.read() as conn, pytest.raises(ValueError, match="does not match its hash"):
        ocsc.latest(conn, YEAR)


def test_next_year_compares_with_what_was_frozen(db: Database, content: Content) -> None:
    with db.write() as conn:
        fiscal.settle(conn)
        fiscal.fill(conn, 60, content)
    _frozen(db, content, 1)
    with db.read() as conn:
        seen = ocsc.gather(conn, OPERATOR, YEAR + 1, NOW, content)
    made = office.composed(seen, "ocsc", content)
    table = _blocks(made, "comparison")[0]

    assert seen.previous is not None
    assert table["rows"][0][1] == f"{seen.previous['people']:,}" == "60"
    assert table["rows"][0][3] == "\u221260"


def test_only_hr_of_the_whole_agency_freezes(db: Database, content: Content) -> None:
    with db.write() as conn:
        fiscal.settle(conn)
        for who, key in (("A-3", "no_officer"), ("A-9", "no_person")):
            with pytest.raises(Refused) as refused:
                ocsc.freeze(conn, YEAR, {}, 1, who, NOW)
            assert refused.value.problems[0].key == key


def _blocks(made: dict[str, Any], part: str) -> list[dict[str, Any]]:
    return [
        block
        for each in made["document"]["parts"]
        if each["id"] == part
        for block in each["blocks"]
    ]


# --- at the command line ----------------------------------------------------------------------


@pytest.fixture
def typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: Content) -> Iterator[Path]:
    """A folder with an agency's database, where commands are typed."""
    url = ready(tmp_path)
    db = Database(url)
    with db.write() as conn:
        fiscal.settle(conn)
        fiscal.fill(conn, 150, content)
    db.close()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(App.__init__.__kwdefaults__, "clock", lambda: NOW)
    for name, value in environment(url).items():
        monkeypatch.setenv(name, value)
    yield tmp_path
    structlog.reset_defaults()


def _made(folder: Path) -> dict[str, bytes]:
    return {path.suffix: path.read_bytes() for path in report_ocsc(YEAR, out_=folder)}


def test_a_second_run_gives_the_same_bytes_and_later_edits_do_not_move_it(typed: Path) -> None:
    with pytest.raises(Unwilling, match="say --by"):
        report_ocsc(YEAR, freeze=True)
    draft = (typed / "draft.json", report_ocsc(YEAR, ["json"], typed / "draft.json"))[
        0
    ].read_bytes()
    first = {
        path.suffix: path.read_bytes()
        for path in report_ocsc(YEAR, out_=typed / "first", freeze=True, by="A-1")
    }
    db = Database(f"sqlite:///{typed}/kaona.db")
    with db.write() as conn:
        conn.execute(delete(milestones))
        conn.execute(update(profiles).values(personnel_group="others"))
    db.close()
    second = _made(typed / "second")

    assert set(first) == {".pdf", ".docx", ".xlsx", ".json"}
    assert first == second
    assert draft != first[".json"]
    with pytest.raises(Unwilling, match="is frozen as number 1"):
        report_ocsc(YEAR, freeze=True, by="A-1", out_=typed / "no")
    assert not (typed / "no").exists()
    printed = sha256(first[".json"]).hexdigest()
    assert printed in _pdf_text(first[".pdf"])
    assert printed in _docx_text(first[".docx"])
    assert printed in _xlsx_texts(first[".xlsx"])


def test_the_command_writes_one_file_where_it_is_told(
    typed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    app(
        [
            "report",
            "ocsc",
            "--year",
            str(YEAR),
            "--format",
            "json",
            "--out",
            "one.json",
            "--internal",
        ],
        standalone_mode=False,
    )

    assert capsys.readouterr().out == "one.json\n"
    assert json.loads((typed / "one.json").read_bytes())["audience"] == "internal"
    db = Database(f"sqlite:///{typed}/kaona.db")
    with db.write() as conn:
        director = conn.execute(select(persons.c.id).where(persons.c.hr_id == "A-3")).scalar_one()
        roster.grant(conn, director, "ocsc", NOW)
    db.close()
    report_ocsc(YEAR, ["json"], typed / "two.json", by="A-3")
    assert json.loads((typed / "two.json").read_bytes())["audience"] == "ocsc"
    with pytest.raises(Unwilling, match="may not do this"):  # small groups are for HR alone
        report_ocsc(YEAR, ["json"], typed / "three.json", internal=True, by="A-3")
    for wrong in (["--year", "2027"], ["--year", str(YEAR), "--format", "odt"]):
        with pytest.raises(Unwilling):
            app(["report", "ocsc", *wrong], standalone_mode=False)


# --- the documents ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def made(content: Content, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A draft with stories that would like to be formulas."""
    db = Database(ready(tmp_path_factory.mktemp("made")))
    with db.write() as conn:
        fiscal.settle(conn)
        fiscal.fill(conn, 300, content)
        some = select(evidence.c.fact_id).order_by(evidence.c.fact_id).limit(1).scalar_subquery()
        chosen = {"status": "chosen", "narrative": '=HYPERLINK("http://x","ลดเวลาทำน้ำหนัก")'}
        conn.execute(update(evidence).where(evidence.c.fact_id == some).values(chosen))
        programme = programmes.Programme.model_validate(
            {
                "policy": {"statement": "ทุกคนพัฒนาทักษะดิจิทัล"},
                "working_group": {"head": {"hr_id": "A-2", "duty": "=1+1"}},
            }
        )
        programmes.keep(conn, YEAR, programme, "A-1", NOW, content)
    with db.read() as conn:
        seen = ocsc.gather(conn, OPERATOR, YEAR, NOW, content)
    db.close()
    return office.composed(seen, "ocsc", content)


def _pdf_text(data: bytes) -> str:
    """Without the spaces that lines end with: Thai has none between words."""
    if shutil.which("pdftotext") is None:
        pytest.skip("no pdftotext on this machine")
    told = subprocess.run(["pdftotext", "-", "-"], input=data, capture_output=True, check=True)
    return _bare(told.stdout.decode())


def _bare(text: str) -> str:
    """In one spelling: a PDF may hold SARA AM as its two parts, and pdftotext says a letter with
    two marks twice."""
    return DOUBLED.sub(r"\1", "".join(plain(text).split()))


def _docx_text(data: bytes) -> str:
    found = docx.Document(io.BytesIO(data))
    texts = [paragraph.text for paragraph in found.paragraphs]
    texts += [cell.text for table in found.tables for row in table.rows for cell in row.cells]
    texts += [paragraph.text for paragraph in found.sections[0].footer.paragraphs]
    return "\n".join(texts)


def _xlsx_texts(data: bytes) -> str:
    book = openpyxl.load_workbook(io.BytesIO(data))
    cells = (cell.value for sheet in book for row in sheet.iter_rows() for cell in row)
    return "\n".join(str(value) for value in cells if value is not None)


def _sentences(made: dict[str, Any], content: Content) -> list[str]:
    document = made["document"]
    return [
        document["title"],
        *(part["heading"] for part in document["parts"]),
        *(note for part in document["parts"] for note in part["notes"]),
        *content.method.label.th.splitlines(),
        "ทุกคนพัฒนาทักษะดิจิทัล",
        "ลดเวลาทำน้ำหนัก",
    ]


def test_the_pdf_says_it_in_thai(made: dict[str, Any], content: Content) -> None:
    data = render(made, "pdf")
    text = _pdf_text(data)

    missing = [s for s in _sentences(made, content) if _bare(s) not in text]
    assert missing == []
    assert _bare(made["document"]["cover"]["paragraphs"][0]) in text


def test_the_docx_is_thai_through_and_through(made: dict[str, Any], content: Content) -> None:
    data = render(made, "docx")
    text, found = _docx_text(data), docx.Document(io.BytesIO(data))
    heads = [p.text for p in found.paragraphs if p.style and p.style.name == "Heading 1"]
    body = [p for p in found.paragraphs if p.style and not p.style.name.startswith("Heading")]
    runs = [run for p in body for run in p.runs if run.text.strip()]
    w = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"

    assert [s for s in _sentences(made, content) if s not in text] == []
    assert len(heads) == len(content.layout.sections)
    styled = [found.styles[name].element for name in ("Normal", "Heading 1", "Heading 2")]
    for each in (*styled, *(run._element for run in runs)):
        fonts = each.rPr.find(f"{w}rFonts")
        assert fonts.get(f"{w}cs") == fonts.get(f"{w}ascii") == "TH Sarabun New"
    assert all(
        table._tbl.tr_lst[0].trPr.find(f"{w}tblHeader") is not None for table in found.tables
    )
    pictures = [each._inline.docPr.get("descr") for each in found.inline_shapes]
    assert pictures
    assert all(pictures)


def test_the_xlsx_holds_tables_and_no_formula(made: dict[str, Any], content: Content) -> None:
    data = render(made, "xlsx")
    book = openpyxl.load_workbook(io.BytesIO(data))
    cells = [cell for sheet in book for row in sheet.iter_rows() for cell in row]

    assert book.sheetnames == [section.sheet for section in content.layout.sections]
    assert [cell for cell in cells if cell.data_type == "f"] == []
    assert sum(len(sheet.tables) for sheet in book) >= 10
    assert sum(len(sheet._charts) for sheet in book) >= 3  # type: ignore[attr-defined]
    text = _xlsx_texts(data)
    assert [s for s in _sentences(made, content) if s not in text] == []
    total = made["report"]["groups"][-1]["counts"]["people"]
    assert any(cell.value == total and cell.data_type == "n" for cell in cells)


def test_the_json_is_all_there_is(made: dict[str, Any]) -> None:
    data = render(made, "json")

    assert json.loads(data)["year"] == YEAR
    assert sha256(data).hexdigest() == made["document"]["hash"]
    assert "hr_id" not in data.decode()
    assert "ตั้งมั่น" not in data.decode()


def test_the_layout_is_a_template(made: dict[str, Any], content: Content) -> None:
    """Sections may be renamed, moved and left out."""
    assert {*BLOCKS} == REPORT_BLOCKS
    first, second, *_ = content.layout.sections
    renamed = second.model_copy(update={"heading": "หัวข้อใหม่"})
    layout = content.layout.model_copy(update={"sections": (renamed, first)})
    report = convert(made["report"], Report)
    document = compose(report, "0" * 64, layout)

    assert [part.heading for part in document.parts] == ["หัวข้อใหม่", first.heading]
    assert convert(made["document"], Document).parts[0].heading == first.heading
