"""Uses at work that HR chooses for the report: in words that name nobody."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, update

from bot.app import App
from bot.asking import Unwilling
from bot.evidence import app
from content.schema import Content
from flows.anonymous import suggest, tells
from storage import chosen, roster
from storage.campaigns import Refused
from storage.database import Database
from storage.models import audit, evidence, facts, persons, profiles
from storage.programmes import someone
from tests import fiscal
from tests.fiscal import NOW
from tests.running import environment, ready

NAMES = ("นางสาวสมหญิง ใจดีมาก", "นายปัญญา ศรีสุข", "Mr. John Smith")


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("ลดเวลาจากสองวันเหลือครึ่งวัน", []),
        ("ช่วยนางสาวสมหญิงทำตาราง", ["name"]),
        ("ช่วยสมหญิง ใจดีมาก ทำตาราง", ["name"]),
        ("คุณสมหญิงสอนเพื่อน", ["name"]),
        ("ใช้ปัญญาประดิษฐ์ร่างหนังสือ", ["perhaps"]),
        ("with john smith", ["name"]),
        ("โดยนายสมศักดิ์ วงศ์ไทย", ["perhaps"]),
        ("ตามที่นายจ้างและนายกเทศมนตรีขอ", []),
        ("โทร 081-234-5678", ["number"]),
        ("โทร ๐๘๑ ๒๓๔ ๕๖๗๘", ["number"]),
        ("เลข 1-2345-67890-12-1", ["number"]),
        ("ส่งที่ somying@agency.go.th", ["email"]),
        ("ปี 2570 ลดจาก 1,200 เหลือ 300 ฉบับ", []),
    ],
)
def test_what_gives_somebody_away(text: str, kinds: list[str], content: Content) -> None:
    assert tells(text, NAMES, content.layout) == kinds


@given(st.sampled_from(NAMES), st.text(alphabet="กขคงจ abc", max_size=12))
def test_a_suggestion_gives_nobody_away(content: Content, name: str, words: str) -> None:
    text = f"{words} {name} 0812345678 a.b@c.go.th {words}"

    assert tells(suggest(text, NAMES, content.layout), NAMES, content.layout) == []


@pytest.fixture
def agency(db: Database, content: Content) -> Database:
    fill(db, content)
    return db


def fill(db: Database, content: Content) -> None:
    """Learners with uses at work; the first names a colleague."""
    with db.write() as conn:
        fiscal.settle(conn)
        fiscal.fill(conn, 12, content)
        first = conn.execute(select(facts).where(facts.c.id == uses(db, conn)[0])).one()
        said = json.loads(first.data) | {"whom": {"text": "นางจินดา พรหมดี โทร 081-234-5678"}}
        conn.execute(update(facts).where(facts.c.id == first.id).values(data=json.dumps(said)))


def uses(db: Database, conn: object = None) -> list[int]:
    query = select(evidence.c.fact_id).order_by(evidence.c.fact_id)
    if conn is not None:
        return list(conn.execute(query).scalars())  # type: ignore[attr-defined]
    with db.read() as reading:
        return list(reading.execute(query).scalars())


def choose(
    db: Database, content: Content, id: int, text: str, by: str = "A-1", **more: bool
) -> None:
    with db.write() as conn:
        chosen.choose(conn, id, text, by, NOW, content, **{"sure": False, **more})


def why(db: Database, content: Content, id: int, text: str, by: str = "A-1") -> list[str]:
    with pytest.raises(Refused) as refused:
        choose(db, content, id, text, by)
    said = " ".join(problem.say("th", content) for problem in refused.value.problems)
    assert "จินดา" not in said
    return [problem.key for problem in refused.value.problems]


def test_nobody_on_the_roster_is_named_wherever_they_are(
    agency: Database, content: Content
) -> None:
    """However far away their unit is, and whatever title is written before the name."""
    id = uses(agency)[0]
    with agency.write() as conn:
        far = roster.add_unit(conn, "กองไกล")
        roster.add_person(conn, hr_id="far", name="นายไกรสร ห่างไกล", unit_id=far)
        roster.add_person(conn, hr_id="other", name="วันดี แสนไกล", unit_id=far)

    for said in ("คุณไกรสร ห่างไกลช่วย", "ดร.ไกรสร ห่างไกลช่วย", "ช่วยวันดี แสนไกลทำ"):
        assert why(agency, content, id, said) == ["tells_name"]


def test_what_somebody_keeps_to_themselves_is_in_no_report(
    agency: Database, content: Content
) -> None:
    id = uses(agency)[0]
    with agency.write() as conn:
        conn.execute(update(evidence).where(evidence.c.fact_id == id).values(shared=False))

    assert why(agency, content, id, "ทำตารางเร็วขึ้น") == ["not_shared"]


def test_a_use_is_chosen_in_words_that_name_nobody(agency: Database, content: Content) -> None:
    id = uses(agency)[0]

    assert why(agency, content, id, "  ") == ["narrative_empty"]
    assert why(agency, content, id, "ก" * 1001) == ["narrative_long"]
    assert why(agency, content, id, "สอนนางจินดาแล้ว") == ["tells_name"]
    assert why(agency, content, id, "จินดา 081 234 5678") == ["tells_perhaps", "tells_number"]
    choose(agency, content, id, "ดวงจินดา  เป็นชื่อระบบ", sure=True)
    with agency.read() as conn:
        row = conn.execute(select(evidence).where(evidence.c.fact_id == id)).one()
        notes = conn.execute(select(audit)).all()
    assert (row.status, row.narrative) == ("chosen", "ดวงจินดา เป็นชื่อระบบ")
    assert row.decided_by is not None
    assert [note.action for note in notes] == ["evidence_chosen"]
    assert "จินดา" not in notes[0].data
    with agency.write() as conn:
        chosen.set_aside(conn, id, "A-1", NOW)
        row = conn.execute(select(evidence).where(evidence.c.fact_id == id)).one()
    assert (row.status, row.narrative) == ("set_aside", "")


def test_the_list_suggests_without_names(agency: Database, content: Content) -> None:
    with agency.read() as conn:
        rows = chosen.listing(conn, someone(conn, "A-1", "names", NOW), "new", 0, content)

    assert [row["id"] for row in rows] == uses(agency)
    assert "จินดา" in rows[0]["text"]["whom"]
    assert "จินดา" not in rows[0]["narrative"]
    assert content.layout.unnamed["number"] in rows[0]["narrative"]


def test_nobody_else_chooses_nor_sees(agency: Database, content: Content) -> None:
    id, restricted = uses(agency)[:2]
    with agency.write() as conn:
        whose = select(evidence.c.learner_id).where(evidence.c.fact_id == restricted)
        mine = profiles.c.learner_id == whose.scalar_subquery()
        conn.execute(update(profiles).where(mine).values(restricted=True))

    assert why(agency, content, id, "ดี", "A-3") == ["no_officer"]
    assert why(agency, content, restricted, "ดี") == ["no_evidence_id"]
    assert why(agency, content, 1, "ดี") == ["no_evidence_id"]


def test_an_officer_of_one_unit_does_not_see_the_next(agency: Database, content: Content) -> None:
    from storage import roster

    with agency.write() as conn:
        other = roster.add_unit(conn, "กองอื่น", 1)
        director = conn.execute(select(persons.c.id).where(persons.c.hr_id == "A-3")).scalar_one()
        roster.grant(conn, director, "hr", NOW, other)
    with agency.read() as conn:
        scope = someone(conn, "A-3", "names", NOW)
        assert list(chosen.listing(conn, scope, "", 0, content)) == []
    assert why(agency, content, uses(agency)[0], "ดี", "A-3") == ["no_evidence_id"]


def test_at_the_command_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    content: Content,
) -> None:
    url = ready(tmp_path)
    db = Database(url)
    fill(db, content)
    id = str(uses(db)[0])
    db.close()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(App.__init__.__kwdefaults__, "clock", lambda: NOW)
    for name, value in environment(url).items():
        monkeypatch.setenv(name, value)
    (tmp_path / "n.txt").write_text("ลดเวลาทำรายงานเหลือครึ่งวัน", encoding="utf-8")

    app(["list", "--by", "A-1"], standalone_mode=False)
    assert id in capsys.readouterr().out
    with pytest.raises(Unwilling, match="look after"):
        app(["choose", "1", "--narrative", "n.txt", "--by", "A-1"], standalone_mode=False)
    app(["choose", id, "--narrative", "n.txt", "--by", "A-1"], standalone_mode=False)
    app(["list", "--by", "A-1", "--status", "chosen"], standalone_mode=False)
    assert "ลดเวลาทำรายงานเหลือครึ่งวัน" in capsys.readouterr().out
    app(["set-aside", id, "--by", "A-1"], standalone_mode=False)
    db = Database(url)
    with db.read() as conn:
        actions = conn.execute(select(audit.c.action).order_by(audit.c.id)).scalars().all()
    db.close()
    assert actions == [
        "evidence_viewed",
        "evidence_chosen",
        "evidence_viewed",
        "evidence_set_aside",
    ]
