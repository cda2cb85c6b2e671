"""The register of personal data: nothing is missing in it, everything made from it is current, and
a copy holds everything that it calls personal."""

import re
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from bot import copies
from bot.register import documents
from content.lint import lint
from content.load import Files, load
from content.schema import Content
from storage import subject
from storage.database import Database
from storage.models import metadata, timers
from storage.scope import NOBODY, OPERATOR, Denied
from tests.planted import NOW, Planted, agency, plant

ROOT = Path(__file__).parent.parent


def test_every_column_of_every_table_is_in_the_register(content: Content) -> None:
    """As personal or not, once; a new column without an entry fails here."""
    known = {table.name: table for table in content.register_.tables}

    assert known.keys() == metadata.tables.keys()
    for name, table in metadata.tables.items():
        entry = known[name]
        columns = [*entry.personal, *entry.acts, *entry.plain]
        assert sorted(columns) == sorted(column.name for column in table.columns), name


def test_whoever_a_row_is_about_can_be_told(content: Content) -> None:
    for entry in content.register_.tables:
        owners = [entry.learner, entry.person, entry.address, entry.target]
        assert not entry.personal or any(owners), entry.name
        assert all(not owner or owner in metadata.tables[entry.name].c for owner in owners)


@pytest.mark.parametrize(("rule", "days"), [("messages", 31), ("answers", 91)])
def test_the_notice_cannot_promise_another_clock(content: Content, rule: str, days: int) -> None:
    register = content.register_
    rules = tuple(
        each.model_copy(update={"days": days}) if each.id == rule else each
        for each in register.rules
    )
    changed = content.model_copy(update={"register_": register.model_copy(update={"rules": rules})})
    files = Files(ROOT / "content")

    faults = [str(fault) for fault in lint(changed, files)]

    assert any("notice.toml does not say so" in fault for fault in faults)
    assert not lint(content, files)


def test_the_documents_are_those_of_the_register() -> None:
    """After a change: kaona privacy register --out docs/privacy, without a DPO in the settings."""
    for name, text in documents(load()).items():
        written = (ROOT / "docs" / "privacy" / name).read_text(encoding="utf-8")
        assert text == written, f"docs/privacy/{name} is not current"


def test_documents_as_pages(content: Content) -> None:
    made = documents(content, "html")

    assert set(made) == {f"{name}.html" for name in ("notice", "ropa", "datamap", "dpia", "dpa")}
    assert "<td><code>outbox</code></td>" in made["datamap.html"]
    assert all("| ---" not in page and "{{" not in page for page in made.values())


# --- a copy of everything ----------------------------------------------------------------


@pytest.fixture
def somebody(db: Database, content: Content) -> Planted:
    with db.write() as conn:
        where = agency(conn)
        plant(conn, where, content)
        return plant(conn, where, content)


def _export(db: Database, content: Content, who: Planted) -> dict[str, Any]:
    with db.write() as conn:
        return subject.export(conn, OPERATOR, who.hr_id, content.register_, NOW)


def test_a_copy_holds_every_personal_column_of_every_table(
    db: Database, content: Content, somebody: Planted
) -> None:
    """P21: 100 % of the columns, each with a value."""
    made = _export(db, content, somebody)["tables"]
    wanted = {
        entry.name: set(entry.personal) for entry in content.register_.tables if entry.personal
    }

    assert {name: set(rows[0]) for name, rows in made.items()} == wanted
    held = {
        (name, key) for name in made for row in made[name] for key in row if row[key] is not None
    }
    columns = {(name, key) for name in wanted for key in wanted[name]}
    assert columns - held <= {("persons", "started_on"), ("persons", "left_on")}
    print(f"{len(columns)} personal columns of {len(wanted)} tables, all in the copy")


def test_a_copy_is_of_nobody_else(db: Database, content: Content, somebody: Planted) -> None:
    made = _export(db, content, somebody)
    marks = set(re.findall(r"MARK\d{6}", str(made)))

    assert marks == {somebody.mark}


def test_what_is_to_be_told_of_somebody_else_is_not_theirs(
    db: Database, content: Content, somebody: Planted
) -> None:
    """A request to confirm a colleague's use at work waits for a manager."""
    with db.write() as conn:
        told = {"learner_id": somebody.learner, "kind": "confirm_use", "key": "9", "due": NOW}
        conn.execute(insert(timers).values(**told, data='{"who":"เพื่อนร่วมงาน"}'))
    made = _export(db, content, somebody)

    assert len(made["tables"]["timers"]) == 2
    assert "เพื่อนร่วมงาน" not in str(made)


def test_a_copy_can_be_read(db: Database, content: Content, somebody: Planted) -> None:
    made = _export(db, content, somebody)
    html = copies.as_html(made, content, NOW, "th", alone=True)

    for category in content.register_.categories:
        assert category.name.th in html
    assert "20 พ.ย. 2569" in html
    assert "@font-face" not in html
    assert re.findall(r"MARK\d{6} ใจดี", html)
    file = copies.as_json(made, content, NOW)
    assert copies.FORMAT.encode() in file


def test_hostile_words_stay_words(db: Database, content: Content, somebody: Planted) -> None:
    made = {
        "tables": {"facts": [{"at": "x", "kind": "asked_hr", "data": {"<script>": "<img src>"}}]}
    }

    html = copies.as_html(made | {"acts": []}, content, NOW, "th")

    assert "<script>" not in html
    assert "<img" not in html


def test_only_who_answers_for_privacy_may_have_it(
    db: Database, content: Content, somebody: Planted
) -> None:
    with db.write() as conn:
        with pytest.raises(Denied):
            subject.export(conn, NOBODY, somebody.hr_id, content.register_, NOW)
        with pytest.raises(subject.NoSuchPerson):
            subject.export(conn, OPERATOR, "nobody", content.register_, NOW)


def test_a_day_is_a_date(content: Content) -> None:
    assert subject._value("left_on", datetime(2026, 11, 20).toordinal()) == "2026-11-20"  # noqa: DTZ001
