"""P14, P16, P17: a year in which everything goes wrong now and then, and nobody is written to at a
wrong moment, too often, or against their will."""

import time

import pytest

from content.schema import Content
from storage.database import Database
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
    _go(Year(db, content, people=24, days=100), capsys)


@pytest.mark.soak
def test_a_year_of_two_thousand_people(
    db: Database, content: Content, capsys: pytest.CaptureFixture[str]
) -> None:
    _go(Year(db, content, people=2000), capsys)
