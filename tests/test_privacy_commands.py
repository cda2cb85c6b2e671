"""`kaona privacy …` and `kaona audit …`, as an officer types them."""

import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog
from sqlalchemy import delete, select, update

from bot import audits, privacy
from bot.privacy import Unwilling
from content.schema import Content
from storage import wishes
from storage.database import Database
from storage.models import audit, learners, persons
from tests.planted import NOW, Planted, agency, plant
from tests.running import edge, environment, kaona, ready, rows

Type = Callable[..., str]


@pytest.fixture
def somebody(tmp_path: Path, content: Content, monkeypatch: pytest.MonkeyPatch) -> Planted:
    """A database with one marked person, who wants a correction."""
    monkeypatch.chdir(tmp_path)
    url = ready(tmp_path)
    for name, value in environment(url).items():
        monkeypatch.setenv(name, value)
    db = Database(url)
    with db.write() as conn:
        who = plant(conn, agency(conn), content)
        conn.execute(delete(audit))
        wishes.make(conn, who.learner, "correct", {"text": "[bold]x[/bold]", "message": "m"}, NOW)
    db.close()
    return who


@pytest.fixture
def types(capsys: pytest.CaptureFixture[str]) -> Iterator[Type]:
    """Types a command, here in this process."""

    def run(*line: str) -> str:
        group, *rest = line
        {"privacy": privacy.app, "audit": audits.app}[group](rest, standalone_mode=False)
        return capsys.readouterr().out

    yield run
    structlog.reset_defaults()


def test_a_copy_for_somebody_who_asked_at_the_counter(
    somebody: Planted, types: Type, tmp_path: Path
) -> None:
    out = tmp_path / "copy.zip"
    said = types("privacy", "export", "--person", somebody.hr_id, "--out", str(out))

    assert "copy.zip" in said
    assert out.stat().st_mode & 0o777 == 0o600
    with zipfile.ZipFile(out) as archive:
        made = json.loads(archive.read("my-data.json"))
        page = archive.read("my-data.html").decode()
    assert made["tables"]["learners"][0]["address"] == somebody.address
    assert somebody.mark in page
    assert "<style>" in page
    with pytest.raises(Unwilling, match="exists already"):
        types("privacy", "export", "--person", somebody.hr_id, "--out", str(out))
    with pytest.raises(Unwilling, match="nobody on the roster"):
        types("privacy", "export", "--person", "nobody", "--out", str(tmp_path / "other.zip"))
    assert not (tmp_path / "other.zip").exists()
    assert "export_person" in types("privacy", "who-looked", "--person", somebody.hr_id)


def test_requests_have_their_legal_clock_and_an_end(somebody: Planted, types: Type) -> None:
    said = types("privacy", "wishes")
    assert somebody.hr_id in said
    assert "[bold]x[/bold]" in said
    number = next(line.split()[0] for line in said.splitlines() if " correct " in line)

    with pytest.raises(Unwilling, match="must say why"):
        types("privacy", "end", number, "--as", "refused")
    with pytest.raises(Unwilling, match="nobody on the roster"):
        types("privacy", "end", number, "--as", "done", "--by", "nobody")
    types("privacy", "end", number, "--as", "refused", "--reason", "is right already")
    with pytest.raises(Unwilling, match="no request"):
        types("privacy", "end", number, "--as", "done")
    assert "refused" in types("privacy", "wishes", "--ended")


def test_the_dry_run_changes_nothing_and_the_purge_does(somebody: Planted, types: Type) -> None:
    url = f"sqlite:///{Path.cwd()}/kaona.db"
    db = Database(url)
    with db.write() as conn:  # they left long ago
        conn.execute(update(learners).values(created_at=NOW.replace(year=2020)))
        conn.execute(delete(audit))
    db.close()
    assert "nothing was deleted" in types("privacy", "purge", "--dry-run")
    before = len(rows(url, select(learners.c.id)))
    types("privacy", "purge")

    assert before == 2
    assert rows(url, select(audit.c.action).where(audit.c.action == "purged"))


def test_somebody_is_taken_off_for_good(somebody: Planted, types: Type) -> None:
    types("privacy", "erase", "--person", somebody.hr_id, "--yes")

    url = f"sqlite:///{Path.cwd()}/kaona.db"
    assert somebody.hr_id not in {row.hr_id for row in rows(url, select(persons.c.hr_id))}
    assert len((Path.cwd() / "erasures.jsonl").read_text().splitlines()) >= 2
    assert "erased again: 0" in types("privacy", "reapply")


def test_the_log_is_whole_until_it_is_not(somebody: Planted, types: Type) -> None:
    types("privacy", "wishes")
    assert "whole" in types("audit", "verify")
    assert "view_wishes" in types("audit", "list")
    db = Database(f"sqlite:///{Path.cwd()}/kaona.db")
    with db.write() as conn:
        first = conn.execute(select(audit.c.id).order_by(audit.c.id).limit(1)).scalar_one()
        conn.execute(update(audit).where(audit.c.id == first).values(result="denied"))
    db.close()

    with pytest.raises(Unwilling, match=f"broken at entry {first}"):
        types("audit", "verify")


def test_a_command_reaches_the_running_service(
    tmp_path: Path, content: Content, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One process writes: the other asks it over the socket."""
    monkeypatch.chdir(tmp_path)
    url = ready(tmp_path)
    with edge(url, content) as door:
        door.hook(door.line.says("U" + "1" * 32, "ข้อมูลของฉัน"))
        done = kaona("privacy", "wishes", folder=tmp_path, **environment(url))
        refused = kaona(
            "privacy", "who-looked", "--person", "x", folder=tmp_path, **environment(url)
        )

    assert (done.returncode, done.stdout.strip()) == (0, "no requests are open")
    assert refused.returncode == 2
    assert refused.stderr.startswith("kaona: nobody on the roster")


def test_the_documents_can_be_written_anywhere(somebody: Planted, types: Type) -> None:
    types("privacy", "register", "--format", "html", "--out", "made")

    assert "dpo@agency.go.th" in (Path.cwd() / "made" / "ropa.html").read_text(encoding="utf-8")
