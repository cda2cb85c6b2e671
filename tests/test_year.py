"""P14, P16, P17: a year in which everything goes wrong now and then, and nobody is written to at a
wrong moment, too often, or against their will."""

import time
from pathlib import Path

import pytest

from content.schema import Content
from flows.gate import GO
from storage import admission, bulk
from storage.database import Database
from tests.running import ready
from tests.year import Year


def _go(year: Year, capsys: pytest.CaptureFixture[str]) -> None:
    began = time.monotonic()
    year.go()
    report = year.check()
    with capsys.disabled():
        print(f"\n{len(year.people)} people, {year.days} days, {time.monotonic() - began:.0f} s")
        print(report)

    assert report.good, str(report)


def test_some_months_of_a_few_people(
    db: Database, content: Content, capsys: pytest.CaptureFixture[str]
) -> None:
    _go(Year(db, content, people=14, days=40), capsys)


def test_a_gate_that_stands_open_is_noticed(
    tmp_path: Path, content: Content, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (admission, bulk):
        monkeypatch.setattr(module, "judge", lambda *_: GO)
    db = Database(ready(tmp_path))
    year = Year(db, content, people=10, days=25)
    year.go()
    report = year.check()
    db.close()

    assert report.violations["outside permitted hours"]
    assert report.violations["more than one a day"]


@pytest.mark.soak
def test_a_year_of_two_thousand_people(
    db: Database, content: Content, capsys: pytest.CaptureFixture[str]
) -> None:
    _go(Year(db, content, people=2000), capsys)
