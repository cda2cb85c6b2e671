"""The agency's programme: written by HR, checked, and never overwritten unseen."""

import tomllib
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import structlog
from sqlalchemy import select

from bot.app import App
from bot.asking import Unwilling
from bot.programme import app, to_toml
from content.schema import Content, Programme
from flows.programme import maturity
from storage import programmes
from storage.campaigns import Refused
from storage.database import Database
from storage.models import audit
from tests import fiscal
from tests.fiscal import NOW, YEAR
from tests.running import environment, ready

HEAD = {"working_group": {"head": {"hr_id": "A-2"}}}


def keep(db: Database, content: Content, by: str = "A-1", **plain: Any) -> int:
    with db.write() as conn:
        made = Programme.model_validate(plain)
        return programmes.keep(conn, YEAR, made, by, NOW, content)


def refused(db: Database, content: Content, by: str = "A-1", **plain: Any) -> list[tuple[str, str]]:
    """Where, and which fault; nothing is written."""
    with pytest.raises(Refused) as found:
        keep(db, content, by, **plain)
    for problem in found.value.problems:
        assert problem.say("th", content)
        assert problem.say("en", content)
    return [(".".join(problem.loc), problem.key) for problem in found.value.problems]


@pytest.fixture
def agency(db: Database) -> Database:
    with db.write() as conn:
        fiscal.settle(conn)
    return db


def test_the_head_is_at_least_a_deputy_head(agency: Database, content: Content) -> None:
    director = {"head": {"hr_id": "A-3", "title": "อธิบดี", "position_type": "บริหาร"}}

    assert refused(agency, content, working_group=director) == [("working_group.head", "head")]
    assert refused(agency, content, working_group={"head": {"title": "ผู้อำนวยการกอง"}})
    nobody = {"head": {"hr_id": "A-9"}}
    assert refused(agency, content, working_group=nobody) == [
        ("working_group.head.hr_id", "no_person")
    ]
    assert keep(agency, content, **HEAD) == 1
    ordered = {**director, "override": "คำสั่งที่ 9/2570"}
    assert keep(agency, content, version=1, working_group=ordered) == 2
    with agency.read() as conn:
        there = programmes.current(conn, YEAR)
    assert there is not None
    assert there.working_group.head.title == "ผู้อำนวยการกอง"  # as the roster has it
    assert keep(agency, content, version=2, working_group={"head": {"title": "รองอธิบดี"}}) == 3


def test_two_officers_never_overwrite_each_other(agency: Database, content: Content) -> None:
    keep(agency, content, follow_up={"how": "รายเดือน"})
    keep(agency, content, version=1, follow_up={"how": "รายไตรมาส"})

    assert refused(agency, content, version=1, follow_up={"how": "รายปี"}) == [
        ("version", "version")
    ]
    assert refused(agency, content) == [("version", "version")]
    with agency.read() as conn:
        there = programmes.current(conn, YEAR)
        noted = conn.execute(select(audit.c.by_id, audit.c.target)).all()
    assert there is not None
    assert (there.version, there.follow_up.how) == (2, "รายไตรมาส")
    assert [row.target for row in noted] == [f"programme:{YEAR}"] * 2


def test_every_fault_of_a_stage_is_named_at_once(agency: Database, content: Content) -> None:
    stages = [
        {"id": "policy", "state": "done", "from": "2026-11-01", "until": "2026-10-01"},
        {"id": "plan", "state": "finished", "from": "2026-10-01"},
        {"id": "develop", "from": "2020-01-01", "evidence": ["x"], "state": "done"},
        {"id": "dance"},
    ]
    plans = [{"group": "service"}, {"group": "service"}, {"group": "pilots"}]
    workshop = {"name": "w", "method": "magic", "hours": 1, "people": 1}

    found = refused(
        agency, content, stage=stages, plan=plans, workshop=[workshop], maturity={"e-mail": True}
    )

    assert set(found) == {
        ("stage.policy.until", "ends_first"),
        ("stage.policy.evidence", "no_evidence"),
        ("stage.plan.state", "unknown"),
        ("stage.plan.from", "out_of_order"),
        ("stage.develop.from", "far_away"),
        ("stage.develop.from", "out_of_order"),
        ("stage.dance", "unknown"),
        ("plan.group", "unknown"),
        ("plan.group", "twice"),
        ("workshop.1.method", "unknown"),
        ("maturity.e-mail", "unknown"),
    }


def test_only_hr_writes(agency: Database, content: Content) -> None:
    assert refused(agency, content, "A-3") == [("by", "no_officer")]
    assert refused(agency, content, "A-9") == [("by", "no_person")]
    done = [{"id": "working-group", "state": "done", "evidence": ["x"]}]
    assert refused(agency, content, stage=done) == [("working_group.head", "head_missing")]


def test_maturity_is_the_highest_level_with_all_below_it(content: Content) -> None:
    levels = {level.id: [sign.id for sign in level.signs] for level in content.cycle.levels}
    no = {sign: False for signs in levels.values() for sign in signs}

    assert maturity(no, content.cycle).level == "traditional"
    early = no | dict.fromkeys(levels["early"][:3], True)
    assert maturity(early, content.cycle).level == "early"
    half = no | dict.fromkeys(levels["early"][:2], True) | dict.fromkeys(levels["mature"], True)
    assert maturity(half, content.cycle).level == "traditional"
    mature = dict.fromkeys(no, True)
    assert maturity(mature, content.cycle).level == "mature"
    del mature["e-file"]
    assert maturity(mature, content.cycle).level == ""
    assert maturity(mature, content.cycle).answered == len(no) - 1


# --- at the command line --------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    url = ready(tmp_path)
    db = Database(url)
    with db.write() as conn:
        fiscal.settle(conn)
    db.close()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(App.__init__.__kwdefaults__, "clock", lambda: NOW)
    for name, value in environment(url).items():
        monkeypatch.setenv(name, value)
    yield tmp_path
    structlog.reset_defaults()


def test_from_the_template_to_the_level(
    folder: Path, capsys: pytest.CaptureFixture[str], content: Content
) -> None:
    def run(*line: str) -> str:
        app(
            [*line, "--year", str(YEAR)] if line[0] != "template" else [*line],
            standalone_mode=False,
        )
        return capsys.readouterr().out

    run("template", "--out", "p.toml")
    text = (folder / "p.toml").read_text(encoding="utf-8")
    text = text.replace("# from = 2569-10-01", "from = 2569-10-01", 1)
    (folder / "p.toml").write_text(
        text.replace('[working_group.head]\nhr_id = ""', '[working_group.head]\nhr_id = "A-2"'),
        encoding="utf-8",
    )
    assert "version 1" in run("set", "--file", "p.toml", "--by", "A-1")
    with pytest.raises(Unwilling, match="is at version 1"):
        run("set", "--file", "p.toml", "--by", "A-1")
    assert all(stage.name.th in run("show") for stage in content.cycle.stages)
    run("show", "--out", "now.toml")
    read = Programme.model_validate(
        tomllib.loads((folder / "now.toml").read_text(encoding="utf-8"))
    )
    assert read.version == 1
    assert read.stages[0].begins == date(2026, 10, 1)
    assert "version 2" in run("set", "--file", "now.toml", "--by", "A-1")
    signs = [sign.id for level in content.cycle.levels for sign in level.signs]
    answers = [part for sign in signs for part in ("--answer", f"{sign}=yes")]
    assert "Mature" in run("maturity", "--by", "A-1", *answers)
    with pytest.raises(Unwilling, match="write it as SIGN=yes"):
        run("maturity", "--by", "A-1", "--answer", "e-file=perhaps")
    with pytest.raises(Unwilling, match="is there already"):
        run("template", "--out", "p.toml")


def test_what_is_edited_is_kept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "p.toml").write_text('[follow_up]\nhow = "a"\n', encoding="utf-8")
    app(["set", "--year", str(YEAR), "--file", "p.toml", "--by", "A-1"], standalone_mode=False)
    monkeypatch.setenv("EDITOR", 'sed -i \'s/how = "a"/how = "b"/\'')
    app(["edit", "--year", str(YEAR), "--by", "A-1"], standalone_mode=False)
    db = Database(f"sqlite:///{folder}/kaona.db")
    with db.read() as conn:
        there = programmes.current(conn, YEAR)
    db.close()

    assert there is not None
    assert (there.version, there.follow_up.how) == (2, "b")
    assert not (folder / f"programme-{YEAR}.toml").exists()


def test_a_programme_reads_back_as_it_was_written() -> None:
    made = Programme.model_validate(
        {
            "policy": {"statement": 'ก "ข"\n\\ค', "announced_on": "2026-10-01",
                       "goal": [{"text": "ก", "target": "1"}]},
            "stage": [{"id": "policy", "from": "2026-10-01", "evidence": ["a", "b"]}],
            "maturity": {"e-file": True},
            "workshop": [{"name": "w", "method": "workshop", "hours": 1.5, "people": 3}],
        }
    )  # fmt: skip
    text = to_toml(made.model_dump(mode="json", by_alias=True))

    assert Programme.model_validate(tomllib.loads(text)) == made
