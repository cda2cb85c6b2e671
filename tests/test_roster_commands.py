"""`kaona roster …`, as an officer types it: here, and beside a running service."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from openpyxl import load_workbook
from sqlalchemy import insert, select

from bot.roster import Unwilling, app
from content.schema import Content
from storage.database import Database
from storage.models import audit, grants, persons, roster_changes
from tests.rosters import HR, PEOPLE, book, sheet
from tests.running import edge, environment, eventually, kaona, ready, rows


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    url = ready(tmp_path)
    monkeypatch.chdir(tmp_path)
    for name, value in environment(url).items():
        monkeypatch.setenv(name, value)
    (tmp_path / "all.csv").write_bytes(sheet(*PEOPLE))
    wrong = [(*row[:3], "ZZ", row[4]) if row[0] == "B2" else row for row in PEOPLE]
    (tmp_path / "wrong.xlsx").write_bytes(book(*wrong))
    yield url
    structlog.reset_defaults()  # a command sets up its own log


class Desk:
    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *line: str) -> str:
        app([*line], standalone_mode=False)
        return self._capsys.readouterr().out

    def refused(self, *line: str) -> tuple[str, str]:
        """What was said, and why not."""
        with pytest.raises(Unwilling) as refused:
            app([*line], standalone_mode=False)
        return self._capsys.readouterr().out, str(refused.value)


def test_from_the_template_to_roles(
    made: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    type_ = Desk(capsys)

    assert "t.xlsx written" in type_("template", "--out", "t.xlsx")
    pages = load_workbook(tmp_path / "t.xlsx").worksheets
    assert len(pages) == 2
    assert pages[0]["A1"].value == "รหัสบุคลากร"
    assert "no people" in type_.refused("import", "t.xlsx")[1]  # its example is nobody
    assert "nothing was changed" in type_("import", "all.csv", "--dry-run")
    assert rows(made, select(persons.c.id)) == []
    said, why = type_.refused("import", "wrong.xlsx")
    assert "row 4: ไม่พบผู้บังคับบัญชาในทะเบียน" in said
    assert "1 rows must be mended" in why
    back = load_workbook(tmp_path / "wrong-refused.xlsx").active
    assert back["F4"].value == "ไม่พบผู้บังคับบัญชาในทะเบียน"
    assert "new" in type_("import", "all.csv")
    assert len(rows(made, select(persons.c.id))) == 6
    assert "B2 is manager of" in type_(
        "grant", "B2", "manager", "--unit", HR, "--until", "1/1/2600"
    )
    assert "no longer" in type_("revoke", "B2", "manager", "--unit", HR)
    assert "has no such role" in type_.refused("revoke", "B2", "manager", "--unit", HR)[1]
    assert [row[0] for row in rows(made, select(audit.c.action).order_by(audit.c.id))] == [
        "roster_import", "grant", "revoke",
    ]  # fmt: skip


def test_what_is_typed_wrong(made: str, capsys: pytest.CaptureFixture[str]) -> None:
    type_ = Desk(capsys)

    assert "no such file" in type_.refused("import", "none.csv")[1]
    assert 'write it as "header=column"' in type_.refused("import", "all.csv", "--map", "x")[1]
    assert "there is no column x" in type_.refused("import", "all.csv", "--map", "x=name")[1]
    assert "there is no king" in type_.refused("import", "all.csv", "--map", "x=king")[1]
    assert "not a day" in type_.refused("import", "all.csv", "--effective", "soon")[1]
    assert "may not change" in type_.refused("import", "all.csv", "--by", "B2")[1]
    assert "cannot write" in type_.refused("template", "--out", "no/where.xlsx")[1]


def test_commands_reach_the_running_service(made: str, tmp_path: Path, content: Content) -> None:
    with edge(made, content):
        ends = [
            kaona("roster", *line, folder=tmp_path, **environment(made))
            for line in (
                ("import", "wrong.xlsx"),
                ("import", "all.csv"),
                ("grant", "B2", "hr"),
                ("import", "all.csv", "--by", "B2"),
            )
        ]

    assert [ended.returncode for ended in ends] == [2, 0, 0, 0]
    assert ends[0].stderr.strip().startswith("kaona: 1 rows")
    assert (tmp_path / "wrong-refused.xlsx").exists()
    assert len(rows(made, select(persons.c.id))) == 6
    assert ("hr", "hand") in rows(made, select(grants.c.role, grants.c.source))


def test_what_was_to_be_so_from_today_on_is_so_soon_after_a_start(
    made: str, content: Content, capsys: pytest.CaptureFixture[str]
) -> None:
    type_ = Desk(capsys)
    type_("import", "all.csv")
    db = Database(made)
    with db.write() as conn:
        conn.execute(
            insert(roster_changes).values(person_id=1, effective_on=1, data='{"title":"ใหม่"}')
        )
    db.close()

    with edge(made, content):
        eventually(lambda: rows(made, select(roster_changes.c.applied_at))[0][0])

    assert rows(made, select(persons.c.title).where(persons.c.id == 1)) == [("ใหม่",)]


def test_every_reason_has_its_sentence(content: Content) -> None:
    """A reason is named in code, and its sentence stands in content/roster.toml."""
    folder = Path(__file__).parent.parent
    named: dict[str, set[str]] = {"reasons": set(), "refusals": set()}
    says = {"Fault": 1, "_fault": 0, "Unclear": 0, "Refusal": 0, "Refused": 0, "Unreadable": 0}
    for name in ("flows/roster", "flows/chains", "flows/days", "bot/sheet_worker", "bot/sheets",
                 "bot/roster_desk", "storage/roster_grants", "storage/roster_one"):  # fmt: skip
        for node in ast.walk(ast.parse((folder / f"{name}.py").read_text(encoding="utf-8"))):
            match node:
                case ast.Call(func=ast.Name(id=call) | ast.Attribute(attr=call), args=args):
                    if call in says and isinstance(why := args[says[call]], ast.Constant):
                        row = call in ("Fault", "_fault", "Unclear")
                        named["reasons" if row else "refusals"].add(str(why.value))

    assert named["reasons"] == content.roster.reasons.keys()
    assert named["refusals"] <= content.roster.refusals.keys()
    assert {"broken", "encoding", "busy", "rows", "leavers"} <= content.roster.refusals.keys()
