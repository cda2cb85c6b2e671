"""`kaona campaign …`: one command after the other, by two officers, as they would type them."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from subprocess import CompletedProcess

import pytest
import structlog
from sqlalchemy import insert, select, update

from bot.campaigns import (
    Unwilling,
    _changes,
    _moment,
    _source,
    app,
    line_bubble,
    telegram_message,
)
from bot.desk import read
from content.schema import Content
from flows.calendar import ZONE, is_working
from flows.text import buddhist_year
from storage.campaigns import Refused
from storage.database import Database
from storage.models import campaigns, facts, holdouts, occurrences, outbox
from tests.running import edge, environment, kaona, ready, rows
from tests.test_campaigns import crowd, staff

FILE = """
id = "own"
purpose = "encouragement"
holdout = 0.5
name = { th = "ของเราเอง", en = "Our own" }
message.text = { th = "สวัสดี", en = "Hello" }
message.label = { th = "ไปต่อ", en = "Go on" }
message.action = "go"
segment.steps = ["learn"]
schedule.at = 2026-01-05T09:30:00
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.toml").write_text(FILE, encoding="utf-8")
    return tmp_path


@pytest.fixture
def made(folder: Path) -> str:
    """A database with officers and thirty learners on LINE."""
    url = ready(folder)
    db = Database(url)
    with db.write() as conn:
        staff(conn)
        crowd(conn, 30)
    db.close()
    return url


@cache
def soon() -> str:
    """Ten o'clock on a working day of next week, with the year of the Buddhist era."""
    from content.load import load

    content, day = load(), (datetime.now(ZONE) + timedelta(days=7)).date()
    while not is_working(day, content):
        day += timedelta(days=1)
    return f"{buddhist_year(day)}-{day:%m-%d} 10:00"


class Desk:
    """Types commands, here in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *line: str) -> str:
        app([*line], standalone_mode=False)
        return self._capsys.readouterr().out

    def refused(self, *line: str) -> str:
        with pytest.raises(Unwilling) as refused:
            app([*line], standalone_mode=False)
        assert self._capsys.readouterr().out == ""
        return str(refused.value)


@pytest.fixture
def desk(
    made: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Desk]:
    for name, value in environment(made).items():
        monkeypatch.setenv(name, value)
    yield Desk(capsys)
    structlog.reset_defaults()  # a command sets up its own log


def test_a_campaign_from_its_file_to_its_outcome(desk: Desk, made: str) -> None:
    at = soon()

    assert "open-data" in desk("templates")
    assert desk("list").startswith("no campaigns yet")
    assert "has passed: choose a time to come" in desk.refused("lint", "own.toml")
    assert desk("lint", "own.toml", "--at", at) == "no faults\n"
    assert "has no role for this" in desk.refused("draft", "own.toml", "--by", "NOBODY")
    assert "campaign 1 drafted: ของเราเอง" in desk(
        "draft", "own.toml", "--by", "AUTHOR", "--at", at
    )
    assert "it was not checked yet" in desk.refused("approve", "1", "--by", "OTHER")
    shown = desk("preview", "1")
    assert all(each in shown for each in ("LINE · th", "Telegram · en", "สวัสดี", "Hello", "Go on"))
    run = desk("check", "1", "--names")
    assert "get it" in run
    assert run.count(" line ") >= 30
    assert "ask another officer" in desk.refused("approve", "1", "--by", "AUTHOR")
    assert "messages wait for their time" in desk("approve", "1", "--by", "OTHER")
    assert "waiting" in desk("list")
    db = Database(made)
    with db.write() as conn:
        conn.execute(update(outbox).values(status="uncertain", reason="timeout"))
        conn.execute(update(occurrences).values(status="running"))
        held = conn.execute(select(holdouts.c.learner_id)).scalars().all()
        due = conn.execute(select(occurrences.c.due)).scalar_one()
        fact = {"learner_id": held[0], "at": due, "kind": "answered", "data": "{}"}
        conn.execute(insert(facts).values(fact))
    db.close()
    assert "go once more" in desk("resend", "1")
    seen = desk("outcome", "1")
    assert "timeout" in seen
    assert f"1 of {len(held)} (" in seen
    assert "not distinguishable from chance" in seen


def test_stopping_and_going_on(desk: Desk) -> None:
    desk("draft", "awareness", "--by", "AUTHOR", "--at", soon(), "--unit", "กรม")
    assert "nobody fits who can be sent to" in desk.refused("check", "1")
    desk("draft", "open-data", "--by", "AUTHOR", "--at", soon())
    desk("check", "2")
    desk("approve", "2", "--by", "OTHER")

    assert desk("pause", "2") == "campaign 2 paused\n"
    assert desk("resume", "2") == "campaign 2 goes on\n"
    assert "is not paused" in desk.refused("resume", "2")
    assert "no sending waits" in desk.refused("release", "2")
    assert "no sending waits" in desk.refused("skip", "2")
    assert "nothing is uncertain" in desk.refused("resend", "2")
    assert desk("cancel", "2") == "campaign 2 cancelled\n"
    assert "there is no campaign 9" in desk.refused("outcome", "9")


def test_commands_reach_the_running_service(made: str, folder: Path, content: Content) -> None:
    def type_(*line: str) -> "CompletedProcess[str]":
        return kaona("campaign", *line, folder=folder, **environment(made))

    with edge(made, content):
        drafted = type_("draft", "open-data", "--by", "AUTHOR", "--at", soon())
        checked = type_("check", "1")
        refused = type_("approve", "1", "--by", "AUTHOR")
        approved = type_("approve", "1", "--by", "OTHER")

    ends = [ended.returncode for ended in (drafted, checked, refused, approved)]
    assert ends == [0, 0, 2, 0]
    assert len(refused.stderr.splitlines()) == 1
    assert rows(made, select(campaigns.c.status)) == [("approved",)]


# --- what is typed -------------------------------------------------------------------------


def test_years_of_both_eras_are_understood() -> None:
    assert _moment("2569-12-01 09:30") == "2026-12-01T09:30:00"
    assert _moment("2026-12-01 09:30") == "2026-12-01T09:30:00"
    assert _moment("") == ""
    for wrong in ("tomorrow", "2569-13-01 09:30", "2569"):
        with pytest.raises(Unwilling, match="write it as 2569-12-01 09:30"):
            _moment(wrong)


def test_a_file_that_is_no_campaign_names_every_field(folder: Path) -> None:
    (folder / "bad.toml").write_text('id = "x"\nwho = "all"\nholdout = 0.9\n', encoding="utf-8")
    spec = _source("bad.toml")["spec"]

    with pytest.raises(Refused) as refused:
        read(spec)

    found = {".".join(problem.loc) for problem in refused.value.problems}
    assert found == {"name", "purpose", "message", "who", "holdout"}
    (folder / "worse.toml").write_text("id =", encoding="utf-8")
    with pytest.raises(Unwilling, match="not TOML"):
        _source("worse.toml")
    assert _source("open-data") == {"template": "open-data"}
    assert _changes("", None) == {"at": "", "units": []}


def test_what_hr_writes_is_shown_as_it_is() -> None:
    """Square brackets are no colours."""
    from rich.console import Console

    reply = {"text": "[bold]ดู [1]", "title": "[x]", "choices": [{"label": "ไป"}]}
    out = Console(width=60, record=True)
    out.print(line_bubble(reply, "th"), telegram_message(reply, "th"))

    assert out.export_text().count("[bold]ดู [1]") == 2
